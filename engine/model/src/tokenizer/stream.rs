//! Text from ids that come one at a time, for showing a completion while it grows.
//!
//! A token may hold part of a character, and some decoders treat a token by its neighbours (a leading space is
//! dropped at the start). So the text of the last few ids is decoded with and without the new one, and what the new
//! one added is given out once it ends in a whole character.

use super::{Tokenizer, TokenizerError};

/// U+FFFD, what an unfinished character decodes to.
const UNFINISHED: char = '\u{FFFD}';
/// A character has at most four bytes and a token at least one: after so many ids, U+FFFD is what it is.
const LONGEST_CHARACTER: usize = 4;

/// Turns ids into text, piece by piece; see [`Tokenizer::stream`].
///
/// ```
/// use rlvr_model::tokenizer::Tokenizer;
///
/// let tokenizer = Tokenizer::characters()?;
/// let mut stream = tokenizer.stream();
/// let mut text = String::new();
/// for id in tokenizer.encode("2 + 2 = 4")? {
///     text += &stream.push(id)?;
/// }
/// text += &stream.finish()?;
/// assert_eq!(text, "2 + 2 = 4");
/// # Ok::<(), rlvr_model::tokenizer::TokenizerError>(())
/// ```
#[derive(Debug)]
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    /// Ids whose text was given out last, for context, then ids whose text was not given out yet.
    window: Vec<u32>,
    /// How many ids of the window are context.
    context: usize,
}

impl<'a> StreamDecoder<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, window: Vec::new(), context: 0 }
    }

    /// Takes the next id; returns the text that became certain with it, possibly none. Special tokens have no text.
    pub fn push(&mut self, id: u32) -> Result<String, TokenizerError> {
        self.window.push(id);
        let (before, text) = self.texts()?;
        let waiting = self.window.len() - self.context;
        if text.len() <= before.len() || (text.ends_with(UNFINISHED) && waiting < LONGEST_CHARACTER) {
            return Ok(String::new());
        }
        self.window.drain(..self.context);
        self.context = self.window.len();
        Ok(added(&before, &text))
    }

    /// The text still held back: an unfinished character, as U+FFFD.
    pub fn finish(self) -> Result<String, TokenizerError> {
        let (before, text) = self.texts()?;
        Ok(added(&before, &text))
    }

    /// The text of the context, and that of the whole window.
    fn texts(&self) -> Result<(String, String), TokenizerError> {
        Ok((self.tokenizer.decode(&self.window[..self.context])?, self.tokenizer.decode(&self.window)?))
    }
}

/// What `text` has beyond its common beginning with `before`.
fn added(before: &str, text: &str) -> String {
    let common = before.chars().zip(text.chars()).take_while(|(one, other)| one == other);
    text[common.map(|(one, _)| one.len_utf8()).sum::<usize>()..].to_string()
}
