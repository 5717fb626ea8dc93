//! The differentiable operations that models are made of, each a forward over kernels and its backward on the tape.
//!
//! Activations are `[tokens, width]`, f32, row-major. Shapes are the callers' business (blocks build them from a checked
//! configuration); a mismatch panics in the kernels.

use crate::kernels::gemm::{View, gemm};
use crate::kernels::packed_attention::{self, Heads};
use crate::kernels::rope::RopeTable;
use crate::kernels::{elementwise, for_row_blocks, norm};
use crate::packed::Packed;
use crate::params::{ParamId, Params};
use crate::tape::{Tape, Var};
use crate::tensor::{floats, tensor};
use candle_core::Result;
use rayon::prelude::*;
use std::sync::Arc;

/// Rows of the embedding matrix `[vocab, hidden]`: `[tokens, hidden]`.
///
/// # Errors
/// When an id is outside the vocabulary.
pub fn embedding(tape: &Tape, params: &Params, weight: ParamId, ids: &[u32]) -> Result<Var> {
    let table = &params.get(weight).value;
    let (vocab, width) = table.dims2()?;
    if let Some(id) = ids.iter().find(|id| **id as usize >= vocab) {
        candle_core::bail!("token id {id} is outside the vocabulary of {vocab}");
    }
    let rows = floats(table)?;
    let mut out = Vec::with_capacity(ids.len() * width);
    for id in ids {
        out.extend_from_slice(&rows[*id as usize * width..(*id as usize + 1) * width]);
    }
    let ids = ids.to_vec();
    Ok(tape.record(tensor(out, (ids.len(), width))?, move |grad, grads| {
        grads.params.accumulate(weight, |sum| {
            for (id, row) in ids.iter().zip(grad.chunks_exact(width)) {
                for (s, g) in sum[*id as usize * width..].iter_mut().zip(row) {
                    *s += g;
                }
            }
        })
    }))
}

/// Root-mean-square normalisation of each row, times `weight` (`[width]`). Rows are as wide as the weight: a value of wider rows is
/// normalised piece by piece, as heads are.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn rms_norm(tape: &Tape, params: &Params, weight: ParamId, x: &Var, eps: f32) -> Result<Var> {
    let w = params.get(weight).value.clone();
    let width = w.elem_count();
    let rows = x.value.elem_count() / width;
    let mut out = vec![0.0; rows * width];
    let mut factors = vec![0.0; rows];
    {
        let (x, w) = (floats(&x.value)?, floats(&w)?);
        let per = rows.div_ceil(rayon::current_num_threads() * 4).max(64);
        out.par_chunks_mut(per * width).zip(factors.par_chunks_mut(per)).enumerate().for_each(
            |(i, (out, factors))| {
                for (r, (row, factor)) in out.chunks_exact_mut(width).zip(factors).enumerate() {
                    let at = (i * per + r) * width;
                    *factor = norm::rms_norm(&x[at..at + width], &w, eps, row);
                }
            },
        );
    }
    let x = x.clone();
    Ok(tape.record(tensor(out, x.value.shape())?, move |grad, grads| {
        let (values, w) = (floats(&x.value)?, floats(&w)?);
        // a fixed number of row blocks, so that the sums do not depend on the number of threads
        let per = rows.div_ceil(16);
        let mut sums = vec![0.0; 16 * width];
        grads.write(x.node, values.len(), |d_x, _| {
            d_x.par_chunks_mut(per * width).zip(sums.par_chunks_mut(width)).enumerate().for_each(
                |(i, (d_x, d_w))| {
                    for (r, d_x) in d_x.chunks_exact_mut(width).enumerate() {
                        let row = i * per + r;
                        let at = row * width..(row + 1) * width;
                        norm::rms_norm_backward(&values[at.clone()], &w, factors[row], &grad[at], d_x, d_w);
                    }
                },
            );
        });
        grads.params.accumulate(weight, |d_w| {
            for part in sums.chunks_exact(width) {
                elementwise::add_assign(d_w, part);
            }
        })
    }))
}

/// `x * weight^T`: `[tokens, in]` by a weight of `[out, in]` gives `[tokens, out]`.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn linear(tape: &Tape, params: &Params, weight: ParamId, x: &Var) -> Result<Var> {
    let w = params.get(weight).value.clone();
    let (rows, inputs) = x.value.dims2()?;
    let outputs = w.dim(0)?;
    let mut out = vec![0.0; rows * outputs];
    gemm(
        (rows, outputs, inputs),
        View::rows(&floats(&x.value)?, inputs),
        View::rows(&floats(&w)?, inputs).t(),
        &mut out,
        false,
    );
    let node = x.node;
    // the input is kept for the weight's gradient alone
    let kept = params.get(weight).trainable.then(|| x.value.clone());
    Ok(tape.record(tensor(out, (rows, outputs))?, move |grad, grads| {
        let grad = View::rows(&grad, outputs);
        let weights = floats(&w)?;
        grads.write(node, rows * inputs, |d_x, add| {
            gemm((rows, inputs, outputs), grad, View::rows(&weights, inputs), d_x, add);
        });
        let Some(x) = kept else { return Ok(()) };
        let values = floats(&x)?;
        grads.params.accumulate(weight, |d_w| {
            gemm((outputs, inputs, rows), grad.t(), View::rows(&values, inputs), d_w, true);
        })
    }))
}

/// A low-rank adapter beside a projection (Hu et al., arXiv 2106.09685): `out + scale * (x * a^T) * b^T`, with `x` `[tokens, in]`,
/// `a` `[rank, in]`, `b` `[out, rank]` and the projection's result `out`, `[tokens, out]`.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn lora(
    tape: &Tape,
    params: &Params,
    (a, b): (ParamId, ParamId),
    scale: f32,
    x: &Var,
    out: &Var,
) -> Result<Var> {
    let (down, up) = (params.get(a).value.clone(), params.get(b).value.clone());
    let (rows, inputs) = x.value.dims2()?;
    let (outputs, rank) = up.dims2()?;
    let mut inner = Vec::new();
    let mut sum = floats(&out.value)?.to_vec();
    add_lora(rows, &floats(&x.value)?, (&floats(&down)?, &floats(&up)?), scale, &mut inner, &mut sum);
    let (x, out_node) = (x.clone(), out.node);
    Ok(tape.record(tensor(sum, (rows, outputs))?, move |grad, grads| {
        let (values, down, up) = (floats(&x.value)?, floats(&down)?, floats(&up)?);
        let mut d_inner = vec![0.0; rows * rank];
        gemm((rows, rank, outputs), View::rows(&grad, outputs), View::rows(&up, rank), &mut d_inner, false);
        elementwise::scale(&mut d_inner, scale);
        let d_inner = View::rows(&d_inner, rank);
        grads.params.accumulate(b, |d_b| {
            let grad = View::rows(&grad, outputs).t();
            gemm((outputs, rank, rows), grad, View::rows(&inner, rank), d_b, true);
        })?;
        grads.params.accumulate(a, |d_a| {
            gemm((rank, inputs, rows), d_inner.t(), View::rows(&values, inputs), d_a, true);
        })?;
        grads.write(x.node, rows * inputs, |d_x, add| {
            gemm((rows, inputs, rank), d_inner, View::rows(&down, inputs), d_x, add);
        });
        grads.give(out_node, grad);
        Ok(())
    }))
}

/// Adds what an adapter makes of `x`, `[rows, in]`, to `out`, `[rows, out]`; leaves `scale * x * a^T`, `[rows, rank]`, in `inner`.
pub(crate) fn add_lora(
    rows: usize,
    x: &[f32],
    (a, b): (&[f32], &[f32]),
    scale: f32,
    inner: &mut Vec<f32>,
    out: &mut [f32],
) {
    let (inputs, outputs) = (x.len() / rows, out.len() / rows);
    let rank = a.len() / inputs;
    inner.resize(rows * rank, 0.0);
    gemm((rows, rank, inputs), View::rows(x, inputs), View::rows(a, inputs).t(), inner, false);
    elementwise::scale(inner, scale);
    gemm((rows, outputs, rank), View::rows(inner, rank), View::rows(b, rank).t(), out, true);
}

/// Adds a bias, `[width]`, to each row.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn add_bias(tape: &Tape, params: &Params, bias: ParamId, x: &Var) -> Result<Var> {
    let mut out = floats(&x.value)?.to_vec();
    add_to_rows(&mut out, &floats(&params.get(bias).value)?);
    let node = x.node;
    Ok(tape.record(tensor(out, x.value.shape())?, move |grad, grads| {
        grads.params.accumulate(bias, |d_bias| {
            for row in grad.chunks_exact(d_bias.len()) {
                for (sum, g) in d_bias.iter_mut().zip(row) {
                    *sum += g;
                }
            }
        })?;
        grads.give(node, grad);
        Ok(())
    }))
}

/// Adds `bias` to each of the rows, which are as wide.
pub(crate) fn add_to_rows(rows: &mut [f32], bias: &[f32]) {
    for_row_blocks(rows, bias.len(), |_, block| {
        for row in block.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x += b;
            }
        }
    });
}

/// `a + factor * b`, of the same shape.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn add_scaled(tape: &Tape, a: &Var, factor: f32, b: &Var) -> Result<Var> {
    let mut out = floats(&a.value)?.to_vec();
    elementwise::add_scaled(&mut out, factor, &floats(&b.value)?);
    let (a_node, b_node) = (a.node, b.node);
    Ok(tape.record(tensor(out, a.value.shape())?, move |mut grad, grads| {
        grads.give(a_node, grad.clone());
        elementwise::scale(&mut grad, factor);
        grads.give(b_node, grad);
        Ok(())
    }))
}

/// `factor * x`.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn scale(tape: &Tape, factor: f32, x: &Var) -> Result<Var> {
    if factor == 1.0 {
        return Ok(x.clone());
    }
    let mut out = floats(&x.value)?.to_vec();
    elementwise::scale(&mut out, factor);
    let node = x.node;
    Ok(tape.record(tensor(out, x.value.shape())?, move |mut grad, grads| {
        elementwise::scale(&mut grad, factor);
        grads.give(node, grad);
        Ok(())
    }))
}

/// `relu(x)^2`.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn squared_relu(tape: &Tape, x: &Var) -> Result<Var> {
    let mut out = floats(&x.value)?.to_vec();
    elementwise::squared_relu(&mut out);
    let x = x.clone();
    Ok(tape.record(tensor(out, x.value.shape())?, move |mut grad, grads| {
        let values = floats(&x.value)?;
        for_row_blocks(&mut grad, 1, |first, block| {
            for (g, x) in block.iter_mut().zip(&values[first..]) {
                *g *= 2.0 * x.max(0.0);
            }
        });
        grads.give(x.node, grad);
        Ok(())
    }))
}

/// `silu(gate) * up` of rows that hold the gates and then the ups: `[tokens, 2 * inner]` to `[tokens, inner]`.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn fused_swiglu(tape: &Tape, both: &Var) -> Result<Var> {
    let (rows, width) = both.value.dims2()?;
    let inner = width / 2;
    let mut out = vec![0.0; rows * inner];
    elementwise::fused_swiglu(&floats(&both.value)?, rows, &mut out);
    let both = both.clone();
    Ok(tape.record(tensor(out, (rows, inner))?, move |grad, grads| {
        let values = floats(&both.value)?;
        let mut d_both = vec![0.0; values.len()];
        for_row_blocks(&mut d_both, width, |first, block| {
            for (r, d_row) in block.chunks_exact_mut(width).enumerate() {
                let (d_gate, d_up) = d_row.split_at_mut(inner);
                let row = &values[(first + r) * width..(first + r + 1) * width];
                let grad = &grad[(first + r) * inner..(first + r + 1) * inner];
                elementwise::swiglu_backward(&row[..inner], &row[inner..], grad, d_gate, d_up);
            }
        });
        grads.give(both.node, d_both);
        Ok(())
    }))
}

/// `silu(gate) * up`, of the same shape.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn swiglu(tape: &Tape, gate: &Var, up: &Var) -> Result<Var> {
    let mut out = vec![0.0; gate.value.elem_count()];
    {
        let (gate, up) = (floats(&gate.value)?, floats(&up.value)?);
        for_row_blocks(&mut out, 16, |first, block| {
            let at = first * 16..first * 16 + block.len();
            elementwise::swiglu(&gate[at.clone()], &up[at], block);
        });
    }
    let inputs = (gate.clone(), up.clone());
    Ok(tape.record(tensor(out, gate.value.shape())?, move |grad, grads| {
        let (mut d_gate, mut d_up) = (vec![0.0; grad.len()], vec![0.0; grad.len()]);
        {
            let (gate, up) = (floats(&inputs.0.value)?, floats(&inputs.1.value)?);
            const PART: usize = 16 * 1024;
            d_gate.par_chunks_mut(PART).zip(d_up.par_chunks_mut(PART)).enumerate().for_each(
                |(i, (d_gate, d_up))| {
                    let at = i * PART..i * PART + d_up.len();
                    elementwise::swiglu_backward(&gate[at.clone()], &up[at.clone()], &grad[at], d_gate, d_up);
                },
            );
        }
        grads.give(inputs.0.node, d_gate);
        grads.give(inputs.1.node, d_up);
        Ok(())
    }))
}

/// The shape of an attention layer, with its rotary table shared between layers.
#[derive(Clone, Debug)]
pub struct AttentionShape {
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
    /// Rotary embedding, if the layer has one.
    pub rope: Option<Arc<RopeTable>>,
}

impl AttentionShape {
    pub(crate) fn heads(&self) -> Heads<'_> {
        Heads {
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            scale: self.scale,
            window: self.window,
            rope: self.rope.as_deref(),
        }
    }
}

/// Causal attention within the segments of `batch`; `q` is `[tokens, heads * head_dim]`, `k` and `v` are
/// `[tokens, kv_heads * head_dim]`, before rotation. The result has the shape of `q`.
///
/// # Errors
/// When a tensor is not f32 on the CPU.
pub fn attention(
    tape: &Tape,
    shape: &AttentionShape,
    batch: &Arc<Packed>,
    q: &Var,
    k: &Var,
    v: &Var,
) -> Result<Var> {
    let attended = packed_attention::forward(
        shape.heads(),
        batch,
        &floats(&q.value)?,
        &floats(&k.value)?,
        &floats(&v.value)?,
    );
    let packed_attention::Attended { out, log_sums } = attended;
    let out = tensor(out, q.value.shape())?;
    let (shape, batch, q, k, v, kept) =
        (shape.clone(), batch.clone(), q.clone(), k.clone(), v.clone(), out.clone());
    Ok(tape.record(out, move |grad, grads| {
        let inputs = (floats(&q.value)?, floats(&k.value)?, floats(&v.value)?);
        let inputs = (&*inputs.0, &*inputs.1, &*inputs.2);
        let (d_q, d_k, d_v) =
            packed_attention::backward(shape.heads(), &batch, inputs, (&floats(&kept)?, &log_sums), &grad);
        grads.give(q.node, d_q);
        grads.give(k.node, d_k);
        grads.give(v.node, d_v);
        Ok(())
    }))
}
