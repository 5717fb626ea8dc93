//! Announced answers: after `####`, after "the answer is" in several languages, or the whole text.

use super::{Extracted, Rule, found, trimmed};
use crate::limits::ANSWER_BYTES;
use regex::Regex;
use std::sync::LazyLock;

pub(super) fn hashes(text: &str) -> Option<Extracted<'_>> {
    let start = memchr::memmem::rfind(text.as_bytes(), b"####")? + 4;
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let rest = text[start..end].trim_start_matches('#');
    let line = trimmed(text, end - rest.len()..end);
    if line.is_empty() || !short(&text[line.clone()]) {
        return None;
    }
    Some(found(text, Rule::Hashes, start - 4..line.end, line))
}

static PHRASE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(?xi)
        \b(?:the\s+)?(?:(?:final|correct|right)\s+)?answers?(?:\*\*|__)?
            (?:\s+to\s+[^.:=\n]{1,60}?)?\s*(?:(?:is|are)\b\s*:?|:|=|：)
      | \banswers?(?:\*\*|__)?\s+(?:\$|\\\(|\\\[)
      | \b(?:la\s+)?r[ée]ponses?(?:\s+(?:finale|correcte))?(?:\*\*|__)?\s*(?:(?:est|sont)\b\s*:?|:|=)
      | \b(?:die\s+)?(?:endg[üu]ltige\s+|richtige\s+)?antwort(?:\*\*|__)?\s*(?:(?:ist|lautet)\b\s*:?|:|=)
      | \b(?:la\s+)?respuesta(?:\s+(?:final|correcta))?(?:\*\*|__)?\s*(?:(?:es)\b\s*:?|:|=)
      | 答案(?:\*\*|__)?\s*(?:应该)?(?:是|为|為|:|：|=)+
      | (?:अंतिम\s+|सही\s+)?उत्तर(?:\*\*|__)?\s*(?:है\s*:?|:|=|\s)
      | (?:الإجابة|الجواب|الاجابة)(?:\s+(?:النهائية|النهائي|الصحيحة|الصحيح))?(?:\*\*|__)?\s*(?:هي|هو|:|=)\s*:?
      | \bо(?:твет)(?:\*\*|__)?\s*:";
    Regex::new(pattern).ok()
});

/// Whether a text announces an answer.
pub(super) fn announces(text: &str) -> bool {
    PHRASE.as_ref().is_some_and(|p| p.is_match(text))
}

/// Where the last announcement of an answer is, and where it ends.
pub(super) fn announcement(text: &str) -> Option<(usize, usize)> {
    let said = PHRASE.as_ref()?.find_iter(text).last()?;
    // marks of mathematics belong to the answer
    let marks = ["$", "\\(", "\\["].iter().find(|m| said.as_str().ends_with(**m)).map_or(0, |m| m.len());
    Some((said.start(), said.end() - marks))
}

pub(super) fn phrase(text: &str) -> Option<Extracted<'_>> {
    let (said, end) = announcement(text)?;
    let rest = &text[end..];
    let start =
        text.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || ":*_：".contains(c)).len();
    let rest = &text[start..];
    for (open, close) in [("$$", "$$"), ("\\[", "\\]")] {
        if let Some(end) = rest.strip_prefix(open).and_then(|r| r.find(close)) {
            let answer = trimmed(text, start + open.len()..start + open.len() + end);
            let mut extracted = found(text, Rule::Phrase, said..start + 2 * open.len() + end, answer);
            extracted.open_end = false;
            return Some(extracted);
        }
    }
    let mut end = start + sentence(rest).min(clause(rest));
    // bold that ends before the sentence does
    if let Some(bold) = text[start..end].find("**").filter(|at| *at > 0)
        && !text[start + bold + 2..end].starts_with(|c: char| c.is_ascii_digit() || c == '(' || c == '-')
    {
        end = start + bold;
    }
    let answer = trimmed(text, start..end);
    (!answer.is_empty()).then(|| found(text, Rule::Phrase, said..answer.end, answer))
}

/// Length of the sentence at the start: to the end of the line, or to a full stop before a space.
pub(super) fn sentence(text: &str) -> usize {
    let line = text.find('\n').unwrap_or(text.len());
    let stop = text[..line]
        .char_indices()
        .find(|&(i, c)| match c {
            '。' | '।' | '！' => true,
            '.' | '?' | '؟' => {
                i + c.len_utf8() == line || text[i + c.len_utf8()..].starts_with(char::is_whitespace)
            }
            _ => false,
        })
        .map(|(i, _)| i);
    stop.unwrap_or(line)
}

/// Length of what stands before the first word that opens a reason or a remark, and its comma.
fn clause(text: &str) -> usize {
    const OPENERS: [&str; 12] = [
        "because",
        "since",
        "which",
        "where",
        "as",
        "so",
        "thus",
        "therefore",
        "car",
        "parce",
        "weil",
        "porque",
    ];
    let line = &text[..text.find('\n').unwrap_or(text.len())];
    // "64, not 65" and "64 (not 65)" take nothing back
    let line = [", not ", " (not ", ", instead of "]
        .iter()
        .filter_map(|m| line.find(m))
        .min()
        .map_or(line, |at| &line[..at]);
    let mut at = 0;
    for word in line.split_inclusive(' ') {
        if at > 0 && OPENERS.contains(&word.trim_end()) {
            return at;
        }
        at += word.len();
    }
    line.len()
}

/// The answer within an announced sentence: after its last verb, or its only number.
pub(super) fn within(text: &str) -> Option<&str> {
    const VERBS: [&str; 18] = [
        " is ",
        " are ",
        " equals ",
        " was ",
        " be ",
        " est ",
        " sont ",
        " est de ",
        " ist ",
        " beträgt ",
        " es ",
        " son ",
        "是",
        "为",
        "等于",
        " هو ",
        " هي ",
        " है ",
    ];
    // words that change the number beside them or take it back
    const CHANGES: &str = "not never cannot neither nor isn can doubt maybe perhaps least most less more than fewer greater \
        over under below above between minus negative plus half double twice or and pas jamais nicht no nunca 不 没 非";
    if text
        .split(|c: char| !c.is_alphabetic())
        .any(|w| CHANGES.split_whitespace().any(|n| w.eq_ignore_ascii_case(n)))
    {
        return None;
    }
    let verb = VERBS.iter().filter_map(|v| text.rfind(v).map(|at| at + v.len())).max();
    if let Some(at) = verb {
        let rest = text[at..].trim();
        if rest.contains(|c: char| c.is_ascii_digit() || c == '$' || c == '\\') {
            return Some(rest);
        }
    }
    let numbers = super::last::NUMBER.as_ref()?;
    let mut found = numbers.find_iter(text);
    let only = found.next()?;
    found.next().is_none().then(|| only.as_str().trim())
}

pub(super) fn whole(text: &str) -> Option<Extracted<'_>> {
    let mut range = trimmed(text, 0..text.len());
    for opener in ["Therefore", "Thus", "Hence", "So"] {
        let rest = text[range.clone()].strip_prefix(opener).filter(|r| r.starts_with([',', ':', ' ']));
        if let Some(rest) = rest {
            range = trimmed(text, range.end - rest.len() + 1..range.end);
        }
    }
    let part = &text[range.clone()];
    if part.is_empty() || part.len() > ANSWER_BYTES || !short(part) {
        return None;
    }
    let display = part.starts_with("$$") || part.starts_with("\\[") || part.contains("\\begin{");
    // "The answer is" alone has been left without one
    let open_box = part.contains("\\boxed") || part.contains("\\fbox");
    if (part.contains('\n') && !display) || announces(part) || open_box {
        return None;
    }
    Some(found(text, Rule::Whole, range.clone(), range))
}

/// Whether a line is an answer rather than prose: at most three words, LaTeX commands aside.
fn short(text: &str) -> bool {
    let mut words = 0;
    let mut command = false;
    let mut letters = 0;
    for c in text.chars().chain([' ']) {
        if c.is_alphabetic() {
            letters += 1;
            continue;
        }
        words += usize::from(letters > 1 && !command);
        letters = 0;
        command = c == '\\';
    }
    words <= 3
}
