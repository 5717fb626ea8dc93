//! Text and tasks made from a seed: what a run needs to show the whole pipeline without any file.
//!
//! Item `i` of a generator is a function of `(name, parameters, seed, i)` alone. Every problem lies on one [`Split`]'s
//! side, which is decided by a hash of what it asks (its numbers and structure, in whatever words), so that documents
//! and training tasks share no problem with held-out ones, by construction.
//!
//! | name | documents | tasks |
//! | --- | --- | --- |
//! | `worked-math` | problems with worked solutions, some of them sloppy | |
//! | `math-tasks` | | the same problems, up to where the answer starts |
//! | `facts` | questions with choices and their answers | the same questions |
//! | `programs` | worked Python functions, some of them sloppy | the same functions, with calls as tests |
//! | `web` | plain sentences, the answer format, a few easy solved problems | |

mod facts;
mod math_tasks;
pub mod problems;
mod programs;
mod questions;
mod web;
mod worked_math;

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::data::config::Split;
use crate::data::error::{DataError, Place, suggestion};
use crate::data::keyed;
use crate::data::{Document, Row};

/// An endless series of documents.
pub trait Documents: Send + Sync {
    /// Document `index`.
    fn document(&self, index: u64) -> Document;
}

/// Endless series of task rows, one for each kind of problem, in which problems may come again.
pub trait Tasks: Send + Sync {
    /// The kinds, at least one.
    fn kinds(&self) -> Vec<Kind>;

    /// Candidate `index` of the kind of index `kind`.
    fn task(&self, kind: usize, index: u64) -> GeneratedTask;
}

/// A kind of problem, and its share of a task set relative to the others'.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// Its name.
    pub name: String,
    /// Above 0.
    pub weight: f64,
}

/// A task row, and what it asks.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedTask {
    /// Equal for tasks that ask the same in other words.
    pub key: String,
    /// The row's fields, without `id`.
    pub fields: Map<String, Value>,
}

/// The generators of documents.
pub const DOCUMENTS: [&str; 4] = ["worked-math", "facts", "programs", "web"];
/// The generators of tasks.
pub const TASKS: [&str; 3] = ["math-tasks", "facts", "programs"];

/// The generator of documents called `name`. `at` is the configuration's key, for messages.
///
/// # Errors
/// An unknown name, or parameters that the generator does not have or cannot use.
pub fn documents(
    at: &str,
    name: &str,
    params: &Map<String, Value>,
    seed: u64,
) -> Result<Box<dyn Documents>, DataError> {
    let key = keyed::key(&[seed, keyed::of_text(name), keyed::of_text("documents")]);
    let made: Result<Box<dyn Documents>, Wrong> = match name {
        "worked-math" => worked_math::WorkedMath::new(params, key).map(|made| Box::new(made) as _),
        "facts" => facts::Facts::new(params, key, Split::Train).map(|made| Box::new(made) as _),
        "programs" => programs::Programs::new(params, key, Split::Train).map(|made| Box::new(made) as _),
        "web" => web::Web::new(params, key).map(|made| Box::new(made) as _),
        _ => return Err(unknown(at, name, &DOCUMENTS, "documents")),
    };
    made.map_err(|wrong| wrong.at(at))
}

/// The generator of tasks called `name` on one side. `at` is the configuration's key, for messages.
///
/// # Errors
/// As for [`documents`].
pub fn tasks(
    at: &str,
    name: &str,
    params: &Map<String, Value>,
    seed: u64,
    split: Split,
) -> Result<Box<dyn Tasks>, DataError> {
    let side = if split == Split::Train { "train" } else { "held-out" };
    let key = keyed::key(&[seed, keyed::of_text(name), keyed::of_text(side)]);
    let made: Result<Box<dyn Tasks>, Wrong> = match name {
        "math-tasks" => math_tasks::MathTasks::new(params, key, split).map(|made| Box::new(made) as _),
        "facts" => facts::Facts::new(params, key, split).map(|made| Box::new(made) as _),
        "programs" => programs::Programs::new(params, key, split).map(|made| Box::new(made) as _),
        _ => return Err(unknown(at, name, &TASKS, "tasks")),
    };
    made.map_err(|wrong| wrong.at(at))
}

/// The first `count` rows of `tasks` that ask different things, each kind with its share of them, with ids such as `facts/12`.
///
/// # Errors
/// Where a kind has not so many.
pub fn distinct_rows(at: &str, name: &str, tasks: &dyn Tasks, count: u64) -> Result<Vec<Row>, DataError> {
    let kinds = tasks.kinds();
    let total: f64 = kinds.iter().map(|kind| kind.weight).sum();
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    // Of each kind: rows made, and candidates looked at.
    let mut made = vec![(0u64, 0u64); kinds.len()];
    while (rows.len() as u64) < count {
        let turn = |kind: usize| (made[kind].0 + 1) as f64 / kinds[kind].weight;
        let kind = (0..kinds.len()).min_by(|a, b| turn(*a).total_cmp(&turn(*b))).unwrap_or(0);
        let (had, index) = &mut made[kind];
        // Many candidates without a new problem: those that are left are few, if any.
        let new = (*index..*index + 10_000)
            .map(|i| (i, tasks.task(kind, i)))
            .find(|(_, task)| !seen.contains(&task.key));
        let Some((found, task)) = new else {
            let Kind { name: kind, weight } = &kinds[kind];
            let problem = format!(
                "is {count}, of which `{kind}` has the share {:.2}, but there are hardly more than {had} different \
                 problems of that kind with these params: lower `count` or the weight, or raise `digits` or `largest` \
                 where the generator has them",
                weight / total
            );
            return Err(DataError::config(format!("{at}.count"), problem));
        };
        (*had, *index) = (*had + 1, found + 1);
        seen.insert(task.key);
        let number = rows.len() + 1;
        let mut fields = Map::from_iter([("id".to_string(), format!("{name}/{number}").into())]);
        fields.extend(task.fields);
        rows.push(Row { place: Place { file: PathBuf::from(name), line: number }, fields });
    }
    Ok(rows)
}

/// What is wrong with a generator's parameters.
#[derive(Debug)]
struct Wrong {
    /// The parameter, as a dotted key; empty for all of them.
    key: String,
    problem: String,
}

impl Wrong {
    fn new(key: &str, problem: impl Into<String>) -> Self {
        Wrong { key: key.to_owned(), problem: problem.into() }
    }

    /// The error of the generator that stands under `at`.
    fn at(self, at: &str) -> DataError {
        let dot = if self.key.is_empty() { "" } else { "." };
        DataError::config(format!("{at}.params{dot}{}", self.key), self.problem)
    }
}

/// Refuses parameters that a generator does not have.
fn known(params: &Map<String, Value>, names: &[&str]) -> Result<(), Wrong> {
    match params.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => {
            Err(Wrong::new(key, format!("is no parameter here; {}", suggestion(key, names.iter().copied()))))
        }
        None => Ok(()),
    }
}

fn unknown(at: &str, name: &str, known: &[&str], of: &str) -> DataError {
    let problem = format!("is `{name}`, which makes no {of}; {}", suggestion(name, known.iter().copied()));
    DataError::config(format!("{at}.generator"), problem)
}

/// Which side a problem is on: one in four is held out.
fn side_of(key: &str) -> Split {
    if keyed::of_text(key).is_multiple_of(4) { Split::HeldOut } else { Split::Train }
}

/// Takes a share in 0..=1 from `params`; without it, `default`.
fn take_share(params: &mut Map<String, Value>, name: &str, default: f64) -> Result<f64, Wrong> {
    match params.shift_remove(name) {
        None => Ok(default),
        Some(value) => (value.as_f64().filter(|share| (0.0..=1.0).contains(share)))
            .ok_or_else(|| Wrong::new(name, format!("is {value}; a share in 0 to 1 is right"))),
    }
}

#[cfg(test)]
mod tests;
