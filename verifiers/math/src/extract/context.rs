//! What stands right beside a box and makes its content no answer by itself: a sign, an operator, a "not", a question
//! mark.

use std::ops::Range;

/// Bytes on either side that are looked at.
const NEAR: usize = 80;

const PART: &str = "it is part of a larger formula";
const DENIED: &str = "it is said not to be the answer";

/// Why what is in a box is no answer by itself, if it is none.
pub(super) fn objection(text: &str, framed: Range<usize>) -> Option<&'static str> {
    before(near_end(&text[..framed.start])).or_else(|| after(near_start(&text[framed.end..])))
}

fn near_end(text: &str) -> &str {
    let mut start = text.len().saturating_sub(NEAR);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

fn near_start(text: &str) -> &str {
    let mut end = text.len().min(NEAR);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Operators and relations that make what follows or precedes a part, other than signs.
const OPERATORS: [&str; 25] = [
    "\\neq", "\\ne", "≠", "\\not=", "\\pm", "\\mp", "±", "\\cdot", "\\times", "\\div", "×", "·", "÷",
    "\\leq", "\\le", "\\geq", "\\ge", "≤", "≥", "\\lt", "\\gt", "\\sqrt", "^", "_", "/",
];

fn before(text: &str) -> Option<&'static str> {
    let mut rest = text;
    let (mut spaced, mut marked) = (false, false);
    loop {
        let length = rest.len();
        rest = rest.trim_end();
        spaced |= rest.len() < length;
        for mark in ["**", "__", "\\(", "\\[", "\\displaystyle", "\\,", "\\;", "\\ ", "$", "{", "("] {
            if let Some(head) = rest.strip_suffix(mark) {
                (rest, marked) = (head, true);
            }
        }
        if rest.len() == length {
            break;
        }
    }
    let line_start =
        |head: &str| head.trim_end_matches([' ', '\t']).ends_with('\n') || head.trim().is_empty();
    if OPERATORS.iter().any(|operator| rest.ends_with(operator)) {
        return Some(PART);
    }
    let last = rest.chars().next_back()?;
    let head = &rest[..rest.len() - last.len_utf8()];
    let previous = head.trim_end_matches([' ', '$']).chars().next_back();
    let joins = |c: char| c.is_ascii_digit() || "=()+*/<>^".contains(c);
    let part = match last {
        '-' | '−' if line_start(head) => !spaced,
        '-' | '−' => !spaced || previous.is_some_and(joins),
        '+' => !line_start(head) && previous.is_some_and(|c| c.is_ascii_alphanumeric() || c == ')'),
        '*' => previous.is_some_and(|c| c.is_ascii_alphanumeric() || c == ')') && !line_start(head),
        '<' => true,
        // an arrow, a tag or a quotation mark of Markdown
        '>' => !line_start(head) && !head.ends_with(['-', '=']) && !head.contains('<'),
        c if c.is_ascii_digit() => !spaced && !marked,
        c if c.is_ascii_alphabetic() && !spaced && !marked => {
            !head.ends_with(|c: char| c.is_ascii_alphabetic() || c == '\\')
        }
        _ => false,
    };
    if part {
        return Some(PART);
    }
    denied_before(rest).then_some(DENIED)
}

/// Whether a text ends in words that deny what follows.
fn denied_before(text: &str) -> bool {
    let lower = near_end(text).to_lowercase().replace('’', "'");
    let lower = lower.trim_end_matches(|c: char| c.is_whitespace() || "=:".contains(c));
    let denial = |end: &str| {
        let words = [
            "not", "never", "isn't", "isnt", "cannot", "nor", "neither", "except", "unlike", "wasn't", "n't",
        ];
        words.iter().any(|word| {
            end.strip_suffix(word)
                .is_some_and(|head| *word == "n't" || !head.ends_with(|c: char| c.is_alphabetic()))
        })
    };
    if ["instead of", "rather than", "anything but", "other than"].iter().any(|words| lower.ends_with(words))
    {
        return true;
    }
    let mut rest = lower;
    for link in ["to", "equal", "equals", "be", "the answer", "exactly"] {
        rest = rest.strip_suffix(link).map_or(rest, str::trim_end);
    }
    denial(lower) || denial(rest)
}

fn after(text: &str) -> Option<&'static str> {
    let mut rest = text;
    let (mut spaced, mut marked) = (false, false);
    loop {
        let length = rest.len();
        rest = rest.trim_start();
        spaced |= rest.len() < length;
        for mark in ["**", "__", "\\)", "\\]", "\\,", "\\;", "\\ ", "$", "}", ")"] {
            if let Some(tail) = rest.strip_prefix(mark) {
                (rest, marked) = (tail, true);
            }
        }
        if rest.len() == length {
            break;
        }
    }
    let command =
        |name: &str| !name.starts_with('\\') || !rest[name.len()..].starts_with(char::is_alphabetic);
    let degrees = ["^\\circ", "^{\\circ}", "^°"].iter().any(|sign| rest.starts_with(sign));
    if degrees {
        return None;
    }
    if OPERATORS.iter().any(|operator| *operator != "/" && rest.starts_with(operator) && command(operator)) {
        return Some(PART);
    }
    let first = rest.chars().next()?;
    let tail = rest[first.len_utf8()..].trim_start_matches([' ', '$', '(']);
    let value = tail.starts_with(|c: char| c.is_ascii_digit() || c == '\\');
    let part = match first {
        '?' | '？' | '؟' => return Some("it is asked and not stated"),
        '+' | '/' => value || letter_alone(tail),
        '-' | '−' => value || !spaced && !marked && letter_alone(tail),
        '*' => value,
        '<' => tail.starts_with(|c: char| c.is_ascii_digit() || c == '='),
        '>' => tail.starts_with(|c: char| c.is_ascii_digit() || c == '='),
        c if c.is_ascii_digit() => !spaced,
        c if c.is_ascii_alphabetic() => {
            !spaced && !marked && letter_alone(rest) && !crate::units::is_known(&rest[..1])
        }
        _ => false,
    };
    if part {
        return Some(PART);
    }
    let lower = rest.to_lowercase().replace('’', "'");
    let mut words = lower.split(|c: char| !c.is_alphabetic() && c != '\'').filter(|w| !w.is_empty());
    let opens = matches!(
        words.next(),
        Some(
            "is" | "was"
                | "would"
                | "cannot"
                | "can't"
                | "isn't"
                | "seems"
                | "must"
                | "fails"
                | "contradicts"
        )
    );
    let sentence = lower.find(['.', '!', '?', '\n']).map_or(lower.as_str(), |at| &lower[..at]);
    let back = ["not", "wrong", "incorrect", "false", "impossible", "invalid", "isn't", "cannot", "can't"];
    let first_words =
        sentence.split(|c: char| !c.is_alphabetic() && c != '\'').filter(|w| !w.is_empty()).take(3);
    (opens
        && first_words
            .into_iter()
            .any(|word| back.contains(&word) || matches!(word, "fails" | "contradicts")))
    .then_some(DENIED)
}

/// Whether a text begins with a single letter.
fn letter_alone(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && !letters.next().is_some_and(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<&'static str> {
        let start = text.find("\\boxed").unwrap();
        objection(text, start..start + text[start..].find('}').unwrap() + 1)
    }

    #[test]
    fn a_box_within_a_formula_or_a_denial_is_no_answer() {
        for text in [
            r"x = -\boxed{5}",
            r"-\boxed{5}",
            r"$x \neq \boxed{5}$",
            r"It is not \boxed{5}",
            r"The answer is 6, not $\boxed{5}$.",
            r"cannot be equal to \boxed{5}",
            r"\boxed{5} \pm 1",
            r"$10\boxed{5}$",
            r"$\boxed{5}x$",
            r"$\boxed{5}^2$",
            r"$2 + \boxed{5}$",
            r"$\boxed{5} + 1$",
            r"\boxed{5} / 6",
            r"\boxed{5}? No, it is 6",
            r"\boxed{5} is wrong.",
            r"\boxed{5}0",
        ] {
            assert!(of(text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_box_in_prose_is_an_answer() {
        for text in [
            r"x = \boxed{5}",
            r"- \boxed{5}",
            r"Answer - \boxed{5}",
            r"**\boxed{5}**",
            r"* \boxed{5}",
            r"part 2: \boxed{5}",
            r"<answer>\boxed{5}</answer>",
            r"x => \boxed{5}",
            r"$\boxed{5}^\circ$",
            r"\boxed{5}cm",
            r"\boxed{5}.",
            r"\boxed{5}!",
            r"\boxed{5}\%",
            r"\boxed{5} - as was to be shown",
            r"\boxed{5} is the answer",
            r"\boxed{5}<|im_end|>",
            r"It is not 4 but \boxed{5}",
            r"a knot is \boxed{5}",
            r"$\therefore\boxed{5}$",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
