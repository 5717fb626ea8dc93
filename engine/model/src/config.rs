//! What a model is, as `config.json` states it: sizes, rotary embedding, special token ids.
//!
//! Hugging Face folders come in two spellings: the old one (`rope_theta`, `rope_scaling`, `torch_dtype`) and that
//! of transformers 5 (`rope_parameters`, `dtype`). Both are read; what is written carries both, so that old and new
//! readers agree. Every field of the file is accounted for: it is used, known to change nothing, or an error that
//! names it. A field that is silently ignored would train another model than the one on disk.
//!
//! An architecture is one function that reads its fields (`Architecture::read`) and one list of blocks
//! ([`ModelConfig::parameter_names_and_shapes`]); families are told apart there and nowhere else.

mod fields;
mod rope;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use thiserror::Error;

use fields::Fields;
pub use rope::{Llama3, Rope};

/// Why a `config.json` is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}; a model folder holds a config.json")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a JSON object.
    #[error("{path}: not a JSON object: {source}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        source: serde_json::Error,
    },
    /// A field is missing, unknown, of the wrong type, unsupported, or at odds with another.
    #[error("{at}`{field}` {problem}")]
    Field {
        /// `FILE:LINE: `, `FILE: ` where the field is absent, or empty where the values came from no file.
        at: String,
        /// The field, dotted where it is inside another: `rope_parameters.rope_type`.
        field: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl ConfigError {
    fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        ConfigError::Field { at: String::new(), field: field.into(), problem: problem.into() }
    }

    /// Adds the file, and the line on which the field stands in it.
    fn in_file(self, path: &Path, text: &str) -> Self {
        let ConfigError::Field { field, problem, .. } = self else { return self };
        let key = format!("\"{}\"", field.rsplit('.').next().unwrap_or(&field));
        let at = match text.lines().position(|line| line.contains(&key)) {
            Some(line) => format!("{}:{}: ", path.display(), line + 1),
            None => format!("{}: ", path.display()),
        };
        ConfigError::Field { at, field, problem }
    }
}

/// A family of models whose forward this crate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama 2, 3, 3.1, 3.2, SmolLM2 and others of `LlamaForCausalLM`: pre-norm blocks of grouped-query attention
    /// with rotary positions and of SwiGLU, no biases.
    Llama,
}

impl Architecture {
    const ALL: [Architecture; 1] = [Architecture::Llama];

    /// The class name in `architectures`.
    pub fn class_name(self) -> &'static str {
        match self {
            Architecture::Llama => "LlamaForCausalLM",
        }
    }

    /// The name in `model_type`.
    pub fn model_type(self) -> &'static str {
        match self {
            Architecture::Llama => "llama",
        }
    }

    /// The architecture that `architectures` and `model_type` name; Llama where neither is given.
    fn named(fields: &mut Fields<'_>) -> Result<Self, ConfigError> {
        let classes = fields.strings("architectures")?;
        let model_type = fields.string("model_type")?;
        let known = || Self::ALL.map(Self::class_name).join(", ");
        let by_class = match classes.as_slice() {
            [] => None,
            [class] => {
                Some(Self::ALL.into_iter().find(|one| one.class_name() == class).ok_or_else(|| {
                    ConfigError::field("architectures", format!("is [\"{class}\"]: supported is {}", known()))
                })?)
            }
            more => {
                return Err(ConfigError::field(
                    "architectures",
                    format!("names {} classes: one is right", more.len()),
                ));
            }
        };
        let by_type = match &model_type {
            None => None,
            Some(name) => {
                Some(Self::ALL.into_iter().find(|one| one.model_type() == name).ok_or_else(|| {
                    let types = Self::ALL.map(Self::model_type).join(", ");
                    ConfigError::field("model_type", format!("is \"{name}\": supported is {types}"))
                })?)
            }
        };
        match (by_class, by_type) {
            (Some(class), Some(typed)) if class != typed => Err(ConfigError::field(
                "model_type",
                format!("is \"{}\", but `architectures` says {}", typed.model_type(), class.class_name()),
            )),
            (class, typed) => Ok(class.or(typed).unwrap_or(Architecture::Llama)),
        }
    }

    /// Reads the fields of this architecture; those it has no use for are left in `fields`.
    fn read(self, fields: &mut Fields<'_>) -> Result<ModelConfig, ConfigError> {
        match self {
            Architecture::Llama => {
                fields.only_strings("hidden_act", &["silu", "swish"])?;
                for bias in ["attention_bias", "mlp_bias"] {
                    fields.only_false(bias)?;
                }
                // Written by SmolLM2; rotary pairs are (i, i + head_dim / 2) in every checkpoint of this class.
                fields.only_false("rope_interleaved")?;
                fields.only_number("attention_dropout", 0.0)?;
                fields.only_number("pretraining_tp", 1.0)?;
                fields.only_null("sliding_window")?;
                fields.only_null("quantization_config")?;
                ModelConfig::read_common(self, fields)
            }
        }
    }
}

/// The type that the folder's weights are stored in; in memory they are f32 on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// `float32`
    F32,
    /// `bfloat16`
    Bf16,
    /// `float16`
    F16,
}

impl Dtype {
    /// The name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "float32",
            Dtype::Bf16 => "bfloat16",
            Dtype::F16 => "float16",
        }
    }

    fn named(field: &str, name: &str) -> Result<Self, ConfigError> {
        [Dtype::F32, Dtype::Bf16, Dtype::F16].into_iter().find(|one| one.name() == name).ok_or_else(|| {
            ConfigError::field(field, format!("is \"{name}\": supported are float32, bfloat16, float16"))
        })
    }
}

/// A model's sizes and constants, named as in `config.json`.
///
/// ```
/// use rlvr_model::config::ModelConfig;
///
/// let fields = serde_json::json!({
///     "vocab_size": 99, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2,
///     "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
///     "tie_word_embeddings": true,
/// });
/// let config = ModelConfig::from_json(fields.as_object().unwrap())?;
/// assert_eq!(config.head_dim, 16);
/// assert_eq!(config.parameters(), 92_672);
/// # Ok::<(), rlvr_model::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Which family's forward this is.
    pub architecture: Architecture,
    /// Rows of the embedding and of the output matrix.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of one head; even. Where absent, `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    /// The longest sequence, in tokens, that the model is meant for.
    pub max_position_embeddings: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Rotary positions; `None` where attention sees no positions.
    pub rope: Option<Rope>,
    /// Whether the output matrix is the embedding.
    pub tie_word_embeddings: bool,
    /// The id that begins a text.
    pub bos_token_id: Option<u32>,
    /// The ids that end a text.
    pub eos_token_id: Vec<u32>,
    /// The id that fills batches elsewhere; never fed to the model here.
    pub pad_token_id: Option<u32>,
    /// Standard deviation of random weights.
    pub initializer_range: f64,
    /// The type of the weights on disk.
    pub dtype: Dtype,
}

/// No model has a size beyond this; a larger one is a slip that would otherwise overflow or exhaust memory.
const LARGEST_SIZE: usize = 1 << 31;
/// No model has more blocks than this.
const MOST_LAYERS: usize = 1 << 16;

impl ModelConfig {
    /// Reads `FOLDER/config.json`.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let fields: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|source| ConfigError::Syntax { path: path.clone(), source })?;
        if !fields.contains_key("architectures") && !fields.contains_key("model_type") {
            let problem = "is missing: without it, it is not known which model this is";
            return Err(ConfigError::field("model_type", problem).in_file(&path, &text));
        }
        Self::from_json(&fields).map_err(|error| error.in_file(&path, &text))
    }

    /// Takes the fields of a `config.json` from anywhere; without `model_type` they are Llama's.
    ///
    /// Defaults are transformers' where it has one that is no guess at a size.
    pub fn from_json(fields: &Map<String, Value>) -> Result<Self, ConfigError> {
        let mut fields = Fields::new(fields);
        let architecture = Architecture::named(&mut fields)?;
        let config = architecture.read(&mut fields)?;
        fields.finish(architecture.class_name())?;
        config.validate()?;
        Ok(config)
    }

    /// The fields that all architectures share.
    fn read_common(architecture: Architecture, fields: &mut Fields<'_>) -> Result<Self, ConfigError> {
        let hidden_size = fields.required_size("hidden_size")?;
        let num_attention_heads = fields.required_size("num_attention_heads")?;
        let max_position_embeddings = fields.required_size("max_position_embeddings")?;
        if num_attention_heads == 0 {
            return Err(ConfigError::field("num_attention_heads", "is 0: at least 1 is right"));
        }
        let dtype = match (fields.string("dtype")?, fields.string("torch_dtype")?) {
            (Some(new), Some(old)) if new != old => {
                return Err(ConfigError::field(
                    "dtype",
                    format!("is \"{new}\", but `torch_dtype` says \"{old}\""),
                ));
            }
            (Some(name), _) => Dtype::named("dtype", &name)?,
            (None, Some(name)) => Dtype::named("torch_dtype", &name)?,
            (None, None) => Dtype::F32,
        };
        Ok(Self {
            architecture,
            vocab_size: fields.required_size("vocab_size")?,
            hidden_size,
            intermediate_size: fields.required_size("intermediate_size")?,
            num_hidden_layers: fields.required_size("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: fields.size("num_key_value_heads")?.unwrap_or(num_attention_heads),
            head_dim: fields.size("head_dim")?.unwrap_or(hidden_size / num_attention_heads),
            max_position_embeddings,
            rms_norm_eps: fields.number("rms_norm_eps")?.unwrap_or(1e-6),
            rope: Some(Rope::read(fields, max_position_embeddings)?),
            tie_word_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: fields.ids("bos_token_id", &[1])?.first().copied(),
            eos_token_id: fields.ids("eos_token_id", &[2])?,
            pad_token_id: fields.ids("pad_token_id", &[])?.first().copied(),
            initializer_range: fields.number("initializer_range")?.unwrap_or(0.02),
            dtype,
        })
    }

    /// Checks that the sizes fit each other; [`from_json`](Self::from_json) has done so, code that sets fields may
    /// call it again.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (field, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            let most = if field == "num_hidden_layers" { MOST_LAYERS } else { LARGEST_SIZE };
            if size == 0 || size > most {
                return Err(ConfigError::field(field, format!("is {size}: 1 to {most} is right")));
            }
        }
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        if !self.hidden_size.is_multiple_of(heads) {
            let problem =
                format!("is {}: a multiple of `num_attention_heads` ({heads}) is right", self.hidden_size);
            return Err(ConfigError::field("hidden_size", problem));
        }
        if !heads.is_multiple_of(kv_heads) {
            let problem = format!("is {kv_heads}: a divisor of `num_attention_heads` ({heads}) is right");
            return Err(ConfigError::field("num_key_value_heads", problem));
        }
        if !self.head_dim.is_multiple_of(2) {
            let problem = format!("is {}: rotary positions need an even one", self.head_dim);
            return Err(ConfigError::field("head_dim", problem));
        }
        if !(self.rms_norm_eps > 0.0 && self.rms_norm_eps < 1.0) {
            let problem = format!("is {}: a small positive number such as 1e-5 is right", self.rms_norm_eps);
            return Err(ConfigError::field("rms_norm_eps", problem));
        }
        if !(0.0..=1.0).contains(&self.initializer_range) {
            let problem = format!("is {}: 0 to 1 is right", self.initializer_range);
            return Err(ConfigError::field("initializer_range", problem));
        }
        self.rope.as_ref().map_or(Ok(()), Rope::validate)
    }

    /// Rotary inverse frequencies in radians a position, `[head_dim / 2]`, f64: pair `i` of a head turns by
    /// `position * inv_freq[i]`. Empty where the model has no rotary positions.
    pub fn inv_freq(&self) -> Vec<f64> {
        self.rope.as_ref().map_or_else(Vec::new, |rope| rope.inv_freq(self.head_dim))
    }

    /// Every trainable tensor with its shape, under its Hugging Face name, in the order of the forward. Matrices are
    /// `[out, in]`. A tied output matrix is not listed: it is `model.embed_tokens.weight`.
    pub fn parameter_names_and_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let mut list =
            vec![("model.embed_tokens.weight".to_string(), vec![self.vocab_size, self.hidden_size])];
        for layer in 0..self.num_hidden_layers {
            let block = format!("model.layers.{layer}");
            list.push((format!("{block}.input_layernorm.weight"), vec![self.hidden_size]));
            self.attention_parameters(&block, &mut list);
            list.push((format!("{block}.post_attention_layernorm.weight"), vec![self.hidden_size]));
            self.gated_mlp_parameters(&block, &mut list);
        }
        list.push(("model.norm.weight".to_string(), vec![self.hidden_size]));
        if !self.tie_word_embeddings {
            list.push(("lm_head.weight".to_string(), vec![self.vocab_size, self.hidden_size]));
        }
        list
    }

    fn attention_parameters(&self, block: &str, list: &mut Vec<(String, Vec<usize>)>) {
        let queries = self.num_attention_heads * self.head_dim;
        let keys = self.num_key_value_heads * self.head_dim;
        for (name, shape) in [
            ("q_proj", [queries, self.hidden_size]),
            ("k_proj", [keys, self.hidden_size]),
            ("v_proj", [keys, self.hidden_size]),
            ("o_proj", [self.hidden_size, queries]),
        ] {
            list.push((format!("{block}.self_attn.{name}.weight"), shape.to_vec()));
        }
    }

    fn gated_mlp_parameters(&self, block: &str, list: &mut Vec<(String, Vec<usize>)>) {
        for (name, shape) in [
            ("gate_proj", [self.intermediate_size, self.hidden_size]),
            ("up_proj", [self.intermediate_size, self.hidden_size]),
            ("down_proj", [self.hidden_size, self.intermediate_size]),
        ] {
            list.push((format!("{block}.mlp.{name}.weight"), shape.to_vec()));
        }
    }

    /// The number of trainable numbers; a tied output matrix counts once.
    pub fn parameters(&self) -> usize {
        let size = |shape: &[usize]| shape.iter().fold(1_usize, |all, side| all.saturating_mul(*side));
        self.parameter_names_and_shapes().iter().fold(0, |sum, (_, shape)| sum.saturating_add(size(shape)))
    }

    /// The fields of a `config.json` that transformers 4 and 5, vLLM and [`from_json`](Self::from_json) read alike.
    pub fn to_json(&self) -> Map<String, Value> {
        let eos = match self.eos_token_id.as_slice() {
            [] => Value::Null,
            [one] => json!(one),
            several => json!(several),
        };
        let fields = json!({
            "architectures": [self.architecture.class_name()],
            "model_type": self.architecture.model_type(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "attention_bias": false,
            "attention_dropout": 0.0,
            "mlp_bias": false,
            "max_position_embeddings": self.max_position_embeddings,
            "rms_norm_eps": self.rms_norm_eps,
            "initializer_range": self.initializer_range,
            "tie_word_embeddings": self.tie_word_embeddings,
            "bos_token_id": self.bos_token_id,
            "eos_token_id": eos,
            "pad_token_id": self.pad_token_id,
            "dtype": self.dtype.name(),
            "torch_dtype": self.dtype.name(),
            "use_cache": true,
        });
        let Value::Object(mut fields) = fields else { unreachable!("json!({{..}}) is an object") };
        if let Some(rope) = &self.rope {
            rope.write(&mut fields);
        }
        fields
    }
}
