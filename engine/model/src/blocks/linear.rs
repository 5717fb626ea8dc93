//! A projection: a weight `[out, in]` and, in some families, a bias.

use super::Names;
use crate::kernels::gemm::{View, gemm};
use crate::ops;
use crate::params::{ParamId, ParamSlices, Params};
use crate::tape::{Tape, Var};
use candle_core::Result;

/// `x * weight^T + bias`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: ParamId,
    bias: Option<ParamId>,
}

impl Linear {
    /// The projection `NAME.weight`, with `NAME.bias` where the configuration lists one.
    pub(crate) fn new(names: &Names, name: &str) -> Self {
        Linear { weight: names.get(&format!("{name}.weight")), bias: names.find(&format!("{name}.bias")) }
    }

    /// `[tokens, in]` to `[tokens, out]`.
    pub(crate) fn forward(&self, tape: &Tape, params: &Params, x: &Var) -> Result<Var> {
        let out = ops::linear(tape, params, self.weight, x)?;
        self.bias.map_or(Ok(out.clone()), |bias| ops::add_bias(tape, params, bias, &out))
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
    }
}
