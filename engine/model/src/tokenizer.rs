//! Text to token ids and back, from and to the files of a Hugging Face folder.
//!
//! The work is done by the `tokenizers` crate; this module adds what stands beside `tokenizer.json`: which ids begin
//! and end a text, the chat template, and whether the ids fit a model. A tokenizer that was loaded is saved byte for
//! byte as it came, so that an exported model speaks exactly the language that it was given.

mod stream;
mod train;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::chat::{ChatError, ChatTemplate};
use crate::config::ModelConfig;
use crate::hf::{HfError, write_durably};
pub use stream::StreamDecoder;
pub use train::{ALPHABET, SMALLEST_BPE};

/// Why a tokenizer cannot be loaded, trained, used or saved.
#[derive(Debug, Error)]
pub enum TokenizerError {
    /// The system refused to read a file.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the tokenizer cannot be understood.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The model has no row for some token.
    #[error(
        "the tokenizer has {tokens} ids (the last is {id} for {token:?}), but the model's vocab_size is {vocab_size}: \
         take the tokenizer that belongs to the model"
    )]
    DoesNotFit {
        /// One more than the largest id.
        tokens: usize,
        /// The largest id.
        id: u32,
        /// Its token.
        token: String,
        /// Rows of the model's embedding.
        vocab_size: usize,
    },
    /// A vocabulary of the asked size cannot be trained.
    #[error("vocab_size {asked} is too small: this kind of tokenizer has at least {least} tokens")]
    TooSmall {
        /// The size asked for.
        asked: usize,
        /// The smallest that there is.
        least: usize,
    },
    /// Training, encoding or decoding failed in the `tokenizers` crate.
    #[error("{doing} failed: {problem}")]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// Its message.
        problem: String,
    },
    /// The files cannot be written.
    #[error(transparent)]
    Save(#[from] HfError),
}

const JSON: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const TEMPLATE: &str = "chat_template.jinja";
/// The files that belong to a tokenizer; the first must be there.
const FILES: [&str; 4] = [JSON, CONFIG, SPECIAL, TEMPLATE];

/// The special tokens that transformers names, as they may appear in a chat template.
const SPECIAL_NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// A tokenizer with its special tokens and its files.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// File name to contents, as read or as trained.
    files: BTreeMap<&'static str, Vec<u8>>,
    /// `bos_token` and so on, to the token's text.
    special: BTreeMap<String, String>,
    chat_template: Option<String>,
}

impl Tokenizer {
    /// Loads from a model folder, or from a `tokenizer.json` with the files beside it. An adapter's folder without one has its base's.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        if path.is_dir()
            && !path.join(JSON).is_file()
            && let Ok(Some(base)) = crate::hf::adapter_base(path)
        {
            return Self::load(&base);
        }
        let json = if path.is_dir() { path.join(JSON) } else { path.to_path_buf() };
        let folder = json.parent().unwrap_or(Path::new("")).to_path_buf();
        let mut files = BTreeMap::new();
        for name in FILES {
            let file = if name == JSON { json.clone() } else { folder.join(name) };
            match std::fs::read(&file) {
                Ok(bytes) => {
                    files.insert(name, bytes);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && name != JSON => {}
                Err(source) => return Err(TokenizerError::Read { path: file, source }),
            }
        }
        Self::from_files(files, &folder)
    }

    /// The one way in: what was trained passes through here too. `folder` is for messages.
    fn from_files(files: BTreeMap<&'static str, Vec<u8>>, folder: &Path) -> Result<Self, TokenizerError> {
        let at = |name: &str| folder.join(name);
        let bytes = files.get(JSON).map_or(&[][..], Vec::as_slice);
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| TokenizerError::File {
            path: at(JSON),
            problem: format!("not a tokenizer of the `tokenizers` library: {error}"),
        })?;
        // Some files carry the settings of their last batch; a text is never cut or padded here.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| failed("turning truncation off", &error))?;

        let object = |name: &'static str| -> Result<Map<String, Value>, TokenizerError> {
            let Some(bytes) = files.get(name) else { return Ok(Map::new()) };
            serde_json::from_slice(bytes).map_err(|error| TokenizerError::File {
                path: at(name),
                problem: format!("not a JSON object: {error}"),
            })
        };
        let (config, map) = (object(CONFIG)?, object(SPECIAL)?);
        let mut special = BTreeMap::new();
        for name in SPECIAL_NAMES {
            if let Some(token) =
                config.get(name).and_then(token_text).or_else(|| map.get(name).and_then(token_text))
            {
                special.insert(name.to_string(), token);
            }
        }
        for name in ["bos_token", "eos_token"] {
            if let Some(token) = special.get(name)
                && inner.token_to_id(token).is_none()
            {
                let file = if config.contains_key(name) { CONFIG } else { SPECIAL };
                let problem = format!("`{name}` is {token:?}, which is no token of {JSON}");
                return Err(TokenizerError::File { path: at(file), problem });
            }
        }
        let chat_template = match files.get(TEMPLATE) {
            Some(bytes) => Some(String::from_utf8(bytes.clone()).map_err(|_| TokenizerError::File {
                path: at(TEMPLATE),
                problem: "not UTF-8 text".to_string(),
            })?),
            None => config.get("chat_template").and_then(default_template),
        };
        Ok(Self { inner, files, special, chat_template })
    }

    /// Writes the tokenizer's files to `folder`, as transformers' `AutoTokenizer.from_pretrained` reads them.
    pub fn save(&self, folder: &Path) -> Result<(), TokenizerError> {
        for (name, bytes) in &self.files {
            write_durably(&folder.join(name), bytes)?;
        }
        Ok(())
    }

    /// The ids of `text` alone. A special token spelled out in the text becomes its id, as in transformers.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_with(text, false)
    }

    /// The ids of `text` with the special tokens that the tokenizer puts around a text, such as the one that begins
    /// it.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.encode_with(text, true)
    }

    fn encode_with(&self, text: &str, special: bool) -> Result<Vec<u32>, TokenizerError> {
        let encoding =
            self.inner.encode_fast(text, special).map_err(|error| failed("encoding a text", &error))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The first part of `text` that the tokenizer cannot write, and the model would read as
    /// [`unk_id`](Self::unk_id); `None` where every part has a token of its own.
    pub fn unknown<'t>(&self, text: &'t str) -> Result<Option<&'t str>, TokenizerError> {
        let Some(unk) = self.unk_id() else { return Ok(None) };
        let encoding = self.inner.encode(text, false).map_err(|error| failed("encoding a text", &error))?;
        let places = encoding.get_ids().iter().zip(encoding.get_offsets());
        let parts =
            places.filter(|(id, _)| **id == unk).filter_map(|(_, (start, end))| text.get(*start..*end));
        // spelled out, the token is itself
        Ok(parts.into_iter().find(|part| Some(*part) != self.special.get("unk_token").map(String::as_str)))
    }

    /// The text of `ids` without special tokens. Ids of no token are passed over; bytes that are no UTF-8 become
    /// U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(ids, true).map_err(|error| failed("decoding ids", &error))
    }

    /// As [`decode`](Self::decode), with special tokens spelled out.
    pub fn decode_with_special(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        self.inner.decode(ids, false).map_err(|error| failed("decoding ids", &error))
    }

    /// A decoder for ids that come one at a time.
    pub fn stream(&self) -> StreamDecoder<'_> {
        StreamDecoder::new(self)
    }

    /// The id that begins a text.
    pub fn bos_id(&self) -> Option<u32> {
        self.special_id("bos_token")
    }

    /// The id that ends a text. A model may have more of them: see
    /// [`GenerationConfig`](crate::hf::GenerationConfig::eos_token_id).
    pub fn eos_id(&self) -> Option<u32> {
        self.special_id("eos_token")
    }

    /// The id that fills batches elsewhere.
    pub fn pad_id(&self) -> Option<u32> {
        self.special_id("pad_token")
    }

    /// The id that stands for what the tokenizer cannot write; `None` where it can write everything.
    pub fn unk_id(&self) -> Option<u32> {
        self.special_id("unk_token")
    }

    fn special_id(&self, name: &str) -> Option<u32> {
        self.special.get(name).and_then(|token| self.inner.token_to_id(token))
    }

    /// The token's own spelling, such as `Ġthe`; `None` for an id without a token.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token by its spelling, such as `<|im_end|>`.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// One more than the largest id: the rows that a model needs.
    pub fn vocab_size(&self) -> usize {
        self.largest().map_or(0, |(id, _)| id as usize + 1)
    }

    fn largest(&self) -> Option<(u32, String)> {
        self.inner.get_vocab(true).into_iter().map(|(token, id)| (id, token)).max()
    }

    /// Checks that the model has a row for every token. More rows than tokens are usual (padded vocabularies).
    pub fn check_fits(&self, config: &ModelConfig) -> Result<(), TokenizerError> {
        match self.largest() {
            Some((id, token)) if id as usize >= config.vocab_size => Err(TokenizerError::DoesNotFit {
                tokens: id as usize + 1,
                id,
                token,
                vocab_size: config.vocab_size,
            }),
            _ => Ok(()),
        }
    }

    /// The chat template; `None` for the tokenizer of a base model that has none.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>, ChatError> {
        self.chat_template.as_deref().map(|source| ChatTemplate::new(source, &self.special)).transpose()
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("special", &self.special)
            .finish_non_exhaustive()
    }
}

fn failed(doing: &'static str, error: &dyn std::fmt::Display) -> TokenizerError {
    TokenizerError::Failed { doing, problem: error.to_string() }
}

/// A special token is written as its text or as an object with it.
fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
}

/// A template is written as text, or as a list of named ones.
fn default_template(value: &Value) -> Option<String> {
    let named = |list: &Vec<Value>| {
        let found = list.iter().find(|one| one.get("name").and_then(Value::as_str) == Some("default"))?;
        found.get("template")?.as_str().map(str::to_string)
    };
    value.as_str().map(str::to_string).or_else(|| value.as_array().and_then(named))
}
