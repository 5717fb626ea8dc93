//! Log-probabilities of chosen tokens straight from hidden states and the output matrix.
//!
//! Logits exist for a chunk of rows at a time, in the forward and again in the backward, so memory does not grow with
//! `tokens * vocab`.

use crate::kernels::gemm::{View, gemm};
use crate::kernels::{for_row_blocks, softmax};
use crate::params::{ParamId, Params};
use crate::tape::{Tape, Var};
use crate::tensor::{floats, tensor};
use candle_core::Result;
use rayon::prelude::*;

/// Which tokens to score: `ids[i]` is scored by the hidden state of row `rows[i]`; a row may occur several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// `[targets]`: index of the token whose hidden state predicts the target.
    pub rows: Vec<u32>,
    /// `[targets]`: the target.
    pub ids: Vec<u32>,
}

/// What [`token_logprobs`] makes.
pub struct TokenLogprobs {
    /// `[targets]` on the tape.
    pub logprobs: Var,
    /// `[targets]`: entropy in nats of the distribution that each target was scored under.
    pub entropies: Vec<f32>,
}

/// Floats of logits held at a time.
const CHUNK: usize = 1 << 20;

/// Targets whose logits over a vocabulary of this size are held at a time.
pub fn chunk_rows(vocab: usize) -> usize {
    (CHUNK / vocab).max(64)
}

/// Logits of a chunk of targets.
struct Chunk {
    hidden: Vec<f32>,
    logits: Vec<f32>,
}

/// Log-probabilities of `targets` under `softmax(hidden * weight^T / temperature)`; `hidden` is `[tokens, width]`,
/// `weight` `[vocab, width]`.
///
/// # Errors
/// When a target is outside the batch or the vocabulary.
pub fn token_logprobs(
    tape: &Tape,
    params: &Params,
    weight: ParamId,
    hidden: &Var,
    targets: Targets,
    temperature: f32,
) -> Result<TokenLogprobs> {
    let w = params.get(weight).value.clone();
    let ((tokens, width), vocab) = (hidden.value.dims2()?, w.dim(0)?);
    if targets.rows.iter().any(|r| *r as usize >= tokens) || targets.ids.iter().any(|i| *i as usize >= vocab)
    {
        candle_core::bail!("a target lies outside the batch of {tokens} tokens or the vocabulary of {vocab}");
    }
    let inverse = 1.0 / temperature;
    let count = targets.ids.len();
    let per = chunk_rows(vocab);
    let chunk = move |targets: &Targets, hidden: &[f32], w: &[f32], first: usize| {
        let rows = &targets.rows[first..(first + per).min(count)];
        let mut chunk =
            Chunk { hidden: Vec::with_capacity(rows.len() * width), logits: vec![0.0; rows.len() * vocab] };
        for row in rows {
            chunk.hidden.extend_from_slice(&hidden[*row as usize * width..(*row as usize + 1) * width]);
        }
        let shape = (rows.len(), vocab, width);
        gemm(shape, View::rows(&chunk.hidden, width), View::rows(w, width).t(), &mut chunk.logits, false);
        chunk
    };
    let (mut logprobs, mut entropies) = (vec![0.0; count], vec![0.0; count]);
    let mut log_sums = vec![0.0; count];
    {
        let (hidden, w) = (floats(&hidden.value)?, floats(&w)?);
        for first in (0..count).step_by(per) {
            let mut chunk = chunk(&targets, &hidden, &w, first);
            let at = first..(first + per).min(count);
            (chunk.logits.par_chunks_exact_mut(vocab))
                .zip(&targets.ids[at.clone()])
                .zip(&mut logprobs[at.clone()])
                .zip(&mut entropies[at.clone()])
                .zip(&mut log_sums[at])
                .for_each(|((((row, id), logprob), entropy), log_sum)| {
                    scale(row, inverse);
                    *log_sum = softmax::log_sum_exp(row);
                    *logprob = row[*id as usize] - *log_sum;
                    *entropy = softmax::entropy(row, *log_sum);
                });
        }
    }
    let hidden = hidden.clone();
    let logprobs = tape.record(tensor(logprobs, count)?, move |grad, grads| {
        let (values, w) = (floats(&hidden.value)?, floats(&w)?);
        let mut d_hidden = vec![0.0; values.len()];
        for first in (0..count).step_by(per) {
            let Chunk { hidden, mut logits } = chunk(&targets, &values, &w, first);
            let rows = logits.len() / vocab;
            for_row_blocks(&mut logits, vocab, |block, rows| {
                for (r, row) in rows.chunks_exact_mut(vocab).enumerate() {
                    let target = first + block + r;
                    scale(row, inverse);
                    softmax::exp_shifted(row, log_sums[target]);
                    let factor = grad[target] * inverse;
                    scale(row, -factor);
                    row[targets.ids[target] as usize] += factor;
                }
            });
            let d_logits = View::rows(&logits, vocab);
            let mut d_rows = vec![0.0; rows * width];
            gemm((rows, width, vocab), d_logits, View::rows(&w, width), &mut d_rows, false);
            for (row, d_row) in targets.rows[first..].iter().zip(d_rows.chunks_exact(width)) {
                for (sum, d) in d_hidden[*row as usize * width..].iter_mut().zip(d_row) {
                    *sum += d;
                }
            }
            grads.params.accumulate(weight, |d_w| {
                gemm((vocab, width, rows), d_logits.t(), View::rows(&hidden, width), d_w, true);
            })?;
        }
        grads.give(hidden.node, d_hidden);
        Ok(())
    });
    Ok(TokenLogprobs { logprobs, entropies })
}

/// Multiplies a row by a factor: how logits are brought to a temperature, in sampler and trainer alike.
pub fn scale(row: &mut [f32], factor: f32) {
    for x in row {
        *x *= factor;
    }
}
