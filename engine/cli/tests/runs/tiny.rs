//! A pipeline of four stages that takes seconds, the program that runs it, and what two runs of it must agree in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use rlvr_train::{ledger, metrics};
use serde_json::Value;
use tempfile::TempDir;

/// The quickstart's four stages on a very small model. The reward counts digits and length besides right answers, so that
/// even a model that knows nothing has groups whose rewards differ; the reference policy moves, so that it must be restored.
pub const CONFIG: &str = r#"
name = "tiny"
seed = 3

[model]
new = { hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 2, max_position_embeddings = 256, tie_word_embeddings = true }
tokenizer = { kind = "characters" }

[sources.web]
kind = "generator"
generator = "web"

[sources.solutions]
kind = "generator"
generator = "worked-math"

[tasks.math-train]
generator = "math-tasks"
count = 40

[tasks.math]
generator = "math-tasks"
split = "held-out"
count = 8

[tasks.facts]
generator = "facts"
split = "held-out"
count = 8

[verifiers.digit]
kind = "regex"
pattern = "[0-9]"
mode = "search"

[reward]
parts = [{ name = "right" }, { name = "digit", verifier = "digit", weight = 0.2 }]
length = { target = 8, max = 16, penalty = 0.1 }

[defaults.mid_train]
batch_tokens = 1024
micro_batch_tokens = 512
learning_rate = 2e-3
checkpoint_every = 2

[defaults.rl]
tasks = ["math-train"]
prompts_per_step = 4
samples_per_prompt = 4
sampling = { max_tokens = 16 }
micro_batch_tokens = 512
learning_rate = 1e-3
steps = 5
optimizer_steps = 2
max_refills = 1
kl = { coefficient = 0.01, refresh = 2 }
checkpoint_every = 3

[defaults.eval]
tasks = ["math", "facts"]
samples = 2
max_tokens = 16
every = 3

[[stage]]
name = "base"
kind = "mid_train"
steps = 6
mixture = [{ domain = "web", source = "web", weight = 1.0 }]

[[stage]]
name = "base+rl"
kind = "rl"
from = "base"

[[stage]]
name = "mid"
kind = "mid_train"
from = "base"
steps = 6
mixture = [
    { domain = "math", source = "solutions", weight = 0.8 },
    { domain = "web", source = "web", weight = 0.2 },
]

[[stage]]
name = "mid+rl"
kind = "rl"
from = "mid"
"#;

/// The stages' names and steps.
pub const STAGES: [(&str, u64); 4] = [("base", 6), ("base+rl", 5), ("mid", 6), ("mid+rl", 5)];

/// A folder with the config as `tiny.toml`.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tiny.toml"), CONFIG).unwrap();
    folder
}

/// The program, in a folder.
pub fn rlvr(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlvr"));
    command.args(args).current_dir(folder).env_remove("RUST_LOG");
    command
}

/// The program's exit code, stdout and stderr.
pub fn said(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = rlvr(folder, args).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Runs the config to its end in `folder/NAME` and gives the run's folder.
pub fn finished(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
    let (code, stdout, stderr) = said(folder, &[&["run", "tiny.toml", "--out", name], more].concat());
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    folder.join(name)
}

/// The folder of a stage's checkpoint.
pub fn checkpoint(run: &Path, stage: &str, step: u64) -> PathBuf {
    run.join(format!("checkpoints/{stage}/step-{step:06}"))
}

/// What a run came to, without its timings.
#[derive(PartialEq)]
pub struct Came {
    /// The bytes of each stage's last weights and moments, by path.
    pub tensors: BTreeMap<PathBuf, Vec<u8>>,
    /// The lines of its metrics.
    pub metrics: Vec<String>,
    /// Each file of the ledger and of the samples with its rows, every float to its last digit.
    pub rows: BTreeMap<PathBuf, Vec<String>>,
    /// Its results.
    pub summary: Value,
}

/// Reads what a run came to.
pub fn came(run: &Path) -> Came {
    let mut tensors = BTreeMap::new();
    for (stage, steps) in STAGES {
        for file in ["model.safetensors", "optimizer.safetensors"] {
            let path = checkpoint(run, stage, steps).join(file);
            tensors.insert(path.strip_prefix(run).unwrap().to_path_buf(), std::fs::read(&path).unwrap());
        }
    }
    let records = metrics::read(&run.join("metrics.jsonl")).unwrap();
    let metrics = records.iter().map(|record| metrics::strip_timings(record).to_string()).collect();
    let mut rows = BTreeMap::new();
    for path in files(run).into_iter().filter(|path| path.extension().is_some_and(|end| end == "parquet")) {
        let read = ledger::read(&run.join(&path)).unwrap();
        rows.insert(path, read.iter().map(|row| format!("{:?}", row.without_timings())).collect());
    }
    let mut summary: Value =
        serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap();
    for stage in summary["stages"].as_array_mut().unwrap() {
        for measured in ["seconds", "peak_bytes"] {
            stage.as_object_mut().unwrap().remove(measured);
        }
    }
    Came { tensors, metrics, rows, summary }
}

/// Sees that two runs came to the same, bit for bit, and says in what they differ.
pub fn assert_same(one: &Came, other: &Came) {
    for (a, b) in one.metrics.iter().zip(&other.metrics) {
        assert_eq!(a, b);
    }
    assert_eq!(one.metrics.len(), other.metrics.len());
    assert_eq!(one.summary, other.summary);
    assert_eq!(one.rows.keys().collect::<Vec<_>>(), other.rows.keys().collect::<Vec<_>>());
    for (path, rows) in &one.rows {
        assert_eq!(rows, &other.rows[path], "{}", path.display());
    }
    for (path, bytes) in &one.tensors {
        assert!(bytes == &other.tensors[path], "{} differs", path.display());
    }
}

/// Every file below a folder, by its path in it, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(folder).unwrap().to_path_buf()),
            }
        }
    }
    found.sort();
    found
}

/// Waits until the metrics have a line of this stage, kind and step, or a later one.
pub fn wait_for(child: &mut Child, run: &Path, (stage, kind, step): (&str, &str, u64)) {
    let wanted = format!("{{\"stage\":\"{stage}\",\"kind\":\"{kind}\",\"step\":{step},");
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
        if text.lines().any(|line| line.starts_with(&wanted)) {
            return;
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the run ended before {stage} {step}: {status:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{stage} {step} does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}
