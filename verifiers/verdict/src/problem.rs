//! What is asked, and what was answered.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One task: a row of a task set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Unique within its task set.
    pub id: String,
    /// What the model is asked, before any chat template; the last user message of a chat.
    pub prompt: String,
    /// The whole chat, where the row's prompt is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// Name of the verifier that judges completions.
    pub verifier: String,
    /// The right answer, for verifiers that compare with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The choices of a multiple-choice question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Tests, in the form that the verifier defines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<Value>,
    /// Labels to report by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// All other fields of the row.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A message of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

/// What a model answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The text, without the prompt.
    pub text: String,
    /// Whether it was cut off by a length limit.
    #[serde(default)]
    pub truncated: bool,
    /// Generated tokens, where known; 0 otherwise.
    #[serde(default)]
    pub tokens: usize,
}

impl Completion {
    /// A whole completion of unknown length in tokens.
    pub fn new(text: impl Into<String>) -> Self {
        Completion { text: text.into(), truncated: false, tokens: 0 }
    }

    /// What counts as the answer: the text after the last `</think>`. Nothing, when thinking was opened and never ended: an
    /// answer inside the thinking is none.
    ///
    /// ```
    /// use rlvr_verdict::Completion;
    ///
    /// assert_eq!(Completion::new("<think>5?</think> It is 6.").answer_text(), " It is 6.");
    /// assert_eq!(Completion::new("<think>5").answer_text(), "");
    /// assert_eq!(Completion::new("It is 6.").answer_text(), "It is 6.");
    /// ```
    pub fn answer_text(&self) -> &str {
        let answer =
            self.text.rfind("</think>").map_or(&*self.text, |end| &self.text[end + "</think>".len()..]);
        if answer.contains("<think>") { "" } else { answer }
    }
}

/// Why a problem cannot be judged by its verifier: found by `check`, before a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {problem}; {remedy}")]
pub struct ProblemError {
    /// The field at fault.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
    /// What the verifier lacks, such as a module of that name, where nothing else is wrong with the problem: a task set may
    /// leave such problems out.
    pub lacks: Option<String>,
}

impl ProblemError {
    /// An error from its three parts.
    pub fn new(field: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        ProblemError { field: field.into(), problem: problem.into(), remedy: remedy.into(), lacks: None }
    }

    /// The error as one of a problem that is sound, but needs what the verifier does not have.
    pub fn lacking(mut self, what: impl Into<String>) -> Self {
        self.lacks = Some(what.into());
        self
    }
}
