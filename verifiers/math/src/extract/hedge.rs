//! Answers that are offered beside an answer: "... or 6" after it, "5 or ..." before it.

use super::last::NUMBER;
use super::statement::sentence;
use std::ops::Range;

/// Words for "or".
const OR: [&str; 8] = ["or", "alternatively", "ou", "oder", "或者", "或", "أو", "या"];

/// Whether a text has the word "or" in it.
pub(super) fn has_or(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic()).any(|word| OR.iter().any(|or| word.eq_ignore_ascii_case(or)))
}

/// The rest after the word "or".
pub(super) fn after_or(text: &str) -> Option<&str> {
    OR.iter().find_map(|or| {
        let head = text.get(..or.len()).filter(|head| head.eq_ignore_ascii_case(or))?;
        let rest = &text[head.len()..];
        let ends = !or.is_ascii() || !rest.starts_with(char::is_alphanumeric);
        ends.then_some(rest)
    })
}

/// What stands before the word "or" at the end.
fn before_or(text: &str) -> Option<&str> {
    OR.iter().find_map(|or| {
        let at = text.len().checked_sub(or.len()).filter(|at| text.is_char_boundary(*at))?;
        let ends = text[at..].eq_ignore_ascii_case(or)
            && (!or.is_ascii() || !text[..at].ends_with(char::is_alphanumeric));
        ends.then(|| &text[..at])
    })
}

/// What is offered beside a statement.
pub(super) fn alternative(text: &str, statement: Range<usize>) -> Option<&str> {
    let mark = |c: char| c.is_whitespace() || "$\\)]}(*.,;?!".contains(c);
    let after = text[statement.end..].trim_start_matches(mark);
    let after = after.strip_prefix("text{").unwrap_or(after).trim_start_matches(mark);
    if let Some(rest) = after_or(after) {
        let rest = &rest[..sentence(rest)];
        if !rest.trim().is_empty() {
            return Some(rest.trim());
        }
    }
    let lead = |c: char| c.is_whitespace() || "$\\([{*,".contains(c);
    let before = text[..statement.start].trim_end_matches(lead);
    let line = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    let line = line
        .strip_suffix('=')
        .map_or(line, |l| l.trim_end().trim_end_matches(char::is_alphabetic).trim_end());
    let line = line.trim_end_matches(lead).trim_end_matches('}').trim_end();
    let rival = before_or(line)?.trim_end_matches([',', ' ']);
    // mathematics between marks is offered as a whole
    for (open, close) in [("$", "$"), ("\\(", "\\)")] {
        if let Some(inner) = rival.strip_suffix(close) {
            return inner.rfind(open).map(|at| inner[at + open.len()..].trim());
        }
    }
    let number =
        NUMBER.as_ref()?.find_iter(rival).last().filter(|m| m.end() == rival.len()).map(|m| m.as_str());
    number.or_else(|| rival.split_whitespace().last())
}
