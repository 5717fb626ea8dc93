//! Divergence of the policy from a reference, estimated on the sampled tokens.
//!
//! The estimators are Schulman's (<http://joschu.net/blog/kl-approx.html>) for `KL(policy || reference)` with tokens
//! drawn from the policy; with `d = log reference - log policy` of the drawn token, k1 = `-d`, k2 = `d^2 / 2`,
//! k3 = `exp(d) - 1 - d`. The penalty stands either in the loss, token by token and differentiated (GRPO,
//! <https://arxiv.org/abs/2402.03300>, equation 3), or in the reward, summed over the sample and not differentiated
//! (<https://arxiv.org/abs/2402.14740>, as TRL's RLOO). The penalty is not weighted by the importance ratio, which
//! DeepSeek-V3.2 and, by default, TRL since then do (`use_bias_correction_kl`).

use serde::{Deserialize, Serialize};

use crate::InvalidSetting;

/// Which estimate of the divergence of one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// `log policy - log reference`: unbiased, of either sign. In the loss its gradient has mean zero on-policy, so
    /// there it restrains nothing; it belongs in the reward.
    K1,
    /// `(log policy - log reference)^2 / 2`: biased, low variance; its gradient on-policy is that of the divergence.
    K2,
    /// `exp(d) - 1 - d`, `d = log reference - log policy`: unbiased and never negative.
    #[default]
    K3,
}

/// Where the penalty stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlPlace {
    /// Added to each token's loss, and differentiated.
    #[default]
    Loss,
    /// Taken from the sample's reward before advantages are computed; see [`kl_in_reward`].
    Reward,
}

/// A penalty for leaving a reference policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KlConfig {
    /// Weight of the penalty (beta), not negative. At 0 the divergence is still measured.
    pub coefficient: f64,
    /// Estimate of one token's divergence.
    pub estimator: KlEstimator,
    /// In the loss or in the reward.
    pub place: KlPlace,
}

impl KlConfig {
    /// Refuses a coefficient that is negative or not finite.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if self.coefficient.is_finite() && self.coefficient >= 0.0 {
            return Ok(());
        }
        Err(InvalidSetting {
            field: "kl.coefficient",
            value: self.coefficient,
            expected: "a finite number, 0 or more".to_owned(),
        })
    }
}

impl KlEstimator {
    /// The estimate for one token (nats) and its derivative by the policy's log-probability.
    pub(crate) fn value_and_slope(self, policy: f64, reference: f64) -> (f64, f64) {
        let d = reference - policy;
        match self {
            Self::K1 => (-d, 1.0),
            Self::K2 => (0.5 * d * d, -d),
            Self::K3 => (d.exp_m1() - d, -d.exp_m1()),
        }
    }
}

/// A sample's reward less `coefficient` times its divergence from the reference, summed over its tokens.
///
/// `sampled` and `reference` are `[tokens]`: log-probabilities of the sampled ids under the policy that drew them
/// and under the reference. The place in `kl` is not looked at: calling this is having chosen it.
///
/// # Panics
/// If the two lengths differ.
pub fn kl_in_reward(reward: f32, sampled: &[f32], reference: &[f32], kl: &KlConfig) -> f32 {
    assert_eq!(sampled.len(), reference.len(), "sampled and reference log-probabilities differ in length");
    let tokens = sampled.iter().zip(reference);
    let divergence: f64 = tokens.map(|(&p, &r)| kl.estimator.value_and_slope(p.into(), r.into()).0).sum();
    (f64::from(reward) - kl.coefficient * divergence) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [KlEstimator; 3] = [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3];

    /// Two distributions over four tokens, and `KL(p || q)` from its definition.
    const P: [f64; 4] = [0.4, 0.3, 0.2, 0.1];
    const Q: [f64; 4] = [0.25, 0.35, 0.1, 0.3];

    fn expectation(of: impl Fn(f64, f64) -> f64) -> f64 {
        P.iter().zip(Q).map(|(&p, q)| p * of(p.ln(), q.ln())).sum()
    }

    #[test]
    fn k1_and_k3_are_unbiased_and_k2_is_near_for_near_policies() {
        let exact: f64 = P.iter().zip(Q).map(|(&p, q)| p * (p / q).ln()).sum();
        let mean = |estimator: KlEstimator| expectation(|p, q| estimator.value_and_slope(p, q).0);
        assert!((mean(KlEstimator::K1) - exact).abs() < 1e-15);
        assert!((mean(KlEstimator::K3) - exact).abs() < 1e-15);
        assert!((mean(KlEstimator::K2) - exact).abs() < 0.2 * exact);
    }

    #[test]
    fn k1_in_the_loss_has_a_gradient_without_direction() {
        // The expected slope of k1 is the expected score, times nothing: one number for all tokens, which the
        // softmax's derivative removes.
        let slopes: Vec<f64> =
            P.iter().zip(Q).map(|(p, q)| KlEstimator::K1.value_and_slope(p.ln(), q.ln()).1).collect();
        assert_eq!(slopes, [1.0; 4]);
    }

    #[test]
    fn slopes_are_the_finite_differences_of_the_values() {
        for estimator in ALL {
            for (policy, reference) in [(-1.0, -1.5), (-0.2, -0.1), (-3.0, -0.5), (-2.0, -2.0)] {
                let h = 1e-5;
                let value = |p| estimator.value_and_slope(p, reference).0;
                let slope = (value(policy + h) - value(policy - h)) / (2.0 * h);
                assert!(
                    (slope - estimator.value_and_slope(policy, reference).1).abs() < 1e-8,
                    "{estimator:?}"
                );
            }
        }
    }

    #[test]
    fn k3_keeps_its_digits_where_policy_and_reference_nearly_agree() {
        let (value, _) = KlEstimator::K3.value_and_slope(-1.0, -1.0 + 1e-6);
        assert!((value / 5e-13 - 1.0).abs() < 1e-3, "{value:e}"); // d^2 / 2
    }

    #[test]
    fn the_reward_loses_the_sum_over_the_sample() {
        let kl = KlConfig { coefficient: 0.5, estimator: KlEstimator::K1, place: KlPlace::Reward };
        assert_eq!(kl_in_reward(1.0, &[-1.0, -2.0], &[-1.5, -1.0], &kl), 1.0 - 0.5 * (0.5 - 1.0));
        assert_eq!(kl_in_reward(1.0, &[], &[], &kl), 1.0);
    }

    #[test]
    fn a_coefficient_that_would_reward_divergence_is_refused() {
        let kl = |coefficient| KlConfig { coefficient, estimator: KlEstimator::K3, place: KlPlace::Loss };
        assert!(kl(0.0).check().is_ok());
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let message = kl(bad).check().map_err(|e| e.to_string());
            assert!(message.is_err_and(|m| m.contains("kl.coefficient") && m.contains("0 or more")), "{bad}");
        }
    }
}
