//! Hugging Face model folders: read and written tensor by tensor, so that memory holds the model once.
//!
//! A folder holds `config.json`, `generation_config.json` and the weights: `model.safetensors`, or shards named by
//! `model.safetensors.index.json`. Reading checks every tensor's name and shape before the first byte of data is
//! touched. Writing goes through a temporary file, fsync and rename, so that a file of a folder is whole or absent.

mod adapter;
mod durable;
mod generation;
mod weights;

use std::path::{Path, PathBuf};

use safetensors::Dtype as StoredDtype;
use serde_json::Value;
use thiserror::Error;

use crate::config::{ConfigError, Dtype, ModelConfig};
pub use adapter::adapter_base;
pub(crate) use adapter::{read_adapter, write_adapter};
pub use durable::write_durably;
pub use generation::GenerationConfig;
pub use weights::{EachTensor, SHARD_BYTES, read_weights};

/// Why a model folder cannot be read or written.
#[derive(Debug, Error)]
pub enum HfError {
    /// `config.json` is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system refused to read or write a file.
    #[error("{path}: {doing} failed: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said; a full disk is said here.
        source: std::io::Error,
    },
    /// A JSON file other than `config.json` cannot be understood.
    #[error("{path}: {problem}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where known.
        problem: String,
    },
    /// The folder holds no safetensors weights.
    #[error("{folder}: no model.safetensors and no model.safetensors.index.json{hint}")]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// What is there instead.
        hint: &'static str,
    },
    /// A file does not start with a whole safetensors header, or its size is not what the header says.
    #[error("{path}: not a whole safetensors file: {problem}")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A tensor of the model is in none of the files.
    #[error("{path}: tensor `{tensor}` {shape:?} is missing; the config asks for it")]
    Missing {
        /// The weights or their index.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that the config gives it.
        shape: Vec<usize>,
    },
    /// A file holds a tensor that the model has no place for.
    #[error("{path}: tensor `{tensor}` {shape:?} is no part of a {class} with this config")]
    Extra {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// The model's class.
        class: &'static str,
    },
    /// A tensor has another shape than the config gives it.
    #[error("{path}: tensor `{tensor}` has shape {found:?}, the config gives it {expected:?}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that the config gives it.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor is stored in a type that is not read.
    #[error("{path}: tensor `{tensor}` is stored as {found:?}; F32, BF16 and F16 are read")]
    StoredAs {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type in the file.
        found: StoredDtype,
    },
    /// A tensor of an adapter is missing or does not fit.
    #[error("{path}: tensor `{tensor}` {problem}")]
    Adapter {
        /// The adapter's weights.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A caller's tensors are not those of its config.
    #[error("cannot write {folder}: {problem}")]
    Tensors {
        /// The folder.
        folder: PathBuf,
        /// What does not fit.
        problem: String,
    },
}

impl HfError {
    fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> HfError {
        let path = path.to_path_buf();
        move |source| HfError::Io { path, doing, source }
    }
}

/// Writes `config.json`, `generation_config.json` and the weights to `folder`, which is made where it is absent.
///
/// `tensors` are the model's, as (name, shape, numbers), each once and in any order; they are stored as f32, which
/// `config.json` then says. Weights of more than `shard_bytes` bytes ([`SHARD_BYTES`] as a rule) are cut into shards,
/// each of at most that size but for a single tensor larger than it. Weights of an earlier write are removed last.
pub fn write_folder<'a>(
    folder: &Path,
    config: &ModelConfig,
    tensors: impl IntoIterator<Item = (String, Vec<usize>, &'a [f32])>,
    generation: &GenerationConfig,
    shard_bytes: usize,
) -> Result<(), HfError> {
    std::fs::create_dir_all(folder).map_err(HfError::io(folder, "making the folder"))?;
    let stored = ModelConfig { dtype: Dtype::F32, ..config.clone() };
    weights::write_weights(folder, &stored, tensors.into_iter(), shard_bytes)?;
    generation.write(folder)?;
    write_durably(&folder.join("config.json"), pretty(&Value::Object(stored.to_json())).as_bytes())
}

/// JSON as transformers writes it: two spaces a level, a newline at the end.
pub(crate) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
