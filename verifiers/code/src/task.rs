//! The tests of a row, as the judge needs them.

use crate::output::Compare;
use crate::sandbox::Limits;
use rlvr_verdict::{Problem, ProblemError};
use serde::Deserialize;
use serde_json::Value;

/// What a completion is tested with.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// How.
    pub tests: Tests,
    /// Code that the completion may continue, or whose imports and helpers it uses.
    pub prefix: String,
    /// Code that runs before the solution and before the tests, in the instance of each.
    pub setup: String,
    /// What is called: `f`, `Solution().f` or `Solution.f`; empty where the tests name it themselves.
    pub entry: String,
    /// Whether tests run in the solution's own interpreter.
    pub shared: bool,
    /// Seconds of native Python, where the row sets them.
    pub seconds: Option<f64>,
    /// What the score is of several cases, where the row says so.
    pub credit: Option<Credit>,
}

/// A kind of tests.
#[derive(Clone, Debug, PartialEq)]
pub enum Tests {
    /// Statements; each that can fail is a case.
    Asserts(String),
    /// A function `check(candidate)`.
    Check(String),
    /// Calls of the entry point with their results.
    Calls {
        /// Objects with `args`, `kwargs` and `output`.
        cases: Vec<Value>,
        /// Relative difference up to which floats are equal; a thousandth of it, absolute.
        tolerance: f64,
        /// Whether a list may come in any order, or as a set.
        unordered: bool,
    },
    /// Programs that read standard input.
    Stdin {
        /// Input and expected output.
        cases: Vec<StdinCase>,
        /// How outputs are compared.
        compare: Compare,
        /// Tolerance of numbers.
        tolerance: f64,
    },
}

/// A run of a program.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdinCase {
    /// Standard input.
    pub input: String,
    /// What the program should write.
    pub output: String,
}

/// The score of a check with several cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// 1 where every case passes, else 0.
    #[default]
    All,
    /// The share of cases that pass.
    Fraction,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Isolation {
    Split,
    Shared,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Row {
    Asserts {
        code: OneOrMany,
        setup: Option<String>,
        prefix: Option<String>,
        entry: Option<String>,
        isolation: Option<Isolation>,
        seconds: Option<f64>,
        credit: Option<Credit>,
    },
    Check {
        code: String,
        setup: Option<String>,
        prefix: Option<String>,
        entry: Option<String>,
        isolation: Option<Isolation>,
        seconds: Option<f64>,
    },
    Calls {
        entry: String,
        cases: Vec<Value>,
        setup: Option<String>,
        prefix: Option<String>,
        tolerance: Option<f64>,
        unordered: Option<bool>,
        isolation: Option<Isolation>,
        seconds: Option<f64>,
        credit: Option<Credit>,
    },
    Stdin {
        cases: Vec<StdinCase>,
        compare: Option<Compare>,
        tolerance: Option<f64>,
        seconds: Option<f64>,
        credit: Option<Credit>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

const TOLERANCE: f64 = 1e-6;

const REMEDY: &str = "a `kind` of asserts, check, calls or stdin with its fields is right (docs/code.md)";

impl Task {
    /// Reads the tests of a problem: an object with a `kind`; HumanEval's `test`, a text that defines `check`, with the row's
    /// `entry_point`; or MBPP's list of asserts, with the row's `test_setup_code` and `test_imports`.
    ///
    /// # Errors
    /// The field that is missing or wrong, and what would be right.
    pub fn read(problem: &Problem) -> Result<Task, ProblemError> {
        let tests = problem.tests.as_ref().ok_or_else(|| ProblemError::new("tests", "is missing", REMEDY))?;
        let row = match tests {
            Value::String(code) => plain_row(problem, OneOrMany::One(code.clone()))?,
            Value::Array(_) => plain_row(problem, read_value(tests)?)?,
            Value::Object(_) => read_value(tests)?,
            _ => return Err(ProblemError::new("tests", format!("is {tests}"), REMEDY)),
        };
        let task = Task::of_row(row, problem)?;
        task.check()?;
        Ok(task)
    }

    fn of_row(row: Row, problem: &Problem) -> Result<Task, ProblemError> {
        let (tests, prefix, setup, entry, isolation, seconds, credit) = match row {
            Row::Asserts { code, setup, prefix, entry, isolation, seconds, credit } => {
                let code = match code {
                    OneOrMany::One(code) => code,
                    OneOrMany::Many(codes) => codes.join("\n"),
                };
                (Tests::Asserts(code), prefix, setup, entry, isolation, seconds, credit)
            }
            Row::Check { code, setup, prefix, entry, isolation, seconds } => {
                let entry = match entry.or_else(|| text(problem, "entry_point")) {
                    Some(entry) => Some(entry),
                    None => {
                        return Err(ProblemError::new(
                            "tests.entry",
                            "is missing",
                            "name the function that `check` is given",
                        ));
                    }
                };
                (Tests::Check(code), prefix, setup, entry, isolation, seconds, None)
            }
            Row::Calls { entry, cases, setup, prefix, tolerance, unordered, isolation, seconds, credit } => {
                let (tolerance, unordered) = (tolerance.unwrap_or(TOLERANCE), unordered == Some(true));
                let tests = Tests::Calls { cases, tolerance, unordered };
                (tests, prefix, setup, Some(entry), isolation, seconds, credit)
            }
            Row::Stdin { cases, compare, tolerance, seconds, credit } => {
                let compare = compare.unwrap_or_default();
                let tests = Tests::Stdin { cases, compare, tolerance: tolerance.unwrap_or(TOLERANCE) };
                (tests, Some(String::new()), None, None, None, seconds, credit)
            }
        };
        let prefix = prefix
            .unwrap_or_else(|| if is_code(&problem.prompt) { problem.prompt.clone() } else { String::new() });
        let shared = isolation == Some(Isolation::Shared);
        let (setup, entry) = (setup.unwrap_or_default(), entry.unwrap_or_default());
        Ok(Task { tests, prefix, setup, entry, shared, seconds, credit })
    }

    fn check(&self) -> Result<(), ProblemError> {
        let wrong = |field: &str, what: String, remedy: &str| Err(ProblemError::new(field, what, remedy));
        if let Some(seconds) = self.seconds.filter(|s| !Limits::SECONDS.contains(s)) {
            let right = "a number of seconds of native Python in 0.01..=1000000 is right";
            return wrong("tests.seconds", format!("is {seconds}"), right);
        }
        if !self.entry.is_empty() && !is_entry(&self.entry) {
            let what = format!("is {:?}", self.entry);
            return wrong("tests.entry", what, "f, Class.method or Class().method is right");
        }
        let tolerance = match &self.tests {
            Tests::Calls { cases, tolerance, .. } => {
                for (i, case) in cases.iter().enumerate() {
                    check_call(case).map_err(|(key, what, remedy)| {
                        ProblemError::new(format!("tests.cases[{i}]{key}"), what, remedy)
                    })?;
                }
                *tolerance
            }
            Tests::Stdin { tolerance, .. } => *tolerance,
            _ => 0.0,
        };
        if !(tolerance.is_finite() && tolerance >= 0.0) {
            return wrong("tests.tolerance", format!("is {tolerance}"), "a number of at least 0 is right");
        }
        match &self.tests {
            Tests::Asserts(code) | Tests::Check(code) if code.trim().is_empty() => {
                wrong("tests.code", "is empty".into(), "give the tests")
            }
            Tests::Asserts(code)
                if !["assert", "raise"]
                    .iter()
                    .any(|word| self.setup.contains(word) || code.contains(word)) =>
            {
                wrong("tests.code", "asserts nothing, and would pass any program".into(), "give an assert")
            }
            Tests::Asserts(code) if defines_check(code) => {
                let right = "name the function that `check` is given, and say kind = \"check\"";
                wrong("entry_point", "is missing, and `check` is never called".into(), right)
            }
            Tests::Check(code) if !code.contains("def check(") => {
                wrong("tests.code", "defines no `check`".into(), "def check(candidate): ... is right")
            }
            Tests::Calls { cases, .. } if cases.is_empty() => {
                wrong("tests.cases", "is empty".into(), "give a case")
            }
            Tests::Stdin { cases, .. } if cases.is_empty() => {
                wrong("tests.cases", "is empty".into(), "give a case")
            }
            _ => Ok(()),
        }
    }

    /// The Python code that runs as tests, with its setup: what must find its modules.
    pub fn test_code(&self) -> [&str; 2] {
        match &self.tests {
            Tests::Asserts(code) | Tests::Check(code) => [&self.setup, code],
            _ => [&self.setup, ""],
        }
    }
}

fn read_value<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, ProblemError> {
    serde_json::from_value(value.clone())
        .map_err(|error| ProblemError::new("tests", format!("cannot be read: {error}"), REMEDY))
}

fn text(problem: &Problem, field: &str) -> Option<String> {
    problem.extra.get(field)?.as_str().map(str::to_owned)
}

/// The forms that HumanEval's and MBPP's own files have.
fn plain_row(problem: &Problem, code: OneOrMany) -> Result<Row, ProblemError> {
    let entry = text(problem, "entry_point");
    if let (OneOrMany::One(code), Some(_)) = (&code, &entry)
        && code.contains("def check(")
    {
        let code = code.clone();
        return Ok(Row::Check { code, setup: None, prefix: None, entry, isolation: None, seconds: None });
    }
    let imports = problem.extra.get("test_imports").and_then(Value::as_array);
    let mut setup: Vec<String> =
        imports.into_iter().flatten().filter_map(|line| line.as_str().map(str::to_owned)).collect();
    setup.extend(text(problem, "test_setup_code"));
    let setup = Some(setup.join("\n"));
    Ok(Row::Asserts { code, setup, prefix: None, entry, isolation: None, seconds: None, credit: None })
}

/// Whether tests define a function `check` that takes something, and never call it.
fn defines_check(code: &str) -> bool {
    let defined = code.lines().any(|line| line.starts_with("def check(") && !line.starts_with("def check()"));
    defined && code.matches("check(").count() == 1
}

/// Whether a prompt is the beginning of a program rather than a text: it has a definition or an import that begins a line.
fn is_code(prompt: &str) -> bool {
    const OPENINGS: [&str; 6] = ["def ", "class ", "import ", "from ", "async def ", "@"];
    !prompt.contains("```") && prompt.lines().any(|line| OPENINGS.iter().any(|o| line.starts_with(o)))
}

/// `f`, `A.f`, `A().f`: names, each but the last perhaps called with nothing.
fn is_entry(entry: &str) -> bool {
    let name = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_')
    };
    let parts: Vec<&str> = entry.split('.').collect();
    let (last, owners) = parts.split_last().map_or(("", &[][..]), |(l, o)| (*l, o));
    name(last) && owners.iter().all(|part| name(part.strip_suffix("()").unwrap_or(part)))
}

fn check_call(case: &Value) -> Result<(), (&'static str, String, &'static str)> {
    const RIGHT: &str = "an object with `args` and `output` is right";
    let case = case.as_object().ok_or_else(|| ("", "is no object".to_owned(), RIGHT))?;
    for key in case.keys() {
        if !["args", "kwargs", "output"].contains(&key.as_str()) {
            return Err(("", format!("has the unknown key `{key}`"), "args, kwargs and output are known"));
        }
    }
    if !case.contains_key("output") {
        return Err((".output", "is missing".into(), RIGHT));
    }
    match case.get("args") {
        None if !case.contains_key("kwargs") => Err((".args", "is missing".into(), RIGHT)),
        Some(args) if !args.is_array() && !args.is_object() => {
            Err((".args", format!("is {args}"), "a list, or an object of named arguments, is right"))
        }
        _ => match case.get("kwargs") {
            Some(kwargs) if !kwargs.is_object() => {
                Err((".kwargs", format!("is {kwargs}"), "an object is right"))
            }
            _ => Ok(()),
        },
    }
}
