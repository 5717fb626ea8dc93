//! `configs/gsm8k.toml` on GSM8K's own files, where they are there: through both stages, and what is said when no group has
//! rewards that differ.

use std::path::{Path, PathBuf};

use rlvr_model::tokenizer::Tokenizer;
use rlvr_train::{ledger, metrics};
use serde_json::json;

use crate::tiny::{checkpoint, said};

/// GSM8K's folder: in RLVR_DATA, or beside the repository.
fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("RLVR_DATA").map_or(beside, PathBuf::from).join("gsm8k");
    if folder.join("train.jsonl").is_file() && folder.join("test.jsonl").is_file() {
        return Some(folder.canonicalize().unwrap());
    }
    eprintln!("skipped: {} has no train.jsonl and test.jsonl; set RLVR_DATA", folder.display());
    None
}

#[test]
fn gsm8k_goes_through_both_stages_and_a_blank_model_is_told_that_it_is_too_hard() {
    let Some(data) = data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/gsm8k.toml");
    let (train, test) = (data.join("train.jsonl"), data.join("test.jsonl"));
    let sets = [
        format!("sources.solutions.path={}", train.display()),
        format!("tasks.gsm8k-train.path={}", train.display()),
        format!("tasks.gsm8k-test.path={}", test.display()),
        "model.new.hidden_size=64".into(),
        "model.new.intermediate_size=128".into(),
        "model.new.num_hidden_layers=2".into(),
        "stage.mid.steps=3".into(),
        "stage.mid.schedule.warmup=1".into(),
        "stage.rl.schedule.warmup=0".into(),
        "stage.rl.steps=2".into(),
        "stage.rl.prompts_per_step=3".into(),
        "stage.rl.samples_per_prompt=2".into(),
        "stage.rl.sampling.max_tokens=24".into(),
        "defaults.eval.limit=8".into(),
        "defaults.eval.samples=2".into(),
        "defaults.eval.max_tokens=24".into(),
    ];
    let mut args = vec!["run", config.to_str().unwrap(), "--out", "out"];
    args.extend(sets.iter().flat_map(|set| ["--set", set.as_str()]));
    let (code, _, stderr) = said(folder.path(), &args);
    assert_eq!(code, Some(0), "{stderr}");
    let run = folder.path().join("out");

    // A group of three prompts a step, and twice as many again: then the step ends, and says why.
    let said = "rl step 1: 0 of 9 groups drawn for 3 had rewards that differ (mean score 0.00, max_refills = 2): \
                the tasks are too hard for this model; no update was made";
    assert!(stderr.contains(said), "{stderr}");
    let records = metrics::read(&run.join("metrics.jsonl")).unwrap();
    let of = |kind: &str| records.iter().filter(|r| r["kind"] == kind).collect::<Vec<_>>();
    let loss: Vec<f64> = of("mid_train").iter().map(|r| r["loss/math"].as_f64().unwrap()).collect();
    // A blank model spreads its guesses over the vocabulary of 2048.
    assert!(loss.len() == 3 && (loss[0] - f64::ln(2048.0)).abs() < 0.2 && loss[2] < loss[0], "{loss:?}");
    for record in of("rl") {
        assert_eq!((&record["groups"], &record["refills"]), (&json!(9), &json!(2)));
        assert_eq!((&record["groups/with_variance"], &record["pass_rate"]), (&json!(0), &json!(0.0)));
    }
    assert_eq!(of("eval").iter().map(|r| r["pass@1"].clone()).collect::<Vec<_>>(), [json!(0.0), json!(0.0)]);

    // No update, no change.
    let weights =
        |stage, step| std::fs::read(checkpoint(&run, stage, step).join("model.safetensors")).unwrap();
    assert!(weights("mid", 3) == weights("rl", 2));
    let questions = std::fs::read_to_string(&train).unwrap();
    for row in ledger::read(&run.join("ledger/rl-000001.parquet")).unwrap() {
        let question =
            row.prompt.strip_prefix("Question: ").and_then(|p| p.strip_suffix("\nAnswer:")).unwrap();
        let start =
            serde_json::to_string(&question.chars().take_while(char::is_ascii).collect::<String>()).unwrap();
        assert!(questions.contains(start.trim_end_matches('"')), "{start}");
    }
    let tokenizer = Tokenizer::load(&checkpoint(&run, "mid", 3)).unwrap();
    assert_eq!(tokenizer.encode("1234").unwrap().len(), 4, "every digit is a token");
}
