//! A verifier in a crate of its own: the numbers game Countdown, in which given numbers are to make a target.
//!
//! A row has a field `numbers`, a list, and the target as its `answer`. A completion states its expression in
//! `<answer>...</answer>`, such as `(1 + 2) * 3`; one that states two different ones has not chosen. It passes when the value is the target and each number is
//! used at most as often as it is given. An expression of the right numbers with another value scores a tenth, so that there
//! is something to learn from before the first success.

mod expression;

use expression::{Expression, Fraction};
use rlvr_verdict::{Attack, Completion, Judges, Outcome, Problem, ProblemError, Step, Verdict, Verifier};

/// Score of an expression of the right numbers that misses the target.
const WELL_FORMED: f32 = 0.1;

/// The verifier `countdown`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Countdown;

/// What a problem asks for.
struct Game {
    numbers: Vec<i64>,
    target: i64,
}

impl Game {
    fn of(problem: &Problem) -> Result<Game, ProblemError> {
        let answer = problem.answer.as_deref().unwrap_or_default();
        let target = answer.trim().parse().map_err(|_| {
            ProblemError::new(
                "answer",
                format!("{answer:?} is no whole number"),
                "give the target, such as 24",
            )
        })?;
        let numbers = problem.extra.get("numbers").and_then(|numbers| numbers.as_array());
        let numbers: Option<Vec<i64>> = numbers.and_then(|all| all.iter().map(|n| n.as_i64()).collect());
        match numbers {
            Some(numbers) if !numbers.is_empty() => Ok(Game { numbers, target }),
            _ => {
                Err(ProblemError::new("numbers", "is no list of whole numbers", "give one such as [3, 8, 8]"))
            }
        }
    }

    /// Which number an expression uses more often than it is given, if any.
    fn overused(&self, used: &[i64]) -> Option<i64> {
        let count = |all: &[i64], number: i64| all.iter().filter(|n| **n == number).count();
        used.iter().copied().find(|number| count(used, *number) > count(&self.numbers, *number))
    }
}

/// The text in `<answer>...</answer>` after the thinking.
fn stated(completion: &Completion) -> Result<&str, &'static str> {
    let mut answers = completion.answer_text().split("<answer>").skip(1).filter_map(|rest| {
        let end = rest.find("</answer>")?;
        Some(rest[..end].trim())
    });
    let first = answers.next().ok_or("there is no <answer>...</answer> after the thinking")?;
    if answers.all(|other| other == first) { Ok(first) } else { Err("different answers are stated") }
}

impl Verifier for Countdown {
    fn name(&self) -> &str {
        "countdown"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        Game::of(problem).map(drop)
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        let game = match Game::of(problem) {
            Ok(game) => game,
            Err(error) => return Verdict::fault(error.to_string()),
        };
        let text = match stated(completion) {
            Ok(text) => text,
            Err(problem) => return Verdict::unparseable(problem),
        };
        let expression = match Expression::read(text) {
            Ok(expression) => expression,
            Err(problem) => return Verdict::unparseable(format!("the answer is no expression: {problem}")),
        };
        if let Some(number) = game.overused(&expression.numbers) {
            return Verdict::fail(format!("uses {number} more often than it is given"));
        }
        let answer = expression.value.to_string();
        if expression.value == Fraction::from(game.target) {
            Verdict::pass(format!("makes {answer}")).with_answer(answer)
        } else {
            let reason = format!("makes {answer}, not {}", game.target);
            Verdict::scored(Outcome::Fail, WELL_FORMED, reason).with_answer(answer)
        }
    }

    fn judges(&self) -> Judges {
        Judges::Statement
    }

    /// None: the target is known, but not how to make it.
    fn gold(&self, _: &Problem) -> Option<Completion> {
        None
    }

    fn attacks(&self, problem: &Problem) -> Vec<Attack> {
        let target = problem.answer.clone().unwrap_or_default();
        let stated = |name: &str, text: String| Attack::no_pass(name, format!("<answer>{text}</answer>"));
        vec![
            stated("target-alone", target.clone()),
            stated("target-alone", format!("{target} = {target}")),
            stated("other-numbers", format!("{target} + 1 - 1")),
            stated("overflow", format!("{0} * {0} * {0}", i64::MAX)),
            stated("overflow", "9".repeat(100_000)),
            stated("division-by-zero", "1 / (1 - 1)".to_owned()),
            stated("nesting", format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000))),
            stated("signs", "-".repeat(50_000) + "1"),
        ]
    }

    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        let Ok(game) = Game::of(problem) else { return Vec::new() };
        let text = match stated(completion) {
            Ok(text) => text,
            Err(problem) => return vec![Step::rule("<answer>", false, problem)],
        };
        let shown: String = text.chars().take(80).collect();
        let mut steps = vec![Step::rule("<answer>", true, shown)];
        match Expression::read(text) {
            Err(problem) => steps.push(Step::rule("expression", false, problem)),
            Ok(expression) => {
                let over = game.overused(&expression.numbers);
                let numbers = format!("{:?} of {:?}", expression.numbers, game.numbers);
                steps.push(Step::rule("numbers", over.is_none(), numbers));
                let hit = expression.value == Fraction::from(game.target);
                steps.push(Step::rule("value", hit, format!("{}, target {}", expression.value, game.target)));
            }
        }
        steps
    }
}
