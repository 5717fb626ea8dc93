//! Adapters against PEFT's own (`tests/oracles/lora.py`), and what must hold between a model, its base and its merged form.

use rlvr_model::kernels::softmax;
use rlvr_model::logprobs::Targets;
use rlvr_model::tensor::floats;
use rlvr_model::{KvCache, LoraConfig, LoraTargets, Model, PAGE, Packed, Row, Tape};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAMES: [&str; 3] = ["all_linear", "rank_stabilised", "some_layers"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// An adapter's folder, and the tensors that `lora.py` put beside it.
struct Case {
    folder: PathBuf,
    bytes: Vec<u8>,
}

impl Case {
    fn new(name: &str) -> Self {
        let folder = fixture("lora").join(name);
        let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
        Case { folder, bytes }
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn ids(&self) -> Vec<u32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let ids = file.tensor("input_ids").unwrap();
        ids.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect()
    }
}

/// Logits at every position by the cached forward, token by token after a first run of `prefill`.
fn cached_logits(model: &Model, ids: &[u32], prefill: usize) -> Vec<f32> {
    let pages: Vec<u32> = (0..ids.len().div_ceil(PAGE) as u32).collect();
    let mut kv = KvCache::new(&model.config, pages.len(), 1);
    let (mut start, mut out, mut logits) = (0, Vec::new(), Vec::new());
    while start < ids.len() {
        let end = if start == 0 { prefill } else { start + 1 };
        let row = |at: usize| Row { token: ids[at], position: at as u32, pages: &pages, state: 0 };
        let rows: Vec<Row<'_>> = (start..end).map(row).collect();
        let wanted: Vec<usize> = (0..rows.len()).collect();
        model.forward_cached(&rows, &wanted, &mut kv, &mut out).unwrap();
        logits.extend_from_slice(&out);
        start = end;
    }
    logits
}

/// Gradients of the mean cross entropy, by name; the loss too.
fn gradients(model: &Model, ids: &[u32]) -> (f32, BTreeMap<String, Vec<f32>>) {
    let mut batch = Packed::new();
    batch.push(ids);
    let count = ids.len() - 1;
    let targets = Targets { rows: (0..count as u32).collect(), ids: ids[1..].to_vec() };
    let tape = Tape::new();
    let scored = model.token_logprobs(&tape, &Arc::new(batch), targets, 1.0).unwrap();
    let loss = -floats(&scored.logprobs.value).unwrap().iter().sum::<f32>() / count as f32;
    let mut grads = model.params.zero_grads().unwrap();
    tape.backward(&scored.logprobs, vec![-1.0 / count as f32; count], &mut grads).unwrap();
    assert_eq!(grads.untouched(), None);
    let named = model.params.trainable().zip(grads.iter());
    (loss, named.map(|(p, g)| (p.name.clone(), floats(g).unwrap().to_vec())).collect())
}

fn bits(model: &Model) -> BTreeMap<String, Vec<u32>> {
    let of = |p: &rlvr_model::params::Param| floats(&p.value).unwrap().iter().map(|x| x.to_bits()).collect();
    model.params.iter().map(|p| (p.name.clone(), of(p))).collect()
}

/// The tensors of a safetensors file, as bytes.
fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter().map(|(name, t)| (name.to_owned(), (t.shape().to_vec(), t.data().to_vec()))).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn logits_of_an_adapter_made_by_peft_are_those_of_pytorch() {
    for name in NAMES {
        let case = Case::new(name);
        let model = Model::load(&case.folder).unwrap();
        let expected = case.numbers("logits");
        let base = model.base();
        let mut moved = 0.0f32;
        for prefill in [1, 5, case.ids().len()] {
            let found = cached_logits(&model, &case.ids(), prefill);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() <= 1e-4, "{name}: {found} against {expected}");
            }
            let plain = cached_logits(&base, &case.ids(), prefill);
            moved = found.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(moved, f32::max);
        }
        assert!(moved > 0.1, "{name}: the adapter moves logits by {moved} only");
    }
}

#[test]
fn gradients_of_adapters_are_those_of_pytorch_and_nothing_else_has_one() {
    for name in NAMES {
        let case = Case::new(name);
        let model = Model::load(&case.folder).unwrap();
        let (loss, found) = gradients(&model, &case.ids());
        assert!((loss - case.numbers("loss")[0]).abs() < 1e-4, "{name}: loss {loss}");
        assert_eq!(found.len(), tensors(&case.folder.join("adapter_model.safetensors")).len());
        for (parameter, ours) in found {
            assert!(parameter.contains(".lora_"), "{parameter} has a gradient");
            let stored = parameter.replacen("backbone.", "model.", 1);
            let theirs = case.numbers(&format!("grad.base_model.model.{stored}"));
            let norm = theirs.iter().map(|x| x * x).sum::<f32>().sqrt();
            let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
            assert!(
                norm > 0.0 && off <= 1e-3 * norm,
                "{name}: {parameter} is off by {off}, its norm is {norm}"
            );
        }
    }
}

#[test]
fn an_adapter_is_written_as_peft_wrote_it() {
    for name in NAMES {
        let case = Case::new(name);
        let model = Model::load(&case.folder).unwrap();
        let folder = tempfile::tempdir().unwrap();
        model.save_adapter(folder.path(), Path::new("a/base")).unwrap();
        let file = "adapter_model.safetensors";
        assert_eq!(tensors(&folder.path().join(file)), tensors(&case.folder.join(file)), "{name}");
        let (ours, theirs) = (
            json(&folder.path().join("adapter_config.json")),
            json(&case.folder.join("adapter_config.json")),
        );
        assert_eq!(ours["base_model_name_or_path"], "a/base");
        for (field, value) in ours.as_object().unwrap() {
            let ends = |value: &Value| -> BTreeSet<String> {
                let names = value.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                names.map(|name| name.rsplit('.').next().unwrap().to_owned()).collect()
            };
            match field.as_str() {
                "base_model_name_or_path" => {}
                "target_modules" => assert_eq!(ends(value), ends(&theirs[field]), "{name}"),
                _ => assert_eq!(value, &theirs[field], "{name}: {field}"),
            }
        }
        let base = Model::load(&case.folder).unwrap().base();
        let base_folder = tempfile::tempdir().unwrap();
        base.save(base_folder.path()).unwrap();
        let again = Model::load(base_folder.path()).unwrap().with_adapter(folder.path()).unwrap();
        assert_eq!(bits(&again), bits(&model), "{name}");
        assert_eq!(again.lora, model.lora);
    }
}

#[test]
fn sampled_and_trained_log_probabilities_of_an_adapted_model_have_the_same_bits() {
    for name in NAMES {
        let case = Case::new(name);
        let (model, ids) = (Model::load(&case.folder).unwrap(), case.ids());
        let trained: Vec<f32> = model.logprobs(&ids).unwrap().into_iter().flatten().collect();
        for prefill in [1, 7] {
            let logits = cached_logits(&model, &ids, prefill);
            let rows = logits.chunks_exact(model.config.vocab_size).zip(&ids[1..]);
            let sampled: Vec<f32> =
                rows.map(|(row, id)| row[*id as usize] - softmax::log_sum_exp(row)).collect();
            assert_eq!(sampled, trained, "{name}");
        }
    }
}

#[test]
fn a_merged_model_computes_what_the_adapted_one_does_and_leaves_it_as_it_was() {
    for name in NAMES {
        let case = Case::new(name);
        let (model, ids) = (Model::load(&case.folder).unwrap(), case.ids());
        let before = bits(&model);
        let merged = model.merged().unwrap();
        let folder = tempfile::tempdir().unwrap();
        merged.save(folder.path()).unwrap();
        let merged = Model::load(folder.path()).unwrap();
        assert!(merged.lora.is_none() && merged.params.iter().all(|p| p.trainable));
        for (a, b) in model.logprobs(&ids).unwrap().into_iter().zip(merged.logprobs(&ids).unwrap()).skip(1) {
            let (a, b) = (a.unwrap(), b.unwrap());
            assert!((a - b).abs() <= 1e-5, "{name}: {a} against {b}");
        }
        assert_eq!(bits(&model), before, "{name}");
    }
}

#[test]
fn a_model_with_fresh_adapters_is_its_base_to_the_bit_and_its_snapshot_shares_the_base() {
    let load = || Model::load(&fixture("families/granitehybrid_mamba")).unwrap();
    let lora = LoraConfig { rank: 4, alpha: 8.0, targets: LoraTargets::AllLinear, rslora: false };
    let (plain, ids) = (load(), Case::new("rank_stabilised").ids());
    let model = load().with_lora(lora.clone(), 3).unwrap();
    assert_eq!(model.logprobs(&ids).unwrap(), plain.logprobs(&ids).unwrap());
    let fresh = |seed| bits(&load().with_lora(lora.clone(), seed).unwrap());
    assert!(fresh(3) == bits(&model) && fresh(4) != bits(&model), "keyed by the seed");
    for p in model.params.trainable() {
        let values = floats(&p.value).unwrap();
        let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        let bound = 1.0 / (p.value.dims()[1] as f32).sqrt();
        match p.name.contains("lora_B") {
            true => assert_eq!(largest, 0.0, "{}", p.name),
            false => assert!(largest <= bound && largest > 0.9 * bound, "{}: {largest} of {bound}", p.name),
        }
    }
    let snapshot = model.snapshot().unwrap();
    for (a, b) in model.params.iter().zip(snapshot.params.iter()) {
        assert_eq!(a.value.id() == b.value.id(), !a.trainable, "{}", a.name);
    }
}

#[test]
fn gradients_with_activation_checkpointing_have_the_bits_of_those_without() {
    let mut folders: Vec<PathBuf> = NAMES.iter().map(|name| fixture("lora").join(name)).collect();
    let families = std::fs::read_dir(fixture("families")).unwrap();
    folders.extend(families.map(|entry| entry.unwrap().path()));
    assert!(folders.len() > 10);
    for folder in folders {
        let mut model = Model::load(&folder).unwrap();
        let ids: Vec<u32> = (0..30).map(|i| (i * 7 + 3) % model.config.vocab_size as u32).collect();
        let (loss, kept) = gradients(&model, &ids);
        model.activation_checkpointing = true;
        let (loss_again, made_again) = gradients(&model, &ids);
        assert_eq!(loss.to_bits(), loss_again.to_bits(), "{}", folder.display());
        assert!(kept == made_again, "{}: gradients differ", folder.display());
    }
}

#[test]
fn targets_that_a_model_does_not_have_are_refused_with_those_that_it_has() {
    let refused = |folder: &str, target: &str| {
        let targets = LoraTargets::Named(vec![target.to_owned()]);
        let lora = LoraConfig { rank: 2, alpha: 2.0, targets, rslora: false };
        Model::load(&fixture(folder)).unwrap().with_lora(lora, 1).err().unwrap().to_string()
    };
    let error = refused("families/qwen2_tied", "in_proj");
    assert_eq!(
        error,
        "the model has no projection `in_proj`; it has q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj"
    );
    let error = refused("families/nemotronh_bias", "out_proj");
    assert!(error.contains("`out_proj`") && error.contains("PEFT"), "{error}");
    let error = refused("families/qwen2_tied", "lm_head");
    assert!(error.contains("no projection `lm_head`"), "{error}");
}

/// The error of loading the first adapter with some fields of its config changed.
fn with_fields(fields: Value) -> String {
    let case = Case::new("all_linear");
    let folder = tempfile::tempdir().unwrap();
    let mut config = json(&case.folder.join("adapter_config.json"));
    config["base_model_name_or_path"] = json!(fixture("families/qwen2_tied"));
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    std::fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    let file = "adapter_model.safetensors";
    std::fs::copy(case.folder.join(file), folder.path().join(file)).unwrap();
    Model::load(folder.path()).err().map_or_else(String::new, |error| error.to_string())
}

#[test]
fn settings_of_peft_that_would_compute_something_else_are_refused_by_name() {
    assert_eq!(with_fields(json!({})), "");
    assert_eq!(with_fields(json!({ "a_field_of_next_year": null, "lora_dropout": 0.1 })), "");
    for (field, value) in [
        ("use_dora", json!(true)),
        ("bias", json!("all")),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!({ "q_proj": 8 })),
        ("alpha_pattern", json!({ "q_proj": 8 })),
        ("fan_in_fan_out", json!(true)),
        ("lora_bias", json!(true)),
        ("init_lora_weights", json!("pissa")),
        ("peft_type", json!("IA3")),
        ("a_field_of_next_year", json!(3)),
        ("r", json!(0)),
        ("lora_alpha", json!("8")),
        ("use_rslora", json!("yes")),
    ] {
        let error = with_fields(json!({ field: value }));
        assert!(error.contains(&format!("adapter_config.json: `{field}` is {value}")), "{field}: {error}");
    }
    let error = with_fields(json!({ "r": 5 }));
    assert!(error.contains("lora_A.weight` has shape [4, 28]; [5, 28] is right"), "{error}");
    let error = with_fields(json!({ "base_model_name_or_path": "ibm-granite/granite" }));
    assert!(
        error.contains("\"ibm-granite/granite\", which is no model's folder here")
            && error.contains("--adapter"),
        "{error}"
    );
}

#[test]
fn tensors_of_an_adapter_that_fit_no_projection_are_refused_by_name() {
    let adapter = Case::new("rank_stabilised").folder;
    let onto = |base: &str, adapter: &Path| {
        Model::load(&fixture(base)).unwrap().with_adapter(adapter).err().unwrap().to_string()
    };
    let error = onto("families/mistral_wide", &adapter);
    assert!(error.contains("q_proj.lora_A.weight` has shape [3, 32]; [3, 40] is right"), "{error}");
    let error = onto("families/mistral_wide", &Case::new("some_layers").folder);
    assert!(error.contains("mixer.k_proj.lora_A.weight` [2, 28] belongs to no projection"), "{error}");
    let twice = Model::load(&adapter).unwrap().with_adapter(&adapter).err().unwrap().to_string();
    assert!(twice.contains("adapters already"), "{twice}");
}
