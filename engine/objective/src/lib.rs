//! The objective of reinforcement learning from verifiable rewards, as pure functions over small structs.
//!
//! A step takes the rewards of each group of samples to [`advantages`], and the log-probabilities of the sampled
//! tokens to a [`policy_loss`], which also returns its derivative by each log-probability: what the model's
//! backward pass starts from. The crate knows nothing of models, devices or files, so that every formula can be
//! checked alone: against finite differences, an f64 reference, and TRL's own numbers.
//!
//! | idea | source | here |
//! | --- | --- | --- |
//! | group-relative advantages, sequence means | GRPO, <https://arxiv.org/abs/2402.03300> | [`AdvantageNorm::Std`], [`Normalisation::Sequence`] |
//! | no division by the deviation, constant length | Dr. GRPO, <https://arxiv.org/abs/2503.20783> | [`AdvantageNorm::Mean`], [`Normalisation::Constant`] |
//! | asymmetric clipping, token means | DAPO, <https://arxiv.org/abs/2503.14476> | [`PolicyLossConfig`], [`Normalisation::Token`] |
//! | k1, k2, k3 | Schulman, <http://joschu.net/blog/kl-approx.html> | [`KlEstimator`] |
//!
//! ```
//! use rlvr_objective::{
//!     AdvantageNorm, Normalisation, PolicyLossConfig, Scale, Sequence, advantages, policy_loss,
//! };
//!
//! // Three samples of one prompt: one right, one wrong, one whose verifier faulted and which leaves the group.
//! let advantages = advantages(&[Some(1.0), Some(0.0), None], AdvantageNorm::Mean);
//! assert_eq!(advantages, [Some(0.5), Some(-0.5), None]);
//!
//! let config =
//!     PolicyLossConfig { clip_low: 0.2, clip_high: 0.2, normalisation: Normalisation::Token, kl: None };
//! let logprobs = [[-0.5, -1.0], [-0.25, -2.0]];
//! let batch: Vec<_> = logprobs
//!     .iter()
//!     .zip(advantages.into_iter().flatten())
//!     .map(|(logprobs, advantage)| Sequence { logprobs, old_logprobs: logprobs, reference: None, advantage })
//!     .collect();
//! let scale = Scale::of_lengths(batch.iter().map(|s| s.logprobs.len()), 64);
//! let out = policy_loss(&batch, &config, &scale);
//! assert_eq!(out.d_logprobs[0], [-0.125, -0.125]); // - advantage / tokens: raise what was right
//! ```

mod advantage;
mod kl;
mod mismatch;
mod policy_loss;

pub use advantage::{AdvantageNorm, GroupStats, advantages};
pub use kl::{KlConfig, KlEstimator, KlPlace, kl_in_reward};
pub use mismatch::{Mismatch, mismatch};
pub use policy_loss::{
    LossMetrics, Normalisation, PolicyLoss, PolicyLossConfig, Scale, Sequence, policy_loss,
};

/// A setting outside the values for which the objective is defined.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{field}` is {value}, but must be {expected}")]
pub struct InvalidSetting {
    /// The setting's key, as it is spelt in a run's config.
    pub field: &'static str,
    /// The value that was given.
    pub value: f64,
    /// What would be right, in words.
    pub expected: String,
}

/// The larger of two values, NaN if either is: a NaN in a batch must reach the metric that stops the run.
fn max_or_nan(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}
