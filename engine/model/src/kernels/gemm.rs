//! Matrix products in f32, whose every element is one chain of fused multiply-adds over `k = 0..K` in that order.
//!
//! Blocking, packing and threads change where the work happens and never the order within an element, so the
//! bits of a row do not depend on the other rows: a token decoded in any batch gets what the training forward of
//! a packed batch computes for it. General libraries choose kernels by shape and do not promise this.
//!
//! The scheme is the usual one (Goto and van de Geijn, 2008): panels of the right-hand side packed to the width of a
//! register tile, rows of the left-hand side broadcast against them. When the left-hand side is the larger operand,
//! the transposed product is computed, so that what is packed is always the smaller one: a decode step never
//! copies a weight matrix.

use super::simd::{Simd, dispatch};
use rayon::prelude::*;
use std::cell::RefCell;

/// A matrix view over a slice: element `(i, j)` is `data[i * rows + j * columns]`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix with rows of `width` floats.
    pub fn rows(data: &'a [f32], width: usize) -> Self {
        View { data, row_stride: width, column_stride: 1 }
    }

    /// The transpose of this view.
    pub fn t(self) -> Self {
        View { data: self.data, row_stride: self.column_stride, column_stride: self.row_stride }
    }
}

/// `c = a * b`, or `c += a * b` with `accumulate`; `a` is `[m, k]`, `b` is `[k, n]`, `c` is `[m, n]` row-major.
///
/// # Panics
/// When a view is too short for the shape.
pub fn gemm((m, n, k): (usize, usize, usize), a: View<'_>, b: View<'_>, c: &mut [f32], accumulate: bool) {
    assert_eq!(c.len(), m * n, "c must be [{m}, {n}]");
    for (view, rows, columns) in [(a, m, k), (b, k, n)] {
        let last = rows.saturating_sub(1) * view.row_stride + columns.saturating_sub(1) * view.column_stride;
        assert!(rows * columns == 0 || last < view.data.len(), "view too short for [{rows}, {columns}]");
    }
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if !accumulate {
            c.fill(0.0);
        }
        return;
    }
    let out = Out { data: c.as_mut_ptr(), row_stride: n, column_stride: 1 };
    // Pack the smaller operand; below a handful of rows the padding of a panel would cost more than packing the other,
    // and sums over long `k` come back to `c` too often to have it transposed.
    if m > 8 && m < n && !accumulate {
        run((n, m, k), b.t(), a.t(), Out { row_stride: 1, column_stride: n, ..out }, accumulate);
    } else {
        run((m, n, k), a, b, out, accumulate);
    }
}

#[derive(Clone, Copy)]
struct Out {
    data: *mut f32,
    row_stride: usize,
    column_stride: usize,
}
// SAFETY: tasks write disjoint blocks of the matrix behind the pointer.
unsafe impl Sync for Out {}

impl Out {
    /// The block from element `(row, column)` on.
    ///
    /// # Safety
    /// The element must lie inside the matrix.
    #[inline(always)]
    unsafe fn from(self, row: usize, column: usize) -> Out {
        // SAFETY: forwarded from the caller.
        Out { data: unsafe { self.data.add(row * self.row_stride + column * self.column_stride) }, ..self }
    }
}

/// Width of a packed panel: two vectors.
const PANEL: usize = 32;
/// Rows of a register tile.
const TILE: usize = 8;
/// Depth of a block of packed panels; the panels of `BLOCK_N` columns then fill half of a typical L2 cache.
const BLOCK_K: usize = 512;
const BLOCK_N: usize = 256;
/// Multiply-adds below which threads cost more than they bring.
const PARALLEL_FROM: usize = 1 << 19;

/// Splits the columns (the packed side, so that nothing is packed twice), then the rows, over the threads.
fn run((m, n, k): (usize, usize, usize), a: View<'_>, b: View<'_>, out: Out, accumulate: bool) {
    let threads = if m * n * k < PARALLEL_FROM { 1 } else { rayon::current_num_threads() };
    let panels = n.div_ceil(PANEL);
    let column_tasks = panels.min(threads);
    let row_tasks = (threads / column_tasks).clamp(1, m.div_ceil(4 * TILE));
    let block = |task: usize| {
        let (row, column) = (task / column_tasks, task % column_tasks);
        let columns = |i: usize| (panels * i / column_tasks * PANEL).min(n);
        let tiles = m.div_ceil(TILE);
        let rows = |i: usize| (tiles * i / row_tasks * TILE).min(m);
        let (r0, r1, c0, c1) = (rows(row), rows(row + 1), columns(column), columns(column + 1));
        BUFFERS.with_borrow_mut(|buffers| {
            let a = View { data: &a.data[r0 * a.row_stride..], ..a };
            let b = View { data: &b.data[c0 * b.column_stride..], ..b };
            // SAFETY: the block lies inside `out`, whose bounds `gemm` has checked, and no other task touches it.
            let out = unsafe { out.from(r0, c0) };
            block_product((r1 - r0, c1 - c0, k), a, b, out, accumulate, buffers);
        });
    };
    match row_tasks * column_tasks {
        1 => block(0),
        tasks => (0..tasks).into_par_iter().with_max_len(1).for_each(block),
    }
}

/// Packing space, kept per thread.
#[derive(Default)]
struct Buffers {
    panels: Vec<f32>,
    tile: Vec<f32>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

dispatch! {
    fn block_product(shape: (usize, usize, usize), a: View<'_>, b: View<'_>, out: Out, accumulate: bool, buffers: &mut Buffers) = block_product_on
}

#[inline(always)]
unsafe fn block_product_on<S: Simd>(
    (m, n, k): (usize, usize, usize),
    a: View<'_>,
    b: View<'_>,
    out: Out,
    accumulate: bool,
    buffers: &mut Buffers,
) {
    let depth_max = k.min(BLOCK_K);
    buffers.panels.resize(buffers.panels.len().max(depth_max * BLOCK_N), 0.0);
    buffers.tile.resize(buffers.tile.len().max(depth_max * TILE), 0.0);
    for c0 in (0..n).step_by(BLOCK_N) {
        let columns = (n - c0).min(BLOCK_N);
        for k0 in (0..k).step_by(BLOCK_K) {
            let depth = (k - k0).min(BLOCK_K);
            let add = accumulate || k0 > 0;
            // SAFETY: all pointers stay inside the views and buffers, whose sizes are established above and in `gemm`.
            unsafe {
                pack_panels::<S>(b, k0, depth, c0, columns, &mut buffers.panels);
                for r0 in (0..m).step_by(TILE) {
                    let rows = (m - r0).min(TILE);
                    let mut lhs = Lhs {
                        data: a.data.as_ptr().add(r0 * a.row_stride + k0 * a.column_stride),
                        stride: a.row_stride,
                    };
                    let packed = a.column_stride != 1;
                    if packed {
                        pack_tile(lhs.data, (a.row_stride, a.column_stride), rows, depth, &mut buffers.tile);
                        lhs = Lhs { data: buffers.tile.as_ptr(), stride: 0 };
                    }
                    for p0 in (0..columns).step_by(PANEL) {
                        let panel = buffers.panels.as_ptr().add(p0 * depth);
                        let width = (columns - p0).min(PANEL);
                        let c = out.from(r0, c0 + p0);
                        if packed {
                            tile_rows::<S, true>(rows, depth, lhs, panel, c, width, add);
                        } else {
                            tile_rows::<S, false>(rows, depth, lhs, panel, c, width, add);
                        }
                    }
                }
            }
        }
    }
}

/// Copies `[depth, columns]` of `b` into panels `[columns / 32][depth][32]`, the last one padded with zeros.
#[inline(always)]
unsafe fn pack_panels<S: Simd>(
    b: View<'_>,
    k0: usize,
    depth: usize,
    c0: usize,
    columns: usize,
    panels: &mut [f32],
) {
    for p0 in (0..columns).step_by(PANEL) {
        let width = (columns - p0).min(PANEL);
        let panel = &mut panels[p0 * depth..p0 * depth + PANEL * depth];
        // SAFETY: the element (k0 + depth - 1, c0 + p0 + width - 1) lies inside `b`, and the panel holds depth * 32 floats.
        unsafe {
            let src = b.data.as_ptr().add(k0 * b.row_stride + (c0 + p0) * b.column_stride);
            let dst = panel.as_mut_ptr();
            if b.column_stride == 1 && width == PANEL {
                for p in 0..depth {
                    let row = src.add(p * b.row_stride);
                    S::store(dst.add(p * PANEL), S::load(row));
                    S::store(dst.add(p * PANEL + 16), S::load(row.add(16)));
                }
            } else if b.row_stride == 1 && width.is_multiple_of(16) {
                let whole = depth / 8 * 8;
                for half in (0..width).step_by(16) {
                    let src = src.add(half * b.column_stride);
                    for p in (0..whole).step_by(8) {
                        for (i, v) in
                            S::load_transposed_8(src.add(p), b.column_stride).into_iter().enumerate()
                        {
                            S::store(dst.add((p + i) * PANEL + half), v);
                        }
                    }
                    for p in whole..depth {
                        for lane in 0..16 {
                            *dst.add(p * PANEL + half + lane) = *src.add(lane * b.column_stride + p);
                        }
                    }
                }
                if width < PANEL {
                    for p in 0..depth {
                        S::store(dst.add(p * PANEL + 16), S::splat(0.0));
                    }
                }
            } else {
                for p in 0..depth {
                    for j in 0..PANEL {
                        *dst.add(p * PANEL + j) =
                            if j < width { *src.add(p * b.row_stride + j * b.column_stride) } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// Copies `rows <= 8` rows of the broadcast side to `[depth][8]`.
#[inline(always)]
unsafe fn pack_tile(src: *const f32, (rs, cs): (usize, usize), rows: usize, depth: usize, tile: &mut [f32]) {
    for (p, out) in tile.chunks_exact_mut(TILE).take(depth).enumerate() {
        // SAFETY: the caller vouches for `rows` rows of `depth` columns behind `src`.
        unsafe {
            if rs == 1 && rows == TILE {
                std::ptr::copy_nonoverlapping(src.add(p * cs), out.as_mut_ptr(), TILE);
            } else {
                for (r, x) in out.iter_mut().take(rows).enumerate() {
                    *x = *src.add(r * rs + p * cs);
                }
            }
        }
    }
}

/// The broadcast side of a tile: rows `stride` apart, or packed `[depth][8]`.
#[derive(Clone, Copy)]
struct Lhs {
    data: *const f32,
    stride: usize,
}

/// One tile of up to 8 rows and one panel; chooses the register tile by the number of rows and the panel's width.
#[inline(always)]
unsafe fn tile_rows<S: Simd, const PACKED: bool>(
    rows: usize,
    depth: usize,
    a: Lhs,
    panel: *const f32,
    c: Out,
    width: usize,
    add: bool,
) {
    // SAFETY: forwarded from the caller.
    unsafe {
        if rows == TILE && S::WIDE {
            if width > 16 {
                tile::<S, PACKED, 8, 2>(0, depth, a, panel, c, width, add);
            } else {
                tile::<S, PACKED, 8, 1>(0, depth, a, panel, c, width, add);
            }
            return;
        }
        // Four rows of one vector fit sixteen half-width registers.
        for half in (0..width).step_by(16) {
            let panel = panel.add(half);
            let c = c.from(0, half);
            let width = (width - half).min(16);
            let mut r = 0;
            while r + 4 <= rows {
                tile::<S, PACKED, 4, 1>(r, depth, a, panel, c, width, add);
                r += 4;
            }
            while r < rows {
                tile::<S, PACKED, 1, 1>(r, depth, a, panel, c, width, add);
                r += 1;
            }
        }
    }
}

/// `R` rows from row `first` of the tile against `V` vectors of the panel.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // loops over registers, unrolled by their constant bounds
unsafe fn tile<S: Simd, const PACKED: bool, const R: usize, const V: usize>(
    first: usize,
    depth: usize,
    a: Lhs,
    panel: *const f32,
    c: Out,
    width: usize,
    add: bool,
) {
    // SAFETY: the caller vouches for `depth` columns of `R` rows behind `a`, for the packed panel, and for a block of
    // `[R, width]` behind `c`.
    unsafe {
        let c = c.from(first, 0);
        let whole = width == V * 16;
        let mut acc = [[S::splat(0.0); V]; R];
        if add {
            for (r, row) in acc.iter_mut().enumerate() {
                for (v, x) in row.iter_mut().enumerate() {
                    *x = load_row::<S>(c, r, v * 16, (width - v * 16).min(16));
                }
            }
        }
        let rows: [*const f32; R] = std::array::from_fn(|r| {
            if PACKED { a.data.add(first + r) } else { a.data.add((first + r) * a.stride) }
        });
        let step = if PACKED { TILE } else { 1 };
        for p in 0..depth {
            let b: [S::V; V] = std::array::from_fn(|v| S::load(panel.add(p * PANEL + v * 16)));
            for r in 0..R {
                let x = S::splat(*rows[r].add(p * step));
                for v in 0..V {
                    acc[r][v] = S::fma(x, b[v], acc[r][v]);
                }
            }
        }
        if c.column_stride == 1 {
            for (r, row) in acc.into_iter().enumerate() {
                for (v, x) in row.into_iter().enumerate() {
                    let dst = c.data.add(r * c.row_stride + v * 16);
                    if whole {
                        S::store(dst, x);
                    } else {
                        S::store_part(dst, x, (width - v * 16).min(16));
                    }
                }
            }
        } else if R == 8 && whole {
            for v in 0..V {
                let rows: [S::V; 8] = std::array::from_fn(|r| acc[r % R][v]);
                S::store_transposed_8(rows, c.data.add(v * 16 * c.column_stride), c.column_stride);
            }
        } else {
            for (r, row) in acc.into_iter().enumerate() {
                for (v, x) in row.into_iter().enumerate() {
                    let lanes = S::to_array(x);
                    for (j, x) in lanes.into_iter().take((width - v * 16).min(16)).enumerate() {
                        *c.data.add(r * c.row_stride + (v * 16 + j) * c.column_stride) = x;
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn load_row<S: Simd>(c: Out, r: usize, column: usize, width: usize) -> S::V {
    // SAFETY: the caller vouches for `width` elements of row `r` from `column`.
    unsafe {
        let src = c.data.add(r * c.row_stride + column * c.column_stride);
        if c.column_stride == 1 {
            S::load_part(src, width)
        } else {
            let lanes: [f32; 16] =
                std::array::from_fn(|j| if j < width { *src.add(j * c.column_stride) } else { 0.0 });
            S::load(lanes.as_ptr())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut x = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        (0..n)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 17;
                x ^= x << 5;
                x as f32 / u32::MAX as f32 - 0.5
            })
            .collect()
    }

    /// The definition: one chain of fused multiply-adds per element.
    fn chain(m: usize, n: usize, k: usize, a: View<'_>, b: View<'_>, c: &[f32]) -> Vec<f32> {
        let at = |v: View<'_>, i: usize, j: usize| v.data[i * v.row_stride + j * v.column_stride];
        (0..m * n)
            .map(|e| (0..k).fold(c[e], |sum, p| at(a, e / n, p).mul_add(at(b, p, e % n), sum)))
            .collect()
    }

    #[test]
    fn every_element_is_the_chain_of_fused_multiply_adds_bit_for_bit() {
        for (m, n, k) in
            [(1, 1, 1), (1, 100, 37), (3, 17, 64), (8, 48, 1030), (13, 96, 33), (40, 31, 520), (33, 257, 64)]
        {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let at: Vec<f32> = (0..k * m).map(|e| a[(e % m) * k + e / m]).collect();
            let bt: Vec<f32> = (0..n * k).map(|e| b[(e % k) * n + e / k]).collect();
            let start = numbers(m * n, 3);
            for lhs in [View::rows(&a, k), View::rows(&at, m).t()] {
                for rhs in [View::rows(&b, n), View::rows(&bt, k).t()] {
                    let mut c = start.clone();
                    gemm((m, n, k), lhs, rhs, &mut c, false);
                    assert_eq!(c, chain(m, n, k, lhs, rhs, &vec![0.0; m * n]), "{m} {n} {k}");
                    let mut c = start.clone();
                    gemm((m, n, k), lhs, rhs, &mut c, true);
                    assert_eq!(c, chain(m, n, k, lhs, rhs, &start), "accumulated {m} {n} {k}");
                }
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_alone_and_in_a_large_batch() {
        let (m, n, k) = (150, 200, 300);
        let (x, w) = (numbers(m * k, 4), numbers(n * k, 5));
        let mut all = vec![0.0; m * n];
        gemm((m, n, k), View::rows(&x, k), View::rows(&w, k).t(), &mut all, false);
        for row in [0, 7, 149] {
            let mut one = vec![0.0; n];
            gemm((1, n, k), View::rows(&x[row * k..], k), View::rows(&w, k).t(), &mut one, false);
            assert_eq!(one, all[row * n..(row + 1) * n]);
        }
    }
}
