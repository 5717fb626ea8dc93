//! What `plan` says a run will hold in memory, beside what the run then held.
#![cfg(target_os = "linux")]

use serde_json::Value;

use crate::tiny::said;

/// A stage of each kind, large enough that the program itself does not hide what the model takes.
const CONFIG: &str = r#"
name = "memory"
seed = 2
threads = 2

[model]
new = { hidden_size = 192, intermediate_size = 640, num_hidden_layers = 5, num_attention_heads = 6, num_key_value_heads = 3, max_position_embeddings = 512, tie_word_embeddings = true }
tokenizer = { kind = "characters" }

[sources.solutions]
kind = "generator"
generator = "worked-math"

[tasks.math]
generator = "math-tasks"
count = 60

[[stage]]
name = "mid"
kind = "mid_train"
steps = 2
batch_tokens = 4096
micro_batch_tokens = 4096
learning_rate = 1e-4
mixture = [{ domain = "math", source = "solutions", weight = 1.0 }]

[[stage]]
name = "rl"
kind = "rl"
from = "mid"
steps = 1
tasks = "math"
prompts_per_step = 8
samples_per_prompt = 8
sampling = { max_tokens = 48 }
micro_batch_tokens = 1024        # full however soon completions end
learning_rate = 1e-5
drop_zero_variance = false
kl = { coefficient = 0.01 }
"#;

#[test]
fn a_run_holds_what_its_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("memory.toml"), CONFIG).unwrap();
    let json = |args: &[&str]| -> String {
        let (code, stdout, stderr) = said(folder.path(), args);
        assert_eq!(code, Some(0), "{stderr}");
        stdout
    };
    let plan: Value = serde_json::from_str(&json(&["plan", "memory.toml", "--json"])).unwrap();
    json(&["run", "memory.toml", "--out", "run"]);
    let summary = std::fs::read_to_string(folder.path().join("run/summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    for (planned, ran) in plan["stages"].as_array().unwrap().iter().zip(summary["stages"].as_array().unwrap())
    {
        assert_eq!(planned["name"], ran["name"]);
        let (predicted, used) =
            (planned["memory_bytes"].as_f64().unwrap(), ran["peak_bytes"].as_f64().unwrap());
        let ratio = predicted / used;
        assert!((0.87..1.15).contains(&ratio), "{}: {predicted} predicted, {used} used", planned["name"]);
    }
}
