//! `rlvr run CONFIG`: the stages of a config, in order; at the end the report.

use super::wrong;
use crate::progress;
use rlvr_train::checkpoint::CheckpointError;
use rlvr_train::config::RunConfig;
use rlvr_train::run::{PrepareError, RunEnd, RunError, RunOptions, run};
use rlvr_verdict::Registry;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct Args {
    /// The run's config (TOML)
    pub config: PathBuf,
    /// The run's folder [default: the config's `out`]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Go on with the run in the folder
    #[arg(long)]
    resume: bool,
    /// Only this stage
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Override a key: `--set stage.mid.steps=100`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

/// Runs.
pub fn execute(args: Args, registry: &Registry, quiet: bool) -> anyhow::Result<ExitCode> {
    let config = RunConfig::load(&args.config, &args.sets).map_err(wrong)?;
    let out = args.out.clone().unwrap_or_else(|| config.out.clone());
    let options = RunOptions { out: out.clone(), resume: args.resume, stage: args.stage.clone() };
    let interrupt = interrupt()?;
    let observer = progress::observer(quiet);
    let end = run(&config, registry, &options, &*observer, &interrupt).map_err(|error| match error {
        RunError::Exists(_)
        | RunError::NoRun(_)
        | RunError::Busy(_)
        | RunError::NoStage { .. }
        | RunError::NotRun { .. }
        | RunError::OtherTasks { .. }
        | RunError::OtherVerifier { .. }
        | RunError::OtherConfig { .. } => wrong(error),
        RunError::Prepare(PrepareError::Threads(_)) => error.into(),
        RunError::Prepare(_) | RunError::Data(_) | RunError::Model(_) | RunError::Stages(_) => wrong(error),
        RunError::Checkpoint(CheckpointError::Altered { .. } | CheckpointError::Malformed { .. }) => {
            wrong(error)
        }
        other => other.into(),
    });
    drop(observer);
    match end? {
        RunEnd::Done => {
            let page = crate::report::write(&out, registry)?;
            eprintln!("report: {}", page.display());
            Ok(ExitCode::SUCCESS)
        }
        RunEnd::Interrupted => {
            let mut again = format!("rlvr run {} --out {} --resume", quoted(&args.config), quoted(&out));
            if let Some(stage) = &args.stage {
                again.push_str(&format!(" --stage {stage}"));
            }
            let sets: String = args.sets.iter().map(|set| format!(" --set '{set}'")).collect();
            eprintln!("stopped and saved; to go on: {again}{sets}");
            Ok(ExitCode::from(130))
        }
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=,:@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A flag that Ctrl-C sets; a second Ctrl-C ends the process at once.
pub fn interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("stopping after this step (once more: at once)");
    })?;
    Ok(flag)
}
