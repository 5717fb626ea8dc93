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
fn gold_answers_that_are_not_understood_are_errors_and_words_are_none() {
    let math = MathVerifier::default();
    for gold in ["(5", r"3\pi/", r"5 \pm", r"\foobar{5}+1", r"\begin{tabular}{c}5\end{tabular}", "x + "] {
        let error = math.check(&problem(gold)).unwrap_err();
        assert!(error.to_string().contains("understood"), "{gold}: {error}");
    }
    for gold in
        ["no solution", r"\text{isosceles triangle}", "Paris", "4:30p..", "A, C", r"(f\circ g)(x)=4x^2-1"]
    {
        assert_eq!(math.check(&problem(gold)), Ok(()), "{gold}");
    }
}

#[test]
fn a_settings_value_out_of_range_or_of_an_unknown_name_is_refused() {
    for (config, names) in [
        (serde_json::json!({"policies": {"rounding": 400}}), "rounding"),
        (serde_json::json!({"policies": {"decimals": 400}}), "decimals"),
        (serde_json::json!({"thinking": {"tags": [["", "x"]]}}), "tags"),
    ] {
        let config: MathConfig = serde_json::from_value(config).unwrap();
        let error = MathVerifier::new(config).unwrap_err().to_string();
        assert!(error.contains(names), "{error}");
    }
    let row = |field: serde_json::Value| {
        let mut row = problem("3.5");
        row.extra.insert("extraction_config".into(), field);
        row
    };
    let math = MathVerifier::default();
    for field in [serde_json::json!({"strickt": true}), serde_json::json!({"float_rounding": 400})] {
        let error = math.check(&row(field)).unwrap_err();
        assert_eq!(error.field, "extraction_config");
    }
    let places = row(serde_json::json!({"float_rounding": 2}));
    let verdict = math.verify(&places, &Completion::new(r"\boxed{3.501}"));
    assert!(verdict.outcome == Outcome::Pass && verdict.reason.contains("`decimals`"), "{}", verdict.reason);
    let large = Problem {
        answer: Some("12345678901234567890".into()),
        ..row(serde_json::json!({"float_rounding": 6}))
    };
    assert_eq!(
        math.verify(&large, &Completion::new(r"\boxed{12345678901234567800.0}")).outcome,
        Outcome::Fail
    );
}

#[test]
fn words_beside_a_number_are_passed_over_where_the_problem_counts_them() {
    let asked = Problem { prompt: "How many glorps does Xim have?".into(), ..problem("5") };
    let judge = |text: &str| MathVerifier::default().verify(&asked, &Completion::new(text)).outcome;
    assert_eq!(judge(r"\boxed{5 \text{ glorps}}"), Outcome::Pass);
    assert_eq!(judge(r"\boxed{5 \text{ eggs}}"), Outcome::Pass);
    assert_eq!(judge(r"\boxed{5 \text{ snarks}}"), Outcome::Fail);
}

#[test]
fn thinking_that_the_prompt_opens_must_be_closed() {
    let opened = Problem { prompt: "What is 6 + 6?\n<think>\n".into(), ..problem("12") };
    let math = MathVerifier::default();
    let judge = |problem: &Problem, text: &str| math.verify(problem, &Completion::new(text)).outcome;
    let guess = r"first guess \boxed{12}? hmm let me verify. \boxed{12}";
    assert_eq!(judge(&opened, guess), Outcome::Unparseable);
    assert_eq!(judge(&opened, &format!("{guess}</think> \\boxed{{12}}")), Outcome::Pass);
    assert_eq!(judge(&opened, &Verifier::gold(&math, &opened).unwrap().text), Outcome::Pass);
    assert_eq!(judge(&problem("12"), r"so \boxed{12}"), Outcome::Pass);
    let config = serde_json::json!({"thinking": {"closed": true, "tags": [["<r>", "</r>"]]}});
    let strict = MathVerifier::new(serde_json::from_value(config).unwrap()).unwrap();
    assert_eq!(strict.verify(&problem("12"), &Completion::new(r"\boxed{12}")).outcome, Outcome::Unparseable);
    assert_eq!(strict.verify(&problem("12"), &Completion::new(r"</r>\boxed{12}")).outcome, Outcome::Pass);
}

#[test]
fn a_choice_is_one_and_not_denied() {
    let mut row = problem("A");
    row.extra.insert("extraction_config".into(), serde_json::json!({"targets": ["string"]}));
    let judge = |text: &str| MathVerifier::default().verify(&row, &Completion::new(text)).outcome;
    for text in
        ["The answer is A.", r"\boxed{A} because B is wrong", "The answer is A, it can't be B or C", "(A)"]
    {
        assert_eq!(judge(text), Outcome::Pass, "{text}");
    }
    for text in [
        "The answer is not A, it is B",
        "The answer is A or B",
        "The answer is one of A, B, C, D",
        r"\boxed{B} because A is wrong",
        "The answer is A, maybe B",
        "The answer is A. Or B.",
    ] {
        assert_eq!(judge(text), Outcome::Fail, "{text}");
    }
    let cut = Completion { text: "The answer is A".into(), truncated: true, tokens: 0 };
    assert_eq!(MathVerifier::default().verify(&row, &cut).outcome, Outcome::Unparseable);
}

#[test]
fn what_is_left_to_compute_is_a_policy() {
    let judge = |policy: &str, text: &str| {
        let config = serde_json::json!({"policies": {"unevaluated": policy}});
        let math = MathVerifier::new(serde_json::from_value(config).unwrap()).unwrap();
        math.verify(&problem("905"), &Completion::new(format!("\\boxed{{{text}}}")))
    };
    let restated = r"\sum_{k=1}^{5} 181";
    assert_eq!(judge("any", restated).outcome, Outcome::Pass);
    assert_eq!(judge("arithmetic", restated).outcome, Outcome::Fail);
    assert!(judge("arithmetic", r"437+2\cdot 234").reason.contains("policy `unevaluated`"));
    assert_eq!(judge("nothing", r"437+2\cdot 234").outcome, Outcome::Fail);
    for evaluated in ["905", "905.0", r"\frac{1810}{2}", r"9.05\times10^2", r"x = 905", r"905 \text{ apples}"]
    {
        assert_eq!(judge("nothing", evaluated).outcome, Outcome::Pass, "{evaluated}");
    }
}

#[test]
fn an_explanation_tells_each_rule_the_readings_and_the_comparisons() {
    let math = MathVerifier::default();
    let steps =
        math.explain(&problem(r"0.1 \text{ m}"), &Completion::new(r"<think>5</think>\boxed{10 \text{ cm}}"));
    let lines: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let all = lines.join("\n");
    for part in
        ["looked in", "- in <answer>: nothing", "+ boxed: `10", "answer read as: quantity", "+ compared"]
    {
        assert!(all.contains(part), "{part} in\n{all}");
    }
    let steps = math.explain(&problem(r"0.1 \text{ m}"), &Completion::new(r"\boxed{0.1}"));
    assert!(steps.last().is_some_and(|s| s.name == "policy" && s.found == "missing_unit"), "{steps:?}");
    assert!(math.explain(&problem("(5"), &Completion::new("5"))[0].found.contains("understood"));
}

#[test]
fn no_attack_of_its_own_passes() {
    let math = MathVerifier::default();
    for gold in
        ["18", "0", "-3", r"\frac{1}{2}", "x+1", "no solution", "1, 2", "(1,2)", "5 cm", "A", r"\pm 1"]
    {
        let attacks = math.attacks(&problem(gold));
        assert!(attacks.len() > 20, "{gold}");
        for attack in attacks {
            let verdict = math.verify(&problem(gold), &attack.completion);
            let text: String = attack.completion.text.chars().take(80).collect();
            assert!(verdict.score == Some(0.0), "{gold}: {}: {text}: {}", attack.name, verdict.reason);
        }
    }
}

/// Answers that are dear to compare, each with a gold answer that they must be compared with.
fn dear() -> Vec<(String, String)> {
    let log = r"\log_{\frac{1234567890123456789}{987654321098765432}}\frac73";
    let list =
        |n: usize, one: &dyn Fn(usize) -> String, by: &str| (0..n).map(one).collect::<Vec<_>>().join(by);
    let matrix = |cells: &str, n: usize| format!("\\begin{{pmatrix}}{cells}\\end{{pmatrix}}").repeat(n);
    vec![
        ("5".into(), matrix(r"1&1\\1&0", 40)),
        (matrix(r"1&2\\3&4", 1), matrix(r"a&b\\c&d", 30)),
        (matrix(r"1&2\\3&4", 1), matrix(r"\sin x&b\\c&d", 6)),
        ("x+y".into(), list(8, &|_| format!(r"\sum_{{k=1}}^{{499}} x^{{{log}}}"), "+")),
        ("2".into(), list(100, &|_| r"\log_{131/127}((131/127)^{255}+1)".into(), "+")),
        (
            r"\mathbb{R}".into(),
            format!(r"\mathbb{{R}}\setminus\{{{}\}}", list(600, &|k| format!("\\sqrt{{{k}}}"), ",")),
        ),
        (r"x \neq 5".into(), list(500, &|k| format!(r"x \neq {k}"), ", ")),
        ("(0,1)".into(), list(500, &|k| format!("({},{})", 2 * k, 2 * k + 1), r"\cup")),
        ("5".into(), list(100, &|_| r"\binom{3000}{1500}".into(), "+")),
        (r"\sin x,\log x".into(), list(2, &|_| r"\sum_{k=1}^{499} \sin(kx)\log(k+x)".into(), ",")),
        ("5".into(), format!("{}1", "1e2000*".repeat(100))),
        ("5".into(), list(100, &|k| format!(r"\sqrt[63]{{3^{{9000}}+{k}}}"), "+")),
        (r"\sin x".into(), list(60, &|k| format!(r"\sin({k}x)\cos({k}x)"), "+")),
    ]
}

#[test]
fn whatever_is_compared_stays_within_the_work_of_a_verdict() {
    for (gold, answer) in dear() {
        let (g, a) = (read(&gold).unwrap(), read(&answer).unwrap());
        let work = Work::default();
        let policies = Policies::default();
        let finding = compare_within(&g, &a, &policies, &work, Context::default(), &Trace::default());
        let shown: String = answer.chars().take(60).collect();
        assert!(!finding.equal, "{shown}");
        assert!(work.spent() <= crate::limits::WORK, "{shown}: {}", work.spent());
        assert!(!work.is_over() || finding.why.contains("more"), "{shown}: {}", finding.why);
        assert!(
            work.spent() > 500 || work.is_over() || finding.why.contains("more than can be"),
            "{shown}: {}",
            work.spent()
        );
    }
}

#[test]
fn an_answer_of_the_usual_size_takes_a_small_part_of_the_work() {
    for (gold, answer) in [
        (r"\frac{\sqrt{6}+\sqrt{2}}{4}", r"\cos 15^\circ"),
        (r"\sin(2x)", r"2\sin x\cos x"),
        (r"(a+b)^3", r"a^3+3a^2b+3ab^2+b^3"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}+0"),
    ] {
        let work = Work::default();
        let (g, a) = (read(gold).unwrap(), read(answer).unwrap());
        compare_within(&g, &a, &Policies::default(), &work, Context::default(), &Trace::default());
        assert!(work.spent() < crate::limits::WORK / 3, "{gold}: {}", work.spent());
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
