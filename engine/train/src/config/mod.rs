//! A run's config: one TOML file, typed, with everything that can be wrong with it found when it is read.
//!
//! Three steps: the text becomes a tree whose values know their places, with `--set` and `[defaults.KIND]` merged in
//! (`document`); each section gets its type; then numbers and references between sections are checked (`check`).
//! Nothing deeper in the engine sees TOML. What was read can be written back, with every default filled in: the
//! `config.toml` of a run's folder.

mod check;
mod document;
mod error;
mod fields;
mod lora;
mod model;
mod stage;
mod task_mix;
#[cfg(test)]
mod tests;
mod verifiers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlvr_verdict::FileKind;
use rlvr_verdict::compose::RewardConfig;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::data::config::{SourceConfig, TaskSetConfig};
use document::Document;
pub use error::{ConfigError, Problem};
pub use lora::Lora;
pub use model::{ModelSource, TokenizerSource};
pub use stage::{
    Eval, Kl, LEAST_TEMPERATURE, MOST_EVALUATED, MidTrain, Rl, Sampling, Stage, Training, Work,
    is_temperature,
};
pub use task_mix::TaskShare;

/// Most threads that can be asked for.
pub const MOST_THREADS: usize = 1024;

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub struct RunConfig {
    /// What the run is called in its report.
    pub name: String,
    /// Every random number of the run follows from it.
    pub seed: u64,
    /// The run's folder; relative to the working directory, unlike all other paths.
    pub out: PathBuf,
    /// Threads; 0 for as many as there are cores.
    pub threads: usize,
    /// What the first stages start from.
    pub model: ModelSource,
    /// What the model's folder is called on the Hugging Face hub, for messages about files that are not there.
    #[serde(skip)]
    pub model_origin: Option<String>,
    /// Text for mid-training, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceConfig>,
    /// Task sets, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, TaskSetConfig>,
    /// Verifiers with settings of their own, by the name that rows use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub verifiers: BTreeMap<String, VerifierConfig>,
    /// How rewards are composed; without it, a sample's reward is the score of its problem's verifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<RewardConfig>,
    /// The stages, in the order in which they run.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
    /// Where each key was written.
    #[serde(skip)]
    places: BTreeMap<String, String>,
}

/// A built-in verifier with settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifierConfig {
    /// The built-in verifier.
    pub kind: String,
    /// Its own keys, given to its constructor.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// The keys outside of tables.
#[derive(Deserialize)]
#[serde(default)]
struct Top {
    name: Option<String>,
    seed: u64,
    out: Option<PathBuf>,
    threads: usize,
}

impl Default for Top {
    fn default() -> Self {
        Self { name: None, seed: 1, out: None, threads: 0 }
    }
}

/// The tables and the keys outside of tables.
const TOP: [&str; 10] =
    ["name", "seed", "out", "threads", "model", "sources", "tasks", "verifiers", "reward", "stage"];

impl RunConfig {
    /// Reads a config file and sets keys from `KEY=VALUE` arguments, in order.
    ///
    /// # Errors
    /// The file cannot be read, or all the problems that it has.
    pub fn load(path: &Path, sets: &[String]) -> Result<Self, ConfigError> {
        Self::load_with(path, sets, true)
    }

    /// As [`RunConfig::load`], but files of data need not be there.
    ///
    /// # Errors
    /// As for [`RunConfig::load`].
    pub fn load_without_data(path: &Path, sets: &[String]) -> Result<Self, ConfigError> {
        Self::load_with(path, sets, false)
    }

    fn load_with(path: &Path, sets: &[String], data: bool) -> Result<Self, ConfigError> {
        let contents = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = path.file_stem().map_or_else(|| "run".into(), |name| name.to_string_lossy());
        let parsed =
            Document::parse(&path.display().to_string(), &contents, folder.unwrap_or(Path::new(".")));
        let mut document = parsed.map_err(|problem| ConfigError::Problems(vec![problem]))?;
        let mut problems: Vec<Problem> =
            sets.iter().filter_map(|argument| document.set(argument).err()).collect();
        problems.extend(check::defaults(&document));
        document.apply_defaults();
        let config = Self::read(&document, &name, data, &mut problems);
        if problems.is_empty() {
            return Ok(config);
        }
        let mut told: Vec<Problem> = Vec::new();
        for problem in problems {
            // A slip in [defaults] is found in every stage that it reaches; once is enough.
            if !told.iter().any(|one| one.at == problem.at && one.what == problem.what) {
                told.push(problem);
            }
        }
        Err(ConfigError::Problems(told))
    }

    /// Gives every section its type and checks it. A section with problems is left out or at its default, so that
    /// the others are checked all the same.
    fn read(document: &Document, name: &str, data: bool, problems: &mut Vec<Problem>) -> Self {
        let known = TOP.into_iter().chain(["defaults"]);
        problems.extend(document.unknown_keys(&[], &known.collect::<Vec<_>>()));
        let mut keep = |problem| problems.push(problem);
        let top = document.read_keys::<Top>(&[], |key| TOP[..4].contains(&key)).map_err(&mut keep);
        let top = top.unwrap_or_default();
        let sources = read_table(document, "sources", &mut keep, |path| document.read(path));
        let tasks = read_table(document, "tasks", &mut keep, |path| document.read(path));
        let verifiers = read_table(document, "verifiers", &mut keep, |path| read_verifier(document, path));
        let reward =
            document.get(&["reward"]).and_then(|_| document.read(&["reward"]).map_err(&mut keep).ok());
        let model = ModelSource::read(document).unwrap_or_else(|found| {
            problems.extend(found);
            ModelSource::Folder(PathBuf::new())
        });
        let (positions, stages): (Vec<usize>, Vec<Stage>) =
            stage::read_all(document, problems).into_iter().unzip();
        let mut config = Self {
            out: top.out.unwrap_or_else(|| Path::new("runs").join(name)),
            name: top.name.unwrap_or_else(|| name.to_owned()),
            seed: top.seed,
            threads: top.threads,
            model_origin: ModelSource::origin(document),
            model,
            sources,
            tasks,
            verifiers,
            reward,
            stages,
            places: document.places(),
        };
        for path in config.sources.values_mut().filter_map(|source| source.path.as_mut()) {
            *path = document.file(path);
        }
        for path in config.tasks.values_mut().filter_map(|tasks| tasks.path.as_mut()) {
            *path = document.file(path);
        }
        let of_tasks = config.tasks.values_mut().map(|tasks| &mut tasks.verifier);
        let of_parts =
            config.reward.iter_mut().flat_map(|reward| &mut reward.parts).map(|part| &mut part.verifier);
        for name in of_tasks.chain(of_parts).flatten().filter(|name| FileKind::of_name(name).is_some()) {
            *name = document.file(Path::new(name)).to_string_lossy().into_owned();
        }
        problems.extend(check::config(&config, &positions, document, data));
        config
    }

    /// The size of a new model's vocabulary as far as it is known before its tokenizer is made; a folder has its own.
    pub fn vocab_size_before_training(&self) -> usize {
        self.model.vocab_size()
    }

    /// The stage of that name.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// The config with every default filled in; reading it gives the same config again.
    ///
    /// # Errors
    /// A number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// An error about a key, for what is only found out later than at reading: it has the key's place in the file.
    ///
    /// `key` is spelt as in messages: `tasks.math.path`, `stage.mid.context`.
    pub fn problem(&self, key: &str, what: impl Into<String>) -> ConfigError {
        ConfigError::Problems(vec![self.placed(key, what)])
    }

    /// A problem with the place of its key, or of what is nearest above it.
    fn placed(&self, key: &str, what: impl Into<String>) -> Problem {
        let borders = key.match_indices(['.', '[']).map(|(at, _)| &key[..at]).chain([key]);
        let at = borders.rev().chain([""]).find_map(|above| self.places.get(above));
        Problem { at: at.cloned().unwrap_or_default(), key: key.to_owned(), what: what.into() }
    }
}

/// Each table of a table of tables, by name.
fn read_table<T>(
    document: &Document,
    table: &str,
    keep: &mut impl FnMut(Problem),
    read: impl Fn(&[&str]) -> Result<T, Problem>,
) -> BTreeMap<String, T> {
    let mut values = BTreeMap::new();
    if document.get(&[table]).is_some_and(|value| !value.get_ref().is_table()) {
        keep(document.problem(&[table], format!("is no table; [{table}.NAME] is right")));
    }
    for name in document.keys(&[table]) {
        match read(&[table, name]) {
            Ok(value) => drop(values.insert(name.to_owned(), value)),
            Err(problem) => keep(problem),
        }
    }
    values
}

fn read_verifier(document: &Document, path: &[&str]) -> Result<VerifierConfig, Problem> {
    let mut settings: Map<String, Value> = document.read(path)?;
    let file = FileKind::of_table(&mut settings, &document.file(Path::new("")))
        .map_err(|what| document.problem(path, what))?;
    let kind = match settings.remove("kind").or_else(|| Some(file?.kind.into())) {
        Some(Value::String(kind)) => kind,
        Some(_) => {
            let path = [path, &["kind"]].concat();
            return Err(document.problem(&path, "is no string; a verifier's name is right"));
        }
        None => path.last().map_or_else(String::new, |name| (*name).to_owned()),
    };
    Ok(VerifierConfig { kind, settings })
}
