//! How a sample's verdict came about: the steps of its verifiers, made again from the problem that the ledger holds.

use rlvr_train::config::RunConfig;
use rlvr_train::ledger::Row;
use rlvr_verdict::compose::RewardConfig;
use rlvr_verdict::{Completion, Outcome, Registry, Step, Verifier, explain_guarded};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The verifiers of a run, to explain what they said.
pub struct Explainer {
    verifiers: BTreeMap<String, Arc<dyn Verifier>>,
    reward: RewardConfig,
}

impl Explainer {
    /// The verifiers of the run in this folder. Where its config cannot be understood, or names verifiers that the registry does
    /// not have, nothing is explained.
    pub fn new(folder: &Path, registry: &Registry) -> Self {
        let config = RunConfig::load(&folder.join("config.toml"), &[]).ok();
        let verifiers = config.as_ref().and_then(|config| config.make_verifiers(registry).ok());
        let reward = config.and_then(|config| config.reward).unwrap_or_default();
        Explainer { verifiers: verifiers.unwrap_or_default(), reward }
    }

    /// The steps to a sample's verdict; those of each part of the reward where a sample of training has several.
    pub fn steps(&self, row: &Row, training: bool) -> Vec<Step> {
        // what hung or panicked would do so again
        if row.outcome == Outcome::Fault.name() {
            return Vec::new();
        }
        let parts =
            if training { self.reward.resolved_parts() } else { RewardConfig::default().resolved_parts() };
        let truncated = row.finish == "length";
        let completion = Completion { text: row.completion.clone(), truncated, tokens: row.ids.len() };
        let mut steps = Vec::new();
        for part in &parts {
            let name = part.verifier.as_ref().unwrap_or(&row.problem.verifier);
            let Some(verifier) = self.verifiers.get(name) else { continue };
            let own = explain_guarded(&**verifier, &row.problem, &completion);
            steps.extend(own.into_iter().map(|step| match parts.len() {
                1 => step,
                _ => Step { name: format!("{}: {}", part.name, step.name), ..step },
            }));
        }
        steps
    }
}
