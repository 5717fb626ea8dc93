//! Every family of models goes through mid-training and reinforcement learning, of all weights and of adapters, is killed and goes on to
//! the same weights.

use std::path::Path;

use rlvr_train::metrics;
use serde_json::Value;

use crate::tiny::{checkpoint, rlvr, said, wait_for};

const CONFIG: &str = r#"
name = "family"
seed = 5

[model]
new = { FIELDS, initializer_range = 0.05 }
tokenizer = { kind = "characters" }

[sources.solutions]
kind = "generator"
generator = "worked-math"

[sources.web]
kind = "generator"
generator = "web"

[tasks.math]
generator = "math-tasks"
count = 20

[verifiers.digit]
kind = "regex"
pattern = "[0-9]"
mode = "search"

[reward]
parts = [{ name = "digit", verifier = "digit" }]
length = { target = 8, max = 16, penalty = 0.1 }

[[stage]]
name = "mid"
kind = "mid_train"
steps = 12
batch_tokens = 1024
micro_batch_tokens = 512
learning_rate = 5e-3
checkpoint_every = 4
mixture = [{ domain = "math", source = "solutions", weight = 1.0 }]

[[stage]]
name = "rl"
kind = "rl"
from = "mid"
steps = 3
tasks = "math"
prompts_per_step = 4
samples_per_prompt = 4
sampling = { max_tokens = 16 }
micro_batch_tokens = 512
learning_rate = 1e-3
drop_zero_variance = false
checkpoint_every = 1

[[stage]]
name = "adapters"
kind = "mid_train"
from = "mid"
steps = 12
batch_tokens = 1024
micro_batch_tokens = 512
learning_rate = 5e-3
checkpoint_every = 4
activation_checkpointing = true
lora = { rank = 4, alpha = 8 }
mixture = [{ domain = "web", source = "web", weight = 1.0 }]

[[stage]]
name = "adapters+rl"
kind = "rl"
from = "adapters"
steps = 3
tasks = "math"
prompts_per_step = 4
samples_per_prompt = 4
sampling = { max_tokens = 16 }
micro_batch_tokens = 512
learning_rate = 1e-3
drop_zero_variance = false
checkpoint_every = 1
kl = { coefficient = 0.01 }
lora = { rank = 4, alpha = 8 }
"#;

/// Sizes that all families share.
const SIZES: &str =
    "hidden_size = 32, num_attention_heads = 4, num_key_value_heads = 2, max_position_embeddings = 256";

const FAMILIES: [(&str, &str); 7] = [
    ("llama", "intermediate_size = 48, num_hidden_layers = 2, tie_word_embeddings = true"),
    ("mistral", "intermediate_size = 48, num_hidden_layers = 2, sliding_window = 20, head_dim = 12"),
    ("qwen2", "intermediate_size = 48, num_hidden_layers = 2, tie_word_embeddings = true"),
    ("qwen3", "intermediate_size = 48, num_hidden_layers = 2, head_dim = 12"),
    (
        "granite",
        "intermediate_size = 48, num_hidden_layers = 2, embedding_multiplier = 4.0, attention_multiplier = 0.3, residual_multiplier = 0.5, logits_scaling = 2.0",
    ),
    (
        "granitemoehybrid",
        "num_hidden_layers = 2, layer_types = [\"mamba\", \"attention\"], num_local_experts = 0, shared_intermediate_size = 48, mamba_n_heads = 4, mamba_d_state = 8, attention_multiplier = 0.3",
    ),
    (
        "nemotron_h",
        "intermediate_size = 48, layers_block_type = [\"linear_attention\", \"mlp\", \"full_attention\"], head_dim = 12, mamba_num_heads = 4, mamba_head_dim = 12, n_groups = 2, ssm_state_size = 8",
    ),
];

/// The numbers of one name in the metrics of a stage, in order.
fn series(run: &Path, stage: &str, name: &str) -> Vec<f64> {
    let records = metrics::read(&run.join("metrics.jsonl")).unwrap();
    let of_stage = records.iter().filter(|record| record["stage"] == stage);
    of_stage.filter_map(|record| record.get(name).and_then(Value::as_f64)).collect()
}

/// The last weights and moments of both RL stages.
fn weights(run: &Path) -> Vec<Vec<u8>> {
    let files = [
        ("rl", "model.safetensors"),
        ("rl", "optimizer.safetensors"),
        ("adapters+rl", "adapter_model.safetensors"),
        ("adapters+rl", "optimizer.safetensors"),
    ];
    files.map(|(stage, file)| std::fs::read(checkpoint(run, stage, 3).join(file)).unwrap()).into()
}

#[test]
fn every_family_trains_samples_and_resumes() {
    for (family, fields) in FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        let fields = format!("model_type = \"{family}\", {SIZES}, {fields}");
        std::fs::write(folder.path().join("family.toml"), CONFIG.replace("FIELDS", &fields)).unwrap();
        let run = |name: &str, more: &[&str]| {
            let (code, _, stderr) =
                said(folder.path(), &[&["run", "family.toml", "--out", name], more].concat());
            assert_eq!(code, Some(0), "{family}: {stderr}");
            folder.path().join(name)
        };
        let whole = run("whole", &[]);
        for (stage, fall) in [("mid", 0.2), ("adapters", 0.1)] {
            let loss = series(&whole, stage, "loss");
            assert!(loss.len() == 12 && loss[11] < loss[0] - fall, "{family}: {loss:?}");
        }
        for stage in ["rl", "adapters+rl"] {
            assert_eq!(series(&whole, stage, "mismatch/max"), [0.0; 3], "{family}");
            assert!(series(&whole, stage, "grad_norm").iter().all(|norm| *norm > 0.0), "{family}");
        }

        let moments = [
            ("mid", "mid_train", 7),
            ("rl", "rl", 2),
            ("adapters", "mid_train", 7),
            ("adapters+rl", "rl", 2),
        ];
        for (i, moment) in moments.into_iter().enumerate() {
            let args = ["run", "family.toml", "--out", "killed", "--resume"];
            let mut child = rlvr(folder.path(), &args[..if i > 0 { 5 } else { 4 }])
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            wait_for(&mut child, &folder.path().join("killed"), moment);
            child.kill().unwrap();
            child.wait_with_output().unwrap();
        }
        let resumed = run("killed", &["--resume"]);
        assert!(weights(&whole) == weights(&resumed), "{family}: a resumed run came to other weights");
    }
}
