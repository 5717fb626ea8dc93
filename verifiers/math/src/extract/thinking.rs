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
        let ends = self.tags.iter().filter_map(|[_, close]| last(text, close).map(|at| at + close.len()));
        let end = ends.max();
        if end.is_none() && (must_close || self.closed) {
            return None;
        }
        let part = &text[end.unwrap_or(0)..];
        let open = self.tags.iter().any(|[open, _]| last(part, open).is_some());
        (!open).then(|| without_end_marks(part))
    }
}

/// Where a mark stands last, in any case.
fn last(text: &str, mark: &str) -> Option<usize> {
    let (bytes, mark) = (text.as_bytes(), mark.as_bytes());
    let first = *mark.first()?;
    let mut end = bytes.len();
    while let Some(at) =
        memchr::memrchr2(first.to_ascii_lowercase(), first.to_ascii_uppercase(), &bytes[..end])
    {
        if bytes[at..].len() >= mark.len() && bytes[at..at + mark.len()].eq_ignore_ascii_case(mark) {
            return Some(at);
        }
        end = at;
    }
    None
}
