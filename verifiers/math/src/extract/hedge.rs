//! Answers that are offered beside an answer: "... or 6" after it, "5 or ..." before it.

use super::last::NUMBER;
use super::statement::sentence;
use std::ops::Range;

/// Words for "or".
const OR: [&str; 8] = ["or", "alternatively", "ou", "oder", "或者", "或", "أو", "या"];

/// Words that offer something in place of what was said.
const MAYBE: [&str; 6] = ["maybe", "perhaps", "possibly", "otherwise", "else", "peut-être"];

/// Words before another value that an answer could have.
const COULD: [&str; 9] = [
    "could be ",
    "might be ",
    "may be ",
    "could also be ",
    "might also be ",
    "may also be ",
    "could as well be ",
    "might as well be ",
    "may as well be ",
];

/// What is offered beside an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside<'a> {
    /// As it stands there.
    pub text: &'a str,
    /// Whether a word says that it is offered, so that any value in it counts; otherwise it stands after a comma, and
    /// counts where it is a value as a whole.
    pub offered: bool,
}

/// Whether a text has the word "or" in it.
pub(super) fn has_or(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic()).any(|word| OR.iter().any(|or| word.eq_ignore_ascii_case(or)))
}

/// The rest after one of the words.
fn after_word<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| {
        let head = text.get(..word.len()).filter(|head| head.eq_ignore_ascii_case(word))?;
        let rest = &text[head.len()..];
        let ends = !word.is_ascii() || !rest.starts_with(char::is_alphanumeric);
        ends.then_some(rest)
    })
}

/// The rest after the word "or".
pub(super) fn after_or(text: &str) -> Option<&str> {
    after_word(text, &OR)
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
pub(super) fn alternative(text: &str, statement: Range<usize>) -> Option<Beside<'_>> {
    following(&text[statement.end..])
        .or_else(|| preceding(&text[..statement.start]).map(|text| Beside { text, offered: true }))
}

/// The rest of the sentence, where there is any.
fn clause(text: &str) -> Option<&str> {
    let text = text.trim_start();
    Some(text[..sentence(text)].trim()).filter(|rest| !rest.is_empty())
}

fn following(after: &str) -> Option<Beside<'_>> {
    let offered = |text| Some(Beside { text: clause(text)?, offered: true });
    let mark = |c: char| c.is_whitespace() || "$\\)]}(*.,;?!>-–—".contains(c);
    let after = after.strip_prefix("</answer>").unwrap_or(after);
    let plain = after.trim_start_matches(mark);
    let plain = plain.strip_prefix("text{").unwrap_or(plain).trim_start_matches(mark);
    if let Some(rest) = after_or(plain).or_else(|| after_word(plain, &MAYBE)) {
        return offered(rest);
    }
    let closing = |c: char| c.is_whitespace() || "$\\)]}*".contains(c);
    let close = after.trim_start_matches(closing);
    if let Some(rest) = close.strip_prefix([',', ';', '，', '、', '/']) {
        let mut rest = rest.trim_start();
        for link in ["but", "and", "so"] {
            rest = after_word(rest, &[link]).map_or(rest, str::trim_start);
        }
        if let Some(rest) = after_or(rest).or_else(|| after_word(rest, &MAYBE)) {
            return offered(rest);
        }
        return Some(Beside { text: clause(rest)?, offered: false });
    }
    // "it might also be 6"
    let near = close.char_indices().nth(80).map_or(close, |(at, _)| &close[..at]);
    if let Some(end) = COULD.iter().find_map(|words| near.find(words).map(|at| at + words.len())) {
        return Some(Beside { text: clause(&close[end..])?, offered: false });
    }
    // "\boxed{5} dollars or 6 dollars"
    let mut rest = close;
    for _ in 0..3 {
        let word = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
        let next = rest[word..].trim_start_matches([' ', ',']);
        if word == 0 || crate::lexicon::changes(&rest[..word]) {
            break;
        }
        if let Some(rest) = after_or(next) {
            return offered(rest);
        }
        rest = next;
    }
    None
}

fn preceding(text: &str) -> Option<&str> {
    let lead = |c: char| c.is_whitespace() || "$\\([{*,".contains(c);
    let before = text.trim_end_matches(lead);
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
