//! Every instruction set gives the same bits: a forward and a backward run again in child processes, each held to one of them.

use rlvr_model::logprobs::Targets;
use rlvr_model::tensor::floats;
use rlvr_model::{Model, ModelConfig, Packed, Tape};
use std::process::Command;
use std::sync::Arc;

/// A number that changes with any bit of log-probabilities and gradients.
fn fingerprint() -> u64 {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 61, "hidden_size": 40,
        "intermediate_size": 72, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 10, "max_position_embeddings": 64, "tie_word_embeddings": false, "initializer_range": 0.3,
    });
    let model = Model::random(ModelConfig::from_json(config.as_object().unwrap()).unwrap(), 3).unwrap();
    let ids: Vec<u32> = (0..45).map(|i| (i * 29 + 7) % 61).collect();
    let mut batch = Packed::new();
    batch.push(&ids);
    let targets = Targets { rows: (0..44).collect(), ids: ids[1..].to_vec() };
    let tape = Tape::new();
    let scored = model.token_logprobs(&tape, &Arc::new(batch), targets, 0.9).unwrap();
    let mut grads = model.params.zero_grads().unwrap();
    let logprobs = floats(&scored.logprobs.value).unwrap().to_vec();
    tape.backward(&scored.logprobs, vec![0.5; 44], &mut grads).unwrap();
    let fold = |hash: u64, x: &f32| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01b3);
    let start = logprobs.iter().chain(&scored.entropies).fold(0xcbf2_9ce4_8422_2325, fold);
    grads.iter().fold(start, |hash, grad| floats(grad).unwrap().iter().fold(hash, fold))
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    if let Ok(path) = std::env::var("RLVR_TEST_FINGERPRINT") {
        std::fs::write(path, fingerprint().to_string()).unwrap();
        return;
    }
    let here = fingerprint().to_string();
    for isa in ["portable", "avx2", "avx512"] {
        let file = std::env::temp_dir().join(format!("rlvr-fingerprint-{}-{isa}", std::process::id()));
        let child = Command::new(std::env::current_exe().unwrap())
            .env("RLVR_ISA", isa)
            .env("RLVR_TEST_FINGERPRINT", &file)
            .output()
            .unwrap();
        assert!(child.status.success(), "{isa}: {}", String::from_utf8_lossy(&child.stderr));
        let there = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(there, here, "{isa}");
    }
}
