//! `[model]`: what the first stages start from, a folder on disk or a new model with random weights.

use std::path::{Path, PathBuf};

use rlvr_model::config::{ConfigError, ModelConfig};
use rlvr_model::hf::{HfError, adapter_base};
use rlvr_verdict::nearest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::document::Document;
use super::error::Problem;

/// What the stages without `from` start from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "ModelTable")]
pub enum ModelSource {
    /// A Hugging Face model folder, with its tokenizer, or that of a PEFT adapter, which is merged into the base that it names.
    Folder(PathBuf),
    /// Random weights.
    New {
        /// Fields as in a `config.json`, but for `vocab_size`, which is the tokenizer's.
        fields: Map<String, Value>,
        /// Where its tokenizer comes from.
        tokenizer: TokenizerSource,
    },
}

/// Where a new model's tokenizer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerSource {
    /// A `tokenizer.json`.
    File(PathBuf),
    /// Each printable ASCII character and the newline is a token.
    Characters,
    /// Byte-level BPE, trained once before the first stage.
    Bpe {
        /// Tokens in all, specials and the 256 bytes included.
        vocab_size: usize,
        /// Whether every digit is a token of its own.
        split_digits: bool,
        /// The sources that it is trained on, by name.
        sources: Vec<String>,
    },
}

/// The table as it is written.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(skip_serializing)]
    hub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenizer: Option<TokenizerTable>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenizerTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<TokenizerKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vocab_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split_digits: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TokenizerKind {
    Characters,
    Bpe,
}

/// The 256 bytes and the specials: below this a byte-level BPE has no room for them.
const SMALLEST_BPE: usize = 264;

impl ModelSource {
    /// The model's sizes, when they are known before a tokenizer is: a new model gets the vocabulary `vocab_size`,
    /// a folder keeps its own.
    ///
    /// # Errors
    /// A folder's or the new model's fields are refused.
    pub fn config(&self, vocab_size: usize) -> Result<ModelConfig, HfError> {
        match self {
            ModelSource::Folder(path) => Ok(match adapter_base(path)? {
                Some(base) => ModelConfig::read(&base)?,
                None => ModelConfig::read(path)?,
            }),
            ModelSource::New { fields, .. } => {
                let mut fields = fields.clone();
                fields.insert("vocab_size".to_owned(), Value::from(vocab_size));
                Ok(ModelConfig::from_json(&fields)?)
            }
        }
    }

    /// The size of the vocabulary as far as it is known without a tokenizer that is a file or a folder's.
    pub(super) fn vocab_size(&self) -> usize {
        match self {
            ModelSource::New { tokenizer: TokenizerSource::Bpe { vocab_size, .. }, .. } => *vocab_size,
            _ => SMALLEST_BPE,
        }
    }

    /// `hub`, the name under which the hub has the folder, as the config gives it.
    pub(super) fn origin(document: &Document) -> Option<String> {
        Some(document.get(&["model", "hub"])?.get_ref().as_str()?.to_owned())
    }

    /// Reads the table, and the `config.json` of a folder.
    pub(super) fn read(document: &Document) -> Result<Self, Vec<Problem>> {
        let one = |problem| vec![problem];
        let table: ModelTable = document.read(&["model"]).map_err(one)?;
        let wrong = |path: &[&str], what: &str| vec![document.problem(path, what)];
        if table.hub.is_some() && table.path.is_none() {
            return Err(wrong(&["model", "hub"], "belongs to `path`: it says whose folder that is"));
        }
        let source = match (table.path, table.new, table.tokenizer) {
            (Some(path), None, None) => ModelSource::Folder(document.file(&path)),
            (None, Some(fields), Some(tokenizer)) => {
                if fields.contains_key("vocab_size") {
                    return Err(wrong(
                        &["model", "new", "vocab_size"],
                        "comes from the tokenizer; leave it out",
                    ));
                }
                if let Some(key) = ["dtype", "torch_dtype"].into_iter().find(|key| fields.contains_key(*key))
                {
                    return Err(wrong(
                        &["model", "new", key],
                        "has no effect: models are trained and stored in float32; leave it out",
                    ));
                }
                ModelSource::New { fields, tokenizer: TokenizerSource::from_table(tokenizer, document)? }
            }
            (Some(_), Some(_), _) => {
                return Err(wrong(&["model", "new"], "stands beside `path`; one of them is right"));
            }
            (Some(_), None, Some(_)) => {
                let what = "stands beside `path`; a folder brings its own tokenizer";
                return Err(wrong(&["model", "tokenizer"], what));
            }
            (None, Some(_), None) => {
                let what = "is missing; a new model needs one, such as { kind = \"characters\" }";
                return Err(wrong(&["model", "tokenizer"], what));
            }
            (None, None, _) => {
                let what = "needs `path`, a Hugging Face folder, or `new` and `tokenizer`, a model with random weights";
                return Err(wrong(&["model"], what));
            }
        };
        match (source.config(SMALLEST_BPE), &source) {
            (Ok(_), _) => Ok(source),
            (
                Err(HfError::Config(ConfigError::Field { field, problem, .. })),
                ModelSource::New { fields, .. },
            ) => {
                let slip = misspelt(fields, &field);
                let key = slip.as_ref().map_or(&field, |(key, _)| key);
                let path: Vec<&str> = ["model", "new"].into_iter().chain(key.split('.')).collect();
                Err(vec![match &slip {
                    Some((_, remedy)) => document.key_problem(&path, remedy),
                    None => document.problem(&path, problem),
                }])
            }
            (Err(_), ModelSource::Folder(folder)) if !folder.exists() => {
                Err(wrong(&["model", "path"], &absent(folder, table.hub.as_deref())))
            }
            (Err(error), _) => Err(wrong(&["model", "path"], &format!("leads to no model: {error}"))),
        }
    }
}

/// The misspelt name behind a field that is unknown or missing, with the remedy: that of the unknown field, or the one that
/// was given in place of the missing field.
fn misspelt(fields: &Map<String, Value>, field: &str) -> Option<(String, String)> {
    let (table, name) = field.rsplit_once('.').unwrap_or(("", field));
    let given = match table {
        "" => fields,
        table => fields.get(table)?.as_object()?,
    };
    let known = known_fields(fields, table);
    let is_known = |name: &str| known.iter().any(|one| one == name);
    let near = |name: &str| nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    let (key, right) = if given.contains_key(name) {
        (name, near(name).filter(|_| !is_known(name))?)
    } else {
        let likely = given.keys().filter(|key| !is_known(key) && near(key).as_deref() == Some(name));
        (nearest(name, likely.map(String::as_str))?, name.to_owned())
    };
    let dot = if table.is_empty() { "" } else { "." };
    Some((format!("{table}{dot}{key}"), format!("is no key here; did you mean `{right}`?")))
}

/// The fields that a new model of the family that `fields` name may have, at the top or within a table of them.
fn known_fields(fields: &Map<String, Value>, table: &str) -> Vec<String> {
    let stretched = json!({
        "rope_type": "llama3", "rope_theta": 1e4, "factor": 1, "low_freq_factor": 1, "high_freq_factor": 2,
        "original_max_position_embeddings": 2,
    });
    let sizes = json!({
        "vocab_size": 2, "hidden_size": 2, "intermediate_size": 2, "num_hidden_layers": 1, "num_attention_heads": 1,
        "max_position_embeddings": 2, "rope_scaling": stretched,
    });
    let Value::Object(mut smallest) = sizes else { return Vec::new() };
    let of_family = ["architectures", "model_type"].map(|key| (key, fields.get(key).cloned()));
    smallest.extend(of_family.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    let written = ModelConfig::from_json(&smallest).map(|config| config.to_json()).unwrap_or(smallest);
    let not_here = ["vocab_size", "dtype", "torch_dtype"];
    match table {
        "" => written.keys().filter(|key| !not_here.contains(&key.as_str())).cloned().collect(),
        table => match written.get(table).or(written.get("rope_parameters")) {
            Some(Value::Object(inner)) => inner.keys().cloned().collect(),
            _ => Vec::new(),
        },
    }
}

/// What a model folder that is not there would hold, and where its files come from.
fn absent(folder: &Path, hub: Option<&str>) -> String {
    let (whose, name) = match hub {
        Some(name) => (format!(" of {name}"), format!(" {name}")),
        None => (String::new(), String::new()),
    };
    format!(
        "leads to no folder: {}. It is to hold the files{whose} as the Hugging Face hub has them: config.json, \
         generation_config.json, tokenizer.json, tokenizer_config.json and the weights, *.safetensors with their index. \
         Get them with `hf download{name} --local-dir FOLDER`, and say where they are: --set model.path=FOLDER",
        folder.display()
    )
}

impl TokenizerSource {
    fn from_table(table: TokenizerTable, document: &Document) -> Result<Self, Vec<Problem>> {
        let wrong =
            |key: &str, what: &str| vec![document.problem(&["model", "tokenizer", key], what.to_owned())];
        let bpe_only = [
            ("vocab_size", table.vocab_size.is_some()),
            ("split_digits", table.split_digits.is_some()),
            ("sources", table.sources.is_some()),
        ];
        if table.kind != Some(TokenizerKind::Bpe)
            && let Some((key, _)) = bpe_only.into_iter().find(|(_, given)| *given)
        {
            return Err(wrong(key, "belongs to kind = \"bpe\""));
        }
        match (table.kind, table.path) {
            (None, Some(path)) => {
                let path = document.file(&path);
                match path.is_file() {
                    true => Ok(TokenizerSource::File(path)),
                    false => Err(wrong("path", &format!("leads to no file: {}", path.display()))),
                }
            }
            (Some(_), Some(_)) => Err(wrong("path", "stands beside `kind`; one of them is right")),
            (None, None) => Err(wrong("kind", "is missing; \"characters\", \"bpe\" or a `path` is right")),
            (Some(TokenizerKind::Characters), None) => Ok(TokenizerSource::Characters),
            (Some(TokenizerKind::Bpe), None) => {
                let vocab_size = table.vocab_size.ok_or_else(|| wrong("vocab_size", "is missing"))?;
                if !(SMALLEST_BPE..=1 << 24).contains(&vocab_size) {
                    let what = format!("is {vocab_size}; {SMALLEST_BPE} to {} is right", 1 << 24);
                    return Err(wrong("vocab_size", &what));
                }
                let sources = table.sources.unwrap_or_default();
                if sources.is_empty() {
                    return Err(wrong(
                        "sources",
                        "is missing; the names of [sources] to train it on are right",
                    ));
                }
                Ok(TokenizerSource::Bpe {
                    vocab_size,
                    split_digits: table.split_digits.unwrap_or(false),
                    sources,
                })
            }
        }
    }
}

impl From<ModelSource> for ModelTable {
    fn from(source: ModelSource) -> Self {
        match source {
            ModelSource::Folder(path) => Self { path: Some(path), ..Self::default() },
            ModelSource::New { fields, tokenizer } => {
                Self { new: Some(fields), tokenizer: Some(tokenizer.into()), path: None, hub: None }
            }
        }
    }
}

impl From<TokenizerSource> for TokenizerTable {
    fn from(source: TokenizerSource) -> Self {
        match source {
            TokenizerSource::File(path) => Self { path: Some(path), ..Self::default() },
            TokenizerSource::Characters => Self { kind: Some(TokenizerKind::Characters), ..Self::default() },
            TokenizerSource::Bpe { vocab_size, split_digits, sources } => Self {
                kind: Some(TokenizerKind::Bpe),
                path: None,
                vocab_size: Some(vocab_size),
                split_digits: Some(split_digits),
                sources: Some(sources),
            },
        }
    }
}
