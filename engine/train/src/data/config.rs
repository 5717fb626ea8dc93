//! The data tables of a run's configuration: `[sources.NAME]`, `[tasks.NAME]` and a stage's `mixture`.
//!
//! These are the tables as written. What they name is opened by [`Source`](super::Source),
//! [`load_tasks`](super::load_tasks) and [`Mixture`](super::Mixture). Paths have been made relative to the configuration's
//! folder by then.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A `[sources.NAME]` table: text for mid-training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// What the text is read from.
    pub kind: SourceKind,
    /// The file, or a folder of such files, taken in the order of their names. Not for generators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What is a document of a text file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<TextSplit>,
    /// Changes to a row's fields, in order, before the templates. For `jsonl` and `parquet`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transform: Vec<Transform>,
    /// A minijinja template over the row's fields: the document's text. For `jsonl` and `parquet`; without it the
    /// row's field `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A template for what comes before the text and can be spared the loss by `mask_prompt`. For `jsonl` and
    /// `parquet`; the documents of some generators have such a part by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Whether the loss counts what follows the prompt only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mask_prompt: bool,
    /// The generator's name. For `generator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// The generator's parameters. For `generator`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// Only the first so many documents. A generator without it never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Where a source's documents come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A JSON object a line.
    Jsonl,
    /// Rows of Parquet files.
    Parquet,
    /// Plain UTF-8 text.
    Text,
    /// Made by one of [`generators`](crate::generators).
    Generator,
}

/// What one document of a text source is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextSplit {
    /// A whole file.
    #[default]
    File,
    /// Lines up to the next blank one.
    Paragraph,
}

/// A change to one field of a row: either `capture`, or `replace` and `with`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// The field that is read and written.
    pub field: String,
    /// A regular expression that the field must match: what its first group matched (without a group, the whole
    /// match) becomes the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<String>,
    /// A regular expression whose every match is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<String>,
    /// What replaces it, in which `$1` is the first group; without it nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
}

/// A `[tasks.NAME]` table: problems for RL or evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskSetConfig {
    /// A `.jsonl` or `.parquet` file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Instead of `path`, a generator's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// The generator's parameters.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// How many problems the generator makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Which side of the generator's problems; without it `train`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Our field's name to the row's column, such as `prompt = "question"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, String>,
    /// Changes to the mapped row's fields, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transform: Vec<Transform>,
    /// A minijinja template over the row's fields that makes the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// How the prompt is put to the model.
    #[serde(skip_serializing_if = "Chat::is_raw")]
    pub chat: Chat,
    /// What the model is told before every prompt that brings no system message of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The verifier of rows that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifier: Option<String>,
    /// Rows passed over at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<u64>,
    /// Only so many rows after those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What becomes of rows that need what their verifier does not have.
    #[serde(skip_serializing_if = "Unsupported::is_error")]
    pub unsupported: Unsupported,
}

/// How a prompt is put to the model: written `false` or `"raw"`, `"user_assistant"`, `true` or `"template"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ChatKey", into = "ChatKey")]
pub enum Chat {
    /// As it is; a system message stands before it, with a blank line between.
    #[default]
    Raw,
    /// As a base model has seen conversations: `User: ...`, a blank line, `Assistant:`.
    UserAssistant,
    /// Through the tokenizer's chat template.
    Template,
}

impl Chat {
    fn is_raw(&self) -> bool {
        *self == Chat::Raw
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "true, false, \"raw\", \"user_assistant\" or \"template\" is right")]
enum ChatKey {
    Switch(bool),
    Name(ChatName),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChatName {
    Raw,
    UserAssistant,
    Template,
}

impl From<ChatKey> for Chat {
    fn from(key: ChatKey) -> Self {
        match key {
            ChatKey::Switch(false) | ChatKey::Name(ChatName::Raw) => Chat::Raw,
            ChatKey::Name(ChatName::UserAssistant) => Chat::UserAssistant,
            ChatKey::Switch(true) | ChatKey::Name(ChatName::Template) => Chat::Template,
        }
    }
}

impl From<Chat> for ChatKey {
    fn from(chat: Chat) -> Self {
        match chat {
            Chat::Raw => ChatKey::Switch(false),
            Chat::UserAssistant => ChatKey::Name(ChatName::UserAssistant),
            Chat::Template => ChatKey::Switch(true),
        }
    }
}

/// What becomes of rows that need what their verifier does not have, such as a module of Python.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsupported {
    /// They are wrong, as any row that cannot be judged.
    #[default]
    Error,
    /// They are left out, and counted.
    Skip,
}

impl Unsupported {
    fn is_error(&self) -> bool {
        *self == Unsupported::Error
    }
}

/// The two sides of a generator's problems: no problem is on both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// For documents and for tasks to train on.
    #[default]
    Train,
    /// For evaluation only.
    HeldOut,
}

/// One entry of a stage's `mixture`. It has a weight, a budget, or both: a weight that ends with the budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureEntry {
    /// The name under which its loss is reported; entries may share one.
    pub domain: String,
    /// The source's name.
    pub source: String,
    /// Its share of the tokens, relative to the other weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Its budget in tokens, spread evenly over the stage where there is no weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}
