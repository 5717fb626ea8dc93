//! The cached forward: prefill chunks and decode steps of many sequences as one batch of rows over paged keys and values.
//!
//! Who owns which page is the caller's affair (`rlvr-rollouts`); here a row merely names its pages.

use crate::blocks::{AttentionBuffers, MlpBuffers};
use crate::config::ModelConfig;
use crate::kernels::attention::Block;
use crate::kernels::gemm::{View, gemm};
use crate::kernels::{elementwise, for_row_blocks, norm};
use crate::model::Model;
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
}

/// Keys and values of all layers in pages of [`PAGE`] positions, f32, with the buffers of the forward over them.
pub struct KvCache {
    layers: Vec<Vec<f32>>,
    pages: usize,
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
    mlp: MlpBuffers,
}

impl KvCache {
    /// A cache of `pages` pages for models of this configuration.
    pub fn new(config: &ModelConfig, pages: usize) -> Self {
        let block = Block { head_dim: config.head_dim };
        let kv_heads = config.num_key_value_heads;
        let layer = || vec![0.0; pages * kv_heads * block.len()];
        let layers = (0..config.num_hidden_layers).map(|_| layer()).collect();
        KvCache { layers, pages, kv_heads, block, buffers: Buffers::default() }
    }

    /// Number of pages.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Bytes of one page over all layers of a model of this configuration.
    pub fn bytes_per_page(config: &ModelConfig) -> usize {
        let block = Block { head_dim: config.head_dim };
        config.num_hidden_layers * config.num_key_value_heads * block.len() * size_of::<f32>()
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
    /// Runs rows (prefill chunks and decode steps alike; rows of one sequence in ascending position) through the model:
    /// writes each row's key and value into its page, lets it attend to positions `0..=position`, and leaves the logits of
    /// the rows `wanted`, `[wanted.len(), vocab]`, in `out`.
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
        let KvCache { layers, block, kv_heads, buffers, .. } = kv;
        let Buffers { x, normed, out: added, attention, mlp } = buffers;
        let embedding = params.get(self.embedding);
        x.clear();
        for row in rows {
            x.extend_from_slice(&embedding[row.token as usize * width..(row.token as usize + 1) * width]);
        }
        normed.resize(rows.len() * width, 0.0);
        added.resize(rows.len() * width, 0.0);
        let eps = self.config.rms_norm_eps as f32;
        for (layer, data) in self.layers.iter().zip(layers) {
            let mut pages = LayerPages { data, block: *block, kv_heads: *kv_heads };
            norm_rows(&params, layer.input_norm, x, eps, normed);
            layer.attention.cached(&params, rows, normed, &mut pages, attention, added);
            elementwise::add_assign(x, added);
            norm_rows(&params, layer.post_norm, x, eps, normed);
            layer.mlp.cached(&params, rows.len(), normed, mlp, added);
            elementwise::add_assign(x, added);
        }
        added.clear();
        for row in wanted {
            added.extend_from_slice(&x[row * width..(row + 1) * width]);
        }
        normed.resize(wanted.len() * width, 0.0);
        norm_rows(&params, self.norm, added, eps, normed);
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
