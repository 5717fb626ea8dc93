//! The policy update: sampled groups packed into micro batches, their log-probabilities, the loss and its backward.
//!
//! A prompt stands once in front of the samples it was answered with, so its tokens are computed once for the group.
//! `rlvr run` and `rlvr bench grpo-step` both come through here.

use crate::update::{Optimizer, UpdateError};
use rlvr_model::logprobs::Targets;
use rlvr_model::tensor::floats;
use rlvr_model::{Model, Packed, Tape};
use rlvr_objective::{LossMetrics, Mismatch, PolicyLossConfig, Scale, Sequence, mismatch, policy_loss};
use std::ops::Range;
use std::sync::Arc;

/// A sampled completion with what the update needs of it.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Generated ids, at least one.
    pub ids: Vec<u32>,
    /// Log-probability of each id, as the sampler drew it.
    pub old_logprobs: Vec<f32>,
    /// Log-probability of each id under the reference policy, when there is one.
    pub reference: Option<Vec<f32>>,
    /// The sample's advantage.
    pub advantage: f32,
}

/// A prompt and the samples of it that are in the update.
#[derive(Clone, Debug)]
pub struct Group {
    /// The prompt's ids, at least one.
    pub prompt: Arc<[u32]>,
    /// Samples with an advantage.
    pub samples: Vec<Sample>,
}

/// Some samples of some groups, packed.
struct MicroBatch {
    packed: Arc<Packed>,
    targets: Targets,
    /// (group, sample, its targets) for each sample.
    spans: Vec<(usize, usize, Range<usize>)>,
}

/// Packs groups into micro batches of at most `limit` tokens (one sample with its prompt may exceed it), in order.
fn micro_batches(groups: &[Group], limit: usize) -> Vec<MicroBatch> {
    let mut batches = Vec::new();
    let mut open = Open::default();
    for (g, group) in groups.iter().enumerate() {
        let mut prefix = None;
        for (s, sample) in group.samples.iter().enumerate() {
            let added = sample.ids.len() - 1 + if prefix.is_none() { group.prompt.len() } else { 0 };
            if !open.packed.is_empty() && open.packed.len() + added > limit {
                batches.push(std::mem::take(&mut open).close());
                prefix = None;
            }
            let prefix = *prefix.get_or_insert_with(|| open.packed.push(&group.prompt));
            open.push(prefix, (g, s), &sample.ids);
        }
    }
    if !open.packed.is_empty() {
        batches.push(open.close());
    }
    batches
}

#[derive(Default)]
struct Open {
    packed: Packed,
    targets: Targets,
    spans: Vec<(usize, usize, Range<usize>)>,
}

impl Open {
    /// Appends a sample: its last id is predicted, never run.
    fn push(&mut self, prefix: usize, (g, s): (usize, usize), ids: &[u32]) {
        let prompt = self.packed.segments[prefix];
        let first = self.targets.ids.len();
        self.targets.rows.push((prompt.start + prompt.len) as u32 - 1);
        let (last, run) = ids.split_last().map_or((None, &[][..]), |(last, run)| (Some(*last), run));
        if !run.is_empty() {
            let start = self.packed.len() as u32;
            self.packed.push_continuation(prefix, run);
            self.targets.rows.extend(start..start + run.len() as u32);
        }
        self.targets.ids.extend(run.iter().copied().chain(last));
        self.spans.push((g, s, first..self.targets.ids.len()));
    }

    fn close(self) -> MicroBatch {
        MicroBatch { packed: Arc::new(self.packed), targets: self.targets, spans: self.spans }
    }
}

/// How an update is made.
#[derive(Clone, Copy, Debug)]
pub struct PolicySettings {
    /// Clipping, normalisation and the penalty in the loss.
    pub loss: PolicyLossConfig,
    /// Temperature that the samples were drawn at.
    pub temperature: f32,
    /// Most generated tokens of a sample, for the constant normalisation.
    pub max_tokens: usize,
    /// Most tokens of a micro batch.
    pub micro_batch_tokens: usize,
}

/// What an update did.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyStats {
    /// The loss of the batch, before the update.
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Ratios, clipping and KL.
    pub metrics: LossMetrics,
    /// Sampler against trainer; meaningful only for the first update after the samples were drawn.
    pub mismatch: Mismatch,
    /// Sum of the entropies (nats) of the distributions that the tokens were drawn from.
    pub entropy_sum: f64,
    /// Tokens run forward and backward, prompts once a group.
    pub packed_tokens: usize,
}

/// Sums the gradient of the policy loss over `groups` and updates the model once.
///
/// # Errors
/// When the model or the update fails; see [`UpdateError`].
pub fn update_policy(
    model: &Model,
    optimizer: &mut Optimizer,
    groups: &[Group],
    settings: &PolicySettings,
    learning_rate: f64,
) -> Result<PolicyStats, UpdateError> {
    let lengths = groups.iter().flat_map(|g| &g.samples).map(|s| s.ids.len());
    let scale = Scale::of_lengths(lengths, settings.max_tokens);
    let mut stats = PolicyStats::default();
    for batch in micro_batches(groups, settings.micro_batch_tokens) {
        let MicroBatch { packed, targets, spans } = batch;
        let tape = Tape::new();
        stats.packed_tokens += packed.len();
        let scored = model.token_logprobs(&tape, &packed, targets, settings.temperature)?;
        let seed = {
            let logprobs = floats(&scored.logprobs.value)?;
            let sequences: Vec<Sequence<'_>> = (spans.iter())
                .map(|(g, s, span)| {
                    let sample = &groups[*g].samples[*s];
                    let logprobs = &logprobs[span.clone()];
                    stats.mismatch += mismatch(&sample.old_logprobs, logprobs);
                    Sequence {
                        logprobs,
                        old_logprobs: &sample.old_logprobs,
                        reference: sample.reference.as_deref(),
                        advantage: sample.advantage,
                    }
                })
                .collect();
            let loss = policy_loss(&sequences, &settings.loss, &scale);
            stats.loss += loss.loss;
            stats.metrics += loss.metrics;
            loss.d_logprobs.concat()
        };
        stats.entropy_sum += scored.entropies.iter().map(|e| f64::from(*e)).sum::<f64>();
        tape.backward(&scored.logprobs, seed, optimizer.grads())?;
    }
    stats.grad_norm = optimizer.update(model, learning_rate)?;
    Ok(stats)
}

/// Fills in the samples' log-probabilities under the reference policy.
///
/// # Errors
/// When the model fails.
pub fn score_reference(
    reference: &Model,
    groups: &mut [Group],
    settings: &PolicySettings,
) -> candle_core::Result<()> {
    for batch in micro_batches(groups, settings.micro_batch_tokens) {
        let scored =
            reference.token_logprobs(&Tape::idle(), &batch.packed, batch.targets, settings.temperature)?;
        let logprobs = floats(&scored.logprobs.value)?;
        for (g, s, span) in batch.spans {
            groups[g].samples[s].reference = Some(logprobs[span].to_vec());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(prompt: usize, lengths: &[usize]) -> Group {
        let sample =
            |n: &usize| Sample { ids: vec![7; *n], old_logprobs: vec![0.0; *n], ..Sample::default() };
        Group { prompt: vec![1; prompt].into(), samples: lengths.iter().map(sample).collect() }
    }

    #[test]
    fn a_prompt_is_packed_once_for_its_samples_and_the_last_token_is_not_run() {
        let batches = micro_batches(&[group(10, &[5, 1, 3]), group(4, &[2])], 100);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].packed.len(), 10 + 4 + 2 + 4 + 1);
        // the first token of every sample is predicted by the prompt's last row
        assert_eq!(batches[0].targets.rows, [9, 10, 11, 12, 13, 9, 9, 14, 15, 19, 20]);
    }

    #[test]
    fn a_micro_batch_over_the_limit_repeats_the_prompt_in_the_next() {
        let batches = micro_batches(&[group(10, &[6, 6, 6])], 20);
        assert_eq!(batches.iter().map(|b| b.packed.len()).collect::<Vec<_>>(), [20, 15]);
        let scored: Vec<usize> = batches.iter().flat_map(|b| b.spans.iter().map(|s| s.1)).collect();
        assert_eq!(scored, [0, 1, 2]);
    }
}
