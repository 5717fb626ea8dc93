//! Losses against a second implementation written straight from the papers' formulas in f64, and gradients against
//! its finite differences, for every combination of normalisation, clips, penalty and place.

use rlvr_objective::{
    KlConfig, KlEstimator, KlPlace, LossMetrics, Normalisation, PolicyLossConfig, Scale, Sequence,
    policy_loss,
};

const MAX_TOKENS: usize = 12;

/// A sequence that owns its numbers.
#[derive(Clone)]
struct Sample {
    new: Vec<f32>,
    old: Vec<f32>,
    reference: Vec<f32>,
    advantage: f32,
}

impl Sample {
    fn view(&self) -> Sequence<'_> {
        Sequence {
            logprobs: &self.new,
            old_logprobs: &self.old,
            reference: Some(&self.reference),
            advantage: self.advantage,
        }
    }
}

/// Uniform numbers in 0..1 from a multiplicative congruential generator: enough to spread test points.
fn uniforms(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn batch(seed: u64) -> Vec<Sample> {
    let mut uniform = uniforms(seed);
    [3usize, 1, 12, 7, 5, 2]
        .into_iter()
        .map(|length| {
            let mut row = |from: f64, to: f64| -> Vec<f64> {
                (0..length).map(|_| from + (to - from) * uniform()).collect()
            };
            let old = row(-4.0, -0.3);
            let shifted = |by: Vec<f64>| old.iter().zip(by).map(|(a, b)| (a + b) as f32).collect();
            let (new, reference) = (shifted(row(-0.6, 0.6)), shifted(row(-0.8, 0.8)));
            let advantage = row(-2.0, 2.0)[0] as f32;
            Sample { new, old: old.iter().map(|&x| x as f32).collect(), reference, advantage }
        })
        .collect()
}

/// The batch's loss as the papers write it, with the log-probability of one token moved by `step`.
fn written_out(samples: &[Sample], config: &PolicyLossConfig, moved: (usize, usize), step: f64) -> f64 {
    let mut token_losses = Vec::new();
    for (s, sample) in samples.iter().enumerate() {
        let mut losses = Vec::new();
        for t in 0..sample.new.len() {
            let policy = f64::from(sample.new[t]) + if (s, t) == moved { step } else { 0.0 };
            let ratio = (policy - f64::from(sample.old[t])).exp();
            let a = f64::from(sample.advantage);
            let clipped = ratio.clamp(1.0 - config.clip_low, 1.0 + config.clip_high);
            let mut loss = -(ratio * a).min(clipped * a);
            if let Some(kl) = config.kl.filter(|kl| kl.place == KlPlace::Loss) {
                let log_ratio = policy - f64::from(sample.reference[t]);
                loss += kl.coefficient
                    * match kl.estimator {
                        KlEstimator::K1 => log_ratio,
                        KlEstimator::K2 => log_ratio.powi(2) / 2.0,
                        KlEstimator::K3 => (-log_ratio).exp() - 1.0 + log_ratio,
                    };
            }
            losses.push(loss);
        }
        token_losses.push(losses);
    }
    let sum = |losses: &[f64]| losses.iter().sum::<f64>();
    match config.normalisation {
        Normalisation::Token => sum(&token_losses.concat()) / token_losses.concat().len() as f64,
        Normalisation::Sequence => {
            token_losses.iter().map(|l| sum(l) / l.len() as f64).sum::<f64>() / samples.len() as f64
        }
        Normalisation::Constant => sum(&token_losses.concat()) / (samples.len() * MAX_TOKENS) as f64,
    }
}

fn every_config() -> Vec<PolicyLossConfig> {
    let mut all = Vec::new();
    for normalisation in [Normalisation::Token, Normalisation::Sequence, Normalisation::Constant] {
        for (clip_low, clip_high) in [(0.2, 0.2), (0.2, 0.28), (0.0, 0.0), (1.0, 10.0)] {
            all.push(PolicyLossConfig { clip_low, clip_high, normalisation, kl: None });
            for estimator in [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3] {
                for place in [KlPlace::Loss, KlPlace::Reward] {
                    let kl = Some(KlConfig { coefficient: 0.3, estimator, place });
                    all.push(PolicyLossConfig { clip_low, clip_high, normalisation, kl });
                }
            }
        }
    }
    all
}

fn scale_of(samples: &[Sample]) -> Scale {
    Scale::of_lengths(samples.iter().map(|s| s.new.len()), MAX_TOKENS)
}

#[test]
fn every_variant_is_the_papers_formula_and_its_slopes_are_finite_differences() {
    let samples = batch(7);
    let (views, scale) = (samples.iter().map(Sample::view).collect::<Vec<_>>(), scale_of(&samples));
    for config in every_config() {
        let out = policy_loss(&views, &config, &scale);
        let loss = written_out(&samples, &config, (usize::MAX, 0), 0.0);
        assert!((out.loss - loss).abs() < 1e-14, "{config:?}: {} against {loss}", out.loss);
        for (s, slopes) in out.d_logprobs.iter().enumerate() {
            assert_eq!(slopes.len(), samples[s].new.len());
            for (t, &slope) in slopes.iter().enumerate() {
                let h = 1e-5;
                let moved = |step| written_out(&samples, &config, (s, t), step);
                let difference = (moved(h) - moved(-h)) / (2.0 * h);
                let off = (f64::from(slope) - difference).abs();
                assert!(
                    off < 1e-7 * difference.abs() + 1e-9,
                    "{config:?} {s} {t}: {slope} against {difference}"
                );
            }
        }
    }
}

#[test]
fn slopes_on_either_side_of_a_clip_are_the_one_sided_differences() {
    let token = |log_ratio: f64, advantage: f32| Sample {
        new: vec![(-1.0 + log_ratio) as f32],
        old: vec![-1.0],
        reference: vec![-1.0],
        advantage,
    };
    for (clip_low, clip_high) in [(0.2, 0.2), (0.2, 0.28)] {
        let config = PolicyLossConfig { clip_low, clip_high, normalisation: Normalisation::Token, kl: None };
        for border in [(1.0 - clip_low).ln(), (1.0 + clip_high).ln()] {
            for advantage in [1.5, -1.5] {
                for side in [-1e-4, 1e-4] {
                    let samples = [token(border + side, advantage)];
                    let out = policy_loss(&[samples[0].view()], &config, &scale_of(&samples));
                    let moved = |step| written_out(&samples, &config, (0, 0), step);
                    let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5; // stays on its side of the border
                    let slope = f64::from(out.d_logprobs[0][0]);
                    assert!(
                        (slope - difference).abs() < 1e-6,
                        "{border} {side} {advantage}: {slope} {difference}"
                    );
                    let held = (border > 0.0) == (advantage > 0.0) && (side > 0.0) == (border > 0.0);
                    assert_eq!(slope == 0.0, held, "{border} {side} {advantage}");
                    let counted = out.metrics.clipped_low + out.metrics.clipped_high;
                    assert_eq!(counted, u64::from(held), "{border} {side} {advantage}");
                }
            }
        }
    }
}

#[test]
fn on_the_border_itself_the_gradient_flows() {
    // A ratio of exactly 1 with both clips 0 is on both borders: an on-policy step must still learn.
    let config =
        PolicyLossConfig { clip_low: 0.0, clip_high: 0.0, normalisation: Normalisation::Token, kl: None };
    for advantage in [2.0, -2.0] {
        let sequence = Sequence { logprobs: &[-0.7], old_logprobs: &[-0.7], reference: None, advantage };
        let out = policy_loss(&[sequence], &config, &Scale::of_lengths([1], 1));
        assert_eq!(out.d_logprobs, [[-advantage]]);
        assert_eq!(out.metrics.clip_fraction(), 0.0);
    }
}

#[test]
fn micro_batches_sum_to_their_batch_however_it_is_split() {
    let samples = batch(11);
    let (views, scale) = (samples.iter().map(Sample::view).collect::<Vec<_>>(), scale_of(&samples));
    for config in every_config() {
        let whole = policy_loss(&views, &config, &scale);
        for size in 1..=views.len() {
            let (mut loss, mut slopes, mut metrics) = (0.0, Vec::new(), LossMetrics::default());
            for micro in views.chunks(size) {
                let part = policy_loss(micro, &config, &scale);
                loss += part.loss;
                slopes.extend(part.d_logprobs);
                metrics += part.metrics;
            }
            assert!((loss - whole.loss).abs() < 1e-14, "{config:?} in parts of {size}");
            assert_eq!(slopes, whole.d_logprobs, "{config:?} in parts of {size}");
            assert_eq!(
                (
                    metrics.tokens,
                    metrics.clipped_low,
                    metrics.clipped_high,
                    metrics.ratio_max,
                    metrics.kl_tokens
                ),
                (
                    whole.metrics.tokens,
                    whole.metrics.clipped_low,
                    whole.metrics.clipped_high,
                    whole.metrics.ratio_max,
                    whole.metrics.kl_tokens
                )
            );
            assert!((metrics.ratio_mean() - whole.metrics.ratio_mean()).abs() < 1e-14);
        }
    }
}

#[test]
fn a_penalty_in_the_reward_is_measured_but_changes_neither_loss_nor_gradient() {
    let samples = batch(13);
    let (views, scale) = (samples.iter().map(Sample::view).collect::<Vec<_>>(), scale_of(&samples));
    let plain =
        PolicyLossConfig { clip_low: 0.2, clip_high: 0.2, normalisation: Normalisation::Sequence, kl: None };
    let kl = KlConfig { coefficient: 0.3, estimator: KlEstimator::K3, place: KlPlace::Reward };
    let with = policy_loss(&views, &PolicyLossConfig { kl: Some(kl), ..plain }, &scale);
    let without = policy_loss(&views, &plain, &scale);
    assert_eq!((with.loss, &with.d_logprobs), (without.loss, &without.d_logprobs));
    assert!(with.metrics.kl().is_some_and(|kl| kl > 0.0) && without.metrics.kl().is_none());
}

#[test]
fn an_empty_sequence_counts_as_a_sequence_and_divides_by_nothing() {
    let empty = Sequence { logprobs: &[], old_logprobs: &[], reference: None, advantage: 1.0 };
    let token = Sequence { logprobs: &[-1.0], old_logprobs: &[-1.0], reference: None, advantage: 1.0 };
    for (normalisation, loss) in
        [(Normalisation::Token, -1.0), (Normalisation::Sequence, -0.5), (Normalisation::Constant, -0.125)]
    {
        let config = PolicyLossConfig { clip_low: 0.2, clip_high: 0.2, normalisation, kl: None };
        let out = policy_loss(&[empty, token], &config, &Scale::of_lengths([0, 1], 4));
        assert_eq!((out.loss, out.d_logprobs), (loss, vec![vec![], vec![loss as f32]]), "{normalisation:?}");
    }
}

#[test]
fn values_that_are_not_finite_reach_the_metrics() {
    let config =
        PolicyLossConfig { clip_low: 0.2, clip_high: 0.2, normalisation: Normalisation::Token, kl: None };
    let bad = Sequence {
        logprobs: &[-1.0, f32::NAN, -1.0],
        old_logprobs: &[-1.0; 3],
        reference: None,
        advantage: 1.0,
    };
    let out = policy_loss(&[bad], &config, &Scale::of_lengths([3], 3));
    assert!(out.loss.is_nan() && out.metrics.ratio_max.is_nan() && out.d_logprobs[0][1].is_nan());
}

#[test]
fn clips_that_mean_nothing_are_refused() {
    let config = |clip_low, clip_high| PolicyLossConfig {
        clip_low,
        clip_high,
        normalisation: Normalisation::Token,
        kl: None,
    };
    assert!(config(0.0, 0.0).check().is_ok() && config(1.0, 5.0).check().is_ok());
    for (low, high, field) in [
        (-0.1, 0.2, "clip_low"),
        (1.5, 0.2, "clip_low"),
        (f64::NAN, 0.2, "clip_low"),
        (0.2, -0.2, "clip_high"),
        (0.2, f64::INFINITY, "clip_high"),
    ] {
        assert_eq!(config(low, high).check().map_err(|e| e.field), Err(field));
    }
}
