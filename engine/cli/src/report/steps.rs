//! How a sample's verdict came about: the steps of its verifiers, made again from the problem that the ledger holds.

use rlvr_train::ledger::Row;
use rlvr_verdict::compose::RewardConfig;
use rlvr_verdict::{Completion, Outcome, Registry, Step, Verifier, explain_guarded};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The verifiers of a run, to explain what they said.
pub struct Explainer {
    verifiers: BTreeMap<String, Arc<dyn Verifier>>,
    reward: RewardConfig,
}

/// What of a run's config says how it judged. The rest may name files that are not there any more.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Judging {
    verifiers: BTreeMap<String, Table>,
    reward: RewardConfig,
}

#[derive(Deserialize)]
struct Table {
    kind: String,
    #[serde(flatten)]
    settings: Map<String, Value>,
}

impl Explainer {
    /// The verifiers of the run in this folder. What a verifier said that the registry does not have is not explained.
    pub fn new(folder: &Path, registry: &Registry) -> Self {
        let text = std::fs::read_to_string(folder.join("config.toml")).unwrap_or_default();
        let Judging { verifiers: tables, reward } = toml::from_str(&text).unwrap_or_default();
        let bare = registry.names().map(|name| (name.to_owned(), registry.make(name, &Value::Null)));
        let tables = tables.into_iter();
        let with_settings = tables
            .map(|(name, Table { kind, settings })| (name, registry.make(&kind, &Value::Object(settings))));
        let made = bare.chain(with_settings).filter_map(|(name, made)| Some((name, made.ok()?)));
        Explainer { verifiers: made.collect(), reward }
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
