//! Causal attention over a packed batch, forward and backward, with rotary embedding applied on the way in.
//!
//! Work is split by family (a sequence and its continuations) and key-value head. Each task lays the family's keys out in
//! the pages of [`super::attention`], a continuation sharing its prefix's full pages exactly as the sampler's KV
//! cache does, and walks the queries in small tiles: no `[tokens, tokens]` matrix exists at any time, and what the
//! backward needs of the softmax is one log-sum per query, from which the weights are computed again
//! (Dao et al., arXiv 2205.14135).

use super::attention::{
    Block, PAGE, Pages, Queries, Scratch, attend, dot_scores, first_seen, rank_update, scale_and_mask,
    weighted_sum,
};
use super::rope::RopeTable;
use super::softmax::exp_shifted;
use crate::packed::{Family, Packed, Segment};
use rayon::prelude::*;

/// The shape of an attention layer.
#[derive(Clone, Copy)]
pub struct Heads<'a> {
    /// Query heads.
    pub heads: usize,
    /// Key-value heads; a divisor of `heads`.
    pub kv_heads: usize,
    /// Components of a head.
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f32,
    /// Positions that a query sees, its own included; all earlier ones without it.
    pub window: Option<usize>,
    /// Rotary embedding of queries and keys, if the model has one.
    pub rope: Option<&'a RopeTable>,
}

impl Heads<'_> {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    fn block(&self) -> Block {
        Block { head_dim: self.head_dim }
    }

    /// Tokens whose query heads are worked on together.
    fn tile(&self) -> usize {
        (8 / self.group()).max(1)
    }

    fn rotated(&self, position: u32, head: &[f32], out: &mut [f32]) {
        out.copy_from_slice(head);
        if let Some(rope) = self.rope {
            rope.rotate(position as usize, out);
        }
    }
}

/// What [`forward`] makes.
pub struct Attended {
    /// `[tokens, heads * head_dim]`.
    pub out: Vec<f32>,
    /// `[tokens, heads]`: log-sum-exp of the scaled scores.
    pub log_sums: Vec<f32>,
}

/// A matrix that tasks write disjoint parts of.
struct Shared<'a> {
    data: *mut f32,
    len: usize,
    lifetime: std::marker::PhantomData<&'a mut [f32]>,
}
// SAFETY: tasks write disjoint parts; see `Shared::part`.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn new(data: &'a mut [f32]) -> Self {
        Shared { data: data.as_mut_ptr(), len: data.len(), lifetime: std::marker::PhantomData }
    }

    /// # Safety
    /// No other task may hold a part that overlaps `at..at + len`.
    #[allow(clippy::mut_from_ref)] // the point of the type
    unsafe fn part(&self, at: usize, len: usize) -> &mut [f32] {
        assert!(at + len <= self.len);
        // SAFETY: in bounds, and disjoint by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(at), len) }
    }
}

/// `q` is `[tokens, heads * head_dim]`, `k` and `v` are `[tokens, kv_heads * head_dim]`, none of them rotated.
///
/// # Panics
/// When the slices do not fit the batch.
pub fn forward(heads: Heads<'_>, batch: &Packed, q: &[f32], k: &[f32], v: &[f32]) -> Attended {
    let (n, dim, g) = (batch.len(), heads.head_dim, heads.group());
    let (q_width, kv_width) = (heads.heads * dim, heads.kv_heads * dim);
    assert!(q.len() == n * q_width && k.len() == n * kv_width && v.len() == k.len(), "attention: shapes");
    let (mut out, mut log_sums) = (vec![0.0; n * q_width], vec![0.0; n * heads.heads]);
    let (shared_out, shared_sums) = (Shared::new(&mut out), Shared::new(&mut log_sums));
    for_tasks(heads, batch, |family, head| {
        let mut keys = KeyPages::new(heads.block());
        let mut scratch = Scratch::default();
        let mut queries = vec![0.0; heads.tile() * g * dim];
        let (mut tile, mut sums) = (queries.clone(), vec![0.0; heads.tile() * g]);
        let mut visible = Vec::new();
        for segment in &batch.segments[family.root..family.end] {
            keys.lay(batch, segment, |token, key, value| {
                let at = token * kv_width + head * dim;
                heads.rotated(batch.positions[token], &k[at..at + dim], key);
                value.copy_from_slice(&v[at..at + dim]);
            });
            for (first, tokens) in tiles(segment, heads.tile()) {
                visible.clear();
                for (r, row) in queries.chunks_exact_mut(dim).take(tokens * g).enumerate() {
                    let token = first + r / g;
                    let at = token * q_width + (head * g + r % g) * dim;
                    heads.rotated(batch.positions[token], &q[at..at + dim], row);
                    visible.push(batch.positions[token] as usize + 1);
                }
                let rows = tokens * g;
                let queries = Queries {
                    rows: &queries[..rows * dim],
                    visible: &visible,
                    window: heads.window,
                    scale: heads.scale,
                };
                attend(queries, keys.pages(), &mut tile[..rows * dim], &mut sums[..rows], &mut scratch);
                for t in 0..tokens {
                    let token = first + t;
                    // SAFETY: these heads of this token belong to this task alone.
                    unsafe {
                        let at = token * q_width + head * g * dim;
                        shared_out.part(at, g * dim).copy_from_slice(&tile[t * g * dim..(t + 1) * g * dim]);
                        shared_sums
                            .part(token * heads.heads + head * g, g)
                            .copy_from_slice(&sums[t * g..(t + 1) * g]);
                    }
                }
            }
        }
    });
    Attended { out, log_sums }
}

/// Gradients of `q`, `k` and `v`, in the shapes given to [`forward`], for the gradient `d_out` of its `out`; the
/// `out` and `log_sums` that it made are given back.
///
/// # Panics
/// When the slices do not fit the batch.
pub fn backward(
    heads: Heads<'_>,
    batch: &Packed,
    (q, k, v): (&[f32], &[f32], &[f32]),
    (out, log_sums): (&[f32], &[f32]),
    d_out: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (mut d_q, mut d_k, mut d_v) = (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
    assert_eq!(d_out.len(), out.len(), "attention backward: shapes");
    let shared = (Shared::new(&mut d_q), Shared::new(&mut d_k), Shared::new(&mut d_v));
    for_tasks(heads, batch, |family, head| {
        let task = Backward { heads, batch, head, q, k, v, out, log_sums, d_out };
        task.run(&batch.segments[family.root..family.end], &shared);
    });
    (d_q, d_k, d_v)
}

/// One task of the backward: a family and a key-value head.
struct Backward<'a> {
    heads: Heads<'a>,
    batch: &'a Packed,
    head: usize,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    out: &'a [f32],
    log_sums: &'a [f32],
    d_out: &'a [f32],
}

impl Backward<'_> {
    fn run(&self, segments: &[Segment], (d_q, d_k, d_v): &(Shared<'_>, Shared<'_>, Shared<'_>)) {
        let Backward { heads, batch, head, q, k, v, .. } = *self;
        let (dim, g, padded) = (heads.head_dim, heads.group(), heads.block().padded());
        let (q_width, kv_width) = (heads.heads * dim, heads.kv_heads * dim);
        // keys as scores want them and values as sums want them; then the two the other way round
        let (mut keys, mut swapped) = (KeyPages::new(heads.block()), KeyPages::new(heads.block()));
        let prefix = segments[0].len;
        let mut prefix_grads = (vec![0.0; prefix * padded], vec![0.0; prefix * padded]);
        let rows_max = heads.tile() * g;
        let (mut queries, mut grads) = (vec![0.0; rows_max * dim], vec![0.0; rows_max * dim]);
        let (mut queries_padded, mut grads_padded) =
            (vec![0.0; rows_max * padded], vec![0.0; rows_max * padded]);
        let (mut weights, mut slopes) = (Vec::new(), Vec::new());
        for (index, segment) in segments.iter().enumerate() {
            let load = |token: usize, key: &mut [f32], value: &mut [f32]| {
                let at = token * kv_width + head * dim;
                heads.rotated(batch.positions[token], &k[at..at + dim], key);
                value.copy_from_slice(&v[at..at + dim]);
            };
            keys.lay(batch, segment, load);
            swapped.lay(batch, segment, |token, key, value| load(token, value, key));
            let first_position = batch.positions[segment.start] as usize;
            let positions = first_position + segment.len;
            let (mut key_grads, mut value_grads) =
                (vec![0.0; positions * padded], vec![0.0; positions * padded]);
            for (first, tokens) in tiles(segment, heads.tile()) {
                let rows = tokens * g;
                for r in 0..rows {
                    let token = first + r / g;
                    let at = token * q_width + (head * g + r % g) * dim;
                    heads.rotated(
                        batch.positions[token],
                        &q[at..at + dim],
                        &mut queries[r * dim..(r + 1) * dim],
                    );
                    grads[r * dim..(r + 1) * dim].copy_from_slice(&self.d_out[at..at + dim]);
                    queries_padded[r * padded..r * padded + dim]
                        .copy_from_slice(&queries[r * dim..(r + 1) * dim]);
                    grads_padded[r * padded..r * padded + dim]
                        .copy_from_slice(&grads[r * dim..(r + 1) * dim]);
                }
                let seen = batch.positions[first + tokens - 1] as usize + 1;
                let (kv, vk) = (keys.pages_seen(seen), swapped.pages_seen(seen));
                let width = kv.blocks.len() * PAGE;
                weights.clear();
                weights.resize(rows * width, 0.0);
                slopes.clear();
                slopes.resize(rows * width, 0.0);
                dot_scores(&queries[..rows * dim], kv, 0, &mut weights);
                dot_scores(&grads[..rows * dim], vk, 0, &mut slopes);
                for r in 0..rows {
                    let token = first + r / g;
                    let query_head = head * g + r % g;
                    let row = &mut weights[r * width..(r + 1) * width];
                    let visible = batch.positions[token] as usize + 1;
                    scale_and_mask(row, first_seen(visible, heads.window)..visible, heads.scale);
                    exp_shifted(row, self.log_sums[token * heads.heads + query_head]);
                    let at = token * q_width + query_head * dim;
                    let dot: f32 = self.out[at..at + dim]
                        .iter()
                        .zip(&self.d_out[at..at + dim])
                        .map(|(a, b)| a * b)
                        .sum();
                    for (slope, weight) in slopes[r * width..(r + 1) * width].iter_mut().zip(row) {
                        *slope = *weight * (*slope - dot) * heads.scale;
                    }
                }
                rank_update(
                    &weights,
                    width,
                    &grads_padded[..rows * padded],
                    padded,
                    &mut value_grads[..seen * padded],
                );
                rank_update(
                    &slopes,
                    width,
                    &queries_padded[..rows * padded],
                    padded,
                    &mut key_grads[..seen * padded],
                );
                weighted_sum(&slopes, vk, vk.block.values(), &mut queries[..rows * dim]);
                for (r, row) in queries.chunks_exact_mut(dim).take(rows).enumerate() {
                    let token = first + r / g;
                    if let Some(rope) = heads.rope {
                        rope.rotate_back(batch.positions[token] as usize, row);
                    }
                    // SAFETY: this head of this token belongs to this task alone.
                    unsafe { d_q.part(token * q_width + (head * g + r % g) * dim, dim) }.copy_from_slice(row);
                }
            }
            for (sum, part) in [(&mut prefix_grads.0, &key_grads), (&mut prefix_grads.1, &value_grads)] {
                let shared = if index == 0 { prefix } else { first_position } * padded;
                super::elementwise::add_assign(&mut sum[..shared], &part[..shared]);
            }
            if index > 0 {
                let own = first_position * padded..;
                self.write(segment, &key_grads[own.clone()], &value_grads[own], padded, (d_k, d_v));
            }
        }
        self.write(&segments[0], &prefix_grads.0, &prefix_grads.1, padded, (d_k, d_v));
    }

    /// Rotates the gradients of a segment's keys back and writes them and those of its values out.
    fn write(
        &self,
        segment: &Segment,
        keys: &[f32],
        values: &[f32],
        padded: usize,
        (d_k, d_v): (&Shared<'_>, &Shared<'_>),
    ) {
        let dim = self.heads.head_dim;
        for i in 0..segment.len {
            let token = segment.start + i;
            let at = token * self.heads.kv_heads * dim + self.head * dim;
            // SAFETY: this key-value head of this token belongs to this task alone, and the parts do not outlive the turn.
            let (key, value) = unsafe { (d_k.part(at, dim), d_v.part(at, dim)) };
            key.copy_from_slice(&keys[i * padded..i * padded + dim]);
            value.copy_from_slice(&values[i * padded..i * padded + dim]);
            if let Some(rope) = self.heads.rope {
                rope.rotate_back(self.batch.positions[token] as usize, key);
            }
        }
    }
}

fn for_tasks(heads: Heads<'_>, batch: &Packed, task: impl Fn(&Family, usize) + Sync) {
    let families = batch.families();
    (0..families.len() * heads.kv_heads)
        .into_par_iter()
        .with_max_len(1)
        .for_each(|i| task(&families[i / heads.kv_heads], i % heads.kv_heads));
}

/// The tokens of a segment in runs of at most `tile`: (first token, number of tokens).
fn tiles(segment: &Segment, tile: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (start, end) = (segment.start, segment.start + segment.len);
    (start..end).step_by(tile).map(move |first| (first, (end - first).min(tile)))
}

/// Keys and values of one head in pages, for a root segment and then for each of its continuations in turn.
struct KeyPages {
    block: Block,
    data: Vec<f32>,
    blocks: Vec<usize>,
    /// Positions of the root segment.
    prefix: usize,
    key: Vec<f32>,
    value: Vec<f32>,
}

impl KeyPages {
    fn new(block: Block) -> Self {
        let head = vec![0.0; block.head_dim];
        KeyPages { block, data: Vec::new(), blocks: Vec::new(), prefix: 0, key: head.clone(), value: head }
    }

    /// Lays out `segment`: a root anew, a continuation behind its root's full pages and a copy of its last, partial one.
    fn lay(
        &mut self,
        batch: &Packed,
        segment: &Segment,
        mut load: impl FnMut(usize, &mut [f32], &mut [f32]),
    ) {
        let size = self.block.len();
        let first = batch.positions[segment.start] as usize;
        if segment.prefix.is_none() {
            self.blocks.clear();
            self.prefix = segment.len;
        }
        let kept = if segment.prefix.is_none() { 0 } else { self.prefix.div_ceil(PAGE) };
        let full = first / PAGE;
        self.blocks.truncate(full);
        let pages = (first + segment.len).div_ceil(PAGE);
        self.data.resize((kept + pages - full) * size, 0.0);
        self.data[kept * size..].fill(0.0);
        self.blocks.extend((0..pages - full).map(|i| (kept + i) * size));
        if !first.is_multiple_of(PAGE) {
            self.data.copy_within(full * size..(full + 1) * size, kept * size);
        }
        for i in 0..segment.len {
            load(segment.start + i, &mut self.key, &mut self.value);
            let position = first + i;
            let block = self.blocks[position / PAGE];
            self.block.write(&mut self.data[block..block + size], position % PAGE, &self.key, &self.value);
        }
    }

    fn pages(&self) -> Pages<'_> {
        Pages { data: &self.data, blocks: &self.blocks, block: self.block }
    }

    fn pages_seen(&self, positions: usize) -> Pages<'_> {
        Pages { blocks: &self.blocks[..positions.div_ceil(PAGE)], ..self.pages() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, seed: f32) -> Vec<f32> {
        (0..n).map(|i| ((i as f32 + seed) * 0.7371).sin()).collect()
    }

    /// Attention by the textbook in f64, no sharing: the loss is `sum(out * weight)`.
    fn loss(heads: Heads<'_>, batch: &Packed, q: &[f32], k: &[f32], v: &[f32], weight: &[f32]) -> f64 {
        let dim = heads.head_dim;
        let rotate = |x: &[f32], token: usize| {
            let mut out = x.to_vec();
            heads.rotated(batch.positions[token], x, &mut out);
            out.into_iter().map(f64::from).collect::<Vec<_>>()
        };
        let mut total = 0.0;
        for s in &batch.segments {
            for t in s.start..s.start + s.len {
                let before = s.prefix.map(|p| batch.segments[p]).map_or(0..0, |p| p.start..p.start + p.len);
                let mut seen: Vec<usize> = before.chain(s.start..=t).collect();
                let hidden = heads.window.map_or(0, |window| seen.len().saturating_sub(window));
                seen.drain(..hidden);
                for h in 0..heads.heads {
                    let kv = h / heads.group() * dim;
                    let width = heads.kv_heads * dim;
                    let query = rotate(&q[t * heads.heads * dim + h * dim..][..dim], t);
                    let scores: Vec<f64> = seen
                        .iter()
                        .map(|j| {
                            let key = rotate(&k[j * width + kv..][..dim], *j);
                            key.iter().zip(&query).map(|(a, b)| a * b).sum::<f64>() * f64::from(heads.scale)
                        })
                        .collect();
                    let sum: f64 = scores.iter().map(|s| s.exp()).sum();
                    for d in 0..dim {
                        let o: f64 = seen
                            .iter()
                            .zip(&scores)
                            .map(|(j, s)| s.exp() / sum * f64::from(v[j * width + kv + d]))
                            .sum();
                        total += o * f64::from(weight[t * heads.heads * dim + h * dim + d]);
                    }
                }
            }
        }
        total
    }

    #[test]
    fn gradients_agree_with_finite_differences_of_textbook_attention() {
        for (heads, kv_heads, head_dim, window) in
            [(4, 2, 8, None), (3, 1, 20, Some(4)), (2, 2, 34, Some(20)), (2, 1, 16, Some(1))]
        {
            let inverse: Vec<f64> = (0..head_dim / 2).map(|i| 0.5f64.powi(i)).collect();
            let rope = RopeTable::new(64, &inverse);
            let head_dim = head_dim as usize;
            let heads = Heads { heads, kv_heads, head_dim, scale: 0.3, window, rope: Some(&rope) };
            let mut batch = Packed::new();
            batch.push(&[0; 5]);
            let prompt = batch.push(&[0; 18]);
            batch.push_continuation(prompt, &[0; 3]);
            batch.push_continuation(prompt, &[0; 17]);
            batch.push(&[0; 1]);
            let n = batch.len();
            let q = wave(n * heads.heads * head_dim, 0.0);
            let (k, v) = (wave(n * kv_heads * head_dim, 100.0), wave(n * kv_heads * head_dim, 777.0));
            let weight = wave(q.len(), 31.0);
            let attended = forward(heads, &batch, &q, &k, &v);
            let ours: f64 =
                attended.out.iter().zip(&weight).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((ours - loss(heads, &batch, &q, &k, &v, &weight)).abs() < 1e-3);
            let (d_q, d_k, d_v) =
                backward(heads, &batch, (&q, &k, &v), (&attended.out, &attended.log_sums), &weight);
            for (which, grads) in [&d_q, &d_k, &d_v].into_iter().enumerate() {
                for i in (0..grads.len()).step_by(grads.len() / 23 + 1) {
                    let eps = 1e-2f32;
                    let at = |sign: f32| {
                        let mut inputs = [q.clone(), k.clone(), v.clone()];
                        inputs[which][i] += sign * eps;
                        loss(heads, &batch, &inputs[0], &inputs[1], &inputs[2], &weight)
                    };
                    let slope = (at(1.0) - at(-1.0)) / (2.0 * f64::from(eps));
                    assert!(
                        (slope - f64::from(grads[i])).abs() < 2e-3 * (1.0 + slope.abs()),
                        "input {which}, element {i}: {slope} by differences, {} by us",
                        grads[i]
                    );
                }
            }
        }
    }

    #[test]
    fn a_continuation_gets_the_bits_of_the_whole_sequence() {
        for window in [None, Some(18), Some(33)] {
            continuation_and_whole_sequence_agree(window);
        }
    }

    fn continuation_and_whole_sequence_agree(window: Option<usize>) {
        let heads = Heads { heads: 2, kv_heads: 1, head_dim: 32, scale: 0.2, window, rope: None };
        let (mut shared, mut whole) = (Packed::new(), Packed::new());
        let prompt = shared.push(&[0; 21]);
        shared.push_continuation(prompt, &[0; 40]);
        whole.push(&[0; 61]);
        let (q, k, v) = (wave(61 * 64, 1.0), wave(61 * 32, 2.0), wave(61 * 32, 3.0));
        let a = forward(heads, &shared, &q, &k, &v);
        let b = forward(heads, &whole, &q, &k, &v);
        assert_eq!(a.out, b.out);
    }
}
