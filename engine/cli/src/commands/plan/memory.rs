//! The memory of a stage on the devices that people have, for all weights trained and for adapters alone.

use crate::commands::say;
use rlvr_model::ModelConfig;
use rlvr_train::footprint::{Device, Footprint, StageSizes, Trained, largest_micro_batch, most_sequences};
use rlvr_train::memory::held_bytes;
use rlvr_train::plan::usual_adapters;
use serde_json::{Value, json};

/// A stage on a device.
pub struct Fit {
    device: Device,
    trained: Trained,
    /// Its parts.
    pub footprint: Footprint,
    largest_micro_batch: Option<usize>,
    most_sequences: Option<usize>,
}

/// This machine, as the program holds it now, and GPUs of 80 and 141 GB.
pub fn devices() -> Vec<Device> {
    let held = held_bytes().unwrap_or(0) + RUNNING;
    vec![Device::cpu(held, rayon::current_num_threads()), Device::gpu(80), Device::gpu(141)]
}

/// Bytes that the program takes besides once it runs: code that is paged in, threads' stacks and packing buffers, writers of metrics
/// and samples.
const RUNNING: u64 = 10_000_000;

/// The stage on each device: first as configured on all of them, then the other way of training.
pub fn fits(model: &ModelConfig, sizes: &StageSizes, devices: &[Device]) -> Vec<Fit> {
    let other = match sizes.trained {
        Trained::Full => usual_adapters(),
        Trained::Lora { .. } => Trained::Full,
    };
    let ways = [sizes.trained.clone(), other].map(|trained| StageSizes { trained, ..sizes.clone() });
    let fit = |sizes: &StageSizes, device: &Device| Fit {
        device: device.clone(),
        trained: sizes.trained.clone(),
        footprint: Footprint::new(model, sizes, device),
        largest_micro_batch: largest_micro_batch(model, sizes, device),
        most_sequences: most_sequences(model, sizes, device),
    };
    ways.iter().flat_map(|sizes| devices.iter().map(move |device| fit(sizes, device))).collect()
}

impl Fit {
    fn fits(&self) -> bool {
        self.footprint.total() <= self.device.memory
    }

    fn trained(&self) -> String {
        match &self.trained {
            Trained::Full => "full".into(),
            Trained::Lora { rank, .. } => format!("LoRA {rank}"),
        }
    }

    /// All its numbers.
    pub fn json(&self) -> Value {
        let rank = match self.trained {
            Trained::Full => None,
            Trained::Lora { rank, .. } => Some(rank),
        };
        json!({
            "device": self.device.name, "memory_bytes": self.device.memory,
            "trained": if rank.is_some() { "lora" } else { "full" }, "lora_rank": rank,
            "bytes": self.footprint, "total_bytes": self.footprint.total(), "fits": self.fits(),
            "largest_micro_batch_tokens": self.largest_micro_batch, "most_sequences": self.most_sequences,
        })
    }
}

/// A table: a line for each device and way of training, its parts in MB or GB.
pub fn print(stage: &str, fits: &[Fit]) -> std::io::Result<()> {
    let most = fits.iter().map(|fit| fit.footprint.total()).max().unwrap_or(0);
    let (unit, size, digits) = if most < 10_000_000_000 { ("MB", 1e6, 0) } else { ("GB", 1e9, 1) };
    let head = format!("{stage}, {unit}");
    let width = fits.iter().map(|fit| fit.device.name.len()).fold(head.len(), usize::max);
    say(format!(
        "{head:<width$} {:>12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>11} {:>7} {:>8} {:>10} {:>8} {:>5} {:>12} {:>10}",
        "trained",
        "base",
        "weights",
        "masters",
        "grads",
        "moments",
        "reference",
        "activations",
        "logits",
        "sampler",
        "evaluation",
        "at most",
        "fits",
        "micro batch",
        "sequences"
    ))?;
    for fit in fits {
        let f = &fit.footprint;
        let cell = |bytes: u64| format!("{:.digits$}", bytes as f64 / size);
        let count = |count: Option<usize>| count.map_or("-".into(), |count: usize| count.to_string());
        say(format!(
            "{:<width$} {:>12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9} {:>11} {:>7} {:>8} {:>10} {:>8} {:>5} {:>12} {:>10}",
            fit.device.name,
            fit.trained(),
            cell(f.base),
            cell(f.weights),
            cell(f.masters),
            cell(f.gradients),
            cell(f.moments),
            cell(f.reference),
            cell(f.activations),
            cell(f.logits),
            cell(f.kv_pages + f.states + f.drawing),
            cell(f.evaluation),
            cell(f.total()),
            if fit.fits() { "yes" } else { "no" },
            count(fit.largest_micro_batch),
            count(fit.most_sequences),
        ))?;
    }
    Ok(())
}
