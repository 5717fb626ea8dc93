//! The verifiers of a run: those of the registry under their own names, those of `[verifiers.NAME]`, and files that tasks and parts of
//! the reward name by their paths.

use std::collections::BTreeMap;
use std::sync::Arc;

use rlvr_verdict::{FileKind, Registry, RegistryError, Verifier};
use serde_json::Value;

use super::error::{ConfigError, remedy};
use super::{Problem, RunConfig};

impl RunConfig {
    /// Every verifier that rows and rewards may name: each kind of the registry that needs no settings, and over
    /// those the ones with settings.
    ///
    /// # Errors
    /// A table of an unknown kind or with settings that its kind refuses; a task set or a part of the reward that
    /// names a verifier which is in neither.
    pub fn make_verifiers(
        &self,
        registry: &Registry,
    ) -> Result<BTreeMap<String, Arc<dyn Verifier>>, ConfigError> {
        let bare = |name: &str| Some((name.to_owned(), registry.make(name, &Value::Null).ok()?));
        let mut verifiers: BTreeMap<String, Arc<dyn Verifier>> = registry.names().filter_map(bare).collect();
        let mut problems: Vec<Problem> = Vec::new();
        for (name, config) in &self.verifiers {
            match registry.make(&config.kind, &Value::Object(config.settings.clone())) {
                Ok(verifier) => drop(verifiers.insert(name.clone(), verifier)),
                Err(RegistryError::Unknown { name: kind, .. }) => {
                    let what = format!("is \"{kind}\"; {}", remedy(&kind, "verifiers", registry.names()));
                    problems.push(self.placed(&format!("verifiers.{name}.kind"), what));
                }
                Err(RegistryError::Config { problem, .. }) => {
                    let dot = if problem.key.is_empty() { "" } else { "." };
                    let key = format!("verifiers.{name}{dot}{}", problem.key);
                    problems.push(self.placed(&key, problem.problem));
                }
            }
        }
        let of_tasks = self
            .tasks
            .iter()
            .filter_map(|(name, tasks)| Some((format!("tasks.{name}.verifier"), tasks.verifier.as_deref()?)));
        let parts = self.reward.iter().flat_map(|reward| reward.parts.iter().enumerate());
        let of_parts = parts.filter_map(|(index, part)| {
            Some((format!("reward.parts[{index}].verifier"), part.verifier.as_deref()?))
        });
        for (key, name) in of_tasks.chain(of_parts) {
            if FileKind::of_name(name).is_some() && !verifiers.contains_key(name) {
                match registry.make(name, &Value::Null) {
                    Ok(verifier) => drop(verifiers.insert(name.to_owned(), verifier)),
                    Err(error) => problems.push(self.placed(&key, format!("is \"{name}\": {error}"))),
                }
                continue;
            }
            // A configured one that could not be made is told above.
            if !verifiers.contains_key(name) && !self.verifiers.contains_key(name) {
                let needs_settings = registry.names().any(|kind| kind == name);
                let what = match needs_settings {
                    true => {
                        format!("is \"{name}\", which needs settings; a table [verifiers.{name}] is right")
                    }
                    false => {
                        let names = verifiers.keys().map(String::as_str);
                        format!("is \"{name}\"; {}", remedy(name, "verifiers", names))
                    }
                };
                problems.push(self.placed(&key, what));
            }
        }
        if problems.is_empty() { Ok(verifiers) } else { Err(ConfigError::Problems(problems)) }
    }
}
