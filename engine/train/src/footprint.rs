//! What a stage holds in memory, predicted from its sizes: no weights, data or device are needed to ask.
//!
//! The counts follow the code that they predict: what the tape keeps of each kind of block ([`rlvr_model::ops`]), the transients of the
//! backward, the chunked logits, the sampler's pages and buffers. A stage is at its fullest in an update, while it draws, or in an
//! evaluation; [`Footprint::total`] is the largest of the three. `docs/models.md` sets predictions beside what runs used.

use crate::memory;
use rlvr_model::config::BlockKind;
use rlvr_model::logprobs::chunk_rows;
use rlvr_model::{KvCache, LoraTargets, ModelConfig};
use rlvr_rollouts::SamplerConfig;
use serde::Serialize;

/// How a device keeps numbers, and how many bytes of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Device {
    /// What people call it.
    pub name: String,
    /// Bytes that it has.
    pub memory: u64,
    /// Bytes of a weight, an activation, a key or a value.
    pub number: u64,
    /// Whether trained weights have an f32 copy that the optimiser updates.
    pub masters: bool,
    /// Bytes that are taken before there is a model.
    pub base: u64,
    /// What the allocator keeps of freed activations for later ones of other sizes, as a share of them.
    pub retained: f64,
    /// Threads that have scratch memory of their own.
    pub threads: usize,
}

impl Device {
    /// This machine, which keeps everything in f32; `held` bytes are taken by the program, its data and its tokenizer. Without a
    /// figure from the system its memory counts as endless.
    pub fn cpu(held: u64, threads: usize) -> Self {
        let memory = memory::total_bytes().unwrap_or(u64::MAX);
        Device {
            name: "CPU".into(),
            memory,
            number: 4,
            masters: false,
            base: held,
            retained: RETAINED,
            threads,
        }
    }

    /// A GPU of so many gigabytes (10^9 bytes): weights, activations and caches in bf16, masters, gradients and moments in f32. A
    /// gigabyte goes to its context and libraries.
    pub fn gpu(gigabytes: u64) -> Self {
        Device {
            name: format!("GPU {gigabytes} GB"),
            memory: gigabytes * GIGABYTE,
            number: 2,
            masters: true,
            base: GIGABYTE,
            retained: 0.0,
            threads: 1,
        }
    }
}

/// Of mimalloc, on models of 1 to 25 million parameters.
const RETAINED: f64 = 0.08;

const GIGABYTE: u64 = 1_000_000_000;

/// What of a model is trained.
#[derive(Clone, Debug, PartialEq)]
pub enum Trained {
    /// All weights.
    Full,
    /// Adapters of this rank beside these projections.
    Lora {
        /// Width between the two matrices of an adapter.
        rank: usize,
        /// The projections that have one.
        targets: LoraTargets,
    },
}

impl Trained {
    /// Weights of the model's own that are trained, and weights of adapters.
    fn parameters(&self, config: &ModelConfig) -> (u64, u64) {
        match self {
            Trained::Full => (config.parameters() as u64, 0),
            Trained::Lora { rank, targets } => {
                // names that the model does not have are refused where the config is read
                let chosen = config.lora_projections(targets).unwrap_or_default();
                let sides: usize = chosen.iter().map(|p| p.inputs + p.outputs).sum();
                (0, (rank * sides) as u64)
            }
        }
    }
}

/// A sampler and what it is given to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Its sizes.
    pub sampler: SamplerConfig,
    /// Groups that are drawn at a time.
    pub groups: usize,
    /// Samples of each.
    pub samples: usize,
    /// Tokens of the longest prompt.
    pub prompt: usize,
    /// Tokens of the longest sequence, prompt and completion.
    pub longest: usize,
}

impl Sampling {
    /// Sequences that run at one time.
    fn sequences(&self) -> usize {
        self.sampler.max_sequences.min(self.groups * self.samples)
    }
}

/// The sizes of a stage that memory depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSizes {
    /// Tokens whose activations are held at one time.
    pub micro_batch_tokens: usize,
    /// Tokens of the longest sequence.
    pub longest: usize,
    /// What is trained.
    pub trained: Trained,
    /// Whether blocks are run again in the backward.
    pub activation_checkpointing: bool,
    /// Whether adapters are merged into a whole model at the stage's end.
    pub merged: bool,
    /// Whether there is a reference policy.
    pub reference: bool,
    /// The sampler of reinforcement learning.
    pub rl: Option<Sampling>,
    /// That of the evaluation.
    pub eval: Option<Sampling>,
    /// Whether evaluations come within the stage too.
    pub eval_within: bool,
}

/// Bytes of a stage, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// What is there before the model: the program, its data and tokenizer, or a GPU's context.
    pub base: u64,
    /// Weights, adapters included, with rotary tables.
    pub weights: u64,
    /// f32 copies of trained weights.
    pub masters: u64,
    /// Gradients, f32.
    pub gradients: u64,
    /// The optimiser's two moments, f32.
    pub moments: u64,
    /// The reference policy's own weights.
    pub reference: u64,
    /// What the forward of a micro batch keeps, and the gradients under way in its backward.
    pub activations: u64,
    /// A chunk of logits in the loss.
    pub logits: u64,
    /// Keys and values of the stage's own sampler.
    pub kv_pages: u64,
    /// Its recurrent states.
    pub states: u64,
    /// Buffers of its forward, logits included.
    pub drawing: u64,
    /// The evaluation's sampler, with its buffers.
    pub evaluation: u64,
    /// Copies of the projections that adapters are merged into.
    pub merging: u64,
    /// Whether the stage's own sampler is there in an evaluation.
    #[serde(skip)]
    both: bool,
}

impl Footprint {
    /// The footprint of a stage that trains a model of this shape on this device.
    pub fn new(config: &ModelConfig, sizes: &StageSizes, device: &Device) -> Self {
        let (own, adapters) = sizes.trained.parameters(config);
        let (all, trained) = (config.parameters() as u64 + adapters, own + adapters);
        let tables = 4 * (config.max_position_embeddings * 2 * config.inv_freq().len()) as u64;
        // a run of adapters has its own base for a reference, to which only rotary tables are added
        let copied = if sizes.reference { own * device.number + tables } else { 0 };
        let (activations, logits) = update_bytes(config, sizes, device);
        let cache = |sampling: &Sampling| cache_bytes(config, sampling, device);
        let (kv_pages, states) = sizes.rl.as_ref().map_or((0, 0), cache);
        let drawing = |sampling: &Sampling| drawing_bytes(config, sampling, device);
        let evaluation = sizes.eval.as_ref().map_or(0, |eval| {
            let (pages, states) = cache(eval);
            pages + states + drawing(eval)
        });
        Footprint {
            base: device.base,
            weights: all * device.number + tables,
            masters: if device.masters { trained * 4 } else { 0 },
            gradients: trained * 4,
            moments: trained * 8,
            reference: copied,
            activations,
            logits,
            kv_pages,
            states,
            drawing: sizes.rl.as_ref().map_or(0, drawing),
            evaluation,
            merging: if sizes.merged { merged_parameters(config, &sizes.trained) * device.number } else { 0 },
            both: sizes.eval_within,
        }
    }

    /// The most that is held at one time.
    pub fn total(&self) -> u64 {
        let fixed = self.base + self.weights + self.masters + self.gradients + self.moments + self.reference;
        // buffers of the sampler's forward stay with its cache
        let cache = self.kv_pages + self.states + self.drawing;
        let evaluation = self.evaluation + if self.both { cache } else { 0 };
        fixed + (cache + self.activations + self.logits).max(evaluation).max(self.merging)
    }
}

/// The largest `micro_batch_tokens` with which the stage fits the device; none where no sequence of its longest does.
pub fn largest_micro_batch(config: &ModelConfig, sizes: &StageSizes, device: &Device) -> Option<usize> {
    largest(sizes.longest, 1 << 24, |tokens| {
        let sizes = StageSizes { micro_batch_tokens: tokens, ..sizes.clone() };
        Footprint::new(config, &sizes, device).total() <= device.memory
    })
}

/// The most sequences that the stage's sampler can run at a time beside the rest of the stage; none where it has no sampler, or one
/// sequence is too much.
pub fn most_sequences(config: &ModelConfig, sizes: &StageSizes, device: &Device) -> Option<usize> {
    let rl = sizes.rl?;
    largest(1, 1 << 20, |sequences| {
        let groups = sequences.div_ceil(rl.samples.max(1));
        let lengths = (rl.prompt, rl.longest - rl.prompt);
        let sampler = SamplerConfig::for_groups(sequences, (groups, rl.samples), lengths);
        let rl = Sampling { sampler, groups, ..rl };
        let sizes = StageSizes { rl: Some(rl), ..sizes.clone() };
        Footprint::new(config, &sizes, device).total() <= device.memory
    })
}

/// The largest number of `least..=most` that fits, where all below one that fits do.
fn largest(least: usize, most: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (least, most.max(least));
    if !fits(low) {
        return None;
    }
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    Some(low)
}

/// Floats of one token in one block.
struct BlockFloats {
    /// What the tape keeps when the forward has ended, the block's input included.
    kept: usize,
    /// What the backward of the block has beside that, the residual stream's gradient included.
    backward: usize,
}

fn block_floats(config: &ModelConfig, kind: BlockKind, trained: &Trained) -> BlockFloats {
    let hidden = config.hidden_size;
    // the input, its norm's factor and the normed copy
    let norm = 2 * hidden + 1;
    let (kept, backward) = match kind {
        BlockKind::Attention { .. } => {
            let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
            let (queries, keys) = (heads * config.head_dim, kv_heads * config.head_dim);
            // queries, keys, values, what was mixed of them and the log-sums; with norms of heads, queries and keys before those
            let normed = if config.qk_norm { queries + keys + heads + kv_heads } else { 0 };
            (2 * (queries + keys) + heads + normed, (hidden + 2 * (queries + keys)).max(2 * hidden + queries))
        }
        BlockKind::GatedMlp | BlockKind::FusedGatedMlp => {
            let inner = config.intermediate_size;
            (3 * inner, (hidden + 2 * inner).max(2 * hidden + inner))
        }
        BlockKind::SquaredReluMlp => {
            let inner = config.intermediate_size;
            (2 * inner, 2 * hidden + inner)
        }
        BlockKind::Mamba => {
            let Some(mamba) = &config.mamba else { return BlockFloats { kept: norm, backward: 2 * hidden } };
            let (inner, channels) = (mamba.inner(), mamba.channels());
            let projected = inner + channels + mamba.heads;
            // the backward's inputs of the scan and the gradients of what it was given, each group of heads with sums of its own
            let scan = projected + 2 * inner + channels + 4 * mamba.heads + 32 * mamba.state;
            (projected + 2 * inner, hidden + inner + scan)
        }
    };
    let rank = match trained {
        Trained::Full => 0,
        Trained::Lora { rank, .. } => *rank,
    };
    // each projection's adapter keeps its inner values
    let adapters = rank * if matches!(kind, BlockKind::Attention { .. }) { 4 } else { 3 };
    BlockFloats { kept: norm + kept + adapters, backward: backward + rank }
}

/// Weights of the projections that have adapters.
fn merged_parameters(config: &ModelConfig, trained: &Trained) -> u64 {
    let Trained::Lora { targets, .. } = trained else { return 0 };
    let chosen = config.lora_projections(targets).unwrap_or_default();
    chosen.iter().map(|p| (p.inputs * p.outputs) as u64).sum()
}

/// Bytes of activations and of logits at the fullest moment of an update.
fn update_bytes(config: &ModelConfig, sizes: &StageSizes, device: &Device) -> (u64, u64) {
    let (hidden, tokens) = (config.hidden_size, sizes.micro_batch_tokens);
    let blocks: Vec<BlockFloats> =
        config.blocks().iter().map(|block| block_floats(config, block.kind, &sizes.trained)).collect();
    let again = sizes.activation_checkpointing;
    // of what a block keeps, what is there until its turn in the backward comes
    let waiting = |block: &BlockFloats| if again { hidden } else { block.kept };
    let all: usize = blocks.iter().map(waiting).sum();
    // when the loss has its gradient: all blocks, the last norm's input and output, and the gradient of the latter
    let mut floats = all + 3 * hidden + 1;
    let mut before = 0;
    for block in &blocks {
        let own = if again { block.kept } else { waiting(block) };
        floats = floats.max(before + own + block.backward);
        before += waiting(block);
    }
    let rows = chunk_rows(config.vocab_size).min(tokens);
    let logits = (rows * (config.vocab_size + 2 * hidden)) as u64 * 4;
    let activations = ((floats * tokens) as u64 * device.number) as f64 * (1.0 + device.retained);
    (activations as u64 + scratch_bytes(config, sizes, device) + PER_TARGET * tokens as u64, logits)
}

/// Bytes of a target besides activations: ids, rows, positions, log-probabilities, gradients and what the batch says of it.
const PER_TARGET: u64 = 64;

/// What each thread has for itself in the backward of attention and of Mamba-2's scan.
fn scratch_bytes(config: &ModelConfig, sizes: &StageSizes, device: &Device) -> u64 {
    let longest = sizes.longest.min(sizes.micro_batch_tokens);
    let of = |block: BlockKind| match block {
        // keys and values twice over, and two gradients of each
        BlockKind::Attention { .. } => 8 * longest * config.head_dim,
        BlockKind::Mamba => config
            .mamba
            .as_ref()
            .map_or(0, |mamba| (sizes.micro_batch_tokens / 64 + 16) * mamba.head_dim * mamba.state),
        _ => 0,
    };
    let most = config.blocks().iter().map(|block| of(block.kind)).max().unwrap_or(0);
    (device.threads * most) as u64 * device.number
}

/// Bytes of a sampler's pages and recurrent states.
fn cache_bytes(config: &ModelConfig, sampling: &Sampling, device: &Device) -> (u64, u64) {
    let (pages, states) = (sampling.sampler.kv_pages, sampling.sampler.states());
    // states stay in f32: what is added to them over a sequence is small beside them
    let page = KvCache::bytes_per_page(config) as u64 * device.number / 4;
    (pages as u64 * page, (states * KvCache::bytes_per_state(config)) as u64)
}

/// Bytes of the buffers of a sampler's forward.
fn drawing_bytes(config: &ModelConfig, sampling: &Sampling, device: &Device) -> u64 {
    let sequences = sampling.sequences();
    let prompts = sampling.prompt * sampling.groups;
    let rows = sequences + sampling.sampler.prefill_chunk.min(prompts);
    let mut kinds = [0; 3];
    for block in config.blocks() {
        match block.kind {
            BlockKind::Attention { .. } => {
                kinds[0] = 2 * (config.num_attention_heads + config.num_key_value_heads) * config.head_dim;
            }
            BlockKind::Mamba => {
                // with the inputs and results of the scan
                kinds[1] =
                    config.mamba.as_ref().map_or(0, |m| 4 * m.inner() + 2 * m.channels() + 3 * m.heads);
            }
            BlockKind::SquaredReluMlp => kinds[2] = 2 * config.intermediate_size,
            BlockKind::GatedMlp | BlockKind::FusedGatedMlp => kinds[2] = 3 * config.intermediate_size,
        }
    }
    let width = 3 * config.hidden_size + kinds.iter().sum::<usize>();
    (rows * width) as u64 * device.number + (sequences * config.vocab_size) as u64 * 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn llama() -> ModelConfig {
        let fields = json!({
            "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192, "rope_theta": 5e5,
        });
        ModelConfig::from_json(fields.as_object().unwrap()).unwrap()
    }

    fn sizes(trained: Trained) -> StageSizes {
        StageSizes {
            micro_batch_tokens: 8192,
            longest: 8192,
            trained,
            activation_checkpointing: true,
            merged: false,
            reference: false,
            rl: None,
            eval: None,
            eval_within: false,
        }
    }

    #[test]
    fn weights_and_their_state_are_what_the_formats_say() {
        let (model, gpu) = (llama(), Device::gpu(141));
        let count = 8_030_261_248;
        let full = Footprint::new(&model, &sizes(Trained::Full), &gpu);
        let tables = 8192 * 128 * 4;
        assert_eq!((full.weights, full.masters), (2 * count + tables, 4 * count));
        assert_eq!((full.gradients, full.moments, full.reference), (4 * count, 8 * count, 0));
        let targets = LoraTargets::Named(vec!["q_proj".into(), "v_proj".into()]);
        let lora = Footprint::new(&model, &sizes(Trained::Lora { rank: 16, targets }), &gpu);
        let adapters = 32 * 16 * ((4096 + 4096) + (4096 + 1024));
        assert_eq!((lora.weights, lora.masters), (2 * (count + adapters) + tables, 4 * adapters));
        assert_eq!((lora.gradients, lora.moments), (4 * adapters, 8 * adapters));
        let cpu = Footprint::new(&model, &sizes(Trained::Full), &Device::cpu(0, 1));
        assert_eq!((cpu.weights, cpu.masters), (4 * count + tables, 0));
    }

    #[test]
    fn checkpointing_leaves_a_blocks_input_and_one_blocks_insides() {
        let (model, gpu) = (llama(), Device::gpu(141));
        let again = Footprint::new(&model, &sizes(Trained::Full), &gpu);
        let kept = StageSizes { activation_checkpointing: false, ..sizes(Trained::Full) };
        let kept = Footprint::new(&model, &kept, &gpu);
        let inputs = 64 * 8192 * 4096 * 2;
        let insides = 8192 * 2 * (3 * 14336 + 2 * 14336 + 4 * 4096);
        assert!(again.activations > inputs && again.activations < inputs + insides, "{again:?}");
        // 32 times attention's queries, keys, values and result, and the MLP's three, beside two copies of the stream each
        let all = 32 * 8192 * 2 * (4 * 4096 + 2 * (4096 + 1024) + 3 * 14336);
        assert!(kept.activations > all && kept.activations < all + all / 10, "{kept:?}");
    }

    #[test]
    fn the_largest_that_fits_fits_and_one_more_does_not() {
        let (model, gpu) = (llama(), Device::gpu(80));
        let lora = Trained::Lora { rank: 16, targets: LoraTargets::AllLinear };
        let sampler = SamplerConfig::for_groups(64, (16, 8), (1024, 2048));
        let rl = Sampling { sampler, groups: 16, samples: 8, prompt: 1024, longest: 3072 };
        let sizes = StageSizes { rl: Some(rl), longest: 3072, ..sizes(lora) };
        let tokens = largest_micro_batch(&model, &sizes, &gpu).unwrap();
        let total = |tokens: usize| {
            let sizes = StageSizes { micro_batch_tokens: tokens, ..sizes.clone() };
            Footprint::new(&model, &sizes, &gpu).total()
        };
        assert!(total(tokens) <= gpu.memory && total(tokens + 1) > gpu.memory);
        let sequences = most_sequences(&model, &sizes, &gpu).unwrap();
        // pages of 16 tokens: 32 layers, 8 heads, keys and values of 128 components in bf16
        let page = 16 * 32 * 8 * 2 * 128 * 2;
        let free = gpu.memory - total(8192) + rl.sampler.kv_pages as u64 * page;
        assert!((sequences as u64) * 129 * page < free && sequences > 64, "{sequences}");
        let full = StageSizes { trained: Trained::Full, ..sizes };
        assert_eq!(largest_micro_batch(&model, &full, &gpu), None);
    }
}
