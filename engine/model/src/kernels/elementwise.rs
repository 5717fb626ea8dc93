//! Element-wise kernels: the gated activation of the MLP, sums and scalings.

use super::simd::{Simd, dispatch, exp};

dispatch! {
    /// SwiGLU (Shazeer, arXiv 2002.05202): `out = gate * sigmoid(gate) * up`, element by element.
    pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) = swiglu_on
}

#[inline(always)]
unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
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
