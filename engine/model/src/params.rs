//! The one store of parameters: what the trainer updates in place is what the sampler reads.

use crate::tensor::{self, Floats};
use candle_core::{Result, Tensor};

/// Handle of a parameter within its [`Params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParamId(pub(crate) usize);

/// A named parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// Name in the checkpoint, such as `model.layers.0.mlp.up_proj.weight`.
    pub name: String,
    /// Contiguous f32.
    pub value: Tensor,
}

/// Parameters in the order of the checkpoint's names.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<Param>);

impl Params {
    /// Adds a parameter.
    pub(crate) fn push(&mut self, name: String, value: Tensor) -> ParamId {
        self.0.push(Param { name, value });
        ParamId(self.0.len() - 1)
    }

    /// All parameters, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Param> {
        self.0.iter()
    }

    /// One parameter.
    pub fn get(&self, id: ParamId) -> &Param {
        &self.0[id.0]
    }

    /// Number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Read-locks all parameters for the kernels.
    ///
    /// # Errors
    /// When a parameter is not contiguous f32 on the CPU.
    pub(crate) fn read(&self) -> Result<ParamSlices<'_>> {
        self.0.iter().map(|p| tensor::floats(&p.value)).collect::<Result<_>>().map(ParamSlices)
    }

    /// A deep copy: later updates of one do not show in the other. This is how a reference policy is kept.
    ///
    /// # Errors
    /// When memory for the copy cannot be had on the device.
    pub fn snapshot(&self) -> Result<Params> {
        let copy = |p: &Param| Ok(Param { name: p.name.clone(), value: p.value.copy()? });
        self.0.iter().map(copy).collect::<Result<_>>().map(Params)
    }

    /// Overwrites the values with those of `other`, which has the same parameters.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn assign(&self, other: &Params) -> Result<()> {
        for (to, from) in self.0.iter().zip(&other.0) {
            let from = tensor::floats(&from.value)?;
            tensor::change(&to.value, |to| to.copy_from_slice(&from))?;
        }
        Ok(())
    }

    /// A zero gradient for every parameter.
    ///
    /// # Errors
    /// When memory cannot be had on the device.
    pub fn zero_grads(&self) -> Result<ParamGrads> {
        let grads = self.0.iter().map(|p| p.value.zeros_like()).collect::<Result<_>>()?;
        Ok(ParamGrads { grads, touched: vec![false; self.len()] })
    }
}

/// All parameters as slices.
pub(crate) struct ParamSlices<'a>(Vec<Floats<'a>>);

impl ParamSlices<'_> {
    pub fn get(&self, id: ParamId) -> &[f32] {
        &self.0[id.0]
    }
}

/// Gradients of all parameters, summed over micro batches.
#[derive(Debug)]
pub struct ParamGrads {
    grads: Vec<Tensor>,
    touched: Vec<bool>,
}

impl ParamGrads {
    /// Adds to the gradient of `id` in place.
    pub(crate) fn accumulate(&mut self, id: ParamId, add: impl FnOnce(&mut [f32])) -> Result<()> {
        self.touched[id.0] = true;
        tensor::change(&self.grads[id.0], add)
    }

    /// The gradients, in the order of the parameters.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Tensor> {
        self.grads.iter()
    }

    /// Sets all gradients to zero.
    ///
    /// # Errors
    /// When a gradient is not f32 on the CPU.
    pub fn clear(&mut self) -> Result<()> {
        self.touched.fill(false);
        self.grads.iter().try_for_each(|g| tensor::change(g, |g| g.fill(0.0)))
    }

    /// Index of the first parameter that no backward has reached since the last [`ParamGrads::clear`], if any.
    pub fn untouched(&self) -> Option<usize> {
        self.touched.iter().position(|t| !t)
    }
}
