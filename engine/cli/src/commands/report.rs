//! `rlvr report RUN`: one self-contained HTML page of a run.

use super::{say, wrong};
use rlvr_verdict::Registry;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `report`.
#[derive(clap::Args)]
pub struct Args {
    /// The run's folder
    run: PathBuf,
}

/// Writes the page and prints its path.
pub fn execute(args: Args, registry: &Registry) -> anyhow::Result<ExitCode> {
    for file in ["config.toml", "metrics.jsonl"] {
        if !args.run.join(file).is_file() {
            return Err(wrong(format!("{}: no {file}; the folder of a run is right", args.run.display())));
        }
    }
    say(crate::report::write(&args.run, registry)?.display())?;
    Ok(ExitCode::SUCCESS)
}
