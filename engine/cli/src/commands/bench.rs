//! `rlvr bench NAME`: the benchmarks, as JSON on stdout.

use super::{say, wrong};
use rlvr_code::bench::verify_python;
use rlvr_train::bench::{BenchError, Work, grpo_step, rollout};
use rlvr_verdict::Problem;
use rlvr_verdict::tasks::{ColumnMap, Place, read_row};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    /// What to measure
    #[arg(value_enum)]
    name: Name,
    /// The model's shape: a config.json, or a folder with one; weights are random
    #[arg(long, required_if_eq_any([("name", "rollout"), ("name", "grpo-step")]))]
    model: Option<PathBuf>,
    /// Rows of verify-python: scored samples, or HumanEval's own file (JSON lines)
    #[arg(long, required_if_eq("name", "verify-python"))]
    tasks: Option<PathBuf>,
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

#[derive(Clone, Copy, clap::ValueEnum)]
enum Name {
    /// Tokens per second of the sampler
    Rollout,
    /// Seconds of a GRPO step: sampling, loss, backward, AdamW
    GrpoStep,
    /// Checks per second of the Python sandbox, beside one python3 process per check
    VerifyPython,
}

/// Measures.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
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
    };
    let model = args.model.unwrap_or_default();
    let result = match args.name {
        Name::Rollout => rollout(&model, &work),
        Name::GrpoStep => grpo_step(&model, &work),
        Name::VerifyPython => {
            let rows = samples(&args.tasks.unwrap_or_default())?;
            let result = verify_python(&rows, args.rounds, &|line| eprintln!("{line}")).map_err(wrong)?;
            say(serde_json::to_string_pretty(&result)?)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    say(result.map_err(|error| match error {
        BenchError::Config(_) | BenchError::File { .. } | BenchError::Rollout(_) => wrong(error),
        other => other.into(),
    })?)?;
    Ok(ExitCode::SUCCESS)
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
