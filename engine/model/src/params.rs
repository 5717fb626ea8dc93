//! The one store of parameters: what the trainer updates in place is what the sampler reads.

use crate::tensor::{self, Floats};
use candle_core::{Result, Tensor};
use std::sync::Arc;

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
    /// Whether it is updated. One that is not has no gradient and no optimiser state, and copies of the model share its memory.
    pub trainable: bool,
}

/// Parameters in the order of the checkpoint's names, those of adapters behind them. A clone has the same tensors, not copies.
#[derive(Clone, Debug, Default)]
pub struct Params(Arc<Vec<Param>>);

impl Params {
    /// Adds a trainable parameter.
    pub(crate) fn push(&mut self, name: String, value: Tensor) -> ParamId {
        let all = Arc::make_mut(&mut self.0);
        all.push(Param { name, value, trainable: true });
        ParamId(all.len() - 1)
    }

    /// The same parameters, none of which is trainable.
    pub(crate) fn frozen(&self) -> Params {
        self.0.iter().map(|p| Param { trainable: false, ..p.clone() }).collect()
    }

    /// All parameters, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Param> + DoubleEndedIterator {
        self.0.iter()
    }

    /// Those that are updated, in order.
    pub fn trainable(&self) -> impl Iterator<Item = &Param> {
        self.0.iter().filter(|p| p.trainable)
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

    /// A copy that later updates of the original do not show in: how a reference policy is kept. What is not trainable is shared.
    ///
    /// # Errors
    /// When memory for the copy cannot be had on the device.
    pub fn snapshot(&self) -> Result<Params> {
        let copy = |p: &Param| match p.trainable {
            true => Ok(Param { value: p.value.copy()?, ..p.clone() }),
            false => Ok(p.clone()),
        };
        self.0.iter().map(copy).collect()
    }

    /// Overwrites the values with those of `other`, which has the same parameters; what is not trainable stays as it is.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn assign(&self, other: &Params) -> Result<()> {
        for (to, from) in self.trainable().zip(other.trainable()) {
            let from = tensor::floats(&from.value)?;
            tensor::change(&to.value, |to| to.copy_from_slice(&from))?;
        }
        Ok(())
    }

    /// A zero gradient for every trainable parameter.
    ///
    /// # Errors
    /// When memory cannot be had on the device.
    pub fn zero_grads(&self) -> Result<ParamGrads> {
        let zeros = |p: &Param| p.trainable.then(|| p.value.zeros_like()).transpose();
        let grads = self.0.iter().map(zeros).collect::<Result<_>>()?;
        Ok(ParamGrads { grads, touched: vec![false; self.len()] })
    }
}

impl FromIterator<Param> for Params {
    fn from_iter<I: IntoIterator<Item = Param>>(params: I) -> Self {
        Params(Arc::new(params.into_iter().collect()))
    }
}

/// All parameters as slices.
pub(crate) struct ParamSlices<'a>(Vec<Floats<'a>>);

impl ParamSlices<'_> {
    pub fn get(&self, id: ParamId) -> &[f32] {
        &self.0[id.0]
    }
}

/// Gradients of the trainable parameters, summed over micro batches.
#[derive(Debug)]
pub struct ParamGrads {
    /// By parameter; none for one that is not trainable.
    grads: Vec<Option<Tensor>>,
    touched: Vec<bool>,
}

impl ParamGrads {
    /// Adds to the gradient of `id` in place; `add` does not run for a parameter that is not trainable.
    pub(crate) fn accumulate(&mut self, id: ParamId, add: impl FnOnce(&mut [f32])) -> Result<()> {
        let Some(grad) = &self.grads[id.0] else { return Ok(()) };
        self.touched[id.0] = true;
        tensor::change(grad, add)
    }

    /// The gradients, in the order of the trainable parameters.
    pub fn iter(&self) -> impl Iterator<Item = &Tensor> {
        self.grads.iter().flatten()
    }

    /// Sets all gradients to zero.
    ///
    /// # Errors
    /// When a gradient is not f32 on the CPU.
    pub fn clear(&mut self) -> Result<()> {
        self.touched.fill(false);
        self.iter().try_for_each(|g| tensor::change(g, |g| g.fill(0.0)))
    }

    /// Index among all parameters of the first trainable one that no backward has reached since the last [`ParamGrads::clear`], if any.
    pub fn untouched(&self) -> Option<usize> {
        self.grads.iter().zip(&self.touched).position(|(grad, touched)| grad.is_some() && !touched)
    }
}
