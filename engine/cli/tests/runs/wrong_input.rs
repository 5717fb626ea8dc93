//! Wrong input: exit code 2 before any training, and a message that names file, line, field and what would be right.

use std::path::Path;

use rlvr_model::tokenizer::Tokenizer;
use rlvr_model::{Model, ModelConfig};
use serde_json::json;

use crate::tiny::{checkpoint, files, finished, folder, said};

/// `run` and `plan` both refuse the config with this change, say all of `parts`, and write nothing.
fn refused(folder: &Path, sets: &[&str], parts: &[&str]) {
    let before = files(folder);
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    for command in [&["run", "tiny.toml", "--out", "out"][..], &["plan", "tiny.toml"]] {
        let (code, stdout, stderr) = said(folder, &[command, &sets].concat());
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{sets:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{sets:?}: no `{part}` in {stderr}");
        }
    }
    assert_eq!(files(folder), before, "something was written");
}

/// `run` refuses the config with this change, whose file is not there; `plan` lists it with its key among what is missing.
fn missing(folder: &Path, set: &str, key: &str, file: &str) {
    let (code, _, stderr) = said(folder, &["run", "tiny.toml", "--out", "out", "--set", set]);
    let told = format!("`{key}` leads to no file");
    assert!(code == Some(2) && stderr.contains(&told) && stderr.contains(file), "{stderr}");
    let (code, stdout, stderr) = said(folder, &["plan", "tiny.toml", "--set", set]);
    let listed = |line: &str| line.contains(file) && line.contains(key);
    assert!(code == Some(0) && stdout.lines().any(listed), "{stdout}{stderr}");
}

/// The settings that make the problems of `tasks.math` those of `rows.jsonl`.
const ROWS: &str = "tasks.math={path=\"rows.jsonl\", verifier=\"math\"}";

#[test]
fn names_that_the_config_does_not_know_are_answered_with_the_nearest() {
    let folder = folder();
    for (set, parts) in [
        ("stage.base+rl.kl.coeficient=1", ["`stage.base+rl.kl.coeficient`", "did you mean `coefficient`?"]),
        ("verifiers.digit.kind=regx", ["regx", "did you mean `regex`?"]),
        ("tasks.math.generator=math-task", ["math-task", "did you mean `math-tasks`?"]),
        ("stage.mid.from=bas", ["bas", "did you mean `base`?"]),
        ("stage.base+rl.tasks=[\"math-trian\"]", ["math-trian", "did you mean `math-train`?"]),
        ("stage.base.schedule.kind=cosin", ["cosin", "cosine"]),
    ] {
        refused(folder.path(), &[set], &parts);
    }
    let (code, _, stderr) = said(folder.path(), &["run", "tiny.toml", "--out", "out", "--stage", "rl"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--stage rl") && stderr.contains("base, base+rl, mid, mid+rl"), "{stderr}");
    let (code, _, stderr) = said(folder.path(), &["run", "tiny.toml", "--out", "out", "--stage", "mid"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("starts from `base`, which has not been run"), "{stderr}");
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line() {
    let folder = folder();
    let path = folder.path().join("tiny.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = 1 + text.lines().position(|line| line.starts_with("learning_rate")).unwrap();
    std::fs::write(&path, text.replace("learning_rate", "learning_rat")).unwrap();
    refused(folder.path(), &[], &[&format!("tiny.toml:{line}:1: "), "did you mean `learning_rate`?"]);
    std::fs::write(&path, text.replace("seed = 3", "seed = ")).unwrap();
    refused(folder.path(), &[], &["tiny.toml:3:"]);
}

#[test]
fn rows_are_told_with_file_line_and_field_all_at_once() {
    let folder = folder();
    missing(folder.path(), ROWS, "tasks.math.path", "rows.jsonl");
    let good = r#"{"prompt": "1+1?", "answer": "2"}"#;
    let rows = [
        good,
        r#"{"prompt": "1+1?"}"#,
        r#"{"prompt": "1+1?", "answer": "2", "verifier": "mth"}"#,
        r#"{"promt": "1+1?", "answer": "2"}"#,
        r#"{"prompt": "1+1?", "answer": "#,
        r#"{"prompt": "1+1?", "answer": [2]}"#,
    ];
    std::fs::write(folder.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    refused(
        folder.path(),
        &[ROWS],
        &[
            "rows.jsonl:2: field `answer`",
            "rows.jsonl:3: field `verifier`",
            "did you mean `math`?",
            "rows.jsonl:4: field `prompt`",
            "rows.jsonl:5: ",
            "rows.jsonl:6: field `answer`",
        ],
    );
}

#[test]
fn a_prompt_longer_than_the_context_is_refused() {
    let folder = folder();
    let row = json!({"prompt": "1+".repeat(150), "answer": "2"});
    std::fs::write(folder.path().join("rows.jsonl"), row.to_string()).unwrap();
    let parts = ["rows.jsonl:1: field `prompt`", "context of 256 leaves 240", "shorten the prompt"];
    refused(folder.path(), &[ROWS], &parts);
}

#[test]
fn a_source_that_is_missing_or_lacks_its_field_is_refused() {
    let folder = folder();
    let set = "sources.web={kind=\"jsonl\", path=\"text.jsonl\"}";
    missing(folder.path(), set, "sources.web.path", "text.jsonl");
    std::fs::write(folder.path().join("text.jsonl"), "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n").unwrap();
    refused(folder.path(), &[set], &["text.jsonl:2: field `text`", "did you mean `txt`?"]);
}

#[test]
fn a_run_is_neither_started_over_nor_gone_on_with_under_another_config() {
    let folder = folder();
    let args = ["run", "tiny.toml", "--out", "out", "--stage", "base"];
    assert_eq!(said(folder.path(), &args).0, Some(0));
    let before = files(folder.path());
    let (code, _, stderr) = said(folder.path(), &args[..4]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("out holds a run already") && stderr.contains("--resume"), "{stderr}");
    let changed = [&args[..4], &["--resume", "--set", "seed=5"]].concat();
    let (code, _, stderr) = said(folder.path(), &changed);
    assert_eq!(code, Some(2));
    for part in ["config.toml", "`seed = 3`", "`seed = 5`", "another --out"] {
        assert!(stderr.contains(part), "no `{part}` in {stderr}");
    }
    assert_eq!(files(folder.path()), before);
}

#[test]
fn nothing_is_gone_on_with_where_there_is_no_run() {
    let folder = folder();
    let before = files(folder.path());
    let (code, _, stderr) = said(folder.path(), &["run", "tiny.toml", "--out", "mistyped", "--resume"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("mistyped: there is no run to go on with"), "{stderr}");
    assert_eq!(files(folder.path()), before, "something was written");
}

#[test]
fn text_that_the_tokenizer_does_not_know_is_told_with_its_place() {
    let folder = folder();
    let rows = [r#"{"prompt": "1+1?", "answer": 2}"#, r#"{"id": "b7", "prompt": "π+1?", "answer": "2"}"#];
    std::fs::write(folder.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    std::fs::write(folder.path().join("text.jsonl"), "{\"text\": \"a\"}\n{\"text\": \"naïve\"}\n").unwrap();
    let source = "sources.web={kind=\"jsonl\", path=\"text.jsonl\"}";
    let args = ["plan", "tiny.toml", "--set", ROWS, "--set", source];
    let (code, _, stderr) = said(folder.path(), &args);
    assert_eq!(code, Some(0), "{stderr}");
    for part in ["`tasks.math`: 1 of 2", "b7 with \"π\"", "`sources.web`: 1 of 2", "document 2 with \"ï\""]
    {
        assert!(stderr.contains(part), "no `{part}` in {stderr}");
    }
}

#[test]
fn a_checkpoint_that_was_altered_is_not_gone_on_from() {
    let folder = folder();
    let args = ["run", "tiny.toml", "--out", "out", "--stage", "base"];
    assert_eq!(said(folder.path(), &args).0, Some(0));
    let weights = checkpoint(&folder.path().join("out"), "base", 6).join("model.safetensors");
    let good = std::fs::read(&weights).unwrap();
    let mut bytes = good.clone();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let resume = ["run", "tiny.toml", "--out", "out", "--resume"];
    let (code, _, stderr) = said(folder.path(), &resume);
    assert_eq!(code, Some(2), "{stderr}");
    for part in ["base/step-000006/model.safetensors", "SHA-256", "put the file back"] {
        assert!(stderr.contains(part), "no `{part}` in {stderr}");
    }
    std::fs::write(&weights, good).unwrap();
    finished(folder.path(), "out", &["--resume"]);
}

#[test]
fn a_tokenizer_that_does_not_fit_its_model_is_refused() {
    let folder = folder();
    let path = folder.path().join("model");
    let fields = json!({
        "vocab_size": 50, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 1, "max_position_embeddings": 256,
    });
    let config = ModelConfig::from_json(fields.as_object().unwrap()).unwrap();
    Model::random(config, 1).unwrap().save(&path).unwrap();
    let tokenizer = Tokenizer::characters().unwrap();
    tokenizer.save(&path).unwrap();
    let tokens = tokenizer.vocab_size().to_string();
    refused(folder.path(), &["model={path=\"model\"}"], &["50", &tokens, "vocab_size"]);
    std::fs::write(folder.path().join("rows.jsonl"), "{\"prompt\": \"1+1?\", \"answer\": 2}").unwrap();
    let args = ["eval", "--model", "model", "--tasks", "rows.jsonl", "--verifier", "math"];
    let (code, stdout, stderr) = said(folder.path(), &args);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("50") && stderr.contains(&tokens) && stderr.contains("vocab_size"), "{stderr}");
    let (code, _, stderr) = said(folder.path(), &["generate", "--model", "model", "1+1"]);
    assert_eq!(code, Some(2), "{stderr}");
}
