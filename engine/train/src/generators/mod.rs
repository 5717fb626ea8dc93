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

use serde::de::DeserializeOwned;
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

/// An endless series of task rows, in which problems may come again.
pub trait Tasks: Send + Sync {
    /// Candidate `index`.
    fn task(&self, index: u64) -> GeneratedTask;
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
    let made: Result<Box<dyn Documents>, String> = match name {
        "worked-math" => worked_math::WorkedMath::new(params, key).map(|made| Box::new(made) as _),
        "facts" => facts::Facts::new(params, key, Split::Train).map(|made| Box::new(made) as _),
        "programs" => programs::Programs::new(params, key, Split::Train).map(|made| Box::new(made) as _),
        "web" => web::Web::new(params, key).map(|made| Box::new(made) as _),
        _ => return Err(unknown(at, name, &DOCUMENTS, "documents")),
    };
    made.map_err(|problem| DataError::config(format!("{at}.params"), problem))
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
    let made: Result<Box<dyn Tasks>, String> = match name {
        "math-tasks" => math_tasks::MathTasks::new(params, key, split).map(|made| Box::new(made) as _),
        "facts" => facts::Facts::new(params, key, split).map(|made| Box::new(made) as _),
        "programs" => programs::Programs::new(params, key, split).map(|made| Box::new(made) as _),
        _ => return Err(unknown(at, name, &TASKS, "tasks")),
    };
    made.map_err(|problem| DataError::config(format!("{at}.params"), problem))
}

/// The first `count` rows of `tasks` that ask different things, with ids such as `facts/12`.
///
/// # Errors
/// Where there are not so many.
pub fn distinct_rows(at: &str, name: &str, tasks: &dyn Tasks, count: u64) -> Result<Vec<Row>, DataError> {
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    // Many candidates without a new problem: those that are left are few, if any.
    let (mut index, mut since_new) = (0, 0);
    while (rows.len() as u64) < count {
        let task = tasks.task(index);
        index += 1;
        since_new += 1;
        if seen.insert(task.key) {
            since_new = 0;
            let number = rows.len() + 1;
            let mut fields = Map::from_iter([("id".to_string(), format!("{name}/{number}").into())]);
            fields.extend(task.fields);
            rows.push(Row { place: Place { file: PathBuf::from(name), line: number }, fields });
        } else if since_new > 10_000 {
            let problem = format!(
                "is {count}, but `{name}` has hardly more than {} different problems with these params: lower it, or \
                 raise `digits` or `largest` where the generator has them",
                rows.len()
            );
            return Err(DataError::config(format!("{at}.count"), problem));
        }
    }
    Ok(rows)
}

fn unknown(at: &str, name: &str, known: &[&str], of: &str) -> DataError {
    let problem =
        format!("no generator of {of} is called `{name}`; {}", suggestion(name, known.iter().copied()));
    DataError::config(format!("{at}.generator"), problem)
}

/// Which side a problem is on: one in eight is held out.
fn side_of(key: &str) -> Split {
    if keyed::of_text(key).is_multiple_of(8) { Split::HeldOut } else { Split::Train }
}

/// Takes parameter `name` from `params`; without it, `default`.
fn take<T: DeserializeOwned>(params: &mut Map<String, Value>, name: &str, default: T) -> Result<T, String> {
    match params.shift_remove(name) {
        Some(value) => serde_json::from_value(value).map_err(|error| format!("`{name}`: {error}")),
        None => Ok(default),
    }
}

/// Takes a share in 0..=1 from `params`.
fn take_share(params: &mut Map<String, Value>, name: &str, default: f64) -> Result<f64, String> {
    let share = take(params, name, default)?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(format!("`{name}` is {share}; a share is in 0 to 1"))
    }
}

#[cfg(test)]
mod tests;
