//! Verifiers for answers that are text: a choice among given ones ([`choice`]), an exact match ([`exact`]), a match of a regular
//! expression ([`pattern`]), the form of a completion ([`format`](mod@format)) and its length ([`length`]).
//!
//! `choice`, `exact` and `regex` judge the *answer* of a completion: what stands after its last `</think>`, or all of it where
//! there is none; a completion that ends within an open `<think>` has no answer. `format` and `length` judge the whole text.
//! Time is linear in a completion's length, and only so much is ever looked at: `choice` reads the last [`choice::READ`] bytes of
//! an answer, while `exact`, `regex` and `format` fail what is longer than [`SCANNED`] bytes.
//!
//! ```
//! use rlvr_verdict::{Completion, Outcome, Problem, Registry};
//!
//! let mut registry = Registry::new();
//! rlvr_text::register(&mut registry);
//! let choice = registry.make("choice", &serde_json::Value::Null)?;
//!
//! let choices = ["London", "Paris", "Rome"].map(String::from).to_vec();
//! let problem = Problem { answer: Some("B".into()), choices, ..Problem::default() };
//! choice.check(&problem)?;
//!
//! let verdict = choice.verify(&problem, &Completion::new("France, so the answer is (B)."));
//! assert_eq!((verdict.outcome, verdict.score), (Outcome::Pass, Some(1.0)));
//! let verdict = choice.verify(&problem, &Completion::new("The answer is A or B."));
//! assert_eq!((verdict.outcome, verdict.score), (Outcome::Fail, Some(0.0)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
pub mod choice;
pub mod exact;
pub mod format;
pub mod length;
pub mod pattern;

pub use answer::SCANNED;

use rlvr_verdict::Registry;
use std::convert::Infallible;

/// Adds the kinds `choice`, `exact`, `regex`, `format` and `length`.
pub fn register(registry: &mut Registry) {
    registry.add("choice", |config| Ok::<_, Infallible>(choice::Choice::new(config)));
    registry.add("exact", |config| Ok::<_, Infallible>(exact::Exact::new(config)));
    registry.add("regex", pattern::Pattern::new);
    registry.add("format", format::Format::new);
    registry.add("length", length::Length::new);
}

/// Why a verifier cannot be made from its configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key `{key}`: {problem}")]
pub struct ConfigError {
    /// The key at fault.
    pub key: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl ConfigError {
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        ConfigError { key: key.into(), problem: problem.into() }
    }
}
