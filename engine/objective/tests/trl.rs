//! The objective against TRL's own numbers: `tests/oracles/trl_losses.py` runs TRL's trainers on given rewards and
//! log-probabilities and writes the fixture that is read here.
//!
//! TRL's losses were taken in f64, so they are held to 1e-12; its advantages are f32.

use std::path::Path;

use rlvr_objective::{
    AdvantageNorm, KlConfig, KlEstimator, KlPlace, Normalisation, PolicyLossConfig, Scale, Sequence,
    advantages, kl_in_reward, policy_loss,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    advantages: Vec<Group>,
    batch: Batch,
    losses: Vec<Loss>,
    reward_kl: RewardKl,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    how: AdvantageNorm,
    rewards: Vec<Option<f32>>,
    advantages: Vec<f32>,
}

#[derive(Deserialize)]
struct Batch {
    max_tokens: usize,
    advantages: Vec<f32>,
    logprobs: Vec<Vec<f32>>,
    old_logprobs: Vec<Vec<f32>>,
    reference: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Loss {
    loss_type: String,
    clip_low: f64,
    clip_high: f64,
    beta: f64,
    loss: f64,
    d_logprobs: Vec<Vec<f64>>,
    clipped_low: f64,
    clipped_high: f64,
    kl: Option<f64>,
}

#[derive(Deserialize)]
struct RewardKl {
    rewards: Vec<f32>,
    beta: f64,
    group: usize,
    advantages: Vec<f32>,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/trl_losses.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl Batch {
    fn sequences(&self) -> Vec<Sequence<'_>> {
        (0..self.advantages.len())
            .map(|i| Sequence {
                logprobs: &self.logprobs[i],
                old_logprobs: &self.old_logprobs[i],
                reference: Some(&self.reference[i]),
                advantage: self.advantages[i],
            })
            .collect()
    }
}

fn close(ours: f64, theirs: f64, relative: f64, floor: f64) -> bool {
    (ours - theirs).abs() <= relative * theirs.abs() + floor
}

#[test]
fn advantages_are_those_of_trl() {
    for group in fixture().advantages {
        let ours = advantages(&group.rewards, group.how);
        // f32 means lose up to an ulp of the largest reward, which TRL then divides by std + 1e-4.
        let largest = group.rewards.iter().flatten().fold(0f32, |a, r| a.max(r.abs()));
        let floor = if largest > 100.0 { 1e-3 } else { 1e-6 };
        for ((ours, reward), theirs) in ours.iter().zip(&group.rewards).zip(group.advantages) {
            assert_eq!(ours.is_none(), reward.is_none(), "{}", group.name);
            // TRL keeps a sample without a reward in the batch, with advantage 0; here it has left.
            let ours = ours.unwrap_or(0.0);
            let case = format!("{} {:?}: {ours} against {theirs}", group.name, group.how);
            assert!(close(ours.into(), theirs.into(), 1e-5, floor), "{case}");
        }
    }
}

#[test]
fn losses_gradients_and_metrics_are_those_of_trl() {
    let fixture = fixture();
    let sequences = fixture.batch.sequences();
    let tokens: usize = sequences.iter().map(|s| s.logprobs.len()).sum();
    let scale = Scale::of_lengths(sequences.iter().map(|s| s.logprobs.len()), fixture.batch.max_tokens);
    assert_eq!(fixture.losses.len(), 32);
    let mut clipped = 0;
    for theirs in fixture.losses {
        let case = format!(
            "{} clips {} {} beta {}",
            theirs.loss_type, theirs.clip_low, theirs.clip_high, theirs.beta
        );
        let config = PolicyLossConfig {
            clip_low: theirs.clip_low,
            clip_high: theirs.clip_high,
            normalisation: match theirs.loss_type.as_str() {
                "grpo" => Normalisation::Sequence,
                "dapo" | "bnpo" => Normalisation::Token,
                "dr_grpo" => Normalisation::Constant,
                other => panic!("a loss type without a counterpart here: {other}"),
            },
            kl: (theirs.beta != 0.0).then_some(KlConfig {
                coefficient: theirs.beta,
                estimator: KlEstimator::K3,
                place: KlPlace::Loss,
            }),
        };
        let ours = policy_loss(&sequences, &config, &scale);
        assert!(close(ours.loss, theirs.loss, 1e-12, 1e-14), "{case}: {} against {}", ours.loss, theirs.loss);
        for (ours, theirs) in ours.d_logprobs.iter().flatten().zip(theirs.d_logprobs.iter().flatten()) {
            assert!(close((*ours).into(), *theirs, 1e-7, 0.0), "{case}: slope {ours} against {theirs}");
        }
        assert_eq!(ours.d_logprobs.concat().len(), tokens);
        // TRL logs shares in f32.
        let share = |count: u64| count as f64 / tokens as f64;
        assert!(close(share(ours.metrics.clipped_low), theirs.clipped_low, 1e-6, 0.0), "{case}");
        assert!(close(share(ours.metrics.clipped_high), theirs.clipped_high, 1e-6, 0.0), "{case}");
        assert_eq!(ours.metrics.kl().is_some(), theirs.kl.is_some(), "{case}");
        if let (Some(ours), Some(theirs)) = (ours.metrics.kl(), theirs.kl) {
            assert!(close(ours, theirs, 1e-6, 0.0), "{case}: kl {ours} against {theirs}");
        }
        clipped += ours.metrics.clipped_low + ours.metrics.clipped_high;
    }
    assert!(clipped > 0, "no token was held by a clip, so the comparison says nothing of clips");
}

#[test]
fn a_penalty_in_the_reward_is_that_of_trls_rloo() {
    let Fixture { batch, reward_kl: theirs, .. } = fixture();
    let kl = KlConfig { coefficient: theirs.beta, estimator: KlEstimator::K1, place: KlPlace::Reward };
    let rewards: Vec<f64> = (0..theirs.rewards.len())
        .map(|i| kl_in_reward(theirs.rewards[i], &batch.old_logprobs[i], &batch.reference[i], &kl).into())
        .collect();
    for (rewards, theirs) in rewards.chunks(theirs.group).zip(theirs.advantages.chunks(theirs.group)) {
        let sum: f64 = rewards.iter().sum();
        for (reward, &theirs) in rewards.iter().zip(theirs) {
            // RLOO's advantage: the reward less the mean of the others'.
            let ours = reward - (sum - reward) / (rewards.len() - 1) as f64;
            assert!(close(ours, theirs.into(), 1e-5, 1e-6), "{ours} against {theirs}");
        }
    }
}
