//! The last mathematics or number of a completion, for configurations that read answers from completions that state
//! none.

use super::{Extracted, Rule, found, trimmed};
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

pub(super) static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x) [-−]?(?:\\?[$€£]\s?)?(?:\d{1,3}(?:[,\x{20}\x{a0}\x{202f}]\d{3})+\b|\d+)(?:[.]\d+|,\d{1,2}\b)?(?:[eE][-+]?\d+)?(?:\s?/\s?\d+)?(?:\s?\\?%)?
          | [-−]?[$]?\.\d+
          | [-−]?\\d?frac\{[^{}]{1,40}\}\{[^{}]{1,40}\}",
    )
    .ok()
});

pub(super) fn number(text: &str) -> Option<Extracted<'_>> {
    let number = NUMBER.as_ref()?.find_iter(text).last()?;
    let (mut start, mut end) = (number.start(), number.end());
    // in `10-5` the minus is no sign
    if text[..start].ends_with(|c: char| c.is_alphanumeric() || c == ')') {
        if text[start..].starts_with(['-', '−']) {
            return None;
        }
        let word = text[..start].chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric());
        if word {
            return None;
        }
    }
    // a decimal comma, or thousands set apart by spaces
    let head = &text[..start];
    let comma = head.ends_with(',') && head[..head.len() - 1].ends_with(|c: char| c.is_ascii_digit());
    if comma {
        start = head[..head.len() - 1].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
        while !text.is_char_boundary(start) {
            start += 1;
        }
    }
    // a piece of something longer is no number of its own
    let operator = |c: char| "+*^_{}\\×÷·!(<>".contains(c);
    let before = text[..start].trim_end();
    let after = &text[end..];
    let marks = ["**", "\\(", "\\)", "\\[", "\\]"];
    let joined = before.ends_with(|c| "+*/^_{\\×÷·".contains(c))
        && !marks.iter().any(|m| before.ends_with(m))
        || after.starts_with(operator) && !marks.iter().any(|m| after.starts_with(m))
        || text[end..].starts_with(|c: char| c.is_ascii_alphabetic()) && !unit_follows(&text[end..]);
    if joined {
        return None;
    }
    let percent = ["percent", "pct"].iter().find(|w| text[end..].trim_start().starts_with(**w));
    if let Some(word) = percent {
        end += text[end..].len() - text[end..].trim_start().len() + word.len();
    }
    let range = trimmed(text, start..end);
    Some(found(text, Rule::LastNumber, range.clone(), range))
}

/// Whether letters that touch a number are a unit.
fn unit_follows(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let next = text[end..].chars().next();
    end <= 3 && !next.is_some_and(|c| c.is_ascii_digit() || c == '_')
}

/// The first number in a text, as written.
pub(crate) fn first_number(text: &str) -> Option<&str> {
    NUMBER.as_ref()?.find(text).map(|m| m.as_str().trim())
}

/// All mathematics of a text: what is between its marks. That within a line is on one line.
fn formulas(text: &str) -> Vec<(Range<usize>, Range<usize>)> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut i = 0;
    while i + 1 < bytes.len() {
        let (open, close, display) = match &bytes[i..] {
            [b'\\', b'(', ..] => (2, "\\)", false),
            [b'\\', b'[', ..] => (2, "\\]", true),
            [b'$', b'$', ..] => (2, "$$", true),
            [b'$', ..] => (1, "$", false),
            [b'\\', ..] => {
                i += 2;
                continue;
            }
            _ => {
                i += 1;
                continue;
            }
        };
        let start = i + open;
        let end = text.get(start..).and_then(|rest| {
            let end = rest.find(close)?;
            let broken = !display && rest[..end].contains('\n') || end == 0;
            (!broken).then_some(start + end)
        });
        match end {
            Some(end) => {
                out.push((i..end + close.len(), start..end));
                i = end + close.len();
            }
            None => i += open,
        }
    }
    out
}

pub(super) fn mathematics(text: &str) -> Option<Extracted<'_>> {
    let (outer, inner) = formulas(text).pop()?;
    let inner = trimmed(text, inner);
    let mut extracted = found(text, Rule::LastMath, outer, inner);
    extracted.open_end = false;
    Some(extracted)
}

/// Whether there are words beside the mathematics of a text that has some: not units, "percent" or what joins a list.
pub(super) fn words_beside(text: &str) -> bool {
    let formulas = formulas(text);
    let mut rest = String::new();
    let mut at = 0;
    for (outer, _) in &formulas {
        rest.push_str(&text[at..outer.start]);
        rest.push(' ');
        at = outer.end;
    }
    rest.push_str(&text[at..]);
    !formulas.is_empty()
        && rest.split(|c: char| !c.is_alphabetic()).any(|word| word.len() > 1 && !joins(word))
}

fn joins(word: &str) -> bool {
    matches!(word, "and" | "or" | "percent" | "pct") || crate::units::is_known(word)
}
