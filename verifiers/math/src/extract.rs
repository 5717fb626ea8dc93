//! Where a completion states its final answer.
//!
//! The first rule that finds an answer decides, also when the answer found cannot be read: a completion that
//! puts `\boxed{6}` after "the answer is 5" has answered 6. An answer that is offered together with another
//! one ("5 or 6") comes with its alternative, so that the verifier can refuse to choose for the completion.

use crate::limits::ANSWER_BYTES;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

/// A place where a final answer may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The last complete `\boxed{...}` or `\fbox{...}`. Boxes joined by "and", "or" or commas are one answer.
    Boxed,
    /// What follows the last `####` on its line.
    Hashes,
    /// What follows the last "answer is", "answer:" or "answer =" in its sentence.
    Phrase,
    /// The whole text, if it is one number or expression, or a few words.
    Whole,
    /// The last number anywhere. Not among the defaults: it reads answers from completions that state none.
    LastNumber,
}

impl Rule {
    /// The rules of the policy `auto`, in order.
    pub const AUTO: [Rule; 4] = [Rule::Boxed, Rule::Hashes, Rule::Phrase, Rule::Whole];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Boxed => "boxed",
            Rule::Hashes => "after ####",
            Rule::Phrase => "after \"answer\"",
            Rule::Whole => "the whole text",
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
    pub alternative: Option<&'a str>,
    /// Whether the text ends with the answer and nothing marks its end: if the text was cut off, so may be
    /// the answer.
    pub open_end: bool,
}

/// The part of a completion in which an answer counts: after the last `</think>`, without marks of the end of
/// a turn. None where a `<think>` is not closed.
pub fn answer_part(text: &str) -> Option<&str> {
    let part = text.rfind("</think>").map_or(text, |at| &text[at + "</think>".len()..]);
    if part.contains("<think>") { None } else { Some(without_end_marks(part)) }
}

fn without_end_marks(mut text: &str) -> &str {
    loop {
        let end = text.trim_end();
        let cut = if let Some(rest) = end.strip_suffix("|>") {
            rest.rfind("<|").filter(|at| rest.len() - at <= 40)
        } else {
            let mark = ["</s>", "<eos>", "<end_of_turn>"].iter().find(|m| end.ends_with(**m));
            mark.map(|m| end.len() - m.len())
        };
        match cut {
            Some(at) => text = &text[..at],
            None => return text,
        }
    }
}

/// The final answer by the first of the rules that finds one.
pub fn extract<'a>(text: &'a str, rules: &[Rule]) -> Option<Extracted<'a>> {
    rules.iter().find_map(|rule| match rule {
        Rule::Boxed => boxed(text),
        Rule::Hashes => hashes(text),
        Rule::Phrase => phrase(text),
        Rule::Whole => whole(text),
        Rule::LastNumber => last_number(text),
    })
}

/// An answer that ends where its range ends, with the alternatives around it.
fn at<'a>(text: &'a str, rule: Rule, statement: Range<usize>, answer: Range<usize>) -> Extracted<'a> {
    Extracted {
        rule,
        text: Cow::Borrowed(&text[answer.clone()]),
        alternative: alternative(text, statement),
        open_end: text[answer.end..].trim_end_matches([' ', '.', ',']).is_empty(),
    }
}

/// A complete box: all of it, and what is inside.
struct Framed {
    outer: Range<usize>,
    inner: Range<usize>,
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
                let name = ["boxed", "fbox"].iter().find(|n| bytes[i + 1..].starts_with(n.as_bytes()));
                let after = i + 1 + name.map_or(0, |n| n.len());
                let blank = bytes[after..].iter().take_while(|b| **b == b' ').count();
                if name.is_some() && bytes.get(after + blank) == Some(&b'{') {
                    depth += 1;
                    open.push((depth, i, after + blank + 1));
                    i = after + blank + 1;
                    continue;
                }
                // an escaped brace is no group; in `\\boxed` the second backslash is the command's
                let escaped = matches!(bytes.get(i + 1), Some(b'{' | b'}'));
                let line_break = bytes.get(i + 1) == Some(&b'\\') && !bytes[i + 2..].starts_with(b"boxed");
                i += if escaped || line_break { 2 } else { 1 };
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

fn boxed(text: &str) -> Option<Extracted<'_>> {
    let found = boxes(text);
    let last = found.last()?;
    let mut items = vec![last];
    let mut chosen = false;
    for pair in found.windows(2).rev() {
        let Some(either) = connective(&text[pair[0].outer.end..pair[1].outer.start]) else { break };
        chosen |= either;
        items.push(&pair[0]);
    }
    let first = items[items.len() - 1].outer.start;
    let mut extracted = at(text, Rule::Boxed, first..last.outer.end, last.inner.clone());
    extracted.open_end = false;
    let content = |b: &&Framed| text[b.inner.clone()].trim();
    if items.iter().any(|b| content(b) != content(&last)) {
        let parts: Vec<&str> = items.iter().rev().map(content).collect();
        extracted.text = Cow::Owned(parts.join(if chosen { " or " } else { ", " }));
    }
    Some(extracted)
}

/// Whether the text between two answers joins them; and if so, whether by a choice.
fn connective(gap: &str) -> Option<bool> {
    if gap.len() > 80 {
        return None;
    }
    let mut joined = gap.contains([',', ';', '/']);
    let mut choice = false;
    for word in gap.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty()) {
        match word.to_lowercase().as_str() {
            "or" => (joined, choice) = (true, true),
            "and" => joined = true,
            "quad" | "qquad" | "text" | "mbox" | "mathrm" | "textbf" | "either" | "maybe" | "perhaps"
            | "possibly" | "also" | "else" => {}
            _ => return None,
        }
    }
    let marks = |c: char| c.is_alphabetic() || c.is_whitespace() || "$\\()[]{},;/*".contains(c);
    (joined && gap.chars().all(marks)).then_some(choice)
}

fn hashes(text: &str) -> Option<Extracted<'_>> {
    let start = text.rfind("####")? + 4;
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let rest = text[start..end].trim_start_matches('#');
    let line = trimmed(text, end - rest.len()..end);
    if line.is_empty() || !short(&text[line.clone()]) {
        return None;
    }
    Some(at(text, Rule::Hashes, start - 4..line.end, line))
}

static PHRASE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(?i)\b(?:the\s+)?(?:(?:final|correct|right)\s+)?answers?(?:\*\*|__)?\s*(?:(?:is|are)\b\s*:?|:|=|：)";
    Regex::new(pattern).ok()
});

fn phrase(text: &str) -> Option<Extracted<'_>> {
    let said = PHRASE.as_ref()?.find_iter(text).last()?;
    let rest = &text[said.end()..];
    let start = said.end() + rest.len()
        - rest.trim_start_matches(|c: char| c.is_whitespace() || ":*_".contains(c)).len();
    let rest = &text[start..];
    for (open, close) in [("$$", "$$"), ("\\[", "\\]")] {
        if let Some(end) = rest.strip_prefix(open).and_then(|r| r.find(close)) {
            let answer = trimmed(text, start + open.len()..start + open.len() + end);
            let mut extracted = at(text, Rule::Phrase, said.start()..start + 2 * open.len() + end, answer);
            extracted.open_end = false;
            return Some(extracted);
        }
    }
    let end = start + sentence(rest).min(clause(rest));
    let answer = trimmed(text, start..end);
    (!answer.is_empty()).then(|| at(text, Rule::Phrase, said.start()..answer.end, answer))
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    start..start + part.trim().len()
}

/// Length of the sentence at the start: to the end of the line, or to a full stop before a space.
fn sentence(text: &str) -> usize {
    let line = text.find('\n').unwrap_or(text.len());
    let stop = text[..line]
        .char_indices()
        .find(|&(i, c)| match c {
            '。' => true,
            '.' | '?' => i + 1 == line || text[i + 1..].starts_with(char::is_whitespace),
            _ => false,
        })
        .map(|(i, _)| i);
    stop.unwrap_or(line)
}

/// Length of what stands before the first word that opens a reason or a remark, and its comma.
fn clause(text: &str) -> usize {
    const OPENERS: [&str; 8] = ["because", "since", "which", "where", "as", "so", "thus", "therefore"];
    let line = &text[..text.find('\n').unwrap_or(text.len())];
    let mut at = 0;
    for word in line.split_inclusive(' ') {
        if at > 0 && OPENERS.contains(&word.trim_end()) {
            return at;
        }
        at += word.len();
    }
    line.len()
}

fn whole(text: &str) -> Option<Extracted<'_>> {
    let range = trimmed(text, 0..text.len());
    let part = &text[range.clone()];
    if part.is_empty() || part.len() > ANSWER_BYTES || !short(part) {
        return None;
    }
    let display = part.starts_with("$$") || part.starts_with("\\[");
    // "The answer is" alone has been left without one
    let announced = PHRASE.as_ref().is_some_and(|p| p.is_match(part));
    if (part.contains('\n') && !display) || announced {
        return None;
    }
    Some(at(text, Rule::Whole, range.clone(), range))
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

static NUMBER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[-−]?\$?(?:\d[\d,]*\d|\d)(?:\.\d+)?(?:/\d+)?%?|\.\d+").ok());

fn last_number(text: &str) -> Option<Extracted<'_>> {
    let number = NUMBER.as_ref()?.find_iter(text).last()?;
    let (start, end) = (number.start(), number.end());
    // in `10-5` the minus is no sign
    if text[..start].ends_with(|c: char| c.is_alphanumeric() || c == ')') {
        return None;
    }
    // a piece of something longer is no number of its own
    let operator = |c: char| c.is_alphanumeric() || "+*/^_{}\\×÷·!(<>".contains(c);
    let joined = text[..start].trim_end().chars().next_back().is_some_and(|c| "+*/^_{\\×÷·-−".contains(c))
        || text[end..].chars().next().is_some_and(operator)
        || text[end..].trim_start().starts_with(['+', '/', '^', '×', '÷', '·', '=']);
    (!joined).then(|| at(text, Rule::LastNumber, start..end, start..end))
}

/// What is offered beside a statement: "... or 6" after it, or "5 or ..." before it.
fn alternative(text: &str, statement: Range<usize>) -> Option<&str> {
    let mark = |c: char| c.is_whitespace() || "$\\)]}(*.,;".contains(c);
    let after = text[statement.end..].trim_start_matches(mark);
    if let Some(rest) = word_or(after) {
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
    let line = line.trim_end_matches(lead);
    let cut = line.len().checked_sub(2).filter(|at| line.is_char_boundary(*at))?;
    let or = line[cut..].eq_ignore_ascii_case("or") && !line[..cut].ends_with(char::is_alphanumeric);
    if !or {
        return None;
    }
    let rival = &line[..cut];
    let number = NUMBER.as_ref()?.find_iter(rival).last().map(|m| m.as_str());
    number.or_else(|| rival.split_whitespace().last())
}

/// The rest after the word "or".
fn word_or(text: &str) -> Option<&str> {
    let head = text.get(..2).filter(|head| head.eq_ignore_ascii_case("or"))?;
    let rest = &text[head.len()..];
    (!rest.starts_with(char::is_alphanumeric)).then_some(rest)
}

/// The first number in a text, as written.
pub(crate) fn first_number(text: &str) -> Option<&str> {
    NUMBER.as_ref()?.find(text).map(|m| m.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn auto(text: &str) -> Option<(Rule, String)> {
        extract(answer_part(text)?, &Rule::AUTO).map(|e| (e.rule, e.text.into_owned()))
    }

    fn text(text: &str) -> String {
        auto(text).map_or_else(|| "nothing".into(), |(_, t)| t)
    }

    #[test]
    fn the_last_complete_box_is_the_answer_whatever_is_nested_in_it() {
        assert_eq!(text(r"\boxed{1} so \boxed{\frac{1}{2}} and so on"), r"\frac{1}{2}");
        assert_eq!(text(r"\fbox{7} then \boxed{8"), "7");
        assert_eq!(text(r"\boxed{\{1,2\}}"), r"\{1,2\}");
        assert_eq!(text(r"\boxed {3}"), "3");
        assert_eq!(text(r"{ open \boxed{\boxed{3}}"), r"\boxed{3}");
        assert_eq!(text(r"\\boxed{4}"), "4");
        assert_eq!(text(&r"\boxed{".repeat(100_000)), "nothing");
    }

    #[test]
    fn boxes_that_are_joined_are_one_answer() {
        assert_eq!(text(r"$\boxed{5}$ or $\boxed{6}$"), "5 or 6");
        assert_eq!(text(r"\boxed{1}, \boxed{2} \text{ and } \boxed{3}"), "1, 2, 3");
        assert_eq!(text(r"\boxed{5}, that is \boxed{5}"), "5");
        assert_eq!(text(r"\boxed{5}. No, \boxed{6}"), "6");
    }

    #[test]
    fn each_rule_finds_its_answer() {
        for (completion, rule, answer) in [
            ("16 - 7 = 9\n#### 18", Rule::Hashes, "18"),
            ("#### 18\nNext question:", Rule::Hashes, "18"),
            ("So the answer is 18.", Rule::Phrase, "18"),
            ("The answer is 3.5. Done", Rule::Phrase, "3.5"),
            ("Final Answer: **73**", Rule::Phrase, "73**"),
            ("**Answer:**\n\n42\n", Rule::Phrase, "42"),
            ("The final answer is\n$$\n42\n$$\nas asked", Rule::Phrase, "42"),
            ("The answer is 5 because 2 + 3 = 5", Rule::Phrase, "5 "),
            ("Answer: 41 was a wrong guess.\nAnswer: 42", Rule::Phrase, "42"),
            (" 1/2 ", Rule::Whole, "1/2"),
            ("42<|im_end|>", Rule::Whole, "42"),
            (r"2\sqrt{2}", Rule::Whole, r"2\sqrt{2}"),
        ] {
            let (found, text) = auto(completion).unwrap();
            assert_eq!((found, text.trim()), (rule, answer.trim()), "{completion}");
        }
        for prose in ["I do not know 5 of these", "It may well be 5", "", "a\nb"] {
            assert_eq!(auto(prose), None, "{prose}");
        }
    }

    #[test]
    fn an_answer_in_the_thinking_does_not_count() {
        assert_eq!(text(r"<think>\boxed{42}</think>"), "nothing");
        assert_eq!(text(r"<think>\boxed{42}"), "nothing");
        assert_eq!(text(r"so 7 it is</think>\boxed{42}"), "42");
    }

    #[test]
    fn alternatives_beside_an_answer_are_seen() {
        let beside = |text| extract(text, &Rule::AUTO).and_then(|e| e.alternative);
        assert_eq!(beside(r"$\boxed{5}$ or maybe 6."), Some("maybe 6"));
        assert_eq!(beside(r"It is 5 or $\boxed{6}$"), Some("5"));
        assert_eq!(beside(r"x = 5 or x = \boxed{6}"), Some("5"));
        assert_eq!(beside("The answer is 5. Or 6."), Some("6"));
        assert_eq!(beside("The answer is 5 or the answer is 6."), Some("5"));
        let last = extract("it is 5 or 6", &[Rule::LastNumber]).unwrap();
        assert_eq!((last.text.as_ref(), last.alternative), ("6", Some("5")));
        assert_eq!(beside(r"It is odd or even; so \boxed{6}"), None);
    }

    #[test]
    fn the_last_number_is_no_piece_of_an_expression() {
        let last = |text| extract(text, &[Rule::LastNumber]).map(|e| e.text.into_owned());
        assert_eq!(last("so she has 1,234.5 dollars"), Some("1,234.5".into()));
        assert_eq!(last("it is -5."), Some("-5".into()));
        for text in ["10-5", r"\frac{1}{2}", "x^2", "3 + 4", "2x", "x2", "none", "5!"] {
            assert_eq!(last(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn extraction_never_panics(text in r"(\PC|[\\{}$#*. \n0-9]|\\boxed\{|</?think>| or |answer is |####){0,80}") {
            let rules = [Rule::Boxed, Rule::Hashes, Rule::Phrase, Rule::Whole, Rule::LastNumber];
            for rule in rules {
                let _ = answer_part(&text).and_then(|part| extract(part, &[rule]));
            }
        }
    }
}
