//! The benchmarks behind `rlvr bench`: the sampler and the policy update that runs use, on work of a fixed size.
//!
//! The work is that of the peers' scripts: prompts of random ids, completions of exactly so many tokens (ends of sequence do not
//! end them), one optimiser step on all of them.

use crate::adamw::AdamWConfig;
use crate::rl::policy::{Group, PolicySettings, PolicyStats, Sample, update_policy};
use crate::update::{Optimizer, UpdateError};
use rlvr_model::config::ConfigError;
use rlvr_model::{Model, ModelConfig, ModelError};
use rlvr_objective::{AdvantageNorm, Normalisation, PolicyLossConfig, advantages};
use rlvr_rollouts::{
    NoStopRule, Request, RngKey, RolloutError, Sampler, SamplerConfig, SamplingParams, Stats,
};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

/// The size of the work.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Prompts.
    pub prompts: usize,
    /// Completions of each.
    pub samples: usize,
    /// Tokens of a prompt.
    pub prompt_tokens: usize,
    /// Tokens of a completion.
    pub new_tokens: usize,
    /// Rounds after one that does not count.
    pub rounds: usize,
    /// Most tokens of a micro batch of the update.
    pub micro_batch_tokens: usize,
}

/// Why a benchmark cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The file is no model config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file cannot be read.
    #[error("{path}: {problem}; a config.json, or a folder that holds one, is right")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The sampler failed.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// The update failed.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Random weights in the shape that a config says: a `config.json` of any name, or a folder with one.
///
/// # Errors
/// When it cannot be read.
pub fn random_model(path: &Path, seed: u64) -> Result<Model, BenchError> {
    if path.is_dir() {
        return Ok(Model::random(ModelConfig::read(path)?, seed)?);
    }
    let file = |problem: String| BenchError::File { path: path.display().to_string(), problem };
    let text = std::fs::read_to_string(path).map_err(|e| file(e.to_string()))?;
    let fields = serde_json::from_str(&text).map_err(|e| file(e.to_string()))?;
    Ok(Model::random(ModelConfig::from_json(&fields)?, seed)?)
}

fn requests(work: &Work, vocab: usize) -> Vec<Request> {
    let id = |p: usize, i: usize| (3 + (p * 37 + i * 11) % (vocab - 3)) as u32;
    let prompt = |p: usize| (0..work.prompt_tokens).map(|i| id(p, i)).collect::<Vec<u32>>();
    let request = |p: usize| Request {
        prompt: p as u64,
        attempt: 0,
        ids: prompt(p).into(),
        samples: work.samples as u32,
    };
    (0..work.prompts).map(request).collect()
}

fn sampler(work: &Work, model: &Model) -> Result<Sampler, RolloutError> {
    let sizes =
        SamplerConfig::for_sequences(work.prompts * work.samples, work.prompt_tokens + work.new_tokens);
    Sampler::new(&model.config, sizes)
}

/// One round of sampling: the groups with their samples, and the account.
fn draw(
    work: &Work,
    model: &Model,
    sampler: &mut Sampler,
    round: usize,
) -> Result<(Vec<Group>, Stats), RolloutError> {
    let requests = requests(work, model.config.vocab_size);
    let params =
        SamplingParams { max_tokens: work.new_tokens, ignore_stop: true, ..SamplingParams::default() };
    let mut groups: Vec<Group> = requests
        .iter()
        .map(|r| Group { prompt: r.ids.clone(), samples: vec![Sample::default(); work.samples] })
        .collect();
    let key = RngKey { seed: 1, stage: 0, step: round as u64 };
    let stats = sampler.generate(model, &requests, &params, key, &NoStopRule, &mut |rollout| {
        let place = &mut groups[rollout.prompt as usize].samples[rollout.sample as usize];
        *place = Sample { ids: rollout.ids, old_logprobs: rollout.logprobs, ..Sample::default() };
        ControlFlow::Continue(())
    })?;
    Ok((groups, stats))
}

/// Tokens per second of the sampler.
///
/// # Errors
/// See [`BenchError`].
pub fn rollout(model: &Path, work: &Work) -> Result<Value, BenchError> {
    let model = random_model(model, 1)?;
    let mut sampler = sampler(work, &model)?;
    let mut seconds = Vec::new();
    let mut stats = Stats::default();
    for round in 0..=work.rounds {
        let start = Instant::now();
        stats = draw(work, &model, &mut sampler, round)?.1;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let seconds = median(&seconds[1..]);
    Ok(json!({
        "bench": "rollout", "dtype": "f32", "threads": rayon::current_num_threads(),
        "sequences": work.prompts * work.samples, "prompt_tokens": stats.prefill_tokens,
        "new_tokens": stats.generated_tokens, "seconds": seconds,
        "tokens_per_s": stats.generated_tokens as f64 / seconds,
    }))
}

/// Seconds of a whole GRPO step: sampling, advantages, loss, backward, AdamW.
///
/// # Errors
/// See [`BenchError`].
pub fn grpo_step(model: &Path, work: &Work) -> Result<Value, BenchError> {
    let model = random_model(model, 1)?;
    let mut sampler = sampler(work, &model)?;
    let mut optimizer = Optimizer::new(&model.params, AdamWConfig::default(), 1.0)?;
    let settings = PolicySettings {
        loss: PolicyLossConfig {
            clip_low: 0.2,
            clip_high: 0.2,
            normalisation: Normalisation::Sequence,
            kl: None,
        },
        temperature: 1.0,
        max_tokens: work.new_tokens,
        micro_batch_tokens: work.micro_batch_tokens,
    };
    let (mut steps, mut rollouts) = (Vec::new(), Vec::new());
    let (mut account, mut update) = (Stats::default(), PolicyStats::default());
    for round in 0..=work.rounds {
        let start = Instant::now();
        let (mut groups, stats) = draw(work, &model, &mut sampler, round)?;
        rollouts.push(start.elapsed().as_secs_f64());
        for group in &mut groups {
            let rewards: Vec<_> =
                group.samples.iter().map(|s| Some((s.ids.iter().sum::<u32>() % 7) as f32)).collect();
            let advantages = advantages(&rewards, AdvantageNorm::Std);
            for (sample, advantage) in group.samples.iter_mut().zip(advantages) {
                sample.advantage = advantage.unwrap_or(0.0);
            }
        }
        update = update_policy(&model, &mut optimizer, &groups, &settings, 1e-4)?;
        account = stats;
        steps.push(start.elapsed().as_secs_f64());
    }
    let (step_s, rollout_s) = (median(&steps[1..]), median(&rollouts[1..]));
    Ok(json!({
        "bench": "grpo-step", "dtype": "f32", "threads": rayon::current_num_threads(), "step_s": step_s,
        "rollout_s": rollout_s, "update_s": step_s - rollout_s, "steps_s": &steps[1..],
        "prompt_tokens": account.prefill_tokens, "completion_tokens": account.generated_tokens,
        "packed_tokens": update.packed_tokens, "completion_tokens_per_s": account.generated_tokens as f64 / step_s,
        "loss": update.loss, "grad_norm": update.grad_norm, "mismatch_max": update.mismatch.abs_max,
    }))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
