//! `rlvr plan CONFIG`: every check of a run, and what it will need, without training anything.

use super::{say, wrong};
use rlvr_model::config::BlockKind;
use rlvr_model::{KvCache, Model, ModelConfig};
use rlvr_rollouts::SamplerConfig;
use rlvr_train::adamw::AdamWConfig;
use rlvr_train::config::{RunConfig, Stage, Work};
use rlvr_train::memory;
use rlvr_train::mid_train::{MicroBatch, mid_train_step};
use rlvr_train::run::Prepared;
use rlvr_train::update::Optimizer;
use rlvr_verdict::Registry;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Arguments of `plan`.
#[derive(clap::Args)]
pub struct Args {
    /// The run's config (TOML)
    pub config: PathBuf,
    /// Override a key
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// The plan as JSON
    #[arg(long)]
    json: bool,
}

/// Tokens of the probe that the time estimates come from.
const PROBE_TOKENS: usize = 1024;

/// What a stage will need.
struct Estimate {
    name: String,
    kind: &'static str,
    from: Option<String>,
    steps: u64,
    tokens: f64,
    bytes: f64,
    seconds: f64,
}

/// Plans.
pub fn execute(args: Args, registry: &Registry) -> anyhow::Result<ExitCode> {
    let config = RunConfig::load(&args.config, &args.sets).map_err(wrong)?;
    let prepared = Prepared::new(&config, registry).map_err(wrong)?;
    for message in prepared.left_out().chain(prepared.unknown_text().map_err(wrong)?) {
        eprintln!("{message}");
    }
    // the program itself, its data and tokenizer, which every stage has beside its model
    let held = memory::held_bytes().unwrap_or(0) as f64;
    let model = prepared.initial_model().map_err(wrong)?;
    let parameters = model.config.parameters();
    let tokens_per_s = probe(&model)?;
    let stages: Vec<Estimate> = (config.stages.iter())
        .map(|stage| {
            let estimate = estimate(stage, &prepared, parameters, tokens_per_s);
            Estimate { bytes: held + estimate.bytes, ..estimate }
        })
        .collect();
    let tasks: Vec<(String, usize, usize)> = (config.tasks.keys())
        .map(|name| {
            let set = prepared.tasks(name);
            (name.clone(), set.len(), set.iter().map(|p| p.ids.len()).max().unwrap_or(0))
        })
        .collect();
    let total: f64 = stages.iter().map(|s| s.seconds).sum();
    if args.json {
        say(json!({
            "name": config.name, "parameters": parameters, "vocab_size": model.config.vocab_size,
            "tasks": tasks.iter().map(|(n, c, l)| json!({
                "name": n, "problems": c, "longest_prompt": l, "unsupported": prepared.lacking(n).counts,
            })).collect::<Vec<_>>(),
            "stages": stages.iter().map(|s| json!({
                "name": s.name, "kind": s.kind, "from": s.from, "steps": s.steps, "tokens": s.tokens,
                "memory_bytes": s.bytes, "seconds": s.seconds,
            })).collect::<Vec<_>>(),
            "seconds": total,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(format!("{}: {parameters} parameters, vocabulary {}", config.name, model.config.vocab_size))?;
    say("")?;
    for (name, problems, longest) in &tasks {
        say(format!("tasks {name}: {problems} problems, all checked; longest prompt {longest} tokens"))?;
    }
    say("")?;
    say(format!(
        "{:<14} {:<10} {:<10} {:>8} {:>12} {:>10} {:>9}",
        "stage", "kind", "from", "steps", "tokens", "memory", "time"
    ))?;
    for s in &stages {
        say(format!(
            "{:<14} {:<10} {:<10} {:>8} {:>12.0} {:>7.0} MB {:>7.0} s",
            s.name,
            s.kind,
            s.from.as_deref().unwrap_or("[model]"),
            s.steps,
            s.tokens,
            s.bytes / 1e6,
            s.seconds
        ))?;
    }
    say("")?;
    say(format!(
        "about {:.0} s on this machine, from a probe of {tokens_per_s:.0} tokens a second; completions are counted at half of max_tokens",
        total
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Tokens per second of training steps, measured on a copy of the model.
fn probe(model: &Model) -> anyhow::Result<f64> {
    let model = model.snapshot()?;
    let mut optimizer = Optimizer::new(&model.params, AdamWConfig::default(), 1.0)?;
    let length = model.config.max_position_embeddings.min(128);
    let step = |optimizer: &mut Optimizer| -> anyhow::Result<()> {
        let mut micro = MicroBatch::default();
        for s in 0..PROBE_TOKENS / length {
            let ids: Vec<u32> = (0..length).map(|i| ((i * 7 + s) % model.config.vocab_size) as u32).collect();
            let start = micro.packed.len() as u32;
            micro.packed.push(&ids);
            micro.targets.rows.extend(start..start + length as u32 - 1);
            micro.targets.ids.extend(&ids[1..]);
        }
        micro.domains = vec![0; micro.targets.ids.len()];
        mid_train_step(&model, optimizer, vec![micro], 1, 0.0)?;
        Ok(())
    };
    step(&mut optimizer)?;
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < 3 || start.elapsed().as_secs_f64() < 0.5 {
        step(&mut optimizer)?;
        rounds += 1;
    }
    Ok((rounds * (PROBE_TOKENS / length) * length) as f64 / start.elapsed().as_secs_f64())
}

fn estimate(stage: &Stage, prepared: &Prepared, parameters: usize, tokens_per_s: f64) -> Estimate {
    let config = &prepared.model_config;
    // weights, gradients and two moments, f32
    let mut bytes = 16.0 * parameters as f64;
    let micro = stage.training.micro_batch_tokens as f64;
    bytes += micro * activation_floats(config) * 4.0;
    let steps = stage.steps();
    let eval = stage.eval.as_ref().map(|eval| prepared.eval_sampler(eval));
    let mut caches = eval.map_or(0, |sizes| cache_bytes(config, sizes.kv_pages, sizes.states()));
    // a forward costs a third of a training step
    let (trained, drawn) = match &stage.work {
        Work::MidTrain(work) => (steps as f64 * work.batch_tokens as f64, 0.0),
        Work::Rl(rl) => {
            let longest = prepared.longest_sequence(&stage.work);
            let sizes = SamplerConfig::for_sequences(rl.max_sequences, longest);
            caches += cache_bytes(config, rl.kv_pages.unwrap_or(sizes.kv_pages), sizes.states());
            // the reference policy is a copy of the weights
            bytes += if rl.kl.coefficient > 0.0 { 4.0 * parameters as f64 } else { 0.0 };
            let drawn = (rl.prompts_per_step * rl.samples_per_prompt * rl.sampling.max_tokens) as f64 / 2.0;
            (steps as f64 * drawn, steps as f64 * drawn)
        }
    };
    bytes += caches as f64;
    let evaluated = stage.eval.as_ref().map_or(0.0, |eval| {
        let problems = |name: &String| prepared.tasks(name).len().min(eval.limit.unwrap_or(usize::MAX));
        let samples: usize = eval.tasks.iter().map(problems).sum::<usize>() * eval.samples;
        let times = 1 + eval.every.map_or(0, |every| (steps.saturating_sub(1)) / every.max(1));
        samples as f64 * eval.max_tokens as f64 / 2.0 * times as f64
    });
    Estimate {
        name: stage.name.clone(),
        kind: stage.kind(),
        from: stage.from.clone(),
        steps,
        tokens: trained,
        bytes,
        seconds: (trained + (drawn + evaluated) / 3.0) / tokens_per_s,
    }
}

/// A sampler's keys, values and recurrent states.
fn cache_bytes(config: &ModelConfig, pages: usize, states: usize) -> usize {
    pages * KvCache::bytes_per_page(config) + states * KvCache::bytes_per_state(config)
}

/// Floats that a token holds when the backward begins: what every block keeps (the stream and its normed copy; queries, keys, values
/// and what attention mixed of them; the MLP's inner values; what Mamba-2 projected and mixed), the last norm's two, and the gradients
/// under way in one block.
fn activation_floats(config: &ModelConfig) -> f64 {
    let hidden = config.hidden_size;
    let inner = |kind: BlockKind| match kind {
        BlockKind::Attention { .. } => {
            2 * (config.num_attention_heads + config.num_key_value_heads) * config.head_dim
        }
        BlockKind::GatedMlp | BlockKind::FusedGatedMlp => 3 * config.intermediate_size,
        BlockKind::SquaredReluMlp => 2 * config.intermediate_size,
        BlockKind::Mamba => config.mamba.as_ref().map_or(0, |m| 3 * m.inner() + m.channels() + m.heads),
    };
    let kept: Vec<usize> = config.blocks().iter().map(|block| inner(block.kind)).collect();
    let under_way = kept.iter().max().copied().unwrap_or(0) + 2 * hidden;
    (kept.iter().map(|inner| 2 * hidden + inner).sum::<usize>() + 2 * hidden + under_way) as f64
}
