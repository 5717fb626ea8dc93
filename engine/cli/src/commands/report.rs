//! `rlvr report RUN`: one self-contained HTML page of a run.

use super::{say, wrong};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `report`.
#[derive(clap::Args)]
pub struct Args {
    /// The run's folder
    run: PathBuf,
}

/// Writes the page and prints its path.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    if !args.run.join("metrics.jsonl").is_file() {
        let run = args.run.display();
        return Err(wrong(format!("{run}: no metrics.jsonl; the folder of a run is right")));
    }
    say(crate::report::write(&args.run)?.display())?;
    Ok(ExitCode::SUCCESS)
}
