//! The mixer of Mamba-2 (Dao and Gu, arXiv 2405.21060) between its two projections: causal convolution, selective scan and
//! gated normalisation, as an operation on the tape and in a cached form with the same bits.
//!
//! Between calls of the cached form a sequence is its *state*, [`MambaShape::state_len`] floats whatever its length: the last
//! inputs of the convolution, then every head's state.

mod backward;
#[cfg(test)]
mod tests;

use crate::kernels::conv::conv_silu;
use crate::kernels::gated_norm::gated_norm;
use crate::kernels::scan::{self, Run};
use crate::kernels::{for_row_blocks, time_step::time_steps};
use crate::packed::Packed;
use crate::params::{ParamId, ParamSlices, Params};
use crate::tape::{Tape, Var};
use crate::tensor::{floats, tensor};
use backward::Backward;
use candle_core::Result;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// The shape of a Mamba-2 mixer.
#[derive(Clone, Debug, PartialEq)]
pub struct MambaShape {
    /// Heads of the scan.
    pub heads: usize,
    /// Components of a head.
    pub head_dim: usize,
    /// Groups of heads that share `B` and `C`, and over which the normalisation goes; a divisor of `heads`.
    pub groups: usize,
    /// Components of the state per component of a head.
    pub state: usize,
    /// Width of the convolution in tokens, at least one.
    pub kernel: usize,
    /// Smallest time step.
    pub dt_min: f32,
    /// Largest time step; may be infinite.
    pub dt_max: f32,
    /// Added to the mean square in the normalisation.
    pub eps: f32,
}

impl MambaShape {
    /// Components of all heads: the width of the result.
    pub fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Channels of the convolution: `x` of all heads, then `B` and then `C` of all groups.
    pub fn channels(&self) -> usize {
        self.inner() + 2 * self.groups * self.state
    }

    /// Width of the projected input: the gate, the convolution's channels, then a time step for each head.
    pub fn projected(&self) -> usize {
        self.inner() + self.channels() + self.heads
    }

    /// Floats of one sequence's state: the convolution's last `kernel - 1` inputs, oldest first, and the heads' states
    /// `[heads, state, head_dim]`. A sequence begins with zeros.
    pub fn state_len(&self) -> usize {
        self.window() + self.heads * self.head_state()
    }

    fn window(&self) -> usize {
        (self.kernel - 1) * self.channels()
    }

    fn head_state(&self) -> usize {
        self.state * self.head_dim
    }

    /// Components of a group of heads.
    fn group(&self) -> usize {
        self.inner() / self.groups
    }

    fn gate_columns(&self) -> Range<usize> {
        0..self.inner()
    }

    fn conv_columns(&self) -> Range<usize> {
        self.inner()..self.inner() + self.channels()
    }

    fn dt_columns(&self) -> Range<usize> {
        self.inner() + self.channels()..self.projected()
    }
}

/// The parameters of a Mamba-2 mixer.
#[derive(Clone, Debug)]
pub struct MambaWeights {
    /// `[channels, 1, kernel]`.
    pub conv_weight: ParamId,
    /// `[channels]`.
    pub conv_bias: Option<ParamId>,
    /// `[heads]`, added to the projected time step.
    pub dt_bias: ParamId,
    /// `[heads]`: the state decays at the rate `exp(a_log)`.
    pub a_log: ParamId,
    /// `[heads]`: factor of the path past the state.
    pub d: ParamId,
    /// `[inner]`.
    pub norm: ParamId,
}

/// A mixer with its weights laid out for the kernels, for the time between two updates of the parameters.
pub struct Mixer {
    shape: MambaShape,
    /// `[kernel, channels]`.
    taps: Vec<f32>,
    /// `[channels]`; zeros where the model has none.
    bias: Vec<f32>,
    dt_bias: Vec<f32>,
    /// `exp(a_log)`.
    rate: Vec<f32>,
    skip: Vec<f32>,
    norm: Vec<f32>,
    /// An input of the convolution before the sequence's first.
    nothing: Vec<f32>,
}

/// Inputs of the scan: `[tokens, channels]` after the convolution, and `[tokens, heads]` twice.
struct ScanInputs {
    conv: Vec<f32>,
    dt: Vec<f32>,
    decay: Vec<f32>,
}

/// Multiply-adds of a scan below which it stays on its thread.
const WORTH_SHARING: usize = 1 << 18;

impl Mixer {
    /// Lays the weights out: a copy of `channels * (kernel + 1)` floats and some shorter ones.
    ///
    /// # Panics
    /// When a parameter has not the shape that [`MambaWeights`] says.
    pub(crate) fn new(shape: &MambaShape, params: &ParamSlices<'_>, weights: &MambaWeights) -> Mixer {
        let (channels, kernel) = (shape.channels(), shape.kernel);
        let vector = |id: ParamId, len: usize| {
            assert_eq!(params.get(id).len(), len, "a parameter of the Mamba mixer has the wrong length");
            params.get(id).to_vec()
        };
        let weight = vector(weights.conv_weight, channels * kernel);
        let mut taps = vec![0.0; channels * kernel];
        for (c, filter) in weight.chunks_exact(kernel).enumerate() {
            for (k, tap) in filter.iter().enumerate() {
                taps[k * channels + c] = *tap;
            }
        }
        let rate = vector(weights.a_log, shape.heads).into_iter().map(f32::exp).collect();
        Mixer {
            shape: shape.clone(),
            taps,
            bias: weights.conv_bias.map_or_else(|| vec![0.0; channels], |id| vector(id, channels)),
            dt_bias: vector(weights.dt_bias, shape.heads),
            rate,
            skip: vector(weights.d, shape.heads),
            norm: vector(weights.norm, shape.inner()),
            nothing: vec![0.0; channels],
        }
    }

    /// The cached form: consecutive rows of one sequence, `projected` being `[rows, projected]`, from its `state`, which moves on by
    /// them. Overwrites `out`, `[rows, inner]`.
    ///
    /// # Panics
    /// When a slice does not fit the shape.
    pub fn rows(&self, projected: &[f32], state: &mut [f32], out: &mut [f32]) {
        let shape = &self.shape;
        let (width, channels) = (shape.projected(), shape.channels());
        let rows = projected.len() / width;
        assert!(
            projected.len() == rows * width
                && state.len() == shape.state_len()
                && out.len() == rows * shape.inner(),
            "mamba: shapes"
        );
        if rows == 0 {
            return;
        }
        let (window, states) = state.split_at_mut(shape.window());
        let kept = shape.kernel - 1;
        let input = |row: usize| &projected[row * width..][shape.conv_columns()];
        let inputs = self.scan_inputs(projected, |row, back| match row.checked_sub(back) {
            Some(row) => input(row),
            None => &window[(row + kept - back) * channels..][..channels],
        });
        let mut y = vec![0.0; out.len()];
        let head = |(h, (state, y)): (usize, (&mut [f32], &mut [f32]))| {
            scan::scan(self.run(h, &inputs), state, y);
        };
        let work = rows * states.len();
        let y_heads = y.as_mut_slice();
        if work < WORTH_SHARING {
            let states = states.chunks_exact_mut(shape.head_state());
            states.zip(y_heads.chunks_exact_mut(rows * shape.head_dim)).enumerate().for_each(head);
        } else {
            let states = states.par_chunks_exact_mut(shape.head_state());
            states.zip(y_heads.par_chunks_exact_mut(rows * shape.head_dim)).enumerate().for_each(head);
        }
        self.normalise(projected, &y, out);
        let gone = rows.min(kept);
        window.copy_within(gone * channels.., 0);
        for (i, to) in window.chunks_exact_mut(channels).enumerate().skip(kept - gone) {
            to.copy_from_slice(input(rows + i - kept));
        }
    }

    /// Convolution and time steps of all rows; `source(row, back)` is the convolution's input `back` tokens before a row.
    fn scan_inputs<'a>(
        &'a self,
        projected: &[f32],
        source: impl Fn(usize, usize) -> &'a [f32] + Sync,
    ) -> ScanInputs {
        let shape = &self.shape;
        let (width, channels, heads) = (shape.projected(), shape.channels(), shape.heads);
        let rows = projected.len() / width;
        let mut conv = vec![0.0; rows * channels];
        for_row_blocks(&mut conv, channels, |first, block| {
            let mut sources = Vec::with_capacity(shape.kernel);
            for (r, row) in block.chunks_exact_mut(channels).enumerate() {
                sources.clear();
                sources.extend((0..shape.kernel).rev().map(|back| source(first + r, back)));
                conv_silu(&sources, &self.taps, &self.bias, row);
            }
        });
        let (mut dt, mut decay) = (vec![0.0; rows * heads], vec![0.0; rows * heads]);
        for (r, (dt, decay)) in dt.chunks_exact_mut(heads).zip(decay.chunks_exact_mut(heads)).enumerate() {
            let raw = &projected[r * width..][shape.dt_columns()];
            time_steps(raw, &self.dt_bias, &self.rate, (shape.dt_min, shape.dt_max), dt, decay);
        }
        ScanInputs { conv, dt, decay }
    }

    /// One head's part of the scan over all rows of `inputs`.
    fn run<'a>(&self, head: usize, inputs: &'a ScanInputs) -> Run<'a> {
        let shape = &self.shape;
        let group = head / (shape.heads / shape.groups);
        Run {
            rows: &inputs.conv,
            width: shape.channels(),
            x: head * shape.head_dim,
            b: shape.inner() + group * shape.state,
            c: shape.inner() + (shape.groups + group) * shape.state,
            head_dim: shape.head_dim,
            state: shape.state,
            dt: &inputs.dt,
            decay: &inputs.decay,
            heads: shape.heads,
            head,
            skip: self.skip[head],
        }
    }

    /// Gated normalisation of `y`, `[heads, rows, head_dim]`, into `out`, `[rows, inner]`.
    fn normalise(&self, projected: &[f32], y: &[f32], out: &mut [f32]) {
        let shape = &self.shape;
        let (inner, group) = (shape.inner(), shape.group());
        for_row_blocks(out, inner, |first, block| {
            let mut row = vec![0.0; inner];
            for (r, out) in block.chunks_exact_mut(inner).enumerate() {
                self.gather(y, first + r, &mut row);
                let gate = &projected[(first + r) * shape.projected()..][shape.gate_columns()];
                for at in (0..inner).step_by(group).map(|at| at..at + group) {
                    let (y, gate, weight) = (&row[at.clone()], &gate[at.clone()], &self.norm[at.clone()]);
                    gated_norm(y, gate, weight, shape.eps, &mut out[at]);
                }
            }
        });
    }

    /// One token's row `[inner]` of `by_head`, which is `[heads, tokens, head_dim]`.
    fn gather(&self, by_head: &[f32], token: usize, row: &mut [f32]) {
        let dim = self.shape.head_dim;
        let tokens = by_head.len() / row.len();
        for (head, to) in row.chunks_exact_mut(dim).enumerate() {
            to.copy_from_slice(&by_head[(head * tokens + token) * dim..][..dim]);
        }
    }
}

/// The mixer over the segments of `batch`: `projected` is `[tokens, projected]`, the result `[tokens, inner]`.
///
/// A segment begins with zeros or, if it continues another, with the state at that one's end. For the backward `inner` floats a
/// token are kept (the scan's results) beside `projected` itself; the rest is computed again. While the backward runs it takes, a
/// token, about `projected + 2 * inner + 2 * channels + 32 * state` floats, and on each thread `tokens / 64 + 16` states of a head.
///
/// Rows of one sequence have the bits of [`Mixer::rows`], whatever stands beside them.
///
/// # Errors
/// When a tensor is not f32 on the CPU or `projected` has not the shape of the batch.
pub fn mix(
    tape: &Tape,
    params: &Params,
    shape: &MambaShape,
    weights: &MambaWeights,
    batch: &Arc<Packed>,
    projected: &Var,
) -> Result<Var> {
    if projected.value.dims() != [batch.len(), shape.projected()] {
        let (expected, found) = ([batch.len(), shape.projected()], projected.value.dims());
        candle_core::bail!("the Mamba mixer expects an input of {expected:?}, found {found:?}");
    }
    let mixer = Mixer::new(shape, &params.read()?, weights);
    let mut out = vec![0.0; batch.len() * shape.inner()];
    let y = {
        let projected = floats(&projected.value)?;
        let y = mixer.scan_packed(batch, &mixer.packed_inputs(batch, &projected));
        mixer.normalise(&projected, &y, &mut out);
        y
    };
    let (batch, projected, weights) = (batch.clone(), projected.clone(), weights.clone());
    Ok(tape.record(tensor(out, (batch.len(), shape.inner()))?, move |grad, grads| {
        let made = {
            let projected = floats(&projected.value)?;
            Backward { mixer: &mixer, batch: &batch, projected: &projected, y: &y }.run(&grad)
        };
        grads.give(projected.node, made.d_projected);
        made.parameters.accumulate(&weights, grads.params)
    }))
}

impl Mixer {
    /// Inputs of the scan over a packed batch.
    fn packed_inputs(&self, batch: &Packed, projected: &[f32]) -> ScanInputs {
        let tokens = Lineage::new(batch);
        self.scan_inputs(projected, |token, back| match tokens.before(token, back) {
            Some(token) => &projected[token * self.shape.projected()..][self.shape.conv_columns()],
            None => &self.nothing,
        })
    }

    /// The scan over a packed batch: `[heads, tokens, head_dim]`.
    fn scan_packed(&self, batch: &Packed, inputs: &ScanInputs) -> Vec<f32> {
        let (shape, families) = (&self.shape, batch.families());
        let width = batch.len() * shape.head_dim;
        let mut y = vec![0.0; shape.heads * width];
        y.par_chunks_exact_mut(width.max(1)).with_max_len(1).enumerate().for_each(|(head, y)| {
            let run = self.run(head, inputs);
            let mut own = vec![0.0; shape.head_state()];
            let mut prefix = own.clone();
            for family in &families {
                prefix.fill(0.0);
                for segment in &batch.segments[family.root..family.end] {
                    let state = if segment.prefix.is_some() {
                        own.copy_from_slice(&prefix);
                        &mut own
                    } else {
                        &mut prefix
                    };
                    let y = &mut y[segment.start * shape.head_dim..][..segment.len * shape.head_dim];
                    scan::scan(run.part(segment.start, segment.len), state, y);
                }
            }
        });
        y
    }
}

/// Which token of a packed batch comes how far before which.
struct Lineage<'a> {
    batch: &'a Packed,
    /// `[tokens]`: index of each token's segment.
    segments: Vec<u32>,
}

impl<'a> Lineage<'a> {
    fn new(batch: &'a Packed) -> Self {
        let each = batch.segments.iter().enumerate();
        let segments = each.flat_map(|(i, s)| std::iter::repeat_n(i as u32, s.len)).collect();
        Lineage { batch, segments }
    }

    /// The token `back` before `token` in its sequence, if the sequence reaches back so far.
    fn before(&self, token: usize, back: usize) -> Option<usize> {
        let segment = &self.batch.segments[self.segments[token] as usize];
        let within = token - segment.start;
        if back <= within {
            return Some(token - back);
        }
        let prefix = &self.batch.segments[segment.prefix?];
        (prefix.start + prefix.len).checked_sub(back - within).filter(|token| *token >= prefix.start)
    }

    /// The tokens `ahead` after `token`, one for each sequence that it is a part of and that goes on so far.
    fn after(&self, token: usize, ahead: usize) -> impl Iterator<Item = usize> {
        let index = self.segments[token] as usize;
        let segment = &self.batch.segments[index];
        let beyond = (token + ahead).checked_sub(segment.start + segment.len);
        let continuations = self.batch.segments[index + 1..]
            .iter()
            .take_while(move |s| s.prefix == Some(index))
            .filter_map(move |s| beyond.filter(|i| *i < s.len).map(|i| s.start + i));
        beyond.is_none().then_some(token + ahead).into_iter().chain(continuations)
    }
}
