//! CPU kernels on plain `f32` slices: the arithmetic that training and sampling share.
//!
//! Two properties hold for every kernel here and the rest of the engine leans on them:
//! *row independence* (the bits of a row's result do not depend on how many other rows are computed with it,
//! nor on the number of threads), and *one order of operations* on every instruction set (AVX-512, AVX2 and
//! the portable fallback perform the same fused multiply-adds in the same order). Together they make a decode
//! step in a batch of 128 agree to the bit with the training forward of a packed batch.
//!
//! Vectors are always 16 lanes wide; see [`simd`].

pub mod attention;
pub mod conv;
pub mod elementwise;
pub mod gated_norm;
pub mod gemm;
pub mod norm;
pub mod packed_attention;
pub mod rope;
pub mod scan;
pub mod scan_backward;
pub mod simd;
pub mod softmax;
pub mod time_step;

use rayon::prelude::*;

/// Rows below which a row-wise kernel is not worth handing to another thread, given the row's length in floats.
fn rows_per_task(width: usize) -> usize {
    (16 * 1024 / width.max(1)).max(1)
}

/// Calls `body(first_row, rows)` over disjoint runs of whole rows of `out` (`[rows, width]`), in parallel.
pub(crate) fn for_row_blocks(out: &mut [f32], width: usize, body: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = rows_per_task(width);
    if out.len() <= rows * width {
        body(0, out);
    } else {
        out.par_chunks_mut(rows * width).enumerate().for_each(|(i, block)| body(i * rows, block));
    }
}
