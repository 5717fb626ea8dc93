//! Grouped-query attention with rotary embedding (Ainslie et al., arXiv 2305.13245).

use super::{Linear, Names};
use crate::cached::{LayerPages, Row};
use crate::kernels::attention::{Pages, Queries, Scratch, attend};
use crate::kernels::norm;
use crate::ops::{self, AttentionShape};
use crate::packed::Packed;
use crate::params::{ParamId, ParamSlices, Params};
use crate::tape::{Tape, Var};
use candle_core::Result;
use rayon::prelude::*;
use std::sync::Arc;

/// Projections to queries `[heads * head_dim]`, keys and values `[kv_heads * head_dim]`, and back; in Qwen3 a norm of each query and
/// key head before it is rotated.
#[derive(Clone, Debug)]
pub struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    o: Linear,
    head_norms: Option<HeadNorms>,
    pub(crate) shape: AttentionShape,
}

/// Weights `[head_dim]` of the norms of queries and keys.
#[derive(Clone, Copy, Debug)]
struct HeadNorms {
    q: ParamId,
    k: ParamId,
    eps: f32,
}

/// Buffers of the cached forward, kept between calls.
#[derive(Default)]
pub struct AttentionBuffers {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    mixed: Vec<f32>,
}

impl Attention {
    pub(crate) fn new(names: &Names, prefix: &str, shape: AttentionShape, eps: f32) -> Self {
        let linear = |name: &str| Linear::new(names, &format!("{prefix}.{name}_proj"));
        let norm = |name: &str| names.find(&format!("{prefix}.{name}_norm.weight"));
        let head_norms = norm("q").zip(norm("k")).map(|(q, k)| HeadNorms { q, k, eps });
        Attention { q: linear("q"), k: linear("k"), v: linear("v"), o: linear("o"), head_norms, shape }
    }

    /// `[tokens, hidden]` to the same shape.
    pub(crate) fn forward(&self, tape: &Tape, params: &Params, batch: &Arc<Packed>, x: &Var) -> Result<Var> {
        let mut q = self.q.forward(tape, params, x)?;
        let mut k = self.k.forward(tape, params, x)?;
        let v = self.v.forward(tape, params, x)?;
        if let Some(norms) = self.head_norms {
            q = ops::rms_norm(tape, params, norms.q, &q, norms.eps)?;
            k = ops::rms_norm(tape, params, norms.k, &k, norms.eps)?;
        }
        self.o.forward(tape, params, &ops::attention(tape, &self.shape, batch, &q, &k, &v)?)
    }

    /// The same for rows of plain floats: writes each row's key and value into its page, then attends; overwrites `out`.
    pub(crate) fn cached(
        &self,
        params: &ParamSlices<'_>,
        rows: &[Row<'_>],
        x: &[f32],
        pages: &mut LayerPages<'_>,
        buffers: &mut AttentionBuffers,
        out: &mut Vec<f32>,
    ) {
        let AttentionShape { kv_heads, head_dim, .. } = self.shape;
        let AttentionBuffers { q, k, v, mixed } = buffers;
        let (n, kv_width) = (rows.len(), kv_heads * head_dim);
        self.q.cached(params, n, x, q);
        self.k.cached(params, n, x, k);
        self.v.cached(params, n, x, v);
        if let Some(norms) = self.head_norms {
            let normalise = |heads: &mut [f32], weight: ParamId| {
                let weight = params.get(weight);
                heads.par_chunks_exact_mut(head_dim).for_each_init(Vec::new, |from, head| {
                    from.clear();
                    from.extend_from_slice(head);
                    norm::rms_norm(from, weight, norms.eps, head);
                });
            };
            normalise(q, norms.q);
            normalise(k, norms.k);
        }
        for (i, row) in rows.iter().enumerate() {
            for head in 0..kv_heads {
                let at = i * kv_width + head * head_dim..i * kv_width + (head + 1) * head_dim;
                if let Some(rope) = &self.shape.rope {
                    rope.rotate(row.position as usize, &mut k[at.clone()]);
                }
                pages.write(row, head, &k[at.clone()], &v[at]);
            }
        }
        mixed.resize(q.len(), 0.0);
        self.attend_rows(rows, q, pages, mixed);
        self.o.cached(params, n, mixed, out);
    }

    /// Rotates the queries in place and attends, rows in parallel.
    fn attend_rows(&self, rows: &[Row<'_>], q: &mut [f32], pages: &LayerPages<'_>, out: &mut [f32]) {
        let AttentionShape { heads, kv_heads, head_dim, scale, window, .. } = self.shape;
        let (g, q_width) = (heads / kv_heads, heads * head_dim);
        let per = rows.len().div_ceil(rayon::current_num_threads() * 2).max(1);
        (rows.par_chunks(per))
            .zip(q.par_chunks_mut(per * q_width))
            .zip(out.par_chunks_mut(per * q_width))
            .for_each_init(
                || (Scratch::default(), Vec::new(), Vec::new(), vec![0.0; g]),
                |(scratch, blocks, visible, log_sums), ((rows, q), out)| {
                    for ((row, q), out) in
                        rows.iter().zip(q.chunks_exact_mut(q_width)).zip(out.chunks_exact_mut(q_width))
                    {
                        if let Some(rope) = &self.shape.rope {
                            q.chunks_exact_mut(head_dim)
                                .for_each(|head| rope.rotate(row.position as usize, head));
                        }
                        visible.clear();
                        visible.resize(g, row.position as usize + 1);
                        for head in 0..kv_heads {
                            pages.blocks(row, head, blocks);
                            let at = head * g * head_dim..(head + 1) * g * head_dim;
                            let queries = Queries { rows: &q[at.clone()], visible, window, scale };
                            let kv = Pages { data: pages.data, blocks, block: pages.block };
                            attend(queries, kv, &mut out[at], log_sums, scratch);
                        }
                    }
                },
            );
    }
}
