//! Rows of task sets: a JSON object becomes a [`Problem`], and a [`Completion`] where the row has one.

use crate::{Completion, Message, Problem};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The fields that rows have of their own; all others are kept in [`Problem::extra`].
pub const FIELDS: [&str; 8] =
    ["id", "prompt", "verifier", "answer", "choices", "tests", "tags", "completion"];

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its line, or row in files without lines, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: field `{field}`: {problem}")]
pub struct RowError {
    /// Where.
    pub place: Place,
    /// Which field, in the row's own name.
    pub field: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// Our field names mapped to the row's column names; those not named stand for themselves.
pub type ColumnMap = BTreeMap<String, String>;

/// A row as a problem, and its completion if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRow {
    /// The task.
    pub problem: Problem,
    /// The field `completion`: a scored sample.
    pub completion: Option<Completion>,
}

/// Reads a row. `verifier` stands in for rows without that field; rows without an `id` are called `FILE:LINE` by their file's name.
///
/// # Errors
/// A field that is missing or of the wrong type, by its name in the row.
pub fn read_row(
    row: Map<String, Value>,
    place: &Place,
    map: &ColumnMap,
    verifier: Option<&str>,
) -> Result<TaskRow, RowError> {
    let mut row = Fields { row, place, map };
    let id = match row.take("id") {
        None => format!("{}:{}", place.file.file_name().unwrap_or_default().to_string_lossy(), place.line),
        Some(Value::String(id)) => id,
        Some(Value::Number(id)) => id.to_string(),
        Some(other) => return Err(row.wrong("id", "a string or a number", &other)),
    };
    let (prompt, messages) = match row.take("prompt") {
        // a scored sample may come without what was asked
        None if row.has("completion") => (String::new(), Vec::new()),
        None => return Err(row.error("prompt", "is missing; a string or a list of chat messages is right")),
        Some(Value::String(prompt)) => (prompt, Vec::new()),
        Some(list @ Value::Array(_)) => {
            let messages: Vec<Message> = serde_json::from_value(list.clone()).map_err(|_| {
                row.wrong("prompt", "a string or a list of {\"role\", \"content\"} messages", &list)
            })?;
            let last = messages.iter().rfind(|m| m.role == "user");
            let last = last.ok_or_else(|| row.error("prompt", "has no message of the role \"user\""))?;
            (last.content.clone(), messages)
        }
        Some(other) => return Err(row.wrong("prompt", "a string or a list of chat messages", &other)),
    };
    let verifier = match row.text("verifier")? {
        Some(name) => name,
        None => verifier
            .map(str::to_owned)
            .ok_or_else(|| row.error("verifier", "is missing; name one in the row or for the whole file"))?,
    };
    let answer = match row.take("answer") {
        None | Some(Value::Null) => None,
        Some(Value::String(answer)) => Some(answer),
        Some(Value::Number(answer)) => Some(answer.to_string()),
        Some(Value::Bool(answer)) => Some(answer.to_string()),
        Some(other) => return Err(row.wrong("answer", "a string or a number", &other)),
    };
    let completion = match row.take("completion") {
        None => None,
        Some(Value::String(text)) => Some(Completion::new(text)),
        Some(object @ Value::Object(_)) => Some(serde_json::from_value(object.clone()).map_err(|_| {
            row.wrong("completion", "a string or {\"text\", \"truncated\", \"tokens\"}", &object)
        })?),
        Some(other) => return Err(row.wrong("completion", "a string", &other)),
    };
    let (choices, tags) = (row.texts("choices")?, row.texts("tags")?);
    let tests = row.take("tests").filter(|t| !t.is_null());
    let problem = Problem { id, prompt, messages, verifier, answer, choices, tests, tags, extra: row.row };
    Ok(TaskRow { problem, completion })
}

/// The ids of a task set, each with its place: finds the ones that come twice.
#[derive(Clone, Debug, Default)]
pub struct Ids(BTreeMap<String, Place>);

impl Ids {
    /// Notes the id of the row at `place`, whose column for ids is `column`.
    ///
    /// # Errors
    /// When another row has it.
    pub fn insert(&mut self, id: &str, place: &Place, column: &str) -> Result<(), RowError> {
        if let Some(first) = self.0.get(id) {
            let problem = format!("{id:?} is the id of {first} as well; each row needs its own");
            return Err(RowError { place: place.clone(), field: column.to_owned(), problem });
        }
        self.0.insert(id.to_owned(), place.clone());
        Ok(())
    }
}

struct Fields<'a> {
    row: Map<String, Value>,
    place: &'a Place,
    map: &'a ColumnMap,
}

impl Fields<'_> {
    fn column<'s>(&'s self, field: &'s str) -> &'s str {
        self.map.get(field).map_or(field, String::as_str)
    }

    fn has(&self, field: &str) -> bool {
        self.row.contains_key(self.column(field))
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        let column = self.column(field).to_owned();
        self.row.shift_remove(&column)
    }

    fn text(&mut self, field: &str) -> Result<Option<String>, RowError> {
        match self.take(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(field, "a string", &other)),
        }
    }

    fn texts(&mut self, field: &str) -> Result<Vec<String>, RowError> {
        match self.take(field) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => (items.iter())
                .map(|item| match item {
                    Value::String(text) => Ok(text.clone()),
                    Value::Number(number) => Ok(number.to_string()),
                    other => Err(self.wrong(field, "a list of strings", other)),
                })
                .collect(),
            Some(other) => Err(self.wrong(field, "a list of strings", &other)),
        }
    }

    fn error(&self, field: &str, problem: &str) -> RowError {
        let field = self.column(field).to_owned();
        RowError { place: self.place.clone(), field, problem: problem.to_owned() }
    }

    fn wrong(&self, field: &str, right: &str, found: &Value) -> RowError {
        let found = found.to_string();
        let short: String = found.chars().take(60).collect();
        let dots = if short.len() < found.len() { "..." } else { "" };
        self.error(field, &format!("is {short}{dots}; {right} is right"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: Value, map: &[(&str, &str)], verifier: Option<&str>) -> Result<TaskRow, String> {
        let place = Place { file: "dir/rows.jsonl".into(), line: 3 };
        let map = map.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        read_row(row.as_object().unwrap().clone(), &place, &map, verifier).map_err(|e| e.to_string())
    }

    #[test]
    fn a_row_of_the_design_is_read_and_other_columns_are_kept() {
        let row = serde_json::json!({"id": "gsm8k/test/0", "prompt": "Janet's ducks", "verifier": "math", "answer": 18,
                                     "tags": ["math"], "level": 5});
        let problem = read(row, &[], None).unwrap().problem;
        assert_eq!((problem.id.as_str(), problem.answer.as_deref()), ("gsm8k/test/0", Some("18")));
        assert_eq!((problem.tags, problem.extra["level"].as_i64()), (vec!["math".to_owned()], Some(5)));
    }

    #[test]
    fn columns_are_mapped_and_the_error_names_the_rows_own_column() {
        let row = serde_json::json!({"gold": "4", "pred": "It is 4"});
        let map = [("answer", "gold"), ("completion", "pred")];
        let got = read(row, &map, Some("math")).unwrap();
        assert_eq!(got.completion.unwrap().text, "It is 4");
        assert_eq!((got.problem.id.as_str(), got.problem.answer.as_deref()), ("rows.jsonl:3", Some("4")));
        let error = read(serde_json::json!({"gold": ["4"], "pred": ""}), &map, Some("math")).unwrap_err();
        assert_eq!(error, "dir/rows.jsonl:3: field `gold`: is [\"4\"]; a string or a number is right");
    }

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        let error = read(serde_json::json!({"question": "?"}), &[], Some("math")).unwrap_err();
        assert!(error.contains("dir/rows.jsonl:3: field `prompt`: is missing"), "{error}");
        let error = read(serde_json::json!({"prompt": "?"}), &[], None).unwrap_err();
        assert!(error.contains("`verifier`: is missing"), "{error}");
    }

    #[test]
    fn an_id_that_comes_twice_is_found_with_both_places() {
        let place = |line| Place { file: "rows.jsonl".into(), line };
        let mut ids = Ids::default();
        ids.insert("a", &place(1), "id").unwrap();
        ids.insert("b", &place(2), "id").unwrap();
        let error = ids.insert("a", &place(9), "id").unwrap_err().to_string();
        assert_eq!(
            error,
            "rows.jsonl:9: field `id`: \"a\" is the id of rows.jsonl:1 as well; each row needs its own"
        );
    }

    #[test]
    fn a_chat_is_kept_whole_and_its_last_user_message_is_the_prompt() {
        let chat = serde_json::json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"}]);
        let problem = read(serde_json::json!({"prompt": chat}), &[], Some("math")).unwrap().problem;
        assert_eq!((problem.prompt.as_str(), problem.messages.len()), ("2+2?", 2));
    }
}
