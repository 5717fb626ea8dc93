//! `eval`, `plan`, `bench` and `report`: what they print, against what is known without them.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::tiny::{checkpoint, finished, folder, rlvr, said};

/// The program's JSON.
fn json_of(folder: &Path, args: &[&str]) -> Value {
    let (code, stdout, stderr) = said(folder, args);
    assert_eq!(code, Some(0), "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// Parameters of the tiny model: embeddings, two layers, the last norm.
const PARAMETERS: fn(u64) -> u64 = |vocab| {
    let attention = 32 * 32 + 2 * 32 * 16 + 32 * 32;
    let mlp = 3 * 32 * 64;
    vocab * 32 + 2 * (attention + mlp + 2 * 32) + 32
};

#[test]
fn a_plan_counts_parameters_tasks_and_tokens_and_writes_nothing() {
    let folder = folder();
    let plan = json_of(folder.path(), &["plan", "tiny.toml", "--json"]);
    let vocab = plan["vocab_size"].as_u64().unwrap();
    assert_eq!(plan["parameters"].as_u64(), Some(PARAMETERS(vocab)));
    let tasks: Vec<(&str, u64)> = plan["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| (set["name"].as_str().unwrap(), set["problems"].as_u64().unwrap()))
        .collect();
    assert_eq!(tasks, [("facts", 8), ("math", 8), ("math-train", 40)]);
    let stages = plan["stages"].as_array().unwrap();
    assert_eq!(stages.iter().map(|s| s["steps"].as_u64().unwrap()).collect::<Vec<_>>(), [6, 5, 6, 5]);
    assert_eq!(stages[0]["tokens"], json!(6.0 * 1024.0));
    for stage in stages {
        assert!(stage["memory_bytes"].as_f64().unwrap() > 16.0 * PARAMETERS(vocab) as f64, "{stage}");
        assert!(stage["seconds"].as_f64().unwrap() > 0.0, "{stage}");
    }
    let (code, text, _) = said(folder.path(), &["plan", "tiny.toml"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("tasks math: 8 problems, all checked") && text.contains("mid+rl"), "{text}");
    assert_eq!(crate::tiny::files(folder.path()), [Path::new("tiny.toml")]);
}

#[test]
fn an_evaluation_is_that_of_the_greedy_completions_and_repeats() {
    let folder = folder();
    let run = finished(folder.path(), "out", &["--stage", "base"]);
    let model = checkpoint(&run, "base", 6);
    let model = model.to_str().unwrap();
    let greedy = ["generate", "--model", model, "--max-tokens", "8", "--temperature", "0", "--json", "1+1="];
    let drawn = json_of(folder.path(), &greedy)["text"].as_str().unwrap().to_owned();
    // The model's own words pass, other words fail, whoever draws.
    let row = |id: &str, answer: &str| json!({"id": id, "prompt": "1+1=", "answer": answer, "verifier": "exact", "tags": [id]});
    let rows = [row("its-own", &drawn), row("other", "no such completion")];
    std::fs::write(folder.path().join("rows.jsonl"), rows.map(|r| r.to_string()).join("\n")).unwrap();
    let args = ["eval", "--model", model, "--tasks", "rows.jsonl", "--max-tokens", "8", "--samples", "3"];
    let exact = json_of(folder.path(), &[&args[..], &["--temperature", "0", "--json"]].concat());
    let rows = &exact["rows"];
    assert_eq!((&rows["n"], &rows["samples"]), (&json!(2), &json!(6)));
    assert_eq!((&rows["pass@1"], &rows["pass@3"]), (&json!(0.5), &json!(0.5)));
    assert_eq!(
        (&rows["tags"]["its-own"]["pass@1"], &rows["tags"]["other"]["pass@1"]),
        (&json!(1.0), &json!(0.0))
    );

    let sampled = [&args[..], &["--json"]].concat();
    assert_eq!(json_of(folder.path(), &sampled), json_of(folder.path(), &sampled));
    // as the config's stages evaluate the set, with 2 samples, unless a flag says otherwise
    let of_config = ["eval", "tiny.toml", "--model", model, "--task-set", "facts", "--json"];
    for (flags, samples) in [(&[][..], 16), (&["--samples", "8", "--limit", "3"], 24)] {
        let facts = json_of(folder.path(), &[&of_config[..], flags].concat());
        assert_eq!(facts["facts"]["samples"], json!(samples));
    }
}

#[test]
fn an_evaluation_that_is_interrupted_ends_with_code_130() {
    let folder = folder();
    let run = finished(folder.path(), "out", &["--stage", "base"]);
    let model = checkpoint(&run, "base", 6);
    let args =
        ["eval", "tiny.toml", "--model", model.to_str().unwrap(), "--task-set", "math", "--samples", "16384"];
    let mut child = rlvr(folder.path(), &args).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("1000 of 131072 samples") {
        assert!(stderr.read_line(&mut told).unwrap() > 0, "{told}");
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{told}");
    assert!(told.contains("stopping (once more: at once)") && !told.contains("error"), "{told}");
}

#[test]
fn benchmarks_do_the_work_that_they_are_asked_for() {
    let folder = folder();
    let shape = json!({
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": true,
    });
    std::fs::write(folder.path().join("shape.json"), shape.to_string()).unwrap();
    let sizes = [
        "--model",
        "shape.json",
        "--prompts",
        "3",
        "--samples",
        "4",
        "--prompt-tokens",
        "5",
        "--new-tokens",
        "7",
        "--rounds",
        "2",
    ];
    let rollout = json_of(folder.path(), &[&["bench", "rollout"], &sizes[..]].concat());
    assert_eq!((&rollout["prompt_tokens"], &rollout["new_tokens"]), (&json!(3 * 5), &json!(3 * 4 * 7)));
    let (seconds, rate) = (rollout["seconds"].as_f64().unwrap(), rollout["tokens_per_s"].as_f64().unwrap());
    assert!((rate * seconds - 84.0).abs() < 1e-6);
    let step = json_of(folder.path(), &[&["bench", "grpo-step"], &sizes[..]].concat());
    assert_eq!((&step["prompt_tokens"], &step["completion_tokens"]), (&json!(15), &json!(84)));
    // A prompt is packed once for its group; the last token of a completion predicts nothing.
    let packed = step["packed_tokens"].as_u64().unwrap();
    assert!((3 * (5 + 4 * 6)..=3 * (5 + 4 * 7)).contains(&packed), "{packed}");
    assert_eq!(step["steps_s"].as_array().unwrap().len(), 2);
    assert!(step["grad_norm"].as_f64().unwrap() > 0.0 && step["mismatch_max"].as_f64().unwrap() <= 1e-4);
    let saved: Value =
        json_of(folder.path(), &[&["bench", "grpo-step", "--save", "step"], &sizes[..]].concat());
    assert_eq!((&saved["loss"], &saved["grad_norm"]), (&step["loss"], &step["grad_norm"]));
    let rows = rlvr_train::ledger::read(&folder.path().join("step/step.parquet")).unwrap();
    assert_eq!(rows.iter().map(|row| row.ids.len()).sum::<usize>(), 84);
    assert!(rows.iter().any(|row| row.advantage != rows[0].advantage), "rewards differ");
    rlvr_model::Model::load(&folder.path().join("step")).unwrap();
    let (code, _, stderr) = said(folder.path(), &["bench", "rollout", "--model", "none.json"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("none.json") && stderr.contains("config.json"), "{stderr}");
}

#[test]
fn the_report_of_a_run_that_goes_on_can_be_made_at_any_time() {
    let folder = folder();
    let run = finished(folder.path(), "out", &["--stage", "base"]);
    std::fs::remove_file(run.join("report.html")).unwrap();
    let (code, stdout, stderr) = said(folder.path(), &["report", "out"]);
    assert_eq!((code, stdout.trim()), (Some(0), "out/report.html"), "{stderr}");
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("Loss of base") && !page.contains("src=\"http"));
}
