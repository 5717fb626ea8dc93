//! `generation_config.json`: which ids end a generation, and how the makers of a model sample from it.
//!
//! The ids matter to the sampler: an instruct model often ends its turns with another id than `config.json` names.
//! The rest (temperature and so on) is the makers' advice; it is kept and written back, and never used unasked.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{HfError, pretty, write_durably};
use crate::config::ModelConfig;

/// The contents of a `generation_config.json`.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationConfig {
    /// The id that begins a text.
    pub bos_token_id: Option<u32>,
    /// The ids that end a generation.
    pub eos_token_id: Vec<u32>,
    /// The id that fills batches elsewhere.
    pub pad_token_id: Option<u32>,
    /// All other fields, as they were read.
    pub other: Map<String, Value>,
}

impl GenerationConfig {
    const FILE: &str = "generation_config.json";

    /// What follows from a model's config alone.
    pub fn of_model(config: &ModelConfig) -> Self {
        Self {
            bos_token_id: config.bos_token_id,
            eos_token_id: config.eos_token_id.clone(),
            pad_token_id: config.pad_token_id,
            other: Map::new(),
        }
    }

    /// Reads `FOLDER/generation_config.json`; without the file, or for ids that it leaves out, the config's hold.
    pub fn read(folder: &Path, config: &ModelConfig) -> Result<Self, HfError> {
        let path = folder.join(Self::FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::of_model(config)),
            Err(source) => return Err(HfError::io(&path, "reading")(source)),
        };
        let mut other: Map<String, Value> = serde_json::from_str(&text).map_err(|error| HfError::Json {
            path: path.clone(),
            problem: format!("not a JSON object: {error}"),
        })?;
        let mut ids = |field: &str| match other.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read_ids(&value).map(Some).ok_or_else(|| HfError::Json {
                path: path.clone(),
                problem: format!("`{field}` is {value}: a token id or a list of them is right"),
            }),
        };
        let (bos, eos, pad) = (ids("bos_token_id")?, ids("eos_token_id")?, ids("pad_token_id")?);
        Ok(Self {
            bos_token_id: bos.map_or(config.bos_token_id, |ids| ids.first().copied()),
            eos_token_id: eos.unwrap_or_else(|| config.eos_token_id.clone()),
            pad_token_id: pad.map_or(config.pad_token_id, |ids| ids.first().copied()),
            other,
        })
    }

    /// Writes `FOLDER/generation_config.json`.
    pub fn write(&self, folder: &Path) -> Result<(), HfError> {
        let mut fields = self.other.clone();
        fields.insert("bos_token_id".to_string(), json!(self.bos_token_id));
        let eos = match self.eos_token_id.as_slice() {
            [] => Value::Null,
            [one] => json!(one),
            several => json!(several),
        };
        fields.insert("eos_token_id".to_string(), eos);
        fields.insert("pad_token_id".to_string(), json!(self.pad_token_id));
        fields.retain(|_, value| !value.is_null());
        write_durably(&folder.join(Self::FILE), pretty(&Value::Object(fields)).as_bytes())
    }
}

/// One id or a list; negative ids mean "none".
fn read_ids(value: &Value) -> Option<Vec<u32>> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let ids = items.iter().map(Value::as_i64).collect::<Option<Vec<_>>>()?;
    ids.into_iter().filter(|id| *id >= 0).map(|id| u32::try_from(id).ok()).collect()
}
