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
        (
            "stage.base.schedule.kind=cosin",
            ["`stage.base.schedule.kind` is \"cosin\"", "did you mean `cosine`?"],
        ),
        (
            "model.new.tie_word_embedings=true",
            ["`model.new.tie_word_embedings`", "did you mean `tie_word_embeddings`?"],
        ),
        ("model.new.rope_teta=1e4", ["`model.new.rope_teta`", "did you mean `rope_theta`?"]),
        (
            "model.new.rope_scaling={rope_type=\"llama3\", facto=2}",
            ["`model.new.rope_scaling.facto`", "did you mean `factor`?"],
        ),
        ("verifiers.digit.patern=\"x\"", ["`verifiers.digit.patern`", "did you mean `pattern`?"]),
        ("verifiers.digit.mode=\"serch\"", ["`verifiers.digit.mode`", "did you mean `search`?"]),
        ("verifiers.digit.pattern=5", ["`verifiers.digit.pattern` is integer `5`", "a string is right"]),
        (
            "reward.parts=[{ name = \"a\" }, { name = \"b\", verifer = \"digit\" }]",
            ["`reward.parts[1].verifer`", "did you mean `verifier`?"],
        ),
        ("stage.mid+rl.max_refills=5000000000", ["`stage.mid+rl.max_refills`", "0 to 4294967295"]),
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
fn a_misspelt_size_of_a_new_model_is_told_where_it_stands() {
    let folder = folder();
    let path = folder.path().join("tiny.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = 1 + text.lines().position(|line| line.starts_with("new = ")).unwrap();
    std::fs::write(&path, text.replace("{ hidden_size", "{ hiden_size")).unwrap();
    let parts = [
        &*format!("tiny.toml:{line}:9: "),
        "`model.new.hiden_size` is no key here",
        "did you mean `hidden_size`?",
    ];
    refused(folder.path(), &[], &parts);
}

#[test]
fn a_setting_of_a_verifier_is_told_on_its_own_line() {
    let folder = folder();
    let path = folder.path().join("tiny.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = 1 + text.lines().position(|line| line.starts_with("mode = ")).unwrap();
    std::fs::write(&path, text.replace("mode = ", "mod = ")).unwrap();
    refused(folder.path(), &[], &[&format!("tiny.toml:{line}:"), "did you mean `mode`?"]);
}

#[test]
fn what_a_stage_cannot_do_is_refused_before_any_stage_runs() {
    let folder = folder();
    for (sets, parts) in [
        // prompts of more than a page with 16 new tokens take two pages and a copy of the last one
        (&["stage.mid+rl.kv_pages=2"][..], &["`stage.mid+rl.kv_pages`", "is 2, but the prompt", "needs"][..]),
        (
            &["stage.mid+rl.samples_per_prompt=1", "stage.mid+rl.drop_zero_variance=false"],
            &["`stage.mid+rl.samples_per_prompt`", "advantage = \"none\""],
        ),
        (&["stage.mid+rl.sampling.temperature=1e-40"], &["`stage.mid+rl.sampling.temperature`", "0.001"]),
        (&["threads=100000"], &["`threads`", "1024"]),
        (&["stage.mid+rl.workers=100000"], &["`stage.mid+rl.workers`", "1024"]),
        (&["out="], &["`out`", "is empty"]),
    ] {
        refused(folder.path(), sets, parts);
    }
    let path = folder.path().join("tiny.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let more = |i: usize| format!("\n[[stage]]\nname = \"s{i}\"\nkind = \"rl\"\nfrom = \"base\"\n");
    std::fs::write(&path, text + &(4..62).map(more).collect::<String>()).unwrap();
    refused(folder.path(), &[], &["`stage.s61.eval`", "the first 61"]);
}

#[test]
fn the_pages_that_a_sampler_needs_are_those_that_a_run_gets_by_with() {
    let folder = folder();
    let pages = |pages: usize| format!("stage.base+rl.kv_pages={pages}");
    let passes = |count: usize| {
        said(
            folder.path(),
            &["plan", "tiny.toml", "--set", &pages(count), "--set", "tasks.math-train.count=8"],
        )
        .0 == Some(0)
    };
    let least = (1..40).find(|count| passes(*count)).unwrap();
    let sets = [&*pages(least), "tasks.math-train.count=8"].map(str::to_owned);
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    for stage in ["base", "base+rl"] {
        finished(folder.path(), "out", &[&["--stage", stage], &sets[..]].concat());
    }
}

#[test]
fn a_stage_that_cannot_start_leaves_no_folder_behind() {
    let folder = folder();
    let before = files(folder.path());
    let (code, _, stderr) = said(folder.path(), &["run", "tiny.toml", "--out", "out", "--stage", "mid"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("starts from `base`, which has not been run"), "{stderr}");
    assert_eq!((files(folder.path()), folder.path().join("out").exists()), (before, false));

    let run = finished(folder.path(), "first", &["--stage", "base"]);
    let model = checkpoint(&run, "base", 6);
    std::fs::remove_file(model.join("state.json")).unwrap();
    let weights = model.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let set = format!("model={{path={:?}}}", model.to_str().unwrap());
    let args = ["run", "tiny.toml", "--out", "out", "--set", &set];
    let (code, _, stderr) = said(folder.path(), &args);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("model.safetensors") && !folder.path().join("out").exists(), "{stderr}");
    std::fs::write(&weights, &bytes).unwrap();
    finished(folder.path(), "out", &["--set", &set, "--stage", "base"]);
}

#[test]
fn a_run_does_not_go_on_from_another_model_than_it_began_with() {
    let folder = folder();
    let run = finished(folder.path(), "first", &["--stage", "base"]);
    let model = folder.path().join("model");
    std::fs::rename(checkpoint(&run, "base", 6), &model).unwrap();
    std::fs::remove_file(model.join("state.json")).unwrap();
    let set = ["--set", "model={path=\"model\"}"];
    finished(folder.path(), "out", &[&set[..], &["--stage", "base"]].concat());
    let weights = model.join("model.safetensors");
    let good = std::fs::read(&weights).unwrap();
    let mut bytes = good.clone();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let resume = [&["run", "tiny.toml", "--out", "out", "--resume", "--stage", "base+rl"], &set[..]].concat();
    let (code, _, stderr) = said(folder.path(), &resume);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("data.json") && stderr.contains("`model.safetensors` of [model]"), "{stderr}");
    std::fs::write(&weights, good).unwrap();
    std::fs::write(model.join("README.md"), "about it").unwrap();
    assert_eq!(said(folder.path(), &resume).0, Some(0));
}

#[test]
fn flags_that_would_have_no_effect_are_refused() {
    let folder = folder();
    for args in [
        &["eval", "tiny.toml", "--model", "m", "--verifier", "nosuch"][..],
        &["eval", "tiny.toml", "--model", "m", "--map", "prompt=q"],
        &["eval", "--model", "m", "--tasks", "t.jsonl", "--set", "seed=1"],
        &["eval", "--model", "m", "--tasks", "t.jsonl", "--task-set", "math"],
        &["verify", "t.jsonl", "--explain", "--workers", "2"],
        &["verify", "--rescore", "out", "--verifier", "exact", "--id", "a"],
        &["test", "suite.toml", "--verifier", "exact"],
        &["test", "suite.toml", "--limit", "3"],
        &["plan", "tiny.toml", "--threads", "100000"],
    ] {
        let (code, stdout, stderr) = said(folder.path(), args);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(
            stderr.contains("cannot be used with") || stderr.contains("required") || stderr.contains("1024"),
            "{args:?}: {stderr}"
        );
    }
    let args = ["eval", "--model", "m", "--tasks", "t.jsonl", "--verifier", "format"];
    let (code, _, stderr) = said(folder.path(), &args);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("needs settings") && stderr.contains("[verifiers.format]"), "{stderr}");
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
fn a_file_is_not_taken_for_the_folder_of_a_run() {
    let folder = folder();
    let (code, _, stderr) = said(folder.path(), &["run", "tiny.toml", "--out", "tiny.toml"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("tiny.toml: is no folder"), "{stderr}");
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
fn every_checkpoint_that_a_run_goes_on_from_is_compared_before_any_stage_goes_on() {
    let folder = folder();
    let run = finished(folder.path(), "out", &["--stage", "base"]);
    finished(folder.path(), "out", &["--stage", "base+rl"]);
    let metrics = || std::fs::read(run.join("metrics.jsonl")).unwrap();
    let resume = ["run", "tiny.toml", "--out", "out", "--resume"];
    for (stage, step) in [("base", 6), ("base+rl", 5)] {
        let weights = checkpoint(&run, stage, step).join("model.safetensors");
        let (good, before) = (std::fs::read(&weights).unwrap(), metrics());
        let mut bytes = good.clone();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&weights, bytes).unwrap();
        let (code, _, stderr) = said(folder.path(), &resume);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(&format!("{stage}/step-00000{step}/model.safetensors")), "{stderr}");
        assert_eq!(metrics(), before, "nothing is done before");
        std::fs::write(&weights, good).unwrap();
    }
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
