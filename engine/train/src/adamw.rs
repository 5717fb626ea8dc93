//! AdamW with decoupled weight decay, and clipping of gradients by their global norm.
//!
//! The update is that of Loshchilov and Hutter (<https://arxiv.org/abs/1711.05101>, algorithm 2) as PyTorch writes
//! it: the decay is scaled by the learning rate and applied to the parameter, not to the gradient. The functions work
//! on slices, one parameter at a time; an element's result depends on nothing but its own numbers, and the norm is
//! summed in a fixed order, so a step has the same bits on any number of threads.
//!
//! Weights of rank one (norm weights, biases) are not decayed: see [`AdamWConfig::decay_of`].

use rayon::prelude::*;
use rlvr_objective::InvalidSetting;
use serde::{Deserialize, Serialize};

/// Elements that one task takes: small enough to share work, large enough to outweigh starting it.
const CHUNK: usize = 1 << 14;

/// Added to the norm before dividing by it, as PyTorch's `clip_grad_norm_` does.
const NORM_EPSILON: f64 = 1e-6;

/// The `adamw` table of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the gradient's running mean, in 0..1.
    pub beta1: f64,
    /// Decay of the squared gradient's running mean, in 0..1.
    pub beta2: f64,
    /// Added to the root of the second moment; above 0.
    pub eps: f64,
    /// Decay of matrices towards 0, per step and unit of learning rate; 0 or more.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 }
    }
}

impl AdamWConfig {
    /// Refuses values outside the ranges that the fields name.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let unit = |beta: f64| (0.0..1.0).contains(&beta);
        for (right, field, value, expected) in [
            (unit(self.beta1), "adamw.beta1", self.beta1, "0 or more and below 1"),
            (unit(self.beta2), "adamw.beta2", self.beta2, "0 or more and below 1"),
            (self.eps.is_finite() && self.eps > 0.0, "adamw.eps", self.eps, "a finite number above 0"),
            (
                self.weight_decay.is_finite() && self.weight_decay >= 0.0,
                "adamw.weight_decay",
                self.weight_decay,
                "a finite number, 0 or more",
            ),
        ] {
            if !right {
                return Err(InvalidSetting { field, value, expected: expected.to_owned() });
            }
        }
        Ok(())
    }

    /// The weight decay of a parameter of this shape: matrices (and what has more dimensions) decay, vectors do not.
    pub fn decay_of(&self, shape: &[usize]) -> f64 {
        if shape.len() < 2 { 0.0 } else { self.weight_decay }
    }

    /// The update of one parameter at one step; see [`AdamWStep`] for the arguments.
    pub fn step(&self, shape: &[usize], lr: f64, step: u64, grad_scale: f64) -> AdamWStep {
        let Self { beta1, beta2, eps, .. } = *self;
        AdamWStep { lr, beta1, beta2, eps, weight_decay: self.decay_of(shape), step, grad_scale }
    }
}

/// The numbers of one update of one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decay of this parameter.
    pub weight_decay: f64,
    /// Number of this update, from 1.
    pub step: u64,
    /// What the gradient is multiplied by first; see [`clip_scale`].
    pub grad_scale: f64,
}

/// Updates a parameter and its two moments in place, all `[elements]` f32, threaded by rayon.
///
/// Moments start at 0.
///
/// # Panics
/// If the slices differ in length, or `step.step` is 0.
pub fn adamw_step(param: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], step: &AdamWStep) {
    let lengths = [grad.len(), m.len(), v.len()];
    assert_eq!(lengths, [param.len(); 3], "gradient and moments must be as long as their parameter");
    assert!(step.step > 0, "updates are counted from 1");
    let update = Update::new(step);
    param
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
        .for_each(|((param, grad), (m, v))| update.apply(param, grad, m, v));
}

/// An [`AdamWStep`] as the f32 constants of the loop, each rounded once from f64.
struct Update {
    grad_scale: f32,
    keep: f32,
    beta1: f32,
    beta1_rest: f32,
    beta2: f32,
    beta2_rest: f32,
    /// `lr / (1 - beta1^step)`
    rate: f32,
    /// `1 / sqrt(1 - beta2^step)`
    root_scale: f32,
    eps: f32,
}

impl Update {
    fn new(step: &AdamWStep) -> Self {
        let n = step.step as f64;
        Self {
            grad_scale: step.grad_scale as f32,
            keep: (1.0 - step.lr * step.weight_decay) as f32,
            beta1: step.beta1 as f32,
            beta1_rest: (1.0 - step.beta1) as f32,
            beta2: step.beta2 as f32,
            beta2_rest: (1.0 - step.beta2) as f32,
            rate: (step.lr / (1.0 - step.beta1.powf(n))) as f32,
            root_scale: (1.0 / (1.0 - step.beta2.powf(n)).sqrt()) as f32,
            eps: step.eps as f32,
        }
    }

    /// Plain products and sums over zipped slices: the compiler vectorises this loop, and memory bounds it.
    fn apply(&self, param: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32]) {
        for (((param, &grad), m), v) in param.iter_mut().zip(grad).zip(m).zip(v) {
            let grad = grad * self.grad_scale;
            *m = *m * self.beta1 + grad * self.beta1_rest;
            *v = *v * self.beta2 + grad * grad * self.beta2_rest;
            *param = *param * self.keep - self.rate * *m / (v.sqrt() * self.root_scale + self.eps);
        }
    }
}

/// The Euclidean norm of all gradients taken as one vector, summed in f64 in an order that does not depend on threads.
pub fn global_norm(grads: &[&[f32]]) -> f64 {
    let chunks: Vec<&[f32]> = grads.iter().flat_map(|grad| grad.chunks(CHUNK)).collect();
    let sums: Vec<f64> = chunks.into_par_iter().map(sum_of_squares).collect();
    sums.into_iter().sum::<f64>().sqrt()
}

/// Eight running sums, so that the additions do not wait for each other.
fn sum_of_squares(values: &[f32]) -> f64 {
    let (blocks, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0f64; 8];
    for block in blocks {
        for (lane, &value) in lanes.iter_mut().zip(block) {
            *lane += f64::from(value) * f64::from(value);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
}

/// What gradients of this global norm are multiplied by, so that it is at most `clip_norm`: 1 where it already is.
///
/// A norm that is not finite gives a scale that is NaN or 0; the caller stops before updating.
pub fn clip_scale(norm: f64, clip_norm: f64) -> f64 {
    let scale = clip_norm / (norm + NORM_EPSILON);
    if scale > 1.0 { 1.0 } else { scale }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Written by `tests/oracles/torch_adamw.py`.
    #[derive(Deserialize)]
    struct Fixture {
        adamw: AdamWConfig,
        clip_norm: f64,
        shapes: Vec<Vec<usize>>,
        initial: Vec<Vec<f32>>,
        steps: Vec<Step>,
    }

    #[derive(Deserialize)]
    struct Step {
        lr: f64,
        grads: Vec<Vec<f32>>,
        norm: f64,
        params: Vec<Vec<f32>>,
    }

    #[test]
    fn parameters_follow_those_of_pytorch_through_clipped_and_unclipped_steps() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/torch_adamw.json");
        let fixture: Vec<Fixture> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut scales = Vec::new();
        for run in fixture {
            let mut params = run.initial.clone();
            let mut m: Vec<_> = params.iter().map(|p| vec![0.0; p.len()]).collect();
            let mut v = m.clone();
            for (i, step) in run.steps.iter().enumerate() {
                let norm = global_norm(&step.grads.iter().map(Vec::as_slice).collect::<Vec<_>>());
                assert!((norm / step.norm - 1.0).abs() < 1e-6, "step {i}: norm {norm} against {}", step.norm);
                let scale = clip_scale(norm, run.clip_norm);
                scales.push(scale);
                for (p, shape) in run.shapes.iter().enumerate() {
                    let update = run.adamw.step(shape, step.lr, i as u64 + 1, scale);
                    adamw_step(&mut params[p], &step.grads[p], &mut m[p], &mut v[p], &update);
                    for (ours, theirs) in params[p].iter().zip(&step.params[p]) {
                        let off = (ours - theirs).abs();
                        assert!(off <= 2e-6 * theirs.abs() + 2e-7, "step {i} {p}: {ours} against {theirs}");
                    }
                }
            }
        }
        assert!(scales.contains(&1.0) && scales.iter().any(|&s| s < 0.5), "both kinds of step: {scales:?}");
    }

    /// Numbers in -1..1 that differ from each other.
    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64).map(|i| ((i * 7919 + seed * 104_729) % 65_537) as f32 / 32_768.0 - 1.0).collect()
    }

    #[test]
    fn long_parameters_are_updated_to_the_last_element_as_in_f64() {
        let count = 2 * CHUNK + 13;
        let (start, grad) = (numbers(count, 1), numbers(count, 2));
        let (mut param, mut m, mut v) = (start.clone(), numbers(count, 3), vec![0.25; count]);
        let first_m = m.clone();
        let config = AdamWConfig::default();
        adamw_step(&mut param, &grad, &mut m, &mut v, &config.step(&[1, count], 1e-2, 3, 0.5));
        for i in 0..count {
            let g = 0.5 * f64::from(grad[i]);
            let m64 = 0.9 * f64::from(first_m[i]) + 0.1 * g;
            let v64 = 0.95 * 0.25 + 0.05 * g * g;
            let (m_hat, v_hat) = (m64 / (1.0 - 0.9f64.powi(3)), v64 / (1.0 - 0.95f64.powi(3)));
            let right = f64::from(start[i]) * (1.0 - 1e-3) - 1e-2 * m_hat / (v_hat.sqrt() + 1e-8);
            assert!((f64::from(param[i]) - right).abs() < 3e-7, "{i}: {} against {right}", param[i]);
            assert!((f64::from(m[i]) - m64).abs() < 2e-7 && (f64::from(v[i]) - v64).abs() < 2e-7, "{i}");
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_the_number_of_threads() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (mut param, grad) = (numbers(100_003, 1), numbers(100_003, 2));
                let (mut m, mut v) = (vec![0.0; grad.len()], vec![0.0; grad.len()]);
                let norm = global_norm(&[&grad, &param, &grad[..77]]);
                let step = AdamWConfig::default().step(&[2, 2], 1e-3, 1, clip_scale(norm, 1.0));
                adamw_step(&mut param, &grad, &mut m, &mut v, &step);
                (norm.to_bits(), param.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
            })
        };
        let alone = run(1);
        assert!([2, 3, 5].into_iter().all(|threads| run(threads) == alone));
    }

    #[test]
    fn the_norm_is_that_of_all_gradients_together() {
        assert_eq!(global_norm(&[&[3.0], &[], &[0.0, 4.0]]), 5.0);
        assert_eq!(global_norm(&[]), 0.0);
        assert_eq!(global_norm(&[&vec![2.0; 4 * CHUNK]]), (16.0 * CHUNK as f64).sqrt());
        assert!(global_norm(&[&[1.0], &[f32::NAN]]).is_nan());
        // Squares that overflow f32 do not overflow the norm.
        assert_eq!(global_norm(&[&[1e30]]), f64::from(1e30f32));
    }

    #[test]
    fn only_norms_above_the_bound_are_scaled_down() {
        assert_eq!(clip_scale(0.5, 1.0), 1.0);
        assert_eq!(clip_scale(0.0, 1.0), 1.0);
        assert!((clip_scale(4.0, 1.0) - 0.25).abs() < 1e-6);
        assert!(clip_scale(f64::NAN, 1.0).is_nan());
    }

    #[test]
    fn vectors_are_not_decayed() {
        let config = AdamWConfig { weight_decay: 0.5, ..AdamWConfig::default() };
        assert_eq!((config.decay_of(&[8]), config.decay_of(&[]), config.decay_of(&[8, 1])), (0.0, 0.0, 0.5));
        let (mut m, mut v) = ([0.0], [0.0]);
        for (shape, after) in [(&[1][..], 2.0), (&[1, 1][..], 2.0 * (1.0 - 0.1 * 0.5))] {
            let mut param = [2.0f32];
            adamw_step(&mut param, &[0.0], &mut m, &mut v, &config.step(shape, 0.1, 1, 1.0));
            assert_eq!(param, [after], "{shape:?}");
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_name() {
        let good = AdamWConfig::default();
        assert!(good.check().is_ok());
        for (bad, field) in [
            (AdamWConfig { beta1: 1.0, ..good }, "adamw.beta1"),
            (AdamWConfig { beta2: -0.1, ..good }, "adamw.beta2"),
            (AdamWConfig { eps: 0.0, ..good }, "adamw.eps"),
            (AdamWConfig { weight_decay: f64::NAN, ..good }, "adamw.weight_decay"),
        ] {
            assert_eq!(bad.check().map_err(|e| e.field), Err(field));
        }
    }
}
