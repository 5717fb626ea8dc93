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
    if out.exists() && !out.is_dir() {
        return Err(wrong(format!("{}: is no folder; --out names the folder of a run", out.display())));
    }
    let options = RunOptions { out: out.clone(), resume: args.resume, stage: args.stage.clone() };
    let interrupt = interrupt("stopping after this step (once more: at once)")?;
    let observer = progress::observer(quiet);
    let end = run(&config, registry, &options, &*observer, &interrupt).map_err(|error| match error {
        RunError::Exists(_)
        | RunError::NoRun(_)
        | RunError::Busy(_)
        | RunError::NoStage { .. }
        | RunError::NotRun { .. }
        | RunError::OtherTasks { .. }
        | RunError::OtherVerifier { .. }
        | RunError::OtherModel { .. }
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
            eprintln!("stopped and saved; to go on: {}", resume_command(&args, &out));
            Ok(ExitCode::from(130))
        }
    }
}

/// The command that goes on with a run, as a shell takes it.
fn resume_command(args: &Args, out: &Path) -> String {
    let path = |path: &Path| quoted(&path.display().to_string());
    let mut command = format!("rlvr run {} --out {} --resume", path(&args.config), path(out));
    let stage = args.stage.iter().map(|stage| ("--stage", stage));
    for (flag, value) in stage.chain(args.sets.iter().map(|set| ("--set", set))) {
        command.push_str(&format!(" {flag} {}", quoted(value)));
    }
    command
}

/// A word as a POSIX shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=,:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A flag that Ctrl-C sets, saying `told`; a second Ctrl-C ends the process at once.
pub fn interrupt(told: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("{told}");
    })?;
    Ok(flag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_the_resume_command_as_the_arguments_that_were_given() {
        let sets = ["name=it's", "tasks.t.path='a b'", "stage.rl.tasks=[\"x\", \"$y\"]", "seed=3"];
        let args = Args {
            config: "my run/a'b.toml".into(),
            out: None,
            resume: false,
            stage: Some("mid+rl".into()),
            sets: sets.map(str::to_owned).to_vec(),
        };
        let command = resume_command(&args, Path::new("out; ls"));
        let arguments = command.strip_prefix("rlvr ").unwrap();
        let output =
            Command::new("sh").arg("-c").arg(format!("printf '%s\\n' {arguments}")).output().unwrap();
        let given = ["run", "my run/a'b.toml", "--out", "out; ls", "--resume", "--stage", "mid+rl"];
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let wanted: Vec<&str> = given.into_iter().chain(sets).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), wanted);
    }
}
