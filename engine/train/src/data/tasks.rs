//! Task sets: rows of a file or of a generator as problems with their prompts, every one checked before a run starts.
//!
//! A row goes through the configuration's `map`, `transform` and `template`, becomes a [`Problem`], is checked by its
//! verifier, and its prompt is written in ids and measured. What is wrong is collected, so that a file is mended in one
//! go and not row by row.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use rlvr_model::chat::{ChatTemplate, Message, user_assistant};
use rlvr_model::tokenizer::Tokenizer;
use rlvr_verdict::tasks::{ColumnMap, read_row};
use rlvr_verdict::{Problem, Verifier};
use serde_json::{Map, Value};

use super::config::{Chat, TaskSetConfig, Unsupported};
use super::error::{DataError, Lacking, MOST_ERRORS, Place, RowError, suggestion};
use super::rows::{self, Row};
use super::text_ids;
use super::transform::{Template, Transforms, missing};
use crate::generators;
use crate::scoring::PromptedProblem;

/// What the rows of a task set are checked against.
#[derive(Clone, Copy)]
pub struct TaskChecks<'a> {
    /// Writes the prompts.
    pub tokenizer: &'a Tokenizer,
    /// Every verifier that a row may name.
    pub verifiers: &'a BTreeMap<String, Arc<dyn Verifier>>,
    /// Kinds of verifier that a row may not name alone, for they need settings.
    pub with_settings: &'a [&'a str],
    /// Verifiers that score every row besides its own, by name.
    pub reward: &'a [&'a str],
    /// Tokens that the model can see.
    pub context: usize,
    /// Tokens of the context that are kept for the completion.
    pub max_tokens: usize,
}

/// A task set as it was loaded.
#[derive(Debug)]
pub struct TaskSet {
    /// Its problems, in order.
    pub tasks: Vec<PromptedProblem>,
    /// Rows that were left out.
    pub lacking: Lacking,
}

/// Loads the task set that stands under `tasks.NAME`, in the order of its file or generator. `seed` is the run's, for
/// generators.
///
/// # Errors
/// [`DataError::Rows`] with the first [`MOST_ERRORS`] rows that are wrong: not JSON, a field missing or of the wrong
/// type, an id that comes twice, an unknown verifier, an answer that the verifier cannot use, a prompt that leaves no
/// room for a completion. Before that, keys that do not belong together and files that cannot be read.
pub fn load_tasks(
    name: &str,
    config: &TaskSetConfig,
    seed: u64,
    checks: &TaskChecks<'_>,
) -> Result<TaskSet, DataError> {
    let at = format!("tasks.{name}");
    check_keys(&at, config)?;
    let mut reading = Reading::new(&at, config, checks)?;
    let (mut tasks, mut errors, mut more) = (Vec::new(), Vec::new(), 0);
    let (skip, limit) = (config.skip.unwrap_or(0), config.limit.unwrap_or(u64::MAX));
    let mut seen = 0u64;
    let mut lacking = Lacking::default();
    let mut take = |row: Result<Row, RowError>| {
        seen += 1;
        if seen <= skip || seen - skip > limit {
            return;
        }
        lacking.rows += 1;
        let task = row.and_then(|row| reading.task(row));
        if let Err(RowError { lacks: Some(what), .. }) = &task {
            *lacking.counts.entry(what.clone()).or_default() += 1;
            if config.unsupported == Unsupported::Skip {
                return;
            }
        }
        match task {
            Ok(task) => tasks.push(task),
            Err(error) if errors.len() < MOST_ERRORS => errors.push(error),
            Err(_) => more += 1,
        }
    };
    match (&config.path, &config.generator) {
        (Some(path), _) => {
            for file in rows::files_at(path, &["jsonl", "parquet"])? {
                rows::for_each_row(&file, |row| {
                    take(row);
                    Ok(())
                })?;
            }
        }
        (None, generator) => {
            let generator = generator.as_deref().unwrap_or_default();
            let split = config.split.unwrap_or_default();
            let made = generators::tasks(&at, generator, &config.params, seed, split)?;
            let count = config.count.unwrap_or(0);
            for row in generators::distinct_rows(&at, generator, &*made, count)? {
                take(Ok(row));
            }
        }
    }
    if !errors.is_empty() {
        return Err(DataError::Rows { name: name.to_string(), errors, more, lacking });
    }
    if tasks.is_empty() {
        let without = if lacking.total() > 0 { format!("; {lacking}") } else { String::new() };
        let problem = format!("has no problem: {seen} rows, of which `skip` passes over {skip}{without}");
        return Err(DataError::config(at, problem));
    }
    Ok(TaskSet { tasks, lacking })
}

/// How the rows of one set become tasks.
struct Reading<'a> {
    config: &'a TaskSetConfig,
    checks: &'a TaskChecks<'a>,
    transforms: Transforms,
    template: Option<Template>,
    chat: Option<ChatTemplate>,
    /// Where each id was first.
    ids: HashMap<String, Place>,
}

impl<'a> Reading<'a> {
    fn new(at: &str, config: &'a TaskSetConfig, checks: &'a TaskChecks<'a>) -> Result<Self, DataError> {
        let template = config.template.as_deref();
        let chat = match config.chat {
            Chat::Template => Some(chat_template(at, checks.tokenizer)?),
            Chat::Raw | Chat::UserAssistant => None,
        };
        Ok(Self {
            config,
            checks,
            transforms: Transforms::new(at, &config.transform)?,
            template: template.map(|source| Template::new(&format!("{at}.template"), source)).transpose()?,
            chat,
            ids: HashMap::new(),
        })
    }

    fn task(&mut self, row: Row) -> Result<PromptedProblem, RowError> {
        let Row { place, fields } = row;
        let mut fields = renamed(&place, fields, &self.config.map)?;
        self.transforms.apply(&place, &mut fields)?;
        if let Some(template) = &self.template {
            let prompt = template.render(&place, &fields)?;
            fields.insert("prompt".to_string(), prompt.into());
        }
        let verifier = self.config.verifier.as_deref();
        let problem = read_row(fields, &place, &ColumnMap::new(), verifier)?.problem;
        if let Some(first) = self.ids.insert(problem.id.clone(), place.clone()) {
            let what = format!("`{}` is the id of {first} too; every problem needs its own", problem.id);
            return Err(RowError::field(&place, "id", what));
        }
        for name in std::iter::once(&*problem.verifier).chain(self.checks.reward.iter().copied()) {
            self.check(&place, name, &problem)?;
        }
        let (prompt, ids) = self.prompt(&place, &problem)?;
        self.check_room(&place, ids.len())?;
        Ok(PromptedProblem { problem: Arc::new(problem), prompt: prompt.into(), ids: ids.into() })
    }

    /// Sees that a verifier can judge the problem.
    fn check(&self, place: &Place, name: &str, problem: &Problem) -> Result<(), RowError> {
        let verifiers = self.checks.verifiers;
        let verifier = verifiers.get(name).ok_or_else(|| {
            if self.checks.with_settings.contains(&name) {
                let what = format!(
                    "the verifier `{name}` needs settings; a table [verifiers.{name}] in a run's config is right"
                );
                return RowError::field(place, "verifier", what);
            }
            let known = suggestion(name, verifiers.keys().map(String::as_str));
            RowError::field(place, "verifier", format!("there is no verifier `{name}`; {known}"))
        })?;
        verifier.check(problem).map_err(|error| {
            let what = format!("{}; {} (verifier `{name}`)", error.problem, error.remedy);
            RowError { lacks: error.lacks, ..RowError::field(place, &error.field, what) }
        })
    }

    /// What the model reads, as text and ids.
    fn prompt(&self, place: &Place, problem: &Problem) -> Result<(String, Vec<u32>), RowError> {
        let wrong = |error: &dyn std::fmt::Display| RowError::field(place, "prompt", error.to_string());
        let tokenizer = self.checks.tokenizer;
        let system = self.config.system.as_deref();
        if self.config.chat == Chat::Raw && !problem.messages.is_empty() {
            let what =
                "is a list of chat messages; set `chat = true` or `chat = \"user_assistant\"`, or give text";
            return Err(wrong(&what));
        }
        let text = match (&self.chat, self.config.chat) {
            (Some(template), _) => {
                let text =
                    template.render_prompt(&messages(problem, system)).map_err(|error| wrong(&error))?;
                let ids = text_ids::chat(tokenizer, &text).map_err(|error| wrong(&error))?;
                return Ok((text, ids));
            }
            (None, Chat::UserAssistant) => {
                user_assistant(&messages(problem, system)).map_err(|error| wrong(&error))?
            }
            (None, _) => match system {
                Some(system) => format!("{system}\n\n{}", problem.prompt),
                None => problem.prompt.clone(),
            },
        };
        let ids = text_ids::prompt(tokenizer, &text).map_err(|error| wrong(&error))?;
        Ok((text, ids))
    }

    fn check_room(&self, place: &Place, tokens: usize) -> Result<(), RowError> {
        let TaskChecks { context, max_tokens, .. } = *self.checks;
        let room = context.saturating_sub(max_tokens);
        if tokens == 0 {
            return Err(RowError::field(
                place,
                "prompt",
                "is empty; a completion needs at least one token before it",
            ));
        }
        if tokens > room {
            let problem = format!(
                "is {tokens} tokens long, but the context of {context} leaves {room} beside max_tokens {max_tokens}: \
                 shorten the prompt, lower max_tokens, or take a model with a longer context"
            );
            return Err(RowError::field(place, "prompt", problem));
        }
        Ok(())
    }
}

/// The turns of a problem's prompt, after the set's system message where they bring none.
fn messages(problem: &Problem, system: Option<&str>) -> Vec<Message> {
    let turns = problem.messages.iter();
    let mut messages: Vec<Message> = match problem.messages.is_empty() {
        true => vec![Message::user(problem.prompt.as_str())],
        false => {
            turns.map(|turn| Message { role: turn.role.clone(), content: turn.content.clone() }).collect()
        }
    };
    if let Some(system) = system.filter(|_| messages[0].role != "system") {
        messages.insert(0, Message::system(system));
    }
    messages
}

/// The fields under our names. A column that is mapped must be there.
fn renamed(
    place: &Place,
    mut fields: Map<String, Value>,
    map: &BTreeMap<String, String>,
) -> Result<Map<String, Value>, RowError> {
    let taken: Result<Vec<(String, Value)>, RowError> = map
        .iter()
        .map(|(field, column)| {
            let value = fields.get(column).ok_or_else(|| missing(place, column, &fields))?;
            Ok((field.clone(), value.clone()))
        })
        .collect();
    for column in map.values() {
        fields.shift_remove(column);
    }
    fields.extend(taken?);
    Ok(fields)
}

fn chat_template(at: &str, tokenizer: &Tokenizer) -> Result<ChatTemplate, DataError> {
    let here = || format!("{at}.chat");
    let found = tokenizer.chat_template().map_err(|error| DataError::config(here(), error.to_string()))?;
    found.ok_or_else(|| {
        DataError::config(
            here(),
            "is true, but the tokenizer has no chat template; use `template`, or chat = \"user_assistant\"",
        )
    })
}

/// Which keys a task set from a file or from a generator has.
fn check_keys(at: &str, config: &TaskSetConfig) -> Result<(), DataError> {
    let wrong = |key: &str, problem: &str| Err(DataError::config(format!("{at}{key}"), problem));
    let known = generators::TASKS.join(", ");
    match (&config.path, &config.generator) {
        (Some(_), Some(_)) => wrong("", "has both `path` and `generator`; keep one"),
        (None, None) => {
            wrong("", &format!("needs a `path` to a .jsonl or .parquet file, or a `generator` ({known})"))
        }
        (None, Some(_)) if config.count.is_none_or(|count| count == 0) => {
            wrong(".count", "is missing or 0; say how many problems the generator makes")
        }
        (Some(path), None) if !has_known_ending(path) && !path.is_dir() => {
            wrong(".path", &format!("{}: a file that ends in .jsonl or .parquet is right", path.display()))
        }
        (Some(_), None) => {
            let keys = [
                (".params", !config.params.is_empty()),
                (".count", config.count.is_some()),
                (".split", config.split.is_some()),
            ];
            match keys.into_iter().find(|(_, given)| *given) {
                Some((key, _)) => wrong(key, "belongs to a generator; leave it out beside `path`"),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn has_known_ending(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "jsonl" || ending == "parquet")
}

#[cfg(test)]
mod tests;
