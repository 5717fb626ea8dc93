//! Backward of the mixer over a packed batch.
//!
//! Work that sums over tokens is split in a fixed number of blocks, of rows or of heads, whose sums are added in order: the
//! gradients do not depend on the number of threads.

use super::{Lineage, MambaShape, MambaWeights, Mixer, ScanInputs};
use crate::kernels::conv::{conv_input_backward, conv_silu_backward};
use crate::kernels::elementwise::add_assign;
use crate::kernels::gated_norm::gated_norm_backward;
use crate::kernels::scan::advance;
use crate::kernels::scan_backward::{RunGradients, Scratch, scan_backward};
use crate::kernels::time_step::time_steps_backward;
use crate::packed::{Family, Packed};
use crate::params::{ParamGrads, ParamId};
use candle_core::Result;
use rayon::prelude::*;
use std::ops::Range;

/// Blocks of rows, and about as many of heads.
const BLOCKS: usize = 16;

/// One backward.
pub(super) struct Backward<'a> {
    pub mixer: &'a Mixer,
    pub batch: &'a Packed,
    /// `[tokens, projected]`.
    pub projected: &'a [f32],
    /// `[heads, tokens, head_dim]`: the scan's results.
    pub y: &'a [f32],
}

/// What a backward makes.
pub(super) struct Made {
    pub d_projected: Vec<f32>,
    pub parameters: ParameterSums,
}

/// Gradients of the parameters.
pub(super) struct ParameterSums {
    /// `[kernel, channels]`.
    taps: Vec<f32>,
    bias: Vec<f32>,
    dt_bias: Vec<f32>,
    a_log: Vec<f32>,
    skip: Vec<f32>,
    norm: Vec<f32>,
}

impl ParameterSums {
    pub fn accumulate(&self, weights: &MambaWeights, params: &mut ParamGrads) -> Result<()> {
        let channels = self.bias.len();
        params.accumulate(weights.conv_weight, |sum| {
            let kernel = self.taps.len() / channels;
            for (c, filter) in sum.chunks_exact_mut(kernel).enumerate() {
                for (k, tap) in filter.iter_mut().enumerate() {
                    *tap += self.taps[k * channels + c];
                }
            }
        })?;
        let mut add = |id: ParamId, part: &[f32]| params.accumulate(id, |sum| add_assign(sum, part));
        if let Some(bias) = weights.conv_bias {
            add(bias, &self.bias)?;
        }
        add(weights.dt_bias, &self.dt_bias)?;
        add(weights.a_log, &self.a_log)?;
        add(weights.d, &self.skip)?;
        add(weights.norm, &self.norm)
    }
}

/// What the scan of some heads of one group hands back.
struct HeadBlock {
    heads: Range<usize>,
    /// `[heads, tokens, head_dim]`.
    d_x: Vec<f32>,
    /// `[tokens, state]`, summed over the heads.
    d_b: Vec<f32>,
    d_c: Vec<f32>,
    /// `[heads, tokens]`.
    d_dt: Vec<f32>,
    d_decay: Vec<f32>,
    /// `[heads]`.
    d_skip: Vec<f32>,
}

impl Backward<'_> {
    /// The gradients for `grad`, that of the result, `[tokens, inner]`.
    pub fn run(&self, grad: &[f32]) -> Made {
        let shape = &self.mixer.shape;
        let mut d_projected = vec![0.0; self.projected.len()];
        let (d_y, norm) = self.norm(grad, &mut d_projected);
        let inputs = self.mixer.packed_inputs(self.batch, self.projected);
        let families = self.batch.families();
        let blocks: Vec<HeadBlock> = head_blocks(shape)
            .into_par_iter()
            .with_max_len(1)
            .map(|heads| self.scan(heads, &families, &inputs, &d_y))
            .collect();
        drop((inputs, d_y));
        let tokens = Lineage::new(self.batch);
        let (d_sums, taps, bias) = self.filters(&blocks, &tokens);
        let (dt_bias, a_log) = self.inputs(&blocks, &tokens, &d_sums, &mut d_projected);
        let skip = blocks.iter().flat_map(|b| b.d_skip.iter().copied()).collect();
        Made { d_projected, parameters: ParameterSums { taps, bias, dt_bias, a_log, skip, norm } }
    }

    /// Rows of a block.
    fn per(&self) -> usize {
        self.batch.len().div_ceil(BLOCKS).max(1)
    }

    /// Backward of the gated normalisation: that of `y`, `[tokens, inner]`, and of the weight; the gate's goes to `d_projected`.
    fn norm(&self, grad: &[f32], d_projected: &mut [f32]) -> (Vec<f32>, Vec<f32>) {
        let (mixer, shape, per) = (self.mixer, &self.mixer.shape, self.per());
        let (width, inner, group) = (shape.projected(), shape.inner(), shape.group());
        let mut d_y = vec![0.0; grad.len()];
        let mut sums = vec![0.0; BLOCKS * inner];
        let blocks = d_projected.par_chunks_mut(per * width).zip(d_y.par_chunks_mut(per * inner));
        blocks.zip(sums.par_chunks_mut(inner)).enumerate().for_each(
            |(block, ((d_projected, d_y), d_norm))| {
                let mut y = vec![0.0; inner];
                let rows = d_projected.chunks_exact_mut(width).zip(d_y.chunks_exact_mut(inner));
                for (token, (d_projected, d_y)) in (block * per..).zip(rows) {
                    mixer.gather(self.y, token, &mut y);
                    let gate = &self.projected[token * width..][shape.gate_columns()];
                    let d_gate = &mut d_projected[shape.gate_columns()];
                    let grad = &grad[token * inner..(token + 1) * inner];
                    for at in (0..inner).step_by(group).map(|at| at..at + group) {
                        gated_norm_backward(
                            &y[at.clone()],
                            &gate[at.clone()],
                            &mixer.norm[at.clone()],
                            shape.eps,
                            &grad[at.clone()],
                            &mut d_y[at.clone()],
                            &mut d_gate[at.clone()],
                            &mut d_norm[at],
                        );
                    }
                }
            },
        );
        (d_y, summed(&sums, inner))
    }

    /// Backward of the scan for heads of one group. A prefix comes after its continuations, with the sum of what they hand back.
    fn scan(&self, heads: Range<usize>, families: &[Family], inputs: &ScanInputs, d_y: &[f32]) -> HeadBlock {
        let shape = &self.mixer.shape;
        let (tokens, dim, n) = (self.batch.len(), shape.head_dim, shape.state);
        let mut made = HeadBlock {
            heads: heads.clone(),
            d_x: vec![0.0; heads.len() * tokens * dim],
            d_b: vec![0.0; tokens * n],
            d_c: vec![0.0; tokens * n],
            d_dt: vec![0.0; heads.len() * tokens],
            d_decay: vec![0.0; heads.len() * tokens],
            d_skip: vec![0.0; heads.len()],
        };
        let mut scratch = Scratch::default();
        let start = vec![0.0; shape.head_state()];
        let [mut prefix, mut d_prefix, mut d_own] = [(); 3].map(|()| start.clone());
        for (i, head) in heads.enumerate() {
            let run = self.mixer.run(head, inputs);
            for family in families {
                prefix.fill(0.0);
                d_prefix.fill(0.0);
                let (root, continuations) =
                    self.batch.segments[family.root..family.end].split_first().expect("a family has a root");
                if !continuations.is_empty() {
                    advance(run.part(root.start, root.len), &mut prefix);
                }
                for segment in continuations.iter().chain([root]) {
                    let (initial, d_state) = match segment.prefix {
                        Some(_) => (&prefix, &mut d_own),
                        None => (&start, &mut d_prefix),
                    };
                    let at = segment.start..segment.start + segment.len;
                    let steps = i * tokens + at.start..i * tokens + at.end;
                    let grads = RunGradients {
                        d_y: &d_y[at.start * shape.inner()..at.end * shape.inner()],
                        d_y_width: shape.inner(),
                        d_y_at: head * dim,
                        d_x: &mut made.d_x[steps.start * dim..steps.end * dim],
                        d_b: &mut made.d_b[at.start * n..at.end * n],
                        d_c: &mut made.d_c[at.start * n..at.end * n],
                        d_dt: &mut made.d_dt[steps.clone()],
                        d_decay: &mut made.d_decay[steps],
                    };
                    let run = run.part(segment.start, segment.len);
                    made.d_skip[i] += scan_backward(run, initial, d_state, grads, &mut scratch);
                    if segment.prefix.is_some() {
                        add_assign(&mut d_prefix, &d_own);
                        d_own.fill(0.0);
                    }
                }
            }
        }
        made
    }

    /// Backward of SiLU and of the filters: the gradient of the filters' sums, `[tokens, channels]`, of the taps and of the bias.
    fn filters(&self, blocks: &[HeadBlock], tokens: &Lineage<'_>) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (mixer, shape, per) = (self.mixer, &self.mixer.shape, self.per());
        let channels = shape.channels();
        let mut d_sums = vec![0.0; self.batch.len() * channels];
        let mut taps = vec![0.0; BLOCKS * mixer.taps.len()];
        let mut bias = vec![0.0; BLOCKS * channels];
        let parts = taps.par_chunks_mut(mixer.taps.len()).zip(bias.par_chunks_mut(channels));
        let rows = d_sums.par_chunks_mut(per * channels);
        rows.zip(parts).enumerate().for_each(|(block, (rows, (d_taps, d_bias)))| {
            let mut sources = Vec::with_capacity(shape.kernel);
            for (token, row) in (block * per..).zip(rows.chunks_exact_mut(channels)) {
                self.conv_gradient(blocks, token, row);
                sources.clear();
                sources.extend((0..shape.kernel).rev().map(|back| match tokens.before(token, back) {
                    Some(token) => &self.projected[token * shape.projected()..][shape.conv_columns()],
                    None => &mixer.nothing,
                }));
                conv_silu_backward(&sources, &mixer.taps, &mixer.bias, row, d_taps, d_bias);
            }
        });
        (d_sums, summed(&taps, mixer.taps.len()), summed(&bias, channels))
    }

    /// Puts a token's gradient of the convolution's result together: `x` by head, `B` and `C` summed over the blocks of each group.
    fn conv_gradient(&self, blocks: &[HeadBlock], token: usize, row: &mut [f32]) {
        let shape = &self.mixer.shape;
        let (tokens, dim, n) = (self.batch.len(), shape.head_dim, shape.state);
        let (d_x, shared) = row.split_at_mut(shape.inner());
        let (d_b, d_c) = shared.split_at_mut(shape.groups * n);
        for block in blocks {
            for (i, head) in block.heads.clone().enumerate() {
                let from = &block.d_x[(i * tokens + token) * dim..][..dim];
                d_x[head * dim..(head + 1) * dim].copy_from_slice(from);
            }
            let group = block.heads.start / (shape.heads / shape.groups);
            for (sums, part) in [(&mut *d_b, &block.d_b), (&mut *d_c, &block.d_c)] {
                let sums = sums[group * n..(group + 1) * n].iter_mut();
                sums.zip(&part[token * n..(token + 1) * n]).for_each(|(sum, part)| *sum += part);
            }
        }
    }

    /// Adds the gradients of the convolution's inputs and of the projected time steps to `d_projected`. Returns those of `dt_bias`
    /// and `a_log`.
    fn inputs(
        &self,
        blocks: &[HeadBlock],
        tokens: &Lineage<'_>,
        d_sums: &[f32],
        d_projected: &mut [f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let (mixer, shape, per) = (self.mixer, &self.mixer.shape, self.per());
        let (width, channels, heads) = (shape.projected(), shape.channels(), shape.heads);
        let (mut dt_bias, mut a_log) = (vec![0.0; BLOCKS * heads], vec![0.0; BLOCKS * heads]);
        let parts = dt_bias.par_chunks_mut(heads).zip(a_log.par_chunks_mut(heads));
        let rows = d_projected.par_chunks_mut(per * width);
        rows.zip(parts).enumerate().for_each(|(block, (rows, (dt_bias, a_log)))| {
            let mut uses = Vec::with_capacity(shape.kernel);
            let (mut d_dt, mut d_decay) = (vec![0.0; heads], vec![0.0; heads]);
            for (token, row) in (block * per..).zip(rows.chunks_exact_mut(width)) {
                uses.clear();
                for ahead in 0..shape.kernel {
                    let rows = tokens.after(token, ahead).map(|t| &d_sums[t * channels..(t + 1) * channels]);
                    uses.extend(rows.map(|row| (row, shape.kernel - 1 - ahead)));
                }
                conv_input_backward(&uses, &mixer.taps, &mut row[shape.conv_columns()]);
                for b in blocks {
                    for (i, head) in b.heads.clone().enumerate() {
                        d_dt[head] = b.d_dt[i * self.batch.len() + token];
                        d_decay[head] = b.d_decay[i * self.batch.len() + token];
                    }
                }
                let raw = &self.projected[token * width..][shape.dt_columns()];
                let d_raw = &mut row[shape.dt_columns()];
                let limits = (shape.dt_min, shape.dt_max);
                time_steps_backward(
                    raw,
                    &mixer.dt_bias,
                    &mixer.rate,
                    limits,
                    &d_dt,
                    &d_decay,
                    d_raw,
                    dt_bias,
                    a_log,
                );
            }
        });
        (summed(&dt_bias, heads), summed(&a_log, heads))
    }
}

/// Heads in about [`BLOCKS`] runs, none of which crosses a group's border.
fn head_blocks(shape: &MambaShape) -> Vec<Range<usize>> {
    let group = shape.heads / shape.groups;
    let size = group.div_ceil((BLOCKS / shape.groups).clamp(1, group));
    let each = (0..shape.groups).map(|g| g * group..(g + 1) * group);
    each.flat_map(|g| g.clone().step_by(size).map(move |first| first..(first + size).min(g.end))).collect()
}

/// The sum of the rows of `parts`, in order.
fn summed(parts: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    parts.chunks_exact(width).for_each(|part| add_assign(&mut sum, part));
    sum
}
