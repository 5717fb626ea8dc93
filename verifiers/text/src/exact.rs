//! Passes answers that are the problem's answer, character for character up to what the configuration forgives.

use crate::answer::{answer, excerpt, scannable};
use rlvr_verdict::{Attack, Completion, Judges, Problem, ProblemError, Step, Verdict, Verifier};
use serde::{Deserialize, Serialize};

/// Configuration of [`Exact`]: what is forgiven, in the completion and in the problem's answer alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExactConfig {
    /// Upper and lower case.
    pub case: Case,
    /// White space.
    pub whitespace: Whitespace,
    /// Whether closing punctuation (`. , ; : ? !`, but no `!` after a digit, which is a factorial) and paired quotes or marks
    /// around the whole (`"x"`, `'x'`, `` `x` ``, `*x*`, `_x_`) are taken off. Signs, brackets and units stay: `-5` is not `5`.
    pub strip_punctuation: bool,
}

/// How case is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Case {
    /// `Paris` is not `paris`.
    #[default]
    Sensitive,
    /// Both sides in Unicode lower case.
    Ignore,
}

/// How white space is compared. That around the answer never counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whitespace {
    /// Within the answer, as it is.
    #[default]
    Keep,
    /// Each run within the answer is one space.
    Collapse,
    /// None is compared.
    Remove,
}

/// The verifier `exact`. Characters are compared as they are encoded; composed and decomposed accents differ.
#[derive(Clone, Copy, Debug)]
pub struct Exact {
    config: ExactConfig,
}

impl Exact {
    /// A verifier with this configuration.
    pub fn new(config: ExactConfig) -> Self {
        Exact { config }
    }

    fn normalised(&self, text: &str) -> String {
        let text = text.trim();
        let text = if self.config.strip_punctuation { stripped(text) } else { text };
        let text = match self.config.whitespace {
            Whitespace::Keep => text.to_owned(),
            Whitespace::Collapse => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Whitespace::Remove => text.split_whitespace().collect(),
        };
        if self.config.case == Case::Ignore { text.to_lowercase() } else { text }
    }
}

/// Without closing punctuation and paired marks, as often as there are any.
fn stripped(text: &str) -> &str {
    const PAIRS: [(char, char); 7] =
        [('"', '"'), ('\'', '\''), ('`', '`'), ('*', '*'), ('_', '_'), ('“', '”'), ('‘', '’')];
    let mut text = text;
    loop {
        let mut shorter = text.trim_end_matches(['.', ',', ';', ':', '?']);
        if let Some(before) = shorter.strip_suffix('!').filter(|b| !b.ends_with(|c: char| c.is_ascii_digit()))
        {
            shorter = before;
        }
        for (open, close) in PAIRS {
            let inner = shorter.strip_prefix(open).and_then(|t| t.strip_suffix(close));
            shorter = inner.unwrap_or(shorter);
        }
        shorter = shorter.trim();
        if shorter.len() == text.len() {
            return text;
        }
        text = shorter;
    }
}

impl Verifier for Exact {
    fn name(&self) -> &str {
        "exact"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        let Some(gold) = &problem.answer else {
            return Err(ProblemError::new("answer", "is missing", "give the text to compare with"));
        };
        if self.normalised(gold).is_empty() {
            let problem = format!("is {gold:?}, which leaves nothing to compare");
            return Err(ProblemError::new("answer", problem, "give a text that is more than punctuation"));
        }
        let too_long = |verdict: Verdict| ProblemError::new("answer", verdict.reason, "give a shorter one");
        scannable(gold).map(drop).map_err(too_long)
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        let Some(gold) = &problem.answer else {
            return Verdict::fault("the problem has no answer to compare with");
        };
        let answer = match answer(completion).and_then(scannable) {
            Ok(answer) => answer,
            Err(verdict) => return verdict,
        };
        let (read, right) = (self.normalised(answer), self.normalised(gold));
        if read.is_empty() {
            Verdict::unparseable(format!("read {}, which leaves nothing to compare", excerpt(answer)))
        } else if read == right {
            Verdict::pass(format!("read {}, which is the answer", excerpt(answer))).with_answer(read)
        } else {
            let reason = format!("read {}, but the answer is {}", excerpt(answer), excerpt(gold));
            Verdict::fail(reason).with_answer(read)
        }
    }
    fn judges(&self) -> Judges {
        Judges::Answer
    }

    fn attacks(&self, problem: &Problem) -> Vec<Attack> {
        let Some(gold) = &problem.answer else { return Vec::new() };
        let wrong = |text: String| Attack::no_pass("beside-the-answer", text);
        vec![
            wrong(format!("{gold} {gold}")),
            wrong(format!("{gold}, that is it")),
            wrong(format!("not {gold}")),
            wrong(format!("<answer>{gold}</answer>")),
            wrong(format!("{gold}\0x")),
        ]
    }

    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        let gold = problem.answer.as_deref().unwrap_or_default();
        let gold = Step::note("gold, in normal form", excerpt(&self.normalised(gold)));
        let read = match answer(completion).and_then(scannable) {
            Ok(text) => {
                let read = excerpt(&self.normalised(text));
                vec![Step::rule("answer part", true, excerpt(text)), Step::note("in normal form", read)]
            }
            Err(verdict) => vec![Step::rule("answer part", false, verdict.reason)],
        };
        [vec![gold], read].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlvr_verdict::Outcome;

    fn outcome(config: &str, gold: &str, text: &str) -> Outcome {
        let exact = Exact::new(serde_json::from_str(config).unwrap());
        let problem = Problem { answer: Some(gold.into()), ..Problem::default() };
        exact.check(&problem).unwrap();
        exact.verify(&problem, &Completion::new(text)).outcome
    }

    #[test]
    fn nothing_but_surrounding_space_is_forgiven_by_default() {
        assert_eq!(outcome("{}", "Paris", " Paris\n"), Outcome::Pass);
        assert_eq!(outcome("{}", "Paris", "<think>Rome?</think>Paris"), Outcome::Pass);
        for wrong in ["paris", "Paris.", "Pa ris", "Paris, France", "I say Paris", "Rome"] {
            assert_eq!(outcome("{}", "Paris", wrong), Outcome::Fail, "{wrong}");
        }
        assert_eq!(outcome("{}", "Paris", "  "), Outcome::Unparseable);
        assert_eq!(outcome("{}", "Paris", "<think>Paris"), Outcome::Unparseable);
    }

    #[test]
    fn case_and_white_space_are_forgiven_on_request() {
        assert_eq!(outcome(r#"{"case": "ignore"}"#, "ÉCOLE", "école"), Outcome::Pass);
        assert_eq!(outcome(r#"{"whitespace": "collapse"}"#, "New  York", "New\nYork"), Outcome::Pass);
        assert_eq!(outcome(r#"{"whitespace": "collapse"}"#, "New York", "NewYork"), Outcome::Fail);
        assert_eq!(outcome(r#"{"whitespace": "remove"}"#, "x + 1", "x+1"), Outcome::Pass);
    }

    #[test]
    fn closing_punctuation_and_paired_marks_go_but_signs_stay() {
        let strip = r#"{"strip_punctuation": true}"#;
        for right in ["Paris.", "\"Paris\"", "**Paris.**", "`Paris`!", "“Paris”...", "'Paris', "] {
            assert_eq!(outcome(strip, "Paris", right), Outcome::Pass, "{right}");
        }
        for (gold, wrong) in [
            ("5", "-5"),
            ("5", ".5"),
            ("5", "5!"),
            ("(1,2]", "[1,2]"),
            ("5", "5%"),
            ("A", "A*"),
            ("35", "3.5"),
        ] {
            assert_eq!(outcome(strip, gold, wrong), Outcome::Fail, "{gold} {wrong}");
        }
        assert_eq!(outcome(strip, "Paris", "...!"), Outcome::Unparseable);
    }

    #[test]
    fn an_answer_that_an_empty_completion_would_match_is_refused() {
        let exact = Exact::new(ExactConfig { strip_punctuation: true, ..ExactConfig::default() });
        for gold in [None, Some(" ".to_owned()), Some("?".to_owned())] {
            let problem = Problem { answer: gold, ..Problem::default() };
            assert_eq!(exact.check(&problem).unwrap_err().field, "answer");
        }
    }

    #[test]
    fn a_configuration_with_an_unknown_key_is_refused() {
        let error = serde_json::from_str::<ExactConfig>(r#"{"cases": "ignore"}"#).unwrap_err().to_string();
        assert!(error.contains("cases") && error.contains("case"), "{error}");
    }
}
