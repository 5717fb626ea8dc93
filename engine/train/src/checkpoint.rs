//! Checkpoints: what a stage can be taken up from, and what other programs load.
//!
//! `checkpoints/STAGE/step-000100/` is a Hugging Face model folder with two files more: `optimizer.safetensors` and
//! `state.json`, the training loop's own state and the SHA-256 of every other file. A checkpoint is made under another
//! name, `state.json` comes last, and then the folder is renamed: a folder without `state.json` does not exist for any
//! reader, and a kill at any moment leaves the checkpoints before it whole.
//!
//! The model's files are written by the caller's function, since what a model folder holds is `rlvr-model`'s matter.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::optimizer_file::write_optimizer;

const FORMAT: u32 = 1;
const STATE: &str = "state.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Any error, as the function that writes a model's files returns it.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// Why a checkpoint could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// No room on the disk.
    #[error("{}: no room on the disk: the checkpoint takes {needed} bytes ({source}); {last}; make room, or lower `keep`, and go on with --resume", path.display())]
    DiskFull {
        /// The folder being written; it is removed again.
        path: PathBuf,
        /// The size of the checkpoint, in bytes.
        needed: u64,
        /// Which checkpoint of the stage is the last complete one.
        last: String,
        /// The error of the write that found no room.
        source: AnyError,
    },
    /// Writing failed in another way.
    #[error("{}: the checkpoint was not written ({last}): {source}", path.display())]
    Write {
        /// The folder being written; it is removed again.
        path: PathBuf,
        /// Which checkpoint of the stage is the last complete one.
        last: String,
        /// The error of the write.
        source: AnyError,
    },
    /// A file or folder could not be read, renamed or removed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// No complete checkpoint in this folder.
    #[error("{}: no checkpoint is there (a folder counts only with its state.json); the complete ones of this stage: {complete}", path.display())]
    Absent {
        /// The folder.
        path: PathBuf,
        /// The steps that can be loaded.
        complete: String,
    },
    /// A file is not the one that was saved.
    #[error("{}: altered since it was saved: expected SHA-256 {expected}, found {found}; put the file back, or remove the folder {} to go on from the checkpoint before it", path.display(), folder.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// Its checkpoint's folder.
        folder: PathBuf,
        /// The hash in `state.json`.
        expected: String,
        /// The hash of the file, or that it is missing.
        found: String,
    },
    /// `state.json` cannot be understood.
    #[error("{}: {reason}; remove the folder {} to go on from the checkpoint before it", path.display(), folder.display())]
    Malformed {
        /// The state file.
        path: PathBuf,
        /// Its checkpoint's folder.
        folder: PathBuf,
        /// What is wrong, with the line where it is known.
        reason: String,
    },
    /// The loop's state does not survive JSON, so that it must not be saved.
    #[error("the state of stage `{stage}` at step {step} does not come back from JSON as it was: {reason}")]
    State {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// What differs.
        reason: String,
    },
    /// A stage's name that cannot be a folder's.
    #[error("`{0}` cannot be a stage's name: letters, digits and + _ . - are right, but not dots alone")]
    StageName(String),
}

/// What a checkpoint holds, as its writer gives it.
pub struct Snapshot<'a, S> {
    /// The stage's name.
    pub stage: &'a str,
    /// The number of optimiser steps that the weights have seen in the stage.
    pub step: u64,
    /// The size of the model's parameters as they are written, in bytes; for the message of a full disk.
    pub model_bytes: u64,
    /// Writes the model's files (config, weights, tokenizer, generation config) into the folder that it is given.
    pub write_model: &'a dyn Fn(&Path) -> Result<(), AnyError>,
    /// The optimiser's tensors: name, shape, f32 values in row-major order.
    pub optimizer: &'a [(String, Vec<usize>, &'a [f32])],
    /// The loop's own state. Numbers come back exactly; one that is not finite is refused, but within an `Option`, where
    /// JSON cannot tell it from `None`.
    pub state: &'a S,
}

/// A checkpoint that was loaded: every file is as it was saved.
#[derive(Debug)]
pub struct Checkpoint<S> {
    /// The folder: a Hugging Face model folder.
    pub dir: PathBuf,
    /// The stage's name.
    pub stage: String,
    /// The number of optimiser steps that the weights have seen in the stage.
    pub step: u64,
    /// The loop's own state.
    pub state: S,
}

impl<S> Checkpoint<S> {
    /// The file of the optimiser's tensors, for [`read_optimizer`](crate::optimizer_file::read_optimizer).
    pub fn optimizer(&self) -> PathBuf {
        self.dir.join(OPTIMIZER)
    }
}

#[derive(Serialize, Deserialize)]
struct StateFile<S> {
    format: u32,
    stage: String,
    step: u64,
    files: BTreeMap<String, FileDigest>,
    state: S,
}

#[derive(Serialize, Deserialize)]
struct FileDigest {
    bytes: u64,
    sha256: String,
}

/// A whole model beside the checkpoints of a stage that trains adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// What the adapters belong to, where no other folder holds it.
    Base,
    /// What the stage came to, with the adapters merged into it.
    Merged,
}

impl Whole {
    const ALL: [Whole; 2] = [Whole::Base, Whole::Merged];

    fn folder(self) -> &'static str {
        match self {
            Whole::Base => "base",
            Whole::Merged => "merged",
        }
    }
}

/// The checkpoints of a run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    root: PathBuf,
}

impl Checkpoints {
    /// The checkpoints under `run_dir/checkpoints`; nothing is read or made yet.
    pub fn new(run_dir: &Path) -> Checkpoints {
        Checkpoints { root: run_dir.join("checkpoints") }
    }

    /// The folder of a checkpoint, whether it exists or not.
    pub fn dir(&self, stage: &str, step: u64) -> PathBuf {
        self.root.join(stage).join(format!("step-{step:06}"))
    }

    /// Saves a checkpoint and returns its folder. When this returns, the files are on the disk. One of the same stage
    /// and step is replaced.
    ///
    /// # Errors
    /// A full disk or another failure to write: what was written is removed, and the checkpoints before it are whole.
    /// A state with numbers that JSON cannot hold.
    pub fn save<S: Serialize + DeserializeOwned>(
        &self,
        snapshot: &Snapshot<'_, S>,
    ) -> Result<PathBuf, CheckpointError> {
        check_stage(snapshot.stage)?;
        check_state(snapshot)?;
        self.save_as(snapshot, self.dir(snapshot.stage, snapshot.step))
    }

    /// Saves a whole model beside a stage's checkpoints and returns its folder, which has a `state.json` as theirs have;
    /// `step` and `model_bytes` are as in [`Snapshot`].
    ///
    /// # Errors
    /// As for [`Checkpoints::save`].
    pub fn save_whole(
        &self,
        stage: &str,
        whole: Whole,
        step: u64,
        model_bytes: u64,
        write_model: &dyn Fn(&Path) -> Result<(), AnyError>,
    ) -> Result<PathBuf, CheckpointError> {
        check_stage(stage)?;
        let snapshot = Snapshot { stage, step, model_bytes, write_model, optimizer: &[], state: &() };
        self.save_as(&snapshot, self.root.join(stage).join(whole.folder()))
    }

    /// The folder of a whole model beside a stage's checkpoints, if it is there.
    pub fn whole(&self, stage: &str, whole: Whole) -> Option<PathBuf> {
        let dir = self.root.join(stage).join(whole.folder());
        dir.join(STATE).is_file().then_some(dir)
    }

    fn save_as<S: Serialize>(
        &self,
        snapshot: &Snapshot<'_, S>,
        dir: PathBuf,
    ) -> Result<PathBuf, CheckpointError> {
        let stage = snapshot.stage;
        let partial = durable::partial_path(&dir);
        self.fill(snapshot, &partial).map_err(|source| {
            let _ = fs::remove_dir_all(&partial); // Makes room again; the first error is the one to report.
            let last = self.describe_last(stage);
            let path = partial.clone();
            if is_disk_full(&*source) {
                let optimizer: usize =
                    snapshot.optimizer.iter().map(|(_, _, values)| size_of_val(*values)).sum();
                let needed = snapshot.model_bytes + optimizer as u64;
                return CheckpointError::DiskFull { path, needed, last, source };
            }
            CheckpointError::Write { path, last, source }
        })?;
        put_in_place(&partial, &dir)?;
        Ok(dir)
    }

    fn fill<S: Serialize>(&self, snapshot: &Snapshot<'_, S>, partial: &Path) -> Result<(), AnyError> {
        if partial.exists() {
            fs::remove_dir_all(partial)?;
        }
        fs::create_dir_all(partial)?;
        (snapshot.write_model)(partial)?;
        if !snapshot.optimizer.is_empty() {
            write_optimizer(&partial.join(OPTIMIZER), snapshot.optimizer)?;
        }
        let files = file_names(partial)?
            .into_par_iter()
            .map(|name| {
                let path = partial.join(&name);
                durable::sync(&path)?;
                let (sha256, bytes) = durable::sha256(&path)?;
                Ok((name, FileDigest { bytes, sha256 }))
            })
            .collect::<io::Result<_>>()?;
        let state = StateFile {
            format: FORMAT,
            stage: snapshot.stage.to_string(),
            step: snapshot.step,
            files,
            state: snapshot.state,
        };
        durable::write_bytes(&partial.join(STATE), &serde_json::to_vec_pretty(&state)?)?;
        Ok(())
    }

    /// The steps of a stage's complete checkpoints, ascending; none if the stage has not begun.
    ///
    /// # Errors
    /// The stage's folder cannot be listed.
    pub fn steps(&self, stage: &str) -> Result<Vec<u64>, CheckpointError> {
        check_stage(stage)?;
        let mut steps = Vec::new();
        for name in names_in(&self.root.join(stage))? {
            if let Some(step) = step_of(&name)
                && self.dir(stage, step).join(STATE).is_file()
            {
                steps.push(step);
            }
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// The step of a stage's last complete checkpoint.
    ///
    /// # Errors
    /// The stage's folder cannot be listed.
    pub fn latest(&self, stage: &str) -> Result<Option<u64>, CheckpointError> {
        Ok(self.steps(stage)?.pop())
    }

    /// Loads a checkpoint's state after comparing every file with its SHA-256.
    ///
    /// # Errors
    /// No complete checkpoint there, a file that is missing or altered, a state that is not an `S`.
    pub fn load<S: DeserializeOwned>(
        &self,
        stage: &str,
        step: u64,
    ) -> Result<Checkpoint<S>, CheckpointError> {
        let dir = self.dir(stage, step);
        if !dir.join(STATE).is_file() {
            let steps = self.steps(stage)?.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
            let complete = if steps.is_empty() { "none".to_string() } else { steps };
            return Err(CheckpointError::Absent { path: dir, complete });
        }
        let file: StateFile<S> = verify(&dir)?;
        if (file.stage.as_str(), file.step) != (stage, step) {
            let reason = format!("it is of stage `{}` at step {}", file.stage, file.step);
            return Err(CheckpointError::Malformed { path: dir.join(STATE), folder: dir, reason });
        }
        Ok(Checkpoint { dir, stage: file.stage, step: file.step, state: file.state })
    }

    /// Removes a stage's older checkpoints: the last one stays, and `keep` before it.
    ///
    /// # Errors
    /// A folder cannot be listed or removed.
    pub fn prune(&self, stage: &str, keep: usize) -> Result<(), CheckpointError> {
        let steps = self.steps(stage)?;
        for step in steps.iter().rev().skip(keep + 1) {
            remove(&self.dir(stage, *step))?;
        }
        Ok(())
    }

    /// Clears up after a run that was killed: a checkpoint that was complete but for its name is given it, what is
    /// incomplete is removed. To be called once, before a run writes; no other process may be writing to the run.
    ///
    /// # Errors
    /// A folder cannot be listed, renamed or removed.
    pub fn recover(&self) -> Result<(), CheckpointError> {
        for stage in names_in(&self.root)? {
            let stage_dir = self.root.join(&stage);
            for name in names_in(&stage_dir)? {
                let path = stage_dir.join(&name);
                let complete = path.join(STATE).is_file();
                match name.split_once(".partial-") {
                    Some((target, _)) if is_folder_name(target) => {
                        if complete {
                            put_in_place(&path, &stage_dir.join(target))?;
                        } else {
                            remove(&path)?;
                        }
                    }
                    None if is_folder_name(&name) && !complete => remove(&path)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn describe_last(&self, stage: &str) -> String {
        match self.latest(stage) {
            Ok(Some(step)) => format!("the last complete one is {}", self.dir(stage, step).display()),
            _ => "there is no complete one of this stage yet".to_string(),
        }
    }
}

/// Sees that a model's folder is as it was saved, where it is a checkpoint of a run; any other folder passes.
///
/// # Errors
/// A file that is missing or altered, or a `state.json` that cannot be read.
pub fn check_folder(dir: &Path) -> Result<(), CheckpointError> {
    if dir.join(STATE).is_file() { verify::<IgnoredAny>(dir).map(drop) } else { Ok(()) }
}

/// Compares every file of a checkpoint's folder with its SHA-256 and returns its state file.
fn verify<S: DeserializeOwned>(dir: &Path) -> Result<StateFile<S>, CheckpointError> {
    let path = dir.join(STATE);
    let malformed =
        |reason: String| CheckpointError::Malformed { path: path.clone(), folder: dir.to_path_buf(), reason };
    let text = fs::read(&path).map_err(|source| CheckpointError::Io { path: path.clone(), source })?;
    let outline: StateFile<IgnoredAny> =
        serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
    if outline.format != FORMAT {
        return Err(malformed(format!("`format` is {}, this program reads {FORMAT}", outline.format)));
    }
    outline.files.par_iter().try_for_each(|(name, expected)| {
        let path = dir.join(name);
        let found = match durable::sha256(&path) {
            Ok((sha256, _)) if sha256 == expected.sha256 => return Ok(()),
            Ok((sha256, bytes)) => format!("{sha256} ({bytes} bytes, not {})", expected.bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "no such file".to_string(),
            Err(source) => return Err(CheckpointError::Io { path, source }),
        };
        let (folder, expected) = (dir.to_path_buf(), expected.sha256.clone());
        Err(CheckpointError::Altered { path, folder, expected, found })
    })?;
    serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))
}

/// Gives a complete folder its name. Should the process end between the removal and the rename, `recover` ends the work.
fn put_in_place(partial: &Path, dir: &Path) -> Result<(), CheckpointError> {
    if dir.exists() {
        remove(dir)?;
    }
    fs::rename(partial, dir)
        .and_then(|()| durable::sync_parent(dir))
        .map_err(|source| CheckpointError::Io { path: dir.to_path_buf(), source })
}

/// Removes a checkpoint's folder, `state.json` first: half removed, it does not exist already.
fn remove(dir: &Path) -> Result<(), CheckpointError> {
    match fs::remove_file(dir.join(STATE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::remove_dir_all(dir),
    }
    .map_err(|source| CheckpointError::Io { path: dir.to_path_buf(), source })
}

/// The step in a folder's name, if it is written as [`Checkpoints::dir`] writes it.
fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (name == format!("step-{step:06}")).then_some(step)
}

/// Whether a folder's name is that of a checkpoint or of a whole model beside them.
fn is_folder_name(name: &str) -> bool {
    step_of(name).is_some() || Whole::ALL.iter().any(|whole| whole.folder() == name)
}

fn check_stage(stage: &str) -> Result<(), CheckpointError> {
    let right = |c: char| c.is_ascii_alphanumeric() || "+_.-".contains(c);
    if stage.chars().all(right) && stage.chars().any(|c| c != '.') {
        return Ok(());
    }
    Err(CheckpointError::StageName(stage.to_string()))
}

/// A number that JSON cannot hold (NaN, infinity) would be written as null: found here and not when it is needed.
fn check_state<S: Serialize + DeserializeOwned>(snapshot: &Snapshot<'_, S>) -> Result<(), CheckpointError> {
    let wrong = |reason: String| CheckpointError::State {
        stage: snapshot.stage.to_string(),
        step: snapshot.step,
        reason,
    };
    let written = serde_json::to_vec(snapshot.state).map_err(|error| wrong(error.to_string()))?;
    let read: S = serde_json::from_slice(&written).map_err(|error| wrong(error.to_string()))?;
    match serde_json::to_vec(&read) {
        Ok(again) if again == written => Ok(()),
        Ok(_) => Err(wrong("it reads as another value".to_string())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The names of the files in a model's folder, sorted.
fn file_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_file() {
            return Err(io::Error::other(format!("`{name}` in a model's folder is not a plain file")));
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// The names in a folder, sorted; none if there is no such folder, or if it is a file.
fn names_in(dir: &Path) -> Result<Vec<String>, CheckpointError> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<_>>>()
        })
        .map_err(|source| CheckpointError::Io { path: dir.to_path_buf(), source })?;
    names.sort_unstable();
    Ok(names)
}

/// Whether an error, or one that caused it, says that there is no room for the file.
fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let full = error
        .downcast_ref::<io::Error>()
        .is_some_and(|io| matches!(io.kind(), StorageFull | QuotaExceeded | FileTooLarge));
    full || error.source().is_some_and(is_disk_full)
}
