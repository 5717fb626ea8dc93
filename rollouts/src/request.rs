//! What goes into the sampler and what comes out: prompts as token ids, completions as token ids.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A group to draw: several completions of one prompt.
#[derive(Clone, Debug)]
pub struct Request {
    /// Key of the prompt. Together with `attempt` it says which random numbers the group draws, so no two requests of
    /// one call may have both in common.
    pub prompt: u64,
    /// How often the prompt was drawn before in this step (0 at first; a sample drawn again counts up).
    pub attempt: u32,
    /// The prompt's token ids; at least one.
    pub ids: Arc<[u32]>,
    /// Completions wanted; at least one.
    pub samples: u32,
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A stop id was drawn; it is the last of the completion's ids.
    Stop,
    /// The [`StopRule`] said so: a stop string is complete in the text of the ids.
    StopString,
    /// `max_tokens` were generated, or the model's context is full.
    Length,
    /// The caller ended the call before the completion ended.
    Cancelled,
}

/// One completion of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// The request's prompt key.
    pub prompt: u64,
    /// Index within the group.
    pub sample: u32,
    /// The request's attempt.
    pub attempt: u32,
    /// Generated ids only, a stop id included. Empty only when cancelled before the first draw.
    pub ids: Vec<u32>,
    /// Log-probability of each of `ids` (nats) under `softmax(logits / temperature)`, before top-k, top-p and min-p;
    /// suppressed ids are out of that distribution. At temperature 0, that of `softmax(logits)`.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
    /// Seconds from the start of its prompt's prefill to its end, waiting for pages included. 0 when cancelled
    /// before that start.
    pub sampled_s: f64,
}

/// A reason to stop that token ids alone do not show, such as a stop string in their text.
///
/// Asked after each token, from several threads at once.
pub trait StopRule: Sync {
    /// Whether a completion with these generated ids, the newest last, is complete.
    fn stops(&self, ids: &[u32]) -> bool;
}

/// The rule that never stops: only stop ids and lengths do.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStopRule;

impl StopRule for NoStopRule {
    fn stops(&self, _ids: &[u32]) -> bool {
        false
    }
}
