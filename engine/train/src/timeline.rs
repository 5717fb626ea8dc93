//! Which records a resumed run keeps.
//!
//! A run that is taken up from a checkpoint repeats what came after it. Records of those steps, in the metrics and in
//! the ledger, are dropped first, so that the files of a resumed run are those of an uninterrupted one. This module
//! says which records these are, once for all files.

/// The checkpoint that a stage is taken up from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The checkpoint's stage.
    pub stage: String,
    /// The checkpoint's step, counted from 1: the number of optimiser steps that its weights have seen in the stage.
    pub step: u64,
    /// Whether the evaluation that follows this step was completed, and its records stay. An evaluation comes after
    /// the checkpoint of its step, so that a kill may fall between the two.
    pub evaluated: bool,
}

/// A run's stages, and where each is taken up. Stages may have been run one by one in any order, so that several can have
/// been killed half-way.
#[derive(Clone, Debug)]
pub struct Timeline {
    stages: Vec<String>,
    marks: Vec<Mark>,
}

/// A stage that the run's config does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stage `{stage}` is not among this run's stages ({known}); resume with the config that the run was started with, or choose another --out"
)]
pub struct UnknownStage {
    /// The stage's name as found.
    pub stage: String,
    /// The names of the config's stages, for the message.
    pub known: String,
}

impl Timeline {
    /// The timeline of a run with these stages. `marks`: the newest checkpoint of each stage that has one; nothing is kept
    /// of the others.
    ///
    /// # Errors
    /// The stage of a mark is none of `stages`.
    pub fn new(stages: &[&str], marks: impl IntoIterator<Item = Mark>) -> Result<Timeline, UnknownStage> {
        let stages = stages.iter().map(|stage| stage.to_string()).collect();
        let timeline = Timeline { stages, marks: marks.into_iter().collect() };
        timeline.marks.iter().try_for_each(|mark| timeline.check(&mark.stage))?;
        Ok(timeline)
    }

    /// Whether the record of a training step stays: it is not later than its stage's mark.
    ///
    /// # Errors
    /// `stage` is none of the run's stages.
    pub fn keeps_step(&self, stage: &str, step: u64) -> Result<bool, UnknownStage> {
        self.keeps(stage, |mark| step <= mark.step)
    }

    /// Whether the record of an evaluation after `step` stays: as [`keeps_step`](Self::keeps_step), but one at the mark
    /// itself only if that evaluation was completed.
    ///
    /// # Errors
    /// `stage` is none of the run's stages.
    pub fn keeps_evaluation(&self, stage: &str, step: u64) -> Result<bool, UnknownStage> {
        self.keeps(stage, |mark| step < mark.step || step == mark.step && mark.evaluated)
    }

    fn keeps(&self, stage: &str, within: impl FnOnce(&Mark) -> bool) -> Result<bool, UnknownStage> {
        self.check(stage)?;
        Ok(self.marks.iter().find(|mark| mark.stage == stage).is_some_and(within))
    }

    fn check(&self, stage: &str) -> Result<(), UnknownStage> {
        let unknown = || UnknownStage { stage: stage.to_string(), known: self.stages.join(", ") };
        self.stages.iter().any(|known| known == stage).then_some(()).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(stage: &str, step: u64, evaluated: bool) -> Mark {
        Mark { stage: stage.to_string(), step, evaluated }
    }

    #[test]
    fn what_came_before_its_stages_mark_stays_and_what_came_after_goes() {
        let marks = [mark("base", 20, false), mark("mid", 1_000, true)];
        let timeline = Timeline::new(&["base", "base+rl", "mid", "mid+rl"], marks).unwrap();
        let kept = |stage, step| timeline.keeps_step(stage, step).unwrap();
        assert!(kept("base", 1) && kept("base", 20) && kept("mid", 1_000));
        // Without a mark a stage is made anew, also between others.
        assert!(!kept("base", 21) && !kept("mid", 1_001) && !kept("base+rl", 1) && !kept("mid+rl", 1));
    }

    #[test]
    fn an_evaluation_at_the_mark_stays_only_if_it_was_completed() {
        for evaluated in [false, true] {
            let marks = [mark("base", 50, true), mark("rl", 20, evaluated)];
            let timeline = Timeline::new(&["base", "rl"], marks).unwrap();
            assert_eq!(timeline.keeps_evaluation("rl", 20), Ok(evaluated));
            assert_eq!(timeline.keeps_evaluation("rl", 10), Ok(true));
            assert_eq!(timeline.keeps_evaluation("rl", 30), Ok(false));
            assert_eq!(timeline.keeps_evaluation("base", 50), Ok(true));
        }
    }

    #[test]
    fn a_run_started_anew_keeps_nothing() {
        let timeline = Timeline::new(&["base"], None).unwrap();
        assert_eq!(timeline.keeps_step("base", 1), Ok(false));
    }

    #[test]
    fn a_stage_that_the_config_has_not_is_named() {
        let error = Timeline::new(&["base", "rl"], [mark("rll", 1, true)]).unwrap_err();
        assert!(error.to_string().contains("`rll`") && error.to_string().contains("(base, rl)"), "{error}");
        let timeline = Timeline::new(&["base", "rl"], None).unwrap();
        assert!(timeline.keeps_step("old", 1).is_err());
    }
}
