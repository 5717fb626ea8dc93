//! A check from completion to verdict.
//!
//! The solution is loaded in one instance, the tests run in another, and only messages cross. What comes from the solution's
//! instance is read as JSON of a known shape here, and by the bounded decoder of `guest/codec.c` in the instance of the tests.

use crate::extract::{Candidate, located};
use crate::output::same_output;
use crate::sandbox::{Limits, Pair, Role, Stop};
use crate::task::{Credit, Task, Tests};
use crate::watch::Watch;
use rlvr_verdict::{Cost, Outcome, Verdict};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Characters of code of a completion at most.
const MOST_CODE: usize = 1 << 20;

/// What becomes of the cases.
struct Score {
    passed: Vec<Judged>,
    /// The first thing that went wrong.
    outcome: Outcome,
    reason: String,
}

/// What is said of a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    Failed,
    Passed,
    /// It passed before anything had been asked of the program, of which it says nothing.
    Idle,
}

/// Why there is a verdict before any case has run, or a fault.
struct Early(Outcome, String);

impl From<Stop> for Early {
    fn from(stop: Stop) -> Self {
        let (outcome, reason) = ended(&stop);
        Early(outcome, reason)
    }
}

/// Judges the code in a completion's answer. The same inputs give the same verdict, wall time aside.
pub(crate) fn judge(pair: &mut Pair, task: &Task, answer: &str, credit: Credit, limits: Limits) -> Verdict {
    judge_watched(pair, task, answer, credit, limits, &mut Watch::off())
}

/// As [`judge`], with what happens noted for a person.
pub(crate) fn judge_watched(
    pair: &mut Pair,
    task: &Task,
    answer: &str,
    credit: Credit,
    limits: Limits,
    watch: &mut Watch,
) -> Verdict {
    let codes = located(answer);
    watch.candidates(&codes);
    if codes.is_empty() {
        return Verdict::unparseable("there is no code");
    }
    if codes.iter().map(|candidate| candidate.code.len()).sum::<usize>() > MOST_CODE {
        return Verdict::unparseable(format!("more than {MOST_CODE} characters of code"));
    }
    let limits = limits.for_row(task.seconds);
    if let Err(error) = pair.begin(limits, seeds(task)) {
        return Verdict::fault(error.to_string());
    }
    let result = match &task.tests {
        Tests::Stdin { .. } => run_programs(pair, task, &codes, watch),
        _ => run_tests(pair, task, &codes, watch),
    };
    if watch.is_on() {
        // a solution that is stopped has nothing more to say
        let _ = pair.control(Role::Solution, json!({ "op": "flush" }).to_string().into_bytes());
        watch.printed(&pair.take_stdout());
    }
    let used = pair.used();
    let mut verdict = match result {
        Ok(score) => verdict(score, task.credit.unwrap_or(credit), task.shared),
        Err(Early(Outcome::Fault, reason)) => Verdict::fault(reason),
        Err(Early(outcome, reason)) => Verdict::scored(outcome, 0.0, reason),
    };
    if verdict.outcome == Outcome::Fault {
        pair.drop_instances();
    } else {
        pair.end();
    }
    verdict.cost = Cost { fuel: used.fuel, peak_bytes: used.peak_bytes, wall: 0.0 };
    verdict
}

/// Seeds of the random numbers of the solution and of the tests. A solution must not be able to draw what the tests draw.
fn seeds(task: &Task) -> [[u8; 32]; 2] {
    let hash = |parts: &[&str]| -> [u8; 32] {
        parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
    };
    let [setup, code] = task.test_code();
    [hash(&["solution"]), hash(&["tests", setup, code, &task.entry])]
}

fn verdict(score: Score, credit: Credit, shared: bool) -> Verdict {
    let count = |wanted| score.passed.iter().filter(|judged| **judged == wanted).count();
    let (passed, total) = (count(Judged::Passed), score.passed.len() - count(Judged::Idle));
    let shared = if shared { " (isolation: shared)" } else { "" };
    let mut verdict = if total == 0 {
        Verdict::scored(Outcome::Fail, 0.0, "the tests have asked nothing of the program")
    } else if passed == total {
        let s = if total == 1 { "" } else { "s" };
        Verdict::pass(format!("{total} case{s} passed{shared}"))
    } else {
        let value = if credit == Credit::Fraction { passed as f32 / total as f32 } else { 0.0 };
        let of = if total == 1 { String::new() } else { format!("{passed} of {total} cases passed; ") };
        Verdict::scored(score.outcome, value, format!("{of}{}{shared}", score.reason))
    };
    for (i, judged) in score.passed.iter().enumerate().filter(|(_, judged)| **judged != Judged::Idle) {
        verdict =
            verdict.with_part(format!("case_{}", i + 1), f32::from(u8::from(*judged == Judged::Passed)));
    }
    verdict
}

fn ended(stop: &Stop) -> (Outcome, String) {
    match stop {
        Stop::Fuel => (Outcome::OutOfFuel, "the program used up its fuel".into()),
        Stop::Memory => (Outcome::OutOfMemory, "the program used up its memory".into()),
        Stop::Output => (Outcome::OutputLimit, "the program wrote more than it may".into()),
        Stop::Exit(code) => (Outcome::Fail, format!("the program ended its process with code {code}")),
        Stop::Trap(trap) => (Outcome::Trapped, format!("the interpreter trapped: {trap}")),
        Stop::Backstop => {
            (Outcome::Fault, "the check took longer than the backstop: this machine is too slow".into())
        }
        Stop::Host(problem) => (Outcome::Fault, problem.clone()),
    }
}

/// Sends a request and reads the answer, which the solution may have forged.
fn ask<T: DeserializeOwned>(pair: &mut Pair, role: Role, request: &Value) -> Result<T, Stop> {
    let answer = pair.control(role, request.to_string().into_bytes())?;
    serde_json::from_slice(&answer).map_err(|_| Stop::Trap("the guest's answer makes no sense".into()))
}

// ---- loading the solution ----

#[derive(Deserialize)]
#[serde(untagged)]
enum Loading {
    Word(String),
    Exit { exit: i64 },
    Error { error: String, text: String, line: u64, missing: Option<String> },
}

#[derive(Deserialize)]
struct Loaded {
    status: Loading,
    #[serde(default)]
    text: String,
    /// Which candidate was taken.
    candidate: Option<usize>,
    /// Whether it continues the prompt.
    #[serde(default)]
    continued: bool,
}

/// How a program ended.
enum Ended {
    /// It ran to its end.
    Whole,
    /// It ended its process with this code.
    Exit(i64),
    /// It raised this.
    Raised(String),
}

fn load(
    pair: &mut Pair,
    task: &Task,
    codes: &[Candidate],
    wanted: &[String],
    main: bool,
    watch: &mut Watch,
) -> Result<Ended, Early> {
    let texts: Vec<&str> = codes.iter().map(|candidate| &*candidate.code).collect();
    let request = json!({ "op": "load", "candidates": texts, "prefix": task.prefix, "setup": task.setup,
                          "wanted": wanted, "main": main });
    let loaded: Loaded = match ask(pair, Role::Solution, &request) {
        Err(Stop::Exit(code)) if main => return Ok(Ended::Exit(code.into())),
        answer => answer?,
    };
    watch.taken(loaded.candidate.and_then(|i| codes.get(i)), loaded.continued);
    match loaded.status {
        Loading::Word(word) if word == "loaded" => Ok(Ended::Whole),
        Loading::Word(_) => {
            let text = one_line(&loaded.text);
            Err(Early(Outcome::Unparseable, format!("no code of the completion parses: {text}")))
        }
        Loading::Exit { exit } => Ok(Ended::Exit(exit)),
        Loading::Error { missing: Some(module), .. } => Err(missing_module(&module)),
        Loading::Error { error, text, .. } if error == "MemoryError" => {
            Err(Early(Outcome::OutOfMemory, one_line(&format!("{error}: {text}"))))
        }
        Loading::Error { error, text, line, .. } => {
            let place = if line > 0 { format!(" (line {line})") } else { String::new() };
            Ok(Ended::Raised(one_line(&format!("the program raises {error}: {text}{place}"))))
        }
    }
}

fn missing_module(module: &str) -> Early {
    let module = one_line(module);
    Early(
        Outcome::Unparseable,
        format!("the program needs the module `{module}`, which the sandbox does not have"),
    )
}

/// Text of a guest as part of a reason: one line of bounded length.
pub(crate) fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
    line.trim().to_owned()
}

// ---- tests that call the solution ----

#[derive(Deserialize)]
struct Analyzed {
    status: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    cases: usize,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
struct Bound {
    status: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Case {
    passed: bool,
    #[serde(default)]
    idle: bool,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    text: String,
    /// The test, where the check is watched.
    #[serde(default)]
    source: String,
    /// Values that it compared, with their expressions.
    #[serde(default)]
    seen: Vec<(String, String)>,
}

fn run_tests(pair: &mut Pair, task: &Task, codes: &[Candidate], watch: &mut Watch) -> Result<Score, Early> {
    let role = if task.shared { Role::Solution } else { Role::Tests };
    let analyzed: Analyzed = ask(pair, role, &analysis(task, watch.is_on())).map_err(|stop| {
        Early(Outcome::Fault, format!("the tests alone cannot be read: {}", ended(&stop).1))
    })?;
    if analyzed.status != "ready" {
        return Err(Early(Outcome::Fault, format!("the row's {}: {}", analyzed.status, analyzed.text)));
    }
    match load(pair, task, codes, &analyzed.names, false, watch)? {
        Ended::Whole => {}
        Ended::Exit(code) => {
            return Err(Early(
                Outcome::Fail,
                format!("the program ends its process with code {code} before any test"),
            ));
        }
        Ended::Raised(reason) => return Err(Early(Outcome::Fail, reason)),
    }
    let bound: Bound = ask(pair, role, &json!({ "op": "bind", "shared": task.shared }))?;
    match &*bound.status {
        "ready" => {}
        // a setup that fails without the solution's doing is the row's mistake
        "setup" => return Err(Early(Outcome::Fault, format!("the row's setup fails: {}", bound.text))),
        "undefined" => return Err(Early(Outcome::Fail, undefined(&bound.text))),
        _ => return Err(Early(Outcome::Fail, one_line(&bound.text))),
    }
    let mut score =
        Score { passed: vec![Judged::Failed; analyzed.cases], outcome: Outcome::Fail, reason: String::new() };
    for index in 0..analyzed.cases {
        let op = if watch.is_on() { "watched" } else { "case" };
        let before = pair.used().fuel;
        let result = ask::<Case>(pair, role, &json!({ "op": op, "index": index }));
        let fuel = pair.used().fuel - before;
        match &result {
            Ok(Case { passed, source, seen, .. }) => watch.case(index, *passed, source, seen, fuel),
            Err(stop) => watch.case(index, false, &ended(stop).1, &[], fuel),
        }
        let (outcome, reason) = match result {
            Ok(Case { passed: true, idle, .. }) => {
                score.passed[index] = if idle { Judged::Idle } else { Judged::Passed };
                continue;
            }
            Ok(Case { kind, text, .. }) => match &*kind {
                "memory" => (Outcome::OutOfMemory, one_line(&text)),
                "row" => {
                    let reason = format!(
                        "the row's tests need the module `{}`, which the sandbox does not have",
                        one_line(&text)
                    );
                    return Err(Early(Outcome::Fault, reason));
                }
                "undefined" => (Outcome::Fail, undefined(&text)),
                _ => (Outcome::Fail, one_line(&text)),
            },
            Err(stop) => {
                let (outcome, reason) = ended(&stop);
                if outcome == Outcome::Fault {
                    return Err(Early(outcome, reason));
                }
                // neither instance can go on: the cases left do not pass
                note(&mut score, outcome, reason);
                break;
            }
        };
        note(&mut score, outcome, reason);
    }
    Ok(score)
}

fn undefined(name: &str) -> String {
    format!("neither the program nor the row defines `{}`", one_line(name))
}

/// Keeps the first thing that went wrong.
fn note(score: &mut Score, outcome: Outcome, reason: String) {
    if score.reason.is_empty() {
        (score.outcome, score.reason) = (outcome, reason);
    }
}

fn analysis(task: &Task, watch: bool) -> Value {
    let (kind, code) = match &task.tests {
        Tests::Asserts(code) => ("asserts", &**code),
        Tests::Check(code) => ("check", &**code),
        Tests::Calls { .. } | Tests::Stdin { .. } => ("calls", ""),
    };
    let (cases, tolerance, unordered) = match &task.tests {
        Tests::Calls { cases, tolerance, unordered } => (&cases[..], *tolerance, *unordered),
        _ => (&[][..], 0.0, false),
    };
    json!({ "op": "analyze", "kind": kind, "code": code, "cases": cases, "tolerance": tolerance, "unordered": unordered,
            "prefix": task.prefix, "setup": task.setup, "entry": task.entry, "watch": watch })
}

// ---- programs that read standard input ----

fn run_programs(
    pair: &mut Pair,
    task: &Task,
    codes: &[Candidate],
    watch: &mut Watch,
) -> Result<Score, Early> {
    let Tests::Stdin { cases, compare, tolerance } = &task.tests else {
        return Err(Early(Outcome::Fault, "these tests run no programs".into()));
    };
    let mut score =
        Score { passed: vec![Judged::Failed; cases.len()], outcome: Outcome::Fail, reason: String::new() };
    for (index, case) in cases.iter().enumerate() {
        if index > 0 {
            pair.renew_solution().map_err(|e| Early(Outcome::Fault, e.to_string()))?;
        }
        pair.set_stdin(case.input.as_bytes());
        let before = pair.used().fuel;
        let run = load(pair, task, codes, &[], true, watch);
        let written = pair.take_stdout();
        let fuel = pair.used().fuel - before;
        let (outcome, reason) = match run {
            Ok(Ended::Whole | Ended::Exit(0)) => {
                let same = same_output(&written, &case.output, *compare, *tolerance);
                watch.run(index, same, &case.input, &written, &case.output, fuel);
                if same {
                    score.passed[index] = Judged::Passed;
                    continue;
                }
                (Outcome::Fail, different(&written, &case.output))
            }
            Ok(Ended::Exit(code)) => (Outcome::Fail, format!("the program ends with exit code {code}")),
            Ok(Ended::Raised(reason)) => (Outcome::Fail, reason),
            Err(Early(outcome @ (Outcome::Fault | Outcome::Unparseable), reason)) => {
                return Err(Early(outcome, reason));
            }
            Err(Early(outcome, reason)) => (outcome, reason),
        };
        note(&mut score, outcome, format!("case {}: {reason}", index + 1));
        if outcome == Outcome::OutOfFuel {
            break;
        }
    }
    Ok(score)
}

fn different(got: &[u8], expected: &str) -> String {
    let short = |text: &str| -> String {
        let line = one_line(text);
        if line.chars().count() <= 80 { line } else { line.chars().take(77).collect::<String>() + "..." }
    };
    format!("wrote {:?}, not {:?}", short(&String::from_utf8_lossy(got)), short(expected))
}

#[cfg(test)]
mod tests;
