//! The gated MLP of the Llama family: `down(silu(gate(x)) * up(x))`.

use super::Names;
use crate::kernels::gemm::{View, gemm};
use crate::kernels::{elementwise, for_row_blocks};
use crate::ops;
use crate::params::{ParamId, ParamSlices, Params};
use crate::tape::{Tape, Var};
use candle_core::Result;

/// Weights `[intermediate, hidden]`, `[intermediate, hidden]` and `[hidden, intermediate]`.
#[derive(Clone, Debug)]
pub struct Mlp {
    gate: ParamId,
    up: ParamId,
    down: ParamId,
    intermediate: usize,
}

/// Buffers of the cached forward, kept between calls.
#[derive(Default)]
pub struct MlpBuffers {
    gate: Vec<f32>,
    up: Vec<f32>,
    act: Vec<f32>,
}

impl Mlp {
    pub(crate) fn new(names: &Names, prefix: &str, intermediate: usize) -> Self {
        Mlp {
            gate: names.get(&format!("{prefix}.gate_proj.weight")),
            up: names.get(&format!("{prefix}.up_proj.weight")),
            down: names.get(&format!("{prefix}.down_proj.weight")),
            intermediate,
        }
    }

    /// `[tokens, hidden]` to the same shape.
    pub(crate) fn forward(&self, tape: &Tape, params: &Params, x: &Var) -> Result<Var> {
        let gate = ops::linear(tape, params, self.gate, x)?;
        let up = ops::linear(tape, params, self.up, x)?;
        ops::linear(tape, params, self.down, &ops::swiglu(tape, &gate, &up)?)
    }

    /// The same for `rows` rows of plain floats; overwrites `out`.
    pub(crate) fn cached(
        &self,
        params: &ParamSlices<'_>,
        rows: usize,
        x: &[f32],
        buffers: &mut MlpBuffers,
        out: &mut [f32],
    ) {
        let (width, inner) = (x.len() / rows, self.intermediate);
        for buffer in [&mut buffers.gate, &mut buffers.up, &mut buffers.act] {
            buffer.resize(rows * inner, 0.0);
        }
        let x = View::rows(x, width);
        gemm((rows, inner, width), x, View::rows(params.get(self.gate), width).t(), &mut buffers.gate, false);
        gemm((rows, inner, width), x, View::rows(params.get(self.up), width).t(), &mut buffers.up, false);
        let (gate, up) = (&buffers.gate, &buffers.up);
        for_row_blocks(&mut buffers.act, inner, |first, block| {
            let at = first * inner..first * inner + block.len();
            elementwise::swiglu(&gate[at.clone()], &up[at], block);
        });
        gemm(
            (rows, width, inner),
            View::rows(&buffers.act, inner),
            View::rows(params.get(self.down), inner).t(),
            out,
            false,
        );
    }
}
