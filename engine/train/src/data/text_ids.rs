//! From text to the ids that a model sees, for documents and prompts alike: a prompt must be written exactly as
//! documents that start with it were, or the model is asked in a dialect that it did not learn.
//!
//! Both begin with what the tokenizer itself puts in front of a text (`<s>` for Llama, nothing for Qwen), as
//! transformers and vLLM do; a document ends with the end-of-text id, a prompt does not. A rendered chat template
//! brings its own special tokens, so nothing is put in front of it.

use rlvr_model::tokenizer::{Tokenizer, TokenizerError};

use super::source::Document;

/// The ids of a document, and how many of them are its prompt.
///
/// # Errors
/// Where the tokenizer fails.
pub fn document(tokenizer: &Tokenizer, document: &Document) -> Result<(Vec<u32>, usize), TokenizerError> {
    if document.prompt.is_empty() {
        let mut ids = prompt(tokenizer, &document.text)?;
        ids.extend(tokenizer.eos_id());
        return Ok((ids, 0));
    }
    let mut ids = prompt(tokenizer, &document.prompt)?;
    let start = ids.len();
    ids.extend(tokenizer.encode(&document.text)?);
    ids.extend(tokenizer.eos_id());
    Ok((ids, start))
}

/// The ids of a prompt that is plain text.
///
/// # Errors
/// Where the tokenizer fails.
pub fn prompt(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, TokenizerError> {
    let mut ids = tokenizer.encode_with_special(text)?;
    // Some tokenizers also end every text; what follows here is to continue it.
    if ids.len() > 1 && ids.last().copied() == tokenizer.eos_id() {
        ids.pop();
    }
    Ok(ids)
}

/// The ids of a prompt that a chat template has rendered.
///
/// # Errors
/// Where the tokenizer fails.
pub fn chat(tokenizer: &Tokenizer, rendered: &str) -> Result<Vec<u32>, TokenizerError> {
    tokenizer.encode(rendered)
}
