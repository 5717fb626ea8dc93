//! The optimiser step: clipping, AdamW over the model's own tensors, and the guard that no parameter was left out.

use crate::adamw::{AdamWConfig, adamw_step, clip_scale, global_norm};
use crate::optimizer_file::{OptimizerFileError, read_optimizer};
use rlvr_model::Model;
use rlvr_model::params::{ParamGrads, Params};
use rlvr_model::tensor::{change, floats};
use std::path::Path;

/// Why an update was not made. The parameters are as they were before it.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// No backward reached a parameter.
    #[error("no gradient reached the parameter `{0}`; the update was not made")]
    NoGradient(String),
    /// A gradient is infinite or not a number.
    #[error(
        "the gradient's norm is {norm}; the update was not made. A lower learning rate or clip_norm keeps training stable"
    )]
    NotFinite {
        /// The global norm.
        norm: f64,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// AdamW's state for one model: moments in the order of its trainable parameters, and the number of updates made.
pub struct Optimizer {
    config: AdamWConfig,
    clip_norm: f64,
    moments: Vec<Moments>,
    updates: u64,
    grads: ParamGrads,
}

struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Optimizer {
    /// Moments and gradients of zero. `clip_norm` bounds the global norm of the gradient; infinity does not clip.
    ///
    /// # Errors
    /// When memory for the gradients cannot be had.
    pub fn new(params: &Params, config: AdamWConfig, clip_norm: f64) -> candle_core::Result<Self> {
        let zeros = |n: usize| Moments { first: vec![0.0; n], second: vec![0.0; n] };
        let moments = params.trainable().map(|p| zeros(p.value.elem_count())).collect();
        Ok(Optimizer { config, clip_norm, moments, updates: 0, grads: params.zero_grads()? })
    }

    /// Where backward passes sum the gradient of the next update.
    pub fn grads(&mut self) -> &mut ParamGrads {
        &mut self.grads
    }

    /// Updates the model in place with the gradient summed since the last update, clears it, and returns its global norm before
    /// clipping.
    ///
    /// # Errors
    /// When a parameter has no gradient or the gradient is not finite; then nothing is changed.
    pub fn update(&mut self, model: &Model, learning_rate: f64) -> Result<f64, UpdateError> {
        if let Some(index) = self.grads.untouched() {
            let name = model.params.iter().nth(index).map(|p| p.name.clone());
            return Err(UpdateError::NoGradient(name.unwrap_or_default()));
        }
        let norm = {
            let grads = self.grads.iter().map(floats).collect::<candle_core::Result<Vec<_>>>()?;
            global_norm(&grads.iter().map(|g| &**g).collect::<Vec<_>>())
        };
        if !norm.is_finite() {
            self.grads.clear()?;
            return Err(UpdateError::NotFinite { norm });
        }
        self.updates += 1;
        let scale = clip_scale(norm, self.clip_norm);
        for ((param, grad), moments) in model.params.trainable().zip(self.grads.iter()).zip(&mut self.moments)
        {
            let step = self.config.step(param.value.dims(), learning_rate, self.updates, scale);
            let grad = floats(grad)?;
            change(&param.value, |p| adamw_step(p, &grad, &mut moments.first, &mut moments.second, &step))?;
        }
        self.grads.clear()?;
        Ok(norm)
    }

    /// Number of updates made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The moments as named tensors, for a checkpoint.
    pub fn tensors<'a>(&'a self, params: &Params) -> Vec<(String, Vec<usize>, &'a [f32])> {
        (params.trainable().zip(&self.moments))
            .flat_map(|(p, m)| {
                let named = |kind, values| (format!("{}.{kind}", p.name), p.value.dims().to_vec(), values);
                [named("exp_avg", &m.first[..]), named("exp_avg_sq", &m.second[..])]
            })
            .collect()
    }

    /// Reads back what [`Optimizer::tensors`] named, after `updates` updates, and the tensors `others` (name, shape, place) that
    /// were saved beside it.
    ///
    /// # Errors
    /// When the file does not hold exactly these tensors.
    pub fn restore(
        &mut self,
        params: &Params,
        file: &Path,
        updates: u64,
        others: &mut [(String, Vec<usize>, Vec<f32>)],
    ) -> Result<(), OptimizerFileError> {
        let mut places: Vec<_> = (params.trainable().zip(&mut self.moments))
            .flat_map(|(p, m)| {
                let shape = p.value.dims().to_vec();
                [
                    (format!("{}.exp_avg", p.name), shape.clone(), &mut m.first[..]),
                    (format!("{}.exp_avg_sq", p.name), shape, &mut m.second[..]),
                ]
            })
            .collect();
        places.extend(
            others.iter_mut().map(|(name, shape, values)| (name.clone(), shape.clone(), &mut values[..])),
        );
        read_optimizer(file, &mut places)?;
        self.updates = updates;
        Ok(())
    }
}
