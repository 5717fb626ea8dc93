//! Answers between `<answer>` and `</answer>`, the form that R1-style prompts ask for.

use super::boxes::{Framed, joined};
use super::{Extracted, Rule, extract, found, trimmed};
use std::borrow::Cow;

const OPEN: &str = "<answer>";
const CLOSE: &str = "</answer>";

/// The answer of the last tag: what is stated in it as an answer, or all of it. Where the text ends before the tag does, as
/// with a stop string, the answer may be cut off.
pub(super) fn tagged(text: &str) -> Option<Extracted<'_>> {
    let opened = memchr::memmem::rfind(text.as_bytes(), OPEN.as_bytes())? + OPEN.len();
    let Some(length) = text[opened..].find(CLOSE) else {
        let range = trimmed(text, opened..text.len());
        let mut answer = inside(found(text, Rule::Tagged, opened - OPEN.len()..text.len(), range))?;
        answer.open_end = true;
        return Some(answer);
    };
    let mut frames = Vec::new();
    let mut at = 0;
    while at < opened
        && let Some(start) = text[at..opened + length].find(OPEN).map(|i| at + i)
    {
        let inner = start + OPEN.len();
        let Some(end) = text[inner..].find(CLOSE).map(|i| inner + i) else { break };
        frames.push(Framed { outer: start..end + CLOSE.len(), inner: inner..end });
        at = end + CLOSE.len();
    }
    inside(joined(text, &frames, Rule::Tagged)?)
}

/// What is stated as an answer within a tag's content.
fn inside(whole: Extracted<'_>) -> Option<Extracted<'_>> {
    if whole.text.trim().is_empty() {
        return Some(whole);
    }
    // of several tags that are joined nothing is taken out
    let Cow::Borrowed(content) = whole.text else { return Some(whole) };
    let stated =
        [Rule::Boxed, Rule::Hashes, Rule::Phrase].into_iter().find_map(|rule| extract(content, rule));
    Some(match stated {
        Some(inner) => Extracted {
            rule: Rule::Tagged,
            at: whole.at,
            open_end: false,
            alternative: inner.alternative.or(whole.alternative),
            ..inner
        },
        None => whole,
    })
}
