//! What a model's layers are made of: the list of blocks, and every trainable tensor with its name, shape and first values.

use super::fields::Fields;
use super::{Architecture, ConfigError, ModelConfig};

/// What a layer mixes tokens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerType {
    /// Attention to every earlier position.
    FullAttention,
    /// Attention to the last `sliding_window` positions, itself included.
    SlidingAttention,
    /// A Mamba-2 state space.
    Mamba,
    /// Nothing: the layer is an MLP (Nemotron-H).
    Mlp,
}

impl LayerType {
    /// The name in `layer_types`, as transformers 5 writes it.
    pub fn name(self) -> &'static str {
        match self {
            LayerType::FullAttention => "full_attention",
            LayerType::SlidingAttention => "sliding_attention",
            LayerType::Mamba => "linear_attention",
            LayerType::Mlp => "mlp",
        }
    }

    fn named(field: &str, name: &str) -> Result<Self, ConfigError> {
        match name {
            "full_attention" | "attention" => Ok(LayerType::FullAttention),
            "sliding_attention" => Ok(LayerType::SlidingAttention),
            "linear_attention" | "mamba" => Ok(LayerType::Mamba),
            "mlp" => Ok(LayerType::Mlp),
            other => Err(ConfigError::field(
                field,
                format!(
                    "names \"{other}\": supported are full_attention, sliding_attention, linear_attention (Mamba-2) and mlp"
                ),
            )),
        }
    }

    /// Nemotron-H's old spelling, a character a layer.
    pub(super) fn of_pattern(field: &str, pattern: &str) -> Result<Vec<Self>, ConfigError> {
        let one = |c: char| match c {
            'M' => Ok(LayerType::Mamba),
            '*' => Ok(LayerType::FullAttention),
            '-' => Ok(LayerType::Mlp),
            other => Err(ConfigError::field(
                field,
                format!("has a '{other}': supported are M (Mamba-2), * (attention) and - (MLP)"),
            )),
        };
        pattern.chars().map(one).collect()
    }
}

impl Fields<'_> {
    pub(super) fn layer_types(&mut self, field: &'static str) -> Result<Option<Vec<LayerType>>, ConfigError> {
        if !self.is_given(field) {
            return Ok(None);
        }
        self.strings(field)?
            .iter()
            .map(|name| LayerType::named(field, name))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The list under the first of several names that has one; others must not contradict it.
    pub(super) fn layer_types_of(
        &mut self,
        names: &[&'static str],
    ) -> Result<Option<Vec<LayerType>>, ConfigError> {
        let mut found: Option<(&str, Vec<LayerType>)> = None;
        for field in names {
            match (self.layer_types(field)?, &found) {
                (Some(layers), Some((first, other))) if layers != *other => {
                    return Err(ConfigError::field(*field, format!("and `{first}` say different things")));
                }
                (Some(layers), None) => found = Some((field, layers)),
                _ => {}
            }
        }
        Ok(found.map(|(_, layers)| layers))
    }
}

/// What a block computes; each stands behind a norm and is added to the residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Grouped-query attention to so many last positions, or to all.
    Attention {
        /// Positions seen, itself included.
        window: Option<usize>,
    },
    /// `down(silu(gate(x)) * up(x))`.
    GatedMlp,
    /// The same with `gate` and `up` as one matrix, one above the other.
    FusedGatedMlp,
    /// `down(relu(up(x))^2)`.
    SquaredReluMlp,
    /// Mamba-2.
    Mamba,
}

/// One block, with the names of its tensors' beginnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSpec {
    /// What it computes.
    pub kind: BlockKind,
    /// The weight of the norm before it.
    pub norm: String,
    /// What its tensors' names begin with, without the dot.
    pub prefix: String,
}

/// How a tensor begins in a model that is trained from nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Normal, of standard deviation `initializer_range`.
    Normal,
    /// The same divided by the root of the number of blocks: a projection back into the residual stream (Radford et al., GPT-2).
    Residual,
    /// One.
    Ones,
    /// Zero.
    Zeros,
    /// `ln(1), ln(2), ...`: Mamba-2's decay by head.
    LogCount,
    /// The inverse softplus of time steps spread evenly in their logarithm over 0.001 to 0.1.
    TimeSteps,
    /// Normal, as wide as PyTorch's default for a convolution over so many inputs.
    Convolution,
}

/// A trainable tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    /// Its Hugging Face name.
    pub name: String,
    /// Matrices are `[out, in]`.
    pub shape: Vec<usize>,
    /// Its first values.
    pub init: Init,
}

/// Collects the tensors of one block.
struct Tensors<'a> {
    prefix: &'a str,
    list: &'a mut Vec<ParamSpec>,
}

impl Tensors<'_> {
    fn push(&mut self, name: &str, shape: &[usize], init: Init) {
        self.list.push(ParamSpec { name: format!("{}.{name}", self.prefix), shape: shape.to_vec(), init });
    }

    /// A projection and its bias.
    fn linear(&mut self, name: &str, [outputs, inputs]: [usize; 2], bias: bool, init: Init) {
        self.push(&format!("{name}.weight"), &[outputs, inputs], init);
        if bias {
            self.push(&format!("{name}.bias"), &[outputs], Init::Zeros);
        }
    }
}

impl ModelConfig {
    /// The names of the embedding, the last norm and the untied output matrix.
    pub fn outer_names(&self) -> [&'static str; 3] {
        match self.architecture {
            Architecture::NemotronH => {
                ["backbone.embeddings.weight", "backbone.norm_f.weight", "lm_head.weight"]
            }
            _ => ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
        }
    }

    /// The blocks in the order of the forward.
    pub fn blocks(&self) -> Vec<BlockSpec> {
        let layers = self.layers.iter().enumerate();
        layers.flat_map(|(i, layer)| self.blocks_of_layer(i, *layer)).collect()
    }

    fn blocks_of_layer(&self, index: usize, layer: LayerType) -> Vec<BlockSpec> {
        let mixer = match layer {
            LayerType::FullAttention => Some(BlockKind::Attention { window: None }),
            LayerType::SlidingAttention => Some(BlockKind::Attention { window: self.sliding_window }),
            LayerType::Mamba => Some(BlockKind::Mamba),
            LayerType::Mlp => None,
        };
        if self.architecture == Architecture::NemotronH {
            let at = format!("backbone.layers.{index}");
            return vec![BlockSpec {
                kind: mixer.unwrap_or(BlockKind::SquaredReluMlp),
                norm: format!("{at}.norm.weight"),
                prefix: format!("{at}.mixer"),
            }];
        }
        let at = format!("model.layers.{index}");
        let (mlp, mlp_name) = match self.architecture {
            Architecture::GraniteMoeHybrid => (BlockKind::FusedGatedMlp, "shared_mlp"),
            _ => (BlockKind::GatedMlp, "mlp"),
        };
        let mixer = mixer.map(|kind| BlockSpec {
            kind,
            norm: format!("{at}.input_layernorm.weight"),
            prefix: format!("{at}.{}", if kind == BlockKind::Mamba { "mamba" } else { "self_attn" }),
        });
        let mlp = BlockSpec {
            kind: mlp,
            norm: format!("{at}.post_attention_layernorm.weight"),
            prefix: format!("{at}.{mlp_name}"),
        };
        mixer.into_iter().chain([mlp]).collect()
    }

    /// Every trainable tensor in the order of the forward. A tied output matrix is not listed: it is the embedding.
    pub fn parameter_specs(&self) -> Vec<ParamSpec> {
        let [embedding, norm, head] = self.outer_names();
        let spec =
            |name: &str, shape: &[usize], init| ParamSpec { name: name.into(), shape: shape.to_vec(), init };
        let mut list = vec![spec(embedding, &[self.vocab_size, self.hidden_size], Init::Normal)];
        for block in self.blocks() {
            list.push(spec(&block.norm, &[self.hidden_size], Init::Ones));
            let mut tensors = Tensors { prefix: &block.prefix, list: &mut list };
            match block.kind {
                BlockKind::Attention { .. } => self.attention_tensors(&mut tensors),
                BlockKind::GatedMlp => {
                    let [inner, hidden] = [self.intermediate_size, self.hidden_size];
                    tensors.linear("gate_proj", [inner, hidden], self.mlp_bias, Init::Normal);
                    tensors.linear("up_proj", [inner, hidden], self.mlp_bias, Init::Normal);
                    tensors.linear("down_proj", [hidden, inner], self.mlp_bias, Init::Residual);
                }
                BlockKind::FusedGatedMlp => {
                    let [inner, hidden] = [self.intermediate_size, self.hidden_size];
                    tensors.linear("input_linear", [2 * inner, hidden], false, Init::Normal);
                    tensors.linear("output_linear", [hidden, inner], false, Init::Residual);
                }
                BlockKind::SquaredReluMlp => {
                    let [inner, hidden] = [self.intermediate_size, self.hidden_size];
                    tensors.linear("up_proj", [inner, hidden], self.mlp_bias, Init::Normal);
                    tensors.linear("down_proj", [hidden, inner], self.mlp_bias, Init::Residual);
                }
                BlockKind::Mamba => self.mamba_tensors(&mut tensors),
            }
        }
        list.push(spec(norm, &[self.hidden_size], Init::Ones));
        if !self.tie_word_embeddings {
            list.push(spec(head, &[self.vocab_size, self.hidden_size], Init::Normal));
        }
        list
    }

    fn attention_tensors(&self, tensors: &mut Tensors<'_>) {
        let queries = self.num_attention_heads * self.head_dim;
        let keys = self.num_key_value_heads * self.head_dim;
        tensors.linear("q_proj", [queries, self.hidden_size], self.qkv_bias, Init::Normal);
        tensors.linear("k_proj", [keys, self.hidden_size], self.qkv_bias, Init::Normal);
        tensors.linear("v_proj", [keys, self.hidden_size], self.qkv_bias, Init::Normal);
        if self.qk_norm {
            tensors.push("q_norm.weight", &[self.head_dim], Init::Ones);
            tensors.push("k_norm.weight", &[self.head_dim], Init::Ones);
        }
        tensors.linear("o_proj", [self.hidden_size, queries], self.output_bias, Init::Residual);
    }

    fn mamba_tensors(&self, tensors: &mut Tensors<'_>) {
        let Some(mamba) = &self.mamba else { return };
        let (inner, channels) = (mamba.inner(), mamba.channels());
        tensors.linear(
            "in_proj",
            [inner + channels + mamba.heads, self.hidden_size],
            mamba.bias,
            Init::Normal,
        );
        tensors.push("conv1d.weight", &[channels, 1, mamba.conv_kernel], Init::Convolution);
        if mamba.conv_bias {
            tensors.push("conv1d.bias", &[channels], Init::Zeros);
        }
        tensors.push("dt_bias", &[mamba.heads], Init::TimeSteps);
        tensors.push("A_log", &[mamba.heads], Init::LogCount);
        tensors.push("D", &[mamba.heads], Init::Ones);
        tensors.push("norm.weight", &[inner], Init::Ones);
        tensors.linear("out_proj", [self.hidden_size, inner], mamba.bias, Init::Residual);
    }

    /// Every trainable tensor with its shape; see [`ModelConfig::parameter_specs`].
    pub fn parameter_names_and_shapes(&self) -> Vec<(String, Vec<usize>)> {
        self.parameter_specs().into_iter().map(|spec| (spec.name, spec.shape)).collect()
    }

    /// The number of trainable numbers; a tied output matrix counts once.
    pub fn parameters(&self) -> usize {
        let size = |shape: &[usize]| shape.iter().fold(1_usize, |all, side| all.saturating_mul(*side));
        self.parameter_specs().iter().fold(0, |sum, spec| sum.saturating_add(size(&spec.shape)))
    }
}
