//! Attention of a few query rows over keys and values held in pages of 16 positions.
//!
//! A page of one key-value head is a *block*: its keys transposed, `[head_dim][16]`, so that one vector holds one
//! component of 16 keys; then its values, `[16][padded head_dim]`, padded with zeros to whole vectors. Decoding and
//! the training forward both call [`attend`], with a key's lane being its position modulo 16 in either, so they
//! agree to the bit. The three primitives below (scores, weighted sum, rank update) also make up the backward.

use super::simd::{Simd, dispatch, exp};
use super::softmax;
use std::ops::Range;

/// Positions per page.
pub const PAGE: usize = 16;

/// The shape of a block of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Components of a head.
    pub head_dim: usize,
}

impl Block {
    /// `head_dim` rounded up to whole vectors.
    pub fn padded(self) -> usize {
        self.head_dim.next_multiple_of(16)
    }

    /// Floats in a block.
    pub fn len(self) -> usize {
        PAGE * (self.head_dim + self.padded())
    }

    /// Whether a block holds nothing (a head of no components).
    pub fn is_empty(self) -> bool {
        self.head_dim == 0
    }

    /// Offset of the values within a block.
    pub fn values(self) -> usize {
        PAGE * self.head_dim
    }

    /// Writes the key and value of the position at `lane` of a block.
    pub fn write(self, block: &mut [f32], lane: usize, key: &[f32], value: &[f32]) {
        for (d, x) in key.iter().enumerate() {
            block[d * PAGE + lane] = *x;
        }
        let at = self.values() + lane * self.padded();
        block[at..at + self.head_dim].copy_from_slice(value);
    }
}

/// Working space of [`attend`], reused between calls.
#[derive(Default)]
pub struct Scratch {
    scores: Vec<f32>,
    sums: Vec<f32>,
}

/// Query rows that share a key-value head, and what each of them sees.
#[derive(Clone, Copy)]
pub struct Queries<'a> {
    /// `[rows, head_dim]`, rotated.
    pub rows: &'a [f32],
    /// `[rows]`: row `r` sees the positions `0..visible[r]`, at least one.
    pub visible: &'a [usize],
    /// Most of them that a row sees, the last ones; all without it.
    pub window: Option<usize>,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
}

/// Keys and values of one head: `blocks[i]` is the offset in `data` of the block of positions `16 i..16 i + 15`.
#[derive(Clone, Copy)]
pub struct Pages<'a> {
    /// Storage of the blocks.
    pub data: &'a [f32],
    /// Offsets, in the order of positions.
    pub blocks: &'a [usize],
    /// Shape of a block.
    pub block: Block,
}

/// Softmax attention. `out` is `[rows, head_dim]`; `log_sums` (`[rows]`) receives each row's log-sum-exp of scaled scores.
///
/// # Panics
/// When a row sees nothing, or more than the pages hold, or the slices do not fit together.
pub fn attend(
    queries: Queries<'_>,
    kv: Pages<'_>,
    out: &mut [f32],
    log_sums: &mut [f32],
    scratch: &mut Scratch,
) {
    let Queries { visible, window, scale, .. } = queries;
    let most = visible.iter().copied().max().unwrap_or(0);
    // pages that no row sees would add nothing but zeros
    let unseen = visible.iter().map(|visible| first_seen(*visible, window)).min().unwrap_or(0) / PAGE;
    let kv = Pages { blocks: &kv.blocks[unseen..most.div_ceil(PAGE)], ..kv };
    let keys = kv.blocks.len() * PAGE;
    assert!(visible.iter().all(|n| *n > 0), "attend: a row that sees no key");
    scratch.scores.resize(scratch.scores.len().max(visible.len() * keys), 0.0);
    scratch.sums.clear();
    let scores = &mut scratch.scores[..visible.len() * keys];
    dot_scores(queries.rows, kv, 0, scores);
    for ((row, visible), log_sum) in scores.chunks_exact_mut(keys).zip(visible).zip(log_sums) {
        let seen = first_seen(*visible, window) - unseen * PAGE..*visible - unseen * PAGE;
        let max = scale_and_mask(row, seen, scale);
        let sum = exp_and_sum(row, max);
        scratch.sums.push(sum);
        *log_sum = max + sum.ln();
    }
    weighted_sum(scores, kv, kv.block.values(), out);
    for (row, sum) in out.chunks_exact_mut(kv.block.head_dim).zip(&scratch.sums) {
        for x in row {
            *x /= sum;
        }
    }
}

/// The first of the `visible` positions that a row with this window sees.
pub(super) fn first_seen(visible: usize, window: Option<usize>) -> usize {
    window.map_or(0, |window| visible.saturating_sub(window))
}

/// Scales the scores of a row that are seen, sets the rest to `-inf`, and returns the largest.
pub(super) fn scale_and_mask(row: &mut [f32], seen: Range<usize>, scale: f32) -> f32 {
    row[..seen.start].fill(f32::NEG_INFINITY);
    row[seen.end..].fill(f32::NEG_INFINITY);
    let seen = &mut row[seen];
    for x in seen.iter_mut() {
        *x *= scale;
    }
    softmax::max(seen)
}

dispatch! {
    /// Replaces `row` (whole vectors) by `exp(row - shift)` and returns its sum, lane by lane first.
    fn exp_and_sum(row: &mut [f32], shift: f32) -> f32 = exp_and_sum_on
}

#[inline(always)]
unsafe fn exp_and_sum_on<S: Simd>(row: &mut [f32], shift: f32) -> f32 {
    let (vectors, rest) = row.as_chunks_mut::<16>();
    assert!(rest.is_empty());
    // SAFETY: each vector is 16 floats of the row.
    unsafe {
        let shift = S::splat(shift);
        let mut sum = S::splat(0.0);
        for v in vectors {
            let e = exp::<S>(S::sub(S::load(v.as_ptr()), shift));
            S::store(v.as_mut_ptr(), e);
            sum = S::add(sum, e);
        }
        S::sum(sum)
    }
}

dispatch! {
    /// `out[r][j] = sum over d of rows[r][d] * column[d][j]`, where the columns of position `j` stand transposed,
    /// `[head_dim][16]`, at `offset` in its block. `rows` is `[r, head_dim]`, `out` `[r, 16 * blocks]`.
    pub fn dot_scores(rows: &[f32], kv: Pages<'_>, offset: usize, out: &mut [f32]) = dot_scores_on
}

#[inline(always)]
unsafe fn dot_scores_on<S: Simd>(rows: &[f32], kv: Pages<'_>, offset: usize, out: &mut [f32]) {
    let (dim, pages) = (kv.block.head_dim, kv.blocks.len());
    let count = rows.len() / dim;
    assert_eq!(out.len(), count * pages * PAGE);
    assert!(kv.blocks.iter().all(|b| b + offset + dim * PAGE <= kv.data.len()), "block outside the pages");
    let mut r = 0;
    while r < count {
        let (q, o) = (&rows[r * dim..], &mut out[r * pages * PAGE..]);
        // SAFETY: row and block bounds are asserted above.
        unsafe {
            r += match count - r {
                1 => dot_rows::<S, 1, 4>(q, kv, offset, o),
                2 | 3 => dot_rows::<S, 2, 4>(q, kv, offset, o),
                _ => dot_rows::<S, 4, 2>(q, kv, offset, o),
            };
        }
    }
}

/// `R` rows against all pages, `P` pages at a time; returns `R`.
#[inline(always)]
unsafe fn dot_rows<S: Simd, const R: usize, const P: usize>(
    rows: &[f32],
    kv: Pages<'_>,
    offset: usize,
    out: &mut [f32],
) -> usize {
    // SAFETY: `dot_scores_on` has checked that each block and row is inside its slice.
    unsafe {
        let whole = kv.blocks.len() / P * P;
        for p in (0..whole).step_by(P) {
            dot_pages::<S, R, P>(rows, kv, offset, p, out);
        }
        for p in whole..kv.blocks.len() {
            dot_pages::<S, R, 1>(rows, kv, offset, p, out);
        }
    }
    R
}

#[inline(always)]
unsafe fn dot_pages<S: Simd, const R: usize, const P: usize>(
    rows: &[f32],
    kv: Pages<'_>,
    offset: usize,
    first: usize,
    out: &mut [f32],
) {
    let dim = kv.block.head_dim;
    // SAFETY: as for `dot_rows`.
    unsafe {
        let pages: [*const f32; P] =
            std::array::from_fn(|p| kv.data.as_ptr().add(*kv.blocks.get_unchecked(first + p) + offset));
        let queries: [*const f32; R] = std::array::from_fn(|r| rows.as_ptr().add(r * dim));
        let mut acc = [[S::splat(0.0); P]; R];
        for d in 0..dim {
            let k: [S::V; P] = std::array::from_fn(|p| S::load(pages[p].add(d * PAGE)));
            for r in 0..R {
                let q = S::splat(*queries[r].add(d));
                for p in 0..P {
                    acc[r][p] = S::fma(q, k[p], acc[r][p]);
                }
            }
        }
        for (r, row) in acc.into_iter().enumerate() {
            for (p, v) in row.into_iter().enumerate() {
                S::store(out.as_mut_ptr().add((r * kv.blocks.len() + first + p) * PAGE), v);
            }
        }
    }
}

dispatch! {
    /// `out[r][d] = sum over j of weights[r][j] * row[j][d]`, where the row of position `j`, padded to whole vectors,
    /// stands at `offset` in its block. `weights` is `[r, 16 * blocks]`, `out` `[r, head_dim]`.
    ///
    /// Even and odd positions are summed apart and then added, whatever the number of rows.
    pub fn weighted_sum(weights: &[f32], kv: Pages<'_>, offset: usize, out: &mut [f32]) = weighted_sum_on
}

#[inline(always)]
unsafe fn weighted_sum_on<S: Simd>(weights: &[f32], kv: Pages<'_>, offset: usize, out: &mut [f32]) {
    let (dim, keys) = (kv.block.head_dim, kv.blocks.len() * PAGE);
    let count = out.len() / dim;
    assert_eq!(weights.len(), count * keys);
    let padded = kv.block.padded();
    assert!(kv.blocks.iter().all(|b| b + offset + PAGE * padded <= kv.data.len()), "block outside the pages");
    let mut r = 0;
    while r < count {
        let (w, o) = (&weights[r * keys..], &mut out[r * dim..]);
        // SAFETY: row and block bounds are asserted above.
        unsafe {
            r += match count - r {
                1 => sum_rows::<S, 1>(w, kv, offset, o),
                2 | 3 => sum_rows::<S, 2>(w, kv, offset, o),
                _ => sum_rows::<S, 4>(w, kv, offset, o),
            };
        }
    }
}

/// `R` rows, two vectors of components at a time; returns `R`.
#[inline(always)]
unsafe fn sum_rows<S: Simd, const R: usize>(
    weights: &[f32],
    kv: Pages<'_>,
    offset: usize,
    out: &mut [f32],
) -> usize {
    let padded = kv.block.padded();
    // SAFETY: as for `weighted_sum_on`.
    unsafe {
        let mut d = 0;
        while d + 32 <= padded {
            sum_vectors::<S, R, 2>(weights, kv, offset, d, out);
            d += 32;
        }
        if d < padded {
            sum_vectors::<S, R, 1>(weights, kv, offset, d, out);
        }
    }
    R
}

#[inline(always)]
#[allow(clippy::needless_range_loop)] // loops over registers, unrolled by their constant bounds
unsafe fn sum_vectors<S: Simd, const R: usize, const V: usize>(
    weights: &[f32],
    kv: Pages<'_>,
    offset: usize,
    d: usize,
    out: &mut [f32],
) {
    let (dim, padded, keys) = (kv.block.head_dim, kv.block.padded(), kv.blocks.len() * PAGE);
    // SAFETY: as for `weighted_sum_on`.
    unsafe {
        let mut acc = [[[S::splat(0.0); V]; R]; 2];
        for (page, block) in kv.blocks.iter().enumerate() {
            let values = kv.data.as_ptr().add(block + offset + d);
            let weights = weights.as_ptr().add(page * PAGE);
            for j in (0..PAGE).step_by(2) {
                for (odd, acc) in acc.iter_mut().enumerate() {
                    let x: [S::V; V] =
                        std::array::from_fn(|v| S::load(values.add((j + odd) * padded + v * 16)));
                    for r in 0..R {
                        let w = S::splat(*weights.add(r * keys + j + odd));
                        for v in 0..V {
                            acc[r][v] = S::fma(w, x[v], acc[r][v]);
                        }
                    }
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                let at = d + v * 16;
                let sum = S::add(acc[0][r][v], acc[1][r][v]);
                S::store_part(out.as_mut_ptr().add(r * dim + at), sum, (dim - at).min(16));
            }
        }
    }
}

dispatch! {
    /// `out[j][d] += sum over r of weights[r][j] * rows[r][d]` for the first `out.len() / padded` positions `j`.
    ///
    /// `weights` is `[r, keys]`, `rows` `[r, padded]` and `out` `[positions, padded]`, with `padded` a multiple of 16.
    pub fn rank_update(weights: &[f32], keys: usize, rows: &[f32], padded: usize, out: &mut [f32]) = rank_update_on
}

#[inline(always)]
unsafe fn rank_update_on<S: Simd>(
    weights: &[f32],
    keys: usize,
    rows: &[f32],
    padded: usize,
    out: &mut [f32],
) {
    let count = rows.len() / padded;
    assert!(weights.len() == count * keys && padded.is_multiple_of(16) && out.len() <= keys * padded);
    for (j, out) in out.chunks_exact_mut(padded).enumerate() {
        // SAFETY: `j < keys`, and rows and `out` hold `padded` floats each.
        unsafe {
            for d in (0..padded).step_by(16) {
                let mut sum = S::load(out.as_ptr().add(d));
                for r in 0..count {
                    let w = S::splat(*weights.get_unchecked(r * keys + j));
                    sum = S::fma(w, S::load(rows.as_ptr().add(r * padded + d)), sum);
                }
                S::store(out.as_mut_ptr().add(d), sum);
            }
        }
    }
}
