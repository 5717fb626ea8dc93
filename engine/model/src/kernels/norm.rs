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

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in f64, with the loss `sum(out * d_out)`.
    fn loss(x: &[f32], w: &[f32], d_out: &[f32]) -> f64 {
        let mean = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len() as f64;
        let factor = 1.0 / (mean + 1e-5).sqrt();
        let each = x.iter().zip(w).zip(d_out);
        each.map(|((x, w), d)| f64::from(*x) * factor * f64::from(*w) * f64::from(*d)).sum()
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        for n in [3, 16, 37] {
            let wave =
                |seed: f32| (0..n).map(|i| ((i as f32 + seed) * 0.9).sin() + 0.3).collect::<Vec<f32>>();
            let (x, w, d_out) = (wave(0.0), wave(50.0), wave(9.0));
            let mut out = vec![0.0; n];
            let factor = rms_norm(&x, &w, 1e-5, &mut out);
            let ours: f64 = out.iter().zip(&d_out).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((ours - loss(&x, &w, &d_out)).abs() < 1e-5);
            let (mut d_x, mut d_w) = (vec![0.0; n], vec![0.0; n]);
            rms_norm_backward(&x, &w, factor, &d_out, &mut d_x, &mut d_w);
            for i in 0..n {
                let slope = |change: &dyn Fn(f32) -> (Vec<f32>, Vec<f32>)| {
                    let at = |e: f32| {
                        let (x, w) = change(e);
                        loss(&x, &w, &d_out)
                    };
                    (at(1e-2) - at(-1e-2)) / 2e-2
                };
                let nudged = |v: &[f32], e: f32| {
                    let mut v = v.to_vec();
                    v[i] += e;
                    v
                };
                let by_x = slope(&|e| (nudged(&x, e), w.clone()));
                let by_w = slope(&|e| (x.clone(), nudged(&w, e)));
                assert!((by_x - f64::from(d_x[i])).abs() < 1e-3, "x[{i}] of {n}: {by_x}, {}", d_x[i]);
                assert!((by_w - f64::from(d_w[i])).abs() < 1e-3, "w[{i}] of {n}: {by_w}, {}", d_w[i]);
            }
        }
    }
}
