//! Chat templates: messages to the text that an instruct model was trained on, as transformers renders it.
//!
//! A template is Jinja code that comes with the tokenizer. Transformers renders it with Jinja2 in a sandbox with
//! `trim_blocks` and `lstrip_blocks`, Python's string methods, `break`/`continue` and a few functions of its own
//! (`raise_exception`, `strftime_now`, a `tojson` that is Python's `json.dumps`); here minijinja is given the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{Local, NaiveDateTime};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use thiserror::Error as ThisError;

/// Why a chat template cannot be used.
#[derive(Debug, ThisError)]
pub enum ChatError {
    /// The template is not Jinja that we understand.
    #[error("the chat template, line {line}: {problem}")]
    Syntax {
        /// Line of the template, from 1.
        line: usize,
        /// The parser's message.
        problem: String,
    },
    /// The template refuses the messages, by its own `raise_exception` or by an error in it.
    #[error("the chat template refuses the messages (line {line}): {problem}")]
    Refused {
        /// Line of the template, from 1; 0 where unknown.
        line: usize,
        /// The template's message.
        problem: String,
    },
    /// A conversation without a template has a speaker whom it cannot name.
    #[error(
        "message {index} has the role `{role}`; `system` (the first alone), `user` and `assistant` are right"
    )]
    Role {
        /// The message, from 0.
        index: usize,
        /// Its role.
        role: String,
    },
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// A turn of the user's.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: "user".to_string(), content: content.into() }
    }

    /// The instructions before the conversation.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: "system".to_string(), content: content.into() }
    }
}

/// A conversation as base models have read them, up to where the assistant speaks: `User: ...`, `Assistant: ...` and so on with a
/// blank line between, a system message alone in front, and `Assistant:` at the end.
///
/// # Errors
/// A role other than `system` (the first alone), `user` and `assistant`.
///
/// ```
/// use rlvr_model::chat::{Message, user_assistant};
///
/// let text = user_assistant(&[Message::system("Be brief."), Message::user("2 + 3?")])?;
/// assert_eq!(text, "Be brief.\n\nUser: 2 + 3?\n\nAssistant:");
/// # Ok::<(), rlvr_model::chat::ChatError>(())
/// ```
pub fn user_assistant(messages: &[Message]) -> Result<String, ChatError> {
    let mut text = String::new();
    for (index, Message { role, content }) in messages.iter().enumerate() {
        let speaker = match (index, role.as_str()) {
            (0, "system") => "",
            (_, "user") => "User: ",
            (_, "assistant") => "Assistant: ",
            (_, role) => {
                return Err(ChatError::Role { index, role: role.to_owned() });
            }
        };
        text.push_str(&format!("{speaker}{content}\n\n"));
    }
    Ok(text + "Assistant:")
}

/// A chat template, parsed.
///
/// ```
/// use rlvr_model::chat::{ChatTemplate, Message};
///
/// let source = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}";
/// let special = [("eos_token".to_string(), "</s>".to_string())].into();
/// let template = ChatTemplate::new(source, &special)?;
/// assert_eq!(template.render(&[Message::user("hi")])?, "<|user|>hi</s>");
/// # Ok::<(), rlvr_model::chat::ChatError>(())
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    special: BTreeMap<String, String>,
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Parses a template. `special` are the tokens it may name: `bos_token`, `eos_token` and so on.
    ///
    /// `strftime_now`, with which some templates write today's date, shows the moment of this call: prompts that are
    /// rendered later in a run do not change over midnight.
    pub fn new(source: &str, special: &BTreeMap<String, String>) -> Result<Self, ChatError> {
        Self::at(source, special, Local::now().naive_local())
    }

    /// As [`new`](Self::new), with `moment` as what `strftime_now` shows: to render as on another day.
    pub fn at(
        source: &str,
        special: &BTreeMap<String, String>,
        moment: NaiveDateTime,
    ) -> Result<Self, ChatError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| syntax_error(&error))?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(|out, _, value| match value.kind() {
            ValueKind::Undefined => Ok(()),
            ValueKind::None => out.write_str("None").map_err(Error::from),
            ValueKind::Bool => {
                out.write_str(if value.is_true() { "True" } else { "False" }).map_err(Error::from)
            }
            _ => write!(out, "{value}").map_err(Error::from),
        });
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", move |format: String| {
            let mut text = String::new();
            write!(text, "{}", moment.format(&format)).map(|()| text).map_err(|_| {
                Error::new(
                    ErrorKind::InvalidOperation,
                    format!("strftime_now({format:?}): not a date format"),
                )
            })
        });
        environment.add_filter("tojson", python_json);
        environment.add_template_owned(NAME, without_generation_tags(source)).map_err(|error| {
            ChatError::Syntax { line: error.line().unwrap_or(0), problem: message(&error) }
        })?;
        Ok(Self { environment, special: special.clone() })
    }

    /// The text of `messages` followed by what opens the assistant's turn: a prompt to complete.
    pub fn render_prompt(&self, messages: &[Message]) -> Result<String, ChatError> {
        self.render_with(messages, true)
    }

    /// The text of `messages` alone: a finished conversation to train on.
    pub fn render(&self, messages: &[Message]) -> Result<String, ChatError> {
        self.render_with(messages, false)
    }

    fn render_with(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String, ChatError> {
        let refused =
            |error: Error| ChatError::Refused { line: error.line().unwrap_or(0), problem: message(&error) };
        let mut variables: BTreeMap<&str, Value> =
            self.special.iter().map(|(name, token)| (name.as_str(), Value::from(token.as_str()))).collect();
        let turns = messages.iter().map(|turn| {
            Value::from_pairs([("role", turn.role.as_str()), ("content", turn.content.as_str())])
        });
        variables.insert("messages", turns.collect::<Vec<_>>().into());
        // Transformers passes these always; templates ask whether they are none.
        variables.insert("tools", Value::from(()));
        variables.insert("documents", Value::from(()));
        variables.insert("add_generation_prompt", Value::from(add_generation_prompt));
        let template = self.environment.get_template(NAME).map_err(refused)?;
        template.render(Value::from_pairs(variables)).map_err(refused)
    }
}

fn syntax_error(error: &Error) -> ChatError {
    ChatError::Syntax { line: error.line().unwrap_or(0), problem: message(error) }
}

/// The message without minijinja's own classification, which says nothing to a template's user.
fn message(error: &Error) -> String {
    error.detail().map_or_else(|| error.to_string(), str::to_string)
}

/// `{% generation %}` marks what the assistant wrote, for loss masks made from templates; it writes nothing. An `if`
/// that is always true stands in for it, so that whitespace control beside it still holds.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let inner = tag.trim_start_matches("{%").trim_end_matches("%}");
        match inner.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace()) {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out + rest
}

/// `json.dumps(value, ensure_ascii=False, indent=indent)` of Python.
fn python_json(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let ensure_ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let failed = |error: serde_json::Error| Error::new(ErrorKind::InvalidOperation, error.to_string());
    if ensure_ascii == Some(true) {
        return Err(Error::new(ErrorKind::InvalidOperation, "tojson(ensure_ascii=true) is not supported"));
    }
    let mut bytes = Vec::new();
    match indent {
        Some(width) => {
            let indent = " ".repeat(width);
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter)).map_err(failed)?;
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced)).map_err(failed)?,
    }
    String::from_utf8(bytes)
        .map(Value::from_safe_string)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// Python's separators: `", "` and `": "`.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}
