//! The value in what is offered beside an answer.

use super::hedge::Beside;
use super::last::first_number;
use crate::reading::{Reading, has_words, read};
use crate::tree::Expr;
use crate::words::numeral;

/// Words between "or" and what it offers.
const LEADS: &str = "maybe perhaps possibly even equivalently simply just also it this that the is are be was could might may should would answer \
    final value x y n about approximately roughly around rather say in other words actually as written";

/// Words after "or" that make the answer a bound.
const BOUNDS: [&str; 12] = [
    "more", "less", "fewer", "greater", "higher", "lower", "larger", "smaller", "above", "below", "over",
    "under",
];

/// What is offered, read; none where it is no value. Where the answer is words, words are offered.
pub(crate) fn offered(beside: &Beside<'_>, answer_is_words: bool) -> Option<Reading> {
    let text = without_leads(beside.text);
    let value =
        |text: &str| read(text).ok().filter(|reading| !has_words(&reading.expr) && !open(&reading.expr));
    if !beside.offered {
        return value(text).filter(|reading| crate::equal::is_number(&reading.expr));
    }
    let first = crate::lexicon::words(text).next().unwrap_or_default();
    if text.starts_with(first) && BOUNDS.contains(&first) {
        return read(first).ok();
    }
    if answer_is_words {
        return read(text).ok();
    }
    match read(text) {
        // an equation that is still to be solved is no answer, and its numbers are none either
        Ok(reading) if open(&reading.expr) => return None,
        Ok(reading) if !reading.is_words() => return Some(reading),
        _ => {}
    }
    for (open, close) in [("$", "$"), ("\\(", "\\)"), ("\\boxed{", "}")] {
        if let Some((inner, _)) = text.strip_prefix(open).and_then(|rest| rest.split_once(close)) {
            return read(inner).ok().filter(|reading| !self::open(&reading.expr));
        }
    }
    first_number(text).and_then(value).or_else(|| {
        let words: Vec<&str> = crate::lexicon::words(text).collect();
        let named = words.iter().enumerate().find(|(i, word)| {
            // "one" is a number where nothing follows it
            numeral(&word.to_lowercase()).is_some()
                && (!word.eq_ignore_ascii_case("one") || i + 1 == words.len())
        });
        named.and_then(|(_, word)| read(word).ok())
    })
}

/// Whether it is an equation that is still to be solved, which is no answer.
fn open(expr: &Expr) -> bool {
    matches!(expr, Expr::Relation(..)) && !crate::equal::says_a_value(expr)
}

fn without_leads(text: &str) -> &str {
    let mut rest = text.trim();
    loop {
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let word = rest[..end].to_lowercase();
        let lead = end > 0 && LEADS.split_whitespace().any(|lead| lead == word);
        let after = rest[end..].trim_start_matches([' ', ',', ':', '*', '(', '=']);
        if !lead || after.is_empty() || end == 1 && !rest[end..].trim_start().starts_with('=') {
            return rest.trim_matches(['*', ' ']);
        }
        rest = after;
    }
}
