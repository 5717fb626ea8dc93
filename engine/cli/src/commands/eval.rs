//! `rlvr eval`: pass@1, pass@k and maj@k of a model on a task set, with confidence intervals.

use super::run::interrupt;
use super::{ModelFolder, at_least_one, samples, say, seed, share, temperature, wrong};
use rlvr_rollouts::RngKey;
use rlvr_train::config::{Eval, ModelSource, RunConfig};
use rlvr_train::data::config::TaskSetConfig;
use rlvr_train::data::{TaskChecks, TaskSet, load_tasks};
use rlvr_train::eval::{EvalPlan, EvalResult, evaluate};
use rlvr_train::plan::TaskSize;
use rlvr_train::run::{COMMAND_KEYS, eval_scorer, unknown_prompts};
use rlvr_train::scoring::ScoringError;
use rlvr_verdict::{Registry, RegistryError, Verifier};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `eval`.
#[derive(clap::Args)]
pub struct Args {
    /// A run's config: its task sets are evaluated as its stages evaluate them, on `--model` or the model that it names
    pub config: Option<PathBuf>,
    /// A Hugging Face model folder, such as a checkpoint, or the folder of a PEFT adapter that names one as its base
    #[arg(long)]
    model: Option<PathBuf>,
    /// The folder of a PEFT adapter for the model, whatever base it names
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// A task set's file (.jsonl or .parquet), in place of a config
    #[arg(long, conflicts_with = "config", requires = "model")]
    tasks: Option<PathBuf>,
    /// Only this task set of the config (may be given several times)
    #[arg(long = "task-set", value_name = "NAME", requires = "config", conflicts_with = "tasks")]
    task_sets: Vec<String>,
    /// Samples of each problem [default: the config's, or 8]
    #[arg(long, value_parser = samples)]
    samples: Option<usize>,
    /// Logits are divided by it; 0 takes the likeliest token [default: the config's, or 1]
    #[arg(long, value_parser = temperature)]
    temperature: Option<f32>,
    /// Most tokens of a completion [default: the config's, or 256, or half of a shorter context]
    #[arg(long, value_parser = at_least_one)]
    max_tokens: Option<usize>,
    /// Strings that end a completion [default: the config's, or none]
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    stop: Vec<String>,
    /// Only the first so many problems [default: the config's, or all]
    #[arg(long, value_parser = at_least_one)]
    limit: Option<usize>,
    /// Stop when a larger share of samples has a verifier's fault [default: the config's, or 0.01]
    #[arg(long, value_parser = share)]
    max_fault_share: Option<f64>,
    /// With --tasks: verifier of rows that name none
    #[arg(long, requires = "tasks", conflicts_with = "config")]
    verifier: Option<String>,
    /// With --tasks: our field = the row's column, such as `prompt=question`
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "FIELD=COLUMN",
        requires = "tasks",
        conflicts_with = "config"
    )]
    map: Vec<String>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_parser = seed())]
    seed: u64,
    /// Results as JSON
    #[arg(long)]
    json: bool,
    /// Override a key of the config
    #[arg(long = "set", value_name = "KEY=VALUE", requires = "config", conflicts_with = "tasks")]
    pub sets: Vec<String>,
}

/// Evaluates.
pub fn execute(args: Args, registry: &Registry, quiet: bool) -> anyhow::Result<ExitCode> {
    let config =
        args.config.as_ref().map(|path| RunConfig::load(path, &args.sets).map_err(wrong)).transpose()?;
    let folder = match (&args.model, &config) {
        (Some(folder), _) => folder.clone(),
        (None, Some(RunConfig { model: ModelSource::Folder(folder), .. })) => folder.clone(),
        _ => {
            return Err(wrong(
                "name the model: --model DIR, a Hugging Face folder such as a run's checkpoint",
            ));
        }
    };
    if let Some(name) = &args.verifier {
        registry.make(name, &Value::Null).map_err(|error| match error {
            RegistryError::Config { problem, .. } => wrong(format!(
                "--verifier {name}: needs settings ({problem}); give them in a run's config, as [verifiers.{name}], and name \
                 the file there as [tasks.NAME] with path and verifier = \"{name}\""
            )),
            unknown => wrong(format!("--verifier {name}: {unknown}")),
        })?;
    }
    let (model, tokenizer) = ModelFolder { model: folder, adapter: args.adapter.clone() }.open()?;
    let tokenizer = Arc::new(tokenizer);
    let made: BTreeMap<String, Arc<dyn Verifier>> = match &config {
        Some(config) => config.make_verifiers(registry).map_err(wrong)?,
        None => registry
            .names()
            .filter_map(|n| Some((n.to_owned(), registry.make(n, &Value::Null).ok()?)))
            .collect(),
    };
    let with_settings: Vec<&str> = registry.names().filter(|name| !made.contains_key(*name)).collect();
    let context = model.config.max_position_embeddings;
    let stop = interrupt("stopping (once more: at once)")?;
    let mut all = Map::new();
    for (i, (name, set)) in task_sets(&args, config.as_ref())?.iter().enumerate() {
        let eval = settings(&args, config.as_ref(), name, context);
        let checks = TaskChecks {
            tokenizer: &tokenizer,
            verifiers: &made,
            with_settings: &with_settings,
            reward: &[],
            context,
            max_tokens: eval.max_tokens,
        };
        let seed = config.as_ref().map_or(args.seed, |c| c.seed);
        let TaskSet { tasks: problems, lacking } = load_tasks(name, set, seed, &checks).map_err(wrong)?;
        if lacking.total() > 0 {
            eprintln!("{name}: {lacking}; they are left out");
        }
        if let Some(message) = unknown_prompts(&tokenizer, name, &problems).map_err(wrong)?
            && !quiet
        {
            eprintln!("{message}");
        }
        let longest_prompt = problems.iter().map(|p| p.ids.len()).max().unwrap_or(1);
        let size = TaskSize { problems: problems.len(), longest_prompt };
        let mut scorer = eval_scorer(&model.config, &tokenizer, &made, &eval, size).map_err(wrong)?;
        let key = RngKey { seed: args.seed, stage: COMMAND_KEYS, step: i as u64 };
        let plan = EvalPlan::new(name, &problems, &eval, &model, key);
        let total = plan.total();
        let mut told = |done: u64| {
            if !quiet && done.is_multiple_of(1000) {
                eprintln!("{name}: {done} of {total} samples");
            }
        };
        let result = match evaluate(&model, &mut scorer, &plan, Some(&stop), &mut told) {
            Err(ScoringError::Interrupted) => return Ok(ExitCode::from(130)),
            result => result?,
        };
        if !args.json {
            say(line(&result))?;
        }
        all.insert(name.clone(), result.summary());
    }
    if args.json {
        say(Value::Object(all))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How a task set is evaluated: as the flags say, or else as the last stage of the config that evaluates it.
fn settings(args: &Args, config: Option<&RunConfig>, name: &str, context: usize) -> Eval {
    let stages = config.into_iter().flat_map(|config| config.stages.iter().rev());
    let stage =
        stages.filter_map(|stage| stage.eval.as_ref()).find(|eval| eval.tasks.iter().any(|n| n == name));
    let stop = if args.stop.is_empty() { stage.map(|e| e.stop.clone()) } else { Some(args.stop.clone()) };
    Eval {
        tasks: vec![name.to_owned()],
        samples: args.samples.or(stage.map(|e| e.samples)).unwrap_or(8),
        temperature: args.temperature.or(stage.map(|e| e.temperature)).unwrap_or(1.0),
        max_tokens: args.max_tokens.or(stage.map(|e| e.max_tokens)).unwrap_or((context / 2).min(256)),
        stop: stop.unwrap_or_default(),
        limit: args.limit.or(stage.and_then(|e| e.limit)),
        max_fault_share: args.max_fault_share.or(stage.map(|e| e.max_fault_share)).unwrap_or(0.01),
        every: None,
    }
}

fn task_sets(args: &Args, config: Option<&RunConfig>) -> anyhow::Result<Vec<(String, TaskSetConfig)>> {
    if let Some(path) = &args.tasks {
        let name = path.file_stem().map_or_else(|| "tasks".into(), |n| n.to_string_lossy().into_owned());
        let map = super::verify::column_map(&args.map)?;
        let set = TaskSetConfig {
            path: Some(path.clone()),
            map,
            verifier: args.verifier.clone(),
            ..Default::default()
        };
        return Ok(vec![(name, set)]);
    }
    let Some(config) = config else { return Err(wrong("name a CONFIG, or --model DIR and --tasks FILE")) };
    let known = || config.tasks.keys().cloned().collect::<Vec<_>>().join(", ");
    let names: Vec<String> = match args.task_sets.is_empty() {
        false => args.task_sets.clone(),
        true => config.stages.iter().filter_map(|s| s.eval.as_ref()).flat_map(|e| e.tasks.clone()).collect(),
    };
    let mut sets: Vec<(String, TaskSetConfig)> = Vec::new();
    for name in names {
        let set = config.tasks.get(&name);
        let set = set.ok_or_else(|| wrong(format!("--task-set {name}: the config has {}", known())))?;
        if !sets.iter().any(|(n, _)| *n == name) {
            sets.push((name, set.clone()));
        }
    }
    match sets.is_empty() {
        true => Err(wrong(format!("the config evaluates nothing; choose with --task-set among {}", known()))),
        false => Ok(sets),
    }
}

fn line(result: &EvalResult) -> String {
    let mut parts = vec![format!("{}: n {}", result.taskset, result.all.n)];
    for (k, estimate) in &result.all.pass {
        if let Some(e) = estimate {
            parts.push(format!("pass@{k} {:.3} [{:.3}, {:.3}]", e.value, e.low, e.high));
        }
    }
    for (k, estimate) in result.all.maj.iter().filter(|(k, _)| *k > 1) {
        if let Some(e) = estimate {
            parts.push(format!("maj@{k} {:.3} [{:.3}, {:.3}]", e.value, e.low, e.high));
        }
    }
    if let Some(e) = &result.all.average {
        let samples = result.all.samples / result.all.n.max(1);
        parts.push(format!("avg@{samples} {:.3} [{:.3}, {:.3}]", e.value, e.low, e.high));
    }
    if result.faults > 0 {
        parts.push(format!("faults {}", result.faults));
    }
    parts.join("  ")
}
