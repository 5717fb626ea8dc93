//! Root-mean-square normalisation (Zhang and Sennrich, arXiv 1910.07467), forward and backward.

use super::simd::{Simd, dispatch};

dispatch! {
    /// Writes `x / sqrt(mean(x^2) + eps) * weight` to `out` and returns the factor `1 / sqrt(mean(x^2) + eps)`.
    ///
    /// `x`, `weight` and `out` are one row, `[hidden]`.
    pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) -> f32 = rms_norm_on
}

#[inline(always)]
unsafe fn rms_norm_on<S: Simd>(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) -> f32 {
    let n = x.len();
    assert!(weight.len() == n && out.len() == n, "rms_norm: rows of different lengths");
    // SAFETY: every access is within `n` floats of the three rows.
    unsafe {
        let mut sum = S::splat(0.0);
        let whole = n / 16 * 16;
        for i in (0..whole).step_by(16) {
            let v = S::load(x.as_ptr().add(i));
            sum = S::fma(v, v, sum);
        }
        if whole < n {
            let v = S::load_part(x.as_ptr().add(whole), n - whole);
            sum = S::fma(v, v, sum);
        }
        let factor = 1.0 / (S::sum(sum) / n as f32 + eps).sqrt();
        let f = S::splat(factor);
        for i in (0..whole).step_by(16) {
            let v = S::mul(S::mul(S::load(x.as_ptr().add(i)), f), S::load(weight.as_ptr().add(i)));
            S::store(out.as_mut_ptr().add(i), v);
        }
        for i in whole..n {
            out[i] = x[i] * factor * weight[i];
        }
        factor
    }
}

dispatch! {
    /// Backward of [`rms_norm`] for one row: adds to `d_x` and to `d_weight`, given the row's `factor` and the gradient `d_out`.
    pub fn rms_norm_backward(x: &[f32], weight: &[f32], factor: f32, d_out: &[f32], d_x: &mut [f32], d_weight: &mut [f32]) = rms_norm_backward_on
}

#[inline(always)]
unsafe fn rms_norm_backward_on<S: Simd>(
    x: &[f32],
    weight: &[f32],
    factor: f32,
    d_out: &[f32],
    d_x: &mut [f32],
    d_weight: &mut [f32],
) {
    let n = x.len();
    assert!(weight.len() == n && d_out.len() == n && d_x.len() == n && d_weight.len() == n);
    // SAFETY: every access is within `n` floats of the five rows.
    unsafe {
        let mut dot = S::splat(0.0);
        let f = S::splat(factor);
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let g = S::load_part(d_out.as_ptr().add(i), len);
            let v = S::mul(S::load_part(x.as_ptr().add(i), len), f);
            let w = S::load_part(weight.as_ptr().add(i), len);
            dot = S::fma(S::mul(g, w), v, dot);
            let dw = d_weight.as_mut_ptr().add(i);
            S::store_part(dw, S::fma(g, v, S::load_part(dw, len)), len);
        }
        let mean = S::splat(S::sum(dot) / n as f32);
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let g =
                S::mul(S::load_part(d_out.as_ptr().add(i), len), S::load_part(weight.as_ptr().add(i), len));
            let v = S::mul(S::load_part(x.as_ptr().add(i), len), f);
            let dx = d_x.as_mut_ptr().add(i);
            let grad = S::mul(f, S::sub(g, S::mul(v, mean)));
            S::store_part(dx, S::add(S::load_part(dx, len), grad), len);
        }
    }
}
