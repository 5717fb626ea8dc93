//! The part of a completion in which an answer counts: after the thinking.

use super::without_end_marks;
use serde::{Deserialize, Serialize};

/// Marks of a model's thinking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thinking {
    /// Pairs of marks that open and close it, in any case.
    pub tags: Vec<[String; 2]>,
    /// Whether a completion must close its thinking: for chat templates that open it in the prompt. A prompt that ends in
    /// an opening mark demands it in any case.
    pub closed: bool,
}

impl Default for Thinking {
    fn default() -> Self {
        let pair = |open: &str, close: &str| [open.to_owned(), close.to_owned()];
        let tags = vec![
            pair("<think>", "</think>"),
            pair("<thinking>", "</thinking>"),
            pair("<|begin_of_thought|>", "<|end_of_thought|>"),
            pair("[THINK]", "[/THINK]"),
        ];
        Thinking { tags, closed: false }
    }
}

impl Thinking {
    /// Whether a prompt ends in a mark that opens thinking.
    pub fn opened_by(&self, prompt: &str) -> bool {
        let prompt = prompt.trim_end().as_bytes();
        self.tags.iter().any(|[open, _]| {
            prompt.len() >= open.len()
                && prompt[prompt.len() - open.len()..].eq_ignore_ascii_case(open.as_bytes())
        })
    }

    /// What stands after the last mark that closes thinking, without marks of the end of a turn. None where thinking is
    /// open at the end, or has not ended though it must have.
    pub fn answer_part<'a>(&self, text: &'a str, must_close: bool) -> Option<&'a str> {
        let bytes = text.as_bytes();
        let begins = |at: usize, mark: &str| {
            bytes[at..].get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark.as_bytes()))
        };
        let mut end = text.len();
        while let Some(at) = self.last_start(&bytes[..end]) {
            if let Some([_, close]) = self.tags.iter().find(|[_, close]| begins(at, close)) {
                return Some(without_end_marks(&text[at + close.len()..]));
            }
            if self.tags.iter().any(|[open, _]| begins(at, open)) {
                return None;
            }
            end = at;
        }
        (!must_close && !self.closed).then(|| without_end_marks(text))
    }

    /// Where a byte stands last that a mark may begin with.
    fn last_start(&self, bytes: &[u8]) -> Option<usize> {
        let usual = self.tags.iter().flatten().all(|mark| mark.starts_with(['<', '[']));
        if usual {
            return memchr::memrchr2(b'<', b'[', bytes);
        }
        let first =
            |byte: &u8| self.tags.iter().flatten().any(|mark| mark.as_bytes()[0].eq_ignore_ascii_case(byte));
        bytes.iter().rposition(first)
    }
}
