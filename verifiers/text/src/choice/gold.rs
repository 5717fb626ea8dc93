//! The right choice of a problem, however its row writes it.

use super::letter;
use crate::answer::excerpt;
use rlvr_verdict::{Problem, ProblemError};
use serde::{Deserialize, Serialize};

/// Choices that a row which does not list them is taken to have: A to J.
const UNLISTED: usize = 10;
/// Letters there are.
const MOST: usize = 26;

/// Configuration of [`Choice`](super::Choice).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChoiceConfig {
    /// How rows write the right choice. Without it, whatever of a letter, a choice's text or an index from 0 fits; a row that
    /// fits two choices is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<GoldForm>,
}

/// How a row writes the right choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoldForm {
    /// `B`, also as `b`, `(B)`, `B.` or `B)`.
    Letter,
    /// The text of the choice.
    Text,
    /// Its index; the first is 0.
    Index,
    /// Its index; the first is 1.
    IndexFrom1,
}

/// How many choices a problem has.
pub(super) fn choice_count(problem: &Problem) -> usize {
    if problem.choices.is_empty() { UNLISTED } else { problem.choices.len() }
}

/// The index of the right choice, from 0.
///
/// # Errors
/// An answer that is missing, names no choice or may name two; more than 26 choices.
pub(super) fn gold(config: &ChoiceConfig, problem: &Problem) -> Result<usize, ProblemError> {
    let count = choice_count(problem);
    let last = letter(count - 1);
    let remedy = format!("give a letter from A to {last}, the text of a choice, or its index from 0");
    if count > MOST {
        let found = format!("lists {count} choices, more than there are letters");
        return Err(ProblemError::new("choices", found, "list at most 26"));
    }
    let Some(answer) = problem.answer.as_deref().map(str::trim).filter(|answer| !answer.is_empty()) else {
        return Err(ProblemError::new("answer", "is missing", remedy));
    };
    let wrong = |problem: String, remedy: &str| Err(ProblemError::new("answer", problem, remedy));
    let by_letter = letter_index(answer);
    let by_index = |first: usize| answer.parse::<usize>().ok()?.checked_sub(first);
    let by_text = text_index(&problem.choices, answer);
    let read = match config.answer {
        Some(GoldForm::Letter) => by_letter,
        Some(GoldForm::Index) => by_index(0),
        Some(GoldForm::IndexFrom1) => by_index(1),
        Some(GoldForm::Text) => by_text,
        None => {
            let inside = |read: Option<usize>| read.filter(|choice| *choice < count);
            let fitting = [inside(by_letter), by_text, inside(by_index(0))];
            let mut fitting = fitting.into_iter().flatten();
            let first = fitting.next();
            if let (Some(a), Some(b)) = (first, fitting.find(|other| Some(*other) != first)) {
                let found = format!("{answer:?} may mean choice {} or {}", letter(a), letter(b));
                return wrong(found, "set the verifier's `answer` to \"letter\", \"text\" or \"index\"");
            }
            first.or(by_letter).or(by_index(0))
        }
    };
    match read {
        Some(choice) if choice < count => Ok(choice),
        Some(_) => wrong(format!("{answer:?} is beyond {last}, the last of {count} choices"), &remedy),
        None => wrong(format!("{} is none of the {count} choices", excerpt(answer)), &remedy),
    }
}

fn letter_index(answer: &str) -> Option<usize> {
    let bare = answer.trim_start_matches(['(', '[']).trim_end_matches([')', ']', '.', ':']);
    match bare.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => Some((letter.to_ascii_uppercase() - b'A') as usize),
        _ => None,
    }
}

/// The only choice with this text: as it is written, or else without regard to case and white space.
fn text_index(choices: &[String], text: &str) -> Option<usize> {
    let only = |same: &dyn Fn(&str) -> bool| {
        let mut found = choices.iter().enumerate().filter(|(_, choice)| same(choice)).map(|(i, _)| i);
        found.next().filter(|_| found.next().is_none())
    };
    let folded = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let right = folded(text);
    only(&|choice| choice.trim() == text).or_else(|| only(&|choice| folded(choice) == right))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(choices: &[&str], answer: &str, form: Option<GoldForm>) -> Result<usize, String> {
        let choices = choices.iter().map(|c| c.to_string()).collect();
        let problem = Problem { answer: Some(answer.into()), choices, ..Problem::default() };
        gold(&ChoiceConfig { answer: form }, &problem).map_err(|e| e.to_string())
    }

    const CITIES: [&str; 4] = ["London", "Paris", "Rome", "New York"];

    #[test]
    fn a_letter_an_index_and_a_text_name_the_choice() {
        for answer in ["C", "c", "(C)", "C.", "C)", "[c]", "2", "Rome", "rome", " Rome "] {
            assert_eq!(read(&CITIES, answer, None), Ok(2), "{answer}");
        }
        assert_eq!(read(&CITIES, "new  york", None), Ok(3));
        assert_eq!(read(&CITIES, "3", Some(GoldForm::IndexFrom1)), Ok(2));
        assert_eq!(read(&[], "J", None), Ok(9));
    }

    #[test]
    fn an_answer_that_names_no_choice_is_refused_with_the_remedy() {
        for (answer, says) in [
            ("E", "\"E\" is beyond D, the last of 4 choices"),
            ("4", "\"4\" is beyond D"),
            ("Berlin", "\"Berlin\" is none of the 4 choices"),
            ("", "is missing"),
            ("-1", "none of the 4 choices"),
        ] {
            let error = read(&CITIES, answer, None).unwrap_err();
            assert!(error.contains(says) && error.contains("A to D"), "{answer}: {error}");
        }
        assert!(read(&CITIES, "0", Some(GoldForm::IndexFrom1)).is_err());
        assert!(read(&CITIES, "C", Some(GoldForm::Text)).is_err());
        assert!(read(&["same", "same"], "same", None).is_err());
        assert!(read(&["x"; 27], "A", None).unwrap_err().contains("27 choices"));
    }

    #[test]
    fn an_answer_that_may_mean_two_choices_is_refused_unless_the_form_is_given() {
        let error = read(&["3", "4", "5", "6"], "3", None).unwrap_err();
        assert!(error.contains("may mean choice A or D") && error.contains("`answer`"), "{error}");
        assert_eq!(read(&["3", "4", "5", "6"], "3", Some(GoldForm::Text)), Ok(0));
        assert_eq!(read(&["3", "4", "5", "6"], "3", Some(GoldForm::Index)), Ok(3));
        assert!(read(&["B", "A"], "A", None).is_err());
        assert_eq!(read(&["0", "1", "2", "3"], "3", None), Ok(3), "both readings agree");
    }
}
