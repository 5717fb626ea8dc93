//! `[[stage]]`: one step of the pipeline, mid-training or reinforcement learning, with its own settings resolved.
//!
//! Both kinds share [`Training`] and [`Eval`]; what is their own is [`MidTrain`] and [`Rl`]. In the file all keys of
//! a stage stand in one table.

use rlvr_objective::{AdvantageNorm, KlConfig, KlEstimator, KlPlace, Normalisation, PolicyLossConfig};
use serde::{Deserialize, Serialize};

use super::document::Document;
use super::error::Problem;
use super::fields;
use super::lora::Lora;
use super::task_mix::{self, TaskShare};
use crate::adamw::AdamWConfig;
use crate::data::config::MixtureEntry;
use crate::schedule::ScheduleConfig;

/// A stage of the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stage {
    /// Its name, `[a-z0-9+_.-]+`; checkpoints, metrics and the report go by it.
    pub name: String,
    /// The stage whose last checkpoint it starts from; without one it starts from `[model]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it does.
    #[serde(flatten)]
    pub work: Work,
    /// How it updates and saves.
    #[serde(flatten)]
    pub training: Training,
    /// How it is evaluated, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval: Option<Eval>,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Next-token training on a mixture of text.
    MidTrain(MidTrain),
    /// Reinforcement learning from verifiable rewards.
    Rl(Rl),
}

/// What stages of both kinds have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The schedule's peak; above 0.
    pub learning_rate: f64,
    /// How the rate goes over the stage.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// The optimiser's constants.
    #[serde(default)]
    pub adamw: AdamWConfig,
    /// The gradient's global norm is scaled down to this; above 0.
    #[serde(default = "one")]
    pub clip_norm: f64,
    /// Tokens whose activations are held at one time; a step is split into micro batches of at most so many.
    #[serde(default = "tokens_4096")]
    pub micro_batch_tokens: usize,
    /// Steps between checkpoints; the last step is always kept.
    #[serde(default = "steps_200")]
    pub checkpoint_every: u64,
    /// Checkpoints kept within the stage besides its last.
    #[serde(default = "two")]
    pub keep: usize,
    /// Whether the forward of an update keeps each block's input alone and the backward runs the block again.
    #[serde(default)]
    pub activation_checkpointing: bool,
    /// Adapters to train in place of the model's own weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<Lora>,
}

/// Mid-training's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MidTrain {
    /// Optimiser steps; either this or `tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Tokens in all, rounded up to whole steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Tokens of an optimiser step.
    #[serde(default = "tokens_4096")]
    pub batch_tokens: usize,
    /// The longest document, in tokens; longer ones are cut. Without it, what the model has positions for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// The sources, by domain.
    pub mixture: Vec<MixtureEntry>,
}

/// Reinforcement learning's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rl {
    /// Batches of rollouts.
    pub steps: u64,
    /// Where prompts come from: a task set's name, or several with weights.
    #[serde(with = "task_mix")]
    pub tasks: Vec<TaskShare>,
    /// Groups in a step.
    #[serde(default = "groups_16")]
    pub prompts_per_step: usize,
    /// Samples in a group.
    #[serde(default = "samples_8")]
    pub samples_per_prompt: usize,
    /// How completions are drawn.
    pub sampling: Sampling,
    /// Most sequences in the sampler's batch.
    #[serde(default = "sequences_128")]
    pub max_sequences: usize,
    /// Pages of the sampler's cache; without it, enough for `max_sequences` of the longest sequences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_pages: Option<usize>,
    /// How rewards become advantages.
    #[serde(default)]
    pub advantage: AdvantageNorm,
    /// How token losses are averaged.
    #[serde(default)]
    pub normalisation: Normalisation,
    /// The ratio is held above `1 - clip_low`.
    #[serde(default = "clip")]
    pub clip_low: f64,
    /// The ratio is held below `1 + clip_high`.
    #[serde(default = "clip")]
    pub clip_high: f64,
    /// The penalty for leaving a reference policy; off without a coefficient.
    #[serde(default)]
    pub kl: Kl,
    /// Whether groups whose rewards are all equal leave the update and are drawn anew from other prompts.
    #[serde(default = "yes")]
    pub drop_zero_variance: bool,
    /// How often a step asks for more prompts to fill the place of dropped groups.
    #[serde(default = "refills_2")]
    pub max_refills: u32,
    /// Minibatches, each an optimiser step, that a batch of rollouts is cut into.
    #[serde(default = "one_step")]
    pub optimizer_steps: usize,
    /// The run stops when a larger share of samples than this has a verifier's fault.
    #[serde(default = "fault_share")]
    pub max_fault_share: f64,
    /// The run stops when the sampler's and the trainer's log-probabilities of a token differ by more (nats).
    #[serde(default = "mismatch")]
    pub mismatch_bound: f64,
    /// Verifier threads; 0 for as many as there are cores.
    #[serde(default)]
    pub workers: usize,
}

/// How completions are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the likeliest token.
    #[serde(default = "unit")]
    pub temperature: f32,
    /// Only so many likeliest tokens are drawn from; 0 for all.
    #[serde(default)]
    pub top_k: usize,
    /// Only the fewest tokens whose probabilities sum to this are drawn from; 1 for all.
    #[serde(default = "unit")]
    pub top_p: f32,
    /// Only tokens of at least this share of the likeliest one's probability are drawn from; 0 for all.
    #[serde(default)]
    pub min_p: f32,
    /// Most tokens of a completion.
    pub max_tokens: usize,
    /// Strings that end a completion.
    #[serde(default)]
    pub stop: Vec<String>,
}

/// The penalty for leaving a reference policy, and when that follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kl {
    /// Weight of the penalty; at 0 there is no reference.
    pub coefficient: f64,
    /// Estimate of one token's divergence.
    pub estimator: KlEstimator,
    /// In the loss or in the reward.
    pub place: KlPlace,
    /// Steps after which the reference becomes the policy; 0 for never.
    pub refresh: u64,
}

/// How a stage is evaluated at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// Task sets by name.
    pub tasks: Vec<String>,
    /// Samples of each problem.
    #[serde(default = "samples_8")]
    pub samples: usize,
    /// Logits are divided by it; 0 takes the likeliest token.
    #[serde(default = "unit")]
    pub temperature: f32,
    /// Most tokens of a completion.
    pub max_tokens: usize,
    /// Strings that end a completion.
    #[serde(default)]
    pub stop: Vec<String>,
    /// Only the first so many problems of each set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The run stops when a larger share of samples than this has a verifier's fault.
    #[serde(default = "fault_share")]
    pub max_fault_share: f64,
    /// Also within the stage, after every so many steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
}

impl Stage {
    /// `mid_train` or `rl`, as in the file and in metrics.
    pub fn kind(&self) -> &'static str {
        match self.work {
            Work::MidTrain(_) => "mid_train",
            Work::Rl(_) => "rl",
        }
    }

    /// Steps of the stage: optimiser steps in mid-training, batches of rollouts in reinforcement learning.
    pub fn steps(&self) -> u64 {
        match &self.work {
            Work::MidTrain(work) => work.steps(),
            Work::Rl(work) => work.steps,
        }
    }

    /// Updates that the stage's schedule runs over.
    pub fn updates(&self) -> u64 {
        match &self.work {
            Work::MidTrain(work) => work.steps(),
            Work::Rl(work) => work.steps * work.optimizer_steps as u64,
        }
    }
}

impl Eval {
    /// How completions are drawn: without truncation of the distribution.
    pub fn sampling(&self) -> Sampling {
        let Eval { temperature, max_tokens, .. } = *self;
        Sampling { temperature, top_k: 0, top_p: 1.0, min_p: 0.0, max_tokens, stop: self.stop.clone() }
    }
}

impl MidTrain {
    /// Optimiser steps, from `steps` or from `tokens`.
    pub fn steps(&self) -> u64 {
        let of_tokens = |tokens: u64| tokens.div_ceil(self.batch_tokens.max(1) as u64);
        self.steps.unwrap_or_else(|| self.tokens.map_or(0, of_tokens))
    }
}

impl Rl {
    /// The settings of the loss; without a coefficient there is no penalty.
    pub fn policy_loss(&self) -> PolicyLossConfig {
        let Kl { coefficient, estimator, place, .. } = self.kl;
        PolicyLossConfig {
            clip_low: self.clip_low,
            clip_high: self.clip_high,
            normalisation: self.normalisation,
            kl: (coefficient != 0.0).then_some(KlConfig { coefficient, estimator, place }),
        }
    }
}

/// Every stage of the file with its index; those that cannot be read are problems, and left out.
pub(super) fn read_all(document: &Document, problems: &mut Vec<Problem>) -> Vec<(usize, Stage)> {
    let stages = match document.get(&["stage"]).map(|stages| stages.get_ref().as_array()) {
        Some(Some(stages)) if !stages.is_empty() => stages.len(),
        Some(None) => {
            problems.push(document.problem(&["stage"], "is no array of tables; [[stage]] is right"));
            return Vec::new();
        }
        _ => {
            problems.push(document.problem(&["stage"], "is missing; a run has at least one [[stage]]"));
            return Vec::new();
        }
    };
    let read = |index: usize| read_one(document, &["stage", &index.to_string()]).map(|stage| (index, stage));
    (0..stages).filter_map(|index| read(index).map_err(|found| problems.extend(found)).ok()).collect()
}

/// What a stage is before its kind is known.
#[derive(Deserialize)]
struct Head {
    name: String,
    kind: Kind,
    from: Option<String>,
}

/// The kinds of stage, as they are written.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    MidTrain,
    Rl,
}

/// The keys of a stage that are not in [`Training`] or its kind's struct.
const HEAD: [&str; 4] = ["name", "kind", "from", "eval"];

/// The keys that a stage of a kind may have.
pub(super) fn keys_of(kind: &str) -> Vec<&'static str> {
    let own = match kind {
        "rl" => fields::of::<Rl>(),
        _ => fields::of::<MidTrain>(),
    };
    [&HEAD, fields::of::<Training>(), own].concat()
}

fn read_one(document: &Document, path: &[&str]) -> Result<Stage, Vec<Problem>> {
    let head: Head = document.read_keys(path, |key| HEAD[..3].contains(&key)).map_err(|one| vec![one])?;
    let training = document.read_keys(path, |key| fields::of::<Training>().contains(&key));
    let (kind, work) = match head.kind {
        Kind::MidTrain => {
            let own = document.read_keys(path, |key| fields::of::<MidTrain>().contains(&key));
            ("mid_train", own.map(Work::MidTrain))
        }
        Kind::Rl => {
            let own = document.read_keys(path, |key| fields::of::<Rl>().contains(&key));
            ("rl", own.map(Work::Rl))
        }
    };
    let eval_path = [path, &["eval"]].concat();
    let eval = document.get(&eval_path).map(|_| document.read(&eval_path)).transpose();
    let mut problems = document.unknown_keys(path, &keys_of(kind));
    match (training, work, eval) {
        (Ok(training), Ok(work), Ok(eval)) if problems.is_empty() => {
            Ok(Stage { name: head.name, from: head.from, work, training, eval })
        }
        (training, work, eval) => {
            problems.extend([training.err(), work.err(), eval.err()].into_iter().flatten());
            Err(problems)
        }
    }
}

fn one() -> f64 {
    1.0
}
fn unit() -> f32 {
    1.0
}
fn clip() -> f64 {
    0.2
}
fn fault_share() -> f64 {
    0.01
}
fn mismatch() -> f64 {
    1e-3
}
fn yes() -> bool {
    true
}
fn two() -> usize {
    2
}
fn one_step() -> usize {
    1
}
fn groups_16() -> usize {
    16
}
fn samples_8() -> usize {
    8
}
fn sequences_128() -> usize {
    128
}
fn tokens_4096() -> usize {
    4096
}
fn steps_200() -> u64 {
    200
}
fn refills_2() -> u32 {
    2
}
