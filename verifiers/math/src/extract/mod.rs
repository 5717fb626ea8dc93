//! Where a completion states its final answer.
//!
//! The first rule that finds an answer decides, also when the answer found cannot be read: a completion that puts
//! `\boxed{6}` after "the answer is 5" has answered 6. An answer that is offered together with another one
//! ("5 or 6") comes with its alternative, so that the verifier can refuse to choose for the completion.

mod boxes;
pub(crate) mod choice;
mod context;
mod hedge;
mod last;
pub(crate) mod rival;
mod statement;
mod tagged;
mod thinking;

use crate::limits::{BOX_BYTES, TAIL_BYTES};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use hedge::Beside;
pub(crate) use last::first_number;
pub use thinking::Thinking;

/// A place where a final answer may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// What is between the last `<answer>` and `</answer>`.
    Tagged,
    /// The last complete `\boxed{...}` or `\fbox{...}`. Boxes joined by "and", "or" or commas are one answer.
    Boxed,
    /// What follows the last `####` on its line.
    Hashes,
    /// What follows the last "answer is", "answer:" or "answer =", or the same in French, German, Spanish, Chinese,
    /// Hindi or Arabic, in its sentence.
    Phrase,
    /// The whole text, if it is one number or expression, or a few words.
    Whole,
    /// The last mathematics between dollar signs or `\(`, `\[`. Not among the defaults.
    LastMath,
    /// The last number anywhere. Not among the defaults: it reads answers from completions that state none.
    LastNumber,
}

impl Rule {
    /// The rules of the policy `auto`, in order.
    pub const AUTO: [Rule; 5] = [Rule::Tagged, Rule::Boxed, Rule::Hashes, Rule::Phrase, Rule::Whole];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Tagged => "in <answer>",
            Rule::Boxed => "boxed",
            Rule::Hashes => "after ####",
            Rule::Phrase => "after \"answer\"",
            Rule::Whole => "the whole text",
            Rule::LastMath => "the last mathematics",
            Rule::LastNumber => "the last number",
        })
    }
}

/// An answer as it stands in a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted<'a> {
    /// The rule that found it.
    pub rule: Rule,
    /// The answer.
    pub text: Cow<'a, str>,
    /// What is offered in its place ("5 or 6"), as it stands beside the answer.
    pub alternative: Option<Beside<'a>>,
    /// Why it is no answer by itself, as where a sign stands before its box.
    pub objection: Option<&'static str>,
    /// Whether the text ends with the answer and nothing marks its end: if the text was cut off, so may be the answer.
    pub open_end: bool,
    /// Where it is stated, in bytes.
    pub at: usize,
}

/// Marks of the end of a turn that are taken off at most.
const END_MARKS: usize = 64;

/// Without marks of the end of a turn, and what a sampler wrote after one that opens the next.
pub(crate) fn without_end_marks(mut text: &str) -> &str {
    let tagged = memchr::memmem::find(text.as_bytes(), b"<answer>").is_some();
    if let Some(at) = memchr::memmem::find(text.as_bytes(), b"<|im_start|>") {
        text = &text[..at];
    }
    for _ in 0..END_MARKS {
        let end = text.trim_end();
        let cut = if let Some(rest) = end.strip_suffix("|>") {
            rest.rfind("<|").filter(|at| rest.len() - at <= 40)
        } else {
            let marks = ["</s>", "<eos>", "<end_of_turn>", "</answer>"];
            let mark = marks[..if tagged { 3 } else { 4 }].iter().find(|m| end.ends_with(**m));
            mark.map(|m| end.len() - m.len())
        };
        match cut {
            Some(at) => text = &text[..at],
            None => break,
        }
    }
    text
}

/// Compiles what is compiled once, so that no verdict waits for it.
pub(crate) fn prepare() {
    let _ = (statement::announcement(""), first_number(""));
    crate::lexicon::prepare();
}

/// The final answer by one rule.
pub fn extract(text: &str, rule: Rule) -> Option<Extracted<'_>> {
    match rule {
        Rule::Tagged => in_last(BOX_BYTES, text, tagged::tagged),
        Rule::Boxed => in_last(BOX_BYTES, text, boxes::boxed),
        Rule::Hashes => statement::hashes(text),
        Rule::Phrase => in_tail(text, statement::phrase),
        Rule::Whole => statement::whole(text),
        Rule::LastMath => in_tail(text, last::mathematics),
        Rule::LastNumber => in_tail(text, last::number),
    }
}

/// What a rule finds in the last [`TAIL_BYTES`] of a text.
fn in_tail<'a>(text: &'a str, rule: impl Fn(&'a str) -> Option<Extracted<'a>>) -> Option<Extracted<'a>> {
    in_last(TAIL_BYTES, text, rule)
}

/// What a rule finds in the last bytes of a text.
fn in_last<'a>(
    bytes: usize,
    text: &'a str,
    rule: impl Fn(&'a str) -> Option<Extracted<'a>>,
) -> Option<Extracted<'a>> {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    rule(&text[start..]).map(|found| Extracted { at: found.at + start, ..found })
}

/// Whether a text has words beside the mathematics between its marks.
pub(crate) fn words_beside_mathematics(text: &str) -> bool {
    last::words_beside(text)
}

/// Whether a text announces an answer, and the answer that it announces.
pub(crate) fn announced(text: &str) -> Option<Extracted<'_>> {
    in_tail(text, statement::phrase)
}

/// The answer within an announced sentence that is more than the answer ("The largest n is 34").
pub(crate) fn within_sentence(text: &str) -> Option<&str> {
    statement::within(text)
}

/// Every box of a completion, for gold answers that are lists.
pub(crate) fn all_boxes(text: &str) -> Vec<&str> {
    boxes::contents(text)
}

/// An answer that ends where its range ends, with the alternatives around it.
fn found<'a>(text: &'a str, rule: Rule, statement: Range<usize>, answer: Range<usize>) -> Extracted<'a> {
    Extracted {
        rule,
        text: Cow::Borrowed(&text[answer.clone()]),
        alternative: hedge::alternative(text, statement.clone()),
        objection: None,
        at: statement.start,
        open_end: text[answer.end..].trim_end_matches([' ', '.', ',']).is_empty(),
    }
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..start + part.trim().len()
}

#[cfg(test)]
mod tests;
