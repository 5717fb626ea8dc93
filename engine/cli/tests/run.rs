//! `rlvr run` as its users see it: wrong configs, Ctrl-C and going on, the page at the end.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// One short stage of mid-training of a very small model.
const CONFIG: &str = r#"
name = "short"

[model]
new = { hidden_size = 32, intermediate_size = 64, num_hidden_layers = 1, num_attention_heads = 2, max_position_embeddings = 128, tie_word_embeddings = true }
tokenizer = { kind = "characters" }

[sources.text]
kind = "text"
path = "text.txt"
split = "paragraph"

[[stage]]
name = "mid"
kind = "mid_train"
steps = 60
batch_tokens = 512
learning_rate = 1e-3
mixture = [ { domain = "text", source = "text", weight = 1.0 } ]
"#;

fn rlvr(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlvr"));
    command.args(args).current_dir(folder).env_remove("RUST_LOG");
    command
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..400).map(|n| format!("{n} plus {n} is {}.\n\n", 2 * n)).collect();
    std::fs::write(folder.path().join("text.txt"), text).unwrap();
    std::fs::write(folder.path().join("short.toml"), CONFIG).unwrap();
    folder
}

/// The steps in the run's metrics.
fn steps(run: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap();
    text.lines().map(line).collect()
}

#[test]
fn ctrl_c_finishes_the_step_saves_and_says_how_to_go_on() {
    let folder = folder();
    let args = ["run", "short.toml", "--out", "out", "--set", "stage.mid.steps=100000"];
    let mut child = rlvr(folder.path(), &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.find(|line| line.starts_with("mid 1/100000")).unwrap();
    assert!(first.contains("loss"), "{first}");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    let last = rest.last().unwrap();
    assert!(last.contains("rlvr run short.toml --out out --resume"), "{rest:?}");
    assert!(last.ends_with("--set stage.mid.steps=100000"), "{rest:?}");
    let out = folder.path().join("out");
    let done = steps(&out).len() as u64;
    assert!((1..100_000).contains(&done));
    assert!(out.join(format!("checkpoints/mid/step-{done:06}/state.json")).is_file());
}

#[test]
fn a_run_ends_with_its_page_and_is_not_started_over() {
    let folder = folder();
    let output = rlvr(folder.path(), &["run", "short.toml", "--out", "out"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let out = folder.path().join("out");
    assert_eq!(steps(&out), (1..=60).collect::<Vec<_>>());
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Loss of mid") && page.contains("60 steps"));

    let again = rlvr(folder.path(), &["run", "short.toml", "--out", "out"]).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    let stderr = String::from_utf8(again.stderr).unwrap();
    assert!(stderr.contains("--resume"), "{stderr}");
}

#[test]
fn a_wrong_config_is_refused_with_every_place_before_anything_is_written() {
    let folder = folder();
    let sets = ["--set", "stage.mid.lerning_rate=1", "--set", "stage.mid.mixture.0.source=txt"];
    for command in ["run", "plan"] {
        let output = rlvr(folder.path(), &[&[command, "short.toml"], &sets[..]].concat()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{stderr}");
        assert!(
            stderr.contains("`stage.mid.lerning_rate` is no key here; did you mean `learning_rate`?"),
            "{stderr}"
        );
    }
    let output = rlvr(folder.path(), &["run", "short.toml", "--set", sets[3]]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("there is no [sources.txt]; did you mean `text`?"), "{stderr}");
    assert!(!folder.path().join("runs").exists());
    let output = rlvr(folder.path(), &["report", "."]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
