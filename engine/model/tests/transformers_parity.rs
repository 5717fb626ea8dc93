//! Logits of both forwards against transformers', on the checkpoints of `tests/oracles/llama_logits.py` and `family_logits.py`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use rlvr_model::{KvCache, Model, ModelConfig, PAGE, Row};

/// Checkpoints of all families, as paths below the fixtures.
const NAMES: [&str; 19] = [
    "llama/tied_gqa",
    "llama/untied_mha",
    "llama/wide_heads",
    "llama/llama3_rope",
    "llama/sharded_bf16",
    "llama/old_config_f16",
    "families/mistral_window",
    "families/mistral_wide",
    "families/qwen2_tied",
    "families/qwen2_window",
    "families/qwen3_tied",
    "families/qwen3_bias",
    "families/granite_tied",
    "families/granite_bias",
    "families/granitehybrid_dense",
    "families/granitehybrid_mamba",
    "families/granitehybrid_groups",
    "families/nemotronh_pattern",
    "families/nemotronh_bias",
];
/// The project's bound for f32.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

struct Expected {
    ids: Vec<u32>,
    prefill: usize,
    /// `[ids.len(), vocab]`
    logits: Vec<Vec<f32>>,
    cached_logits: Vec<Vec<f32>>,
}

impl Expected {
    fn read(name: &str) -> Self {
        let file: HashMap<String, Tensor> =
            candle_core::safetensors::load(fixture(name).join("expected.safetensors"), &Device::Cpu).unwrap();
        let whole = |key: &str| file[key].to_vec1::<i64>().unwrap();
        Self {
            ids: whole("input_ids").into_iter().map(|id| u32::try_from(id).unwrap()).collect(),
            prefill: usize::try_from(whole("prefill")[0]).unwrap(),
            logits: file["logits"].to_vec2().unwrap(),
            cached_logits: file["cached_logits"].to_vec2().unwrap(),
        }
    }
}

/// Logits at every position, with the sequence run in chunks of the given lengths over pages in reverse order.
fn cached_logits(model: &Model, ids: &[u32], chunks: &[usize]) -> Vec<Vec<f32>> {
    let pages: Vec<u32> = (0..ids.len().div_ceil(PAGE) as u32).rev().collect();
    let mut kv = KvCache::new(&model.config, pages.len(), 1);
    let (mut start, mut out, mut logits) = (0, Vec::new(), Vec::new());
    for length in chunks {
        let rows: Vec<Row<'_>> = (start..start + length)
            .map(|at| Row { token: ids[at], position: at as u32, pages: &pages, state: 0 })
            .collect();
        let wanted: Vec<usize> = (0..rows.len()).collect();
        model.forward_cached(&rows, &wanted, &mut kv, &mut out).unwrap();
        logits.extend(out.chunks(model.config.vocab_size).map(<[f32]>::to_vec));
        start += length;
    }
    assert_eq!(logits.len(), ids.len());
    logits
}

#[track_caller]
fn assert_close(name: &str, found: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(found.len(), expected.len());
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len());
        for (id, (found, expected)) in found.iter().zip(expected).enumerate() {
            let difference = (found - expected).abs();
            assert!(
                difference <= TOLERANCE,
                "{name}, position {position}, id {id}: {found} against {expected}"
            );
        }
    }
}

#[test]
fn cached_logits_of_a_whole_prefill_are_those_of_transformers() {
    for name in NAMES {
        let (model, expected) = (Model::load(&fixture(name)).unwrap(), Expected::read(name));
        let found = cached_logits(&model, &expected.ids, &[expected.ids.len()]);
        assert_close(name, &found, &expected.logits);
    }
}

#[test]
fn cached_logits_of_prefill_and_single_steps_are_those_of_transformers() {
    for name in NAMES {
        let (model, expected) = (Model::load(&fixture(name)).unwrap(), Expected::read(name));
        let mut chunks = vec![expected.prefill];
        chunks.resize(1 + expected.ids.len() - expected.prefill, 1);
        assert_close(name, &cached_logits(&model, &expected.ids, &chunks), &expected.cached_logits);
    }
}

#[test]
fn log_probabilities_of_the_training_forward_are_those_of_transformers() {
    for name in NAMES {
        let (model, expected) = (Model::load(&fixture(name)).unwrap(), Expected::read(name));
        let found = model.logprobs(&expected.ids).unwrap();
        assert_eq!(found.len(), expected.ids.len());
        assert_eq!(found[0], None);
        for position in 1..expected.ids.len() {
            let logits = &expected.logits[position - 1];
            let normaliser = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
            let logprob = f64::from(logits[expected.ids[position] as usize]) - normaliser;
            let found = f64::from(found[position].unwrap());
            assert!(
                (found - logprob).abs() <= f64::from(TOLERANCE),
                "{name}, {position}: {found} against {logprob}"
            );
        }
    }
}

#[test]
fn a_saved_folder_loads_as_the_same_model_to_the_bit() {
    for name in NAMES {
        let (model, expected) = (Model::load(&fixture(name)).unwrap(), Expected::read(name));
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let again = Model::load(folder.path()).unwrap();

        assert_eq!(again.config, ModelConfig { dtype: again.config.dtype, ..model.config.clone() });
        assert_eq!(again.config.dtype.name(), "float32");
        assert_eq!(again.generation, model.generation);
        let bits = |model: &Model| -> Vec<(String, Vec<u32>)> {
            let of = |value: &Tensor| value.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            model
                .params
                .iter()
                .map(|p| (p.name.clone(), of(&p.value).iter().map(|x| x.to_bits()).collect()))
                .collect()
        };
        assert_eq!(bits(&again), bits(&model), "{name}");
        let chunks = [expected.ids.len()];
        assert_eq!(
            cached_logits(&again, &expected.ids, &chunks),
            cached_logits(&model, &expected.ids, &chunks)
        );
    }
}
