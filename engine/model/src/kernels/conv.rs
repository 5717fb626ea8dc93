//! The short causal convolution in front of a state space: one filter per channel, then SiLU; forward and backward.
//!
//! Every function works on one row (one token), with vector lanes over the channels, and is told where the rows it looks
//! at lie: a decode step, a prefill and a packed batch differ in that alone, so they agree to the bit.

use super::elementwise::sigmoid;
use super::simd::{Simd, dispatch};

dispatch! {
    /// Writes `silu(bias + sum_k taps[k] * sources[k])` to `out`, `[channels]`.
    ///
    /// `sources` are the `kernel` inputs up to this token, oldest first; `taps` is `[kernel, channels]`.
    pub fn conv_silu(sources: &[&[f32]], taps: &[f32], bias: &[f32], out: &mut [f32]) = conv_silu_on
}

/// The sums before SiLU of the `len` channels from `i` on.
#[inline(always)]
unsafe fn filtered<S: Simd>(sources: &[&[f32]], taps: &[f32], bias: &[f32], i: usize, len: usize) -> S::V {
    // SAFETY: the caller has checked that all rows and taps hold `i + len` channels.
    unsafe {
        let mut sum = S::load_part(bias.as_ptr().add(i), len);
        for (k, source) in sources.iter().enumerate() {
            let tap = S::load_part(taps.as_ptr().add(k * bias.len() + i), len);
            sum = S::fma(tap, S::load_part(source.as_ptr().add(i), len), sum);
        }
        sum
    }
}

fn check(sources: &[&[f32]], taps: &[f32], bias: &[f32], row: usize) {
    let fits = bias.len() == row && taps.len() == sources.len() * row;
    assert!(fits && sources.iter().all(|s| s.len() == row), "convolution: rows of different lengths");
}

#[inline(always)]
unsafe fn conv_silu_on<S: Simd>(sources: &[&[f32]], taps: &[f32], bias: &[f32], out: &mut [f32]) {
    let n = out.len();
    check(sources, taps, bias, n);
    // SAFETY: `check` has found `n` channels everywhere.
    unsafe {
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let sum = filtered::<S>(sources, taps, bias, i, len);
            S::store_part(out.as_mut_ptr().add(i), S::mul(sum, sigmoid::<S>(sum)), len);
        }
    }
}

dispatch! {
    /// Backward of [`conv_silu`] as far as the sums before SiLU: turns the gradient of `out` in `grad` into theirs and adds
    /// to `d_taps` and `d_bias`. [`conv_input_backward`] takes it on to the inputs.
    pub fn conv_silu_backward(
        sources: &[&[f32]], taps: &[f32], bias: &[f32], grad: &mut [f32], d_taps: &mut [f32], d_bias: &mut [f32],
    ) = conv_silu_backward_on
}

#[inline(always)]
unsafe fn conv_silu_backward_on<S: Simd>(
    sources: &[&[f32]],
    taps: &[f32],
    bias: &[f32],
    grad: &mut [f32],
    d_taps: &mut [f32],
    d_bias: &mut [f32],
) {
    let n = grad.len();
    check(sources, taps, bias, n);
    assert!(d_taps.len() == taps.len() && d_bias.len() == n, "convolution backward: lengths");
    // SAFETY: `check` and the assertion have found `n` channels everywhere.
    unsafe {
        let one = S::splat(1.0);
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let sum = filtered::<S>(sources, taps, bias, i, len);
            let s = sigmoid::<S>(sum);
            let slope = S::mul(s, S::fma(sum, S::sub(one, s), one));
            let g = S::mul(S::load_part(grad.as_ptr().add(i), len), slope);
            S::store_part(grad.as_mut_ptr().add(i), g, len);
            let to = d_bias.as_mut_ptr().add(i);
            S::store_part(to, S::add(S::load_part(to, len), g), len);
            for (k, source) in sources.iter().enumerate() {
                let to = d_taps.as_mut_ptr().add(k * n + i);
                let x = S::load_part(source.as_ptr().add(i), len);
                S::store_part(to, S::fma(g, x, S::load_part(to, len)), len);
            }
        }
    }
}

dispatch! {
    /// Adds to `d_input`, the gradient of one input row, that of each sum it has a part in: `uses` are pairs of such a sum's
    /// gradient and the index of the tap in between, added in the order given.
    pub fn conv_input_backward(uses: &[(&[f32], usize)], taps: &[f32], d_input: &mut [f32]) = conv_input_backward_on
}

#[inline(always)]
unsafe fn conv_input_backward_on<S: Simd>(uses: &[(&[f32], usize)], taps: &[f32], d_input: &mut [f32]) {
    let n = d_input.len();
    assert!(
        uses.iter().all(|(grad, tap)| grad.len() == n && (tap + 1) * n <= taps.len()),
        "convolution backward: lengths"
    );
    // SAFETY: the assertion has found `n` channels everywhere.
    unsafe {
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let to = d_input.as_mut_ptr().add(i);
            let mut sum = S::load_part(to, len);
            for (grad, tap) in uses {
                let tap = S::load_part(taps.as_ptr().add(tap * n + i), len);
                sum = S::fma(tap, S::load_part(grad.as_ptr().add(i), len), sum);
            }
            S::store_part(to, sum, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, seed: f32) -> Vec<f32> {
        (0..n).map(|i| ((i as f32 + seed) * 0.7371).sin()).collect()
    }

    /// `sum(out * weight)` of one channel's row in f64.
    fn loss(sources: &[f64], taps: &[f64], bias: f64, weight: f64) -> f64 {
        let sum = bias + sources.iter().zip(taps).map(|(a, b)| a * b).sum::<f64>();
        weight * sum / (1.0 + (-sum).exp())
    }

    #[test]
    fn outputs_and_gradients_agree_with_f64_and_its_differences() {
        for (n, kernel) in [(37, 4), (16, 2), (5, 1)] {
            let rows: Vec<Vec<f32>> = (0..kernel).map(|k| wave(n, 10.0 * k as f32)).collect();
            let sources: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let (taps, bias, weight) = (wave(kernel * n, 3.0), wave(n, 5.0), wave(n, 77.0));
            let mut out = vec![0.0; n];
            conv_silu(&sources, &taps, &bias, &mut out);
            let (mut grad, mut d_taps, mut d_bias) = (weight.clone(), vec![0.0; kernel * n], vec![0.0; n]);
            conv_silu_backward(&sources, &taps, &bias, &mut grad, &mut d_taps, &mut d_bias);
            for c in 0..n {
                let x: Vec<f64> = rows.iter().map(|r| f64::from(r[c])).collect();
                let w: Vec<f64> = (0..kernel).map(|k| f64::from(taps[k * n + c])).collect();
                let (b, weight) = (f64::from(bias[c]), f64::from(weight[c]));
                let ours = f64::from(out[c]) * weight;
                assert!((ours - loss(&x, &w, b, weight)).abs() < 1e-6);
                let by_bias = (loss(&x, &w, b + 1e-5, weight) - loss(&x, &w, b - 1e-5, weight)) / 2e-5;
                assert!((f64::from(d_bias[c]) - by_bias).abs() < 1e-5);
                for k in 0..kernel {
                    let nudged = |v: &[f64], e: f64| {
                        let mut v = v.to_vec();
                        v[k] += e;
                        v
                    };
                    let by_tap = (loss(&x, &nudged(&w, 1e-5), b, weight)
                        - loss(&x, &nudged(&w, -1e-5), b, weight))
                        / 2e-5;
                    assert!((f64::from(d_taps[k * n + c]) - by_tap).abs() < 1e-5);
                    let by_x = (loss(&nudged(&x, 1e-5), &w, b, weight)
                        - loss(&nudged(&x, -1e-5), &w, b, weight))
                        / 2e-5;
                    let mut d_input = vec![0.5; n];
                    conv_input_backward(&[(&grad, k)], &taps, &mut d_input);
                    assert!((f64::from(d_input[c]) - 0.5 - by_x).abs() < 1e-5);
                }
            }
        }
    }
}
