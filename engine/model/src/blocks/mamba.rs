//! Mamba-2 as a block: a projection in, the mixing of [`crate::mamba`], a projection out.

use super::{Linear, Names};
use crate::cached::Row;
use crate::config;
use crate::mamba::{MambaShape, MambaWeights, Mixer, mix};
use crate::packed::Packed;
use crate::params::{ParamSlices, Params};
use crate::tape::{Tape, Var};
use candle_core::Result;
use rayon::prelude::*;
use std::sync::Arc;

/// A Mamba-2 mixer (Dao and Gu, arXiv 2405.21060).
#[derive(Clone, Debug)]
pub struct Mamba {
    input: Linear,
    weights: MambaWeights,
    output: Linear,
    shape: MambaShape,
}

/// Buffers of the cached forward, kept between calls.
#[derive(Default)]
pub struct MambaBuffers {
    projected: Vec<f32>,
    mixed: Vec<f32>,
}

impl config::Mamba {
    /// The sizes as the kernels take them.
    pub(crate) fn shape(&self, eps: f32) -> MambaShape {
        MambaShape {
            heads: self.heads,
            head_dim: self.head_dim,
            groups: self.groups,
            state: self.state,
            kernel: self.conv_kernel,
            dt_min: self.time_step_min as f32,
            dt_max: self.time_step_max as f32,
            eps,
        }
    }
}

impl Mamba {
    pub(crate) fn new(names: &Names, prefix: &str, shape: MambaShape) -> Self {
        let named = |name: &str| names.get(&format!("{prefix}.{name}"));
        let weights = MambaWeights {
            conv_weight: named("conv1d.weight"),
            conv_bias: names.find(&format!("{prefix}.conv1d.bias")),
            dt_bias: named("dt_bias"),
            a_log: named("A_log"),
            d: named("D"),
            norm: named("norm.weight"),
        };
        Mamba {
            input: Linear::new(names, &format!("{prefix}.in_proj")),
            weights,
            output: Linear::new(names, &format!("{prefix}.out_proj")),
            shape,
        }
    }

    /// `[tokens, hidden]` to the same shape.
    pub(crate) fn forward(&self, tape: &Tape, params: &Params, batch: &Arc<Packed>, x: &Var) -> Result<Var> {
        let projected = self.input.forward(tape, params, x)?;
        let mixed = mix(tape, params, &self.shape, &self.weights, batch, &projected)?;
        self.output.forward(tape, params, &mixed)
    }

    /// The same for rows of plain floats, each run of rows of one sequence from that sequence's state on, which begins as zeros at
    /// position 0; overwrites `out`.
    pub(crate) fn cached(
        &self,
        params: &ParamSlices<'_>,
        rows: &[Row<'_>],
        x: &[f32],
        states: &mut [f32],
        buffers: &mut MambaBuffers,
        out: &mut Vec<f32>,
    ) {
        let MambaBuffers { projected, mixed } = buffers;
        self.input.cached(params, rows.len(), x, projected);
        let (width, inner) = (self.shape.projected(), self.shape.inner());
        mixed.resize(rows.len() * inner, 0.0);
        let mut slots: Vec<Option<&mut [f32]>> =
            states.chunks_exact_mut(self.shape.state_len()).map(Some).collect();
        let (mut from, mut to) = (&projected[..], &mut mixed[..]);
        let mut runs = Vec::new();
        for run in rows.chunk_by(|a, b| a.state == b.state) {
            let (input, input_rest) = from.split_at(run.len() * width);
            let (output, output_rest) = to.split_at_mut(run.len() * inner);
            (from, to) = (input_rest, output_rest);
            let state = slots[run[0].state as usize].take().expect("rows of one sequence stand together");
            if run[0].position == 0 {
                state.fill(0.0);
            }
            runs.push((input, state, output));
        }
        let mixer = Mixer::new(&self.shape, params, &self.weights);
        runs.into_par_iter().for_each(|(input, state, output)| mixer.rows(input, state, output));
        self.output.cached(params, rows.len(), mixed, out);
    }
}
