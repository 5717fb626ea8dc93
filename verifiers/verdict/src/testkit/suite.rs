//! Suites as files: TOML that names a verifier, cases and what else is to be checked.
//!
//! ```toml
//! verifier = { kind = "exact", case = "ignore" }
//!
//! [problem]                       # fields that all cases share
//! answer = "Paris"
//!
//! [[case]]
//! name = "another case"
//! completion = "paris"
//! expect = "pass"
//! ```

use super::case::{Case, Expected};
use crate::tasks::{ColumnMap, Place, read_row};
use crate::{
    Completion, FILE_KINDS, FileKind, Judges, Outcome, Problem, Registry, RegistryError, Verifier, nearest,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::Spanned;

/// A verifier and what it is tested with.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name in reports.
    pub name: String,
    /// The file it comes from.
    pub file: PathBuf,
    /// All files that it was read from: itself, cases, problems.
    pub files: Vec<PathBuf>,
    /// The verifier's kind in the registry.
    pub kind: String,
    /// The verifier's settings; null for none.
    pub settings: Value,
    /// What the verifier judges, in place of what it says itself.
    pub judges: Option<Judges>,
    /// How a right completion is written: `{answer}` stands for the problem's field, also of any other name. Without one, the
    /// verifier's own [`Verifier::gold`].
    pub gold: Option<String>,
    /// The cases.
    pub cases: Vec<Case>,
    /// Problems beside those of the cases.
    pub problems: Vec<(Place, Arc<Problem>)>,
    /// Which checks run.
    pub checks: Checks,
    /// What a verdict may cost.
    pub budget: Budget,
    /// How often golds may be misjudged.
    pub rates: RateLimits,
}

/// Which families of checks run beside the cases. All do unless switched off.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checks {
    /// The attack corpora.
    pub attacks: bool,
    /// What must not change a verdict.
    pub metamorphic: bool,
    /// Golds pass, other problems' golds fail.
    pub rates: bool,
    /// Each case again, on another worker and later.
    pub determinism: bool,
    /// Cost and its budget.
    pub cost: bool,
    /// Single checks that do not run, by name or its beginning: `attack/hedge`, `meta`.
    pub skip: Vec<String>,
    /// Completions that the checks of determinism, order and threads judge at most.
    pub sample: usize,
    /// Problems that the attacks and metamorphic checks are tried on at most.
    pub problems: usize,
}

impl Default for Checks {
    fn default() -> Self {
        Checks {
            attacks: true,
            metamorphic: true,
            rates: true,
            determinism: true,
            cost: true,
            skip: Vec::new(),
            sample: 200,
            problems: 4,
        }
    }
}

impl Checks {
    /// Whether the check of this name is switched off by name.
    pub fn skips(&self, name: &str) -> bool {
        let under = |skip: &String| {
            name.strip_prefix(skip.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        self.skip.iter().any(under)
    }
}

/// What a verdict may cost; what is not given is not limited, but for `max_s`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Seconds that half of the cases and golds may take.
    pub p50_s: Option<f64>,
    /// Seconds that 99 of 100 may take.
    pub p99_s: Option<f64>,
    /// Seconds that any verdict may take, attacks included. 5 unless given.
    pub max_s: f64,
    /// Fuel that any verdict may take.
    pub fuel: Option<u64>,
    /// Bytes of a sandbox's memory that any verdict may take.
    pub peak_bytes: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { p50_s: None, p99_s: None, max_s: 5.0, fuel: None, peak_bytes: None }
    }
}

/// How often golds may be misjudged.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimits {
    /// The share of golds that may fail. 0 unless given.
    pub max_false_negative: f64,
    /// The share of other problems' golds that may pass. 0 unless given.
    pub max_false_positive: f64,
    /// Problems that are looked at, evenly spaced. 1000 unless given.
    pub problems: usize,
}

impl Default for RateLimits {
    fn default() -> Self {
        RateLimits { max_false_negative: 0.0, max_false_positive: 0.0, problems: 1000 }
    }
}

/// What is wrong with a suite or its data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// A file cannot be read.
    #[error("{}: {problem}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        problem: String,
    },
    /// Something in a file.
    #[error("{place}: {problem}")]
    At {
        /// Where.
        place: Place,
        /// The field, and what would be right.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    name: Option<String>,
    verifier: Spanned<toml::Value>,
    judges: Option<Judges>,
    gold: Option<String>,
    #[serde(default)]
    problem: Map<String, Value>,
    /// Files of cases.
    #[serde(default)]
    cases: Vec<Spanned<String>>,
    /// Files of problems.
    #[serde(default)]
    tasks: Vec<Spanned<String>>,
    #[serde(default)]
    map: ColumnMap,
    #[serde(default)]
    checks: Checks,
    #[serde(default)]
    budget: Budget,
    #[serde(default)]
    rates: RateLimits,
    #[serde(default)]
    case: Vec<Spanned<Map<String, Value>>>,
}

/// Fields of a case that are not the problem's or the completion.
const OF_CASES: [&str; 5] = ["name", "expect", "score", "parts", "reason"];

impl Suite {
    /// A suite without cases, of problems alone.
    pub fn of_problems(name: &str, file: &Path, kind: &str, problems: Vec<(Place, Arc<Problem>)>) -> Suite {
        Suite {
            name: name.to_owned(),
            file: file.to_owned(),
            files: vec![file.to_owned()],
            kind: kind.to_owned(),
            settings: Value::Null,
            judges: None,
            gold: None,
            cases: Vec::new(),
            problems,
            checks: Checks::default(),
            budget: Budget::default(),
            rates: RateLimits::default(),
        }
    }

    /// Reads a suite and the files that it names, which are looked for beside it.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is none, a field that is missing or wrong: with file, line and what would be right.
    pub fn read(path: &Path) -> Result<Suite, SuiteError> {
        let unread =
            |problem: std::io::Error| SuiteError::File { file: path.into(), problem: problem.to_string() };
        let text = fs::read_to_string(path).map_err(unread)?;
        let line = |offset: usize| 1 + text[..offset.min(text.len())].matches('\n').count();
        let at = |offset: usize, problem: String| SuiteError::At {
            place: Place { file: path.into(), line: line(offset) },
            problem,
        };
        let file: SuiteFile = toml::from_str(&text)
            .map_err(|error| at(error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let (kind, settings) = kind_and_settings(file.verifier.get_ref(), folder)
            .map_err(|problem| at(file.verifier.span().start, format!("field `verifier`: {problem}")))?;
        check_map(&file.map).map_err(|problem| at(text.find("map").unwrap_or(0), problem))?;
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let mut suite = Suite::of_problems(file.name.as_deref().unwrap_or(&stem), path, &kind, Vec::new());
        suite
            .files
            .extend(FILE_KINDS.iter().filter_map(|file| settings[file.key].as_str().map(PathBuf::from)));
        (suite.settings, suite.judges, suite.gold) = (settings, file.judges, file.gold);
        (suite.checks, suite.budget, suite.rates) = (file.checks, file.budget, file.rates);
        let mut reader = Reader { suite, shared: file.problem, map: ColumnMap::new(), names: HashSet::new() };
        for case in file.case {
            let place = Place { file: path.into(), line: line(case.span().start) };
            reader.case(case.into_inner(), place)?;
        }
        reader.map = file.map;
        for name in &file.cases {
            reader.rows(&folder.join(name.get_ref()), Reader::case)?;
        }
        for name in &file.tasks {
            reader.rows(&folder.join(name.get_ref()), Reader::problem)?;
        }
        if reader.suite.cases.is_empty() && reader.suite.problems.is_empty() {
            let problem = "has no case; a table [[case]], a file of `cases` or one of `tasks` is right";
            return Err(SuiteError::File { file: path.into(), problem: problem.into() });
        }
        Ok(reader.suite)
    }

    /// Makes the suite's verifier and checks every problem with it.
    ///
    /// # Errors
    /// A kind that the registry does not have, settings that it refuses, a problem that the verifier refuses.
    pub fn verifier(&self, registry: &Registry) -> Result<Arc<dyn Verifier>, SuiteError> {
        let verifier = registry.make(&self.kind, &self.settings).map_err(|error| {
            let field = match error {
                RegistryError::Unknown { .. } => "verifier",
                RegistryError::Config { .. } => "verifier's settings",
            };
            SuiteError::File { file: self.file.clone(), problem: format!("field `{field}`: {error}") }
        })?;
        let cases = self.cases.iter().filter(|case| !case.expected.outcomes.contains(&Outcome::Fault));
        let of_cases = cases.map(|case| (&case.place, &case.problem));
        for (place, problem) in of_cases.chain(self.problems.iter().map(|(place, problem)| (place, problem)))
        {
            verifier
                .check(problem)
                .map_err(|error| SuiteError::At { place: place.clone(), problem: error.to_string() })?;
        }
        Ok(verifier)
    }

    /// The right completion of a problem as the suite's `gold` writes it; none where it has none or the problem lacks its fields.
    pub fn written_gold(&self, problem: &Problem) -> Option<Completion> {
        let template = self.gold.as_ref()?;
        let Ok(Value::Object(fields)) = serde_json::to_value(problem) else { return None };
        let mut text = template.clone();
        for (name, value) in &fields {
            let value = match value {
                Value::String(value) => value.clone(),
                value => value.to_string(),
            };
            text = text.replace(&format!("{{{name}}}"), &value);
        }
        (text != *template).then(|| Completion::new(text))
    }
}

/// The verifier's kind and settings; paths of files are seen from the suite's folder.
fn kind_and_settings(value: &toml::Value, folder: &Path) -> Result<(String, Value), String> {
    let right = "a name such as \"exact\", a table such as { kind = \"exact\", case = \"ignore\" }, or a file such as { python = \"my_reward.py\" }, is right";
    match value {
        toml::Value::String(name) => Ok(match FileKind::of_name(name) {
            Some(file) => (file.kind.to_owned(), file.settings(name, folder, &Value::Null)),
            None => (name.clone(), Value::Null),
        }),
        toml::Value::Table(table) => {
            let settings = serde_json::to_value(table).map_err(|error| error.to_string())?;
            let Value::Object(mut settings) = settings else { return Err(right.to_owned()) };
            if let Some(file) = FileKind::of_table(&mut settings, folder)? {
                settings.shift_remove("kind");
                return Ok((file.kind.to_owned(), Value::Object(settings)));
            }
            match settings.shift_remove("kind") {
                Some(Value::String(kind)) => Ok((kind, Value::Object(settings))),
                Some(other) => Err(format!("its `kind` is {other}; {right}")),
                None => Err(format!("its `kind` is missing; {right}")),
            }
        }
        other => Err(format!("is {other}; {right}")),
    }
}

fn check_map(map: &ColumnMap) -> Result<(), String> {
    let known = || crate::tasks::FIELDS.into_iter().chain(OF_CASES);
    match map.keys().find(|key| known().all(|field| field != key.as_str())) {
        None => Ok(()),
        Some(key) => {
            let like =
                nearest(key, known()).map_or(String::new(), |like| format!(" (did you mean `{like}`?)"));
            let known = known().collect::<Vec<_>>().join(", ");
            Err(format!("field `map.{key}`: there is no field `{key}`{like}; fields are {known}"))
        }
    }
}

/// Rows become cases and problems.
struct Reader {
    suite: Suite,
    /// Fields of every problem that has none of its own.
    shared: Map<String, Value>,
    map: ColumnMap,
    names: HashSet<String>,
}

impl Reader {
    fn rows(
        &mut self,
        path: &Path,
        take: impl Fn(&mut Reader, Map<String, Value>, Place) -> Result<(), SuiteError>,
    ) -> Result<(), SuiteError> {
        let text = fs::read_to_string(path).map_err(|error| {
            let problem = format!("{error}; {} names it", self.suite.file.display());
            SuiteError::File { file: path.into(), problem }
        })?;
        self.suite.files.push(path.to_owned());
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = Place { file: path.into(), line: index + 1 };
            let row = serde_json::from_str(line.trim_start_matches('\u{feff}')).map_err(|error| {
                let problem = format!("{error}; a JSON object a line is right");
                SuiteError::At { place: place.clone(), problem }
            })?;
            take(self, row, place)?;
        }
        Ok(())
    }

    fn case(&mut self, mut row: Map<String, Value>, place: Place) -> Result<(), SuiteError> {
        let Reader { map, .. } = self;
        let column = |field: &'static str| map.get(field).map_or(field, String::as_str);
        let wrong = |field: &str, problem: &str| SuiteError::At {
            place: place.clone(),
            problem: format!("field `{field}`: {problem}"),
        };
        if !row.contains_key(column("completion")) {
            return Err(wrong(column("completion"), "is missing; the text that is to be judged is right"));
        }
        let name = row.shift_remove(column("name")).or_else(|| row.get(column("id")).cloned());
        let name = match name {
            None => {
                format!("{}:{}", place.file.file_stem().unwrap_or_default().to_string_lossy(), place.line)
            }
            Some(Value::String(name)) => name,
            Some(Value::Number(name)) => name.to_string(),
            Some(_) => return Err(wrong(column("name"), "a text is right")),
        };
        let taken = Expected::take(&mut row, |field| map.get(field).map_or(field, String::as_str));
        let expected = taken.map_err(|(field, problem)| wrong(&field, &problem))?;
        if !self.names.insert(name.clone()) {
            return Err(wrong(
                column("name"),
                &format!("{name:?} is another case's name as well; each needs its own"),
            ));
        }
        if !row.contains_key(column("id")) {
            row.insert(column("id").to_owned(), name.clone().into());
        }
        let (problem, completion) = self.read(row, &place)?;
        let completion = Arc::new(completion.unwrap_or_default());
        self.suite.cases.push(Case { name, place, problem, completion, expected });
        Ok(())
    }

    fn problem(&mut self, row: Map<String, Value>, place: Place) -> Result<(), SuiteError> {
        let (problem, _) = self.read(row, &place)?;
        self.suite.problems.push((place, problem));
        Ok(())
    }

    fn read(
        &self,
        mut row: Map<String, Value>,
        place: &Place,
    ) -> Result<(Arc<Problem>, Option<Completion>), SuiteError> {
        for (field, value) in &self.shared {
            let column = self.map.get(field).unwrap_or(field);
            if !row.contains_key(column) {
                row.insert(column.clone(), value.clone());
            }
        }
        let read =
            read_row(row, place, &self.map, Some(&self.suite.kind)).map_err(|error| SuiteError::At {
                place: error.place,
                problem: format!("field `{}`: {}", error.field, error.problem),
            })?;
        let problem = Problem { verifier: self.suite.kind.clone(), ..read.problem };
        Ok((Arc::new(problem), read.completion))
    }
}
