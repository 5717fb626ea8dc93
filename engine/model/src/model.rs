//! A decoder-only language model: blocks over one store of parameters, with a training forward and (in [`crate::cached`])
//! a cached one.

use crate::blocks::{Attention, Mamba, Mlp, Names};
use crate::config::{BlockKind, Init, ModelConfig, ParamSpec};
use crate::hf;
use crate::kernels::rope::RopeTable;
use crate::logprobs::{Targets, TokenLogprobs, token_logprobs};
use crate::lora::{LoraConfig, LoraError};
use crate::ops::{self, AttentionShape};
use crate::packed::Packed;
use crate::params::{ParamId, Params};
use crate::tape::{Tape, Var};
use crate::tensor::{floats, tensor};
use std::path::Path;
use std::sync::Arc;

/// What goes wrong with a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A Hugging Face folder cannot be read or written.
    #[error(transparent)]
    Folder(#[from] hf::HfError),
    /// An id has no row in the embedding.
    #[error("token id {id} is outside the vocabulary of {vocab_size}")]
    Id {
        /// The id.
        id: u32,
        /// Rows that there are.
        vocab_size: usize,
    },
    /// More ids than the model has positions.
    #[error("{tokens} tokens are more than the model's context of {context}")]
    TooLong {
        /// The ids.
        tokens: usize,
        /// `max_position_embeddings`.
        context: usize,
    },
    /// Adapters cannot be attached or read.
    #[error(transparent)]
    Lora(#[from] LoraError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A model and its parameters.
pub struct Model {
    /// The architecture, as in `config.json`.
    pub config: ModelConfig,
    /// Defaults of sampling that travel with the model, as in `generation_config.json`.
    pub generation: hf::GenerationConfig,
    /// The one store that trainer and sampler share.
    pub params: Params,
    /// The adapters beside the projections, where there are any.
    pub lora: Option<LoraConfig>,
    /// Whether a training forward keeps each block's input alone, the backward running the block again: less memory, about a third
    /// more time, the same bits.
    pub activation_checkpointing: bool,
    pub(crate) embedding: ParamId,
    pub(crate) blocks: Vec<Block>,
    pub(crate) norm: ParamId,
    pub(crate) head: ParamId,
}

/// One block: its input is normalised and its output added to the residual stream.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub norm: ParamId,
    pub mixer: Mixer,
    eps: f32,
    residual: f32,
}

impl Block {
    fn forward(
        &self,
        tape: &Tape,
        params: &Params,
        batch: &Arc<Packed>,
        x: &Var,
    ) -> candle_core::Result<Var> {
        let normed = ops::rms_norm(tape, params, self.norm, x, self.eps)?;
        let mixed = self.mixer.forward(tape, params, batch, &normed)?;
        ops::add_scaled(tape, x, self.residual, &mixed)
    }

    /// The same, of which the tape keeps the input; the backward runs the forward again on a tape of its own
    /// (Chen et al., arXiv 1604.06174).
    fn forward_checkpointed(
        &self,
        tape: &Tape,
        params: &Params,
        batch: &Arc<Packed>,
        x: &Var,
    ) -> candle_core::Result<Var> {
        let value = self.forward(&Tape::idle(), params, batch, x)?.value;
        let (block, params, batch, x) = (self.clone(), params.clone(), batch.clone(), x.clone());
        Ok(tape.record(value, move |grad, grads| {
            let tape = Tape::new();
            let input = tape.leaf(x.value);
            let out = block.forward(&tape, &params, &batch, &input)?;
            let d_x = tape.gradient_of(&input, &out, grad, grads.params)?;
            grads.give(x.node, d_x);
            Ok(())
        }))
    }
}

/// What a block computes.
#[derive(Clone, Debug)]
pub(crate) enum Mixer {
    Attention(Attention),
    Mamba(Mamba),
    Mlp(Mlp),
}

impl Mixer {
    fn forward(
        &self,
        tape: &Tape,
        params: &Params,
        batch: &Arc<Packed>,
        x: &Var,
    ) -> candle_core::Result<Var> {
        match self {
            Mixer::Attention(attention) => attention.forward(tape, params, batch, x),
            Mixer::Mamba(mamba) => mamba.forward(tape, params, batch, x),
            Mixer::Mlp(mlp) => mlp.forward(tape, params, x),
        }
    }
}

impl Model {
    /// Puts a model together from parameters in the order of `config.parameter_specs()`, and those of its adapters behind them.
    pub(crate) fn assemble(
        config: ModelConfig,
        generation: hf::GenerationConfig,
        params: Params,
        lora: Option<LoraConfig>,
    ) -> Self {
        let ids = params.iter().enumerate().map(|(i, p)| (p.name.clone(), ParamId(i))).collect();
        let names = Names { ids, adapters: lora.as_ref().map(LoraConfig::scale) };
        let rope = config
            .rope
            .is_some()
            .then(|| Arc::new(RopeTable::new(config.max_position_embeddings, &config.inv_freq())));
        let eps = config.rms_norm_eps as f32;
        let scale = config.multipliers.attention.unwrap_or(1.0 / (config.head_dim as f64).sqrt());
        let mixer = |kind: BlockKind, prefix: &str| match kind {
            BlockKind::Attention { window } => {
                let shape = AttentionShape {
                    heads: config.num_attention_heads,
                    kv_heads: config.num_key_value_heads,
                    head_dim: config.head_dim,
                    scale: scale as f32,
                    window,
                    rope: rope.clone(),
                };
                Some(Mixer::Attention(Attention::new(&names, prefix, shape, eps)))
            }
            BlockKind::Mamba => {
                let shape = config.mamba.as_ref()?.shape(eps);
                Some(Mixer::Mamba(Mamba::new(&names, prefix, shape)))
            }
            mlp => Mlp::new(&names, prefix, mlp).map(Mixer::Mlp),
        };
        let residual = config.multipliers.residual as f32;
        let blocks = (config.blocks().into_iter())
            .filter_map(|spec| {
                let (norm, mixer) = (names.get(&spec.norm), mixer(spec.kind, &spec.prefix)?);
                Some(Block { norm, mixer, eps, residual })
            })
            .collect();
        let [embedding, norm, head] = config.outer_names();
        let embedding = names.get(embedding);
        let head = if config.tie_word_embeddings { embedding } else { names.get(head) };
        let norm = names.get(norm);
        let activation_checkpointing = false;
        Model { config, generation, params, lora, activation_checkpointing, embedding, blocks, norm, head }
    }

    /// A model with random weights, as each tensor's [`Init`] says.
    ///
    /// # Errors
    /// When memory for the parameters cannot be had.
    pub fn random(config: ModelConfig, seed: u64) -> Result<Self, ModelError> {
        let generation = hf::GenerationConfig::of_model(&config);
        let mut params = Params::default();
        for (i, spec) in config.parameter_specs().into_iter().enumerate() {
            let data = first_values(&config, &spec, seed, i as u64);
            params.push(spec.name, tensor(data, spec.shape)?);
        }
        Ok(Self::assemble(config, generation, params, None))
    }

    /// Reads a Hugging Face folder. Of a PEFT adapter's folder it reads the base that it names, and attaches the adapter.
    ///
    /// # Errors
    /// When the folder's files are missing, malformed or do not fit each other.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Self::load_watched(folder, &mut |_, _| ())
    }

    /// As [`Model::load`]; after each tensor `watch` hears how many of the model's numbers are there, and how many there will be.
    ///
    /// # Errors
    /// As for [`Model::load`].
    pub fn load_watched(folder: &Path, watch: &mut dyn FnMut(usize, usize)) -> Result<Self, ModelError> {
        match hf::adapter_base(folder)? {
            Some(base) => Self::load_whole(&base, watch)?.with_adapter(folder),
            None => Self::load_whole(folder, watch),
        }
    }

    /// Tensors come one by one, in the order of the parameters, and stay where they are read to: beside the model there is a buffer of
    /// the reader's alone.
    fn load_whole(folder: &Path, watch: &mut dyn FnMut(usize, usize)) -> Result<Self, ModelError> {
        let config = ModelConfig::read(folder).map_err(hf::HfError::from)?;
        let (mut params, all, mut read) = (Params::default(), config.parameters(), 0);
        hf::read_weights(folder, &config, &mut |name: &str,
                                                data,
                                                shape: &[usize]|
         -> Result<(), ModelError> {
            read += data.len();
            params.push(name.to_owned(), tensor(data, shape)?);
            watch(read, all);
            Ok(())
        })?;
        let generation = hf::GenerationConfig::read(folder, &config)?;
        Ok(Self::assemble(config, generation, params, None))
    }

    /// Writes `config.json`, the weights and `generation_config.json` as a Hugging Face folder; adapters are left out
    /// ([`Model::merged`], [`Model::save_adapter`]).
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let whole = || self.params.iter().take(self.config.parameter_specs().len());
        let held = whole().map(|p| floats(&p.value)).collect::<candle_core::Result<Vec<_>>>()?;
        let tensors = whole().zip(&held);
        let tensors = tensors.map(|(p, data)| (p.name.clone(), p.value.dims().to_vec(), &**data));
        Ok(hf::write_folder(folder, &self.config, tensors, &self.generation, hf::SHARD_BYTES)?)
    }

    /// A model over a copy of the parameters, those that are not trainable shared: later updates of one do not show in the other.
    ///
    /// # Errors
    /// When memory for the copy cannot be had.
    pub fn snapshot(&self) -> Result<Self, ModelError> {
        let (config, generation) = (self.config.clone(), self.generation.clone());
        Ok(Self::assemble(config, generation, self.params.snapshot()?, self.lora.clone()))
    }

    /// What the last hidden states are multiplied by, so that their products with the output matrix are the logits.
    pub(crate) fn logit_factor(&self) -> f32 {
        (1.0 / self.config.multipliers.logits) as f32
    }

    /// Final hidden states of a packed batch, after the last norm, such that `hidden * head^T` are the logits: `[tokens, hidden]`.
    ///
    /// # Errors
    /// When an id is outside the vocabulary or a sequence longer than the context.
    pub fn forward(&self, tape: &Tape, batch: &Arc<Packed>) -> candle_core::Result<Var> {
        if let Some(position) =
            batch.positions.iter().find(|p| **p as usize >= self.config.max_position_embeddings)
        {
            let context = self.config.max_position_embeddings;
            candle_core::bail!("position {position} is outside the context of {context} tokens");
        }
        let params = &self.params;
        let mut x = ops::embedding(tape, params, self.embedding, &batch.ids)?;
        x = ops::scale(tape, self.config.multipliers.embedding as f32, &x)?;
        for block in &self.blocks {
            x = match self.activation_checkpointing && tape.records() {
                true => block.forward_checkpointed(tape, params, batch, &x)?,
                false => block.forward(tape, params, batch, &x)?,
            };
        }
        let normed = ops::rms_norm(tape, params, self.norm, &x, self.config.rms_norm_eps as f32)?;
        ops::scale(tape, self.logit_factor(), &normed)
    }

    /// Log-probabilities of chosen tokens of a packed batch at a temperature.
    ///
    /// # Errors
    /// As for [`Model::forward`] and [`token_logprobs`].
    pub fn token_logprobs(
        &self,
        tape: &Tape,
        batch: &Arc<Packed>,
        targets: Targets,
        temperature: f32,
    ) -> candle_core::Result<TokenLogprobs> {
        let hidden = self.forward(tape, batch)?;
        token_logprobs(tape, &self.params, self.head, &hidden, targets, temperature)
    }

    /// Log-probability of each id given those before it, at temperature 1; the first has none.
    ///
    /// # Errors
    /// [`ModelError::Id`] and [`ModelError::TooLong`].
    pub fn logprobs(&self, ids: &[u32]) -> Result<Vec<Option<f32>>, ModelError> {
        let (vocab_size, context) = (self.config.vocab_size, self.config.max_position_embeddings);
        if let Some(id) = ids.iter().copied().find(|id| *id as usize >= vocab_size) {
            return Err(ModelError::Id { id, vocab_size });
        }
        if ids.len() > context {
            return Err(ModelError::TooLong { tokens: ids.len(), context });
        }
        if ids.len() < 2 {
            return Ok(vec![None; ids.len()]);
        }
        let mut batch = Packed::new();
        batch.push(ids);
        let targets = Targets { rows: (0..ids.len() as u32 - 1).collect(), ids: ids[1..].to_vec() };
        let scored = self.token_logprobs(&Tape::idle(), &Arc::new(batch), targets, 1.0)?;
        let logprobs = floats(&scored.logprobs.value)?;
        Ok(std::iter::once(None).chain(logprobs.iter().copied().map(Some)).collect())
    }
}

/// The values with which a tensor begins; `stream` tells the tensors of a model apart.
fn first_values(config: &ModelConfig, spec: &ParamSpec, seed: u64, stream: u64) -> Vec<f32> {
    let size: usize = spec.shape.iter().product();
    let std = config.initializer_range;
    match spec.init {
        Init::Normal => normal(size, std, seed, stream),
        Init::Residual => normal(size, std / (config.blocks().len() as f64).sqrt(), seed, stream),
        Init::Ones => vec![1.0; size],
        Init::Zeros => vec![0.0; size],
        Init::LogCount => (1..=size).map(|head| (head as f64).ln() as f32).collect(),
        Init::TimeSteps => (0..size)
            .map(|head| {
                let step = 0.001 * 100f64.powf((head as f64 + 0.5) / size as f64);
                // softplus(x) = step
                (step + (-(-step).exp_m1()).ln()) as f32
            })
            .collect(),
        // uniform over +-1/sqrt(inputs) has this deviation
        Init::Convolution => {
            let inputs = spec.shape.last().copied().unwrap_or(1) as f64;
            normal(size, 1.0 / (3.0 * inputs).sqrt(), seed, stream)
        }
    }
}

/// Normal numbers by Box-Muller over SplitMix64, keyed by `(seed, stream)`.
fn normal(count: usize, std: f64, seed: u64, stream: u64) -> Vec<f32> {
    let mut state = mix(seed ^ mix(stream.wrapping_add(1)));
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(state) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count.div_ceil(2))
        .flat_map(|_| {
            let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt() * std;
            let angle = std::f64::consts::TAU * uniform();
            [radius * angle.cos(), radius * angle.sin()]
        })
        .take(count)
        .map(|x| x as f32)
        .collect()
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
