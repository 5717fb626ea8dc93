//! Grouped-query attention with rotary embedding (Ainslie et al., arXiv 2305.13245).

use super::Names;
use crate::cached::{LayerPages, Row};
use crate::kernels::attention::{Pages, Queries, Scratch, attend};
use crate::kernels::gemm::{View, gemm};
use crate::ops::{self, AttentionShape};
use crate::packed::Packed;
use crate::params::{ParamId, ParamSlices, Params};
use crate::tape::{Tape, Var};
use candle_core::Result;
use rayon::prelude::*;
use std::sync::Arc;

/// Projections `q [heads * head_dim, hidden]`, `k` and `v` `[kv_heads * head_dim, hidden]`, `o [hidden, heads * head_dim]`.
#[derive(Clone, Debug)]
pub struct Attention {
    q: ParamId,
    k: ParamId,
    v: ParamId,
    o: ParamId,
    pub(crate) shape: AttentionShape,
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
    pub(crate) fn new(names: &Names, prefix: &str, shape: AttentionShape) -> Self {
        let weight = |name: &str| names.get(&format!("{prefix}.{name}_proj.weight"));
        Attention { q: weight("q"), k: weight("k"), v: weight("v"), o: weight("o"), shape }
    }

    /// `[tokens, hidden]` to the same shape.
    pub(crate) fn forward(&self, tape: &Tape, params: &Params, batch: &Arc<Packed>, x: &Var) -> Result<Var> {
        let q = ops::linear(tape, params, self.q, x)?;
        let k = ops::linear(tape, params, self.k, x)?;
        let v = ops::linear(tape, params, self.v, x)?;
        ops::linear(tape, params, self.o, &ops::attention(tape, &self.shape, batch, &q, &k, &v)?)
    }

    /// The same for rows of plain floats: writes each row's key and value into its page, then attends; overwrites `out`.
    pub(crate) fn cached(
        &self,
        params: &ParamSlices<'_>,
        rows: &[Row<'_>],
        x: &[f32],
        pages: &mut LayerPages<'_>,
        buffers: &mut AttentionBuffers,
        out: &mut [f32],
    ) {
        let AttentionShape { heads, kv_heads, head_dim, .. } = self.shape;
        let (n, width) = (rows.len(), x.len() / rows.len());
        let (q_width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        buffers.q.resize(n * q_width, 0.0);
        buffers.mixed.resize(n * q_width, 0.0);
        buffers.k.resize(n * kv_width, 0.0);
        buffers.v.resize(n * kv_width, 0.0);
        let project = |weight: ParamId, outputs: usize, out: &mut [f32]| {
            gemm(
                (n, outputs, width),
                View::rows(x, width),
                View::rows(params.get(weight), width).t(),
                out,
                false,
            );
        };
        project(self.q, q_width, &mut buffers.q);
        project(self.k, kv_width, &mut buffers.k);
        project(self.v, kv_width, &mut buffers.v);
        for (i, row) in rows.iter().enumerate() {
            for head in 0..kv_heads {
                let at = i * kv_width + head * head_dim..i * kv_width + (head + 1) * head_dim;
                if let Some(rope) = &self.shape.rope {
                    rope.rotate(row.position as usize, &mut buffers.k[at.clone()]);
                }
                pages.write(row, head, &buffers.k[at.clone()], &buffers.v[at]);
            }
        }
        self.attend_rows(rows, &mut buffers.q, pages, &mut buffers.mixed);
        let mixed = View::rows(&buffers.mixed, q_width);
        gemm((n, width, q_width), mixed, View::rows(params.get(self.o), q_width).t(), out, false);
    }

    /// Rotates the queries in place and attends, rows in parallel.
    fn attend_rows(&self, rows: &[Row<'_>], q: &mut [f32], pages: &LayerPages<'_>, out: &mut [f32]) {
        let AttentionShape { heads, kv_heads, head_dim, scale, .. } = self.shape;
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
                            let queries = Queries { rows: &q[at.clone()], visible, scale };
                            let kv = Pages { data: pages.data, blocks, block: pages.block };
                            attend(queries, kv, &mut out[at], log_sums, scratch);
                        }
                    }
                },
            );
    }
}
