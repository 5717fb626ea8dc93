//! Advantages of the samples of one prompt, relative to their group.
//!
//! GRPO (<https://arxiv.org/abs/2402.03300>, section 4.1.2) replaces a value model by the mean reward of the group.
//! A sample without a reward (its verifier faulted) has left the group: it counts in no mean and gets no advantage,
//! so a verifier's own fault never looks like a wrong answer.

use serde::{Deserialize, Serialize};

/// Added to the standard deviation before dividing, as TRL does.
const STD_EPSILON: f64 = 1e-4;

/// How the rewards of a group become advantages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvantageNorm {
    /// `(r - mean) / (std + 1e-4)`, std unbiased (GRPO, <https://arxiv.org/abs/2402.03300>).
    #[default]
    Std,
    /// `r - mean` (Dr. GRPO, <https://arxiv.org/abs/2503.20783>): hard and easy prompts are not weighted up.
    Mean,
    /// The reward itself (REINFORCE without a baseline).
    None,
}

/// What a group's rewards look like. Samples that left the group are not counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupStats {
    /// Samples with a reward.
    pub count: usize,
    /// Mean reward; 0 in an empty group.
    pub mean: f64,
    /// Unbiased standard deviation; 0 in groups of fewer than two.
    pub std: f64,
    /// Whether two rewards differ: otherwise every centred advantage is 0 and the group teaches nothing.
    pub has_variance: bool,
}

impl GroupStats {
    /// The statistics of the rewards of one group; `None` is a sample that left it.
    pub fn of(rewards: &[Option<f32>]) -> Self {
        let kept = || rewards.iter().flatten().map(|&r| f64::from(r));
        let count = kept().count();
        if count == 0 {
            return Self { count, mean: 0.0, std: 0.0, has_variance: false };
        }
        // Sums of equal f32 are exact in f64, so a group without variance gets exactly 0, not rounding noise / 1e-4.
        let mean = kept().sum::<f64>() / count as f64;
        let squares: f64 = kept().map(|r| (r - mean).powi(2)).sum();
        let std = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
        let first = kept().next();
        Self { count, mean, std, has_variance: kept().any(|r| Some(r) != first) }
    }
}

/// The advantage of each sample of one group, in the order given.
///
/// `rewards` are finite and of any size; `None` is a sample that left the group, and stays `None`. With
/// [`AdvantageNorm::Std`] and [`AdvantageNorm::Mean`] a group of one, or of equal rewards, gets zeros.
pub fn advantages(rewards: &[Option<f32>], how: AdvantageNorm) -> Vec<Option<f32>> {
    let group = GroupStats::of(rewards);
    let advantage = |reward: f32| {
        let centred = f64::from(reward) - group.mean;
        match how {
            AdvantageNorm::Std => (centred / (group.std + STD_EPSILON)) as f32,
            AdvantageNorm::Mean => centred as f32,
            AdvantageNorm::None => reward,
        }
    };
    rewards.iter().map(|reward| reward.map(advantage)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_without_a_reward_changes_nobody_elses_advantage() {
        for how in [AdvantageNorm::Std, AdvantageNorm::Mean, AdvantageNorm::None] {
            let whole = advantages(&[Some(1.0), Some(0.25), Some(-3.0)], how);
            let with_faults = advantages(&[None, Some(1.0), Some(0.25), None, Some(-3.0)], how);
            assert_eq!(with_faults, [None, whole[0], whole[1], None, whole[2]]);
        }
    }

    #[test]
    fn equal_rewards_give_exactly_zero_whatever_their_value() {
        for value in [0.1f32, 1.0 / 3.0, -7.7e20, 1e-30] {
            for size in [1, 2, 3, 7, 64] {
                let rewards = vec![Some(value); size];
                assert!(!GroupStats::of(&rewards).has_variance);
                for how in [AdvantageNorm::Std, AdvantageNorm::Mean] {
                    assert_eq!(advantages(&rewards, how), vec![Some(0.0); size], "{value} {how:?}");
                }
            }
        }
    }

    #[test]
    fn the_statistics_are_those_of_the_samples_that_stayed() {
        // 2, 4, 9: mean 5, unbiased variance (9 + 1 + 16) / 2 = 13.
        let group = GroupStats::of(&[Some(2.0), None, Some(4.0), Some(9.0)]);
        assert_eq!((group.count, group.mean, group.has_variance), (3, 5.0, true));
        assert!((group.std - 13f64.sqrt()).abs() < 1e-15);
        let advantages = advantages(&[Some(2.0), None, Some(4.0), Some(9.0)], AdvantageNorm::Std);
        assert_eq!(advantages[3], Some((4.0 / (13f64.sqrt() + 1e-4)) as f32));
    }

    #[test]
    fn a_group_that_everybody_left_is_empty() {
        let group = GroupStats::of(&[None, None]);
        assert_eq!((group.count, group.mean, group.std, group.has_variance), (0, 0.0, 0.0, false));
        assert_eq!(advantages(&[None, None], AdvantageNorm::Std), [None, None]);
    }
}
