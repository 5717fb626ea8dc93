//! `rlvr test`, `verify --explain` and `verify --rescore` as their users see them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rlvr_train::ledger::{Row, write_rows};
use rlvr_verdict::Problem;
use serde_json::{Value, json};

fn rlvr(args: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_rlvr")).args(args).env_remove("RUST_LOG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const SUITE: &str = r#"
verifier = { kind = "format", required = ["<a>", "<b>"], score = "share" }

[[case]]
name = "both"
completion = "<a> <b>"
expect = "pass"

[[case]]
name = "one, which the case has wrong"
completion = "<a>"
score = 1
parts = { "required.0" = 1, "required.1" = 1 }
"#;

#[test]
fn a_failing_suite_tells_expected_got_parts_and_reason_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let suite = written(folder.path(), "s.toml", SUITE);
    let junit = folder.path().join("junit.xml");
    let (stdout, stderr, code) =
        rlvr(&["test", suite.to_str().unwrap(), "--filter", "case/", "--junit", junit.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{stderr}");
    for part in [
        "ok   case/both",
        "FAIL case/one, which the case has wrong",
        "s.toml:9",
        "part required.1\n           - 1\n           + 0",
        "parts     required.0 1, required.1 0",
        "reason    1 of 2 rules hold",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    let xml = std::fs::read_to_string(junit).unwrap();
    assert!(xml.contains("tests=\"2\"") && xml.contains("failures=\"1\""), "{xml}");
    assert!(xml.contains("classname=\"s\"") && xml.contains("part required.1: expected 1, got 0"), "{xml}");
    let (stdout, _, code) = rlvr(&["test", suite.to_str().unwrap(), "--filter", "case/both"]);
    assert_eq!((code, stdout.contains("1 of 1 cases")), (Some(0), true), "{stdout}");
}

#[test]
fn results_are_json_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let suite = written(folder.path(), "s.toml", SUITE);
    let (stdout, _, code) = rlvr(&["test", suite.to_str().unwrap(), "--json", "--skip", "determinism"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &report["passed"], &report["failed"]), (Some(1), &json!(false), &json!(1)));
    let suite = &report["suites"][0];
    assert_eq!(suite["cases"][1]["differences"][0]["of"], "score");
    let named = |name: &str| suite["checks"].as_array().unwrap().iter().find(|c| c["name"] == name).cloned();
    assert_eq!(named("attack/huge").unwrap()["status"], "passed");
    assert_eq!(named("meta/prose").unwrap()["status"], "skipped");
    assert_eq!(named("determinism/clock"), None);
}

#[test]
fn wrong_input_ends_with_2_and_says_where_and_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let bad = written(
        folder.path(),
        "bad.toml",
        "verifier = \"fromat\"\n[[case]]\ncompletion = \"a\"\nexpect = \"pass\"\n",
    );
    let refused = written(
        folder.path(),
        "refused.toml",
        "verifier = \"exact\"\n\n[[case]]\ncompletion = \"a\"\nexpect = \"pass\"\n",
    );
    let tasks = written(folder.path(), "tasks.jsonl", "{\"prompt\": \"?\"}\n");
    let good = written(folder.path(), "good.toml", SUITE);
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    for (args, parts) in [
        (vec![path(&bad)], vec!["bad.toml: field `verifier`", "did you mean `format`"]),
        (vec![path(&refused)], vec!["refused.toml:3: field `answer`: is missing", "give the text"]),
        (vec!["--tasks".into(), path(&tasks)], vec!["tasks.jsonl:1: field `verifier`", "name one"]),
        (
            vec![path(&good), "--filter".into(), "nothing-of-this".into()],
            vec!["--filter nothing-of-this", "SUITE/NAME"],
        ),
        (vec!["none.toml".into()], vec!["none.toml: "]),
    ] {
        let args: Vec<&str> = std::iter::once("test").chain(args.iter().map(String::as_str)).collect();
        let (_, stderr, code) = rlvr(&args);
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        parts.iter().for_each(|part| assert!(stderr.contains(part), "{args:?}: {part}: {stderr}"));
    }
}

#[test]
fn a_task_set_is_tested_without_a_suite_and_a_broken_reward_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..40)
        .map(|i| format!("{}\n", json!({"id": i, "q": format!("What is {i} + 1?"), "gold": i + 1})))
        .collect();
    let tasks = written(folder.path(), "sums.jsonl", &rows);
    let base = ["test", "--tasks", tasks.to_str().unwrap(), "--map", "prompt=q,answer=gold"];
    let (stdout, stderr, code) = rlvr(&[&base[..], &["--verifier", "exact"]].concat());
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("rates/golds-pass: false negatives 0 of 40, 0.00 % [0.00, 8.76]"), "{stdout}");
    assert!(stdout.contains("rates/other-golds-fail: false positives 0 of 80"), "{stdout}");
    // a pattern in search mode finds one number within another
    let search = ["--verifier", "regex", "--config", "{\"mode\": \"search\"}", "--gold", "{answer}"];
    let (stdout, _, code) = rlvr(&[&base[..], &search].concat());
    assert_eq!(code, Some(1));
    for check in ["FAIL attack/injection", "FAIL attack/hedge", "FAIL attack/enumeration"] {
        assert!(stdout.contains(check), "{check}: {stdout}");
    }
}

#[test]
fn an_explanation_shows_what_was_read_every_rule_and_each_part() {
    let folder = tempfile::tempdir().unwrap();
    let choices = ["London", "Paris"];
    let row = |id: &str, text: &str| json!({"id": id, "verifier": "choice", "answer": "B", "choices": choices, "completion": text});
    let rows = format!("{}\n{}\n", row("a", "Hm. The answer is B."), row("b", "no"));
    let rows = written(folder.path(), "rows.jsonl", &rows);
    let (stdout, stderr, code) = rlvr(&["verify", rows.to_str().unwrap(), "--explain", "--id", "a"]);
    assert_eq!(code, Some(0), "{stderr}");
    for part in [
        "a (",
        "pass, score 1",
        "choice 2, judges statement",
        "gold: B",
        "+ answer part",
        "+ stated in words",
        "- a line of its own: nothing",
    ] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }
    assert!(!stdout.contains("unparseable"), "only the row asked for: {stdout}");
    let (stdout, _, _) = rlvr(&["verify", rows.to_str().unwrap(), "--explain", "--json"]);
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["verdict"]["outcome"]), (2, &json!("unparseable")));
    assert_eq!(lines[0]["steps"][0], json!({"name": "gold", "found": "B"}));
    let (_, stderr, code) = rlvr(&["verify", rows.to_str().unwrap(), "--explain", "--id", "zz"]);
    assert_eq!((code, stderr.contains("--id zz: no row")), (Some(2), true), "{stderr}");
}

fn rollout(group: i64, sample: i32, answer: &str, completion: &str, outcome: &str) -> Row {
    let id = format!("cities/{group}");
    let problem = Problem {
        id: id.clone(),
        verifier: "exact".into(),
        answer: Some(answer.into()),
        ..Problem::default()
    };
    Row {
        stage: "rl".into(),
        step: 1,
        group,
        problem_id: id,
        problem: Arc::new(problem),
        prompt_key: 0,
        sample,
        attempt: 0,
        prompt: "Which city?".into(),
        prompt_ids: vec![1],
        completion: completion.into(),
        ids: vec![1, 2],
        logprobs: vec![-0.1, -0.1],
        finish: "stop".into(),
        policy_version: 0,
        verifier: "exact".into(),
        outcome: outcome.into(),
        score: Some(if outcome == "pass" { 1.0 } else { 0.0 }),
        reason: "as it was".into(),
        parts: vec![],
        verdicts: Vec::new(),
        reward: Some(0.0),
        advantage: None,
        used: true,
        fuel: 0,
        wall_s: 0.0,
        sampled_s: 0.0,
    }
}

#[test]
fn a_changed_reward_over_a_runs_rollouts_shows_what_would_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    std::fs::create_dir(&ledger).unwrap();
    let rows = [
        rollout(0, 0, "Paris", "Paris", "pass"),
        rollout(0, 1, "Paris", "paris", "fail"),
        rollout(1, 0, "Rome", "rome", "fail"),
        rollout(1, 1, "Rome", "Oslo", "fail"),
    ];
    write_rows(&ledger.join("rl-000001.parquet"), &rows).unwrap();
    let run = folder.path().to_str().unwrap();
    let args = ["verify", "--rescore", run, "--verifier", "exact", "--config", "{\"case\": \"ignore\"}"];
    let (stdout, stderr, code) = rlvr(&[&args[..], &["--json"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let got: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(got["confusion"], json!({"pass": {"pass": 1}, "fail": {"pass": 2, "fail": 1}}));
    assert_eq!((&got["mean_before"], &got["mean_after"]), (&json!(0.25), &json!(0.75)));
    // the first group loses its variance, the second gains some
    assert_eq!(
        (&got["groups_with_variance_before"], &got["groups_with_variance_after"]),
        (&json!(1), &json!(1))
    );
    let shifts: Vec<f64> =
        got["groups"].as_array().unwrap().iter().map(|g| g["shift"].as_f64().unwrap()).collect();
    assert_eq!(shifts, [0.5, 0.5]);
    let flipped: Vec<&str> =
        got["flipped"].as_array().unwrap().iter().map(|f| f["completion"].as_str().unwrap()).collect();
    assert_eq!(flipped, ["paris", "rome"]);
    let (stdout, _, _) = rlvr(&args);
    assert!(
        stdout.contains("2 samples flipped") && stdout.contains("mean score 0.2500 before, 0.7500 after"),
        "{stdout}"
    );
    // choices are what these problems do not have
    let (_, stderr, code) = rlvr(&["verify", "--rescore", run, "--verifier", "choice"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("problem cities/0: field `answer`"), "{stderr}");
    let (_, stderr, code) = rlvr(&["verify", "--rescore", "nowhere", "--verifier", "exact"]);
    assert_eq!((code, stderr.contains("nowhere")), (Some(2), true), "{stderr}");
}

#[test]
fn a_python_file_is_a_verifier_by_its_path_to_flags_rows_and_suites() {
    let folder = tempfile::tempdir().unwrap();
    let source = "def reward(completions, gold, **kwargs):\n    print('looking for', gold[0])\n    return [float(gold[0] in c) for c in completions]\n";
    let file = written(folder.path(), "mine.py", source);
    let row =
        json!({"id": "a", "prompt": "?", "gold": "42", "completion": "it is 42", "verifier": "mine.py"});
    let rows = written(folder.path(), "rows.jsonl", &format!("{row}\n"));
    let (stdout, stderr, code) = rlvr(&["verify", rows.to_str().unwrap()]);
    let verdict: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    assert_eq!(
        (code, &verdict["outcome"], &verdict["score"]),
        (Some(0), &json!("pass"), &json!(1.0)),
        "{stdout}"
    );

    let mut row = row;
    row.as_object_mut().unwrap().remove("verifier");
    let rows = written(folder.path(), "rows.jsonl", &format!("{row}\n"));
    let args = ["verify", rows.to_str().unwrap(), "--verifier", file.to_str().unwrap(), "--explain"];
    let (stdout, stderr, code) = rlvr(&args);
    assert_eq!(code, Some(0), "{stderr}");
    for part in ["mine.py:reward", "mine.py:1", "TRL's signature", "printed: looking for 42"] {
        assert!(stdout.contains(part), "{part}: {stdout}");
    }

    row["expect"] = json!("pass");
    written(folder.path(), "cases.jsonl", &format!("{row}\n"));
    let suite = "verifier = { python = \"mine.py\" }\njudges = \"form\"\ncases = [\"cases.jsonl\"]\n";
    let suite = written(folder.path(), "s.toml", suite);
    let (stdout, stderr, code) = rlvr(&["test", suite.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert!(stdout.contains("ok   determinism/twice") && stdout.contains("ok   meta/order"), "{stdout}");

    written(folder.path(), "mine.py", &format!("import torch\n{source}"));
    let (_, stderr, code) = rlvr(&["test", suite.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("s.toml") && stderr.contains("mine.py:1: imports `torch`"), "{stderr}");
}
