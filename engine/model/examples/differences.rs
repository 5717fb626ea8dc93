//! How far this crate's numbers are from transformers' and PyTorch's on every checkpoint of the fixtures: the table of `docs/models.md`.
//!
//! `cargo run --release -p rlvr-model --example differences`

use rlvr_model::logprobs::Targets;
use rlvr_model::tensor::floats;
use rlvr_model::{KvCache, Model, PAGE, Packed, Row, Tape};
use safetensors::SafeTensors;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// What the fixtures hold for one checkpoint.
struct Expected<'a>(SafeTensors<'a>);

impl Expected<'_> {
    fn numbers(&self, name: &str) -> Result<Vec<f32>, Box<dyn Error>> {
        let view = self.0.tensor(name).map_err(|error| format!("{name}: {error}"))?;
        Ok(view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    fn whole(&self, name: &str) -> Result<Vec<u32>, Box<dyn Error>> {
        let view = self.0.tensor(name).map_err(|error| format!("{name}: {error}"))?;
        Ok(view.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let mut folders = Vec::new();
    for group in ["llama", "families"] {
        let entries = std::fs::read_dir(root.join(group))?.collect::<Result<Vec<_>, _>>()?;
        folders.extend(entries.into_iter().map(|entry| entry.path()));
    }
    folders.retain(|folder| folder.join("expected.safetensors").is_file());
    folders.sort();
    println!(
        "| checkpoint | parameters | logits | cached logits | gradients |\n| --- | --- | --- | --- | --- |"
    );
    for folder in &folders {
        println!("{}", row(folder)?);
    }
    Ok(())
}

fn row(folder: &Path) -> Result<String, Box<dyn Error>> {
    let bytes = std::fs::read(folder.join("expected.safetensors"))?;
    let expected = Expected(SafeTensors::deserialize(&bytes)?);
    let (ids, prefill) = (expected.whole("input_ids")?, expected.whole("prefill")?[0] as usize);
    let model = Model::load(folder)?;
    let mut steps = vec![prefill];
    steps.resize(1 + ids.len() - prefill, 1);
    let whole = largest(&logits(&model, &ids, &[ids.len()])?, &expected.numbers("logits")?);
    let cached = largest(&logits(&model, &ids, &steps)?, &expected.numbers("cached_logits")?);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let parameters = model.config.parameters();
    Ok(format!(
        "| `{name}` | {parameters} | {whole:.1e} | {cached:.1e} | {:.1e} |",
        gradients(&model, &ids, &expected)?
    ))
}

fn largest(found: &[f32], expected: &[f32]) -> f32 {
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Logits at every position, the sequence run in chunks of these lengths.
fn logits(model: &Model, ids: &[u32], chunks: &[usize]) -> Result<Vec<f32>, Box<dyn Error>> {
    let pages: Vec<u32> = (0..ids.len().div_ceil(PAGE) as u32).collect();
    let mut kv = KvCache::new(&model.config, pages.len(), 1);
    let (mut start, mut all, mut out) = (0, Vec::new(), Vec::new());
    for length in chunks {
        let at = start..start + length;
        let row = |at: usize| Row { token: ids[at], position: at as u32, pages: &pages, state: 0 };
        let rows: Vec<Row<'_>> = at.map(row).collect();
        model.forward_cached(&rows, &(0..rows.len()).collect::<Vec<_>>(), &mut kv, &mut out)?;
        all.extend_from_slice(&out);
        start += length;
    }
    Ok(all)
}

/// The largest distance of a parameter's gradient from PyTorch's, as a share of its norm.
fn gradients(model: &Model, ids: &[u32], expected: &Expected<'_>) -> Result<f32, Box<dyn Error>> {
    let mut batch = Packed::new();
    batch.push(ids);
    let count = ids.len() - 1;
    let targets = Targets { rows: (0..count as u32).collect(), ids: ids[1..].to_vec() };
    let tape = Tape::new();
    let scored = model.token_logprobs(&tape, &Arc::new(batch), targets, 1.0)?;
    let mut grads = model.params.zero_grads()?;
    tape.backward(&scored.logprobs, vec![-1.0 / count as f32; count], &mut grads)?;
    let mut most = 0.0_f32;
    for (param, grad) in model.params.iter().zip(grads.iter()) {
        let (ours, theirs) = (floats(grad)?, expected.numbers(&format!("grad.{}", param.name))?);
        let norm = theirs.iter().map(|x| x * x).sum::<f32>().sqrt();
        let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
        most = most.max(off / norm.max(f32::MIN_POSITIVE));
    }
    Ok(most)
}
