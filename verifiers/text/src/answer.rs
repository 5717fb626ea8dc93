//! Which part of a completion is its answer, and how parts of it are quoted in reasons.

use rlvr_verdict::{Completion, Verdict};

/// Bytes of a text that `exact`, `regex` and `format` judge at most, some 60,000 tokens of prose: what is longer fails.
pub const SCANNED: usize = 256 * 1024;

/// The text after the last `</think>`, trimmed; all of it where there is none.
///
/// # Errors
/// An unparseable verdict that says why there is no answer: the text is blank, or ends while still thinking.
pub(crate) fn answer(completion: &Completion) -> Result<&str, Verdict> {
    match completion.answer_text().trim() {
        "" if completion.text.trim().is_empty() => Err(Verdict::unparseable("the completion is empty")),
        "" => Err(Verdict::unparseable("all of the completion is thinking: no answer after it")),
        answer => Ok(answer),
    }
}

/// The text, unless it is longer than what is judged.
///
/// # Errors
/// A failed verdict that names the limit.
pub(crate) fn scannable(text: &str) -> Result<&str, Verdict> {
    if text.len() > SCANNED {
        let length = text.len();
        return Err(Verdict::fail(format!("is {length} bytes long; at most {SCANNED} are judged")));
    }
    Ok(text)
}

/// The last `bytes` bytes of a text, or somewhat less so as to begin with a whole word.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    let Some(mut from) = text.len().checked_sub(bytes).filter(|from| *from > 0) else { return text };
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let tail = &text[from..];
    tail.find(char::is_whitespace).map_or(tail, |space| &tail[space..])
}

/// A quoted piece of text for a reason: one line, its first 60 characters.
pub(crate) fn excerpt(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !c.is_control()).take(61));
        if line.len() > 61 * 4 {
            break;
        }
    }
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("\"{}...\"", &line[..end]),
        None => format!("\"{line}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_without_an_answer_is_unparseable() {
        assert_eq!(answer(&Completion::new("<think>a</think>\n c ")), Ok("c"));
        for none in ["", " \n", "<think>B", "x</think>", "a</think> b <think> c"] {
            let verdict = answer(&Completion::new(none)).unwrap_err();
            assert_eq!(verdict.outcome, rlvr_verdict::Outcome::Unparseable, "{none:?}");
        }
    }

    #[test]
    fn a_tail_begins_with_a_whole_word_and_character() {
        assert_eq!(tail("abc def", 5), " def");
        assert_eq!(tail("ääää", 3), "ä");
        assert_eq!(tail("abc", 3), "abc");
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt("a\n\tb\u{7}"), "\"a b\"");
        let long = "wörd ".repeat(100_000);
        assert_eq!(excerpt(&long).chars().count(), 65);
        assert_eq!(excerpt(&"x".repeat(1_000_000)).len(), 65);
    }
}
