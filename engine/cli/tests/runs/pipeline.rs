//! One run of the whole pipeline, and what stands in its folder.

use std::path::Path;

use rlvr_model::Model;
use rlvr_model::tokenizer::Tokenizer;
use rlvr_train::config::RunConfig;
use rlvr_train::{ledger, metrics};
use serde_json::{Value, json};

use crate::tiny::{STAGES, came, checkpoint, files, finished, folder, said};

#[test]
fn a_run_leaves_its_whole_folder() {
    let folder = folder();
    let run = finished(folder.path(), "out", &[]);
    check_metrics(&run);
    check_summary(&run);
    check_ledger(&run);
    check_checkpoints(&run);
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    for part in ["Loss of base", "mid+rl", "pass@1", "math", "facts"] {
        assert!(page.contains(part), "the report has no {part}");
    }
    for (stage, _) in STAGES {
        let events = std::fs::read_dir(run.join("tensorboard").join(stage)).unwrap();
        assert!(events.map(|e| e.unwrap().metadata().unwrap().len()).sum::<u64>() > 100, "{stage}");
    }
}

#[test]
fn a_chain_of_rl_stages_goes_on_through_its_prompts_and_arms_from_one_start_see_the_same() {
    let folder = folder();
    let head = crate::tiny::CONFIG.split("[[stage]]").next().unwrap();
    let stage = |name: &str, from: &str, steps: u64| {
        format!(
            "[[stage]]\nname = \"{name}\"\nkind = \"rl\"\nsteps = {steps}\ndrop_zero_variance = false\neval = false\n{from}\n"
        )
    };
    let stages = [("whole", "", 4), ("first", "", 2), ("second", "from = \"first\"", 2)];
    let stages = stages.map(|(name, from, steps)| stage(name, from, steps));
    std::fs::write(folder.path().join("tiny.toml"), head.to_owned() + &stages.concat()).unwrap();
    let run = finished(folder.path(), "out", &[]);
    let asked = |stage: &str, step: u64| -> Vec<String> {
        let rows = ledger::read(&run.join(format!("ledger/{stage}-{step:06}.parquet"))).unwrap();
        rows.into_iter().map(|row| row.problem_id).collect()
    };
    for step in 1..=4 {
        let of_chain = if step <= 2 { asked("first", step) } else { asked("second", step - 2) };
        assert_eq!(asked("whole", step), of_chain, "step {step}");
    }
    assert_ne!(asked("first", 1), asked("second", 1));
}

#[test]
fn the_config_that_a_run_writes_makes_the_same_run() {
    let folder = folder();
    let run = finished(folder.path(), "out", &[]);
    let written = run.join("config.toml");
    let config = RunConfig::load(&written, &[]).unwrap();
    assert_eq!(config.stages.iter().map(|s| s.steps()).collect::<Vec<_>>(), STAGES.map(|(_, steps)| steps));
    let (code, _, stderr) = said(folder.path(), &["run", written.to_str().unwrap(), "--out", "again"]);
    assert_eq!(code, Some(0), "{stderr}");
    crate::tiny::assert_same(&came(&run), &came(&folder.path().join("again")));
}

#[test]
fn another_seed_makes_another_run_and_more_threads_the_same() {
    let folder = folder();
    let run = came(&finished(folder.path(), "out", &["--threads", "1"]));
    let threads = came(&finished(folder.path(), "threads", &["--threads", "3"]));
    crate::tiny::assert_same(&run, &threads);
    let seed = came(&finished(folder.path(), "seed", &["--set", "seed=4"]));
    assert!(run.tensors != seed.tensors && run.metrics != seed.metrics);
}

/// A line for each step and evaluation, in order, with what its kind always has.
fn check_metrics(run: &Path) {
    let records = metrics::read(&run.join("metrics.jsonl")).unwrap();
    let mut at = records.iter();
    for (stage, steps) in STAGES {
        let kind = if stage.ends_with("rl") { "rl" } else { "mid_train" };
        for step in 1..=steps {
            let record = at.next().unwrap();
            let head = (&record["stage"], &record["kind"], &record["step"]);
            assert_eq!(head, (&json!(stage), &json!(kind), &json!(step)));
            let names: &[&str] = match kind {
                "rl" => &["reward/mean", "pass_rate", "groups", "refills", "length/mean", "seconds/rollout"],
                _ => &["loss", "tokens", "lr", "grad_norm", "loss/web", "seconds"],
            };
            assert!(names.iter().all(|name| record[*name].is_number()), "{record}");
            // evaluations: after every third step, and at the end
            for taskset in ["math", "facts"].iter().filter(|_| step == steps || step % 3 == 0) {
                let eval = at.next().unwrap();
                assert_eq!((&eval["kind"], &eval["taskset"]), (&json!("eval"), &json!(taskset)));
                assert_eq!((&eval["n"], &eval["step"]), (&json!(8), &json!(step)));
                let of = |name: &str| eval[name].as_f64().unwrap();
                assert!(of("pass@1/low") <= of("pass@1") && of("pass@1") <= of("pass@1/high"));
                assert!(of("pass@1") <= of("pass@2"));
            }
        }
    }
    assert_eq!(at.next(), None);
    let updated = |r: &&Value| r["kind"] == "rl" && r["grad_norm"].as_f64().is_some_and(|norm| norm > 0.0);
    assert!(records.iter().filter(updated).count() >= 4, "no policy was updated");
    for record in records.iter().filter(updated) {
        assert!(record["mismatch/max"].as_f64().unwrap() <= 1e-4, "{record}");
    }
}

fn check_summary(run: &Path) {
    let summary: Value = serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["run"], &summary["seed"]), (&json!("tiny"), &json!(3)));
    let records = metrics::read(&run.join("metrics.jsonl")).unwrap();
    let stages = summary["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 4);
    for (entry, (stage, steps)) in stages.iter().zip(STAGES) {
        assert_eq!((&entry["name"], &entry["steps"]), (&json!(stage), &json!(steps)));
        let from = match stage {
            "base" => Value::Null,
            "mid+rl" => json!("mid"),
            _ => json!("base"),
        };
        assert_eq!(entry["from"], from);
        for taskset in ["math", "facts"] {
            let last = |r: &&Value| r["stage"] == stage && r["taskset"] == taskset;
            let record = records.iter().rfind(last).unwrap();
            let results = &entry["eval"][taskset];
            assert_eq!((&results["n"], &results["samples"]), (&json!(8), &json!(16)));
            assert_eq!((&results["pass@1"], &results["pass@2"]), (&record["pass@1"], &record["pass@2"]));
            assert_eq!(results["pass@1_ci"], json!([record["pass@1/low"], record["pass@1/high"]]));
        }
    }
}

/// The ledger agrees with itself and with the metrics.
fn check_ledger(run: &Path) {
    let records = metrics::read(&run.join("metrics.jsonl")).unwrap();
    let steps = ledger::files(run).unwrap();
    assert_eq!(steps.len(), 10);
    for (stage, step, path) in steps {
        let rows = ledger::read(&path).unwrap();
        let record = records.iter().find(|r| r["stage"] == stage && r["step"] == step && r["kind"] == "rl");
        let record = record.unwrap();
        assert_eq!(rows.len() as u64, 4 * record["groups"].as_u64().unwrap());
        let tokens: usize = rows.iter().map(|row| row.ids.len()).sum();
        assert_eq!(json!(tokens), record["tokens"]);
        let rewards: Vec<f64> = rows.iter().filter_map(|row| row.reward).map(f64::from).collect();
        let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
        assert!((mean - record["reward/mean"].as_f64().unwrap()).abs() < 1e-9);
        for row in &rows {
            assert_eq!(row.ids.len(), row.logprobs.len());
            assert!(row.ids.len() <= 16 && row.logprobs.iter().all(|p| *p <= 0.0));
            assert_eq!((row.verifier.as_str(), row.outcome == "pass"), ("math", row.score == Some(1.0)));
            let digit = if row.completion.contains(|c: char| c.is_ascii_digit()) { 0.2 } else { 0.0 };
            let long = 0.1 * (row.ids.len() as f32 - 8.0).max(0.0) / 8.0;
            let wanted = row.score.unwrap() + digit - long;
            assert!((row.reward.unwrap() - wanted).abs() < 1e-6, "{row:?}");
        }
    }
    let samples = run.join("samples/mid+rl-000005-facts.parquet");
    assert_eq!(ledger::read(&samples).unwrap().len(), 16);
}

/// Every kept checkpoint is a folder that opens as a model, with its tokenizer.
fn check_checkpoints(run: &Path) {
    for (stage, steps) in STAGES {
        let path = checkpoint(run, stage, steps);
        let state: Value = serde_json::from_slice(&std::fs::read(path.join("state.json")).unwrap()).unwrap();
        let named: Vec<&String> = state["files"].as_object().unwrap().keys().collect();
        let here: Vec<String> = files(&path).iter().map(|p| p.display().to_string()).collect();
        assert!(named.contains(&&"optimizer.safetensors".to_string()));
        assert_eq!(named, here.iter().filter(|name| *name != "state.json").collect::<Vec<_>>());
        let model = Model::load(&path).unwrap();
        let tokenizer = Tokenizer::load(&path).unwrap();
        tokenizer.check_fits(&model.config).unwrap();
        assert_eq!(model.config.hidden_size, 32);
    }
}
