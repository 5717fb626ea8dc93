//! What a run tells while it runs, for whoever shows it: a terminal, a log, a test.
//!
//! The loops know nothing of bars and lines; they hand out events. What must not be lost goes to the run's folder.

use std::path::Path;

use crate::metrics::Record;

/// Something that has happened in a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// More of the model that a stage starts from is there.
    Loading {
        /// Numbers read.
        done: usize,
        /// Numbers in all.
        of: usize,
    },
    /// A stage begins, or goes on after a checkpoint.
    StageStarted {
        /// Its name.
        stage: &'a str,
        /// `mid_train` or `rl`.
        kind: &'a str,
        /// The stage that it starts from.
        from: Option<&'a str>,
        /// Steps done before; 0 unless it is resumed.
        done: u64,
        /// Steps in all.
        steps: u64,
    },
    /// A training step is done.
    Step {
        /// Its line of the metrics.
        record: &'a Record,
    },
    /// A stage is over, its last checkpoint saved.
    StageDone {
        /// Its name.
        stage: &'a str,
        /// Seconds of this session that it took.
        seconds: f64,
    },
    /// An evaluation begins.
    EvalStarted {
        /// The stage.
        stage: &'a str,
        /// The task set.
        taskset: &'a str,
        /// Samples to draw in all.
        samples: u64,
    },
    /// More of the evaluation's samples are judged.
    EvalProgress {
        /// Samples judged so far.
        done: u64,
    },
    /// An evaluation is done.
    EvalDone {
        /// Its line of the metrics.
        record: &'a Record,
    },
    /// A checkpoint is whole on the disk.
    Saved {
        /// Its folder.
        path: &'a Path,
    },
    /// Something worth a line of its own.
    Message(&'a str),
}

/// Whoever is told. Calls come from the thread of the run, one at a time, and should be short.
pub trait Observer: Sync {
    /// An event has happened.
    fn observe(&self, event: Event<'_>);
}
