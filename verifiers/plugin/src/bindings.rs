//! The WIT package as Rust types, and how they are `rlvr_verdict`'s.

use rlvr_verdict as verdict;

/// What `bindgen!` makes of `wit/verifier.wit`.
#[allow(missing_docs, unused_qualifications, clippy::all)]
mod generated {
    wasmtime::component::bindgen!({ path: "wit", world: "plugin" });
}

pub use generated::exports::rlvr::verifier::verifier::{
    Completion, Description, Message, Outcome, Problem, ProblemError, Verdict,
};
use generated::exports::rlvr::verifier::verifier::{Judges, Part};
pub use generated::{Plugin, PluginPre};

impl From<&verdict::Problem> for Problem {
    fn from(problem: &verdict::Problem) -> Self {
        let message = |m: &verdict::Message| Message { role: m.role.clone(), content: m.content.clone() };
        Problem {
            id: problem.id.clone(),
            prompt: problem.prompt.clone(),
            messages: problem.messages.iter().map(message).collect(),
            answer: problem.answer.clone(),
            choices: problem.choices.clone(),
            tests: problem.tests.as_ref().map(|tests| tests.to_string()),
            tags: problem.tags.clone(),
            extra: serde_json::Value::Object(problem.extra.clone()).to_string(),
        }
    }
}

impl From<&verdict::Completion> for Completion {
    fn from(completion: &verdict::Completion) -> Self {
        Completion {
            text: completion.text.clone(),
            answer_text: completion.answer_text().to_owned(),
            truncated: completion.truncated,
            tokens: completion.tokens as u64,
        }
    }
}

impl From<Verdict> for verdict::Verdict {
    fn from(verdict: Verdict) -> Self {
        verdict::Verdict {
            score: verdict.score,
            outcome: verdict.outcome.into(),
            reason: verdict.reason,
            parts: verdict.parts.into_iter().map(|Part { name, score }| (name, score)).collect(),
            cost: verdict::Cost::default(),
            answer: verdict.answer,
        }
    }
}

impl From<Outcome> for verdict::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => verdict::Outcome::Pass,
            Outcome::Fail => verdict::Outcome::Fail,
            Outcome::Unparseable => verdict::Outcome::Unparseable,
            Outcome::OutOfFuel => verdict::Outcome::OutOfFuel,
            Outcome::OutOfMemory => verdict::Outcome::OutOfMemory,
            Outcome::Trapped => verdict::Outcome::Trapped,
            Outcome::OutputLimit => verdict::Outcome::OutputLimit,
            Outcome::Fault => verdict::Outcome::Fault,
        }
    }
}

impl From<Judges> for verdict::Judges {
    fn from(judges: Judges) -> Self {
        match judges {
            Judges::Form => verdict::Judges::Form,
            Judges::Text => verdict::Judges::Text,
            Judges::Answer => verdict::Judges::Answer,
            Judges::Statement => verdict::Judges::Statement,
            Judges::Program => verdict::Judges::Program,
        }
    }
}

impl From<ProblemError> for verdict::ProblemError {
    fn from(error: ProblemError) -> Self {
        verdict::ProblemError::new(error.field, error.problem, error.remedy)
    }
}
