//! `rlvr verify` as its users see it: what stands on stdout and stderr, and the exit code.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn rlvr(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlvr"));
    command.args(args).env_remove("RUST_LOG");
    command
}

fn rows(folder: &Path, rows: &[Value]) -> PathBuf {
    let path = folder.join("rows.jsonl");
    std::fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    path
}

fn verify(rows: &Path, more: &[&str]) -> (Vec<Value>, String, Option<i32>) {
    let Output { stdout, stderr, status } =
        rlvr(&[&["verify", rows.to_str().unwrap()], more].concat()).output().unwrap();
    let lines = String::from_utf8(stdout).unwrap();
    let verdicts = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (verdicts, String::from_utf8(stderr).unwrap(), status.code())
}

fn sum(index: usize, said: usize) -> Value {
    json!({"id": format!("sum/{index}"), "prompt": "?", "verifier": "math", "answer": index, "completion": format!("The answer is {said}.")})
}

#[test]
fn every_row_has_one_verdict_with_its_fields_in_input_order() {
    let folder = tempfile::tempdir().unwrap();
    // More rows than are read ahead, every third one wrong.
    let all: Vec<Value> = (0..10_000).map(|index| sum(index, index + usize::from(index % 3 == 0))).collect();
    let (verdicts, stderr, code) = verify(&rows(folder.path(), &all), &["--workers", "4"]);
    assert_eq!((verdicts.len(), code), (10_000, Some(0)));
    for (index, verdict) in verdicts.iter().enumerate() {
        assert_eq!(verdict["id"], format!("sum/{index}"));
        let (outcome, score) = if index % 3 == 0 { ("fail", 0.0) } else { ("pass", 1.0) };
        assert_eq!((verdict["outcome"].as_str(), verdict["score"].as_f64()), (Some(outcome), Some(score)));
        assert!(verdict["reason"].is_string() && verdict["parts"].is_object(), "{verdict}");
        assert!(verdict["cost"]["wall"].is_f64() && verdict["cost"]["fuel"] == 0, "{verdict}");
    }
    assert!(stderr.contains("10000 rows, mean score 0.6666"), "{stderr}");
    assert!(stderr.lines().any(|line| line.contains("fail") && line.contains("3334")), "{stderr}");
}

#[test]
fn wrong_rows_are_told_with_line_and_field_and_the_others_are_judged() {
    let folder = tempfile::tempdir().unwrap();
    let path = rows(
        folder.path(),
        &[sum(1, 1), json!({"id": "a", "prompt": "?", "verifier": "math", "answer": "3"})],
    );
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    for line in [
        "{\"id\": \"b\", \"prompt\": \"?\", \"verifier\": \"mathh\", \"answer\": \"3\", \"completion\": \"3\"}",
        "{\"id\": \"c\", \"prompt\": \"?\", \"verifier\": \"choice\", \"answer\": \"E\", \"choices\": [\"x\", \"y\"], \"completion\": \"A\"}",
        "{\"id\": ",
        "",
        &sum(7, 8).to_string(),
    ] {
        writeln!(file, "{line}").unwrap();
    }
    let (verdicts, stderr, code) = verify(&path, &[]);
    assert_eq!(code, Some(2));
    assert_eq!(verdicts.iter().map(|v| v["id"].as_str().unwrap()).collect::<Vec<_>>(), ["sum/1", "sum/7"]);
    let told: Vec<&str> = stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(told.len(), 4, "{stderr}");
    for (line, part) in
        [(2, "`completion`"), (3, "did you mean `math`?"), (4, "`answer`"), (5, "JSON object")]
    {
        let start = format!("error: {}:{line}: ", path.display());
        let problem =
            told.iter().find(|told| told.starts_with(&start)).unwrap_or_else(|| panic!("{line}: {stderr}"));
        assert!(problem.contains(part), "{problem}");
    }
    assert!(stderr.contains("4 rows are wrong and have no verdict"), "{stderr}");
}

#[test]
fn columns_are_mapped_and_the_default_verifier_takes_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path =
        rows(folder.path(), &[json!({"gold": "Yes", "pred": "yes"}), json!({"gold": "yes", "pred": "no"})]);
    let map = ["--verifier", "exact", "--map", "answer=gold,completion=pred"];
    let (verdicts, _, code) = verify(&path, &map);
    assert_eq!((verdicts.len(), code, &verdicts[1]["outcome"]), (2, Some(0), &json!("fail")));
    let (_, stderr, code) = verify(&path, &["--verifier", "exct", "--map", "answer=gold,completion=pred"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("did you mean `exact`?"), "{stderr}");
    let (_, stderr, code) = verify(&path, &["--verifier", "exact", "--map", "anser=gold"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("there is no field `anser`") && stderr.contains("answer"), "{stderr}");
    let (_, stderr, code) = verify(&path, &["--verifier", "exact", "--config", "{\"cas\": 1}"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("`cas` is no key here; did you mean `case`?"), "{stderr}");
}

#[test]
fn a_reader_that_leaves_ends_the_program_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<Value> = (0..20_000).map(|index| sum(index, index)).collect();
    let path = rows(folder.path(), &all);
    let mut child = rlvr(&["verify", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(first.contains("sum/0"), "{first}");
    assert_eq!((String::from_utf8(output.stderr).unwrap().as_str(), output.status.code()), ("", Some(0)));
}

#[test]
fn where_there_is_no_score_no_mean_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, "").unwrap();
    assert!(verify(&path, &[]).1.contains("0 rows, no scores"));
}

#[test]
fn a_row_without_what_is_judged_is_told_so_and_settings_with_their_nearest_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = rows(folder.path(), &[json!({"answer": "4", "verifier": "math"})]);
    let (verdicts, stderr, code) = verify(&path, &[]);
    assert_eq!((verdicts.len(), code), (0, Some(2)));
    assert!(stderr.contains("rows.jsonl:1: field `completion`: is missing"), "{stderr}");
    let settings = ["--verifier", "regex", "--config", r#"{"patern": "x"}"#];
    let (_, stderr, code) = verify(&path, &settings);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("`patern` is no key here; did you mean `pattern`?"), "{stderr}");
}
