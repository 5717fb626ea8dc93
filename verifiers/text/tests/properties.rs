//! What holds for any text: every verifier gives a sound verdict, the same each time, and a megabyte takes it no longer than it
//! should.

use proptest::prelude::*;
use rlvr_verdict::{Completion, Outcome, Problem, Registry, Verdict, Verifier};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

fn verifiers() -> Vec<Arc<dyn Verifier>> {
    let mut registry = Registry::new();
    rlvr_text::register(&mut registry);
    let kinds: Vec<(&str, Value)> = vec![
        ("choice", Value::Null),
        ("exact", json!({"case": "ignore", "whitespace": "collapse", "strip_punctuation": true})),
        ("regex", json!({"pattern": r"(a|b|\w+ )*answer is .*B", "mode": "search"})),
        (
            "format",
            json!({"sections": ["think", "answer"], "required": ["(?s)a.*b"], "forbidden": [r"(\w+\s)+\d$"],
                          "counts": [{"pattern": r".*[^A-Z]|[A-Z]", "min": 3, "max": 9}], "score": "share"}),
        ),
        ("length", json!({"unit": "chars", "min": 3, "target": 20, "max": 40})),
    ];
    let names: Vec<&str> = kinds.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(registry.names().count(), names.len(), "{names:?} are all kinds");
    kinds.iter().map(|(kind, config)| registry.make(kind, config).unwrap()).collect()
}

fn problem() -> Problem {
    let choices = ["London", "A train to Paris", "Äpfel", "1/2"].map(String::from).to_vec();
    Problem { answer: Some("B".into()), choices, ..Problem::default() }
}

fn sound(verdict: &Verdict) -> bool {
    let scored = verdict.score.is_some_and(|score| (0.0..=1.0).contains(&score));
    scored && verdict.outcome != Outcome::Fault && !verdict.reason.contains('\n')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_has_a_sound_and_repeatable_verdict(
        text in r"(\PC|[A-Da-d]|or|and|maybe|not|wait|\\boxed\{|\}|[Tt]he answer is|option|is correct|[()*.,/\\<>]|</?think>|</?answer>|\*\*|1/2|London|\n| ){0,50}",
        truncated: bool,
    ) {
        let completion = Completion { truncated, ..Completion::new(text) };
        for verifier in verifiers() {
            let verdict = verifier.verify(&problem(), &completion);
            prop_assert!(sound(&verdict), "{}: {verdict:?}", verifier.name());
            prop_assert_eq!(&verifier.verify(&problem(), &completion), &verdict);
        }
    }

    #[test]
    fn two_letters_joined_never_pass(
        lead in prop::sample::select(vec!["", "Answer: ", "The answer is ", "So it's ", "\\boxed{", "**", "I choose "]),
        joiner in prop::sample::select(vec![" or ", ", ", " and ", "/", " and/or ", " or maybe ", " & ", ", or ", "\n", " or possibly "]),
        other in prop::sample::select(vec!['A', 'C', 'D']),
        swap: bool,
        tail in prop::sample::select(vec!["", ".", "}", "**", "\n", "!"]),
    ) {
        let (first, second) = if swap { (other, 'B') } else { ('B', other) };
        let text = format!("{lead}{first}{joiner}{second}{tail}");
        let verdict = verifiers()[0].verify(&problem(), &Completion::new(text.as_str()));
        prop_assert_eq!(verdict.score, Some(0.0), "{}: {}", text, verdict.reason);
    }
}

#[test]
fn hard_texts_of_a_megabyte_take_less_than_two_seconds() {
    let units = [
        "x",
        " ",
        "\n",
        "A",
        "A ",
        "A\n",
        "(A)",
        "B or ",
        "answer: ",
        "the answer is ",
        "\\boxed{",
        "{",
        "<think>",
        "</think>",
        "<answer>",
        "option ",
        "it is ",
        "or maybe ",
        "**",
        "final answer to ",
        "ä",
        "B. ",
        "the ",
        "!",
        "\"",
        "answer for ",
        "a b ",
        "London or ",
        "I choose London, ",
    ];
    let long = ["London ".repeat(140), "the ".repeat(240), "x".repeat(100_000), "1/2".into()].to_vec();
    for choices in [problem().choices, long] {
        let problem = Problem { choices, ..problem() };
        for unit in units {
            let completion = Completion::new(unit.repeat((1 << 20) / unit.len()));
            for verifier in verifiers() {
                let start = Instant::now();
                let verdict = verifier.verify(&problem, &completion);
                let seconds = start.elapsed().as_secs_f64();
                assert!(sound(&verdict), "{unit:?}: {verdict:?}");
                assert!(seconds < 2.0, "{} takes {seconds} s for {unit:?}", verifier.name());
            }
        }
    }
}
