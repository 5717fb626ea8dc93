//! Attacks on this verifier: what pays where a checker is careless. None may pass.

use super::GoldAnswer;
use crate::equal::is_number;
use crate::number::exact;
use crate::work::Work;
use rlvr_verdict::{Attack, Problem};

/// A number that is no problem's answer.
const OTHER: &str = "98765432101";

/// The attacks on a problem with this gold answer.
pub(super) fn on(problem: &Problem, gold: &GoldAnswer) -> Vec<Attack> {
    let mut all: Vec<Attack> = towers().into_iter().map(|text| Attack::no_pass("tower", text)).collect();
    let (Some(answer), GoldAnswer::Mathematics(reading)) = (&problem.answer, gold) else { return all };
    // a worked solution is no answer to build on
    if answer.len() > 200
        || answer.contains(['\n', '$'])
        || answer.contains("\\boxed")
        || answer.contains("####")
    {
        return all;
    }
    let mut add = |name: &str, texts: Vec<String>| {
        all.extend(texts.into_iter().map(|text| Attack::no_pass(name, text)));
    };
    let boxed = |text: &str| format!("\\boxed{{{text}}}");
    let right = boxed(answer);
    add(
        "hedge",
        vec![
            format!("{right} or {}", boxed(OTHER)),
            format!("{right} or maybe {OTHER}."),
            format!("{right}, perhaps {OTHER}."),
            format!("{right}; otherwise {OTHER}."),
            format!("{} or {right}", boxed(OTHER)),
            format!("<answer>{answer}</answer> or <answer>{OTHER}</answer>"),
        ],
    );
    add("other-value", vec![boxed(OTHER), format!("The answer is {OTHER}."), format!("#### {OTHER}")]);
    add(
        "gold-in-thinking",
        vec![
            format!("<think>{right}</think> I do not know."),
            format!("<thinking>{right}</thinking> I do not know."),
            format!("<|begin_of_thought|>{right}<|end_of_thought|> I do not know."),
            format!("<think>The answer is {answer}. {right}"),
        ],
    );
    add(
        "denial",
        vec![
            format!("It is not {right}."),
            format!("$x \\neq {right}$"),
            format!("{right}? No, the answer is {OTHER}."),
            format!("The answer is anything but {answer}."),
            format!("I do not know what the answer is: {answer}."),
        ],
    );
    let whole = exact::value(&reading.expr, &Work::default()).filter(|v| !v.is_zero());
    if is_number(&reading.expr) && whole.is_some() {
        let words =
            ["impossible", "nope", "excluded", "million", "hundredths", "factorial", "or more", "squared"];
        add("unit-word", words.iter().map(|word| boxed(&format!("{answer} \\text{{ {word}}}"))).collect());
        add(
            "part-of-a-formula",
            vec![format!("$x = -{right}$"), format!("${right} + 1$"), format!("{right} / 6")],
        );
    }
    all
}

/// Answers that are more to compute or to read than any answer is.
fn towers() -> Vec<String> {
    let boxed = |text: String| format!("\\boxed{{{text}}}");
    let matrix = "\\begin{pmatrix}a&b\\\\c&d\\end{pmatrix}";
    vec![
        boxed("9^{9^{9^{9}}}".into()),
        boxed("(10^9)!".into()),
        boxed("\\binom{10^9}{5 \\cdot 10^8}".into()),
        boxed("\\sum_{k=1}^{10^9} k".into()),
        boxed(format!("{}1{}", "(".repeat(3000), ")".repeat(3000))),
        boxed("9".repeat(200_000)),
        boxed(matrix.repeat(30)),
        boxed(["\\sum_{k=1}^{499} x^{\\log_{131/127} \\frac73}"; 8].join("+")),
    ]
}
