//! How far the trainer's log-probabilities are from those the sampler kept, for the same weights and tokens.
//!
//! The policy gradient supposes that both are one distribution; a growing difference means that an objective is
//! optimised for samples of another policy, which is known to make runs collapse. So it is measured at each step,
//! and a run stops above its bound.

use std::ops::AddAssign;

use crate::max_or_nan;

/// Sums over tokens of the difference `d = trainer - sampler` of log-probabilities; added over micro batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mismatch {
    /// Tokens compared.
    pub tokens: u64,
    /// Sum of `|d|`, nats.
    pub abs_sum: f64,
    /// Largest `|d|`, nats; NaN if any difference is.
    pub abs_max: f64,
    /// Sum of `exp(d) - 1 - d`: the k3 estimate of `KL(sampler || trainer)`, nats.
    pub k3_sum: f64,
}

impl Mismatch {
    /// Mean `|d|`; 0 without tokens.
    pub fn mean(&self) -> f64 {
        self.abs_sum / self.tokens.max(1) as f64
    }

    /// Mean k3; 0 without tokens.
    pub fn k3(&self) -> f64 {
        self.k3_sum / self.tokens.max(1) as f64
    }
}

impl AddAssign for Mismatch {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.abs_sum += other.abs_sum;
        self.abs_max = max_or_nan(self.abs_max, other.abs_max);
        self.k3_sum += other.k3_sum;
    }
}

/// Compares the log-probabilities of one sequence, `[tokens]` each, under sampler and trainer.
///
/// # Panics
/// If the two lengths differ.
pub fn mismatch(sampler: &[f32], trainer: &[f32]) -> Mismatch {
    assert_eq!(sampler.len(), trainer.len(), "sampler and trainer log-probabilities differ in length");
    let mut out = Mismatch { tokens: sampler.len() as u64, ..Mismatch::default() };
    for (&sampler, &trainer) in sampler.iter().zip(trainer) {
        let d = f64::from(trainer) - f64::from(sampler);
        out.abs_sum += d.abs();
        out.abs_max = max_or_nan(out.abs_max, d.abs());
        out.k3_sum += d.exp_m1() - d;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bits_are_no_mismatch() {
        let logprobs = [-0.1, -2.5, 0.0];
        let same = mismatch(&logprobs, &logprobs);
        assert_eq!(same, Mismatch { tokens: 3, abs_sum: 0.0, abs_max: 0.0, k3_sum: 0.0 });
    }

    #[test]
    fn differences_are_measured_from_the_sampler_to_the_trainer() {
        let m = mismatch(&[-1.0, -2.0], &[-0.5, -2.25]);
        assert_eq!((m.tokens, m.abs_sum, m.abs_max, m.mean()), (2, 0.75, 0.5, 0.375));
        let k3 = (0.5f64.exp() - 1.5) + ((-0.25f64).exp() - 0.75);
        assert!((m.k3_sum - k3).abs() < 1e-15);
    }

    #[test]
    fn parts_of_a_batch_add_up_to_the_batch() {
        let (sampler, trainer) = ([-1.0, -2.0, -0.5], [-1.25, -2.0, -1.0]);
        let mut parts = mismatch(&sampler[..1], &trainer[..1]);
        parts += mismatch(&sampler[1..], &trainer[1..]);
        let whole = mismatch(&sampler, &trainer);
        assert_eq!((parts.tokens, parts.abs_sum, parts.abs_max), (3, whole.abs_sum, whole.abs_max));
        assert!((parts.k3_sum - whole.k3_sum).abs() < 1e-15);
    }

    #[test]
    fn a_nan_is_not_lost_in_the_maximum() {
        let mut total = mismatch(&[-1.0, f32::NAN, -1.0], &[-1.0, -1.0, -3.0]);
        assert!(total.abs_max.is_nan());
        total += mismatch(&[-1.0], &[-9.0]);
        assert!(total.abs_max.is_nan());
        let mut total = mismatch(&[-1.0], &[-9.0]);
        total += mismatch(&[-1.0], &[f32::NAN]);
        assert!(total.abs_max.is_nan());
    }
}
