//! Settings as users write them: what is wrong with them is said with the key and what would be right.
//!
//! Serde speaks to programmers ("unknown field `extrct`, expected `extract` or `flags`"); [`read`] says the same to
//! users, with the nearest right name.

use crate::registry::nearest;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// What is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The dotted key; empty for the settings as a whole.
    pub key: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.problem),
            key => write!(f, "`{key}` {}", self.problem),
        }
    }
}

impl std::error::Error for SettingError {}

impl From<String> for SettingError {
    fn from(problem: String) -> Self {
        Self { key: String::new(), problem }
    }
}

/// The settings as a struct.
///
/// # Errors
/// A key that is unknown, missing or of the wrong type, or an unknown choice.
pub fn read<T: DeserializeOwned>(settings: Value) -> Result<T, SettingError> {
    serde_path_to_error::deserialize(settings).map_err(|error| {
        let path = error.path().to_string();
        let Reworded { key, problem } = reworded(&error.inner().to_string());
        let within = if path == "." { "" } else { &path };
        let key = match key {
            // the path may end with the key or with the table that it is in
            Some(key) if within.rsplit('.').next() != Some(&key) => {
                let dot = if within.is_empty() { "" } else { "." };
                format!("{within}{dot}{key}")
            }
            _ => within.to_owned(),
        };
        SettingError { key, problem }
    })
}

/// One of serde's messages in users' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reworded {
    /// The key that the message itself names.
    pub key: Option<String>,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// Says in users' words what a deserialiser says of a value.
pub fn reworded(message: &str) -> Reworded {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let first = quoted.next().unwrap_or_default().to_owned();
    let choices: Vec<&str> = quoted.collect();
    let of_value = |kind: &str| message.strip_prefix(kind).and_then(|rest| rest.split_once(", expected "));
    let (key, problem) = if message.starts_with("unknown field") {
        let problem = format!("is no key here; {}", remedy(&first, "keys", choices));
        (Some(first), problem)
    } else if message.starts_with("missing field") {
        (Some(first), "is missing".to_owned())
    } else if message.starts_with("unknown variant") {
        (None, format!("is \"{first}\"; {}", remedy(&first, "possible", choices)))
    } else if let Some((found, expected)) = of_value("invalid type: ").or_else(|| of_value("invalid value: "))
    {
        (None, format!("is {found}; {} is right", in_words(expected)))
    } else {
        (None, message.to_owned())
    };
    Reworded { key, problem }
}

/// What to write instead of `name`: the nearest candidate, or all of them, which are `what`.
pub fn remedy<'a>(name: &str, what: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = candidates.into_iter().collect();
    match nearest(name, all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if all.is_empty() => format!("there are no {what} here"),
        None => format!("{what}: {}", all.join(", ")),
    }
}

/// What a type that serde names is called in settings.
fn in_words(expected: &str) -> &str {
    match expected {
        "f32" | "f64" => "a number",
        "u8" => "a whole number, 0 to 255,",
        "u16" => "a whole number, 0 to 65535,",
        "u32" => "a whole number, 0 to 4294967295,",
        "u64" | "usize" => "a whole number, 0 or more,",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "a boolean" => "true or false",
        "path string" => "a path in quotes",
        other => other.strip_prefix("struct ").map_or(other, |_| "a table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[allow(dead_code, reason = "only its reading is tested")]
        most: usize,
        #[allow(dead_code, reason = "only its reading is tested")]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code, reason = "only its reading is tested")]
        kind: Kind,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Search,
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key_and_the_nearest_right_name() {
        for (settings, told) in [
            (json!({"mots": 3}), "`mots` is no key here; did you mean `most`?"),
            (json!({"most": 3, "zzz": 1}), "`zzz` is no key here; keys: most, inner"),
            (json!({"inner": null}), "`most` is missing"),
            (json!({"most": "5"}), "`most` is string \"5\"; a whole number, 0 or more, is right"),
            (json!({"most": -1}), "`most` is integer `-1`; a whole number, 0 or more, is right"),
            (json!({"most": 1, "inner": {"kin": 1}}), "`inner.kin` is no key here; did you mean `kind`?"),
            (json!({"most": 1, "inner": {}}), "`inner.kind` is missing"),
            (
                json!({"most": 1, "inner": {"kind": "serch"}}),
                "`inner.kind` is \"serch\"; did you mean `search`?",
            ),
        ] {
            assert_eq!(read::<Settings>(settings.clone()).unwrap_err().to_string(), told, "{settings}");
        }
    }
}
