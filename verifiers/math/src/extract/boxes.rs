//! Boxed answers: the last complete box, and boxes that are joined to it.

use super::{Extracted, Rule, found};
use memchr::memmem;
use std::borrow::Cow;
use std::ops::Range;

/// A complete box or tag: all of it, and what is inside.
pub(super) struct Framed {
    pub outer: Range<usize>,
    pub inner: Range<usize>,
}

/// Length of a box's opening at this place, with its brace.
fn opening(text: &[u8]) -> Option<usize> {
    let name = ["\\boxed", "\\fbox"].into_iter().find(|n| text.starts_with(n.as_bytes()))?;
    let blank = text[name.len()..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    (text.get(name.len() + blank) == Some(&b'{')).then_some(name.len() + blank + 1)
}

/// The last place where a box may open, before `end`.
fn last_opening(text: &[u8], end: usize) -> Option<usize> {
    memmem::rfind(&text[..end], b"\\boxed").max(memmem::rfind(&text[..end], b"\\fbox"))
}

/// The end of the group whose content starts at `start`.
fn closing(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 1usize;
    let mut i = start;
    while i < text.len() {
        match text[i] {
            // an escaped brace is no group; in `\\boxed` the second backslash is the command's
            b'\\' if matches!(text.get(i + 1), Some(b'{' | b'}')) => i += 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
        i += 1;
    }
    None
}

/// All complete boxes that are in no other box, in one pass.
fn boxes(text: &str) -> Vec<Framed> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    // depth, start and start of the content of each open box
    let mut open: Vec<(usize, usize, usize)> = Vec::new();
    let mut found: Vec<Framed> = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => {
                if let Some(length) = opening(&bytes[i..]) {
                    depth += 1;
                    open.push((depth, i, i + length));
                    i += length;
                    continue;
                }
                i += if matches!(bytes.get(i + 1), Some(b'{' | b'}')) { 2 } else { 1 };
                continue;
            }
            b'{' => depth += 1,
            b'}' if depth > 0 => {
                if open.last().is_some_and(|(at, ..)| *at == depth)
                    && let Some((_, outer, start)) = open.pop()
                {
                    while found.last().is_some_and(|b| b.outer.start > outer) {
                        found.pop();
                    }
                    found.push(Framed { outer: outer..i + 1, inner: start..i });
                }
                depth -= 1;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// The only box of a text, where it has one and that is complete.
fn only(text: &str) -> Option<Framed> {
    let bytes = text.as_bytes();
    let start = last_opening(bytes, bytes.len())?;
    if last_opening(bytes, start).is_some() {
        return None;
    }
    let Some(length) = opening(&bytes[start..]) else { return bare(text, start) };
    let inner = start + length;
    let end = closing(bytes, inner)?;
    Some(Framed { outer: start..end + 1, inner: inner..end })
}

/// `\boxed 5`, which frames one character.
fn bare(text: &str, start: usize) -> Option<Framed> {
    let name = text[start + 1..].find(|c: char| !c.is_ascii_alphabetic())? + start + 1;
    let inner = name + text[name..].len() - text[name..].trim_start_matches(' ').len();
    let mut after = text[inner..].chars();
    let one = after.next().filter(char::is_ascii_alphanumeric)?;
    let alone = !after.next().is_some_and(|c| c.is_alphanumeric() || ".,/^_".contains(c) && c != '.');
    let ends = !text[inner + 1..].starts_with(['.', ','])
        || !text[inner + 2..].starts_with(|c: char| c.is_ascii_digit());
    (alone && ends && inner > name)
        .then(|| Framed { outer: start..inner + one.len_utf8(), inner: inner..inner + one.len_utf8() })
}

/// The last box, in the last [`BOX_BYTES`] of a text.
pub(super) fn boxed(text: &str) -> Option<Extracted<'_>> {
    last_opening(text.as_bytes(), text.len())?;
    let found_boxes = only(text).map_or_else(|| boxes(text), |one| vec![one]);
    joined(text, &found_boxes, Rule::Boxed)
}

/// The answer of the last of several boxes or tags, and of those that are joined to it.
pub(super) fn joined<'a>(text: &'a str, all: &[Framed], rule: Rule) -> Option<Extracted<'a>> {
    let last = all.last()?;
    let mut items = vec![last];
    let mut chosen = false;
    for pair in all.windows(2).rev() {
        let Some(either) = connective(&text[pair[0].outer.end..pair[1].outer.start]) else { break };
        chosen |= either;
        items.push(&pair[0]);
    }
    let first = items[items.len() - 1].outer.start;
    let mut extracted = found(text, rule, first..last.outer.end, last.inner.clone());
    extracted.open_end = false;
    extracted.objection = super::context::objection(text, first..last.outer.end);
    let content = |b: &&Framed| text[b.inner.clone()].trim();
    if items.iter().any(|b| content(b) != content(&last)) {
        let parts: Vec<&str> = items.iter().rev().map(content).collect();
        if parts.iter().any(|p| p.is_empty()) {
            extracted.text = Cow::Borrowed("");
            return Some(extracted);
        }
        // each box is an element of its own, whatever commas it has
        let grouped = parts.iter().any(|p| p.contains(','));
        extracted.text = Cow::Owned(parts.join(match (chosen, grouped) {
            (true, _) => " \\text{ or } ",
            (false, true) => " ; ",
            (false, false) => ", ",
        }));
    }
    Some(extracted)
}

/// Contents of all boxes.
pub(super) fn contents(text: &str) -> Vec<&str> {
    boxes(text).into_iter().map(|b| text[b.inner].trim()).collect()
}

/// Whether the text between two boxes joins them: few words of which the last is "and" or "or", or a comma. If so,
/// whether by a choice.
fn connective(gap: &str) -> Option<bool> {
    // "or the answer is", a second announcement in place of the first
    let after = gap.trim_start_matches(|c: char| c.is_whitespace() || "$)],.;\\".contains(c));
    if gap.len() <= 120 && super::hedge::after_or(after).is_some_and(super::statement::announces) {
        return Some(true);
    }
    if gap.len() > 60 || gap.contains(['!', '?', '。']) || gap.contains(". ") || gap.contains("\n\n") {
        return None;
    }
    let mut rest = gap;
    loop {
        let before = rest.len();
        rest = rest.trim_end_matches(|c: char| c.is_whitespace() || "$([{}*~".contains(c));
        for mark in [
            "\\quad", "\\qquad", "\\text", "\\mbox", "\\(", "\\[", "\\,", "\\;", "\\ ", "\\", "either",
            "maybe", "perhaps", "possibly", "also", "else", "even",
        ] {
            rest = rest.strip_suffix(mark).unwrap_or(rest);
        }
        if rest.len() == before {
            break;
        }
    }
    // side by side on one line
    if rest.trim_start_matches(|c: char| c.is_whitespace() || "$)]+~".contains(c)).is_empty()
        && !gap.contains('\n')
    {
        return Some(false);
    }
    if rest.ends_with([',', ';', '、', '，']) {
        return Some(super::hedge::has_or(gap));
    }
    if let Some(before) = rest.strip_suffix('/') {
        return before.trim_end_matches(['$', ' ']).is_empty().then_some(true);
    }
    let word_start = rest.rfind(|c: char| !c.is_alphabetic()).map_or(0, |at| at + 1);
    let word = rest.get(word_start..).unwrap_or_default().to_lowercase();
    match word.as_str() {
        "or" | "alternatively" | "ou" | "oder" | "或" | "或者" | "أو" | "या" => Some(true),
        "and" | "et" | "und" | "y" | "和" | "与" | "و" | "और" => Some(super::hedge::has_or(gap)),
        _ => None,
    }
}
