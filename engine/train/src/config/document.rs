//! A config's text as a tree in which every value still knows where it was written.
//!
//! Values come from the file, from `--set` and, for stages, from `[defaults.KIND]`. They are merged here, before they
//! get types, and keep the place they came from, so that an error found at any later point can name it. To that end
//! all texts lie behind one another in one space of byte offsets: a span says which text and where in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::{Problem, remedy};

/// A value with its place.
type Value<'t> = Spanned<DeValue<'t>>;

/// Where a key leads from a root: table keys, and indices of arrays as decimal numbers.
pub(super) type Path<'a> = &'a [&'a str];

/// One of the texts that values come from.
struct Text<'t> {
    /// Its first byte in the common space of offsets.
    start: usize,
    /// The file's path, or the whole `--set` argument.
    name: String,
    /// The contents; empty for a `--set` argument, in which no line and column are told.
    contents: &'t str,
}

/// The merged tree.
pub(super) struct Document<'t> {
    root: Value<'t>,
    texts: Vec<Text<'t>>,
    folder: PathBuf,
}

impl<'t> Document<'t> {
    /// Parses the text of a file in `folder`.
    pub(super) fn parse(name: &str, contents: &'t str, folder: &std::path::Path) -> Result<Self, Problem> {
        let text = Text { start: 0, name: name.to_owned(), contents };
        let root = Spanned::new(0..0, DeValue::Table(DeTable::new()));
        let mut document = Self { root, texts: vec![text], folder: folder.to_path_buf() };
        match DeTable::parse(contents) {
            Ok(table) => {
                document.root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
                Ok(document)
            }
            Err(error) => {
                let at = document.place(error.span().unwrap_or(0..0));
                Err(Problem { at, key: String::new(), what: format!("no TOML: {}", error.message()) })
            }
        }
    }

    /// Sets a key from a `KEY=VALUE` argument; the value is TOML, or a string where it is none.
    ///
    /// The key is dotted (`"quotes"` protect a dot); after `stage.` stands a stage's name, elsewhere in arrays an
    /// index. Tables on the way are made.
    pub(super) fn set(&mut self, argument: &'t str) -> Result<(), Problem> {
        let name = format!("--set {argument}");
        let wrong = |what: String| Problem { at: name.clone(), key: String::new(), what };
        let (key, value) = argument
            .split_once('=')
            .ok_or_else(|| wrong("no `=` in it; `--set key=value` is right".to_owned()))?;
        let keys = split_key(key.trim());
        if keys.iter().any(|key| key.is_empty()) {
            return Err(wrong("an empty key; `--set stage.mid.steps=100` is right".to_owned()));
        }
        let last = self.texts.last().map_or(0, |text| text.start + text.contents.len().max(1));
        let span = last..last + 1;
        let value = match DeValue::parse(value.trim()) {
            Ok(value) => replaced(value.into_inner(), &span),
            Err(_) => Spanned::new(span.clone(), DeValue::String(Cow::Borrowed(value.trim()))),
        };
        self.texts.push(Text { start: last, name: name.clone(), contents: "" });
        let (leaf, way) = keys.split_last().ok_or_else(|| wrong("an empty key".to_owned()))?;
        let mut here = &mut self.root;
        for (depth, key) in way.iter().enumerate() {
            let in_stages = depth == 1 && way[0] == "stage";
            here = match here.get_mut() {
                DeValue::Table(table) => {
                    let key = Spanned::new(span.clone(), Cow::Owned(key.clone()));
                    let empty = || Spanned::new(span.clone(), DeValue::Table(DeTable::new()));
                    table.entry(key).or_insert_with(empty)
                }
                DeValue::Array(items) => {
                    let index = if in_stages { stage_index(items, key) } else { key.parse().ok() };
                    let names: Vec<String> = match in_stages {
                        true => items.iter().filter_map(stage_name).map(str::to_owned).collect(),
                        false => (0..items.len()).map(|index| index.to_string()).collect(),
                    };
                    index.and_then(|index| items.get_mut(index)).ok_or_else(|| {
                        let what = if in_stages { "stages" } else { "indices" };
                        let remedy = remedy(key, what, names.iter().map(String::as_str));
                        wrong(format!("there is no `{}` here; {remedy}", keys[..=depth].join(".")))
                    })?
                }
                _ => return Err(wrong(format!("`{}` is no table", keys[..depth].join(".")))),
            };
        }
        match here.get_mut() {
            DeValue::Table(table) => {
                // Taken out first: a map that finds the key keeps the old one, with the old place.
                table.remove(leaf.as_str());
                table.insert(Spanned::new(span, Cow::Owned(leaf.clone())), value);
                Ok(())
            }
            DeValue::Array(items) => {
                let item = leaf.parse().ok().and_then(|index: usize| items.get_mut(index));
                let item =
                    item.ok_or_else(|| wrong(format!("`{leaf}` is no index of an item of this array")))?;
                *item = value;
                Ok(())
            }
            _ => Err(wrong(format!("`{}` is no table", way.join(".")))),
        }
    }

    /// Fills each stage's table from `[defaults.KIND]`, and its `eval` from `[defaults.eval]`.
    ///
    /// Tables are merged key by key, except that one which states its own `kind` stands as it is: what belongs to
    /// another kind would not fit it. `eval = false` and `lora = false` remove the table.
    pub(super) fn apply_defaults(&mut self) {
        let defaults = self.get(&["defaults"]).cloned();
        let default = |kind: &str| defaults.as_ref()?.get_ref().get(kind).cloned();
        let DeValue::Table(root) = self.root.get_mut() else { return };
        let Some(DeValue::Array(stages)) = root.get_mut("stage").map(Spanned::get_mut) else { return };
        for stage in stages.iter_mut() {
            let kind = stage.get_ref().get("kind").and_then(|kind| kind.get_ref().as_str());
            if let Some(defaults) = kind.and_then(&default) {
                fill(stage, &defaults);
            }
            let DeValue::Table(table) = stage.get_mut() else { continue };
            if table.get("lora").and_then(|lora| lora.get_ref().as_bool()) == Some(false) {
                table.remove("lora");
            }
            match (table.get_mut("eval").map(|eval| (eval.get_ref().as_bool(), eval)), default("eval")) {
                (Some((Some(false), _)), _) => drop(table.remove("eval")),
                (Some((_, eval)), Some(defaults)) => fill(eval, &defaults),
                (None, Some(defaults)) => {
                    table.insert(Spanned::new(defaults.span(), Cow::Borrowed("eval")), defaults);
                }
                (_, None) => {}
            }
        }
    }

    /// The value at a path.
    pub(super) fn get(&self, path: Path) -> Option<&Value<'t>> {
        path.iter().try_fold(&self.root, |here, key| match here.get_ref() {
            DeValue::Table(table) => table.get(*key),
            DeValue::Array(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The keys of the table at a path, in the order written; none where there is no table.
    pub(super) fn keys(&self, path: Path) -> Vec<&str> {
        let table = self.get(path).and_then(|value| value.get_ref().as_table());
        table.into_iter().flat_map(|table| table.keys()).map(|key| key.get_ref().as_ref()).collect()
    }

    /// A path of the config, seen from the file's folder; absolute where the folder can be found.
    pub(super) fn file(&self, path: &std::path::Path) -> PathBuf {
        self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone()).join(path)
    }

    /// A problem for each key of the table at a path that is not known there.
    pub(super) fn unknown_keys(&self, path: Path, known: &[&str]) -> Vec<Problem> {
        let unknown = self.keys(path).into_iter().filter(|key| !known.contains(key));
        let problem = |key| {
            let what = format!("is no key here; {}", remedy(key, "keys", known.iter().copied()));
            self.key_problem(&[path, &[key]].concat(), what)
        };
        unknown.map(problem).collect()
    }

    /// The value at a path as a typed struct; an absent table is as an empty one.
    pub(super) fn read<T: DeserializeOwned>(&self, path: Path) -> Result<T, Problem> {
        self.read_keys(path, |_| true)
    }

    /// Like [`read`](Self::read), from those keys of the table at a path that `keep` chooses.
    pub(super) fn read_keys<T: DeserializeOwned>(
        &self,
        path: Path,
        keep: impl Fn(&str) -> bool,
    ) -> Result<T, Problem> {
        let mut value = match self.get(path) {
            Some(value) => value.clone(),
            None => Spanned::new(0..0, DeValue::Table(DeTable::new())),
        };
        if let DeValue::Table(table) = value.get_mut() {
            let kept = std::mem::take(table).into_iter().filter(|(key, _)| keep(key.get_ref()));
            *table = kept.collect();
        }
        T::deserialize(ValueDeserializer::from(value)).map_err(|error| self.explain(path, &error))
    }

    /// A problem with the key at a path, placed at its value, or at what is nearest above it.
    pub(super) fn problem(&self, path: Path, what: impl Into<String>) -> Problem {
        let existing = (0..=path.len()).rev().find_map(|length| self.get(&path[..length]));
        let at = self.place(existing.map_or(0..0, Spanned::span));
        Problem { at, key: self.spell(path), what: what.into() }
    }

    /// A problem with the key itself rather than its value.
    pub(super) fn key_problem(&self, path: Path, what: impl Into<String>) -> Problem {
        let key = path.split_last().and_then(|(last, table)| {
            let table = self.get(table)?.get_ref().as_table()?;
            table.get_key_value(*last).map(|(key, _)| key.span())
        });
        Problem {
            at: key.map_or_else(|| self.place(0..0), |span| self.place(span)),
            ..self.problem(path, what)
        }
    }

    /// The place of every value, by its key as users spell it.
    pub(super) fn places(&self) -> BTreeMap<String, String> {
        let mut places = BTreeMap::new();
        let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
        while let Some(path) = waiting.pop() {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(value) = self.get(&keys) else { continue };
            places.insert(self.spell(&keys), self.place(value.span()));
            let below: Vec<String> = match value.get_ref() {
                DeValue::Table(table) => table.keys().map(|key| key.get_ref().to_string()).collect(),
                DeValue::Array(items) => (0..items.len()).map(|index| index.to_string()).collect(),
                _ => Vec::new(),
            };
            waiting.extend(below.into_iter().map(|key| [path.clone(), vec![key]].concat()));
        }
        places
    }

    /// Turns what serde says of the value at a path into a problem with place, key and remedy.
    fn explain(&self, path: Path, error: &toml::de::Error) -> Problem {
        let span = error.span().unwrap_or(0..0);
        let mut key: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
        if let Some(value) = self.get(path) {
            key.extend(path_of_span(value, &span).unwrap_or_default());
        }
        let message = error.message();
        let mut quoted = message.split('`').skip(1).step_by(2);
        let first = quoted.next().unwrap_or_default().to_owned();
        let choices: Vec<&str> = quoted.collect();
        let what = if message.starts_with("unknown field") {
            if key.last() != Some(&first) {
                key.push(first.clone());
            }
            format!("is no key here; {}", remedy(&first, "keys", choices))
        } else if message.starts_with("unknown variant") {
            format!("is \"{first}\"; {}", remedy(&first, "possible", choices))
        } else if message.starts_with("missing field") {
            key.push(first);
            "is missing".to_owned()
        } else if let Some((found, expected)) =
            message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
        {
            format!("is {found}; {} is right", in_words(expected))
        } else if let Some((found, expected)) =
            message.strip_prefix("invalid value: ").and_then(|rest| rest.split_once(", expected "))
        {
            format!("is {found}; {} is right", in_words(expected))
        } else {
            message.to_owned()
        };
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        // Places are those of the error where it has one: a missing key has the place of its table.
        let at = if error.span().is_some() { self.place(span) } else { self.problem(&key, "").at };
        Problem { at, key: self.spell(&key), what }
    }

    /// A path as users write it: a stage by its name, an index in brackets.
    fn spell(&self, path: Path) -> String {
        let mut spelt = String::new();
        for (depth, key) in path.iter().enumerate() {
            let parent = self.get(&path[..depth]).map(Spanned::get_ref);
            if matches!(parent, Some(DeValue::Array(_))) {
                match self.get(&path[..=depth]).and_then(stage_name) {
                    Some(name) if path[0] == "stage" && depth == 1 => spelt += &format!(".{name}"),
                    _ => spelt += &format!("[{key}]"),
                }
            } else {
                let dot = if depth == 0 { "" } else { "." };
                spelt += &format!("{dot}{key}");
            }
        }
        spelt
    }

    /// `FILE:LINE:COLUMN` of the first byte of a span, both counted from 1, columns in characters.
    fn place(&self, span: Range<usize>) -> String {
        let Some(text) = self.texts.iter().rev().find(|text| text.start <= span.start) else {
            return String::new();
        };
        if text.name.starts_with("--set ") {
            return text.name.clone();
        }
        let before = text.contents.get(..span.start - text.start).unwrap_or(text.contents);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        format!("{}:{line}:{column}", text.name)
    }
}

/// What a type that serde names is called in a config.
fn in_words(expected: &str) -> &str {
    match expected {
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a boolean" => "true or false",
        "path string" => "a path in quotes",
        other => other.strip_prefix("struct ").map_or(other, |_| "a table"),
    }
}

/// The keys of a dotted key; quotes protect dots.
fn split_key(key: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut quoted = false;
    for c in key.chars() {
        match (c, keys.last_mut()) {
            ('"', _) => quoted = !quoted,
            ('.', _) if !quoted => keys.push(String::new()),
            (c, Some(last)) => last.push(c),
            (_, None) => {}
        }
    }
    keys
}

fn stage_name<'a>(stage: &'a Value) -> Option<&'a str> {
    stage.get_ref().get("name")?.get_ref().as_str()
}

fn stage_index(stages: &[Value], name: &str) -> Option<usize> {
    stages.iter().position(|stage| stage_name(stage) == Some(name))
}

/// Adds to a table what it lacks.
fn fill<'t>(value: &mut Value<'t>, defaults: &Value<'t>) {
    let (DeValue::Table(table), DeValue::Table(defaults)) = (value.get_mut(), defaults.get_ref()) else {
        return;
    };
    for (key, default) in defaults.iter() {
        match table.get_mut(key.get_ref().as_ref()) {
            None => drop(table.insert(key.clone(), default.clone())),
            Some(own) if own.get_ref().get("kind").is_none() => fill(own, default),
            Some(_) => {}
        }
    }
}

/// The path, from `value`, of the innermost key or value with this very span; empty for `value` itself.
fn path_of_span(value: &Value, span: &Range<usize>) -> Option<Vec<String>> {
    let below = |key: String, found: Vec<String>| [vec![key], found].concat();
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, child) in table.iter() {
                let name = key.get_ref().clone().into_owned();
                if key.span() == *span {
                    return Some(vec![name]);
                }
                if let Some(found) = path_of_span(child, span) {
                    return Some(below(name, found));
                }
            }
        }
        DeValue::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                if let Some(found) = path_of_span(child, span) {
                    return Some(below(index.to_string(), found));
                }
            }
        }
        _ => {}
    }
    (value.span() == *span).then(Vec::new)
}

/// The same value with one span throughout.
fn replaced<'t>(value: DeValue<'t>, span: &Range<usize>) -> Value<'t> {
    let value = match value {
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let key = Spanned::new(span.clone(), key.into_inner());
                    (key, replaced(value.into_inner(), span))
                })
                .collect(),
        ),
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| replaced(item.into_inner(), span)).collect())
        }
        leaf => leaf,
    };
    Spanned::new(span.clone(), value)
}
