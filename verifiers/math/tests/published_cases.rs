//! The verifier on published data: GSM8K's gold answers, and cases of other checkers' suites with labels. The
//! data is looked for in `$RLVR_DATA`, then beside the repository; without it these tests say that they are
//! skipped.

use rlvr_math::{MathVerifier, Reading, read};
use rlvr_verdict::{Completion, Outcome, Problem, Verifier};
use serde_json::Value;
use std::path::PathBuf;

fn rows(file: &str) -> Option<Vec<Value>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("RLVR_DATA").map_or(beside, PathBuf::from).join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: no {}", path.display());
        return None;
    };
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn judge(gold: &str, completion: &str) -> Outcome {
    let problem = Problem { answer: Some(gold.into()), ..Problem::default() };
    MathVerifier::default().verify(&problem, &Completion::new(completion)).outcome
}

#[test]
fn every_gsm8k_gold_is_a_number_and_equals_its_solution_with_and_without_commas() {
    for file in ["gsm8k/test.jsonl", "gsm8k/train.jsonl"] {
        for row in rows(file).unwrap_or_default() {
            let solution = text(&row, "answer");
            let gold = solution.rsplit("####").next().unwrap().trim();
            assert!(matches!(read(gold), Ok(Reading::Number(_))), "{gold}");
            assert_eq!(judge(gold, solution), Outcome::Pass, "{gold}");
            assert_eq!(judge(&gold.replace(',', ""), solution), Outcome::Pass, "{gold}");
            assert_eq!(judge(solution, &format!("The answer is {gold}.")), Outcome::Pass, "{gold}");
            assert_eq!(judge(gold, &format!("The answer is {gold}1.")), Outcome::Fail, "{gold}");
        }
    }
}

#[test]
fn every_math500_gold_is_read_and_equals_itself_in_a_box() {
    for row in rows("math500/test.jsonl").unwrap_or_default() {
        let gold = text(&row, "answer");
        assert_eq!(judge(gold, &format!("So it is $\\boxed{{{gold}}}$.")), Outcome::Pass, "{gold}");
    }
}

/// Labels marked as a policy, not a fact, are left out, and so are empty golds, which are an error of their
/// task set.
#[test]
fn no_labelled_case_passes_that_should_not() {
    let mut wrong = Vec::new();
    for suite in [
        "adversarial",
        "completions",
        "gold_mismatch",
        "gold_selfmatch",
        "lighteval",
        "mathverify",
        "safety",
        "slime",
    ] {
        let Some(rows) = rows(&format!("math_cases/{suite}_dev.jsonl")) else { continue };
        let (mut right, mut all) = (0, 0);
        for row in rows.iter().filter(|row| !text(row, "note").starts_with("POLICY")) {
            let (outcome, expected) = (judge(text(row, "gold"), text(row, "pred")), row["expected"] == true);
            all += 1;
            right += usize::from((outcome == Outcome::Pass) == expected);
            if outcome == Outcome::Pass && !expected {
                wrong.push(format!(
                    "{}: gold {} pred {}",
                    text(row, "id"),
                    text(row, "gold"),
                    text(row, "pred")
                ));
            } else if expected && outcome != Outcome::Pass && std::env::var_os("RLVR_SHOW_MISSED").is_some() {
                println!("missed {}: gold {} pred {}", text(row, "id"), text(row, "gold"), text(row, "pred"));
            }
        }
        println!("{suite}: {right} of {all} as labelled");
    }
    assert!(wrong.is_empty(), "false positives:\n{}", wrong.join("\n"));
}
