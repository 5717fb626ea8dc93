//! The mid-training step: next-token cross entropy over packed documents, with the loss of each domain.

use crate::update::{Optimizer, UpdateError};
use rlvr_model::logprobs::Targets;
use rlvr_model::tensor::floats;
use rlvr_model::{Model, Packed, Tape};
use std::sync::Arc;

/// Packed documents and which of their tokens are to be predicted.
#[derive(Clone, Debug, Default)]
pub struct MicroBatch {
    /// The documents.
    pub packed: Packed,
    /// The tokens that the loss counts.
    pub targets: Targets,
    /// `[targets]`: index of the domain of each target.
    pub domains: Vec<u16>,
}

/// What a step did.
#[derive(Clone, Debug, Default)]
pub struct MidTrainStats {
    /// Mean cross entropy (nats) over all targets, before the update.
    pub loss: f64,
    /// Mean cross entropy and number of targets of each domain, by its index.
    pub domains: Vec<(f64, u64)>,
    /// Tokens run through the model.
    pub tokens: u64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// Sums the gradient of the mean cross entropy over all targets of the micro batches and updates the model once.
///
/// # Errors
/// When the model or the update fails.
pub fn mid_train_step(
    model: &Model,
    optimizer: &mut Optimizer,
    batch: Vec<MicroBatch>,
    domains: usize,
    learning_rate: f64,
) -> Result<MidTrainStats, UpdateError> {
    let targets: usize = batch.iter().map(|m| m.targets.ids.len()).sum();
    let seed = -1.0 / targets.max(1) as f32;
    let mut sums = vec![(0.0, 0); domains];
    let mut stats = MidTrainStats::default();
    for micro in batch {
        let count = micro.targets.ids.len();
        if count == 0 {
            continue;
        }
        stats.tokens += micro.packed.len() as u64;
        let tape = Tape::new();
        let scored = model.token_logprobs(&tape, &Arc::new(micro.packed), micro.targets, 1.0)?;
        for (logprob, domain) in floats(&scored.logprobs.value)?.iter().zip(&micro.domains) {
            let sum: &mut (f64, u64) = &mut sums[usize::from(*domain)];
            *sum = (sum.0 - f64::from(*logprob), sum.1 + 1);
        }
        tape.backward(&scored.logprobs, vec![seed; count], optimizer.grads())?;
    }
    stats.loss = sums.iter().map(|(sum, _)| sum).sum::<f64>() / targets.max(1) as f64;
    stats.domains = sums.into_iter().map(|(sum, n)| (sum / (n.max(1)) as f64, n)).collect();
    stats.grad_norm = optimizer.update(model, learning_rate)?;
    Ok(stats)
}
