//! Properties of reading and comparing: every input has a verdict, on a small stack; equality is reflexive,
//! symmetric, and blind to what only changes the look.

use proptest::prelude::*;
use rlvr_math::{MathVerifier, Policies, compare, read};
use rlvr_verdict::{Completion, Outcome, Problem, Verdict, Verifier};

fn judge(gold: &str, text: &str) -> Verdict {
    let problem = Problem { answer: Some(gold.into()), ..Problem::default() };
    MathVerifier::default().verify(&problem, &Completion::new(text))
}

fn passes(gold: &str, answer: &str) -> bool {
    judge(gold, &format!("\\boxed{{{answer}}}")).outcome == Outcome::Pass
}

/// Expressions in LaTeX that have a value at most points.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0u32..200).prop_map(|n| n.to_string()),
        (1u32..99, 1u32..99).prop_map(|(a, b)| format!("\\frac{{{a}}}{{{b}}}")),
        (0u32..9, 1u32..99).prop_map(|(a, b)| format!("{a}.{b}")),
        Just("x".to_owned()),
        Just("y".to_owned()),
        Just("n_{1}".to_owned()),
        Just("\\pi".to_owned()),
        Just("e".to_owned()),
        Just("\\alpha".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} + {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} - \\left({b}\\right)")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("\\left({a}\\right) \\cdot \\left({b}\\right)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("\\frac{{{a}}}{{{b}}}")),
            (inner.clone(), 2u32..4).prop_map(|(a, n)| format!("\\left({a}\\right)^{{{n}}}")),
            inner.clone().prop_map(|a| format!("\\sqrt{{{a}}}")),
            inner.clone().prop_map(|a| format!("\\sin\\left({a}\\right)")),
            inner.clone().prop_map(|a| format!("\\ln\\left({a}\\right)")),
            inner.prop_map(|a| format!("\\left|{a}\\right|")),
        ]
    })
}

/// Plain arithmetic that meval reads as well: short and shallow, since its parser has no limits of its own. Without 0^0,
/// which has no value here.
fn arithmetic() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0u32..100).prop_map(|n| n.to_string()),
        (0u32..9, 1u32..99).prop_map(|(a, b)| format!("{a}.{b}"))
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let pair = (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/"]), inner.clone());
        prop_oneof![
            pair.prop_map(|(a, sign, b)| format!("({a} {sign} {b})")),
            (inner.clone(), 1u32..4).prop_map(|(a, n)| format!("({a})^{n}")),
            inner.prop_map(|a| format!("(-{a})")),
        ]
    })
}

/// Answers of all shapes.
fn answer() -> impl Strategy<Value = String> {
    let e = expression;
    prop_oneof![
        4 => e(),
        1 => (e(), e()).prop_map(|(a, b)| format!("\\left({a}, {b}\\right)")),
        1 => (e(), e()).prop_map(|(a, b)| format!("\\left[{a}, {b}\\right)")),
        1 => (e(), e()).prop_map(|(a, b)| format!("\\{{{a}, {b}\\}}")),
        1 => (e(), e()).prop_map(|(a, b)| format!("{a}, {b}")),
        1 => (e(), e()).prop_map(|(a, b)| format!("{a} = {b}")),
        1 => (e(), e()).prop_map(|(a, b)| format!("{a} \\leq {b}")),
        1 => (e(), e()).prop_map(|(a, b)| format!("\\begin{{pmatrix}}{a} & {b}\\end{{pmatrix}}")),
        1 => e().prop_map(|a| format!("z = {a}")),
        1 => (0u32..999).prop_map(|n| format!("{n}\\text{{ cm}}")),
    ]
}

/// Text of pieces that mean something to the reader, in no order.
fn rubble() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "\\frac",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "\\{",
        "\\}",
        "|",
        "\\sqrt",
        "^",
        "_",
        "!",
        "%",
        "\\circ",
        "\\left",
        "\\right",
        "x",
        "12",
        "3.5",
        ".5",
        "1,000",
        "e",
        "i",
        "\\pi",
        "\\infty",
        "+",
        "-",
        "*",
        "/",
        "=",
        "<",
        "\\leq",
        "\\in",
        "\\cup",
        ",",
        ";",
        ":",
        "\\pm",
        "\\text{",
        "\\text{ cm}",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "\\begin{cases}",
        "&",
        "\\\\",
        "\\sin",
        "\\log",
        "\\sum",
        "\\int",
        "\\binom",
        "and",
        "or",
        " ",
        "\n",
        "$",
        "\\$",
        "\\(",
        "\\)",
        "\\boxed{",
        "####",
        "answer is ",
        "答案是",
        "½",
        "²",
        "٣",
        "\\not",
        "\\dots",
        "\\mathbb{R}",
        "\\setminus",
        "million",
        "percent",
        "am",
        "'",
        "\\prime",
        "9^9^9",
        "1e1999",
        "\\overline{3}",
        "…",
        "\u{301}",
        "\\mod",
        "\\choose",
        "\\max",
        "\\lfloor",
        "\\rfloor",
        "hour",
        "0",
        "\\det",
        "\\ln",
        "<answer>",
        "</answer>",
        "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}",
        "\\log_{3/2}",
        "\\{x \\mid ",
        "k \\in \\mathbb{Z}",
        "^T",
        "[[1,2],[3,4]]",
        "or more",
        "maybe 6",
        "not ",
        "0.333...",
        "\\text{ eggs}",
        "one hundred",
        "(A) ",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|v| v.concat())
}

fn on_small_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(512 * 1024);
        builder.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_equals_itself_and_its_rendering(text in answer()) {
        let reading = read(&text).unwrap();
        let again = read(&reading.to_string()).unwrap();
        let finding = compare(&reading, &again, &Policies::default());
        // what is read back is the same tree or has the same values; what has no values anywhere has the same text
        prop_assert!(finding.equal || reading.to_string() == again.to_string(), "{} -> {}: {}", text, reading, finding.why);
        prop_assert!(passes(&text, &text));
    }

    #[test]
    fn equality_does_not_depend_on_the_side(a in answer(), b in answer()) {
        let (x, y) = (read(&a).unwrap(), read(&b).unwrap());
        let policies = Policies { rounding: 0, ..Policies::default() };
        prop_assert_eq!(compare(&x, &y, &policies).equal, compare(&y, &x, &policies).equal, "{} and {}", a, b);
    }

    #[test]
    fn looks_do_not_count(text in answer()) {
        prop_assert!(passes(&text, &text.replace("\\left", "").replace("\\right", "")));
        prop_assert!(passes(&text, &text.replace("\\frac", "\\dfrac")));
        prop_assert!(passes(&text, &text.replace(' ', "  ")));
        let displayed = format!("\\displaystyle {text}");
        prop_assert!(passes(&text, &displayed));
    }

    #[test]
    fn adding_zero_changes_nothing_and_adding_more_does(a in expression()) {
        let defined = passes(&a, &format!("{a} + 0"));
        // an expression without values anywhere equals only its own text
        if defined {
            let (same, other) = (format!("1 + {a} - 1"), format!("{a} + \\frac{{1}}{{1000}}"));
            prop_assert!(passes(&a, &same), "{}", a);
            prop_assert!(!passes(&a, &other), "{}", a);
        }
    }

    #[test]
    fn plain_arithmetic_has_the_value_that_meval_computes(text in arithmetic()) {
        let Ok(right) = meval::eval_str(&text) else { return Ok(()) };
        let normal = read(&text).unwrap().normal();
        let (above, below) = normal.split_once('/').unwrap_or((&normal, "1"));
        // a division by zero has no value here, and none that is finite there
        let Ok(value) = above.parse::<f64>().and_then(|a| below.parse::<f64>().map(|b| a / b)) else {
            prop_assert!(!right.is_finite(), "{} is {} and not {}", text, right, normal);
            return Ok(());
        };
        prop_assert!((value - right).abs() <= 1e-9 * right.abs().max(1.0), "{} is {} and not {}", text, right, value);
    }

    #[test]
    fn rubble_has_a_verdict_on_a_small_stack(gold in rubble(), text in rubble()) {
        let verdict = on_small_stack(|| {
            let framed = format!("\\boxed{{{text}}}");
            let _ = judge(&gold, &framed);
            let _ = judge("5", &framed);
            let _ = judge(&text, &text);
            judge("5", &text)
        });
        prop_assert!(!verdict.reason.contains('\n'));
    }
}

#[test]
fn deep_and_long_input_has_a_verdict_on_a_small_stack() {
    let pieces = [
        "(",
        "{",
        "[",
        "|",
        "\\{",
        "\\frac{1}{",
        "\\frac1",
        "\\sqrt",
        "\\sqrt{",
        "-",
        "\\pm",
        "2^",
        "2^{",
        "x_{",
        "\\sin",
        "\\sin(",
        "\\ln^2",
        "1/",
        "!",
        "%",
        "^\\circ",
        "\\$",
        "\\not",
        "a,",
        "1+",
        "2*",
        "\\begin{pmatrix}",
        "f(",
        "f'",
        "\\log_",
        "\\log_{",
        "\\sum_{",
        "\\int",
        "percent ",
        "million ",
        "1 hour ",
        "1:",
        "\\cup",
        "(1,2)\\cup",
        "\\setminus",
        "\\cap",
        "\\mod",
        "\\text{",
        "\\boxed{",
        "\\overline{",
        "\\max(",
        "\\binom{1}{",
        "{}",
        "√",
        "²",
        "½",
        "∞",
        "≤",
        "x=",
        "x<",
        "1,",
        "12 ",
        "e^",
        "\\left(",
        "\\|",
        "⌊",
        "\\lfloor",
        "\\det",
        "and ",
        "cm/",
        "\\text{ cm}/",
        "\\begin{cases}",
        "$",
        "\\(",
        "\\end{pmatrix}",
        "5 \\text{ percent}",
        "0.\\overline{1}",
        "i^",
        "i",
        "\\prime",
        "'",
        "x''",
        "9^9^",
        "99!",
        "\\begin{pmatrix}a&b\\\\c&d\\end{pmatrix}",
        "\\log_{131/127}\\frac73+",
        "<answer>",
        "<answer>5</answer> or ",
        "x \\neq 1, ",
        "\\sqrt{2},",
        "(1,2)\\cup",
        "\\boxed{5}, maybe ",
        "#### a\n",
        "one hundred ",
        "[[1,2],",
        "[THINK]",
    ];
    on_small_stack(|| {
        for piece in pieces {
            for count in [50, 400, 3000] {
                let text = piece.repeat(count);
                for text in [
                    text.clone(),
                    format!("{text}1"),
                    format!("\\boxed{{{text}1}}"),
                    format!("The answer is {text}"),
                ] {
                    let _ = judge("5", &text);
                    let _ = judge(&text, &text);
                    let _ = judge(&text, "\\boxed{5}");
                }
            }
        }
    });
}
