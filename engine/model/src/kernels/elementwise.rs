//! Element-wise kernels: the gated activation of the MLP, sums and scalings.

use super::simd::{Simd, dispatch, exp};

dispatch! {
    /// SwiGLU (Shazeer, arXiv 2002.05202): `out = gate * sigmoid(gate) * up`, element by element.
    pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) = swiglu_on
}

/// `1 / (1 + e^-x)`.
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub(super) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller is inside a function compiled for `S`.
    unsafe {
        let one = S::splat(1.0);
        S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), x))))
    }
}

#[inline(always)]
unsafe fn swiglu_on<S: Simd>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let n = out.len();
    assert!(gate.len() == n && up.len() == n, "swiglu: different lengths");
    // SAFETY: every access is within `n` floats of the three slices.
    unsafe {
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let g = S::load_part(gate.as_ptr().add(i), len);
            let u = S::load_part(up.as_ptr().add(i), len);
            S::store_part(out.as_mut_ptr().add(i), S::mul(S::mul(g, sigmoid::<S>(g)), u), len);
        }
    }
}

dispatch! {
    /// Backward of [`swiglu`]: overwrites `d_gate` and `d_up`, given the gradient `d_out`.
    pub fn swiglu_backward(gate: &[f32], up: &[f32], d_out: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) = swiglu_backward_on
}

#[inline(always)]
unsafe fn swiglu_backward_on<S: Simd>(
    gate: &[f32],
    up: &[f32],
    d_out: &[f32],
    d_gate: &mut [f32],
    d_up: &mut [f32],
) {
    let n = d_out.len();
    assert!(gate.len() == n && up.len() == n && d_gate.len() == n && d_up.len() == n);
    // SAFETY: every access is within `n` floats of the five slices.
    unsafe {
        let one = S::splat(1.0);
        for i in (0..n).step_by(16) {
            let len = (n - i).min(16);
            let g = S::load_part(gate.as_ptr().add(i), len);
            let u = S::load_part(up.as_ptr().add(i), len);
            let d = S::load_part(d_out.as_ptr().add(i), len);
            let s = sigmoid::<S>(g);
            let silu = S::mul(g, s);
            // d silu / d g = s * (1 + g * (1 - s))
            let slope = S::mul(s, S::fma(g, S::sub(one, s), one));
            S::store_part(d_up.as_mut_ptr().add(i), S::mul(d, silu), len);
            S::store_part(d_gate.as_mut_ptr().add(i), S::mul(S::mul(d, u), slope), len);
        }
    }
}

/// [`swiglu`] of `rows` rows of which each holds its gates and then its ups; `out` is half as wide.
///
/// # Panics
/// When `out` is not half of `both`.
pub fn fused_swiglu(both: &[f32], rows: usize, out: &mut [f32]) {
    assert_eq!(both.len(), 2 * out.len(), "fused_swiglu: widths");
    let inner = out.len() / rows.max(1);
    super::for_row_blocks(out, inner, |first, block| {
        for (row, out) in both[first * 2 * inner..].chunks_exact(2 * inner).zip(block.chunks_exact_mut(inner))
        {
            swiglu(&row[..inner], &row[inner..], out);
        }
    });
}

/// `relu(x)^2` in place (So et al., arXiv 2109.08668).
pub fn squared_relu(x: &mut [f32]) {
    super::for_row_blocks(x, 1, |_, block| {
        for x in block {
            let positive = x.max(0.0);
            *x = positive * positive;
        }
    });
}

/// `to += factor * from`, element by element.
///
/// # Panics
/// When the lengths differ.
pub fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    if factor == 1.0 {
        return add_assign(to, from);
    }
    assert_eq!(to.len(), from.len(), "add_scaled: different lengths");
    super::for_row_blocks(to, 1, |first, block| {
        for (a, b) in block.iter_mut().zip(&from[first..]) {
            *a += factor * b;
        }
    });
}

/// `x *= factor`, element by element.
pub fn scale(x: &mut [f32], factor: f32) {
    if factor == 1.0 {
        return;
    }
    super::for_row_blocks(x, 1, |_, block| block.iter_mut().for_each(|x| *x *= factor));
}

/// `to += from`, element by element.
///
/// # Panics
/// When the lengths differ.
pub fn add_assign(to: &mut [f32], from: &[f32]) {
    assert_eq!(to.len(), from.len(), "add_assign: different lengths");
    super::for_row_blocks(to, 1, |first, block| {
        for (a, b) in block.iter_mut().zip(&from[first..]) {
            *a += b;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swiglu_and_its_gradients_are_those_of_f64() {
        for n in [1, 16, 29] {
            let wave =
                |seed: f32| (0..n).map(|i| ((i as f32 + seed) * 1.1).sin() * 4.0).collect::<Vec<f32>>();
            let (gate, up, d_out) = (wave(0.0), wave(20.0), wave(40.0));
            let (mut out, mut d_gate, mut d_up) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
            swiglu(&gate, &up, &mut out);
            swiglu_backward(&gate, &up, &d_out, &mut d_gate, &mut d_up);
            for i in 0..n {
                let (g, u, d) = (f64::from(gate[i]), f64::from(up[i]), f64::from(d_out[i]));
                let silu = |g: f64| g / (1.0 + (-g).exp());
                let slope = (silu(g + 1e-6) - silu(g - 1e-6)) / 2e-6;
                assert!((f64::from(out[i]) - silu(g) * u).abs() < 1e-5);
                assert!((f64::from(d_up[i]) - d * silu(g)).abs() < 1e-5);
                assert!((f64::from(d_gate[i]) - d * u * slope).abs() < 1e-4);
            }
        }
    }
}
