//! Runs that train adapters: what they leave, how they go on, and that the base stays as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rlvr_train::{ledger, metrics};
use serde_json::Value;

use crate::tiny::{checkpoint, files, rlvr, said};

/// Full mid-training, then adapters by mid-training on it, by RL on that, and by RL with a reference that moves on a new model.
const CONFIG: &str = r#"
name = "lora"
seed = 4

[model]
new = { hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 2, max_position_embeddings = 256, tie_word_embeddings = true, initializer_range = 0.05 }
tokenizer = { kind = "characters" }

[sources.web]
kind = "generator"
generator = "web"

[sources.solutions]
kind = "generator"
generator = "worked-math"

[tasks.math]
generator = "math-tasks"
count = 40

[verifiers.digit]
kind = "regex"
pattern = "[0-9]"
mode = "search"

[reward]
parts = [{ name = "digit", verifier = "digit" }]
length = { target = 8, max = 16, penalty = 0.1 }

[defaults.mid_train]
batch_tokens = 1024
micro_batch_tokens = 512
learning_rate = 5e-3
checkpoint_every = 3
activation_checkpointing = true

[defaults.rl]
tasks = ["math"]
prompts_per_step = 4
samples_per_prompt = 4
sampling = { max_tokens = 16 }
micro_batch_tokens = 512
learning_rate = 2e-3
steps = 4
optimizer_steps = 2
checkpoint_every = 2
lora = { rank = 2, alpha = 4, targets = ["q_proj", "v_proj", "down_proj"], rslora = true }

[[stage]]
name = "base"
kind = "mid_train"
steps = 4
mixture = [{ domain = "web", source = "web", weight = 1.0 }]

[[stage]]
name = "mid"
kind = "mid_train"
from = "base"
steps = 12
lora = { rank = 8, alpha = 16 }
mixture = [{ domain = "math", source = "solutions", weight = 1.0 }]

[[stage]]
name = "mid+rl"
kind = "rl"
from = "mid"
optimizer_steps = 1
kl = { coefficient = 0.01 }
lora = { merge = true }

[[stage]]
name = "new+rl"
kind = "rl"
kl = { coefficient = 0.01, refresh = 2 }
"#;

/// The stages with adapters and their steps.
const ADAPTED: [(&str, u64); 3] = [("mid", 12), ("mid+rl", 4), ("new+rl", 4)];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lora.toml"), CONFIG).unwrap();
    folder
}

fn finished(folder: &Path, name: &str, more: &[&str]) -> PathBuf {
    let (code, stdout, stderr) = said(folder, &[&["run", "lora.toml", "--out", name], more].concat());
    assert_eq!((code, stdout.as_str()), (Some(0), ""), "{stderr}");
    folder.join(name)
}

/// Bytes of all tensors below a run's folder, lines of its metrics and rows of its ledger without timings.
fn came(run: &Path) -> (BTreeMap<PathBuf, Vec<u8>>, Vec<String>, Vec<String>) {
    let of_kind = |kind: &'static str| {
        let all = files(run).into_iter();
        all.filter(move |path| path.extension().is_some_and(|end| end == kind))
    };
    let tensors = of_kind("safetensors").map(|p| (p.clone(), std::fs::read(run.join(p)).unwrap())).collect();
    let records = metrics::read(&run.join("metrics.jsonl")).unwrap();
    let metrics = records.iter().map(|record| metrics::strip_timings(record).to_string()).collect();
    let rows = of_kind("parquet").flat_map(|path| ledger::read(&run.join(path)).unwrap());
    (tensors, metrics, rows.map(|row| format!("{:?}", row.without_timings())).collect())
}

fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (came(one), came(other));
    assert_eq!(one.1, other.1);
    assert_eq!(one.2, other.2);
    assert_eq!(one.0.keys().collect::<Vec<_>>(), other.0.keys().collect::<Vec<_>>());
    for (path, bytes) in &one.0 {
        assert!(bytes == &other.0[path], "{} differs", path.display());
    }
}

/// The log-probabilities that `rlvr logprobs` gives some text with these arguments.
fn logprobs(folder: &Path, args: &[&Path]) -> Vec<f64> {
    let mut all = vec!["logprobs", "--text", "What is 12 + 30? 42", "--model"];
    all.extend(args.iter().map(|path| path.to_str().unwrap()));
    let (code, stdout, stderr) = said(folder, &all);
    assert_eq!(code, Some(0), "{stderr}");
    let said: Value = serde_json::from_str(&stdout).unwrap();
    said["logprobs"].as_array().unwrap().iter().skip(1).map(|x| x.as_f64().unwrap()).collect()
}

fn furthest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn adapters_learn_over_a_base_that_stays_and_sampler_and_trainer_agree() {
    let folder = folder();
    let run = finished(folder.path(), "out", &[]);
    let records: Vec<Value> = metrics::read(&run.join("metrics.jsonl")).unwrap();
    let of = |stage: &str, key: &str| -> Vec<f64> {
        let own = records.iter().filter(|r| r["stage"] == stage && r["kind"] != "eval");
        own.map(|r| r[key].as_f64().unwrap()).collect()
    };
    let loss = of("mid", "loss");
    assert!(loss[11] < loss[0] - 0.1, "{loss:?}");
    for stage in ["mid+rl", "new+rl"] {
        assert_eq!(of(stage, "mismatch/max"), [0.0; 4], "{stage}");
        assert!(of(stage, "grad_norm").iter().all(|norm| *norm > 0.0), "{stage}");
    }
    let kl = of("mid+rl", "kl");
    assert!(kl[0] == 0.0 && kl[3] > 0.0, "the reference is what the stage starts from: {kl:?}");
    for (stage, steps) in ADAPTED {
        let dir = checkpoint(&run, stage, steps);
        assert!(dir.join("adapter_config.json").is_file() && !dir.join("model.safetensors").exists());
        let config: Value =
            serde_json::from_slice(&std::fs::read(dir.join("adapter_config.json")).unwrap()).unwrap();
        let base = PathBuf::from(config["base_model_name_or_path"].as_str().unwrap());
        let expected = match stage {
            "mid" => checkpoint(&run, "base", 4),
            "mid+rl" => run.join("checkpoints/mid/merged"),
            _ => run.join("checkpoints/new+rl/base"),
        };
        assert_eq!(base.canonicalize().unwrap(), expected.canonicalize().unwrap(), "{stage}");
        assert!(base.join("model.safetensors").is_file());
        let adapted = logprobs(folder.path(), &[&dir]);
        let named = logprobs(folder.path(), &[&base, Path::new("--adapter"), &dir]);
        assert_eq!(adapted, named, "{stage}: by the base that it names, and by one that is given");
        assert!(furthest(&adapted, &logprobs(folder.path(), &[&base])) > 1e-3, "{stage}");
        let merged = run.join(format!("checkpoints/{stage}/merged"));
        assert_eq!(merged.exists(), stage != "new+rl", "{stage}");
        if merged.exists() {
            assert!(furthest(&adapted, &logprobs(folder.path(), &[&merged])) < 1e-5, "{stage}");
        }
    }
}

#[test]
fn a_run_of_adapters_killed_after_ever_longer_times_ends_as_one_that_was_left_alone() {
    let folder = folder();
    let whole = finished(folder.path(), "whole", &[]);
    let out = folder.path().join("out");
    let mut kills = 0;
    for times in 1.. {
        let resume: &[&str] = if out.join("config.toml").exists() { &["--resume"] } else { &[] };
        let args = [&["run", "lora.toml", "--out", "out"], resume].concat();
        let mut child =
            rlvr(folder.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 * times));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.code().is_some() {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            break;
        }
        kills += 1;
    }
    assert!(kills >= 2, "killed {kills} times only");
    finished(folder.path(), "out", &["--resume"]);
    assert_same(&whole, &out);
}

#[test]
fn activation_checkpointing_changes_no_bit_of_a_run() {
    let folder = folder();
    let with = finished(folder.path(), "with", &[]);
    let set = ["--set", "defaults.mid_train.activation_checkpointing=false"];
    let more = ["--set", "defaults.rl.activation_checkpointing=true"];
    let without = finished(folder.path(), "without", &[set, more].concat());
    assert_same(&with, &without);
}

#[test]
fn a_run_starts_from_an_adapters_folder_as_from_the_merged_model() {
    let folder = folder();
    let run = finished(folder.path(), "out", &["--stage", "base"]);
    finished(folder.path(), "out", &["--stage", "mid"]);
    let config = |model: &Path| {
        let (head, rest) = CONFIG.split_once("[model]").unwrap();
        let sources = rest.split_once("[sources.web]").unwrap().1;
        let stages = sources.split_once("[[stage]]").unwrap().0;
        let stage = "[[stage]]\nname = \"rl\"\nkind = \"rl\"\nsteps = 1\n";
        format!("{head}[model]\npath = {:?}\n[sources.web]{stages}{stage}", model.display().to_string())
    };
    let ran = |name: &str, model: &Path| {
        std::fs::write(folder.path().join(format!("{name}.toml")), config(model)).unwrap();
        let (code, _, stderr) = said(folder.path(), &["run", &format!("{name}.toml"), "--out", name]);
        assert_eq!(code, Some(0), "{stderr}");
        let run = folder.path().join(name);
        std::fs::read(checkpoint(&run, "rl", 1).join("adapter_model.safetensors")).unwrap()
    };
    let merged = ran("merged", &run.join("checkpoints/mid/merged"));
    assert!(merged == ran("adapter", &checkpoint(&run, "mid", 12)));
    assert!(!folder.path().join("merged/checkpoints/rl/base").exists(), "the folder itself is the base");
    assert!(folder.path().join("adapter/checkpoints/rl/base").exists(), "the base is in no folder");
}

#[test]
fn settings_of_adapters_that_are_wrong_are_named_with_what_would_be_right() {
    let folder = folder();
    let error = |set: &str| {
        let (code, _, stderr) = said(folder.path(), &["plan", "lora.toml", "--set", set]);
        assert_eq!(code, Some(2), "{stderr}");
        stderr
    };
    for (set, said) in [
        ("stage.mid.lora={rnk=8, alpha=16}", "`stage.mid.lora.rnk` is no key here; did you mean `rank`?"),
        ("stage.mid.lora.rank=0", "`stage.mid.lora.rank` is 0; 1 or more is right"),
        ("stage.mid.lora.alpha=-1", "`stage.mid.lora.alpha` is -1; a number above 0 is right"),
        ("stage.mid.lora.dropout=0.05", "`stage.mid.lora.dropout` is 0.05; only 0 is supported"),
        ("stage.mid.lora.targets=[]", "`stage.mid.lora.targets` is empty"),
        (
            "stage.mid.lora.targets=[\"q_proj\", \"up_prj\"]",
            "`stage.mid.lora.targets[1]` is \"up_prj\", which is no projection of the model; did you mean `up_proj`?",
        ),
        ("stage.mid.lora.targets=3", "a list of projections' names"),
        ("stage.mid.lora={alpha=16}", "`stage.mid.lora.rank` is missing"),
    ] {
        let error = error(set);
        assert!(error.contains(said), "{set}: {error}");
    }
}
