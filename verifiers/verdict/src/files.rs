//! Verifiers that are files of their user's: how suites, configs, rows and flags name them.
//!
//! A table names one by a key of its own, `{ python = "my_reward.py" }` or `{ wasm = "my_verifier.wasm" }`, in place of `kind`; a
//! name that is a path by its ending, `my_reward.py`. The kind's constructor gets the path under that key.

use serde_json::{Map, Value, json};
use std::path::Path;

/// A kind of verifier that is made from a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKind {
    /// The key of the file in a table.
    pub key: &'static str,
    /// How names of such files end.
    pub ending: &'static str,
    /// The kind in the registry.
    pub kind: &'static str,
}

/// All of them.
pub const FILE_KINDS: [FileKind; 2] = [
    FileKind { key: "python", ending: ".py", kind: "python_file" },
    FileKind { key: "wasm", ending: ".wasm", kind: "wasm" },
];

impl FileKind {
    /// The kind of the file that a verifier's name is, if it is one.
    pub fn of_name(name: &str) -> Option<FileKind> {
        FILE_KINDS.into_iter().find(|file| name.len() > file.ending.len() && name.ends_with(file.ending))
    }

    /// The name of a verifier that `file` names: a path is seen from that file's folder, any other name stays.
    pub fn beside(name: &str, file: &Path) -> String {
        let folder = file.parent().filter(|_| FileKind::of_name(name).is_some());
        folder.map_or_else(|| name.to_owned(), |folder| folder.join(name).to_string_lossy().into_owned())
    }

    /// The kind whose key a table has, after making its path one that is seen from `folder`.
    ///
    /// # Errors
    /// A path that is no text, or a `kind` that says otherwise.
    pub fn of_table(table: &mut Map<String, Value>, folder: &Path) -> Result<Option<FileKind>, String> {
        let Some(file) = FILE_KINDS.into_iter().find(|file| table.contains_key(file.key)) else {
            return Ok(None);
        };
        let FileKind { key, ending, kind } = file;
        if let Some(other) = table.get("kind").filter(|other| **other != kind) {
            return Err(format!(
                "has both `kind`, {other}, and `{key}`, which names a file; one of them is right"
            ));
        }
        let Some(path) = table[key].as_str().filter(|path| !path.is_empty()) else {
            return Err(format!(
                "its `{key}` is {}; a path such as \"my_reward{ending}\" is right",
                table[key]
            ));
        };
        table[key] = json!(folder.join(path));
        Ok(Some(file))
    }

    /// Settings with the path of the file, seen from `folder`.
    pub fn settings(self, name: &str, folder: &Path, settings: &Value) -> Value {
        let mut table = settings.as_object().cloned().unwrap_or_default();
        table.insert(self.key.to_owned(), json!(folder.join(name)));
        Value::Object(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_with_the_key_of_a_file_is_of_its_kind_and_its_path_is_seen_from_the_folder() {
        let mut table = json!({"python": "a.py", "function": "f"}).as_object().cloned().unwrap();
        let file = FileKind::of_table(&mut table, Path::new("/x")).unwrap().unwrap();
        assert_eq!(
            (file.kind, &table["python"], &table["function"]),
            ("python_file", &json!("/x/a.py"), &json!("f"))
        );
        let mut table = json!({"kind": "math"}).as_object().cloned().unwrap();
        assert_eq!(FileKind::of_table(&mut table, Path::new("/x")), Ok(None));
    }

    #[test]
    fn a_table_that_names_a_kind_and_a_file_or_a_path_that_is_none_is_refused() {
        for (table, told) in [
            (json!({"python": "a.py", "kind": "math"}), "both `kind`"),
            (json!({"python": 3}), "`python` is 3"),
        ] {
            let error = FileKind::of_table(&mut table.as_object().cloned().unwrap(), Path::new(""));
            assert!(error.clone().unwrap_err().contains(told), "{error:?}");
        }
    }

    #[test]
    fn a_name_with_the_ending_of_a_file_is_one() {
        assert_eq!(FileKind::of_name("rewards/mine.py").map(|file| file.kind), Some("python_file"));
        assert_eq!(FileKind::of_name("mine.wasm").map(|file| file.key), Some("wasm"));
        assert_eq!(FileKind::of_name("python"), None);
        assert_eq!(FileKind::of_name(".py"), None);
    }
}
