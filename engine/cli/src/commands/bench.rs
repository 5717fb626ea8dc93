//! `rlvr bench NAME`: the benchmarks, as JSON on stdout.

use super::{say, wrong};
use rlvr_train::bench::{BenchError, Work, grpo_step, rollout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Args {
    /// What to measure
    #[arg(value_enum)]
    name: Name,
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

#[derive(Clone, Copy, clap::ValueEnum)]
enum Name {
    /// Tokens per second of the sampler
    Rollout,
    /// Seconds of a GRPO step: sampling, loss, backward, AdamW
    GrpoStep,
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
    let result = match args.name {
        Name::Rollout => rollout(&args.model, &work),
        Name::GrpoStep => grpo_step(&args.model, &work),
    };
    say(result.map_err(|error| match error {
        BenchError::Config(_) | BenchError::File { .. } | BenchError::Rollout(_) => wrong(error),
        other => other.into(),
    })?)?;
    Ok(ExitCode::SUCCESS)
}
