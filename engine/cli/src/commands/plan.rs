//! `rlvr plan CONFIG`: every check of a run, and what it will need, without training anything. Where weights, tokenizer or data are not
//! there yet, it says so, and plans from the model's `config.json` alone.

mod memory;
mod probe;

use super::{say, wrong};
use memory::Fit;
use rlvr_model::ModelConfig;
use rlvr_train::config::{RunConfig, Stage, Work};
use rlvr_train::plan::{Missing, TaskSize, missing, stage_sizes};
use rlvr_train::run::Prepared;
use rlvr_verdict::Registry;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

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

/// What a stage will need.
struct Estimate<'a> {
    stage: &'a Stage,
    tokens: f64,
    /// On this machine; none while there are no weights to probe it with.
    seconds: Option<f64>,
    /// By device, as configured and as the other of full and LoRA.
    fits: Vec<Fit>,
}

/// A whole plan.
struct Plan<'a> {
    config: &'a RunConfig,
    model: ModelConfig,
    tasks: Vec<(String, TaskSize, Value)>,
    tokens_per_s: Option<f64>,
    stages: Vec<Estimate<'a>>,
    missing: Vec<Missing>,
}

/// Plans.
pub fn execute(args: Args, registry: &Registry) -> anyhow::Result<ExitCode> {
    let config = RunConfig::load_without_data(&args.config, &args.sets).map_err(wrong)?;
    let missing = missing(&config);
    let plan = match missing.is_empty() {
        true => whole(&config, registry)?,
        false => sketch(&config, registry, missing)?,
    };
    if args.json {
        say(plan.json())?
    } else {
        plan.print()?
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan of a run that could start.
fn whole<'a>(config: &'a RunConfig, registry: &Registry) -> anyhow::Result<Plan<'a>> {
    let prepared = Prepared::new(config, registry).map_err(wrong)?;
    for message in prepared.left_out().chain(prepared.unknown_text().map_err(wrong)?) {
        eprintln!("{message}");
    }
    let size = |name: &str| prepared.task_size(name);
    // before there is a model: what every stage has beside it
    let devices = memory::devices();
    let tokens_per_s = probe::tokens_per_s(&prepared.initial_model().map_err(wrong)?)?;
    let model = prepared.model_config.clone();
    let stages = config
        .stages
        .iter()
        .map(|s| estimate(config, s, &model, &size, &devices, Some(tokens_per_s)))
        .collect();
    let tasks = config.tasks.keys();
    let tasks = tasks.map(|name| (name.clone(), size(name), json!(prepared.lacking(name).counts))).collect();
    Ok(Plan { config, model, tasks, tokens_per_s: Some(tokens_per_s), stages, missing: Vec::new() })
}

/// The plan of a run for which files are missing.
fn sketch<'a>(config: &'a RunConfig, registry: &Registry, missing: Vec<Missing>) -> anyhow::Result<Plan<'a>> {
    config.make_verifiers(registry).map_err(wrong)?;
    let model = config.model.config(config.vocab_size_before_training()).map_err(wrong)?;
    let size = |_: &str| TaskSize::ASSUMED;
    let devices = memory::devices();
    let stages = config.stages.iter().map(|s| estimate(config, s, &model, &size, &devices, None)).collect();
    Ok(Plan { config, model, tasks: Vec::new(), tokens_per_s: None, stages, missing })
}

fn estimate<'a>(
    config: &RunConfig,
    stage: &'a Stage,
    model: &ModelConfig,
    size: &dyn Fn(&str) -> TaskSize,
    devices: &[rlvr_train::footprint::Device],
    tokens_per_s: Option<f64>,
) -> Estimate<'a> {
    let steps = stage.steps();
    // a forward costs a third of a training step
    let (trained, drawn) = match &stage.work {
        Work::MidTrain(work) => (steps as f64 * work.batch_tokens as f64, 0.0),
        Work::Rl(rl) => {
            let drawn = (rl.prompts_per_step * rl.samples_per_prompt * rl.sampling.max_tokens) as f64 / 2.0;
            (steps as f64 * drawn, steps as f64 * drawn)
        }
    };
    let evaluated = stage.eval.as_ref().map_or(0.0, |eval| {
        let problems = |name: &String| size(name).problems.min(eval.limit.unwrap_or(usize::MAX));
        let samples: usize = eval.tasks.iter().map(problems).sum::<usize>() * eval.samples;
        let times = 1 + eval.every.map_or(0, |every| (steps.saturating_sub(1)) / every.max(1));
        samples as f64 * eval.max_tokens as f64 / 2.0 * times as f64
    });
    Estimate {
        stage,
        tokens: trained,
        seconds: tokens_per_s.map(|rate| (trained + (drawn + evaluated) / 3.0) / rate),
        fits: memory::fits(model, &stage_sizes(config, stage, model, size), devices),
    }
}

impl Estimate<'_> {
    /// Bytes on this machine, as configured.
    fn bytes(&self) -> u64 {
        self.fits.first().map_or(0, |fit| fit.footprint.total())
    }

    fn json(&self) -> Value {
        let stage = self.stage;
        json!({
            "name": stage.name, "kind": stage.kind(), "from": stage.from, "steps": stage.steps(), "tokens": self.tokens,
            "memory_bytes": self.bytes(), "seconds": self.seconds,
            "devices": self.fits.iter().map(Fit::json).collect::<Vec<_>>(),
        })
    }
}

impl Plan<'_> {
    fn seconds(&self) -> Option<f64> {
        self.stages.iter().map(|s| s.seconds).sum()
    }

    fn json(&self) -> Value {
        json!({
            "name": self.config.name, "parameters": self.model.parameters(), "vocab_size": self.model.vocab_size,
            "tasks": self.tasks.iter().map(|(name, size, lacking)| json!({
                "name": name, "problems": size.problems, "longest_prompt": size.longest_prompt, "unsupported": lacking,
            })).collect::<Vec<_>>(),
            "stages": self.stages.iter().map(Estimate::json).collect::<Vec<_>>(),
            "seconds": self.seconds(),
            "missing": self.missing.iter().map(|m| json!({
                "path": m.path, "key": m.key, "what": m.what,
            })).collect::<Vec<_>>(),
        })
    }

    fn print(&self) -> std::io::Result<()> {
        let (model, name) = (&self.model, &self.config.name);
        say(format!("{name}: {} parameters, vocabulary {}", model.parameters(), model.vocab_size))?;
        for (name, TaskSize { problems, longest_prompt }, _) in &self.tasks {
            say(format!(
                "tasks {name}: {problems} problems, all checked; longest prompt {longest_prompt} tokens"
            ))?;
        }
        say("")?;
        say(format!(
            "{:<14} {:<10} {:<10} {:>8} {:>12} {:>10} {:>9}",
            "stage", "kind", "from", "steps", "tokens", "memory", "time"
        ))?;
        for s in &self.stages {
            say(format!(
                "{:<14} {:<10} {:<10} {:>8} {:>12.0} {:>7.0} MB {:>9}",
                s.stage.name,
                s.stage.kind(),
                s.stage.from.as_deref().unwrap_or("[model]"),
                s.stage.steps(),
                s.tokens,
                s.bytes() as f64 / 1e6,
                s.seconds.map_or("-".into(), |seconds| format!("{seconds:.0} s")),
            ))?;
        }
        for s in &self.stages {
            say("")?;
            memory::print(&s.stage.name, &s.fits)?;
        }
        say("")?;
        match (self.tokens_per_s, self.seconds()) {
            (Some(rate), Some(seconds)) => say(format!(
                "about {seconds:.0} s on this machine, from a probe of {rate:.0} tokens a second; completions are counted at half of max_tokens"
            )),
            _ => self.print_missing(),
        }
    }

    fn print_missing(&self) -> std::io::Result<()> {
        let TaskSize { longest_prompt, .. } = TaskSize::ASSUMED;
        say(format!(
            "planned from the model's config alone, with prompts of up to {longest_prompt} tokens. To run, these are missing:"
        ))?;
        for Missing { path, key, what } in &self.missing {
            say(format!("  {}: {what} ({key})", path.display()))?;
        }
        Ok(())
    }
}
