//! What can be wrong with a call of the sampler; everything but the last two is found before any token is drawn.

use thiserror::Error;

use crate::philox::AddressError;

/// Why sampling did not start, or stopped.
#[derive(Debug, Error)]
pub enum RolloutError {
    /// A field of [`SamplerConfig`](crate::SamplerConfig) or [`SamplingParams`](crate::SamplingParams) is out of range.
    #[error("{field} is {value}: {remedy}")]
    Setting {
        /// The field.
        field: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        remedy: String,
    },
    /// Seed, stage, step, sample count or attempt do not fit the random numbers' address.
    #[error("prompt {prompt}, attempt {attempt}: {source}")]
    Address {
        /// The request's prompt key.
        prompt: u64,
        /// The request's attempt.
        attempt: u32,
        /// Which part, and its bound.
        source: AddressError,
    },
    /// A request that asks for nothing or repeats another.
    #[error("prompt {prompt}, attempt {attempt}: {problem}")]
    Request {
        /// The request's prompt key.
        prompt: u64,
        /// The request's attempt.
        attempt: u32,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The prompt leaves no room for a completion.
    #[error(
        "prompt {prompt} is {tokens} tokens long, but the model's context is {context}: \
         shorten it to at most {} tokens", context - 1
    )]
    PromptTooLong {
        /// The request's prompt key.
        prompt: u64,
        /// Its length in tokens.
        tokens: usize,
        /// `max_position_embeddings` of the model.
        context: usize,
    },
    /// The cache cannot hold the prompt and one completion, even with nothing else running.
    #[error(
        "prompt {prompt} of {tokens} tokens with up to {max_tokens} new ones needs {needed} KV pages of {page} tokens, \
         but the sampler has {pages}: raise kv_pages or lower max_tokens", page = rlvr_model::PAGE
    )]
    DoesNotFit {
        /// The request's prompt key.
        prompt: u64,
        /// Its length in tokens.
        tokens: usize,
        /// Longest completion, in tokens.
        max_tokens: usize,
        /// Pages that the prompt and one completion need.
        needed: usize,
        /// Pages that there are.
        pages: usize,
    },
    /// The model failed.
    #[error(transparent)]
    Model(#[from] rlvr_model::ModelError),
    /// The model's logits, divided by the temperature, have no finite softmax.
    #[error("the logits for token {position} of sample {sample} of prompt {prompt} are not finite")]
    NotFinite {
        /// The request's prompt key.
        prompt: u64,
        /// Index within the group.
        sample: u32,
        /// Index of the generated token.
        position: usize,
    },
}
