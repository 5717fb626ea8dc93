//! Programs that try to score without solving their task: a corpus for tests of this crate and of reward functions built on it.
//!
//! Each attack is a completion for a problem whose score must be 0; each problem comes with a reference solution whose score must be
//! 1, so that a verifier that fails everything is found too.
//!
//! ```
//! let attacks = rlvr_code::attacks::all();
//! assert!(attacks.len() > 100);
//! assert!(attacks.iter().any(|a| a.name == "equal to everything"));
//! ```

use crate::task::{Task, Tests};
use rlvr_verdict::{Completion, Problem};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

static TARGETS: &str = include_str!("../attacks/targets.json");
static CORPUS: &str = include_str!("../attacks/corpus.txt");
static REFERENCES: &str = include_str!("../attacks/reference.txt");

/// A program and the problem that it attacks.
#[derive(Clone, Debug)]
pub struct Attack {
    /// What it tries, in a few words.
    pub name: String,
    /// What it was asked to solve.
    pub problem: Problem,
    /// The program.
    pub completion: Completion,
    /// Whether it uses up all the fuel, memory or output that it may: takes as long as a check may take.
    pub exhausts: bool,
}

#[derive(Deserialize)]
struct Target {
    prompt: String,
    tests: Value,
}

/// All attacks, one for each problem that a program is aimed at.
pub fn all() -> Vec<Attack> {
    read(CORPUS)
}

/// A solution of each attacked problem.
pub fn references() -> Vec<Attack> {
    read(REFERENCES)
}

/// The programs of the corpus as attacks on another task: those that call themselves `median` under the name that its tests call,
/// those that read standard input as they are. None that take as long as a check may take.
pub(crate) fn on(task: &Task) -> Vec<rlvr_verdict::Attack> {
    let quick = all().into_iter().filter(|attack| !attack.exhausts);
    if let Tests::Stdin { .. } = task.tests {
        let programs = quick.filter(|attack| attack.problem.id.starts_with("sum/"));
        return programs.map(|a| rlvr_verdict::Attack::no_pass(slug(&a.name), a.completion.text)).collect();
    }
    let Some(entry) = entry(task) else { return Vec::new() };
    let programs = quick.filter(|attack| attack.problem.id.starts_with("median/"));
    programs
        .map(|a| rlvr_verdict::Attack::no_pass(slug(&a.name), renamed(&a.completion.text, &entry)))
        .collect()
}

/// The name of an attack as a check's.
fn slug(name: &str) -> String {
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

/// What the tests call: the task's entry point, else the first name that is called in an `assert`.
fn entry(task: &Task) -> Option<String> {
    if !task.entry.is_empty() {
        return Some(task.entry.clone());
    }
    let [_, code] = task.test_code();
    let asserted = code.lines().filter_map(|line| line.trim_start().strip_prefix("assert"));
    asserted.filter_map(called).find(|name| !WRAPPERS.contains(&&**name))
}

/// Names that tests call around what they test.
const WRAPPERS: [&str; 16] = [
    "abs",
    "all",
    "any",
    "dict",
    "float",
    "int",
    "isinstance",
    "len",
    "list",
    "round",
    "set",
    "sorted",
    "str",
    "sum",
    "tuple",
    "not",
];

/// The first name, perhaps with dots, before a parenthesis that is not one of [`WRAPPERS`].
fn called(line: &str) -> Option<String> {
    let named = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices('(').find_map(|(at, _)| {
        let start = line[..at]
            .rfind(|c| !named(c))
            .map_or(0, |i| i + line[i..].chars().next().map_or(1, char::len_utf8));
        let name = &line[start..at];
        let plain = name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !WRAPPERS.contains(&name);
        (plain && !line[..start].ends_with('.')).then(|| name.to_owned())
    })
}

/// A program that defines `median(numbers)` as one that defines what `entry` names, whatever its arguments.
fn renamed(program: &str, entry: &str) -> String {
    let (owner, name) = match entry.rsplit_once('.') {
        Some((owner, name)) => (Some(owner.trim_end_matches("()")), name),
        None => (None, entry),
    };
    let program = program.replace("def median(numbers", "def median(*numbers");
    let mut renamed = String::new();
    let mut rest = &*program;
    while let Some(at) = rest.find("median") {
        let (before, after) = (&rest[..at], &rest[at + "median".len()..]);
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let whole = !word(before.chars().next_back()) && !word(after.chars().next());
        renamed.extend([before, if whole { name } else { "median" }]);
        rest = after;
    }
    renamed.push_str(rest);
    if let Some(owner) = owner {
        renamed += &format!("\nclass {owner}:\n    {name} = staticmethod({name})\n");
    }
    renamed
}

/// Sections `=== name | target, target | exhausts` with a program each; without a target, the name is one.
fn read(text: &str) -> Vec<Attack> {
    let targets: BTreeMap<String, Target> =
        serde_json::from_str(TARGETS).expect("attacks/targets.json is part of this crate");
    let mut attacks = Vec::new();
    for section in text.strip_prefix("=== ").unwrap_or(text).split("\n=== ") {
        let (head, program) = section.split_once('\n').unwrap_or((section, ""));
        let (name, aims) = head.split_once('|').unwrap_or((head, head));
        let (aims, exhausts) = aims.split_once('|').map_or((aims, false), |(aims, _)| (aims, true));
        for aim in aims.split(',').map(str::trim) {
            let target = targets.get(aim).unwrap_or_else(|| panic!("attacks: there is no target {aim:?}"));
            let problem = Problem {
                id: format!("{aim}/{}", name.trim()),
                prompt: target.prompt.clone(),
                verifier: "python".into(),
                tests: Some(target.tests.clone()),
                ..Problem::default()
            };
            let completion = Completion::new(program);
            attacks.push(Attack { name: name.trim().to_owned(), problem, completion, exhausts });
        }
    }
    attacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_aimed_at_what_the_tests_call() {
        let task = |tests: Value| Task::read(&Problem { tests: Some(tests), ..Problem::default() }).unwrap();
        let asserts = |code: &str| task(serde_json::json!({ "kind": "asserts", "code": code }));
        assert_eq!(entry(&asserts("assert set(similar((1, 2))) == set((1,))")).unwrap(), "similar");
        assert_eq!(entry(&asserts("import math\nassert math.isclose(area(2), 4.0)")).unwrap(), "area");
        assert_eq!(entry(&asserts("x = 1\nassert x")), None);
        let method = task(
            serde_json::json!({ "kind": "calls", "entry": "Solution().total", "cases": [{ "args": [], "output": 1 }] }),
        );
        assert_eq!(
            renamed("def median(numbers): return median_of(median)", &method.entry),
            "def total(*numbers): return median_of(total)\nclass Solution:\n    total = staticmethod(total)\n"
        );
        assert!(on(&method).len() > 40 && on(&asserts("assert f(1) == 2")).len() > 40);
        let stdin = task(serde_json::json!({ "kind": "stdin", "cases": [{ "input": "", "output": "1" }] }));
        assert!(on(&stdin).len() > 3);
    }
}
