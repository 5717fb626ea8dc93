//! What a verifier says of itself, so that it can be tested and explained: which part of a completion it judges, attacks that
//! it must withstand, and the steps by which it came to a verdict.

use crate::{Completion, Verdict};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which part of a completion a verifier judges. From it the test kit ([`testkit`](crate::testkit)) knows what must leave a
/// verdict as it is: prose before a stated answer, but not before an exact one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judges {
    /// The form of the whole text, such as its length. There is no right answer, so nothing can pass by mistake.
    Form,
    /// The whole text, thinking included, against a right answer. Nothing that is added to it is known to be harmless.
    #[default]
    Text,
    /// All that stands after the thinking, as a whole: thinking before it and white space around it change nothing.
    Answer,
    /// An answer that is stated somewhere after the thinking: prose around it and saying it again change nothing either.
    Statement,
    /// A program in a block of code after the thinking: as a statement, but words such as "or" beside it are no hedge.
    Program,
}

impl Judges {
    /// All of them, from the form to the program.
    pub const ALL: [Judges; 5] =
        [Judges::Form, Judges::Text, Judges::Answer, Judges::Statement, Judges::Program];

    /// The name in files: `form`, `text`, `answer`, `statement`, `program`.
    pub fn name(self) -> &'static str {
        match self {
            Judges::Form => "form",
            Judges::Text => "text",
            Judges::Answer => "answer",
            Judges::Statement => "statement",
            Judges::Program => "program",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Judges> {
        Judges::ALL.into_iter().find(|judges| judges.name() == name)
    }

    /// Whether problems have a right answer, which nothing else may pass for.
    pub fn correctness(self) -> bool {
        self != Judges::Form
    }

    /// Whether what stands before the last `</think>` does not count.
    pub fn ignores_thinking(self) -> bool {
        matches!(self, Judges::Answer | Judges::Statement | Judges::Program)
    }

    /// Whether prose around what is judged does not count.
    pub fn ignores_prose(self) -> bool {
        matches!(self, Judges::Statement | Judges::Program)
    }
}

impl fmt::Display for Judges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A completion made to mislead a verifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// What it tries, such as `tower` or `escape`: the check that fails is `attack/NAME`.
    pub name: String,
    /// What is judged.
    pub completion: Completion,
    /// What must come of it.
    pub expect: Expect,
}

/// What must come of an attack. A fault never may: it would be the completion's escape from a penalty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// Any verdict that is no fault.
    NoFault,
    /// No pass, and no fault.
    NoPass,
    /// A pass: what looks like an attack and is none.
    Pass,
}

impl Attack {
    /// A text that must not pass.
    pub fn no_pass(name: impl Into<String>, text: impl Into<String>) -> Self {
        Attack { name: name.into(), completion: Completion::new(text), expect: Expect::NoPass }
    }

    /// A text of which any verdict will do that is no fault.
    pub fn no_fault(name: impl Into<String>, text: impl Into<String>) -> Self {
        Attack { expect: Expect::NoFault, ..Attack::no_pass(name, text) }
    }

    /// A text that must pass.
    pub fn pass(name: impl Into<String>, text: impl Into<String>) -> Self {
        Attack { expect: Expect::Pass, ..Attack::no_pass(name, text) }
    }
}

/// A step on the way to a verdict: what was looked for or done, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The rule or part, such as `boxed` or `sections.think`.
    pub name: String,
    /// What was found, on one line.
    pub found: String,
    /// Whether the rule held or found something, where that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// The score of the part, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

impl Step {
    /// A step that only reports.
    pub fn note(name: impl Into<String>, found: impl Into<String>) -> Self {
        Step { name: name.into(), found: found.into(), held: None, score: None }
    }

    /// A rule that was tried.
    pub fn rule(name: impl Into<String>, held: bool, found: impl Into<String>) -> Self {
        Step { held: Some(held), ..Step::note(name, found) }
    }

    /// A part of the score.
    pub fn part(name: impl Into<String>, score: f32) -> Self {
        Step { score: Some(score), ..Step::note(name, "") }
    }

    /// The steps that a verdict alone tells: the answer that was read, and each part.
    pub fn of_verdict(verdict: &Verdict) -> Vec<Step> {
        let answer = verdict.answer.iter().map(|answer| Step::note("answer", one_line(answer)));
        answer.chain(verdict.parts.iter().map(|(name, score)| Step::part(name, *score))).collect()
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.held {
            Some(true) => "+",
            Some(false) => "-",
            None => " ",
        };
        write!(f, "{mark} {}", self.name)?;
        if !self.found.is_empty() {
            write!(f, ": {}", self.found)?;
        }
        if let Some(score) = self.score {
            write!(f, " (score {score})")?;
        }
        Ok(())
    }
}
