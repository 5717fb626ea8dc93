//! HumanEval's own solutions pass under split isolation; emptied ones do not.

mod data;

use data::{judge, rows};
use rlvr_verdict::{Outcome, Problem};

/// Problems whose canonical solution does not pass, with why.
const LISTED: [(&str, &str); 0] = [];

#[test]
fn canonical_solutions_pass() {
    let Some(rows) = rows("humaneval/test.jsonl") else { return };
    let mut failed = Vec::new();
    for row in &rows {
        let problem = problem(row);
        let verdict = judge(&problem, row["canonical_solution"].as_str().unwrap());
        if verdict.outcome != Outcome::Pass {
            failed.push((problem.id.clone(), format!("{}: {}", verdict.outcome, verdict.reason)));
        }
    }
    failed.retain(|(id, _)| !LISTED.iter().any(|(listed, _)| listed == id));
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), rows.len());
}

#[test]
fn emptied_solutions_do_not_pass() {
    let Some(rows) = rows("humaneval/test.jsonl") else { return };
    for row in &rows {
        let problem = problem(row);
        for body in ["    pass\n", "    return None\n", "    ...\n"] {
            let verdict = judge(&problem, body);
            assert_eq!(verdict.outcome, Outcome::Fail, "{} {body:?}: {}", problem.id, verdict.reason);
        }
    }
}

fn problem(row: &serde_json::Value) -> Problem {
    let text = |field: &str| row[field].as_str().unwrap().to_owned();
    let mut extra = serde_json::Map::new();
    extra.insert("entry_point".into(), row["entry_point"].clone());
    Problem {
        id: text("task_id"),
        prompt: text("prompt"),
        verifier: "python".into(),
        tests: Some(row["test"].clone()),
        extra,
        ..Problem::default()
    }
}
