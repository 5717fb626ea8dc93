//! The clipped policy-gradient loss of the GRPO family, with its derivative by each log-probability.
//!
//! With `r = exp(logprob - old_logprob)` and the sample's advantage `A`, one token's loss is
//! `-min(r A, clip(r, 1 - clip_low, 1 + clip_high) A)` (PPO, <https://arxiv.org/abs/1707.06347>, equation 7; GRPO,
//! <https://arxiv.org/abs/2402.03300>, equation 3; the two clips apart: DAPO, <https://arxiv.org/abs/2503.14476>,
//! equation 8), plus `coefficient * KL` where the penalty stands in the loss. How token losses are averaged is
//! [`Normalisation`]. Inputs and derivatives are f32; everything between is f64.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::{InvalidSetting, KlConfig, KlPlace, max_or_nan};

/// How the token losses of an optimiser batch are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// The mean over all tokens of the batch (DAPO, <https://arxiv.org/abs/2503.14476>, equation 8).
    #[default]
    Token,
    /// The mean over sequences of the mean over each one's tokens (GRPO, <https://arxiv.org/abs/2402.03300>).
    Sequence,
    /// The sum divided by sequences times [`Scale::max_tokens`] (Dr. GRPO, <https://arxiv.org/abs/2503.20783>).
    Constant,
}

/// The settings of [`policy_loss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyLossConfig {
    /// The ratio is held above `1 - clip_low`; in 0..=1.
    pub clip_low: f64,
    /// The ratio is held below `1 + clip_high`; 0 or more.
    pub clip_high: f64,
    /// How token losses are averaged.
    pub normalisation: Normalisation,
    /// The reference penalty, if there is one.
    pub kl: Option<KlConfig>,
}

impl PolicyLossConfig {
    /// Refuses clips outside their ranges, and a penalty that [`KlConfig::check`] refuses.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if !(0.0..=1.0).contains(&self.clip_low) {
            let expected = "between 0 and 1: the ratio is held above 1 - clip_low";
            return Err(InvalidSetting {
                field: "clip_low",
                value: self.clip_low,
                expected: expected.to_owned(),
            });
        }
        if !(self.clip_high.is_finite() && self.clip_high >= 0.0) {
            let expected = "a finite number, 0 or more: the ratio is held below 1 + clip_high";
            return Err(InvalidSetting {
                field: "clip_high",
                value: self.clip_high,
                expected: expected.to_owned(),
            });
        }
        self.kl.map_or(Ok(()), |kl| kl.check())
    }
}

/// One sampled sequence: its generated tokens only, the prompt has no loss.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// `[tokens]`: log-probabilities of the sampled ids under the policy being trained.
    pub logprobs: &'a [f32],
    /// `[tokens]`: under the policy that sampled them.
    pub old_logprobs: &'a [f32],
    /// `[tokens]`: under the reference policy.
    pub reference: Option<&'a [f32]>,
    /// The sample's advantage, shared by its tokens.
    pub advantage: f32,
}

/// The denominators of a whole optimiser batch.
///
/// They are computed up front from the lengths, so that the losses and gradients of its micro batches sum to those
/// of the batch, however it is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Sequences in the batch; empty ones count, as in TRL.
    pub sequences: usize,
    /// Generated tokens in the batch.
    pub tokens: usize,
    /// The constant length of [`Normalisation::Constant`]: the most tokens that a sample may have.
    pub max_tokens: usize,
}

impl Scale {
    /// The scale of a batch of sequences with these numbers of generated tokens.
    pub fn of_lengths(lengths: impl IntoIterator<Item = usize>, max_tokens: usize) -> Self {
        let empty = Self { sequences: 0, tokens: 0, max_tokens };
        lengths.into_iter().fold(empty, |scale, length| Self {
            sequences: scale.sequences + 1,
            tokens: scale.tokens + length,
            ..scale
        })
    }

    /// What the losses of the tokens of a sequence of `length` tokens are multiplied by.
    fn token_weight(&self, normalisation: Normalisation, length: usize) -> f64 {
        let denominator = match normalisation {
            Normalisation::Token => self.tokens as f64,
            Normalisation::Sequence => self.sequences as f64 * length as f64,
            Normalisation::Constant => self.sequences as f64 * self.max_tokens as f64,
        };
        1.0 / denominator.max(1.0)
    }
}

/// What [`policy_loss`] returns for a micro batch.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyLoss {
    /// The micro batch's share of the batch's loss.
    pub loss: f64,
    /// The loss's derivative by each log-probability: one `[tokens]` for each sequence, in order.
    pub d_logprobs: Vec<Vec<f32>>,
    /// Sums for the step's record.
    pub metrics: LossMetrics,
}

/// Sums over tokens that describe an update; added over micro batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossMetrics {
    /// Tokens counted.
    pub tokens: u64,
    /// Sum of the ratios `exp(logprob - old_logprob)`.
    pub ratio_sum: f64,
    /// The largest ratio; 0 without tokens, NaN if any ratio is.
    pub ratio_max: f64,
    /// Tokens held by the lower clip: ratio below `1 - clip_low` and advantage negative.
    pub clipped_low: u64,
    /// Tokens held by the upper clip: ratio above `1 + clip_high` and advantage positive.
    pub clipped_high: u64,
    /// Tokens whose divergence from a reference was measured.
    pub kl_tokens: u64,
    /// Sum of their divergences by the configured estimator, without the coefficient, nats.
    pub kl_sum: f64,
}

impl LossMetrics {
    /// Mean ratio; 0 without tokens.
    pub fn ratio_mean(&self) -> f64 {
        self.ratio_sum / self.tokens.max(1) as f64
    }

    /// Share of tokens held by either clip.
    pub fn clip_fraction(&self) -> f64 {
        (self.clipped_low + self.clipped_high) as f64 / self.tokens.max(1) as f64
    }

    /// Mean divergence from the reference, nats per token; `None` if none was measured.
    pub fn kl(&self) -> Option<f64> {
        (self.kl_tokens > 0).then(|| self.kl_sum / self.kl_tokens as f64)
    }
}

impl AddAssign for LossMetrics {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.ratio_sum += other.ratio_sum;
        self.ratio_max = max_or_nan(self.ratio_max, other.ratio_max);
        self.clipped_low += other.clipped_low;
        self.clipped_high += other.clipped_high;
        self.kl_tokens += other.kl_tokens;
        self.kl_sum += other.kl_sum;
    }
}

/// The loss of some sequences of a batch, as their share of the batch's loss, and its derivatives.
///
/// A token held by a clip has no policy gradient; on the border itself, where PyTorch's versions differ, it has all
/// of it, so that an on-policy step learns even with clips of 0. A penalty in the reward ([`KlPlace::Reward`]) is
/// measured here where references are given, but not added. Values that are not finite are passed on, not hidden.
///
/// # Panics
/// If a sequence's slices differ in length, or the penalty stands in the loss and a sequence has no reference.
pub fn policy_loss(sequences: &[Sequence<'_>], config: &PolicyLossConfig, scale: &Scale) -> PolicyLoss {
    let mut out = PolicyLoss {
        loss: 0.0,
        d_logprobs: Vec::with_capacity(sequences.len()),
        metrics: LossMetrics::default(),
    };
    for sequence in sequences {
        let weight = scale.token_weight(config.normalisation, sequence.logprobs.len());
        let mut slopes = surrogate(sequence, config, weight, &mut out);
        if let Some(kl) = config.kl {
            penalty(sequence, &kl, weight, &mut slopes, &mut out);
        }
        out.d_logprobs.push(slopes.into_iter().map(|slope| slope as f32).collect());
    }
    out
}

/// Adds the clipped surrogate of one sequence to `out`; returns its derivatives, `[tokens]`.
fn surrogate(
    sequence: &Sequence<'_>,
    config: &PolicyLossConfig,
    weight: f64,
    out: &mut PolicyLoss,
) -> Vec<f64> {
    assert_eq!(
        sequence.logprobs.len(),
        sequence.old_logprobs.len(),
        "a sequence's log-probabilities and old log-probabilities differ in length"
    );
    let advantage = f64::from(sequence.advantage);
    let (floor, ceiling) = (1.0 - config.clip_low, 1.0 + config.clip_high);
    let metrics = &mut out.metrics;
    metrics.tokens += sequence.logprobs.len() as u64;
    let mut slopes = Vec::with_capacity(sequence.logprobs.len());
    for (&new, &old) in sequence.logprobs.iter().zip(sequence.old_logprobs) {
        let ratio = (f64::from(new) - f64::from(old)).exp();
        metrics.ratio_sum += ratio;
        metrics.ratio_max = max_or_nan(metrics.ratio_max, ratio);
        // The minimum takes the clipped side only where that is the pessimistic one.
        let (objective, slope) = if advantage < 0.0 && ratio < floor {
            metrics.clipped_low += 1;
            (floor * advantage, 0.0)
        } else if advantage > 0.0 && ratio > ceiling {
            metrics.clipped_high += 1;
            (ceiling * advantage, 0.0)
        } else {
            (ratio * advantage, ratio * advantage) // d exp(x) = exp(x)
        };
        out.loss -= weight * objective;
        slopes.push(-weight * slope);
    }
    slopes
}

/// Measures one sequence's divergence from its reference and, where it stands in the loss, adds it to loss and slopes.
fn penalty(sequence: &Sequence<'_>, kl: &KlConfig, weight: f64, slopes: &mut [f64], out: &mut PolicyLoss) {
    let Some(reference) = sequence.reference else {
        assert!(kl.place == KlPlace::Reward, "a KL penalty in the loss needs each sequence's reference");
        return;
    };
    assert_eq!(reference.len(), slopes.len(), "a sequence's reference log-probabilities differ in length");
    out.metrics.kl_tokens += slopes.len() as u64;
    let weight = if kl.place == KlPlace::Loss { weight * kl.coefficient } else { 0.0 };
    for ((&policy, &reference), slope) in sequence.logprobs.iter().zip(reference).zip(slopes) {
        let (value, value_slope) = kl.estimator.value_and_slope(policy.into(), reference.into());
        out.metrics.kl_sum += value;
        if weight != 0.0 {
            out.loss += weight * value;
            *slope += weight * value_slope;
        }
    }
}
