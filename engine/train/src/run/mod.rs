//! A run: the stages of a config in order, each from its checkpoint, so that a run that was killed goes on where it was.
//!
//! A run's folder is the contract: `config.toml`, `summary.json`, `metrics.jsonl`, `ledger/` (the samples of every RL step),
//! `samples/` (those of evaluations), `tensorboard/` and `checkpoints/`. What is written before a checkpoint is not
//! written again after it, and what was written after the last one is dropped and made anew, to the same bits.

mod prepare;
mod stage;
mod start;
pub mod summary;

pub use prepare::{PrepareError, Prepared, eval_scorer, load_tokenizer, verifiers};

use crate::checkpoint::{CheckpointError, Checkpoints};
use crate::config::RunConfig;
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::{Metrics, MetricsError};
use crate::progress::{Event, Observer};
use crate::rl::step::StepError;
use crate::scoring::ScoringError;
use crate::tensorboard::EventsError;
use crate::timeline::{Mark, Timeline, UnknownStage};
use crate::update::UpdateError;
use rlvr_model::ModelError;
use rlvr_verdict::Registry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use summary::Summary;

/// How a run is started.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The run's folder.
    pub out: PathBuf,
    /// Whether to go on with what the folder holds.
    pub resume: bool,
    /// Only this stage.
    pub stage: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// All stages are done.
    Done,
    /// It was asked to stop, and saved.
    Interrupted,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run's folder holds a run already.
    #[error("{} holds a run already; --resume goes on with it, another --out starts a new one", .0.display())]
    Exists(PathBuf),
    /// There is no run to go on with.
    #[error(
        "{}: there is no run to go on with; --out names the folder of one, and without --resume a new run is started",
        .0.display()
    )]
    NoRun(PathBuf),
    /// Another process is writing to the folder.
    #[error("{}: another process is running in this folder; wait for it, stop it, or choose another --out", .0.display())]
    Busy(PathBuf),
    /// The folder's run was made with another config.
    #[error("{}: the run was started with another config ({what}); resume with that config, or choose another --out", path.display())]
    OtherConfig {
        /// The folder's config.
        path: PathBuf,
        /// The first line that differs.
        what: String,
    },
    /// The folder's run began with other problems.
    #[error(
        "{}: the problems of `tasks.{set}` have changed since the run was started; resume with those, or choose another --out",
        path.display()
    )]
    OtherTasks {
        /// The folder's fingerprints.
        path: PathBuf,
        /// The first task set that differs.
        set: String,
    },
    /// The folder's run began with another file as a verifier.
    #[error(
        "{}: the file of the verifier `{name}` has changed since the run was started; resume with that file, or choose another --out (`rlvr verify --rescore` judges finished rollouts anew)",
        path.display()
    )]
    OtherVerifier {
        /// The folder's fingerprints.
        path: PathBuf,
        /// The verifier.
        name: String,
    },
    /// No stage of the config has the name.
    #[error("--stage {name}: the config has no such stage; it has {known}")]
    NoStage {
        /// The name.
        name: String,
        /// The config's stages.
        known: String,
    },
    /// A stage's start is not there.
    #[error(
        "stage `{stage}` starts from `{from}`, which has not been run; run it first (without --stage, stages run in order)"
    )]
    NotRun {
        /// The stage.
        stage: String,
        /// What it starts from.
        from: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The config cannot be written.
    #[error("the config cannot be written back: {0}")]
    Config(#[from] toml::ser::Error),
    /// What a run needs could not be prepared.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A model cannot be made, read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A checkpoint cannot be saved or loaded.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Moments cannot be restored.
    #[error(transparent)]
    Optimizer(#[from] crate::optimizer_file::OptimizerFileError),
    /// A metric cannot be written, or is not finite.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The TensorBoard events cannot be written.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The folder's run has other stages.
    #[error(transparent)]
    Stages(#[from] UnknownStage),
    /// Mid-training's data ended or failed.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// An optimiser step failed.
    #[error("stage `{stage}`, step {step}: {source}")]
    Update {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// Why.
        source: UpdateError,
    },
    /// An RL step failed.
    #[error("stage `{stage}`, step {step}: {source}")]
    Step {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// Why.
        source: Box<StepError>,
    },
    /// An evaluation failed.
    #[error("evaluation of stage `{stage}`: {source}")]
    Eval {
        /// The stage.
        stage: String,
        /// Why.
        source: Box<ScoringError>,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RunError {
    let path = path.to_path_buf();
    move |source| RunError::Io { path, source }
}

/// What the stages of a run share.
struct Run<'a> {
    config: &'a RunConfig,
    dir: &'a Path,
    prepared: Prepared,
    checkpoints: Checkpoints,
    metrics: Metrics,
    ledger: Ledger,
    summary: Summary,
    observer: &'a dyn Observer,
    interrupt: &'a AtomicBool,
}

/// Runs the stages of a config, with the verifiers of the registry.
///
/// # Errors
/// See [`RunError`]; what was saved before stays.
pub fn run(
    config: &RunConfig,
    registry: &Registry,
    options: &RunOptions,
    observer: &dyn Observer,
    interrupt: &AtomicBool,
) -> Result<RunEnd, RunError> {
    if let Some(name) = options.stage.as_ref().filter(|name| config.stage(name).is_none()) {
        let known = config.stages.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(RunError::NoStage { name: name.clone(), known });
    }
    let dir = &options.out;
    let prepared = Prepared::new(config, registry)?;
    open_folder(config, dir, options)?;
    // held until the run returns; the system lets go of it when a process is killed
    let lock = std::fs::File::open(dir.join("config.toml")).map_err(io(dir))?;
    if lock.try_lock().is_err() {
        return Err(RunError::Busy(dir.to_path_buf()));
    }
    check_data(dir, config, &prepared)?;
    let checkpoints = Checkpoints::new(dir);
    checkpoints.recover()?;
    for folder in [dir.clone(), dir.join("ledger"), dir.join("samples")] {
        crate::durable::remove_partials(&folder).map_err(io(&folder))?;
    }
    let names: Vec<&str> = config.stages.iter().map(|s| s.name.as_str()).collect();
    let summary = Summary::read(dir).map_err(io(&dir.join("summary.json")))?;
    let timeline = Timeline::new(&names, marks(config, &checkpoints, &summary)?)?;
    let mut run = Run {
        config,
        dir,
        prepared,
        metrics: Metrics::open(dir, &timeline)?,
        ledger: Ledger::open(dir, &timeline)?,
        checkpoints,
        summary: Summary {
            run: config.name.clone(),
            seed: config.seed,
            version: env!("CARGO_PKG_VERSION").into(),
            ..summary
        },
        observer,
        interrupt,
    };
    let left_out: Vec<String> = run.prepared.left_out().collect();
    for message in left_out.into_iter().chain(run.prepared.unknown_text()?) {
        run.tell(Event::Message(&message));
    }
    for index in 0..config.stages.len() {
        let stage = &config.stages[index];
        if options.stage.as_ref().is_some_and(|only| *only != stage.name) {
            continue;
        }
        if run.stage(index)? == RunEnd::Interrupted {
            run.metrics.sync()?;
            return Ok(RunEnd::Interrupted);
        }
    }
    run.metrics.sync()?;
    Ok(RunEnd::Done)
}

/// Makes the folder and its `config.toml`, or sees that it is that of the same run.
fn open_folder(config: &RunConfig, dir: &Path, options: &RunOptions) -> Result<(), RunError> {
    let path = dir.join("config.toml");
    let text = config.to_toml()?;
    match std::fs::read_to_string(&path) {
        Ok(_) if !options.resume && options.stage.is_none() => Err(RunError::Exists(dir.to_path_buf())),
        Ok(old) => match first_difference(&old, &text) {
            Some((old, new)) => {
                Err(RunError::OtherConfig { path, what: format!("`{}`, now `{}`", old.trim(), new.trim()) })
            }
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && options.resume => {
            Err(RunError::NoRun(dir.to_path_buf()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(dir).map_err(io(dir))?;
            crate::durable::write_bytes(&path, text.as_bytes()).map_err(io(&path))
        }
        Err(error) => Err(io(&path)(error)),
    }
}

/// Writes the fingerprints of the task sets and the versions of verifiers that are files to `data.json`, or compares them with
/// those that the run began with.
fn check_data(dir: &Path, config: &RunConfig, prepared: &Prepared) -> Result<(), RunError> {
    let path = dir.join("data.json");
    let now = DataFile { tasks: prepared.task_fingerprints(), verifiers: prepared.file_verifiers(config) };
    match std::fs::read(&path) {
        Ok(bytes) => {
            let then: DataFile = serde_json::from_slice(&bytes).map_err(|e| io(&path)(e.into()))?;
            if let Some((set, _)) =
                now.tasks.iter().find(|(name, print)| then.tasks.get(*name) != Some(print))
            {
                return Err(RunError::OtherTasks { path, set: set.clone() });
            }
            let changed = |(name, version): &(&String, &String)| then.verifiers.get(*name) != Some(*version);
            match now.verifiers.iter().find(changed) {
                Some((name, _)) => Err(RunError::OtherVerifier { path, name: name.clone() }),
                None => Ok(()),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = serde_json::to_vec_pretty(&now).map_err(|e| io(&path)(e.into()))?;
            crate::durable::write_bytes(&path, &text).map_err(io(&path))
        }
        Err(error) => Err(io(&path)(error)),
    }
}

/// The content of `data.json`.
#[derive(Serialize, Deserialize)]
struct DataFile {
    /// Of each task set, a number for its contents.
    tasks: BTreeMap<String, u64>,
    /// Of each verifier that is a file, its version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    verifiers: BTreeMap<String, String>,
}

/// The first pair of lines in which two configs differ; where the run goes and how many threads it has do not count.
fn first_difference<'a>(old: &'a str, new: &'a str) -> Option<(&'a str, &'a str)> {
    let lines = |text: &'a str| {
        let counts = |line: &&str| !line.starts_with("out =") && !line.starts_with("threads =");
        text.lines().filter(counts).map(Some).chain(std::iter::repeat(None))
    };
    lines(old)
        .zip(lines(new))
        .take_while(|pair| *pair != (None, None))
        .find(|(old, new)| old != new)
        .map(|(old, new)| (old.unwrap_or("(nothing)"), new.unwrap_or("(nothing)")))
}

/// The newest checkpoint of each stage that has one.
fn marks(config: &RunConfig, checkpoints: &Checkpoints, summary: &Summary) -> Result<Vec<Mark>, RunError> {
    let mut marks = Vec::new();
    for stage in &config.stages {
        if let Some(step) = checkpoints.latest(&stage.name)? {
            let evaluated = step == stage.steps() && summary.stages.iter().any(|s| s.name == stage.name);
            marks.push(Mark { stage: stage.name.clone(), step, evaluated });
        }
    }
    Ok(marks)
}

impl Run<'_> {
    fn tell(&self, event: Event<'_>) {
        self.observer.observe(event);
    }
}
