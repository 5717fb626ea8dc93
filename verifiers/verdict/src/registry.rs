//! Verifiers by name, made from their configuration.

use crate::settings::{self, SettingError};
use crate::{FileKind, Verifier};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

type Constructor = Box<dyn Fn(&Value) -> Result<Arc<dyn Verifier>, SettingError> + Send + Sync>;

/// Kinds of verifier that can be made.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<String, Constructor>,
}

/// Why a verifier cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No kind has this name.
    #[error("there is no verifier `{name}`{}; known: {known}", suggestion(.nearest))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The nearest known name.
        nearest: Option<String>,
        /// All known names.
        known: String,
    },
    /// The kind refuses its configuration.
    #[error("verifier `{name}`: {problem}")]
    Config {
        /// The kind.
        name: String,
        /// The setting that is wrong, what is wrong with it, and what would be right.
        problem: SettingError,
    },
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default()
}

impl Registry {
    /// A registry that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind whose configuration is `C` (an empty one where none is given) and whose verifiers `make` makes. A kind of
    /// the same name is replaced.
    pub fn add<C, V, E>(&mut self, name: &str, make: impl Fn(C) -> Result<V, E> + Send + Sync + 'static)
    where
        C: DeserializeOwned,
        V: Verifier + 'static,
        E: std::fmt::Display,
    {
        let constructor = move |config: &Value| {
            let config = if config.is_null() { Value::Object(Default::default()) } else { config.clone() };
            let verifier = make(settings::read(config)?).map_err(|e| e.to_string())?;
            Ok(Arc::new(verifier) as Arc<dyn Verifier>)
        };
        self.kinds.insert(name.to_owned(), Box::new(constructor));
    }

    /// Adds a verifier that has no settings, under its own name.
    pub fn add_verifier(&mut self, verifier: impl Verifier + 'static) {
        let verifier: Arc<dyn Verifier> = Arc::new(verifier);
        let name = verifier.name().to_owned();
        let constructor = move |config: &Value| match config {
            Value::Null => Ok(verifier.clone()),
            Value::Object(keys) if keys.is_empty() => Ok(verifier.clone()),
            _ => Err(format!("has no settings; {config} was given").into()),
        };
        self.kinds.insert(name, Box::new(constructor));
    }

    /// Makes a verifier of a kind from its configuration (`null` for the defaults). A kind that is the path of a file, seen from
    /// the working directory, is that of [`FileKind::of_name`].
    ///
    /// # Errors
    /// When the kind is unknown or refuses the configuration.
    pub fn make(&self, kind: &str, config: &Value) -> Result<Arc<dyn Verifier>, RegistryError> {
        if let (None, Some(file)) = (self.kinds.get(kind), FileKind::of_name(kind))
            && self.kinds.contains_key(file.kind)
        {
            return self.make(file.kind, &file.settings(kind, Path::new(""), config));
        }
        let constructor = self.kinds.get(kind).ok_or_else(|| self.unknown(kind))?;
        constructor(config).map_err(|problem| RegistryError::Config { name: kind.to_owned(), problem })
    }

    /// Names of all kinds, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    fn unknown(&self, name: &str) -> RegistryError {
        let nearest = nearest(name, self.names()).map(str::to_owned);
        let known = self.names().collect::<Vec<_>>().join(", ");
        RegistryError::Unknown { name: name.to_owned(), nearest, known }
    }
}

/// The candidate most like `name`, if any is like it at all (Jaro-Winkler above 0.7).
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|c| (strsim::jaro_winkler(name, c), c))
        .filter(|(like, _)| *like > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Completion, Problem, ProblemError, Verdict};
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limit {
        #[serde(default)]
        most: usize,
    }
    struct AtMost(usize);
    impl Verifier for AtMost {
        fn name(&self) -> &str {
            "at_most"
        }
        fn version(&self) -> &str {
            "1"
        }
        fn check(&self, _: &Problem) -> Result<(), ProblemError> {
            Ok(())
        }
        fn verify(&self, _: &Problem, completion: &Completion) -> Verdict {
            if completion.text.len() <= self.0 { Verdict::pass("short") } else { Verdict::fail("long") }
        }
    }

    fn registry() -> Registry {
        let mut registry = Registry::new();
        registry.add("at_most", |c: Limit| Ok::<_, String>(AtMost(c.most)));
        registry
    }

    #[test]
    fn a_verifier_is_made_from_its_configuration() {
        let verifier = registry().make("at_most", &serde_json::json!({"most": 3})).unwrap();
        assert_eq!(verifier.verify(&Problem::default(), &Completion::new("abc")).score, Some(1.0));
        let verifier = registry().make("at_most", &Value::Null).unwrap();
        assert_eq!(verifier.verify(&Problem::default(), &Completion::new("abc")).score, Some(0.0));
    }

    #[test]
    fn a_verifier_without_settings_is_known_by_its_own_name_and_refuses_any() {
        let mut registry = Registry::new();
        registry.add_verifier(AtMost(2));
        assert!(registry.make("at_most", &Value::Null).is_ok());
        let error = registry.make("at_most", &serde_json::json!({"most": 3})).err().unwrap().to_string();
        assert!(error.contains("no settings") && error.contains("most"), "{error}");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_one_and_an_unknown_key_with_the_known_ones() {
        let error = registry().make("atmost", &Value::Null).err().unwrap().to_string();
        assert!(error.contains("did you mean `at_most`"), "{error}");
        let error = registry().make("at_most", &serde_json::json!({"mots": 3})).err().unwrap().to_string();
        assert!(error.contains("mots") && error.contains("most"), "{error}");
    }
}
