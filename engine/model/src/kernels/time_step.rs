//! Time steps of a selective state space: how far each head moves at each token, and how much of its state is left by then.
//!
//! `dt = clamp(softplus(raw + bias))` and `decay = e^(-rate * dt)` (Dao and Gu, arXiv 2405.21060, section 7).

use super::elementwise::sigmoid;
use super::simd::{Simd, dispatch, exp};

dispatch! {
    /// Writes `dt` and `decay` of one token, both `[heads]`; `raw`, `bias` and `rate` (positive) are `[heads]` too.
    ///
    /// `limits` are the smallest and the largest `dt`; the latter may be infinite.
    pub fn time_steps(raw: &[f32], bias: &[f32], rate: &[f32], limits: (f32, f32), dt: &mut [f32], decay: &mut [f32]) = time_steps_on
}

/// `ln(1 + e^x)`, as `max(x, 0) + ln(1 + e^-|x|)`.
///
/// The logarithm is `2 artanh(u / (2 + u))` with `u` in `0..=1`: the series in an argument of at most 1/3, cut where the
/// rest is below 2e-10 of the sum.
#[inline(always)]
unsafe fn softplus<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller is inside a function compiled for `S`.
    unsafe {
        let zero = S::splat(0.0);
        let u = exp::<S>(S::min(x, S::sub(zero, x)));
        let z = S::div(u, S::add(u, S::splat(2.0)));
        let square = S::mul(z, z);
        let mut series = S::splat(1.0 / 17.0);
        for odd in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
            series = S::fma(series, square, S::splat(1.0 / odd));
        }
        S::fma(S::add(z, z), series, S::max(x, zero))
    }
}

#[inline(always)]
unsafe fn time_steps_on<S: Simd>(
    raw: &[f32],
    bias: &[f32],
    rate: &[f32],
    limits: (f32, f32),
    dt: &mut [f32],
    decay: &mut [f32],
) {
    let n = raw.len();
    assert!(bias.len() == n && rate.len() == n && dt.len() == n && decay.len() == n, "time steps: lengths");
    // SAFETY: every access is within `n` floats of the five slices.
    unsafe {
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let x = S::add(S::load_part(raw.as_ptr().add(i), len), S::load_part(bias.as_ptr().add(i), len));
            let step = S::min(S::max(softplus::<S>(x), S::splat(limits.0)), S::splat(limits.1));
            let rate = S::load_part(rate.as_ptr().add(i), len);
            let left = exp::<S>(S::sub(S::splat(0.0), S::mul(rate, step)));
            S::store_part(dt.as_mut_ptr().add(i), step, len);
            S::store_part(decay.as_mut_ptr().add(i), left, len);
        }
    }
}

dispatch! {
    /// Backward of [`time_steps`] for one token: adds to `d_raw` and `d_bias`, and to `d_log_rate` the gradient of `ln(rate)`,
    /// given those of `dt` and `decay`. Outside the limits `dt` is constant, on them it is not.
    pub fn time_steps_backward(
        raw: &[f32], bias: &[f32], rate: &[f32], limits: (f32, f32), d_dt: &[f32], d_decay: &[f32],
        d_raw: &mut [f32], d_bias: &mut [f32], d_log_rate: &mut [f32],
    ) = time_steps_backward_on
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn time_steps_backward_on<S: Simd>(
    raw: &[f32],
    bias: &[f32],
    rate: &[f32],
    limits: (f32, f32),
    d_dt: &[f32],
    d_decay: &[f32],
    d_raw: &mut [f32],
    d_bias: &mut [f32],
    d_log_rate: &mut [f32],
) {
    let n = raw.len();
    let lengths = [bias.len(), rate.len(), d_dt.len(), d_decay.len(), d_raw.len(), d_bias.len()];
    assert!(lengths.iter().all(|l| *l == n) && d_log_rate.len() == n, "time steps backward: lengths");
    // SAFETY: every access is within `n` floats of the eight slices.
    unsafe {
        let zero = S::splat(0.0);
        let (low, high) = (S::splat(limits.0), S::splat(limits.1));
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let x = S::add(S::load_part(raw.as_ptr().add(i), len), S::load_part(bias.as_ptr().add(i), len));
            let free = softplus::<S>(x);
            let step = S::min(S::max(free, low), high);
            let rate = S::load_part(rate.as_ptr().add(i), len);
            let decay = exp::<S>(S::sub(zero, S::mul(rate, step)));
            // of the exponent `rate * dt`
            let d_exponent = S::sub(zero, S::mul(S::load_part(d_decay.as_ptr().add(i), len), decay));
            let d_step = S::fma(d_exponent, rate, S::load_part(d_dt.as_ptr().add(i), len));
            let d_free = S::select_lt(free, low, zero, S::select_lt(high, free, zero, d_step));
            let d_x = S::mul(d_free, sigmoid::<S>(x));
            let d_log = S::mul(S::mul(d_exponent, rate), step);
            for (sum, part) in [(&mut *d_raw, d_x), (&mut *d_bias, d_x), (&mut *d_log_rate, d_log)] {
                let at = sum.as_mut_ptr().add(i);
                S::store_part(at, S::add(S::load_part(at, len), part), len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(x: f64, log_rate: f64, limits: (f32, f32)) -> (f64, f64) {
        let free = if x > 30.0 { x } else { x.exp().ln_1p() };
        let dt = free.clamp(f64::from(limits.0), f64::from(limits.1));
        (dt, (-log_rate.exp() * dt).exp())
    }

    #[test]
    fn steps_decays_and_their_gradients_are_those_of_f64() {
        for limits in [(0.0, f32::INFINITY), (0.05, 2.0)] {
            let n = 37;
            let raw: Vec<f32> = (0..n).map(|i| (i as f32 - 18.0) * 0.9).collect();
            let wave = |seed: f32| (0..n).map(|i| (i as f32 * 0.7 + seed).sin()).collect::<Vec<f32>>();
            let (bias, log_rate, d_dt, d_decay) = (wave(0.0), wave(1.0), wave(2.0), wave(3.0));
            let rate: Vec<f32> = log_rate.iter().map(|a| a.exp()).collect();
            let (mut dt, mut decay) = (vec![0.0; n], vec![0.0; n]);
            time_steps(&raw, &bias, &rate, limits, &mut dt, &mut decay);
            let [mut d_raw, mut d_bias, mut d_log_rate] = [(); 3].map(|()| vec![0.0; n]);
            time_steps_backward(
                &raw,
                &bias,
                &rate,
                limits,
                &d_dt,
                &d_decay,
                &mut d_raw,
                &mut d_bias,
                &mut d_log_rate,
            );
            for i in 0..n {
                let (x, a) = (f64::from(raw[i]) + f64::from(bias[i]), f64::from(log_rate[i]));
                let (step, left) = reference(x, a, limits);
                let near =
                    |ours: f32, theirs: f64| (f64::from(ours) - theirs).abs() <= 1e-6 * theirs.abs() + 1e-30;
                assert!(near(dt[i], step), "dt of {x}: {}, {step}", dt[i]);
                assert!((f64::from(decay[i]) - left).abs() < 1e-6);
                let loss = |x: f64, a: f64| {
                    let (step, left) = reference(x, a, limits);
                    step * f64::from(d_dt[i]) + left * f64::from(d_decay[i])
                };
                let by_x = (loss(x + 1e-5, a) - loss(x - 1e-5, a)) / 2e-5;
                let by_a = (loss(x, a + 1e-5) - loss(x, a - 1e-5)) / 2e-5;
                assert!((f64::from(d_raw[i]) - by_x).abs() < 1e-5, "{x}: {}, {by_x}", d_raw[i]);
                assert_eq!(d_bias[i], d_raw[i]);
                assert!((f64::from(d_log_rate[i]) - by_a).abs() < 1e-5, "{x}: {}, {by_a}", d_log_rate[i]);
            }
        }
    }
}
