//! The cached forward and the training forward give the same bits, whatever the batch: the ground that sampler and trainer
//! stand on.

use rlvr_model::logprobs::Targets;
use rlvr_model::tensor::floats;
use rlvr_model::{KvCache, Model, ModelConfig, PAGE, Packed, Row, Tape, kernels::softmax};
use std::sync::Arc;

/// One model of each kind of block: grouped heads, a sliding window, norms of heads, recurrent states with and without attention.
fn models() -> Vec<Model> {
    let common = serde_json::json!({
        "vocab_size": 83, "hidden_size": 72, "intermediate_size": 100, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 20, "max_position_embeddings": 256, "tie_word_embeddings": true,
        "initializer_range": 0.3,
    });
    let families = [
        serde_json::json!({ "model_type": "llama", "num_hidden_layers": 3 }),
        serde_json::json!({ "model_type": "mistral", "num_hidden_layers": 2, "sliding_window": 19 }),
        serde_json::json!({ "model_type": "qwen3", "num_hidden_layers": 2, "attention_bias": true }),
        serde_json::json!({
            "model_type": "granitemoehybrid", "num_hidden_layers": 3, "num_local_experts": 0,
            "layer_types": ["mamba", "attention", "mamba"], "shared_intermediate_size": 90, "mamba_n_heads": 8,
            "mamba_d_state": 24, "embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5,
            "logits_scaling": 3.0,
        }),
        serde_json::json!({
            "model_type": "nemotron_h", "layers_block_type": ["mamba", "mlp", "attention"], "mamba_num_heads": 6,
            "mamba_head_dim": 20, "n_groups": 2, "ssm_state_size": 16,
        }),
    ];
    let model = |family: serde_json::Value| {
        let mut fields = common.as_object().unwrap().clone();
        fields.extend(family.as_object().unwrap().clone());
        Model::random(ModelConfig::from_json(&fields).unwrap(), 7).unwrap()
    };
    families.into_iter().map(model).collect()
}

fn ids(n: usize, seed: usize) -> Vec<u32> {
    (0..n).map(|i| ((i * 31 + seed * 17) % 83) as u32).collect()
}

/// Log-probabilities of a prompt's continuations, by the training forward over a shared prompt.
fn trained(model: &Model, prompt: &[u32], continuations: &[Vec<u32>], temperature: f32) -> Vec<f32> {
    let mut batch = Packed::new();
    batch.push(&ids(9, 5));
    let prefix = batch.push(prompt);
    let mut targets = Targets::default();
    for ids in continuations {
        let segment = batch.push_continuation(prefix, ids);
        for (i, id) in ids.iter().enumerate() {
            let before = match i {
                0 => batch.segments[prefix].start + prompt.len(),
                _ => batch.segments[segment].start + i,
            };
            targets.rows.push(before as u32 - 1);
            targets.ids.push(*id);
        }
    }
    let scored = model.token_logprobs(&Tape::idle(), &Arc::new(batch), targets, temperature).unwrap();
    floats(&scored.logprobs.value).unwrap().to_vec()
}

#[test]
fn decoded_log_probabilities_have_the_bits_of_the_training_forward() {
    models().iter().for_each(decoded_and_trained_agree);
}

fn decoded_and_trained_agree(model: &Model) {
    let prompt = ids(37, 1);
    let continuations: Vec<Vec<u32>> = (0..3).map(|s| ids(20 + s, s + 2)).collect();
    let temperature = 0.7;
    let expected = trained(model, &prompt, &continuations, temperature);

    // one sequence after the other: the prompt in chunks of 5, then token by token
    let mut kv = KvCache::new(&model.config, 8, 1);
    let pages: Vec<u32> = vec![6, 1, 4, 0];
    let mut logits = Vec::new();
    let mut got = Vec::new();
    for ids in &continuations {
        let tokens: Vec<u32> = prompt.iter().chain(ids).copied().collect();
        let mut start = 0;
        while start + 1 < tokens.len() {
            let end = if start + 5 <= prompt.len() { start + 5 } else { start + 1 };
            let row =
                |i: usize| Row { token: tokens[i], position: i as u32, pages: &pages[..=i / PAGE], state: 0 };
            let rows: Vec<Row> = (start..end).map(row).collect();
            model.forward_cached(&rows, &[rows.len() - 1], &mut kv, &mut logits).unwrap();
            if end >= prompt.len() {
                logits.iter_mut().for_each(|x| *x *= 1.0 / temperature);
                got.push(logits[tokens[end] as usize] - softmax::log_sum_exp(&logits));
            }
            start = end;
        }
    }
    assert_eq!(got, expected, "{:?}", model.config.architecture);
}

#[test]
fn logits_of_a_row_do_not_depend_on_the_rows_beside_it() {
    models().iter().for_each(rows_alone_and_together_agree);
}

#[allow(clippy::needless_range_loop)] // a position is an index and a number
fn rows_alone_and_together_agree(model: &Model) {
    let sequences: Vec<Vec<u32>> = (0..23).map(|s| ids(6, s)).collect();
    let pages: Vec<[u32; 1]> = (0..23).map(|s| [s]).collect();
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    let mut kv = KvCache::new(&model.config, 23, 23);
    for position in 0..6 {
        let row = |s: usize| Row {
            token: sequences[s][position],
            position: position as u32,
            pages: &pages[s],
            state: s as u32,
        };
        let rows: Vec<Row> = (0..23).map(row).collect();
        model.forward_cached(&rows, &[11], &mut kv, &mut together).unwrap();
    }
    let mut kv = KvCache::new(&model.config, 23, 23);
    for position in 0..6 {
        let row =
            Row { token: sequences[11][position], position: position as u32, pages: &pages[3], state: 3 };
        model.forward_cached(&[row], &[0], &mut kv, &mut alone).unwrap();
    }
    assert_eq!(together, alone, "{:?}", model.config.architecture);
}
