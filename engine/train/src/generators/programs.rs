//! `programs`: small Python functions over a list of numbers, asked for in words: documents of worked ones, and tasks for the
//! verifier `python`, with calls as tests.
//!
//! A function does two or three things in a row, such as `# keep above 3, times 2, sum`. The results that the tests expect come from
//! an evaluation in Rust, not from the program. Parameters: `steps` (most things in a row, 1 to 4; default 2), and for documents
//! `sloppy` (share of functions with a careless step, default 0).

use serde_json::{Map, Value, json};

use super::{Documents, GeneratedTask, Kind, Tasks, Wrong, known, side_of, take_share};
use crate::data::Document;
use crate::data::config::Split;
use crate::data::keyed::{self, Draws};

/// Calls that test a function.
const CASES: usize = 4;

/// What is done to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    KeepAbove(i64),
    KeepBelow(i64),
    KeepEven,
    KeepOdd,
    Add(i64),
    Times(i64),
    Negate,
    Square,
    Sort,
    Reverse,
    First(i64),
    Last(i64),
}

/// What is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    List,
    Sum,
    Count,
    Doubled,
}

impl Step {
    fn draw(draws: &mut Draws) -> Step {
        let n = draws.within(2, 9);
        *draws.pick(&[
            Step::KeepAbove(n),
            Step::KeepBelow(n),
            Step::KeepEven,
            Step::KeepOdd,
            Step::Add(n),
            Step::Times(n),
            Step::Negate,
            Step::Square,
            Step::Sort,
            Step::Reverse,
            Step::First(n),
            Step::Last(n),
        ])
    }

    fn words(self) -> String {
        match self {
            Step::KeepAbove(n) => format!("keep above {n}"),
            Step::KeepBelow(n) => format!("keep below {n}"),
            Step::KeepEven => "keep even".into(),
            Step::KeepOdd => "keep odd".into(),
            Step::Add(n) => format!("add {n}"),
            Step::Times(n) => format!("times {n}"),
            Step::Negate => "negate".into(),
            Step::Square => "square".into(),
            Step::Sort => "sort".into(),
            Step::Reverse => "reverse".into(),
            Step::First(n) => format!("first {n}"),
            Step::Last(n) => format!("last {n}"),
        }
    }

    fn code(self) -> String {
        match self {
            Step::KeepAbove(n) => format!("[x for x in a if x > {n}]"),
            Step::KeepBelow(n) => format!("[x for x in a if x < {n}]"),
            Step::KeepEven => "[x for x in a if x % 2 == 0]".into(),
            Step::KeepOdd => "[x for x in a if x % 2]".into(),
            Step::Add(n) => format!("[x + {n} for x in a]"),
            Step::Times(n) => format!("[x * {n} for x in a]"),
            Step::Negate => "[-x for x in a]".into(),
            Step::Square => "[x * x for x in a]".into(),
            Step::Sort => "sorted(a)".into(),
            Step::Reverse => "a[::-1]".into(),
            Step::First(n) => format!("a[:{n}]"),
            Step::Last(n) => format!("a[-{n}:]"),
        }
    }

    fn apply(self, a: Vec<i64>) -> Vec<i64> {
        let mapped = |f: &dyn Fn(i64) -> i64| a.iter().map(|x| f(*x)).collect();
        let kept = |f: &dyn Fn(i64) -> bool| a.iter().copied().filter(|x| f(*x)).collect();
        match self {
            Step::KeepAbove(n) => kept(&|x| x > n),
            Step::KeepBelow(n) => kept(&|x| x < n),
            Step::KeepEven => kept(&|x| x % 2 == 0),
            Step::KeepOdd => kept(&|x| x % 2 != 0),
            Step::Add(n) => mapped(&|x| x + n),
            Step::Times(n) => mapped(&|x| x * n),
            Step::Negate => mapped(&|x| -x),
            Step::Square => mapped(&|x| x * x),
            Step::Sort => {
                let mut sorted = a;
                sorted.sort_unstable();
                sorted
            }
            Step::Reverse => a.into_iter().rev().collect(),
            Step::First(n) => a.into_iter().take(n as usize).collect(),
            Step::Last(n) => {
                let from = a.len().saturating_sub(n as usize);
                a[from..].to_vec()
            }
        }
    }
}

impl End {
    const ALL: [End; 4] = [End::List, End::Sum, End::Count, End::Doubled];

    fn words(self) -> &'static str {
        match self {
            End::List => "list",
            End::Sum => "sum",
            End::Count => "count",
            End::Doubled => "sum twice",
        }
    }

    fn code(self) -> &'static str {
        match self {
            End::List => "a",
            End::Sum => "sum(a)",
            End::Count => "len(a)",
            End::Doubled => "sum(a) * 2",
        }
    }

    fn apply(self, a: Vec<i64>) -> Value {
        match self {
            End::List => json!(a),
            End::Sum => json!(a.iter().sum::<i64>()),
            End::Count => json!(a.len()),
            End::Doubled => json!(2 * a.iter().sum::<i64>()),
        }
    }
}

/// A function that is asked for.
struct Program {
    steps: Vec<Step>,
    end: End,
}

impl Program {
    fn draw(most: usize, split: Split, draws: &mut Draws) -> Program {
        loop {
            let count = draws.within(1, most as i64);
            let steps = (0..count).map(|_| Step::draw(draws)).collect();
            let program = Program { steps, end: *draws.pick(&End::ALL) };
            if side_of(&program.words()) == split {
                return program;
            }
        }
    }

    fn words(&self) -> String {
        let mut words: Vec<String> = self.steps.iter().map(|step| step.words()).collect();
        words.push(self.end.words().into());
        words.join(", ")
    }

    fn prompt(&self) -> String {
        format!("# {}\ndef f(a):\n", self.words())
    }

    fn body(&self) -> String {
        let mut body: String = self.steps.iter().map(|step| format!("    a = {}\n", step.code())).collect();
        body.push_str(&format!("    return {}\n", self.end.code()));
        body
    }

    /// The body with a step left out or mistaken for another.
    fn careless(mut self, draws: &mut Draws) -> String {
        let at = draws.within(0, self.steps.len() as i64) as usize;
        match self.steps.get_mut(at) {
            None => self.end = *draws.pick(&End::ALL),
            Some(_) if draws.uniform() < 0.3 => drop(self.steps.remove(at)),
            Some(step) => *step = Step::draw(draws),
        }
        self.body()
    }

    fn expected(&self, a: &[i64]) -> Value {
        self.end.apply(self.steps.iter().fold(a.to_vec(), |a, step| step.apply(a)))
    }

    /// Calls with their results: short and long lists, with negative numbers and numbers that come twice.
    fn cases(&self, draws: &mut Draws) -> Vec<Value> {
        (0..CASES)
            .map(|case| {
                let length = if case == 0 { draws.within(0, 2) } else { draws.within(4, 14) };
                let a: Vec<i64> = (0..length).map(|_| draws.within(-6, 15)).collect();
                json!({ "args": [a], "output": self.expected(&a) })
            })
            .collect()
    }
}

/// Documents or tasks of one side.
pub(super) struct Programs {
    most: usize,
    sloppy: f64,
    split: Split,
    key: u64,
}

impl Programs {
    pub(super) fn new(params: &Map<String, Value>, key: u64, split: Split) -> Result<Self, Wrong> {
        known(params, &["steps", "sloppy"])?;
        let sloppy = take_share(&mut params.clone(), "sloppy", 0.0)?;
        let most = params.get("steps").map_or(Some(2), Value::as_u64).filter(|most| (1..=4).contains(most));
        let most = most.ok_or_else(|| Wrong::new("steps", "is no whole number in 1 to 4"))?;
        Ok(Self { most: most as usize, sloppy, split, key })
    }

    fn draws(&self, index: u64) -> Draws {
        Draws::new(keyed::key(&[self.key, index]))
    }
}

impl Documents for Programs {
    fn document(&self, index: u64) -> Document {
        let mut draws = self.draws(index);
        let program = Program::draw(self.most, self.split, &mut draws);
        let prompt = program.prompt();
        let sloppy = draws.uniform() < self.sloppy;
        Document { prompt, text: if sloppy { program.careless(&mut draws) } else { program.body() } }
    }
}

impl Tasks for Programs {
    fn kinds(&self) -> Vec<Kind> {
        vec![Kind { name: "programs".into(), weight: 1.0 }]
    }

    fn task(&self, _: usize, index: u64) -> GeneratedTask {
        let mut draws = self.draws(index);
        let program = Program::draw(self.most, self.split, &mut draws);
        let tests = json!({ "kind": "calls", "entry": "f", "cases": program.cases(&mut draws) });
        let fields = Map::from_iter([
            ("prompt".to_string(), program.prompt().into()),
            ("verifier".to_string(), "python".into()),
            ("tests".to_string(), tests),
            ("tags".to_string(), json!([format!("steps-{}", program.steps.len())])),
        ]);
        GeneratedTask { key: program.words(), fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlvr_verdict::{Completion, Outcome, Registry};
    use std::collections::BTreeMap;

    /// CPython in the sandbox is the oracle of the evaluation in Rust.
    #[test]
    fn worked_programs_pass_their_tests_and_most_careless_ones_do_not() {
        let mut registry = Registry::new();
        rlvr_code::register(&mut registry);
        let python = registry.make("python", &Value::Null).unwrap();
        let programs = Programs::new(&Map::from_iter([("steps".into(), json!(3))]), 7, Split::Train).unwrap();
        let mut careless_passes = 0;
        for index in 0..150 {
            let place = crate::data::error::Place { file: "programs".into(), line: 1 };
            let fields = programs.task(0, index).fields;
            let problem =
                rlvr_verdict::tasks::read_row(fields, &place, &BTreeMap::new(), None).unwrap().problem;
            python.check(&problem).unwrap();
            let mut draws = programs.draws(index);
            let program = Program::draw(3, Split::Train, &mut draws);
            assert_eq!(program.prompt(), problem.prompt);
            let verdict = python.verify(&problem, &Completion::new(program.body()));
            assert_eq!(
                verdict.outcome,
                Outcome::Pass,
                "{}{}: {}",
                problem.prompt,
                program.body(),
                verdict.reason
            );
            let careless = program.careless(&mut draws);
            let verdict = python.verify(&problem, &Completion::new(careless));
            careless_passes += usize::from(verdict.outcome == Outcome::Pass);
        }
        assert!(careless_passes < 75, "{careless_passes} of 150 careless programs pass");
    }
}
