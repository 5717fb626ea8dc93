//! Rows of a file become jobs for a verifier.

use crate::commands::wrong;
use rlvr_verdict::tasks::{ColumnMap, Place, TaskRow, read_row};
use rlvr_verdict::{FileKind, Job, ProblemError, Registry, RegistryError, Verifier};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

/// How rows become jobs.
pub struct Rows<'a> {
    map: ColumnMap,
    /// The verifier of rows that name none.
    default: Option<String>,
    registry: &'a Registry,
    config: Value,
    /// Verifiers by name, each made once.
    made: HashMap<String, Arc<dyn Verifier>>,
}

impl<'a> Rows<'a> {
    /// Rows whose columns are mapped and whose verifiers have this configuration.
    pub fn new(map: ColumnMap, default: Option<String>, registry: &'a Registry, config: Value) -> Self {
        Rows { map, default, registry, config, made: HashMap::new() }
    }

    /// The row's job. The error says where, which field, and what would be right.
    pub fn read(&mut self, line: &[u8], place: &Place) -> Result<Job, String> {
        if let Err(error) = std::str::from_utf8(line) {
            return Err(format!("{place}: {error}; UTF-8 text is right"));
        }
        let row: Map<String, Value> = rlvr_verdict::read_json(line)
            .map_err(|e| format!("{place}: {e}; a JSON object a line is right"))?;
        let column = self.map.get("completion").map_or("completion", String::as_str);
        let missing =
            format!("{place}: field `{column}`: is missing; the text that is to be judged is right");
        if !row.contains_key(column) {
            return Err(missing);
        }
        let TaskRow { mut problem, completion } =
            read_row(row, place, &self.map, self.default.as_deref()).map_err(|e| e.to_string())?;
        let completion = completion.ok_or(missing)?;
        if self.default.as_ref() != Some(&problem.verifier) {
            problem.verifier = FileKind::beside(&problem.verifier, &place.file);
        }
        let verifier = self.verifier(&problem.verifier).map_err(|e| format!("{place}: {e}"))?;
        verifier.check(&problem).map_err(|error| {
            let ProblemError { field, problem, remedy, .. } = error;
            format!("{place}: field `{}`: {problem}; {remedy}", self.map.get(&field).unwrap_or(&field))
        })?;
        Ok(Job { verifier, problem: Arc::new(problem), completion: Arc::new(completion), sample: 0 })
    }

    /// A verifier that has judged nothing yet.
    pub fn fresh(&self, name: &str) -> Result<Arc<dyn Verifier>, RegistryError> {
        self.registry.make(name, &self.config)
    }

    /// The verifier of this name.
    pub fn verifier(&mut self, name: &str) -> Result<Arc<dyn Verifier>, RegistryError> {
        if let Some(verifier) = self.made.get(name) {
            return Ok(verifier.clone());
        }
        let verifier = self.fresh(name)?;
        self.made.insert(name.to_owned(), verifier.clone());
        Ok(verifier)
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Calls `each` with every line that is not blank, and its number from 1.
///
/// # Errors
/// A file that cannot be read, and what `each` returns.
pub fn for_each_line(
    path: &Path,
    mut each: impl FnMut(&[u8], &Place) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
        Box::new(BufReader::with_capacity(1 << 16, file))
    };
    let mut place = Place { file: path.to_owned(), line: 0 };
    let mut line = Vec::new();
    loop {
        line.clear();
        // a folder, or a disk that fails: there is no next line
        let read = reader.read_until(b'\n', &mut line);
        if read.map_err(|e| wrong(format!("{}: cannot be read: {e}", path.display())))? == 0 {
            return Ok(());
        }
        place.line += 1;
        let text = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line).trim_ascii();
        if !text.is_empty() {
            each(text, &place)?;
        }
    }
}
