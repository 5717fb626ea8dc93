//! What a model is, as `config.json` states it: sizes, rotary embedding, special token ids.
//!
//! Hugging Face folders come in two spellings: the old one (`rope_theta`, `rope_scaling`, `torch_dtype`) and that
//! of transformers 5 (`rope_parameters`, `dtype`). Both are read; what is written carries both, so that old and new
//! readers agree. Every field of the file is accounted for: it is used, known to change nothing, or an error that
//! names it. A field that is silently ignored would train another model than the one on disk.
//!
//! An architecture is one function that reads its fields (in `architecture`) and one list of blocks
//! ([`ModelConfig::blocks`]); families are told apart there and nowhere else.

mod architecture;
mod fields;
mod layers;
mod parts;
mod rope;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use thiserror::Error;

pub use architecture::Architecture;
use fields::{Fields, named_infinities};
pub use layers::{BlockKind, BlockSpec, Init, LayerType, ParamSpec};
pub use parts::{Mamba, Multipliers};
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

    /// The field, under its new or its old name; f32 without it.
    fn read(fields: &mut Fields<'_>) -> Result<Self, ConfigError> {
        match (fields.string("dtype")?, fields.string("torch_dtype")?) {
            (Some(new), Some(old)) if new != old => {
                Err(ConfigError::field("dtype", format!("is \"{new}\", but `torch_dtype` says \"{old}\"")))
            }
            (Some(name), _) => Dtype::named("dtype", &name),
            (None, Some(name)) => Dtype::named("torch_dtype", &name),
            (None, None) => Ok(Dtype::F32),
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
    /// Width of one head; even where there are rotary positions. Where absent, `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    /// What each layer mixes tokens with, `[num_hidden_layers]`.
    pub layers: Vec<LayerType>,
    /// Positions that sliding attention sees, itself included.
    pub sliding_window: Option<usize>,
    /// Whether the projections to queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Whether the projection out of attention has one.
    pub output_bias: bool,
    /// Whether the MLP's projections have biases.
    pub mlp_bias: bool,
    /// Whether queries and keys are normalised by head before they are rotated.
    pub qk_norm: bool,
    /// Granite's factors.
    pub multipliers: Multipliers,
    /// Sizes of the Mamba-2 layers, if there are any.
    pub mamba: Option<Mamba>,
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
        let fields: Map<String, Value> = serde_json::from_str(&named_infinities(&text))
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

    /// The sizes and ids that all architectures have; the rest is as for the plainest of them.
    fn read_sizes(architecture: Architecture, fields: &mut Fields<'_>) -> Result<Self, ConfigError> {
        let hidden_size = fields.required_size("hidden_size")?;
        let num_attention_heads = fields.required_size("num_attention_heads")?;
        let max_position_embeddings = fields.required_size("max_position_embeddings")?;
        if num_attention_heads == 0 {
            return Err(ConfigError::field("num_attention_heads", "is 0: at least 1 is right"));
        }
        let nemotron = architecture == Architecture::NemotronH;
        let num_hidden_layers = if nemotron { 0 } else { fields.required_size("num_hidden_layers")? };
        if num_hidden_layers > MOST_LAYERS {
            let problem = format!("is {num_hidden_layers}: 1 to {MOST_LAYERS} is right");
            return Err(ConfigError::field("num_hidden_layers", problem));
        }
        let head_dim = fields.same_size(&["head_dim", "attention_head_dim"])?.or(match architecture {
            Architecture::Qwen3 | Architecture::NemotronH => Some(128),
            _ => None,
        });
        if head_dim.is_none() && !hidden_size.is_multiple_of(num_attention_heads) {
            let problem = format!(
                "is {hidden_size}: a multiple of `num_attention_heads` ({num_attention_heads}) is right"
            );
            return Err(ConfigError::field("hidden_size", problem));
        }
        let kv_heads = fields.same_size(&["num_key_value_heads", "num_query_groups"])?;
        // without the field, Qwen's have none
        let qwen = matches!(architecture, Architecture::Qwen2 | Architecture::Qwen3);
        let default_id = |id: u32| if qwen { Vec::new() } else { vec![id] };
        Ok(Self {
            architecture,
            vocab_size: fields.required_size("vocab_size")?,
            hidden_size,
            // Granite's hybrids have a shared MLP of another size and no use for this field
            intermediate_size: match architecture {
                Architecture::GraniteMoeHybrid => fields.size("intermediate_size")?.unwrap_or(1),
                _ => fields.required_size("intermediate_size")?,
            },
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: kv_heads.unwrap_or(num_attention_heads),
            head_dim: head_dim.unwrap_or(hidden_size / num_attention_heads),
            layers: vec![LayerType::FullAttention; num_hidden_layers],
            sliding_window: None,
            qkv_bias: false,
            output_bias: false,
            mlp_bias: false,
            qk_norm: false,
            multipliers: Multipliers::default(),
            mamba: None,
            max_position_embeddings,
            rms_norm_eps: 1e-6,
            rope: None,
            tie_word_embeddings: fields.flag("tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: fields.ids("bos_token_id", &default_id(1))?.first().copied(),
            eos_token_id: fields.ids("eos_token_id", &default_id(2))?,
            pad_token_id: fields.ids("pad_token_id", if nemotron { &[0] } else { &[] })?.first().copied(),
            initializer_range: fields.number("initializer_range")?.unwrap_or(0.02),
            dtype: Dtype::read(fields)?,
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
        if !heads.is_multiple_of(kv_heads) {
            let problem = format!("is {kv_heads}: a divisor of `num_attention_heads` ({heads}) is right");
            return Err(ConfigError::field("num_key_value_heads", problem));
        }
        if self.layers.len() != self.num_hidden_layers {
            let problem = format!("has {} entries for {} layers", self.layers.len(), self.num_hidden_layers);
            return Err(ConfigError::field("layer_types", problem));
        }
        if self.layers.contains(&LayerType::SlidingAttention) && self.sliding_window.is_none_or(|w| w == 0) {
            let problem = "is needed, at least 1, for `layer_types` has sliding_attention";
            return Err(ConfigError::field("sliding_window", problem));
        }
        if self.layers.contains(&LayerType::Mamba) && self.mamba.is_none() {
            let problem = format!("has linear_attention, which {} knows not", self.architecture.class_name());
            return Err(ConfigError::field("layer_types", problem));
        }
        if self.layers.contains(&LayerType::Mlp) && self.architecture != Architecture::NemotronH {
            let problem = format!("has mlp, which {} knows not", self.architecture.class_name());
            return Err(ConfigError::field("layer_types", problem));
        }
        if self.rope.is_some() && !self.head_dim.is_multiple_of(2) {
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
        self.multipliers.validate()?;
        self.mamba.as_ref().map_or(Ok(()), |mamba| mamba.validate(self.architecture))?;
        self.rope.as_ref().map_or(Ok(()), Rope::validate)
    }

    /// Rotary inverse frequencies in radians a position, `[head_dim / 2]`, f64: pair `i` of a head turns by
    /// `position * inv_freq[i]`. Empty where the model has no rotary positions.
    pub fn inv_freq(&self) -> Vec<f64> {
        self.rope.as_ref().map_or_else(Vec::new, |rope| rope.inv_freq(self.head_dim))
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
            "attention_dropout": 0.0,
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
        self.architecture.write(self, &mut fields);
        fields
    }
}
