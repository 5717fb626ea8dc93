//! The reward files of `examples/python_rewards`: their suites pass, the book shows them as they are, and they give here what they
//! give in a Python process that calls them as TRL does.

use rlvr_code::{PythonFile, PythonFileConfig};
use rlvr_verdict::{Completion, Message, Problem, Verifier};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

rlvr_verdict::test_suites! {
    registry: rlvr_code::register;
    format_reward => "../../examples/python_rewards/format_reward.toml";
    accuracy_reward => "../../examples/python_rewards/accuracy_reward.toml";
    length_penalty => "../../examples/python_rewards/length_penalty.toml";
    repetition_penalty => "../../examples/python_rewards/repetition_penalty.toml";
    graded_reward => "../../examples/python_rewards/graded_reward.toml";
}

const FUNCTIONS: [&str; 5] =
    ["format_reward", "accuracy_reward", "length_penalty", "repetition_penalty", "graded_reward"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn file(function: &str) -> PathBuf {
    root().join(format!("examples/python_rewards/{function}.py"))
}

#[test]
fn the_book_shows_the_files_as_they_are() {
    let page = std::fs::read_to_string(root().join("docs/python-rewards.md")).unwrap();
    for function in FUNCTIONS {
        let source = std::fs::read_to_string(file(function)).unwrap();
        assert!(
            page.contains(&format!("```python\n{source}```\n")),
            "{function}.py is not in the page as it is"
        );
        let suite = std::fs::read_to_string(file(function).with_extension("toml")).unwrap();
        let verifier = suite.lines().next().unwrap();
        assert!(page.contains(verifier), "{verifier}");
    }
}

/// What models write: well formed and not, right and wrong, short and long, odd.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "42",
        "The answer is 42.",
        "the answer is 1,042",
        "Answer: 3/4",
        "\\boxed{42}",
        "\\boxed{\\frac{3}{4}} or \\boxed{\\dfrac{84}{2}}",
        "\\boxed{x^{2}+1}",
        "\\boxed{42",
        "\\boxed{}",
        "\\boxed{1/0}",
        "<think>\\boxed{42}</think> I do not know.",
        "<think>6*7</think><answer>42</answer>",
        "<think>6*7</think>\n<answer>42</answer>\n",
        "<think>a</think><think>b</think><answer>c</answer>",
        "<think></think><answer></answer>",
        "<answer>42</answer><think>6*7</think>",
        "```json\n{\"name\": \"Ada\", \"year\": 1843}\n```",
        "{\"name\": \"Ada\", \"year\": \"1843\"}",
        "{\"name\": \"Ada\"} {\"year\": 1843}",
        "[1, 2, 3]",
        "```\n{\"year\": 1843.0, \"name\": \"ADA\"}\n```\nand ```json\n{\"name\": \"Ada\"}\n```",
        "a b c a b c a b c",
        "the the the the",
        "Die Größe — naïve, 日本語 \u{1f600} \u{202e}",
        "one\ttwo\u{a0}three\u{2003}four one two three four",
        "\0\u{1b}[0m",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.extend((1..8).map(|n| "to be or not to be ".repeat(n)));
    texts.extend((1..5).map(|n| format!("{} \\boxed{{{n}}}", "word ".repeat(n * n * 40))));
    texts
}

#[test]
fn each_file_gives_the_rewards_that_a_python_process_gives_the_whole_batch() {
    let script = root().join("tests/oracles/python_rewards.py");
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let texts = texts();
    let tokens: Vec<usize> = (1..=texts.len()).map(|n| n * 37).collect();
    let pick = |of: &[Value]| -> Vec<Value> { (0..texts.len()).map(|i| of[i % of.len()].clone()).collect() };
    let columns = [
        ("solution", pick(&[json!("42"), json!("3/4"), json!("x^{2}+1"), json!("1042"), json!("1")])),
        ("task", pick(&[json!("extract"), json!("extract"), json!("extract"), json!("poem")])),
        ("ground_truth", pick(&[json!({"name": "Ada", "year": 1843})])),
        ("difficulty", pick(&[json!("easy"), json!("medium"), json!("hard")])),
    ];
    for function in FUNCTIONS {
        let chat = matches!(function, "format_reward" | "graded_reward");
        let message = Message { role: "user".into(), content: "Say something.".into() };
        let prompt = if chat { json!([message]) } else { json!(message.content) };
        let completion =
            |text: &String| if chat { json!([{"role": "assistant", "content": text}]) } else { json!(text) };
        let mut batch = json!({ "prompts": vec![prompt; texts.len()], "tokens": tokens,
                                "completions": texts.iter().map(completion).collect::<Vec<_>>() });
        for (name, column) in &columns {
            batch[*name] = json!(column);
        }
        let native = native(&script, &file(function), function, &batch);
        let config = json!({ "python": file(function), "range": [-1, 1] });
        let config: PythonFileConfig = serde_json::from_value(config).unwrap();
        let verifier = PythonFile::open(config).unwrap();
        for (i, text) in texts.iter().enumerate() {
            let extra =
                columns.iter().map(|(name, column)| ((*name).to_owned(), column[i].clone())).collect();
            let messages = if chat { vec![message.clone()] } else { Vec::new() };
            let problem = Problem {
                id: i.to_string(),
                prompt: message.content.clone(),
                messages,
                extra,
                ..Problem::default()
            };
            verifier.check(&problem).unwrap();
            let completion = Completion { tokens: tokens[i], ..Completion::new(text) };
            let verdict = verifier.verify(&problem, &completion);
            let value = verdict.parts.iter().find(|(name, _)| name == "value").map(|(_, value)| *value);
            // what does not apply counts as 0
            let expected = native[i].unwrap_or(0.0) as f32;
            assert_eq!(value, Some(expected), "{function} of {text:?}: {}", verdict.reason);
        }
    }
}

fn native(script: &Path, file: &Path, function: &str, batch: &Value) -> Vec<Option<f64>> {
    let mut process = Command::new("python3")
        .args([script, file, Path::new(function)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(batch.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{function} in python3");
    serde_json::from_slice(&output.stdout).unwrap()
}
