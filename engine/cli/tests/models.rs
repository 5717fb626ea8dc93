//! `rlvr logprobs` and `rlvr generate` on small models: against transformers' logits, and against each other.

use std::path::{Path, PathBuf};
use std::process::Command;

use rlvr_model::tokenizer::Tokenizer;
use rlvr_model::{Model, ModelConfig};
use serde_json::{Value, json};

fn rlvr(args: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_rlvr")).args(args).env_remove("RUST_LOG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Log-probabilities of ids from transformers' logits `[tokens, vocab]`, in f64.
fn from_logits(logits: &[f32], vocab: usize, ids: &[i64]) -> Vec<f64> {
    let row = |at: usize| logits[at * vocab..(at + 1) * vocab].iter().map(|&logit| f64::from(logit));
    let of = |(at, id): (usize, &i64)| {
        let most = row(at).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row(at).map(|logit| (logit - most).exp()).sum();
        row(at).nth(*id as usize).unwrap() - most - sum.ln()
    };
    ids[1..].iter().enumerate().map(of).collect()
}

#[test]
fn logprobs_are_those_of_transformers_logits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/llama/tied_gqa");
    let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (ids, logits) = (expected.tensor("input_ids").unwrap(), expected.tensor("logits").unwrap());
    let ids: Vec<i64> =
        ids.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
    let vocab = *logits.shape().last().unwrap();
    let logits: Vec<f32> =
        logits.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let wanted = from_logits(&logits, vocab, &ids);

    let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let (stdout, stderr, code) = rlvr(&["logprobs", "--model", folder.to_str().unwrap(), "--ids", &list]);
    assert_eq!(code, Some(0), "{stderr}");
    let said: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&said["ids"], &said["logprobs"][0]), (&json!(ids), &Value::Null));
    let got: Vec<f64> =
        said["logprobs"].as_array().unwrap()[1..].iter().map(|p| p.as_f64().unwrap()).collect();
    assert_eq!(got.len(), wanted.len());
    for (got, wanted) in got.iter().zip(&wanted) {
        assert!((got - wanted).abs() < 1e-4, "{got} {wanted}");
    }
}

/// A folder with a random model over printable characters.
fn small_model(folder: &Path) -> PathBuf {
    small_model_of(folder, &Tokenizer::characters().unwrap())
}

fn small_model_of(folder: &Path, tokenizer: &Tokenizer) -> PathBuf {
    let fields = json!({
        "vocab_size": tokenizer.vocab_size(), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 64, "tie_word_embeddings": true, "initializer_range": 0.3,
    });
    let config = ModelConfig::from_json(fields.as_object().unwrap()).unwrap();
    let path = folder.join("model");
    Model::random(config, 5).unwrap().save(&path).unwrap();
    tokenizer.save(&path).unwrap();
    path
}

#[test]
fn what_is_generated_has_the_log_probabilities_that_logprobs_says() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model(folder.path());
    let model = model.to_str().unwrap();
    let (stdout, stderr, code) =
        rlvr(&["generate", "--model", model, "--max-tokens", "20", "--samples", "3", "--json", "2 + 2 ="]);
    assert_eq!(code, Some(0), "{stderr}");
    let samples: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(samples.len(), 3);
    let prompt = Tokenizer::load(Path::new(model)).unwrap().encode_with_special("2 + 2 =").unwrap();
    for sample in samples {
        let ids: Vec<u64> = sample["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        let all: Vec<String> =
            prompt.iter().map(u32::to_string).chain(ids.iter().map(u64::to_string)).collect();
        let (stdout, _, _) = rlvr(&["logprobs", "--model", model, "--ids", &all.join(",")]);
        let scored: Value = serde_json::from_str(&stdout).unwrap();
        let scored = &scored["logprobs"].as_array().unwrap()[prompt.len()..];
        for (scored, drawn) in scored.iter().zip(numbers(&sample["logprobs"])) {
            assert!((scored.as_f64().unwrap() - drawn).abs() < 1e-5, "{scored} {drawn}");
        }
    }
}

#[test]
fn a_single_completion_streams_as_the_same_text_that_json_holds() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model(folder.path());
    let args =
        ["generate", "--model", model.to_str().unwrap(), "--max-tokens", "30", "--seed", "9", "2 + 2 ="];
    let (streamed, _, code) = rlvr(&args);
    assert_eq!(code, Some(0));
    let (json, _, _) = rlvr(&[&args[..], &["--json"]].concat());
    let sample: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(streamed, format!("{}\n", sample["text"].as_str().unwrap()));
    let (other, _, _) = rlvr(&[&args[..6], &["10", "2 + 2 ="]].concat());
    assert_ne!(other, streamed, "another seed, another text");
}

#[test]
fn wrong_input_ends_with_code_2_and_says_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model(folder.path());
    let model = model.to_str().unwrap();
    for (args, part) in [
        (vec!["logprobs", "--model", "no/such/folder", "--ids", "1,2"], "config.json"),
        (vec!["logprobs", "--model", model, "--ids", "1,900"], "900"),
        (vec!["generate", "--model", model, "--chat", "hello"], "chat template"),
        (vec!["generate", "--model", model, "--top-p", "1.5", "hello"], "top_p"),
        (vec!["generate", "--model", model, "--samples", "0", "hello"], "--samples"),
        (vec!["generate", "--model", model, "--temperature=-1", "hello"], "--temperature"),
        (vec!["generate", "--model", model, "--temperature", "nan", "hello"], "0.001 or more"),
        (vec!["generate", "--model", model, "--temperature", "1e-40", "hello"], "0.001 or more"),
        (vec!["generate", "--model", model, "--stop", "", "hello"], "--stop"),
        (vec!["eval", "--model", model, "--tasks", "x.jsonl", "--samples", "0"], "1 to 16384"),
        (vec!["eval", "--model", model, "--tasks", "x.jsonl", "--max-fault-share", "2"], "0 to 1"),
        (vec!["generate", "--model", model, "--max-tokens", "5", &*"a".repeat(70)], "64"),
        (vec!["logprobs", "--model", model], "--text"),
    ] {
        let (stdout, stderr, code) = rlvr(&args);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(part), "{args:?}: {stderr}");
    }
}

#[test]
fn text_ends_with_its_stop_string_though_the_token_that_completes_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = "was has had man can ran late made cake ".repeat(100);
    let tokenizer = Tokenizer::train_bpe([corpus.as_str()].into_iter(), 300, false).unwrap();
    let model = small_model_of(folder.path(), &tokenizer);
    let args = ["generate", "--model", model.to_str().unwrap(), "--max-tokens", "40", "--stop", "a"];
    let json = ["--samples", "40", "--json", "man"];
    let (stdout, stderr, code) = rlvr(&[&args[..], &json].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let mut longer = 0;
    for line in stdout.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        if sample["finish"] == "stop_string" {
            let text = sample["text"].as_str().unwrap();
            assert_eq!(text.find('a'), Some(text.len() - 1), "{text:?}");
            let ids: Vec<u32> = numbers(&sample["ids"]).into_iter().map(|id| id as u32).collect();
            let whole = tokenizer.decode(&ids).unwrap();
            assert!(whole.starts_with(text), "{whole:?} {text:?}");
            longer += usize::from(whole.len() > text.len());
        }
    }
    assert!(longer > 0, "some token goes on past the stop string");
    for seed in 1..=10 {
        let seed = seed.to_string();
        let single = [&args[..], &["--seed", &seed, "man"]].concat();
        let (streamed, _, _) = rlvr(&single);
        let (json, _, _) = rlvr(&[&single[..], &["--json"]].concat());
        let sample: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(streamed, format!("{}\n", sample["text"].as_str().unwrap()));
    }
}

#[test]
fn text_that_the_tokenizer_does_not_know_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let model = small_model(folder.path());
    let model = model.to_str().unwrap();
    let tasks = folder.path().join("rows.jsonl");
    let row = json!({"id": "b7", "prompt": "\u{e9}", "answer": "1", "verifier": "exact"});
    std::fs::write(&tasks, row.to_string()).unwrap();
    let tasks = tasks.to_str().unwrap();
    for (args, part) in [
        (&["logprobs", "--model", model, "--text", "\u{e9}"][..], "does not know \"\u{e9}\""),
        (&["generate", "--model", model, "--max-tokens", "2", "\u{e9}"], "does not know \"\u{e9}\""),
        (
            &["eval", "--model", model, "--tasks", tasks, "--samples", "1", "--max-tokens", "2"],
            "prompts of `rows`: 1 of 1 have text that the tokenizer does not know, the first b7 with \"\u{e9}\"",
        ),
    ] {
        let (_, stderr, code) = rlvr(args);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
    }
}
