//! `rlvr bench NAME`: the benchmarks, as JSON on stdout.

use super::verify::{Rows, column_map};
use super::{say, wrong};
use rlvr_code::bench::verify_python;
use rlvr_train::bench::{BenchError, Work, grpo_step, rollout};
use rlvr_verdict::tasks::{ColumnMap, Place, read_row};
use rlvr_verdict::{Job, Outcome, Problem, Registry, Verifier, verify_guarded};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    /// What to measure
    #[command(subcommand)]
    name: Name,
}

#[derive(clap::Subcommand)]
enum Name {
    /// Tokens per second of the sampler
    Rollout(ModelArgs),
    /// Seconds of a step of an RL stage: sampling, verification, loss, backward, AdamW
    GrpoStep(StepArgs),
    /// Microseconds that the verifier `math` takes for each row of some files, on one thread
    VerifyMath(VerifyArgs),
    /// Checks per second of the Python sandbox, beside one python3 process per check
    VerifyPython(PythonArgs),
}

#[derive(clap::Args)]
struct ModelArgs {
    /// The model's shape: a config.json, or a folder with one; weights are random
    #[arg(long)]
    model: PathBuf,
    /// Prompts
    #[arg(long, default_value_t = 16)]
    prompts: usize,
    /// Completions of each prompt
    #[arg(long, default_value_t = 8)]
    samples: usize,
    /// Tokens of a prompt
    #[arg(long, default_value_t = 32)]
    prompt_tokens: usize,
    /// Tokens of a completion
    #[arg(long, default_value_t = 96)]
    new_tokens: usize,
    /// Rounds counted, after one that is not
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Most tokens of a micro batch of the update
    #[arg(long, default_value_t = 2048)]
    micro_batch_tokens: usize,
}

#[derive(clap::Args)]
struct StepArgs {
    #[command(flatten)]
    work: ModelArgs,
    /// Save the model before the last step, and what that step drew, in this folder
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

#[derive(clap::Args)]
struct VerifyArgs {
    /// Rows with a gold answer and a completion (JSON lines), as `rlvr verify` reads them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Our field = the row's column, such as `answer=gold,completion=pred`
    #[arg(long, value_delimiter = ',', value_name = "FIELD=COLUMN")]
    map: Vec<String>,
    /// How often each row is judged; its fastest time counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(clap::Args)]
struct PythonArgs {
    /// Scored samples, or HumanEval's own file (JSON lines)
    #[arg(long)]
    tasks: PathBuf,
    /// How often each row is judged
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Measures.
pub fn execute(args: Args, registry: &Registry) -> anyhow::Result<ExitCode> {
    match args.name {
        Name::Rollout(args) => model(args, None, rollout),
        Name::GrpoStep(StepArgs { work, save }) => model(work, save, grpo_step),
        Name::VerifyMath(args) => verify_math(args, registry),
        Name::VerifyPython(args) => {
            let rows = samples(&args.tasks)?;
            let result = verify_python(&rows, args.rounds, &|line| eprintln!("{line}")).map_err(wrong)?;
            say(serde_json::to_string_pretty(&result)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn model(
    args: ModelArgs,
    save: Option<PathBuf>,
    bench: impl Fn(&Path, &Work) -> Result<Value, BenchError>,
) -> anyhow::Result<ExitCode> {
    let sizes = [
        args.prompts,
        args.samples,
        args.prompt_tokens,
        args.new_tokens,
        args.rounds,
        args.micro_batch_tokens,
    ];
    if sizes.contains(&0) {
        return Err(wrong("every size of a benchmark must be at least 1"));
    }
    let work = Work {
        prompts: args.prompts,
        samples: args.samples,
        prompt_tokens: args.prompt_tokens,
        new_tokens: args.new_tokens,
        rounds: args.rounds,
        micro_batch_tokens: args.micro_batch_tokens,
        save,
    };
    let result = bench(&args.model, &work).map_err(|error| match error {
        BenchError::Config(_)
        | BenchError::File { .. }
        | BenchError::Tokenizer(_)
        | BenchError::Rollout(_)
        | BenchError::Ledger(_) => wrong(error),
        other => other.into(),
    })?;
    say(result)?;
    Ok(ExitCode::SUCCESS)
}

/// Judges each row of each file, one after another on this thread.
fn verify_math(args: VerifyArgs, registry: &Registry) -> anyhow::Result<ExitCode> {
    if args.rounds == 0 {
        return Err(wrong("--rounds must be at least 1"));
    }
    let map = column_map(&args.map)?;
    for file in &args.files {
        let text = std::fs::read_to_string(file).map_err(|e| wrong(format!("{}: {e}", file.display())))?;
        let mut rows = Rows::new(map.clone(), Some("math".into()), registry, Value::Null);
        let mut measured = Measured::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = Place { file: file.clone(), line: index + 1 };
            match rows.read(line.as_bytes(), &place) {
                Ok(job) => {
                    measured.row(&job, args.rounds);
                    measured.gold(&job, args.rounds, || rows.fresh("math").map_err(wrong))?;
                }
                Err(error) => {
                    measured.refused += 1;
                    eprintln!("{error}");
                }
            }
        }
        say(measured.summary(file))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Times of a file's rows.
#[derive(Default)]
struct Measured {
    /// Seconds and id of each row, its gold answer read before.
    times: Vec<(f64, String)>,
    /// Seconds of each row with the reading of its gold answer.
    with_gold: Vec<f64>,
    /// Rows whose gold answer cannot be read.
    refused: usize,
    /// Rows with a boolean field `expected`, and those that are judged so.
    labelled: usize,
    as_labelled: usize,
}

impl Measured {
    fn row(&mut self, job: &Job, rounds: usize) {
        let mut fastest = f64::INFINITY;
        for _ in 0..rounds {
            let start = Instant::now();
            let verdict = verify_guarded(&*job.verifier, &job.problem, &job.completion);
            fastest = fastest.min(start.elapsed().as_secs_f64());
            std::hint::black_box(verdict);
        }
        self.times.push((fastest, job.problem.id.clone()));
        let policy =
            job.problem.extra.get("note").and_then(Value::as_str).is_some_and(|n| n.starts_with("POLICY"));
        if let Some(expected) = job.problem.extra.get("expected").and_then(Value::as_bool).filter(|_| !policy)
        {
            let verdict = verify_guarded(&*job.verifier, &job.problem, &job.completion);
            self.labelled += 1;
            self.as_labelled += usize::from((verdict.outcome == Outcome::Pass) == expected);
        }
    }

    /// A row once more, by verifiers that have not read its gold answer.
    fn gold(
        &mut self,
        job: &Job,
        rounds: usize,
        fresh: impl Fn() -> anyhow::Result<Arc<dyn Verifier>>,
    ) -> anyhow::Result<()> {
        let mut fastest = f64::INFINITY;
        for _ in 0..rounds {
            let verifier = fresh()?;
            let start = Instant::now();
            let verdict = verify_guarded(&*verifier, &job.problem, &job.completion);
            fastest = fastest.min(start.elapsed().as_secs_f64());
            std::hint::black_box(verdict);
        }
        self.with_gold.push(fastest);
        Ok(())
    }

    /// Quantiles in microseconds.
    fn summary(mut self, file: &Path) -> Value {
        self.times.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.with_gold.sort_by(f64::total_cmp);
        let alone: Vec<f64> = self.times.iter().map(|(seconds, _)| *seconds).collect();
        json!({
            "file": file.display().to_string(),
            "rows": self.times.len(),
            "refused": self.refused,
            "labelled": self.labelled,
            "as_labelled": self.as_labelled,
            "median_us": quantile(&alone, 0.5),
            "p99_us": quantile(&alone, 0.99),
            "worst_us": quantile(&alone, 1.0),
            "with_gold": {
                "median_us": quantile(&self.with_gold, 0.5),
                "p99_us": quantile(&self.with_gold, 0.99),
                "worst_us": quantile(&self.with_gold, 1.0),
            },
            "slowest": self.times.last().map(|(_, id)| id),
        })
    }
}

/// A quantile of sorted seconds in microseconds, to a tenth.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map(|seconds| (seconds * 1e7).round() / 10.0)
}

/// The scored samples of a file; HumanEval's columns are known by its `canonical_solution`.
fn samples(file: &Path) -> anyhow::Result<Vec<(Problem, String)>> {
    let text = std::fs::read_to_string(file).map_err(|e| wrong(format!("{}: {e}", file.display())))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let place = Place { file: file.to_owned(), line: index + 1 };
            let row: serde_json::Map<String, Value> =
                serde_json::from_str(line).map_err(|e| wrong(format!("{place}: {e}")))?;
            let own = [("id", "task_id"), ("tests", "test"), ("completion", "canonical_solution")];
            let map = match row.contains_key("canonical_solution") {
                true => own.iter().map(|(field, column)| (field.to_string(), column.to_string())).collect(),
                false => ColumnMap::new(),
            };
            let row = read_row(row, &place, &map, Some("python")).map_err(wrong)?;
            let completion =
                row.completion.ok_or_else(|| wrong(format!("{place}: field `completion`: is missing")))?;
            Ok((row.problem, completion.text))
        })
        .collect()
}
