//! What a stage starts from: the model, and the folder that adapters trained on it belong to.
//!
//! A stage of adapters leaves its base where it is. Its checkpoints name the base's folder, which is that of `[model]`, the last
//! checkpoint of another stage, or, where the base is in none, `checkpoints/STAGE/base`, written once. A stage that starts from a stage
//! of adapters starts from its `checkpoints/STAGE/merged`.

use super::{Run, RunError, io};
use crate::checkpoint::{AnyError, Whole, check_folder};
use crate::config::Stage;
use crate::data::keyed;
use crate::progress::Event;
use rlvr_model::Model;
use std::path::{Path, PathBuf};

impl Run<'_> {
    /// The model that a stage starts from, with fresh adapters where it trains some.
    pub(super) fn starting_model(&self, stage: &Stage, index: usize) -> Result<Model, RunError> {
        let base = self.starting_base(stage)?;
        let Some(lora) = &stage.training.lora else { return Ok(base) };
        let seed = keyed::key(&[self.config.seed, index as u64]);
        Ok(base.with_lora(lora.adapters(), seed)?)
    }

    /// The model that a stage starts from; a folder of a run is compared with its hashes first.
    pub(super) fn starting_base(&self, stage: &Stage) -> Result<Model, RunError> {
        match self.starting_folder(stage)? {
            Some(folder) => {
                check_folder(&folder)?;
                Ok(Model::load_watched(&folder, &mut |done, of| self.tell(Event::Loading { done, of }))?)
            }
            None => Ok(self.prepared.initial_model()?),
        }
    }

    /// The folder of the whole model that a stage starts from; none where `[model]` is not one.
    fn starting_folder(&self, stage: &Stage) -> Result<Option<PathBuf>, RunError> {
        let Some(from) = &stage.from else { return Ok(self.prepared.initial_folder()) };
        let not_run = || RunError::NotRun { stage: stage.name.clone(), from: from.clone() };
        let last = self.checkpoints.latest(from)?.ok_or_else(not_run)?;
        let start = self.config.stage(from);
        if last != start.map_or(last, Stage::steps) {
            return Err(not_run());
        }
        match start.and_then(|start| start.training.lora.as_ref()) {
            Some(_) => self.checkpoints.whole(from, Whole::Merged).ok_or_else(not_run).map(Some),
            None => Ok(Some(self.checkpoints.dir(from, last))),
        }
    }

    /// The folder that the adapters of a stage belong to; the base is written where it is in none.
    pub(super) fn base_folder(&self, stage: &Stage, model: &Model) -> Result<PathBuf, RunError> {
        let folder = match (self.starting_folder(stage)?, self.checkpoints.whole(&stage.name, Whole::Base)) {
            (Some(folder), _) | (None, Some(folder)) => folder,
            (None, None) => self.save_whole(stage, Whole::Base, 0, &model.base())?,
        };
        std::path::absolute(&folder).map_err(io(&folder))
    }

    /// Writes what a stage of adapters came to as a whole model, where the stage says so or another starts from it.
    pub(super) fn save_merged(&self, stage: &Stage, model: &Model) -> Result<(), RunError> {
        let Some(lora) = &stage.training.lora else { return Ok(()) };
        let started_from = self.config.stages.iter().any(|other| other.from.as_ref() == Some(&stage.name));
        let there = self.checkpoints.whole(&stage.name, Whole::Merged).is_some();
        if (lora.merge || started_from) && !there {
            self.save_whole(stage, Whole::Merged, stage.steps(), &model.merged()?)?;
        }
        Ok(())
    }

    fn save_whole(&self, stage: &Stage, whole: Whole, step: u64, model: &Model) -> Result<PathBuf, RunError> {
        let tokenizer = &self.prepared.tokenizer;
        let bytes = 4 * model.config.parameters() as u64;
        let write = |folder: &Path| -> Result<(), AnyError> {
            model.save(folder)?;
            tokenizer.save(folder)?;
            Ok(())
        };
        Ok(self.checkpoints.save_whole(&stage.name, whole, step, bytes, &write)?)
    }
}
