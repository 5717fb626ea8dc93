//! What the tests share: one verifier, verdicts that are expected of it, and rows of the data that lie outside the repository.

#![allow(dead_code, reason = "each test file uses a part of it")]

use rlvr_code::{PythonConfig, PythonVerifier};
use rlvr_verdict::{Completion, Outcome, Problem, Verdict, verify_guarded};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The verifier with default settings.
pub fn python() -> &'static PythonVerifier {
    static VERIFIER: OnceLock<PythonVerifier> = OnceLock::new();
    VERIFIER.get_or_init(|| PythonVerifier::new(PythonConfig::default()).unwrap())
}

/// The verdict on a completion.
pub fn judge(problem: &Problem, completion: &str) -> Verdict {
    verify_guarded(python(), problem, &Completion::new(completion))
}

/// The verdict on a completion for a row's `tests`.
pub fn judge_tests(tests: Value, completion: &str) -> Verdict {
    judge(&Problem { tests: Some(tests), ..Problem::default() }, completion)
}

/// Rows of a file under `$RLVR_DATA` or `../shared/data`; none, said on standard error, where it is not there.
pub fn rows(file: &str) -> Option<Vec<Value>> {
    let folder = std::env::var_os("RLVR_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Tests that are one text of assertions.
pub fn asserts(code: &str) -> Value {
    json!({ "kind": "asserts", "code": code })
}

/// Sees that a program passes its tests.
#[track_caller]
pub fn passes(tests: Value, completion: &str) -> Verdict {
    let verdict = judge_tests(tests, completion);
    assert_eq!(verdict.outcome, Outcome::Pass, "{}\n{completion}", verdict.reason);
    verdict
}

/// Sees that a program fails its tests.
#[track_caller]
pub fn fails(tests: Value, completion: &str) -> Verdict {
    let verdict = judge_tests(tests, completion);
    assert_eq!(verdict.outcome, Outcome::Fail, "{}\n{completion}", verdict.reason);
    verdict
}
