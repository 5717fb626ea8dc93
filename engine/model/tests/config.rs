//! Reading and writing `config.json`: both spellings, and an error that names whatever would change the model.

use std::path::{Path, PathBuf};

use rlvr_model::config::{ConfigError, Dtype, Llama3, ModelConfig, Rope};
use serde_json::{Map, Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/llama").join(name)
}

/// The folders of the checkpoints of all other families.
fn families() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/families");
    let folders: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 13);
    folders
}

/// A valid config with `changes` over it.
fn fields(changes: Value) -> Map<String, Value> {
    let mut fields = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 64, "hidden_size": 48,
        "intermediate_size": 100, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 3,
        "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
    })
    .as_object()
    .unwrap()
    .clone();
    fields.extend(changes.as_object().unwrap().clone());
    fields
}

fn read(changes: Value) -> Result<ModelConfig, ConfigError> {
    ModelConfig::from_json(&fields(changes))
}

/// The field and the message of a refusal.
fn refusal(changes: Value) -> (String, String) {
    match read(changes.clone()) {
        Err(ConfigError::Field { field, problem, .. }) => (field, problem),
        other => panic!("{changes} gave {other:?}"),
    }
}

#[test]
fn both_spellings_of_the_rotary_embedding_read_alike() {
    let scaling = json!({ "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 64 });
    let with = |more: Value| {
        let mut all = scaling.as_object().unwrap().clone();
        all.extend(more.as_object().unwrap().clone());
        all
    };
    let old =
        read(json!({ "rope_theta": 5e5, "rope_scaling": with(json!({ "rope_type": "llama3" })) })).unwrap();
    let oldest =
        read(json!({ "rope_theta": 5e5, "rope_scaling": with(json!({ "type": "llama3" })) })).unwrap();
    let new = read(json!({ "rope_theta": null,
                           "rope_parameters": with(json!({ "rope_type": "llama3", "rope_theta": 5e5 })) }))
    .unwrap();
    let expected = Rope {
        theta: 5e5,
        scaling: Some(Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64,
        }),
    };
    assert_eq!(new.rope, Some(expected));
    assert_eq!(old, new);
    assert_eq!(oldest, new);
}

#[test]
fn two_spellings_that_contradict_each_other_are_refused() {
    let (field, problem) = refusal(json!({ "rope_theta": 5e5, "rope_scaling": { "rope_type": "default" },
                                           "rope_parameters": { "rope_type": "default", "rope_theta": 1e4 } }));
    assert_eq!(field, "rope_parameters");
    assert!(problem.contains("rope_scaling"), "{problem}");
    let (field, problem) = refusal(json!({ "dtype": "float32", "torch_dtype": "bfloat16" }));
    assert_eq!(field, "dtype");
    assert!(problem.contains("torch_dtype"), "{problem}");
    let (field, _) = refusal(json!({ "model_type": "mistral" }));
    assert_eq!(field, "model_type");
}

#[test]
fn absent_fields_take_the_defaults_of_transformers() {
    let mut bare = fields(json!({}));
    for field in [
        "num_key_value_heads",
        "rope_theta",
        "tie_word_embeddings",
        "rms_norm_eps",
        "architectures",
        "model_type",
    ] {
        bare.remove(field);
    }
    let config = ModelConfig::from_json(&bare).unwrap();
    assert_eq!((config.num_key_value_heads, config.head_dim), (6, 8));
    assert_eq!(config.rope, Some(Rope { theta: 10_000.0, scaling: None }));
    assert!(!config.tie_word_embeddings);
    assert_eq!((config.bos_token_id, config.eos_token_id, config.pad_token_id), (Some(1), vec![2], None));
    assert_eq!(config.dtype, Dtype::F32);
}

#[test]
fn end_ids_may_be_one_several_or_none() {
    assert_eq!(read(json!({ "eos_token_id": 7 })).unwrap().eos_token_id, [7]);
    assert_eq!(read(json!({ "eos_token_id": [7, 9, 11] })).unwrap().eos_token_id, [7, 9, 11]);
    assert_eq!(read(json!({ "eos_token_id": null })).unwrap().eos_token_id, [0; 0]);
    assert_eq!(read(json!({ "pad_token_id": -1 })).unwrap().pad_token_id, None);
}

#[test]
fn every_field_that_would_change_the_computation_is_refused_by_name() {
    for (changes, field, shown) in [
        (json!({ "hidden_act": "gelu" }), "hidden_act", "gelu"),
        (json!({ "attention_dropout": 0.1 }), "attention_dropout", "0.1"),
        (json!({ "pretraining_tp": 2 }), "pretraining_tp", "2"),
        (json!({ "sliding_window": 4096 }), "sliding_window", "4096"),
        (json!({ "quantization_config": { "bits": 4 } }), "quantization_config", "bits"),
        (json!({ "partial_rotary_factor": 0.5 }), "partial_rotary_factor", "0.5"),
        (json!({ "rope_interleaved": true }), "rope_interleaved", "true"),
        (json!({ "logits_scaling": 8.0 }), "logits_scaling", "8.0"),
        (json!({ "rope_scaling": { "rope_type": "yarn", "factor": 4.0 } }), "rope_scaling.rope_type", "yarn"),
        (json!({ "rope_scaling": { "type": "linear", "factor": 4.0 } }), "rope_scaling.type", "linear"),
        (
            json!({ "rope_parameters": { "rope_type": "default", "attention_factor": 2.0 } }),
            "rope_parameters.attention_factor",
            "2.0",
        ),
        (json!({ "architectures": ["GemmaForCausalLM"] }), "architectures", "GemmaForCausalLM"),
        (json!({ "dtype": "float8_e4m3fn" }), "dtype", "float8_e4m3fn"),
    ] {
        let (found, problem) = refusal(changes);
        assert_eq!(found, field);
        assert!(problem.contains(shown), "{field}: {problem}");
    }
}

#[test]
fn sizes_that_do_not_fit_each_other_are_refused_by_name() {
    for (changes, field) in [
        (json!({ "hidden_size": 50 }), "hidden_size"),
        (json!({ "num_key_value_heads": 4 }), "num_key_value_heads"),
        (json!({ "num_key_value_heads": 0 }), "num_key_value_heads"),
        (json!({ "num_attention_heads": 0 }), "num_attention_heads"),
        (json!({ "head_dim": 7 }), "head_dim"),
        (json!({ "vocab_size": "64" }), "vocab_size"),
        (json!({ "vocab_size": -1 }), "vocab_size"),
        (json!({ "vocab_size": null }), "vocab_size"),
        (json!({ "intermediate_size": 1_u64 << 62 }), "intermediate_size"),
        (json!({ "num_hidden_layers": 1_000_000 }), "num_hidden_layers"),
        (json!({ "rms_norm_eps": 0.0 }), "rms_norm_eps"),
        (json!({ "rope_theta": -1.0 }), "rope_theta"),
        (
            json!({ "rope_scaling": { "rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4 } }),
            "rope_parameters.high_freq_factor",
        ),
        (json!({ "rope_scaling": { "rope_type": "llama3", "low_freq_factor": 1 } }), "rope_scaling.factor"),
    ] {
        assert_eq!(refusal(changes).0, field);
    }
}

#[test]
fn fields_that_change_nothing_are_accepted() {
    read(json!({
        "use_cache": false, "initializer_range": 0.1, "pretraining_tp": 1, "transformers_version": "4.45.0",
        "_name_or_path": "x", "hidden_act": "silu", "attention_bias": false, "rope_scaling": null,
        "is_llama_config": true, "rope_interleaved": false, "torch_dtype": "bfloat16", "sliding_window": null,
        "transformers.js_config": { "dtype": "q4" }, "some_new_field": null,
    }))
    .unwrap();
}

#[test]
fn a_refusal_names_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let text = serde_json::to_string_pretty(&fields(json!({ "hidden_act": "relu" }))).unwrap();
    let line = text.lines().position(|line| line.contains("hidden_act")).unwrap() + 1;
    std::fs::write(&path, text).unwrap();
    let message = ModelConfig::read(folder.path()).unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("{}:{line}: `hidden_act` is \"relu\"", path.display())),
        "{message}"
    );

    std::fs::write(&path, "{\n \"vocab_size\": 3,,\n}").unwrap();
    let message = ModelConfig::read(folder.path()).unwrap_err().to_string();
    assert!(message.contains("config.json") && message.contains("line 2"), "{message}");

    std::fs::write(&path, "{}").unwrap();
    let message = ModelConfig::read(folder.path()).unwrap_err().to_string();
    assert!(message.contains("`model_type` is missing"), "{message}");

    let message = ModelConfig::read(&folder.path().join("absent")).unwrap_err().to_string();
    assert!(message.contains("absent/config.json"), "{message}");
}

#[test]
fn what_is_written_reads_back_the_same_and_carries_both_spellings() {
    for name in ["tied_gqa", "untied_mha", "wide_heads", "llama3_rope", "sharded_bf16", "old_config_f16"] {
        let config = ModelConfig::read(&fixture(name)).unwrap();
        let written = config.to_json();
        assert_eq!(ModelConfig::from_json(&written).unwrap(), config, "{name}");
        for field in ["rope_theta", "rope_scaling", "rope_parameters", "dtype", "torch_dtype"] {
            assert!(written.contains_key(field), "{name}: {field}");
        }
        // Each spelling suffices alone.
        for dropped in
            [["rope_theta", "rope_scaling", "torch_dtype"], ["rope_parameters", "dtype", "use_cache"]]
        {
            let mut alone = written.clone();
            alone.retain(|field, _| !dropped.contains(&field.as_str()));
            assert_eq!(ModelConfig::from_json(&alone).unwrap(), config, "{name} without {dropped:?}");
        }
    }
}

#[test]
fn what_is_written_of_any_family_reads_back_the_same() {
    for folder in families() {
        let config = ModelConfig::read(&folder).unwrap();
        assert_eq!(ModelConfig::from_json(&config.to_json()).unwrap(), config, "{}", folder.display());
    }
}

#[test]
fn rotary_frequencies_are_those_of_transformers() {
    for name in ["tied_gqa", "wide_heads", "llama3_rope", "old_config_f16"] {
        let found = ModelConfig::read(&fixture(name)).unwrap().inv_freq();
        let file = candle_core::safetensors::load(
            fixture(name).join("expected.safetensors"),
            &candle_core::Device::Cpu,
        );
        let expected = file.unwrap()["inv_freq"].to_vec1::<f32>().unwrap();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            // Transformers computes in f32: a few units in the last place.
            let relative = (found / f64::from(*expected) - 1.0).abs();
            assert!(relative < 1e-6, "{name}: {found} against {expected}");
        }
    }
}

#[test]
fn parameters_are_the_tensors_that_transformers_saves() {
    let llama = ["tied_gqa", "untied_mha", "wide_heads", "llama3_rope"].map(fixture);
    for folder in families().into_iter().chain(llama) {
        let name = folder.display();
        let config = ModelConfig::read(&folder).unwrap();
        let file = std::fs::read(folder.join("model.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&file).unwrap();
        let listed = config.parameter_names_and_shapes();
        assert_eq!(listed.len(), file.len(), "{name}");
        for (tensor, shape) in &listed {
            assert_eq!(file.tensor(tensor).unwrap().shape(), shape, "{name}: {tensor}");
        }
        let numbers: usize = file.iter().map(|(_, tensor)| tensor.data().len() / 4).sum();
        assert_eq!(config.parameters(), numbers, "{name}");
    }
}

#[test]
fn published_models_have_their_published_number_of_parameters() {
    let llama = |more: Value| {
        let mut fields = json!({
            "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
            "hidden_act": "silu", "initializer_range": 0.02, "mlp_bias": false, "model_type": "llama",
            "pretraining_tp": 1, "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16", "use_cache": true,
            "transformers_version": "4.45.0.dev0",
        })
        .as_object()
        .unwrap()
        .clone();
        fields.extend(more.as_object().unwrap().clone());
        ModelConfig::from_json(&fields).unwrap().parameters()
    };
    let scaling = |factor: f64| {
        json!({ "factor": factor, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192, "rope_type": "llama3" })
    };
    // Llama-3.1-8B, Llama-3.2-1B and SmolLM2-135M, from their config.json and their model cards.
    let count = llama(json!({
        "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_size": 4096,
        "intermediate_size": 14336, "max_position_embeddings": 131072, "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "rope_scaling": scaling(8.0), "rope_theta": 500000.0,
        "tie_word_embeddings": false, "vocab_size": 128256,
    }));
    assert_eq!(count, 8_030_261_248);
    let count = llama(json!({
        "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 64, "hidden_size": 2048,
        "intermediate_size": 8192, "max_position_embeddings": 131072, "num_attention_heads": 32,
        "num_hidden_layers": 16, "num_key_value_heads": 8, "rope_scaling": scaling(32.0), "rope_theta": 500000.0,
        "tie_word_embeddings": true, "vocab_size": 128256,
    }));
    assert_eq!(count, 1_235_814_400);
    let count = llama(json!({
        "bos_token_id": 0, "eos_token_id": 0, "hidden_size": 576, "intermediate_size": 1536,
        "is_llama_config": true, "max_position_embeddings": 8192, "num_attention_heads": 9,
        "num_hidden_layers": 30, "num_key_value_heads": 3, "rope_interleaved": false, "rope_scaling": null,
        "rope_theta": 100000, "tie_word_embeddings": true, "vocab_size": 49152,
    }));
    assert_eq!(count, 134_515_008);
}

/// The published configs of the seven models of the PRISM study and others, in brief, with the parameters that their makers state.
#[test]
fn published_models_of_other_families_have_their_published_number_of_parameters() {
    let count = |fields: Value| ModelConfig::from_json(fields.as_object().unwrap()).unwrap().parameters();
    // Mistral-7B-v0.1 and Mistral-Small-24B-Base-2501
    let mistral = |more: Value| {
        let mut fields = json!({
            "architectures": ["MistralForCausalLM"], "model_type": "mistral", "attention_dropout": 0.0, "hidden_act": "silu",
            "num_key_value_heads": 8, "num_attention_heads": 32, "rms_norm_eps": 1e-5, "max_position_embeddings": 32768,
            "tie_word_embeddings": false, "torch_dtype": "bfloat16",
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        count(fields)
    };
    let small = json!({ "hidden_size": 5120, "intermediate_size": 32768, "num_hidden_layers": 40, "head_dim": 128,
                        "sliding_window": null, "vocab_size": 131072, "rope_theta": 1e8 });
    let first = json!({ "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "sliding_window": 4096,
                        "vocab_size": 32000, "rope_theta": 1e4 });
    assert_eq!(mistral(first), 7_241_732_096);
    assert_eq!(mistral(small), 23_572_403_200);
    // Qwen2.5-0.5B and Qwen3-0.6B
    let qwen2 = json!({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
        "max_position_embeddings": 32768, "max_window_layers": 24, "num_attention_heads": 14, "num_hidden_layers": 24,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "sliding_window": 32768,
        "tie_word_embeddings": true, "use_mrope": false, "use_sliding_window": false, "vocab_size": 151936,
    });
    assert_eq!(count(qwen2), 494_032_768);
    let qwen3 = json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": false, "head_dim": 128,
        "hidden_size": 1024, "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28,
        "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-6,
        "rope_scaling": null, "rope_theta": 1e6, "sliding_window": null, "tie_word_embeddings": true,
        "use_sliding_window": false, "vocab_size": 151936,
    });
    assert_eq!(count(qwen3), 596_049_920);
    // Nemotron-H-8B-Base-8K, in the spelling of its makers
    let nemotron = serde_json::from_str(
        r#"{
        "architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "attention_bias": false,
        "attention_head_dim": 128, "auto_map": { "AutoConfig": "configuration_nemotron_h.NemotronHConfig" },
        "chunk_size": 128, "conv_kernel": 4, "expand": 2, "hidden_dropout": 0.0, "hidden_size": 4096,
        "hybrid_override_pattern": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
        "intermediate_size": 21504, "layer_norm_epsilon": 1e-5, "mamba_head_dim": 64, "mamba_hidden_act": "silu",
        "mamba_num_heads": 128, "mamba_proj_bias": false, "max_position_embeddings": 8192, "mlp_bias": false,
        "mlp_hidden_act": "relu2", "n_groups": 8, "num_attention_heads": 32, "num_hidden_layers": 52,
        "num_key_value_heads": 8, "num_logits_to_keep": 1, "num_query_groups": 8, "pad_token_id": 0,
        "rescale_prenorm_residual": true, "residual_in_fp32": false, "rms_norm_eps": 1e-5, "sliding_window": null,
        "ssm_state_size": 128, "tie_word_embeddings": false, "time_step_floor": 1e-4, "time_step_max": 0.1,
        "time_step_min": 0.001, "torch_dtype": "bfloat16", "use_bias": false, "use_cache": true,
        "use_conv_bias": true, "use_mamba_kernels": true, "vocab_size": 131072 }"#,
    )
    .unwrap();
    let billions = count(nemotron) as f64 / 1e9;
    assert!((8.0..8.2).contains(&billions), "{billions}");
}

#[test]
fn an_infinity_as_python_writes_it_is_read_and_strings_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut fields = fields(json!({
        "architectures": ["GraniteMoeHybridForCausalLM"], "model_type": "granitemoehybrid", "num_local_experts": 0,
        "mamba_n_heads": 6, "mamba_d_state": 8, "shared_intermediate_size": 64, "_name_or_path": "to Infinity \\\" and NaN",
    }));
    let text = serde_json::to_string(&fields).unwrap();
    let text = text.replacen('{', "{\"time_step_limit\": [0.0, Infinity], ", 1);
    std::fs::write(folder.path().join("config.json"), text).unwrap();
    let read = ModelConfig::read(folder.path()).unwrap();
    assert_eq!(read.mamba.unwrap().time_step_max, f64::INFINITY);
    fields.insert("num_local_experts".into(), json!(8));
    let error = ModelConfig::from_json(&fields).unwrap_err().to_string();
    assert!(error.contains("num_local_experts") && error.contains("experts are not supported"), "{error}");
}
