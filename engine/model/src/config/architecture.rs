//! The families of models: how each is named, which fields of `config.json` it has, and what they mean.
//!
//! A family is read here and nowhere else; what comes out is a [`ModelConfig`] that says in common terms what the model is.

use super::fields::Fields;
use super::layers::LayerType;
use super::{ConfigError, Mamba, ModelConfig, Rope};
use serde_json::{Map, Value, json};

/// A family of models whose forward this crate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Llama 2, 3, 3.1, 3.2, SmolLM2 and others of `LlamaForCausalLM`: pre-norm blocks of grouped-query attention
    /// with rotary positions and of SwiGLU.
    Llama,
    /// Mistral: Llama's blocks, attention within a sliding window, heads of any width.
    Mistral,
    /// Qwen2 and Qwen2.5: Llama's blocks with biases on queries, keys and values; later layers may have a sliding window.
    Qwen2,
    /// Qwen3, dense: Llama's blocks with queries and keys normalised by head.
    Qwen3,
    /// Granite 3: Llama's blocks with four multipliers.
    Granite,
    /// Granite 4: layers of attention or Mamba-2, each with a shared MLP; experts are not supported.
    GraniteMoeHybrid,
    /// Nemotron-H: one block a layer, which is Mamba-2, attention or an MLP with a squared ReLU; no positions.
    NemotronH,
}

use Architecture::{Granite, GraniteMoeHybrid, Llama, Mistral, NemotronH, Qwen2, Qwen3};

impl Architecture {
    /// All of them.
    pub const ALL: [Architecture; 7] = [Llama, Mistral, Qwen2, Qwen3, Granite, GraniteMoeHybrid, NemotronH];

    /// The class name in `architectures`.
    pub fn class_name(self) -> &'static str {
        match self {
            Llama => "LlamaForCausalLM",
            Mistral => "MistralForCausalLM",
            Qwen2 => "Qwen2ForCausalLM",
            Qwen3 => "Qwen3ForCausalLM",
            Granite => "GraniteForCausalLM",
            GraniteMoeHybrid => "GraniteMoeHybridForCausalLM",
            NemotronH => "NemotronHForCausalLM",
        }
    }

    /// The name in `model_type`.
    pub fn model_type(self) -> &'static str {
        match self {
            Llama => "llama",
            Mistral => "mistral",
            Qwen2 => "qwen2",
            Qwen3 => "qwen3",
            Granite => "granite",
            GraniteMoeHybrid => "granitemoehybrid",
            NemotronH => "nemotron_h",
        }
    }

    /// The architecture that `architectures` and `model_type` name; Llama where neither is given.
    pub(super) fn named(fields: &mut Fields<'_>) -> Result<Self, ConfigError> {
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
            (class, typed) => Ok(class.or(typed).unwrap_or(Llama)),
        }
    }

    /// Reads the fields of this architecture; those it has no use for are left in `fields`.
    pub(super) fn read(self, fields: &mut Fields<'_>) -> Result<ModelConfig, ConfigError> {
        fields.only_number("attention_dropout", 0.0)?;
        fields.only_null("quantization_config")?;
        let config = ModelConfig::read_sizes(self, fields)?;
        if self == NemotronH {
            return nemotron_h(config, fields);
        }
        fields.only_strings("hidden_act", &["silu", "swish"])?;
        let rms_norm_eps = fields.number("rms_norm_eps")?.unwrap_or(1e-6);
        let rope = Some(Rope::read(fields, config.max_position_embeddings)?);
        let config = ModelConfig { rms_norm_eps, rope, ..config };
        match self {
            Llama => llama(config, fields),
            Mistral => mistral(config, fields),
            Qwen2 | Qwen3 => qwen(config, fields),
            Granite => granite(config, fields),
            GraniteMoeHybrid | NemotronH => granite_hybrid(config, fields),
        }
    }

    /// Adds the fields that this family has beside the common ones.
    pub(super) fn write(self, config: &ModelConfig, fields: &mut Map<String, Value>) {
        let types = |fields: &mut Map<String, Value>, field: &str| {
            let names: Vec<&str> = config.layers.iter().map(|layer| layer.name()).collect();
            fields.insert(field.to_owned(), json!(names));
        };
        let mut more = match self {
            Llama => json!({ "attention_bias": config.qkv_bias, "mlp_bias": config.mlp_bias }),
            Mistral => json!({ "sliding_window": config.sliding_window }),
            Qwen2 | Qwen3 => {
                types(fields, "layer_types");
                let full = config.layers.iter().position(|layer| *layer == LayerType::SlidingAttention);
                let mut more = json!({
                    "use_sliding_window": config.sliding_window.is_some(),
                    "sliding_window": config.sliding_window,
                    "max_window_layers": full.unwrap_or(config.num_hidden_layers),
                });
                if self == Qwen3 {
                    more["attention_bias"] = json!(config.qkv_bias);
                }
                more
            }
            Granite => json!({ "attention_bias": config.qkv_bias, "mlp_bias": config.mlp_bias }),
            GraniteMoeHybrid => {
                types(fields, "layer_types");
                json!({
                    "attention_bias": config.qkv_bias, "num_local_experts": 0, "num_experts_per_tok": 0,
                    "shared_intermediate_size": config.intermediate_size,
                    "position_embedding_type": config.rope.as_ref().map(|_| "rope"),
                })
            }
            NemotronH => {
                types(fields, "layers_block_type");
                for absent in ["num_hidden_layers", "rms_norm_eps", "hidden_act", "torch_dtype"] {
                    fields.remove(absent);
                }
                json!({
                    "attention_bias": false, "mlp_bias": config.mlp_bias,
                    "mlp_hidden_act": "relu2", "layer_norm_epsilon": config.rms_norm_eps,
                })
            }
        };
        if let Some(mamba) = &config.mamba {
            mamba.write(self, config.hidden_size, &mut more);
        }
        if matches!(self, Granite | GraniteMoeHybrid) {
            config.multipliers.write(&mut more);
        }
        if let Value::Object(more) = more {
            fields.extend(more);
        }
    }
}

fn llama(config: ModelConfig, fields: &mut Fields<'_>) -> Result<ModelConfig, ConfigError> {
    // Written by SmolLM2; rotary pairs are (i, i + head_dim / 2) in every checkpoint of this class.
    fields.only_false("rope_interleaved")?;
    fields.only_number("pretraining_tp", 1.0)?;
    fields.only_null("sliding_window")?;
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let mlp_bias = fields.flag("mlp_bias")?.unwrap_or(false);
    Ok(ModelConfig { qkv_bias: bias, output_bias: bias, mlp_bias, ..config })
}

fn mistral(config: ModelConfig, fields: &mut Fields<'_>) -> Result<ModelConfig, ConfigError> {
    let window = match fields.is_named("sliding_window") {
        true => fields.size("sliding_window")?,
        // transformers' own default, which configs without the field rely on
        false => Some(4096),
    };
    let layer = if window.is_some() { LayerType::SlidingAttention } else { LayerType::FullAttention };
    let layers = vec![layer; config.num_hidden_layers];
    Ok(ModelConfig { sliding_window: window, layers, ..config })
}

fn qwen(config: ModelConfig, fields: &mut Fields<'_>) -> Result<ModelConfig, ConfigError> {
    fields.only_false("use_mrope")?;
    let used = fields.flag("use_sliding_window")?.unwrap_or(false);
    let window = fields.size("sliding_window")?.or(Some(4096)).filter(|_| used);
    let first = fields.size("max_window_layers")?.unwrap_or(28);
    let layers = match fields.layer_types("layer_types")? {
        Some(layers) => layers,
        None => (0..config.num_hidden_layers)
            .map(|i| match window.is_some() && i >= first {
                true => LayerType::SlidingAttention,
                false => LayerType::FullAttention,
            })
            .collect(),
    };
    let qwen3 = config.architecture == Qwen3;
    let bias = if qwen3 { fields.flag("attention_bias")?.unwrap_or(false) } else { true };
    Ok(ModelConfig {
        sliding_window: window,
        layers,
        qkv_bias: bias,
        output_bias: bias && qwen3,
        qk_norm: qwen3,
        ..config
    })
}

fn granite(config: ModelConfig, fields: &mut Fields<'_>) -> Result<ModelConfig, ConfigError> {
    let multipliers = super::Multipliers::read(fields)?;
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let mlp_bias = fields.flag("mlp_bias")?.unwrap_or(false);
    Ok(ModelConfig { multipliers, qkv_bias: bias, output_bias: bias, mlp_bias, ..config })
}

fn granite_hybrid(config: ModelConfig, fields: &mut Fields<'_>) -> Result<ModelConfig, ConfigError> {
    let multipliers = super::Multipliers::read(fields)?;
    let bias = fields.flag("attention_bias")?.unwrap_or(false);
    let experts = fields.size("num_local_experts")?.unwrap_or(8);
    if experts > 0 {
        let problem = format!("is {experts}: experts are not supported, 0 is right");
        return Err(ConfigError::field("num_local_experts", problem));
    }
    fields.only_strings("normalization_function", &["rmsnorm"])?;
    fields.pass_over(&["init_method", "num_experts_per_tok", "output_router_logits", "router_aux_loss_coef"]);
    let rope = match fields.string("position_embedding_type")?.as_deref() {
        Some("rope") => config.rope,
        None | Some("nope") => None,
        Some(other) => {
            let problem = format!("is \"{other}\": \"rope\", \"nope\" or null is right");
            return Err(ConfigError::field("position_embedding_type", problem));
        }
    };
    let layers = fields
        .layer_types_of(&["layer_types", "layers_block_type"])?
        .unwrap_or_else(|| vec![LayerType::Mamba; config.num_hidden_layers]);
    let intermediate_size = fields.size("shared_intermediate_size")?.unwrap_or(1024);
    let mamba = Some(Mamba::read_granite(fields, config.hidden_size)?);
    Ok(ModelConfig {
        multipliers,
        qkv_bias: bias,
        output_bias: bias,
        rope,
        layers,
        intermediate_size,
        mamba,
        ..config
    })
}

fn nemotron_h(config: ModelConfig, fields: &mut Fields<'_>) -> Result<ModelConfig, ConfigError> {
    fields.only_strings("mlp_hidden_act", &["relu2"])?;
    fields.only_strings("mamba_hidden_act", &["silu", "swish"])?;
    fields.only_number("hidden_dropout", 0.0)?;
    fields.only_number("num_nextn_predict_layers", 0.0)?;
    fields.only_null("sliding_window")?;
    let rms_norm_eps = fields.same_number(&["layer_norm_epsilon", "rms_norm_eps"])?.unwrap_or(1e-5);
    // transformers' attention has no biases, whatever this says
    fields.only_false("attention_bias")?;
    let mlp_bias = fields.flag("mlp_bias")?.unwrap_or(false);
    let named = fields.layer_types_of(&["layers_block_type", "layer_types"])?;
    let pattern = fields.string("hybrid_override_pattern")?;
    let layers = match (named, pattern) {
        (Some(layers), None) => layers,
        (None, Some(pattern)) => LayerType::of_pattern("hybrid_override_pattern", &pattern)?,
        (Some(layers), Some(pattern)) => {
            if layers != LayerType::of_pattern("hybrid_override_pattern", &pattern)? {
                let problem = "and `layers_block_type` say different things: keep one of them";
                return Err(ConfigError::field("hybrid_override_pattern", problem));
            }
            layers
        }
        (None, None) => {
            let problem = "is missing: a list of linear_attention, full_attention and mlp is right";
            return Err(ConfigError::field("layers_block_type", problem));
        }
    };
    // `num_hidden_layers` counts for nothing beside the list, as in transformers; what experts would be is of no account without any
    fields.pass_over(&[
        "num_hidden_layers",
        "moe_intermediate_size",
        "moe_latent_size",
        "moe_shared_expert_intermediate_size",
        "moe_shared_expert_overlap",
        "mtp_layers_block_type",
        "mtp_hybrid_override_pattern",
        "n_group",
        "n_routed_experts",
        "n_shared_experts",
        "norm_topk_prob",
        "num_experts_per_tok",
        "num_logits_to_keep",
        "output_router_logits",
        "rescale_prenorm_residual",
        "residual_in_fp32",
        "routed_scaling_factor",
        "topk_group",
    ]);
    let mamba = Some(Mamba::read_nemotron(fields)?);
    let num_hidden_layers = layers.len();
    Ok(ModelConfig { rms_norm_eps, mlp_bias, num_hidden_layers, layers, mamba, ..config })
}
