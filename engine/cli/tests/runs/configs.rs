//! The configs of the repository: all parse; those of published models are planned from a `config.json` alone, and run with a small
//! model of the same family in the published one's place.

use std::path::{Path, PathBuf};

use rlvr_model::tokenizer::Tokenizer;
use rlvr_model::{Model, ModelConfig};
use rlvr_train::config::RunConfig;
use serde_json::{Value, json};

use crate::tiny::said;

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

fn llama(fields: Value) -> Value {
    over(
        json!({ "architectures": ["LlamaForCausalLM"], "model_type": "llama", "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16" }),
        fields,
    )
}

fn mistral(fields: Value) -> Value {
    let all = json!({
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "num_key_value_heads": 8, "num_attention_heads": 32,
        "rms_norm_eps": 1e-5, "max_position_embeddings": 32768, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
    });
    over(all, fields)
}

fn granite_4(fields: Value) -> Value {
    let all = json!({
        "architectures": ["GraniteMoeHybridForCausalLM"], "model_type": "granitemoehybrid", "num_local_experts": 0,
        "num_hidden_layers": 40, "num_key_value_heads": 8, "shared_intermediate_size": 8192, "vocab_size": 100352,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "embedding_multiplier": 12,
        "attention_multiplier": 0.015625, "residual_multiplier": 0.22, "torch_dtype": "bfloat16",
    });
    over(all, fields)
}

/// The published sizes of a config's model, and its parameters in billions as its makers state them.
fn published(name: &str) -> (Value, f64) {
    match name {
        "llama-3.1-8b" => {
            let scaling = json!({ "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                                  "original_max_position_embeddings": 8192, "rope_type": "llama3" });
            let sizes = json!({
                "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 131072, "num_attention_heads": 32,
                "num_hidden_layers": 32, "num_key_value_heads": 8, "rope_scaling": scaling, "rope_theta": 500000.0,
                "tie_word_embeddings": false, "vocab_size": 128256,
            });
            (llama(sizes), 8.03)
        }
        "mistral-7b" => {
            let sizes = json!({ "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "sliding_window": 4096,
                                "vocab_size": 32000, "rope_theta": 1e4 });
            (mistral(sizes), 7.24)
        }
        "mistral-small-24b" => {
            let sizes = json!({ "hidden_size": 5120, "intermediate_size": 32768, "num_hidden_layers": 40, "head_dim": 128,
                                "sliding_window": null, "vocab_size": 131072, "rope_theta": 1e8 });
            (mistral(sizes), 23.57)
        }
        "granite-3.3-8b" => {
            let sizes = json!({
                "architectures": ["GraniteForCausalLM"], "model_type": "granite", "hidden_size": 4096, "intermediate_size": 12800,
                "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 49152,
                "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 1e7, "tie_word_embeddings": true,
                "embedding_multiplier": 12.0, "attention_multiplier": 0.0078125, "residual_multiplier": 0.22,
                "logits_scaling": 16.0, "torch_dtype": "bfloat16",
            });
            (sizes, 8.17)
        }
        "granite-4.0-micro" => {
            let sizes = json!({ "hidden_size": 2560, "num_attention_heads": 40, "logits_scaling": 10, "rope_theta": 1e7,
                                "position_embedding_type": "rope", "layer_types": vec!["attention"; 40] });
            (granite_4(sizes), 3.40)
        }
        "granite-4.0-h-micro" => {
            let kinds = (0..40).map(|layer| if layer % 10 == 5 { "attention" } else { "mamba" });
            let sizes = json!({
                "hidden_size": 2048, "num_attention_heads": 32, "logits_scaling": 8, "position_embedding_type": "nope",
                "layer_types": kinds.collect::<Vec<_>>(), "mamba_n_heads": 64, "mamba_d_head": 64, "mamba_d_state": 128,
                "mamba_d_conv": 4, "mamba_n_groups": 1, "mamba_expand": 2,
            });
            (granite_4(sizes), 3.19)
        }
        "nemotron-h-8b" => {
            let sizes = json!({
                "architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "attention_head_dim": 128,
                "conv_kernel": 4, "hidden_size": 4096, "intermediate_size": 21504, "mamba_head_dim": 64, "mamba_num_heads": 128,
                "hybrid_override_pattern": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
                "max_position_embeddings": 8192, "n_groups": 8, "num_attention_heads": 32, "num_hidden_layers": 52,
                "num_key_value_heads": 8, "rms_norm_eps": 1e-5, "ssm_state_size": 128, "tie_word_embeddings": false,
                "vocab_size": 131072, "torch_dtype": "bfloat16",
            });
            (sizes, 8.1)
        }
        "qwen2.5-0.5b-gsm8k" => {
            let sizes = json!({
                "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
                "max_position_embeddings": 32768, "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
                "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": true, "vocab_size": 151936,
            });
            (sizes, 0.494)
        }
        "qwen3-0.6b-gsm8k" => {
            let sizes = json!({
                "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 128, "hidden_size": 1024,
                "intermediate_size": 3072, "max_position_embeddings": 32768, "num_attention_heads": 16, "num_hidden_layers": 28,
                "num_key_value_heads": 8, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "tie_word_embeddings": true,
                "vocab_size": 151936,
            });
            (sizes, 0.596)
        }
        "smollm2-135m-gsm8k" => {
            let sizes = json!({ "hidden_size": 576, "intermediate_size": 1536, "max_position_embeddings": 8192,
                                "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
                                "rope_theta": 100000, "tie_word_embeddings": true, "vocab_size": 49152 });
            (llama(sizes), 0.135)
        }
        "smollm2-360m-gsm8k" => {
            let sizes = json!({ "hidden_size": 960, "intermediate_size": 2560, "max_position_embeddings": 8192,
                                "num_attention_heads": 15, "num_hidden_layers": 32, "num_key_value_heads": 5,
                                "rope_theta": 100000, "tie_word_embeddings": true, "vocab_size": 49152 });
            (llama(sizes), 0.362)
        }
        other => panic!("{other}: its model's sizes are needed here"),
    }
}

fn over(mut all: Value, fields: Value) -> Value {
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    all
}

/// The configs of a folder whose model is one on disk, and those with a new one.
fn files() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let read = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = read(configs()).chain(read(configs().join("prism"))).filter(|path| path.is_file());
    let mut all: Vec<PathBuf> = all.collect();
    all.sort();
    all.into_iter().partition(|path| std::fs::read_to_string(path).unwrap().contains("\nhub = "))
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn every_config_parses_and_one_without_its_models_folder_says_what_belongs_there() {
    let (of_folders, of_new) = files();
    assert_eq!((of_folders.len(), of_new.len()), (11, 3));
    for path in of_new {
        RunConfig::load_without_data(&path, &[]).unwrap();
    }
    for path in of_folders {
        let error = RunConfig::load_without_data(&path, &[]).unwrap_err().to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        let hub = text.lines().find_map(|line| line.strip_prefix("hub = ")).unwrap().trim_matches('"');
        for part in ["`model.path`", hub, "config.json", "tokenizer.json", "--set model.path=FOLDER"] {
            assert!(error.contains(part), "{}: {error}", path.display());
        }
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_published_model_is_planned_from_its_config_alone() {
    for path in files().0 {
        let folder = tempfile::tempdir().unwrap();
        let (sizes, billions) = published(stem(&path));
        std::fs::write(folder.path().join("config.json"), sizes.to_string()).unwrap();
        let set = format!("model.path={}", folder.path().display());
        let args = ["plan", path.to_str().unwrap(), "--set", &set];
        let (code, stdout, stderr) = said(folder.path(), &[&args[..], &["--json"]].concat());
        assert_eq!(code, Some(0), "{stderr}");
        let plan: Value = serde_json::from_str(&stdout).unwrap();
        let found = plan["parameters"].as_f64().unwrap() / 1e9;
        assert!((found / billions - 1.0).abs() < 0.01, "{}: {found}", path.display());
        let missing = plan["missing"].as_array().unwrap();
        for file in ["model.safetensors", "tokenizer.json"] {
            assert!(missing.iter().any(|m| m["path"].as_str().unwrap().ends_with(file)), "{missing:?}");
        }
        for stage in plan["stages"].as_array().unwrap() {
            let devices = stage["devices"].as_array().unwrap();
            let named = |device: &str, trained: &str| {
                let one = devices.iter().find(|d| d["device"] == device && d["trained"] == trained).unwrap();
                (one["total_bytes"].as_f64().unwrap(), one["fits"].as_bool().unwrap())
            };
            let ((full, _), (lora, lora_fits)) = (named("GPU 141 GB", "full"), named("GPU 141 GB", "lora"));
            // bf16 weights with f32 masters, gradients and two moments; and bf16 weights alone
            assert!(full > 18.0 * found * 1e9 && lora > 2.0 * found * 1e9 && lora < full, "{stage}");
            assert!(lora_fits, "{}: {lora}", path.display());
        }
        let (code, stdout, _) = said(folder.path(), &args);
        assert!(code == Some(0) && stdout.contains("tokenizer.json: the tokenizer of "), "{stdout}");
        let (code, _, stderr) = said(folder.path(), &[&["run"], &args[1..]].concat());
        assert!(code == Some(2) && stderr.contains("error: "), "{code:?} {stderr}");
    }
}

/// A model of the same family that takes no time: a folder with random weights and a tokenizer of characters.
fn small(folder: &Path, sizes: Value) {
    let tokenizer = Tokenizer::characters().unwrap();
    let few = json!({
        "vocab_size": tokenizer.vocab_size(), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.05,
        "bos_token_id": tokenizer.bos_id(), "eos_token_id": tokenizer.eos_id(), "pad_token_id": tokenizer.pad_id(),
        "torch_dtype": "float32",
    });
    let own = match sizes["model_type"].as_str().unwrap() {
        "granitemoehybrid" => json!({
            "shared_intermediate_size": 48, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8,
            "layer_types": [sizes["layer_types"][4], "attention"],
        }),
        "nemotron_h" => json!({
            "hybrid_override_pattern": "M-*-", "num_hidden_layers": 4, "attention_head_dim": 12, "mamba_num_heads": 4,
            "mamba_head_dim": 12, "n_groups": 2, "ssm_state_size": 8,
        }),
        _ => json!({ "head_dim": 12 }),
    };
    let config = ModelConfig::from_json(over(over(sizes, few), own).as_object().unwrap()).unwrap();
    Model::random(config, 1).unwrap().save(folder).unwrap();
    tokenizer.save(folder).unwrap();
}

fn lines(path: &Path, rows: &[Value]) {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(path, text).unwrap();
}

#[test]
fn the_configs_of_the_study_run_with_a_small_model_of_each_family_in_full_and_with_adapters() {
    let prism = files().0.into_iter().filter(|path| path.parent().unwrap().ends_with("prism"));
    for (index, path) in prism.enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("model")).unwrap();
        small(&at("model"), published(stem(&path)).0);
        let text = "some words about nothing in particular, again and again. ".repeat(4);
        lines(&at("math.jsonl"), &[json!({ "problem": "What is 2 + 3?", "solution": text })]);
        lines(&at("code.jsonl"), &[json!({ "text": text })]);
        lines(&at("web.jsonl"), &[json!({ "text": text })]);
        lines(&at("science.jsonl"), &[json!({ "question": "Why?", "answer": "So.", "explanation": text })]);
        let turns =
            json!([{ "role": "user", "content": "Hello." }, { "role": "assistant", "content": text }]);
        lines(&at("chat.jsonl"), &[json!({ "messages": turns })]);
        lines(&at("math-problems.jsonl"), &[json!({ "prompt": "What is 2 + 3?", "answer": "5" })]);
        let tests = json!({ "kind": "asserts", "code": "assert f(1) == 1" });
        lines(
            &at("code-problems.jsonl"),
            &[json!({ "prompt": "Write f, which gives back what it is given.", "tests": tests })],
        );
        let mut sets = vec!["model.path=model".to_owned()];
        for source in ["math", "code", "science", "web", "chat"] {
            let file = at(source).with_extension("jsonl");
            sets.extend([
                format!("sources.{source}.kind=jsonl"),
                format!("sources.{source}.path={}", file.display()),
            ]);
        }
        for set in ["math", "code"] {
            let file = at(&format!("{set}-problems.jsonl"));
            sets.extend(["", "-held-out"].map(|side| format!("tasks.{set}{side}.path={}", file.display())));
        }
        sets[0] = format!("model.path={}", at("model").display());
        sets.extend(SMALL_STEPS.map(str::to_owned));
        if index % 2 == 1 {
            sets.extend(["mid_train", "rl"].map(|kind| format!("defaults.{kind}.lora={{rank=2, alpha=4}}")));
        }
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        let args = [&["run", path.to_str().unwrap(), "--out", "run"], &sets[..]].concat();
        let (code, _, stderr) = said(folder.path(), &args);
        assert_eq!(code, Some(0), "{}: {stderr}", path.display());
        let summary = std::fs::read_to_string(at("run/summary.json")).unwrap();
        let summary: Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["stages"].as_array().unwrap().len(), 2, "{}", path.display());
    }
}

/// What makes a run of the study's configs short.
const SMALL_STEPS: [&str; 17] = [
    "threads=1",
    "defaults.mid_train.batch_tokens=256",
    "defaults.mid_train.micro_batch_tokens=256",
    "defaults.mid_train.context=128",
    "stage.mid.tokens=512",
    "stage.mid.schedule.warmup=1",
    "stage.rl.steps=1",
    "defaults.rl.prompts_per_step=2",
    "defaults.rl.samples_per_prompt=2",
    "defaults.rl.max_sequences=4",
    "defaults.rl.sampling.max_tokens=8",
    "defaults.rl.micro_batch_tokens=512",
    "defaults.rl.schedule.warmup=0",
    "defaults.rl.drop_zero_variance=false",
    "defaults.eval.samples=1",
    "defaults.eval.max_tokens=8",
    "defaults.eval.limit=1",
];
