//! A projection: a weight `[out, in]`, in some families a bias, and while adapters are trained a low-rank one beside it.

use super::Names;
use crate::kernels::gemm::{View, gemm};
use crate::params::{ParamId, ParamSlices, Params};
use crate::tape::{Tape, Var};
use crate::{lora, ops};
use candle_core::Result;

/// `x * weight^T + bias + scale * (x * a^T) * b^T`; see [`crate::lora`] for the last term.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: ParamId,
    bias: Option<ParamId>,
    lora: Option<Lora>,
}

/// The matrices `[rank, in]` and `[out, rank]` of an adapter.
#[derive(Clone, Copy, Debug)]
struct Lora {
    a: ParamId,
    b: ParamId,
    scale: f32,
}

impl Linear {
    /// The projection `NAME.weight`, with `NAME.bias` where the configuration lists one and an adapter where one is attached.
    pub(crate) fn new(names: &Names, name: &str) -> Self {
        let lora = names.adapters.and_then(|scale| {
            let [a, b] = lora::names(name).map(|name| names.find(&name));
            Some(Lora { a: a?, b: b?, scale })
        });
        Linear {
            weight: names.get(&format!("{name}.weight")),
            bias: names.find(&format!("{name}.bias")),
            lora,
        }
    }

    /// `[tokens, in]` to `[tokens, out]`.
    pub(crate) fn forward(&self, tape: &Tape, params: &Params, x: &Var) -> Result<Var> {
        let mut out = ops::linear(tape, params, self.weight, x)?;
        if let Some(bias) = self.bias {
            out = ops::add_bias(tape, params, bias, &out)?;
        }
        if let Some(Lora { a, b, scale }) = self.lora {
            out = ops::lora(tape, params, (a, b), scale, x, &out)?;
        }
        Ok(out)
    }

    /// The same for `rows` rows of plain floats; overwrites `out`, `[rows, out]`, whatever its length was.
    pub(crate) fn cached(&self, params: &ParamSlices<'_>, rows: usize, x: &[f32], out: &mut Vec<f32>) {
        let (weight, inputs) = (params.get(self.weight), x.len() / rows);
        let outputs = weight.len() / inputs;
        out.resize(rows * outputs, 0.0);
        gemm((rows, outputs, inputs), View::rows(x, inputs), View::rows(weight, inputs).t(), out, false);
        if let Some(bias) = self.bias {
            ops::add_to_rows(out, params.get(bias));
        }
        if let Some(Lora { a, b, scale }) = self.lora {
            ops::add_lora(rows, x, (params.get(a), params.get(b)), scale, &mut Vec::new(), out);
        }
    }
}
