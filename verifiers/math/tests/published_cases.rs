//! The verifier on published data: GSM8K's and MATH's gold answers, and cases of other checkers' suites with labels.
//! The data is looked for in `$RLVR_DATA`, then beside the repository; without it these tests say that they are
//! skipped. With `RLVR_SHOW_MISSED` set, cases that are judged against their label are printed.

use rlvr_math::{Expr, MathVerifier, Policies, compare, read};
use rlvr_verdict::{Completion, Outcome, Problem, Verdict, Verifier};
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

fn judge_row(row: &Value) -> Verdict {
    let mut problem = Problem { answer: Some(text(row, "gold").into()), ..Problem::default() };
    if let Some(config) = row.get("extraction_config") {
        problem.extra.insert("extraction_config".into(), config.clone());
    }
    MathVerifier::default().verify(&problem, &Completion::new(text(row, "pred")))
}

/// How a suite's rows are judged: those as labelled, those that pass and should not, and all; rows whose label is a
/// policy of the suite are left out.
fn suite(name: &str) -> Option<(usize, Vec<String>, usize)> {
    let rows = rows(&format!("math_cases/{name}_dev.jsonl"))?;
    let (mut right, mut all, mut false_passes) = (0, 0, Vec::new());
    for row in rows.iter().filter(|row| !text(row, "note").starts_with("POLICY")) {
        let verdict = judge_row(row);
        let (passed, expected) = (verdict.outcome == Outcome::Pass, row["expected"] == true);
        all += 1;
        right += usize::from(passed == expected);
        if passed != expected {
            let line = format!("{} expected {expected}: {}", text(row, "id"), verdict.reason);
            if std::env::var_os("RLVR_SHOW_MISSED").is_some() {
                println!(
                    "{line}\n    gold {:.200?}\n    pred {:.300?}",
                    text(row, "gold"),
                    text(row, "pred")
                );
            }
            if passed {
                false_passes.push(line);
            }
        }
    }
    println!("{name}: {right} of {all}, {} false passes", false_passes.len());
    Some((right, false_passes, all))
}

/// At least `share` of a suite's rows are judged as labelled, and all but `missed` of them.
fn check(name: &str, share: f64, missed: usize) {
    if let Some((right, false_passes, all)) = suite(name) {
        assert!(right as f64 >= share * all as f64 && right + missed >= all, "{name}: {right} of {all}");
        assert!(false_passes.is_empty(), "{name}: false passes:\n{}", false_passes.join("\n"));
    }
}

#[test]
fn the_cases_of_math_verify_are_judged_as_labelled_but_for_one() {
    check("mathverify", 0.0, 1);
}

#[test]
fn the_cases_of_lighteval_are_judged_as_labelled() {
    check("lighteval", 0.97, usize::MAX / 2);
}

#[test]
fn real_completions_are_judged_as_labelled() {
    check("completions", 1.0, 0);
}

#[test]
fn gold_answers_equal_themselves() {
    check("gold_selfmatch", 0.998, usize::MAX / 2);
}

#[test]
fn answers_of_other_problems_do_not_pass() {
    check("gold_mismatch", 1.0, 0);
}

#[test]
fn the_cases_of_slime_are_judged_as_labelled_but_for_one() {
    check("slime", 0.0, 1);
}

#[test]
fn the_cases_of_safety_suites_are_judged_as_labelled() {
    check("safety", 1.0, 0);
}

#[test]
fn holes_of_other_checkers_are_closed() {
    check("adversarial", 1.0, 0);
}

#[test]
fn every_gsm8k_gold_is_a_number_and_equals_its_solution_with_and_without_commas() {
    for file in ["gsm8k/test.jsonl", "gsm8k/train.jsonl"] {
        for row in rows(file).unwrap_or_default() {
            let solution = text(&row, "answer");
            let gold = solution.rsplit("####").next().unwrap().trim();
            assert!(matches!(read(gold).unwrap().expr, Expr::Number(_) | Expr::Negative(_)), "{gold}");
            assert_eq!(judge(gold, solution), Outcome::Pass, "{gold}");
            assert_eq!(judge(&gold.replace(',', ""), solution), Outcome::Pass, "{gold}");
            assert_eq!(judge(solution, &format!("The answer is {gold}.")), Outcome::Pass, "{gold}");
            assert_eq!(judge(gold, &format!("The answer is {gold}1.")), Outcome::Fail, "{gold}");
        }
    }
}

/// Rendered and read again, an answer is equal to itself, and rendered the same.
fn survives_rendering(gold: &str) {
    let reading = read(gold).unwrap_or_else(|e| panic!("{gold}: {e}"));
    let rendered = reading.to_string();
    let again = read(&rendered).unwrap_or_else(|e| panic!("{gold}: {rendered}: {e}"));
    let finding = compare(&reading, &again, &Policies::default());
    assert!(finding.equal, "{gold} is read as {rendered}, and that as {again}: {}", finding.why);
    assert_eq!(judge(gold, &format!(r"\boxed{{{rendered}}}")), Outcome::Pass, "{gold}: {rendered}");
}

#[test]
fn every_gold_answer_of_math500_aime_and_gsm8k_equals_itself_and_its_rendering() {
    for (file, field) in
        [("math500/test.jsonl", "answer"), ("aime24/test.jsonl", "answer"), ("gsm8k/test.jsonl", "answer")]
    {
        for row in rows(file).unwrap_or_default() {
            let whole = row[field].as_str().map_or_else(|| row[field].to_string(), str::to_owned);
            let gold = whole.rsplit("####").next().unwrap().trim();
            assert_eq!(judge(gold, &format!("So it is $\\boxed{{{gold}}}$.")), Outcome::Pass, "{gold}");
            survives_rendering(gold);
        }
    }
}

#[test]
fn every_gold_answer_of_math500_is_understood() {
    for row in rows("math500/test.jsonl").unwrap_or_default() {
        let gold = text(&row, "answer");
        let reading = read(gold).unwrap();
        let words = gold.starts_with(r"\text{");
        assert!(words || !matches!(reading.expr, Expr::Text(_)), "{gold}");
    }
}
