//! What a config asks for before it is run: the sizes that its stages' memory depends on, and the files that are not there yet.

use crate::config::{Eval, ModelSource, Rl, RunConfig, Stage, TokenizerSource, Work};
use crate::footprint::{Sampling, StageSizes, Trained};
use rlvr_model::{LoraTargets, ModelConfig};
use rlvr_rollouts::SamplerConfig;
use std::path::{Path, PathBuf};

/// Sequences of an evaluation that are decoded together.
const EVAL_SEQUENCES: usize = 128;

/// A task set's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskSize {
    /// Problems.
    pub problems: usize,
    /// Tokens of the longest prompt.
    pub longest_prompt: usize,
}

impl TaskSize {
    /// What a set counts as while its file or the tokenizer is not there.
    pub const ASSUMED: TaskSize = TaskSize { problems: 1 << 20, longest_prompt: 1024 };
}

/// The adapters that a plan shows for a stage that trains all weights.
pub fn usual_adapters() -> Trained {
    Trained::Lora { rank: 16, targets: LoraTargets::AllLinear }
}

/// The sampler of reinforcement learning whose longest prompt has `prompt` tokens, and what it is given to do.
pub fn rl_sampling(work: &Rl, prompt: usize, context: usize) -> Sampling {
    let longest = (prompt + work.sampling.max_tokens).min(context);
    let (groups, samples) = (work.prompts_per_step, work.samples_per_prompt);
    let sizes = SamplerConfig::for_groups(work.max_sequences, (groups, samples), (prompt, longest - prompt));
    let sampler = SamplerConfig { kv_pages: work.kv_pages.unwrap_or(sizes.kv_pages), ..sizes };
    Sampling { sampler, groups, samples, prompt, longest }
}

/// The same of an evaluation on task sets of at most this size.
pub fn eval_sampling(eval: &Eval, size: TaskSize, context: usize) -> Sampling {
    let prompt = size.longest_prompt.min(context);
    let longest = (prompt + eval.max_tokens).min(context);
    let (groups, samples) = (size.problems.min(eval.limit.unwrap_or(usize::MAX)), eval.samples);
    let sampler = SamplerConfig::for_groups(EVAL_SEQUENCES, (groups, samples), (prompt, longest - prompt));
    Sampling { sampler, groups, samples, prompt, longest }
}

/// The sizes of a stage, with `tasks` telling those of each task set.
pub fn stage_sizes(
    config: &RunConfig,
    stage: &Stage,
    model: &ModelConfig,
    tasks: &dyn Fn(&str) -> TaskSize,
) -> StageSizes {
    let context = model.max_position_embeddings;
    let longest_prompt = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| tasks(name).longest_prompt).max().unwrap_or(1)
    };
    let limit = stage.training.micro_batch_tokens;
    let (micro_batch_tokens, longest, rl) = match &stage.work {
        Work::MidTrain(work) => {
            let longest = work.context.unwrap_or(context).min(context).min(limit);
            (limit.min(work.batch_tokens), longest, None)
        }
        Work::Rl(work) => {
            let prompt = longest_prompt(&mut work.tasks.iter().map(|share| &share.tasks)).min(context);
            let rl = rl_sampling(work, prompt, context);
            let Sampling { longest, groups, samples, .. } = rl;
            // a prompt stands once before its samples, whose last tokens are not run
            let group = prompt + samples * (longest - prompt).saturating_sub(1);
            let update = groups.div_ceil(work.optimizer_steps.max(1)) * group;
            (limit.min(update).max(longest), longest, Some(rl))
        }
    };
    let eval = stage.eval.as_ref().map(|eval| {
        let prompt = longest_prompt(&mut eval.tasks.iter()).min(context);
        let problems = eval.tasks.iter().map(|name| tasks(name).problems).max().unwrap_or(0);
        eval_sampling(eval, TaskSize { problems, longest_prompt: prompt }, context)
    });
    StageSizes {
        micro_batch_tokens,
        longest,
        trained: match &stage.training.lora {
            None => Trained::Full,
            Some(lora) => Trained::Lora { rank: lora.rank, targets: lora.targets.clone() },
        },
        activation_checkpointing: stage.training.activation_checkpointing,
        merged: stage.training.lora.as_ref().is_some_and(|lora| {
            lora.merge || config.stages.iter().any(|other| other.from.as_ref() == Some(&stage.name))
        }),
        reference: matches!(&stage.work, Work::Rl(work) if work.kl.coefficient != 0.0),
        rl,
        eval,
        eval_within: stage.eval.as_ref().and_then(|eval| eval.every).is_some_and(|every| every > 0),
    }
}

/// A file that a run needs and that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The file or folder.
    pub path: PathBuf,
    /// The config's key that names it.
    pub key: String,
    /// What it is, and where it comes from.
    pub what: String,
}

/// The files that a run of the config needs and that are not there.
pub fn missing(config: &RunConfig) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut need = |path: &Path, key: String, what: String| {
        missing.push(Missing { path: path.to_path_buf(), key, what });
    };
    match &config.model {
        ModelSource::Folder(folder) => {
            let of = config.model_origin.as_deref().map_or_else(String::new, |name| format!(" of {name}"));
            for file in missing_weights(folder) {
                need(&folder.join(file), "model.path".into(), format!("the weights{of}"));
            }
            if !folder.join("tokenizer.json").is_file() {
                let what = format!("the tokenizer{of}, with tokenizer_config.json beside it");
                need(&folder.join("tokenizer.json"), "model.path".into(), what);
            }
        }
        ModelSource::New { tokenizer: TokenizerSource::File(path), .. } if !path.exists() => {
            need(path, "model.tokenizer.path".into(), "the tokenizer".into());
        }
        ModelSource::New { .. } => {}
    }
    for (name, source) in &config.sources {
        if let Some(path) = source.path.as_ref().filter(|path| !path.exists()) {
            let what = "text for mid-training, yours to bring".to_owned();
            need(path, format!("sources.{name}.path"), what);
        }
    }
    for (name, tasks) in &config.tasks {
        if let Some(path) = tasks.path.as_ref().filter(|path| !path.exists()) {
            need(path, format!("tasks.{name}.path"), "problems, yours to bring".to_owned());
        }
    }
    missing
}

/// The names of weights that a model folder lacks: those of its index, or the one file.
fn missing_weights(folder: &Path) -> Vec<String> {
    let there = |name: &str| folder.join(name).is_file();
    if there("model.safetensors") || there("adapter_model.safetensors") {
        return Vec::new();
    }
    let index = std::fs::read_to_string(folder.join("model.safetensors.index.json")).ok();
    let index: Option<serde_json::Value> = index.and_then(|text| serde_json::from_str(&text).ok());
    let Some(map) = index.as_ref().and_then(|index| index["weight_map"].as_object()) else {
        return vec!["model.safetensors".into()];
    };
    let mut shards: Vec<String> = map.values().filter_map(|file| Some(file.as_str()?.to_owned())).collect();
    shards.sort_unstable();
    shards.dedup();
    shards.retain(|shard| !there(shard));
    shards
}
