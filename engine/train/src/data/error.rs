//! What can be wrong with data, said with the file, the line, the field and what would be right.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use rlvr_verdict::tasks::Place;
use thiserror::Error;

/// What is wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {}{problem}", .field.as_ref().map(|name| format!("field `{name}`: ")).unwrap_or_default())]
pub struct RowError {
    /// The row.
    pub place: Place,
    /// The field, where it is one.
    pub field: Option<String>,
    /// What is wrong and what would be right.
    pub problem: String,
    /// What the row's verifier lacks, where nothing else is wrong.
    pub lacks: Option<String>,
}

impl RowError {
    pub(crate) fn row(place: &Place, problem: impl Into<String>) -> Self {
        Self { place: place.clone(), field: None, problem: problem.into(), lacks: None }
    }

    pub(crate) fn field(place: &Place, field: &str, problem: impl Into<String>) -> Self {
        Self { field: Some(field.to_string()), ..Self::row(place, problem) }
    }
}

/// Why data cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// The system refused to read a file or folder.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file as a whole is not what it should be.
    #[error("{path}: {problem}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A row is not what it should be.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Rows of a task set are not what they should be.
    #[error("{}", listed(.name, .errors, *.more, .lacking))]
    Rows {
        /// The task set.
        name: String,
        /// The first of them, at most [`MOST_ERRORS`].
        errors: Vec<RowError>,
        /// How many more there are.
        more: usize,
        /// Of all of them, those that need what their verifier lacks.
        lacking: Lacking,
    },
    /// A table of the configuration does not make sense.
    #[error("{at}: {problem}")]
    Config {
        /// The key, such as `sources.web.template`.
        at: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Every source of a mixture has spent its budget.
    #[error(
        "the mixture is exhausted after {drawn} tokens: every domain has spent its budget; give one of them a weight \
         without `tokens`, raise the budgets, or train for fewer steps"
    )]
    Exhausted {
        /// Tokens drawn in all.
        drawn: u64,
    },
    /// The state that a mixture should go on from is another mixture's.
    #[error("the data of the checkpoint does not fit the configuration: {problem}")]
    State {
        /// What differs and what would be right.
        problem: String,
    },
    /// The tokenizer could not write a text as ids.
    #[error(transparent)]
    Tokenizer(#[from] rlvr_model::tokenizer::TokenizerError),
}

/// As many errors of a task set are listed.
pub const MOST_ERRORS: usize = 20;

impl From<rlvr_verdict::tasks::RowError> for RowError {
    fn from(error: rlvr_verdict::tasks::RowError) -> Self {
        Self { place: error.place, field: Some(error.field), problem: error.problem, lacks: None }
    }
}

impl DataError {
    pub(crate) fn config(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { at: at.into(), problem: problem.into() }
    }
}

/// Rows of a task set that need what their verifier does not have, such as a module of Python.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Rows of the set that were read, these included.
    pub rows: usize,
    /// How many of them lack what.
    pub counts: BTreeMap<String, usize>,
}

impl Lacking {
    /// How many rows they are.
    pub fn total(&self) -> usize {
        self.counts.values().sum()
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: Vec<(&String, &usize)> = self.counts.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        let (total, rows) = (self.total(), self.rows);
        write!(f, "{total} of {rows} tasks need modules that the sandbox lacks ({})", counts.join(", "))
    }
}

fn listed(name: &str, errors: &[RowError], more: usize, lacking: &Lacking) -> String {
    let mut lines = vec![format!("task set `{name}`: {} of its rows cannot be used", errors.len() + more)];
    lines.extend(errors.iter().map(|error| format!("  {error}")));
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    if lacking.total() > 0 {
        lines.push(format!("{lacking}; unsupported = \"skip\" in [tasks.{name}] leaves them out"));
    }
    lines.join("\n")
}

/// The likeliest of `known` for a name that is not among them, or what there is.
pub(crate) fn suggestion<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(name) = rlvr_verdict::nearest(given, known.iter().copied()) {
        return format!("did you mean `{name}`?");
    }
    let names: Vec<String> = known.iter().take(12).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "there is none".to_string(),
        some => format!("there is {}{}", names.join(", "), if known.len() > some { ", ..." } else { "" }),
    }
}
