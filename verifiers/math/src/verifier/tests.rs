//! Verdicts as a whole, by example.

use super::*;
use proptest::prelude::*;
use rlvr_verdict::Outcome;
use std::time::Instant;

fn problem(gold: &str) -> Problem {
    Problem { answer: Some(gold.into()), ..Problem::default() }
}

fn judge(gold: &str, text: &str) -> Verdict {
    MathVerifier::default().verify(&problem(gold), &Completion::new(text))
}

fn outcome(gold: &str, text: &str) -> Outcome {
    judge(gold, text).outcome
}

#[test]
fn right_answers_pass_wherever_they_are_stated() {
    for (gold, text) in [
        ("18", "She makes 9 * 2 = 18.\n#### 18"),
        ("18", "The answer is $18 per day."),
        ("18", "**Final Answer:** 18 dollars"),
        ("18", r"Thus \(\boxed{18\text{ dollars}}\)."),
        (r"\frac{3}{4}", r"$\boxed{0.75}$ or 3/4 of it"),
        ("1000", "Answer: 1,000"),
        (r"\boxed{42}", "42"),
        ("... so 7 + 5 = 12\n#### 12", "The answer is 12."),
        (r"2\sqrt{2}", r"\boxed{2\sqrt2}"),
        ("5", r"The answer is \boxed{6}. Wait, correction: \boxed{5}"),
    ] {
        let verdict = judge(gold, text);
        assert_eq!(verdict.score, Some(1.0), "{text}: {}", verdict.reason);
    }
}

#[test]
fn hedging_never_passes() {
    for text in [
        "The answer is 5 or 6",
        "The answer is 6 or 5",
        "The answer is either 5 or 6.",
        "The answer is 5. Or 6.",
        "The answer is 6 or the answer is 5.",
        r"\boxed{5} or \boxed{6}",
        r"\boxed{6} or \boxed{5}",
        r"\boxed{5 \text{ or } 6}",
        r"\boxed{5, 6}",
        r"$\boxed{5}$, or possibly 6",
        r"6 or $\boxed{5}$",
        r"$\boxed{5}$ (or 6)",
        r"$\boxed{6}$/$\boxed{5}$",
        "The answer is 5\nor 6",
        r"The final answer is $\boxed{6}$ or the final answer is $\boxed{5}$",
        r"The answer is $\boxed{6}$. Or possibly the answer is $\boxed{5}$.",
        r"La réponse est $\boxed{6}$ ou la réponse est $\boxed{5}$",
        r"\boxed{5} and \boxed{6}",
        "#### 5 or 6",
        "5 or 6",
        "5, 6",
        "The answer is 5, maybe 6",
        "The answer is not 5",
        "The answer is 5 or six",
    ] {
        let verdict = judge("5", text);
        assert_eq!(verdict.outcome, Outcome::Fail, "{text}: {}", verdict.reason);
    }
    assert_eq!(outcome("even", r"odd or \boxed{even}"), Outcome::Fail);
    assert_eq!(outcome("even", r"\boxed{even} or odd"), Outcome::Fail);
}

#[test]
fn a_completion_that_states_no_answer_is_unparseable() {
    for text in [
        "#### :",
        "",
        "I think it is 5 or so, who knows",
        "<think>The answer is 5",
        r"\boxed{5",
        "The answer is ",
    ] {
        assert_eq!(outcome("5", text), Outcome::Unparseable, "{text}");
    }
    let last =
        MathVerifier::new(MathConfig { extract: vec![Rule::LastNumber], ..MathConfig::default() }).unwrap();
    assert_eq!(last.verify(&problem("5"), &Completion::new("I think it is 5")).outcome, Outcome::Pass);
}

#[test]
fn an_answer_at_the_cut_of_a_truncated_completion_is_not_believed() {
    let cut = |text: &str| Completion { text: text.into(), truncated: true, tokens: 0 };
    let judge = |text: &str| MathVerifier::default().verify(&problem("1"), &cut(text)).outcome;
    assert_eq!(judge("The answer is 1"), Outcome::Unparseable);
    assert_eq!(judge("#### 1"), Outcome::Unparseable);
    assert_eq!(judge("#### 1\nNext"), Outcome::Pass);
    assert_eq!(judge(r"\boxed{1}"), Outcome::Pass);
}

#[test]
fn the_reason_says_what_was_found_how_it_was_read_and_why() {
    assert_eq!(
        judge("1/2", r"\boxed{0.50}").reason,
        r"boxed: `0.50`, read as 0.50; gold \frac{1}{2}: equal values"
    );
    let verdict = judge("1/2", "The answer is\n\n1/3.");
    assert_eq!(
        verdict.reason,
        r#"after "answer": `1/3`, read as \frac{1}{3}; gold \frac{1}{2}: other value"#
    );
    assert_eq!(verdict.answer.as_deref(), Some("1/3"));
    let huge = judge("5", r"\boxed{9^9^9}");
    assert!(huge.outcome == Outcome::Fail && huge.reason.contains("other value"), "{}", huge.reason);
    assert!(judge("5", &format!("#### 5\n{}", "x\n".repeat(999))).reason.len() < 300);
}

#[test]
fn a_gold_answer_that_cannot_be_read_is_found_before_a_run() {
    let math = MathVerifier::default();
    for gold in ["", " $ $ ", "{1", &"9".repeat(5000)] {
        let error = math.check(&problem(gold)).unwrap_err();
        assert!(error.field == "answer" && error.to_string().len() < 300, "{error}");
        assert_eq!(math.verify(&problem(gold), &Completion::new("5")).outcome, Outcome::Fault);
    }
    assert!(math.check(&Problem::default()).unwrap_err().to_string().contains("missing"));
    assert!(math.check(&problem("18")).is_ok());
}

#[test]
fn the_configuration_names_the_rules_and_refuses_unknown_keys() {
    let mut registry = rlvr_verdict::Registry::new();
    crate::register(&mut registry);
    let only = registry.make("math", &serde_json::json!({"extract": ["hashes"]})).unwrap();
    assert_eq!(only.verify(&problem("5"), &Completion::new(r"\boxed{5}")).outcome, Outcome::Unparseable);
    for wrong in [
        serde_json::json!({"extract": []}),
        serde_json::json!({"extrat": []}),
        serde_json::json!({"extract": ["box"]}),
    ] {
        let error = registry.make("math", &wrong).err().unwrap().to_string();
        assert!(error.contains("boxed") || error.contains("extract"), "{error}");
    }
}

#[test]
fn hostile_input_is_judged_at_once() {
    let long = [
        "(".repeat(200_000),
        "\\boxed{".repeat(50_000),
        format!("\\boxed{{{}}}", "9".repeat(200_000)),
        format!("\\boxed{{{}1{}}}", "(".repeat(3000), ")".repeat(3000)),
        format!("\\boxed{{{}}}", "9^".repeat(2000)),
        format!("\\boxed{{{}1}}", r"\frac{1}{7}+".repeat(330)),
        format!("\\boxed{{{}1}}", "1e1999*1e-1999*".repeat(250)),
        "\\boxed{6} or \\boxed{5} or ".repeat(10_000),
        "The answer is ".repeat(20_000),
    ];
    for text in long {
        let start = Instant::now();
        let verdict = judge("5", &text);
        assert_ne!(verdict.outcome, Outcome::Pass);
        // tens of times what it takes, for busy machines
        assert!(start.elapsed().as_millis() < 500, "{:?} for {}", start.elapsed(), verdict.reason);
    }
}

proptest! {
    #[test]
    fn no_completion_panics_and_every_verdict_is_sound(
        gold in r"[-0-9a-z/.%$\\ ]{1,12}",
        text in r"(\PC|[\\{}$#*. \n0-9]|\\boxed\{|\\frac|</?think>| or |answer is |####){0,60}",
        truncated: bool,
    ) {
        let completion = Completion { text, truncated, tokens: 0 };
        let verdict = MathVerifier::default().verify(&problem(&gold), &completion);
        prop_assert!(!verdict.reason.contains('\n'));
        prop_assert_eq!(verdict.clone().checked(), verdict);
    }

    #[test]
    fn other_integers_do_not_pass(gold in -200i64..200, answer in -200i64..200) {
        for text in [format!("#### {answer}"), format!("The answer is ${answer}$."), format!("\\boxed{{{answer}}}")] {
            prop_assert_eq!(outcome(&gold.to_string(), &text) == Outcome::Pass, gold == answer);
        }
    }
}
