//! Log-softmax over a row of logits: the log-probability of a token as sampler and trainer both compute it.

use super::simd::{Simd, dispatch, exp};

dispatch! {
    /// `log(sum(exp(row)))`, with the maximum taken out; `row` is `[vocab]`. A row of `-inf` alone gives `-inf`.
    pub fn log_sum_exp(row: &[f32]) -> f32 = log_sum_exp_on
}

#[inline(always)]
unsafe fn log_sum_exp_on<S: Simd>(row: &[f32]) -> f32 {
    let top = max(row);
    if top == f32::NEG_INFINITY {
        return top;
    }
    // SAFETY: every access is within the row.
    unsafe {
        let shift = S::splat(top);
        let whole = row.len() / 16 * 16;
        let mut sum = S::splat(0.0);
        for i in (0..whole).step_by(16) {
            sum = S::add(sum, exp::<S>(S::sub(S::load(row.as_ptr().add(i)), shift)));
        }
        let mut total = S::sum(sum);
        if whole < row.len() {
            let mut tail = [f32::NEG_INFINITY; 16];
            tail[..row.len() - whole].copy_from_slice(&row[whole..]);
            total += S::sum(exp::<S>(S::sub(S::load(tail.as_ptr()), shift)));
        }
        top + f64::from(total).ln() as f32
    }
}

/// Largest element; `-inf` for an empty row. NaN elements are passed over.
pub fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (blocks, tail) = row.as_chunks::<16>();
    for block in blocks {
        for (m, x) in lanes.iter_mut().zip(block) {
            *m = if *x > *m { *x } else { *m };
        }
    }
    tail.iter().chain(&lanes).fold(f32::NEG_INFINITY, |m, x| if *x > m { *x } else { m })
}

dispatch! {
    /// Replaces `row` by `exp(row - shift)`: probabilities when `shift` is the row's [`log_sum_exp`].
    pub fn exp_shifted(row: &mut [f32], shift: f32) = exp_shifted_on
}

#[inline(always)]
unsafe fn exp_shifted_on<S: Simd>(row: &mut [f32], shift: f32) {
    // SAFETY: every access is within the row.
    unsafe {
        let s = S::splat(shift);
        for i in (0..row.len()).step_by(16) {
            let len = (row.len() - i).min(16);
            let p = row.as_mut_ptr().add(i);
            S::store_part(p, exp::<S>(S::sub(S::load_part(p, len), s)), len);
        }
    }
}

dispatch! {
    /// Entropy in nats of `softmax(row)`, given the row's [`log_sum_exp`]: `lse - sum(p * row)`.
    pub fn entropy(row: &[f32], lse: f32) -> f32 = entropy_on
}

#[inline(always)]
unsafe fn entropy_on<S: Simd>(row: &[f32], lse: f32) -> f32 {
    // SAFETY: every access is within the row. Lanes past the end hold logit 0 with weight exp(0 - lse), taken out by
    // giving them a finite logit far below: their product is 0.
    unsafe {
        let s = S::splat(lse);
        let mut sum = S::splat(0.0);
        for i in (0..row.len()).step_by(16) {
            let len = (row.len() - i).min(16);
            let mut lanes = [-1e30f32; 16];
            for (to, from) in lanes.iter_mut().zip(&row[i..i + len]) {
                *to = from.max(-1e30);
            }
            let x = S::load(lanes.as_ptr());
            sum = S::fma(exp::<S>(S::sub(x, s)), S::sub(x, s), sum);
        }
        -S::sum(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i as f32) * 1.37).sin() * 20.0).collect()
    }

    #[test]
    fn log_sum_exp_and_entropy_are_those_of_f64_at_any_length() {
        for n in [1, 5, 16, 17, 100, 1024] {
            let row = row(n);
            let wide: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
            let lse = wide.iter().map(|x| x.exp()).sum::<f64>().ln();
            assert!((f64::from(log_sum_exp(&row)) - lse).abs() < 1e-5, "{n}");
            let expected: f64 = -wide.iter().map(|x| (x - lse).exp() * (x - lse)).sum::<f64>();
            assert!((f64::from(entropy(&row, lse as f32)) - expected).abs() < 1e-4, "{n}");
            let mut probabilities = row.clone();
            exp_shifted(&mut probabilities, lse as f32);
            for (p, x) in probabilities.iter().zip(&wide) {
                assert!((f64::from(*p) - (x - lse).exp()).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn suppressed_logits_count_for_nothing() {
        let mut row = row(40);
        let without = log_sum_exp(&row[..39]);
        row[39] = f32::NEG_INFINITY;
        assert!((log_sum_exp(&row) - without).abs() < 1e-6);
        assert!(entropy(&row, without).is_finite());
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY; 3]), f32::NEG_INFINITY);
    }
}
