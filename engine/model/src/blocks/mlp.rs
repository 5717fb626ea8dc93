//! The position-wise blocks: a gated MLP (Llama and most others), the same with two matrices in one (Granite's hybrids), and one with
//! a squared ReLU (Nemotron-H).

use super::{Linear, Names};
use crate::config::BlockKind;
use crate::kernels::{elementwise, for_row_blocks};
use crate::ops;
use crate::params::{ParamSlices, Params};
use crate::tape::{Tape, Var};
use candle_core::Result;

/// `down(act(up(x)))`.
#[derive(Clone, Debug)]
pub struct Mlp {
    up: Up,
    down: Linear,
}

/// What leads to the inner width, with its activation.
#[derive(Clone, Debug)]
enum Up {
    /// `silu(gate) * up`.
    Gated { gate: Linear, up: Linear },
    /// The same, gate and up side by side in one row.
    Fused(Linear),
    /// `relu(up)^2`.
    SquaredRelu(Linear),
}

/// Buffers of the cached forward, kept between calls.
#[derive(Default)]
pub struct MlpBuffers {
    gate: Vec<f32>,
    up: Vec<f32>,
    act: Vec<f32>,
}

impl Mlp {
    /// A block of one of the three kinds; none for a kind that is no MLP.
    pub(crate) fn new(names: &Names, prefix: &str, kind: BlockKind) -> Option<Self> {
        let linear = |name: &str| Linear::new(names, &format!("{prefix}.{name}"));
        let (up, down) = match kind {
            BlockKind::GatedMlp => {
                (Up::Gated { gate: linear("gate_proj"), up: linear("up_proj") }, "down_proj")
            }
            BlockKind::FusedGatedMlp => (Up::Fused(linear("input_linear")), "output_linear"),
            BlockKind::SquaredReluMlp => (Up::SquaredRelu(linear("up_proj")), "down_proj"),
            BlockKind::Attention { .. } | BlockKind::Mamba => return None,
        };
        Some(Mlp { up, down: linear(down) })
    }

    /// `[tokens, hidden]` to the same shape.
    pub(crate) fn forward(&self, tape: &Tape, params: &Params, x: &Var) -> Result<Var> {
        let act = match &self.up {
            Up::Gated { gate, up } => {
                ops::swiglu(tape, &gate.forward(tape, params, x)?, &up.forward(tape, params, x)?)?
            }
            Up::Fused(both) => ops::fused_swiglu(tape, &both.forward(tape, params, x)?)?,
            Up::SquaredRelu(up) => ops::squared_relu(tape, &up.forward(tape, params, x)?)?,
        };
        self.down.forward(tape, params, &act)
    }

    /// The same for `rows` rows of plain floats; overwrites `out`.
    pub(crate) fn cached(
        &self,
        params: &ParamSlices<'_>,
        rows: usize,
        x: &[f32],
        buffers: &mut MlpBuffers,
        out: &mut Vec<f32>,
    ) {
        let MlpBuffers { gate: gates, up: ups, act } = buffers;
        match &self.up {
            Up::Gated { gate, up } => {
                gate.cached(params, rows, x, gates);
                up.cached(params, rows, x, ups);
                act.resize(gates.len(), 0.0);
                for_row_blocks(act, gates.len() / rows, |first, block| {
                    let at = first * (gates.len() / rows);
                    let at = at..at + block.len();
                    elementwise::swiglu(&gates[at.clone()], &ups[at], block);
                });
            }
            Up::Fused(both) => {
                both.cached(params, rows, x, ups);
                act.resize(ups.len() / 2, 0.0);
                elementwise::fused_swiglu(ups, rows, act);
            }
            Up::SquaredRelu(up) => {
                up.cached(params, rows, x, act);
                elementwise::squared_relu(act);
            }
        }
        self.down.cached(params, rows, act, out);
    }
}
