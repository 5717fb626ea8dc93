//! The cached forward: prefill chunks and decode steps of many sequences as one batch of rows, over paged keys and values and, in
//! hybrid models, one recurrent state a sequence.
//!
//! Who owns which page and state is the caller's affair (`rlvr-rollouts`); here a row merely names them.

use crate::blocks::{AttentionBuffers, MambaBuffers, MlpBuffers};
use crate::config::{BlockKind, ModelConfig};
use crate::kernels::attention::Block;
use crate::kernels::gemm::{View, gemm};
use crate::kernels::{elementwise, for_row_blocks, norm};
use crate::model::{Mixer, Model};
use crate::params::{ParamId, ParamSlices};
use candle_core::Result;

pub use crate::kernels::attention::PAGE;

/// One token to run through the model.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The token's id.
    pub token: u32,
    /// Its position in its sequence.
    pub position: u32,
    /// Pages of its sequence: `pages[i]` holds positions `16 i..16 i + 15`. They must reach to `position`.
    pub pages: &'a [u32],
    /// The recurrent state of its sequence, which begins anew at position 0; of no account in a model without one.
    pub state: u32,
}

/// Keys and values of all attention layers in pages of [`PAGE`] positions, and the recurrent states of all Mamba-2 layers, f32, with the
/// buffers of the forward over them.
pub struct KvCache {
    layers: Vec<Vec<f32>>,
    pages: usize,
    /// For each Mamba-2 layer `[states, floats of one]`.
    states: Vec<Vec<f32>>,
    state_count: usize,
    kv_heads: usize,
    block: Block,
    buffers: Buffers,
}

#[derive(Default)]
struct Buffers {
    x: Vec<f32>,
    normed: Vec<f32>,
    out: Vec<f32>,
    attention: AttentionBuffers,
    mamba: MambaBuffers,
    mlp: MlpBuffers,
}

impl KvCache {
    /// A cache of `pages` pages and `states` recurrent states for models of this configuration, which may have no use for one or the other.
    pub fn new(config: &ModelConfig, pages: usize, states: usize) -> Self {
        let block = Block { head_dim: config.head_dim };
        let kv_heads = config.num_key_value_heads;
        let layers =
            (0..attention_layers(config)).map(|_| vec![0.0; pages * kv_heads * block.len()]).collect();
        let floats = Self::bytes_per_layer_state(config) / size_of::<f32>();
        let states_of = |_| vec![0.0; states * floats];
        KvCache {
            layers,
            pages,
            states: (0..mamba_layers(config)).map(states_of).collect(),
            state_count: states,
            kv_heads,
            block,
            buffers: Buffers::default(),
        }
    }

    /// Number of pages.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Bytes of one page over all layers of a model of this configuration.
    pub fn bytes_per_page(config: &ModelConfig) -> usize {
        let block = Block { head_dim: config.head_dim };
        attention_layers(config) * config.num_key_value_heads * block.len() * size_of::<f32>()
    }

    /// Bytes of one sequence's recurrent state over all layers of a model of this configuration; 0 where it has none.
    pub fn bytes_per_state(config: &ModelConfig) -> usize {
        mamba_layers(config) * Self::bytes_per_layer_state(config)
    }

    fn bytes_per_layer_state(config: &ModelConfig) -> usize {
        let floats = config.mamba.as_ref().map_or(0, |m| m.shape(config.rms_norm_eps as f32).state_len());
        floats * size_of::<f32>()
    }

    /// Copies state `from` over state `to`, in all layers.
    ///
    /// # Panics
    /// When a state does not exist.
    pub fn copy_state(&mut self, from: u32, to: u32) {
        for layer in &mut self.states {
            let size = layer.len() / self.state_count;
            let from = from as usize * size;
            layer.copy_within(from..from + size, to as usize * size);
        }
    }

    /// Copies page `from` over page `to`, in all layers.
    ///
    /// # Panics
    /// When a page does not exist.
    pub fn copy_page(&mut self, from: u32, to: u32) {
        let size = self.kv_heads * self.block.len();
        for layer in &mut self.layers {
            let from = from as usize * size;
            layer.copy_within(from..from + size, to as usize * size);
        }
    }
}

fn attention_layers(config: &ModelConfig) -> usize {
    config.blocks().iter().filter(|b| matches!(b.kind, BlockKind::Attention { .. })).count()
}

fn mamba_layers(config: &ModelConfig) -> usize {
    config.blocks().iter().filter(|b| b.kind == BlockKind::Mamba).count()
}

/// The pages of one layer.
pub(crate) struct LayerPages<'a> {
    pub data: &'a mut [f32],
    pub block: Block,
    kv_heads: usize,
}

impl LayerPages<'_> {
    fn block_at(&self, page: u32, head: usize) -> usize {
        (page as usize * self.kv_heads + head) * self.block.len()
    }

    /// Writes a row's key and value for one key-value head.
    pub fn write(&mut self, row: &Row<'_>, head: usize, key: &[f32], value: &[f32]) {
        let position = row.position as usize;
        let at = self.block_at(row.pages[position / PAGE], head);
        self.block.write(&mut self.data[at..at + self.block.len()], position % PAGE, key, value);
    }

    /// Offsets of the blocks that a row sees.
    pub fn blocks(&self, row: &Row<'_>, head: usize, blocks: &mut Vec<usize>) {
        blocks.clear();
        let seen = row.position as usize / PAGE + 1;
        blocks.extend(row.pages[..seen].iter().map(|page| self.block_at(*page, head)));
    }
}

impl Model {
    /// Runs rows (prefill chunks and decode steps alike; rows of one sequence beside each other in ascending position) through the
    /// model: writes each row's key and value into its page and its part into its sequence's state, lets it see positions
    /// `0..=position`, and leaves the logits of the rows `wanted`, `[wanted.len(), vocab]`, in `out`.
    ///
    /// Each row's logits have the same bits whatever rows stand beside it.
    ///
    /// # Errors
    /// When a row's token is outside the vocabulary, its position outside the context, or its pages do not reach to its
    /// position or do not exist.
    pub fn forward_cached(
        &self,
        rows: &[Row<'_>],
        wanted: &[usize],
        kv: &mut KvCache,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let (width, vocab) = (self.config.hidden_size, self.config.vocab_size);
        self.check_rows(rows, wanted, kv)?;
        out.resize(wanted.len() * vocab, 0.0);
        if rows.is_empty() {
            return Ok(());
        }
        let params = self.params.read()?;
        let KvCache { layers, states, block, kv_heads, buffers, .. } = kv;
        let Buffers { x, normed, out: added, attention, mamba, mlp } = buffers;
        let embedding = params.get(self.embedding);
        x.clear();
        for row in rows {
            x.extend_from_slice(&embedding[row.token as usize * width..(row.token as usize + 1) * width]);
        }
        elementwise::scale(x, self.config.multipliers.embedding as f32);
        normed.resize(rows.len() * width, 0.0);
        let eps = self.config.rms_norm_eps as f32;
        let residual = self.config.multipliers.residual as f32;
        let (mut layers, mut states) = (layers.iter_mut(), states.iter_mut());
        for part in &self.blocks {
            norm_rows(&params, part.norm, x, eps, normed);
            match &part.mixer {
                Mixer::Attention(one) => {
                    let data = layers.next().expect("the cache has as many layers as the model");
                    let mut pages = LayerPages { data, block: *block, kv_heads: *kv_heads };
                    one.cached(&params, rows, normed, &mut pages, attention, added);
                }
                Mixer::Mamba(one) => {
                    let states = states.next().expect("the cache has as many layers as the model");
                    one.cached(&params, rows, normed, states, mamba, added);
                }
                Mixer::Mlp(one) => one.cached(&params, rows.len(), normed, mlp, added),
            }
            elementwise::add_scaled(x, residual, added);
        }
        added.clear();
        for row in wanted {
            added.extend_from_slice(&x[row * width..(row + 1) * width]);
        }
        normed.resize(wanted.len() * width, 0.0);
        norm_rows(&params, self.norm, added, eps, normed);
        elementwise::scale(normed, self.logit_factor());
        let head = View::rows(params.get(self.head), width).t();
        gemm((wanted.len(), vocab, width), View::rows(normed, width), head, out, false);
        Ok(())
    }

    fn check_rows(&self, rows: &[Row<'_>], wanted: &[usize], kv: &KvCache) -> Result<()> {
        for row in rows {
            let seen = row.position as usize / PAGE + 1;
            if row.token as usize >= self.config.vocab_size {
                candle_core::bail!(
                    "token id {} is outside the vocabulary of {}",
                    row.token,
                    self.config.vocab_size
                );
            }
            if row.position as usize >= self.config.max_position_embeddings {
                let context = self.config.max_position_embeddings;
                candle_core::bail!("position {} is outside the context of {context} tokens", row.position);
            }
            if row.pages.len() < seen || row.pages[..seen].iter().any(|p| *p as usize >= kv.pages) {
                candle_core::bail!(
                    "the pages of a row at position {} do not reach it or do not exist",
                    row.position
                );
            }
            if !kv.states.is_empty() && row.state as usize >= kv.state_count {
                candle_core::bail!("state {} does not exist; there are {}", row.state, kv.state_count);
            }
        }
        if let Some(row) = wanted.iter().find(|w| **w >= rows.len()) {
            candle_core::bail!("logits of row {row} wanted, of {} rows", rows.len());
        }
        Ok(())
    }
}

fn norm_rows(params: &ParamSlices<'_>, weight: ParamId, x: &[f32], eps: f32, out: &mut [f32]) {
    let weight = params.get(weight);
    let width = weight.len();
    for_row_blocks(out, width, |first, block| {
        for (r, row) in block.chunks_exact_mut(width).enumerate() {
            norm::rms_norm(&x[(first + r) * width..(first + r + 1) * width], weight, eps, row);
        }
    });
}
