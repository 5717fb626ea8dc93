//! The gated normalisation behind a state space: `rms_norm(y * silu(gate)) * weight`, forward and backward.

use super::elementwise::sigmoid;
use super::simd::{Simd, dispatch};

dispatch! {
    /// Writes `n / sqrt(mean(n^2) + eps) * weight` with `n = y * silu(gate)` to `out`.
    ///
    /// All slices are one group of one row, over which the mean goes.
    pub fn gated_norm(y: &[f32], gate: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) = gated_norm_on
}

/// `y * silu(gate)` at the `len` components from `i` on.
#[inline(always)]
unsafe fn gated<S: Simd>(y: &[f32], gate: &[f32], i: usize, len: usize) -> S::V {
    // SAFETY: the caller has checked that both hold `i + len` floats.
    unsafe {
        let g = S::load_part(gate.as_ptr().add(i), len);
        S::mul(S::load_part(y.as_ptr().add(i), len), S::mul(g, sigmoid::<S>(g)))
    }
}

/// `1 / sqrt(mean(n^2) + eps)` of the gated values.
#[inline(always)]
unsafe fn factor<S: Simd>(y: &[f32], gate: &[f32], eps: f32) -> f32 {
    let n = y.len();
    // SAFETY: the caller has checked that `gate` is as long as `y`.
    unsafe {
        let mut sum = S::splat(0.0);
        for i in (0..n).step_by(16) {
            let v = gated::<S>(y, gate, i, (n - i).min(16));
            sum = S::fma(v, v, sum);
        }
        1.0 / (S::sum(sum) / n as f32 + eps).sqrt()
    }
}

#[inline(always)]
unsafe fn gated_norm_on<S: Simd>(y: &[f32], gate: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let n = y.len();
    assert!(gate.len() == n && weight.len() == n && out.len() == n, "gated norm: rows of different lengths");
    // SAFETY: every access is within `n` floats of the four slices.
    unsafe {
        let f = S::splat(factor::<S>(y, gate, eps));
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let v = S::mul(gated::<S>(y, gate, i, len), f);
            S::store_part(out.as_mut_ptr().add(i), S::mul(v, S::load_part(weight.as_ptr().add(i), len)), len);
        }
    }
}

dispatch! {
    /// Backward of [`gated_norm`] for one group: overwrites `d_y`, adds to `d_gate` and to `d_weight`, given the gradient `d_out`.
    pub fn gated_norm_backward(
        y: &[f32], gate: &[f32], weight: &[f32], eps: f32, d_out: &[f32],
        d_y: &mut [f32], d_gate: &mut [f32], d_weight: &mut [f32],
    ) = gated_norm_backward_on
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn gated_norm_backward_on<S: Simd>(
    y: &[f32],
    gate: &[f32],
    weight: &[f32],
    eps: f32,
    d_out: &[f32],
    d_y: &mut [f32],
    d_gate: &mut [f32],
    d_weight: &mut [f32],
) {
    let n = y.len();
    let lengths = [gate.len(), weight.len(), d_out.len(), d_y.len(), d_gate.len(), d_weight.len()];
    assert!(lengths.iter().all(|l| *l == n), "gated norm backward: rows of different lengths");
    // SAFETY: every access is within `n` floats of the seven slices.
    unsafe {
        let f = S::splat(factor::<S>(y, gate, eps));
        let mut dot = S::splat(0.0);
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let v = S::mul(gated::<S>(y, gate, i, len), f);
            let g = S::load_part(d_out.as_ptr().add(i), len);
            dot = S::fma(S::mul(g, S::load_part(weight.as_ptr().add(i), len)), v, dot);
            let to = d_weight.as_mut_ptr().add(i);
            S::store_part(to, S::fma(g, v, S::load_part(to, len)), len);
        }
        let mean = S::splat(S::sum(dot) / n as f32);
        let one = S::splat(1.0);
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let z = S::load_part(gate.as_ptr().add(i), len);
            let y = S::load_part(y.as_ptr().add(i), len);
            let s = sigmoid::<S>(z);
            let silu = S::mul(z, s);
            let slope = S::mul(s, S::fma(z, S::sub(one, s), one));
            let g =
                S::mul(S::load_part(d_out.as_ptr().add(i), len), S::load_part(weight.as_ptr().add(i), len));
            let v = S::mul(S::mul(y, silu), f);
            let d = S::mul(f, S::sub(g, S::mul(v, mean)));
            S::store_part(d_y.as_mut_ptr().add(i), S::mul(d, silu), len);
            let to = d_gate.as_mut_ptr().add(i);
            S::store_part(to, S::fma(S::mul(d, y), slope, S::load_part(to, len)), len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in f64, with the loss `sum(out * d_out)`.
    fn loss(inputs: &[Vec<f64>; 3], d_out: &[f32]) -> f64 {
        let [y, gate, weight] = inputs;
        let n: Vec<f64> = y.iter().zip(gate).map(|(y, z)| y * z / (1.0 + (-z).exp())).collect();
        let factor = 1.0 / (n.iter().map(|v| v * v).sum::<f64>() / n.len() as f64 + 1e-5).sqrt();
        n.iter().zip(weight).zip(d_out).map(|((n, w), d)| n * factor * w * f64::from(*d)).sum()
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for n in [3, 16, 37] {
            let wave =
                |seed: f32| (0..n).map(|i| ((i as f32 + seed) * 0.9).sin() + 0.3).collect::<Vec<f32>>();
            let (y, gate, weight, d_out) = (wave(0.0), wave(50.0), wave(9.0), wave(31.0));
            let mut out = vec![0.0; n];
            gated_norm(&y, &gate, &weight, 1e-5, &mut out);
            let wide = [&y, &gate, &weight].map(|v| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>());
            let ours: f64 = out.iter().zip(&d_out).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((ours - loss(&wide, &d_out)).abs() < 1e-5);
            let mut found = [vec![9.0; n], vec![0.0; n], vec![0.0; n]];
            let [d_y, d_gate, d_weight] = &mut found;
            gated_norm_backward(&y, &gate, &weight, 1e-5, &d_out, d_y, d_gate, d_weight);
            for (which, found) in found.iter().enumerate() {
                for (i, found) in found.iter().enumerate() {
                    let at = |e: f64| {
                        let mut inputs = wide.clone();
                        inputs[which][i] += e;
                        loss(&inputs, &d_out)
                    };
                    let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!(
                        (slope - f64::from(*found)).abs() < 1e-5 * (1.0 + slope.abs()),
                        "input {which}, {i} of {n}"
                    );
                }
            }
        }
    }
}
