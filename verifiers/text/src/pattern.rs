//! Passes answers that a regular expression matches: the configuration's, or the one in the problem's answer.
//!
//! The syntax is that of the crate `regex`, which has no back references or look-around and whose matching takes time linear in
//! the text. A pattern that compiles to more than [`COMPILED`] bytes is refused, so that the factor stays small.

use crate::ConfigError;
use crate::answer::{answer, excerpt, scannable};
use regex::{Regex, RegexBuilder};
use rlvr_verdict::{Completion, Judges, Problem, ProblemError, Step, Verdict, Verifier};
use serde::{Deserialize, Serialize};

/// Bytes that a pattern may compile to.
pub const COMPILED: usize = 512 * 1024;

/// Configuration of [`Pattern`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatternConfig {
    /// The pattern for every problem; without one, each problem's `answer` is its pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How much of the answer must match.
    pub mode: Mode,
}

/// How much of an answer must match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All of it, without the white space around it.
    #[default]
    Full,
    /// Some part of it.
    Search,
}

/// The verifier `regex`.
///
/// A pattern in a problem's answer is compiled for each completion; one in the configuration once.
#[derive(Clone, Debug)]
pub struct Pattern {
    pattern: Option<Regex>,
    mode: Mode,
}

impl Pattern {
    /// A verifier with this configuration.
    ///
    /// # Errors
    /// When the pattern is not a regular expression, compiles to more than [`COMPILED`] bytes or matches an empty answer.
    pub fn new(config: PatternConfig) -> Result<Self, ConfigError> {
        let mode = config.mode;
        let read = |pattern: &String| judged(pattern, mode).map_err(|e| ConfigError::new("pattern", e));
        Ok(Pattern { pattern: config.pattern.as_ref().map(read).transpose()?, mode })
    }
}

/// A pattern that may judge answers in a mode.
fn judged(pattern: &str, mode: Mode) -> Result<Regex, String> {
    // compiled alone first: `a)|(b` would become a pattern by the parentheses put around it
    let mut regex = compiled(pattern)?;
    if mode == Mode::Full {
        // the line break ends a comment of the `x` mode, which would swallow the parenthesis
        let whole = |end: &str| compiled(&format!(r"\A(?:{pattern}{end})\z"));
        regex = whole("").or_else(|_| whole("\n"))?;
    }
    if regex.is_match("") {
        return Err(format!("{} matches an empty answer; ask for at least one character", excerpt(pattern)));
    }
    Ok(regex)
}

/// Compiles a pattern of limited size.
pub(crate) fn compiled(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(COMPILED).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("{} compiles to more than {limit} bytes; use smaller repetitions", excerpt(pattern))
        }
        // the library draws a picture of several lines, the last of which says what is wrong
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("{} is not a regular expression: {last}", excerpt(pattern))
        }
    })
}

impl Verifier for Pattern {
    fn name(&self) -> &str {
        "regex"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        if self.pattern.is_some() {
            return Ok(());
        }
        let remedy = "give a regular expression here or as the verifier's `pattern`";
        let Some(pattern) = &problem.answer else {
            return Err(ProblemError::new("answer", "is missing", remedy));
        };
        judged(pattern, self.mode).map(|_| ()).map_err(|problem| ProblemError::new("answer", problem, remedy))
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        let own;
        let regex = match (&self.pattern, &problem.answer) {
            (Some(regex), _) => regex,
            (None, Some(pattern)) => match judged(pattern, self.mode) {
                Ok(regex) => {
                    own = regex;
                    &own
                }
                Err(problem) => return Verdict::fault(format!("the problem's answer: {problem}")),
            },
            (None, None) => return Verdict::fault("neither the verifier nor the problem has a pattern"),
        };
        let answer = match answer(completion).and_then(scannable) {
            Ok(answer) => answer,
            Err(verdict) => return verdict,
        };
        match (regex.find(answer), self.mode) {
            (Some(found), _) => Verdict::pass(format!("the pattern matches {}", excerpt(found.as_str()))),
            (None, Mode::Full) => {
                Verdict::fail(format!("the pattern does not match the whole of {}", excerpt(answer)))
            }
            (None, Mode::Search) => {
                Verdict::fail(format!("the pattern matches nowhere in {}", excerpt(answer)))
            }
        }
    }
    fn judges(&self) -> Judges {
        Judges::Answer
    }

    /// None: the answer is a pattern, and no text that it matches.
    fn gold(&self, _: &Problem) -> Option<Completion> {
        None
    }

    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        let own = problem.answer.as_deref().unwrap_or_default();
        let pattern = self.pattern.as_ref().map_or(own, |pattern| pattern.as_str());
        let text = answer(completion).and_then(scannable);
        let part = match &text {
            Ok(text) => Step::rule("answer part", true, excerpt(text)),
            Err(verdict) => Step::rule("answer part", false, verdict.reason.clone()),
        };
        let found = |mode| {
            let regex = if self.pattern.is_some() && mode == self.mode {
                self.pattern.clone()
            } else {
                judged(pattern, mode).ok()
            };
            regex
                .zip(text.as_ref().ok())
                .and_then(|(regex, text)| regex.find(text).map(|found| excerpt(found.as_str())))
        };
        let tried = |name: &str, mode| {
            let found = found(mode);
            Step::rule(name, found.is_some(), found.unwrap_or_else(|| "no match".to_owned()))
        };
        let whole =
            if self.mode == Mode::Full { vec![tried("matches the whole", Mode::Full)] } else { Vec::new() };
        [
            vec![Step::note("pattern", excerpt(pattern)), part],
            whole,
            vec![tried("matches some part", Mode::Search)],
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlvr_verdict::Outcome;

    fn pattern(pattern: &str, mode: Mode) -> Result<Pattern, ConfigError> {
        Pattern::new(PatternConfig { pattern: Some(pattern.into()), mode })
    }

    fn passes(verifier: &Pattern, text: &str) -> bool {
        verifier.verify(&Problem::default(), &Completion::new(text)).outcome == Outcome::Pass
    }

    #[test]
    fn a_full_match_leaves_nothing_over_and_a_search_may() {
        let full = pattern(r"\d+|none", Mode::Full).unwrap();
        assert!(passes(&full, " 42\n") && passes(&full, "none") && passes(&full, "<think>x</think> 42"));
        assert!(!passes(&full, "42 or so") && !passes(&full, "none 42") && !passes(&full, "42\n43"));
        let search = pattern(r"(?m)^#### \d+$", Mode::Search).unwrap();
        assert!(passes(&search, "so\n#### 42\nbye") && !passes(&search, "so #### 42"));
    }

    #[test]
    fn a_commented_pattern_is_matched_in_full() {
        let full = pattern("(?x) \\d+ # digits", Mode::Full).unwrap();
        assert!(passes(&full, "42") && !passes(&full, "42a"));
        assert!(passes(&pattern("#\\d", Mode::Full).unwrap(), "#4"));
    }

    #[test]
    fn the_rows_answer_is_the_pattern_where_the_configuration_has_none() {
        let verifier = Pattern::new(PatternConfig::default()).unwrap();
        let problem = Problem { answer: Some("colou?r".into()), ..Problem::default() };
        verifier.check(&problem).unwrap();
        assert_eq!(verifier.verify(&problem, &Completion::new("color")).score, Some(1.0));
        assert_eq!(verifier.verify(&problem, &Completion::new("colr")).score, Some(0.0));
        for wrong in [None, Some("colo(u"), Some(".*"), Some(r"\w{1000}{1000}")] {
            let problem = Problem { answer: wrong.map(String::from), ..Problem::default() };
            assert_eq!(verifier.check(&problem).unwrap_err().field, "answer", "{wrong:?}");
            assert_eq!(verifier.verify(&problem, &Completion::new("x")).score, None, "{wrong:?}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_refused_with_the_reason() {
        for (wrong, says) in [
            ("a)|(b", "unopened group"),
            ("[a", "unclosed character class"),
            (r"\w{1000}{1000}", "compiles to more than"),
            ("a*", "matches an empty answer"),
            (r"(a)\1", "backreferences are not supported"),
        ] {
            let error = pattern(wrong, Mode::Full).unwrap_err().to_string();
            assert!(error.starts_with("key `pattern`") && error.contains(says), "{wrong}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_text_too_long_to_scan_fails_and_says_so() {
        let verdict = pattern("x", Mode::Search)
            .unwrap()
            .verify(&Problem::default(), &Completion::new("x".repeat(crate::SCANNED + 1)));
        assert_eq!(verdict.outcome, Outcome::Fail);
        assert!(verdict.reason.contains("bytes"), "{}", verdict.reason);
    }
}
