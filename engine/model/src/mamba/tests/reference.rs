//! The mixer written out from its definition in f64, one sequence at a time, and what is made to test it with.

use crate::mamba::{MambaShape, MambaWeights};
use crate::packed::Packed;
use crate::params::Params;
use crate::tensor::tensor;

/// Parameters in the order of [`PARAMETERS`] behind the projected input, in the checkpoint's layout.
pub type Inputs = Vec<Vec<f64>>;

/// What the inputs behind the first are.
pub const PARAMETERS: [&str; 6] = ["conv1d.weight", "dt_bias", "A_log", "D", "norm.weight", "conv1d.bias"];

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// `rows` (`[tokens, projected]`) of one sequence to `[tokens, inner]`.
pub fn mixed(shape: &MambaShape, inputs: &Inputs, rows: &[&[f64]]) -> Vec<Vec<f64>> {
    let [conv, dt_bias, a_log, skip, norm] = [1, 2, 3, 4, 5].map(|i| &inputs[i]);
    let (inner, channels, kernel) = (shape.inner(), shape.channels(), shape.kernel);
    let (dim, n, group) = (shape.head_dim, shape.state, inner / shape.groups);
    let mut states = vec![vec![vec![0.0; n]; dim]; shape.heads];
    let mut out = Vec::new();
    for (t, row) in rows.iter().enumerate() {
        let filtered: Vec<f64> = (0..channels)
            .map(|c| {
                let bias = inputs.get(6).map_or(0.0, |bias| bias[c]);
                let taps = (0..kernel).filter(|k| t + k + 1 >= kernel);
                silu(
                    bias + taps
                        .map(|k| conv[c * kernel + k] * rows[t + k + 1 - kernel][inner + c])
                        .sum::<f64>(),
                )
            })
            .collect();
        let mut y = vec![0.0; inner];
        for (h, state) in states.iter_mut().enumerate() {
            let g = h / (shape.heads / shape.groups);
            let (b, c) = (inner + g * n, inner + (shape.groups + g) * n);
            let dt = (row[inner + channels + h] + dt_bias[h]).exp().ln_1p();
            let dt = dt.clamp(f64::from(shape.dt_min), f64::from(shape.dt_max));
            let decay = (-a_log[h].exp() * dt).exp();
            for (p, state) in state.iter_mut().enumerate() {
                let x = filtered[h * dim + p];
                for (i, s) in state.iter_mut().enumerate() {
                    *s = decay * *s + dt * x * filtered[b + i];
                    y[h * dim + p] += *s * filtered[c + i];
                }
                y[h * dim + p] += skip[h] * x;
            }
        }
        let gated: Vec<f64> = y.iter().zip(*row).map(|(y, gate)| y * silu(*gate)).collect();
        let normed = (0..inner).map(|i| {
            let of = &gated[i / group * group..(i / group + 1) * group];
            let mean = of.iter().map(|v| v * v).sum::<f64>() / group as f64;
            gated[i] / (mean + f64::from(shape.eps)).sqrt() * norm[i]
        });
        out.push(normed.collect());
    }
    out
}

/// `sum(out * weight)` over a packed batch, every continuation being run behind a copy of its prefix.
pub fn loss(shape: &MambaShape, inputs: &Inputs, batch: &Packed, weight: &[f32]) -> f64 {
    let rows: Vec<&[f64]> = inputs[0].chunks_exact(shape.projected()).collect();
    let mut total = 0.0;
    for segment in &batch.segments {
        let prefix = segment
            .prefix
            .map_or(0..0, |p| batch.segments[p].start..batch.segments[p].start + batch.segments[p].len);
        let before = prefix.len();
        let sequence: Vec<&[f64]> =
            prefix.chain(segment.start..segment.start + segment.len).map(|t| rows[t]).collect();
        for (i, row) in mixed(shape, inputs, &sequence)[before..].iter().enumerate() {
            let weight = &weight[(segment.start + i) * shape.inner()..];
            total += row.iter().zip(weight).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
        }
    }
    total
}

/// Floats in `-1..=1` without an obvious pattern.
pub fn wave(n: usize, seed: f32) -> Vec<f32> {
    (0..n).map(|i| ((i as f32 + 31.0 * seed) * 0.7371).sin()).collect()
}

/// A projected input for `tokens` tokens and parameters of plausible sizes.
pub fn inputs(shape: &MambaShape, bias: bool, tokens: usize) -> Vec<Vec<f32>> {
    let heads = shape.heads;
    let mut inputs = vec![
        wave(tokens * shape.projected(), 1.0),
        wave(shape.channels() * shape.kernel, 2.0),
        wave(heads, 3.0),
        wave(heads, 4.0),
        wave(heads, 5.0),
        wave(shape.inner(), 6.0).into_iter().map(|x| 1.0 + 0.3 * x).collect(),
    ];
    if bias {
        inputs.push(wave(shape.channels(), 7.0));
    }
    inputs
}

/// The parameters among `inputs`, as a model holds them.
pub fn parameters(shape: &MambaShape, inputs: &[Vec<f32>]) -> (Params, MambaWeights) {
    let mut params = Params::default();
    let ids: Vec<_> = (inputs[1..].iter().zip(PARAMETERS))
        .map(|(values, name)| {
            let value = match name {
                "conv1d.weight" => tensor(values.clone(), (shape.channels(), 1, shape.kernel)),
                _ => tensor(values.clone(), values.len()),
            };
            params.push(name.into(), value.unwrap())
        })
        .collect();
    let weights = MambaWeights {
        conv_weight: ids[0],
        dt_bias: ids[1],
        a_log: ids[2],
        d: ids[3],
        norm: ids[4],
        conv_bias: ids.get(5).copied(),
    };
    (params, weights)
}
