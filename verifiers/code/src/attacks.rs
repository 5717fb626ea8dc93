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

/// Sections `=== name | target, target` with a program each; without a target, the name is one.
fn read(text: &str) -> Vec<Attack> {
    let targets: BTreeMap<String, Target> =
        serde_json::from_str(TARGETS).expect("attacks/targets.json is part of this crate");
    let mut attacks = Vec::new();
    for section in text.strip_prefix("=== ").unwrap_or(text).split("\n=== ") {
        let (head, program) = section.split_once('\n').unwrap_or((section, ""));
        let (name, aims) = head.split_once('|').unwrap_or((head, head));
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
            attacks.push(Attack { name: name.trim().to_owned(), problem, completion });
        }
    }
    attacks
}
