//! The benchmarks behind `rlvr bench`: the sampler, and the step that RL stages make, on work of a fixed size.
//!
//! The work is that of the peers' scripts: prompts of made-up words, completions of exactly so many tokens (ends of sequence do
//! not end them), a reward that differs among samples, one optimiser step on all of them.

use crate::adamw::AdamWConfig;
use crate::config::Rl;
use crate::ledger::{self, LedgerError};
use crate::rl::order::{TaskCursor, TaskOrder};
use crate::rl::step::{Learner, StepDone, StepError, StepPlan};
use crate::scoring::{PromptedProblem, Scorer};
use crate::update::{Optimizer, UpdateError};
use rlvr_model::config::ConfigError;
use rlvr_model::tokenizer::{Tokenizer, TokenizerError};
use rlvr_model::{Model, ModelConfig, ModelError};
use rlvr_rollouts::{
    NoStopRule, Request, RngKey, RolloutError, Sampler, SamplerConfig, SamplingParams, Stats,
};
use rlvr_verdict::{Completion, Outcome, Problem, ProblemError, Verdict, Verifier, VerifierPool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The size of the work.
#[derive(Clone, Debug)]
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
    /// Where the model before the last step and what that step drew are saved, for others to compute the step from.
    pub save: Option<PathBuf>,
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
    /// The vocabulary has no room for words.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The sampler failed.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// No thread for the verifier.
    #[error(transparent)]
    Pool(#[from] std::io::Error),
    /// A step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The optimizer cannot be made.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The step cannot be saved.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
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

/// Scores a completion by the sum of its words' numbers modulo 7: a reward that costs nothing and differs among samples.
struct SumOfWords;

impl Verifier for SumOfWords {
    fn name(&self) -> &str {
        "sum_of_words"
    }
    fn version(&self) -> &str {
        "1"
    }
    fn check(&self, _: &Problem) -> Result<(), ProblemError> {
        Ok(())
    }
    fn verify(&self, _: &Problem, completion: &Completion) -> Verdict {
        let number = |word: &str| word.trim_start_matches('w').parse::<u64>().unwrap_or(0);
        let sum = completion.text.split_whitespace().map(number).sum::<u64>() % 7;
        let outcome = if sum == 6 { Outcome::Pass } else { Outcome::Fail };
        Verdict::scored(outcome, sum as f32 / 6.0, format!("the sum is {sum} modulo 7"))
    }
}

/// The model of a benchmark, its sampler, and prompts for it.
struct Bench {
    model: Model,
    tokenizer: Arc<Tokenizer>,
    sampler: Sampler,
    problems: Vec<PromptedProblem>,
    params: SamplingParams,
}

impl Bench {
    fn new(path: &Path, work: &Work) -> Result<Bench, BenchError> {
        let model = random_model(path, 1)?;
        let tokenizer = Tokenizer::words(model.config.vocab_size)?;
        let sequences = work.prompts * work.samples;
        let sizes = SamplerConfig::for_sequences(sequences, work.prompt_tokens + work.new_tokens);
        let sampler = Sampler::new(&model.config, sizes)?;
        let words = model.config.vocab_size - FIRST_WORD;
        let id = |prompt: usize, i: usize| (FIRST_WORD + (prompt * 37 + i * 11) % words) as u32;
        let problems = (0..work.prompts).map(|prompt| {
            let ids: Vec<u32> = (0..work.prompt_tokens).map(|i| id(prompt, i)).collect();
            let verifier = SumOfWords.name().to_owned();
            let problem = Problem { id: prompt.to_string(), verifier, ..Problem::default() };
            let prompt = tokenizer.decode(&ids)?.into();
            Ok(PromptedProblem { problem: Arc::new(problem), prompt, ids: ids.into() })
        });
        let problems = problems.collect::<Result<_, TokenizerError>>()?;
        let params =
            SamplingParams { max_tokens: work.new_tokens, ignore_stop: true, ..SamplingParams::default() };
        Ok(Bench { model, tokenizer: Arc::new(tokenizer), sampler, problems, params })
    }
}

/// The first id of [`Tokenizer::words`] that is a word.
const FIRST_WORD: usize = 4;

/// Tokens per second of the sampler.
///
/// # Errors
/// See [`BenchError`].
pub fn rollout(model: &Path, work: &Work) -> Result<Value, BenchError> {
    let Bench { model, mut sampler, problems, params, .. } = Bench::new(model, work)?;
    let requests: Vec<Request> = (problems.iter().enumerate())
        .map(|(i, p)| Request {
            prompt: i as u64,
            attempt: 0,
            ids: p.ids.clone(),
            samples: work.samples as u32,
        })
        .collect();
    let mut seconds = Vec::new();
    let mut stats = Stats::default();
    for round in 0..=work.rounds {
        let start = Instant::now();
        let key = RngKey { seed: 1, stage: 0, step: round as u64 };
        let mut each = |_| ControlFlow::Continue(());
        stats = sampler.generate(&model, &requests, &params, key, &NoStopRule, &mut each)?;
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

/// Seconds of a step of an RL stage: sampling, verification, advantages, loss, backward, AdamW.
///
/// # Errors
/// See [`BenchError`].
pub fn grpo_step(model: &Path, work: &Work) -> Result<Value, BenchError> {
    let Bench { model, tokenizer, sampler, problems, params } = Bench::new(model, work)?;
    let verifiers: BTreeMap<String, Arc<dyn Verifier>> =
        BTreeMap::from([(SumOfWords.name().to_owned(), Arc::new(SumOfWords) as _)]);
    let rl = stage(work);
    let pool = VerifierPool::new(rl.workers, VerifierPool::HANG)?;
    let mut scorer =
        Scorer::new(sampler, tokenizer.clone(), verifiers, pool, Default::default(), rl.max_fault_share);
    let mut optimizer = Optimizer::new(&model.params, AdamWConfig::default(), 1.0)?;
    let plan = StepPlan {
        stage: "bench",
        rl: &rl,
        micro_batch_tokens: work.micro_batch_tokens,
        order: &TaskOrder::new(1, vec![(1.0, problems.len())]),
        tasks: &[problems],
        params: &params,
        key: RngKey { seed: 1, stage: 0, step: 0 },
        rate: &|_| 1e-4,
    };
    let mut cursor = TaskCursor::default();
    let (mut steps, mut done) = (Vec::new(), Vec::new());
    for step in 1..=work.rounds as u64 + 1 {
        if let Some(folder) = work.save.as_ref().filter(|_| step as usize == work.rounds + 1) {
            model.save(folder)?;
            tokenizer.save(folder)?;
        }
        let mut learner =
            Learner { model: &model, reference: None, optimizer: &mut optimizer, scorer: &mut scorer };
        let start = Instant::now();
        done.push(plan.run(step, &mut learner, &mut cursor)?);
        steps.push(start.elapsed().as_secs_f64());
    }
    let last = &done[work.rounds];
    if let Some(folder) = &work.save {
        ledger::write_rows(&folder.join("step.parquet"), &last.rows)?;
    }
    let seconds = |name: &str| median(&done[1..].iter().map(|d| number(d, name)).collect::<Vec<_>>());
    let step_s = median(&steps[1..]);
    Ok(json!({
        "bench": "grpo-step", "dtype": "f32", "threads": rayon::current_num_threads(), "step_s": step_s,
        "rollout_s": seconds("seconds/rollout"), "verify_s": seconds("seconds/verify"),
        "update_s": seconds("seconds/train"), "steps_s": &steps[1..],
        "prompt_tokens": (number(last, "length/prompt") * number(last, "groups")).round() as u64,
        "completion_tokens": number(last, "tokens") as u64,
        "packed_tokens": number(last, "tokens/packed") as u64,
        "completion_tokens_per_s": number(last, "tokens") / step_s,
        "loss": number(last, "policy_loss"), "grad_norm": number(last, "grad_norm"),
        "mismatch_max": number(last, "mismatch/max"),
    }))
}

/// The stage of which a step is measured: every group is used, whatever its rewards.
fn stage(work: &Work) -> Rl {
    serde_json::from_value(json!({
        "steps": work.rounds + 1, "tasks": "bench",
        "prompts_per_step": work.prompts, "samples_per_prompt": work.samples,
        "sampling": { "max_tokens": work.new_tokens },
        "normalisation": "sequence", "drop_zero_variance": false,
    }))
    .expect("the stage is a valid one")
}

/// A number of a step's record; every one asked for is there when an update was made.
fn number(done: &StepDone, name: &str) -> f64 {
    done.record.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
