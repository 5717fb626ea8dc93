//! `summary.json`: what each stage came to, rewritten whole as stages end.

use crate::durable;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io;
use std::path::Path;

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The run's name.
    pub run: String,
    /// Its seed.
    pub seed: u64,
    /// The version of rlvr that made it.
    pub version: String,
    /// Stages that have ended, in order.
    pub stages: Vec<StageSummary>,
}

/// A stage that has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// Its name.
    pub name: String,
    /// `mid_train` or `rl`.
    pub kind: String,
    /// The stage that it started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Steps made.
    pub steps: u64,
    /// Seconds, evaluation included.
    pub seconds: f64,
    /// Most bytes of physical memory held; none where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// Results by task set.
    pub eval: Map<String, Value>,
}

impl Summary {
    /// Reads the file of a run; an empty summary where there is none.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn read(run_dir: &Path) -> io::Result<Self> {
        match std::fs::read(run_dir.join("summary.json")) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        durable::write_bytes(&run_dir.join("summary.json"), &text)
    }

    /// Puts a stage in, in place of one of the same name.
    pub fn put(&mut self, stage: StageSummary) {
        match self.stages.iter_mut().find(|s| s.name == stage.name) {
            Some(old) => *old = stage,
            None => self.stages.push(stage),
        }
    }
}
