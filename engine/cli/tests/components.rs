//! Verifiers that are wasm components, wherever they can be named.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn rlvr(args: &[&str], folder: &Path) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlvr"));
    let output = command.args(args).current_dir(folder).env_remove("RUST_LOG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// A folder with the example's component and rows that it can judge.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/wasm_verifier/c/similarity.wasm");
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    std::fs::copy(example, folder.path().join("mine/similarity.wasm")).unwrap();
    folder
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

const ROWS: &str = r#"{"id": "a", "prompt": "?", "answer": "kitten", "completion": "kitten"}
{"id": "b", "prompt": "?", "answer": "kitten", "completion": "sitting"}
"#;

fn outcomes(stdout: &str) -> Vec<String> {
    let row = |line| serde_json::from_str::<Value>(line).unwrap();
    stdout.lines().map(|line| row(line)["outcome"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_component_is_named_by_its_path_on_the_command_line_and_in_rows() {
    let folder = folder();
    written(folder.path(), "rows.jsonl", ROWS);
    let args = ["verify", "rows.jsonl", "--verifier", "mine/similarity.wasm"];
    let (stdout, stderr, code) = rlvr(&args, folder.path());
    assert_eq!((outcomes(&stdout), code), (vec!["pass".into(), "fail".into()], Some(0)), "{stderr}");
    // seen from the rows' own folder
    let named = ROWS.replace("\"prompt\"", "\"verifier\": \"similarity.wasm\", \"prompt\"");
    written(&folder.path().join("mine"), "named.jsonl", &named);
    let (stdout, stderr, code) = rlvr(&["verify", "mine/named.jsonl"], folder.path());
    assert_eq!((outcomes(&stdout), code), (vec!["pass".into(), "fail".into()], Some(0)), "{stderr}");
}

#[test]
fn a_suite_names_a_component_beside_it_and_all_checks_run() {
    let folder = folder();
    let case = "[[case]]\nname = \"right\"\nanswer = \"Rome\"\nprompt = \"?\"\ncompletion = \"Rome\"\nexpect = \"pass\"\n";
    for verifier in ["{ wasm = \"similarity.wasm\" }", "\"similarity.wasm\""] {
        let suite = format!("verifier = {verifier}\n{case}");
        written(&folder.path().join("mine"), "suite.toml", &suite);
        let (stdout, stderr, code) = rlvr(&["test", "mine/suite.toml"], folder.path());
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        assert!(stdout.contains("verifier `similarity` 1+") && stdout.contains("attack/"), "{stdout}");
    }
    let suite = format!("verifier = {{ wasm = \"similarity.wasm\", limits = {{ fuel = 100_000 }} }}\n{case}");
    written(&folder.path().join("mine"), "suite.toml", &suite);
    let (stdout, _, code) = rlvr(&["test", "mine/suite.toml"], folder.path());
    // what is too long to judge within the budget has a score of 0, which no attack calls a failure
    assert_eq!(code, Some(0), "{stdout}");
}

#[test]
fn explain_shows_the_component_its_parts_and_what_it_used() {
    let folder = folder();
    written(folder.path(), "rows.jsonl", ROWS);
    let args = ["verify", "rows.jsonl", "--verifier", "mine/similarity.wasm", "--explain", "--id", "b"];
    let (stdout, stderr, _) = rlvr(&args, folder.path());
    for text in
        ["similarity 1+", "component: mine/similarity.wasm", "similarity (score 0.57", "units of fuel"]
    {
        assert!(stdout.contains(text), "{text}: {stdout}{stderr}");
    }
}

#[test]
fn a_file_that_is_no_component_ends_with_2_and_a_message_that_names_it() {
    let folder = folder();
    written(folder.path(), "rows.jsonl", ROWS);
    written(folder.path(), "text.wasm", "(module)");
    for (name, told) in [("text.wasm", "is no wasm"), ("missing.wasm", "path of a wasm component")] {
        let (_, stderr, code) = rlvr(&["verify", "rows.jsonl", "--verifier", name], folder.path());
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(name) && stderr.contains(told), "{stderr}");
    }
    let (_, stderr, code) = rlvr(&["verify", "rows.jsonl", "--verifier", "wasm"], folder.path());
    assert!(code == Some(2) && stderr.contains("has no file; `wasm`"), "{stderr}");
}
