//! How `choice` reads completions, case by case.

use rlvr_text::choice::{Choice, ChoiceConfig};
use rlvr_verdict::{Completion, Outcome, Problem, Verdict, Verifier};

fn problem() -> Problem {
    let choices = ["London", "A train to Paris", "Rome", "42"].map(String::from).to_vec();
    Problem { answer: Some("B".into()), choices, ..Problem::default() }
}

fn judge(text: &str) -> Verdict {
    Choice::new(ChoiceConfig::default()).verify(&problem(), &Completion::new(text))
}

#[test]
fn a_choice_is_read_in_the_forms_that_models_write() {
    for text in [
        "B",
        "(B)",
        "B.",
        "B)",
        "b)",
        "[B]",
        "**B**",
        "**(B)**",
        "**B.**",
        "**B. A train to Paris**",
        "B. A train to Paris",
        "B) because of the rails",
        "B. The rails lead there.",
        "(B) Rails lead there.",
        "B\n\nBecause the train goes there.",
        "B because the train goes there",
        "Answer: B",
        "answer: b",
        "ANSWER: B",
        "Answer:B",
        "Answer (choice): B",
        "**Answer:** B",
        "**Answer**: (B)",
        "Answer:\n\nB",
        "### Final Answer\n\n**B**",
        "Answer: B. A train to Paris",
        "Answer: B) A train to Paris",
        "Answer: B A train to Paris",
        "the answer is B",
        "The answer is: B.",
        "The answer is B because A is a city.",
        "The answer is B, it can't be A or C",
        "The answer is for sure B, it can't be A or C",
        "The answer is B, not A or C.",
        "The answer is B, since A, C and D are not trains.",
        "The correct answer is **(B)**.",
        "The correct option is B.",
        "The answer to the question of 3 cities is (B).",
        "So the answer is option B.",
        "The best choice would be \"B\".",
        "So \\boxed{B}",
        "\\[\\boxed{\\text{B}}\\]",
        "$\\boxed{\\textbf{(B)}}$",
        "\\boxed{B. A train to Paris}",
        "\\boxed{A train to Paris}",
        "<answer>B</answer>",
        "<answer> (B) </answer>",
        "[[B]]",
        "A train to Paris",
        "a train to paris.",
        "**A train to Paris**",
        "The answer is a train to Paris.",
        "Answer: A train to Paris",
        "London has no rails, so it must be (B).",
        "Rails lead there.\n\n(B)",
        "I choose B",
        "I would go with B.",
        "I think it's B.",
        "B is correct.",
        "Option B is the correct answer.",
        "(B) is the answer",
        "Therefore, B is the best choice because rails lead there.",
        "A. London\nB. A train to Paris\nC. Rome\nD. 42\n\nAnswer: B",
        "The answer is either A or B. A is a city. So the answer is B.",
        "The answer is A. Wait, that is wrong. The answer is B.",
        "\\boxed{A}? No, that is incorrect: \\boxed{B}",
        "Could be A at first sight.\nFinal answer: B",
        "<think>The answer is C. Or A.</think>The answer is B",
        "The answer is B. A would be too slow, and C is a city.",
        "The answer is B.\nA is wrong because it is a city. C is wrong too.",
        "Option A is wrong, so option B",
        "The answer is B.\n\nA and C are cities.",
        "Answer: B\n\nA. London: a city.\nC. Rome: another city.",
    ] {
        let verdict = judge(text);
        assert_eq!(
            (verdict.outcome, verdict.score),
            (Outcome::Pass, Some(1.0)),
            "{text}: {}",
            verdict.reason
        );
    }
}

#[test]
fn another_choice_fails_and_is_named() {
    for (text, reason) in [
        ("Answer: A", "read A from \"Answer: A\", but the answer is B"),
        ("42", "read D from \"42\", but the answer is B"),
        ("So:\n(C) Rome", "read C from \"(C) Rome\", but the answer is B"),
        ("The answer is E.", "read E from \"answer is E.\", which is beyond the last choice, D"),
        (
            "\\boxed{C} although the answer is B",
            "read C from \"\\boxed{C} although the answer is B\", but the answer is B",
        ),
    ] {
        let verdict = judge(text);
        assert_eq!((verdict.reason.as_str(), verdict.outcome), (reason, Outcome::Fail), "{text}");
        assert!(verdict.answer.is_some(), "{text}");
    }
}

#[test]
fn hedging_between_choices_never_passes() {
    for text in [
        "B or C",
        "B, C",
        "B/C",
        "A and B",
        "(A) or (B)",
        "A? B?",
        "The answer is B or C",
        "The answer is C or B",
        "The answer is B or C because they fit.",
        "The answer is either A or B.",
        "The answer is both A and B",
        "The answer is between (B) and (D).",
        "The answer is B, C",
        "The answer is B and/or C",
        "The answer could be B, or it could be C.",
        "The answer is B (train) or C (Rome).",
        "The answer is B. Or maybe C.",
        "The answer is B, or possibly C",
        "The answer is B. Alternatively, C.",
        "The answer is B, but it could also be C.",
        "The answer is B. C is also possible.",
        "The answer is B.\nThe answer is C.",
        "The answer is C.\nThe answer is B.",
        "Answer: A\nAnswer: B\nAnswer: C\nAnswer: D",
        "Answer: D\nAnswer: C\nAnswer: A\nAnswer: B",
        "Answer: B/C",
        "Answer: (A) or (B)",
        "Answer: B | C",
        "Both A and B are correct.",
        "A or B could be right.",
        "\\boxed{A} or \\boxed{B}",
        "\\boxed{B} or \\boxed{A}",
        "\\boxed{A, B}",
        "\\boxed{B or C}",
        "<answer>B or C</answer>",
        "<answer>B</answer><answer>C</answer>",
        "A\nB\nC\nD",
        "A. London\nB. A train to Paris\nC. Rome\nD. 42",
        "It could be (A) or (B).",
        "I am torn between (B) and (C).",
        "It's B or C.",
        "The answer is a train to Paris or Rome",
        "The answer is Rome, or a train to Paris.",
        "Rome\nA train to Paris",
        "The answer is B. London",
        "Answer: (B) Rome",
        "B) London",
        "I choose B\nC",
        "So it's C\nB",
        "Answer: B\nC. Rome",
        "B. A train to Paris\nC. Rome",
        "\\boxed{B\nC}",
        "<answer>B\nC</answer>",
    ] {
        let verdict = judge(text);
        assert_eq!(verdict.score, Some(0.0), "{text}: {}", verdict.reason);
    }
}

#[test]
fn a_hedge_names_both_choices() {
    let verdict = judge("The answer is B or C.");
    let reason = "does not choose between B and C in \"answer is B or C.\"";
    assert_eq!((verdict.outcome, verdict.reason.as_str()), (Outcome::Fail, reason));
}

#[test]
fn letters_in_prose_denials_and_thoughts_are_no_answers() {
    let a = Problem { answer: Some("A".into()), ..problem() };
    for text in [
        "A plane would be faster.",
        "A train goes there.",
        "I took a train, and a good one.",
        "The answer is a matter of taste.",
        "The answer is A matter of taste.",
        "**A note**: trains are slow.",
        "Vitamin A is healthy.",
        "A. Einstein took trains.",
        "Let us consider option A first.\nTrains are fast.",
        "The answer is not A.",
        "The answer isn't A",
        "The answer is A. Wait, the answer is not A.",
        "It is certainly not (A).",
        "(A) is wrong.",
        "A is incorrect.",
        "Is the answer A?",
        "<think>The answer is A",
        "The answer is A</think>",
        "x</think>",
        "",
        "A*B = 3",
        "A/C units",
        "None of these.",
    ] {
        let verdict = Choice::new(ChoiceConfig::default()).verify(&a, &Completion::new(text));
        assert_eq!(
            (verdict.outcome, verdict.score),
            (Outcome::Unparseable, Some(0.0)),
            "{text}: {}",
            verdict.reason
        );
    }
}

#[test]
fn a_word_that_a_length_limit_cut_off_is_no_letter() {
    let cut = |text: &str| Completion { truncated: true, ..Completion::new(text) };
    let verifier = Choice::new(ChoiceConfig::default());
    assert_eq!(verifier.verify(&problem(), &cut("The answer is B")).outcome, Outcome::Unparseable);
    assert_eq!(verifier.verify(&problem(), &cut("The answer is (B). Beca")).outcome, Outcome::Pass);
}

#[test]
fn choices_that_contain_letters_are_read_by_their_text() {
    let choices = ["A", "B", "Both A and B", "Neither A nor B"].map(String::from).to_vec();
    let problem = Problem { answer: Some("C".into()), choices, ..Problem::default() };
    let verifier = Choice::new(ChoiceConfig::default());
    for (text, outcome) in [
        ("The answer is C.", Outcome::Pass),
        ("The answer is both A and B.", Outcome::Pass),
        ("Both A and B", Outcome::Pass),
        ("The answer is (A).", Outcome::Fail),
    ] {
        let verdict = verifier.verify(&problem, &Completion::new(text));
        assert_eq!(verdict.outcome, outcome, "{text}: {}", verdict.reason);
    }
}

#[test]
fn without_listed_choices_letters_are_read_alone() {
    let problem = Problem { answer: Some("J".into()), ..Problem::default() };
    let verifier = Choice::new(ChoiceConfig::default());
    verifier.check(&problem).unwrap();
    assert_eq!(verifier.verify(&problem, &Completion::new("The answer is (J).")).outcome, Outcome::Pass);
}

#[test]
fn an_index_or_a_text_serves_as_the_gold() {
    for answer in ["1", "a train to Paris", "(b)"] {
        let problem = Problem { answer: Some(answer.into()), ..problem() };
        let verifier = Choice::new(ChoiceConfig::default());
        verifier.check(&problem).unwrap();
        assert_eq!(verifier.verify(&problem, &Completion::new("Answer: B")).outcome, Outcome::Pass);
    }
    let beyond = Problem { answer: Some("E".into()), ..problem() };
    let verifier = Choice::new(ChoiceConfig::default());
    assert_eq!(verifier.check(&beyond).unwrap_err().field, "answer");
    assert_eq!(verifier.verify(&beyond, &Completion::new("Answer: E")).outcome, Outcome::Fault);
}
