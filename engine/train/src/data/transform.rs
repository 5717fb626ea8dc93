//! Changes to a row's fields on its way in, as the configuration declares them: regular expressions that capture or
//! replace, and minijinja templates. What a source's files look like is so settled in one place.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use regex::Regex;
use serde_json::{Map, Value};

use super::config::Transform;
use super::error::{DataError, Place, RowError, suggestion};

/// A list of [`Transform`]s, compiled.
#[derive(Clone, Debug, Default)]
pub struct Transforms {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    field: String,
    pattern: Regex,
    /// What replaces the matches; `None` captures.
    replacement: Option<String>,
}

impl Transforms {
    /// Compiles `list`, which stands at the key `at` of the configuration.
    ///
    /// # Errors
    /// [`DataError::Config`] for a wrong regular expression, or for neither or both of `capture` and `replace`.
    pub fn new(at: &str, list: &[Transform]) -> Result<Self, DataError> {
        let compiled = list.iter().enumerate().map(|(index, transform)| {
            let here = |key: &str| format!("{at}.transform[{index}]{key}");
            let (key, pattern, replacement) = match (&transform.capture, &transform.replace, &transform.with)
            {
                (Some(pattern), None, None) => ("capture", pattern, None),
                (None, Some(pattern), with) => ("replace", pattern, Some(with.clone().unwrap_or_default())),
                (Some(_), None, Some(_)) => {
                    return Err(DataError::config(here(".with"), "goes with `replace`, not with `capture`"));
                }
                _ => return Err(DataError::config(here(""), "needs either `capture` or `replace`")),
            };
            let pattern = Regex::new(pattern).map_err(|error| {
                DataError::config(here(&format!(".{key}")), format!("not a regular expression: {error}"))
            })?;
            Ok(Step { field: transform.field.clone(), pattern, replacement })
        });
        Ok(Self { steps: compiled.collect::<Result<_, _>>()? })
    }

    /// Applies them in order to the fields of the row at `place`.
    ///
    /// # Errors
    /// A field that is not there, is not text or a number, or does not match its `capture`.
    pub fn apply(&self, place: &Place, fields: &mut Map<String, Value>) -> Result<(), RowError> {
        for step in &self.steps {
            let text = match fields.get(&step.field) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                Some(other) => {
                    let problem = format!("is {}, and a transform reads text or a number", kind(other));
                    return Err(RowError::field(place, &step.field, problem));
                }
                None => return Err(missing(place, &step.field, fields)),
            };
            let changed = match &step.replacement {
                Some(with) => step.pattern.replace_all(&text, with.as_str()).into_owned(),
                None => {
                    let found = step.pattern.captures(&text).ok_or_else(|| {
                        let problem = format!("does not match the capture `{}`", step.pattern);
                        RowError::field(place, &step.field, problem)
                    })?;
                    found.get(1).or(found.get(0)).map_or_else(String::new, |part| part.as_str().to_string())
                }
            };
            fields.insert(step.field.clone(), Value::String(changed));
        }
        Ok(())
    }
}

/// The error of a row without `field`: names the one that was probably meant.
pub(crate) fn missing(place: &Place, field: &str, fields: &Map<String, Value>) -> RowError {
    let known = suggestion(field, fields.keys().map(String::as_str));
    RowError::field(place, field, format!("is missing; {known}"))
}

/// What a JSON value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A minijinja template over a row's fields. A field that the row does not have is an error, not empty text.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// What its errors are about: the configuration's key.
    at: String,
}

const NAME: &str = "row";

impl Template {
    /// Parses the template that stands at the key `at` of the configuration.
    ///
    /// # Errors
    /// [`DataError::Config`] where it is not Jinja.
    pub fn new(at: &str, source: &str) -> Result<Self, DataError> {
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        let syntax = syntax.map_err(|error| DataError::config(at, detail(&error)))?;
        let mut environment = Environment::new();
        environment.set_syntax(syntax);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.add_template_owned(NAME, source.to_string()).map_err(|error| {
            let line = error.line().unwrap_or(1);
            DataError::config(at, format!("line {line} of the template: {}", detail(&error)))
        })?;
        Ok(Self { environment, at: at.to_string() })
    }

    /// The text for the row at `place`.
    ///
    /// # Errors
    /// Where the template names a field that the row does not have, or fails by itself.
    pub fn render(&self, place: &Place, fields: &Map<String, Value>) -> Result<String, RowError> {
        let template = self.environment.get_template(NAME);
        template.and_then(|template| template.render(minijinja::value::Serde(fields))).map_err(|error| {
            let absent = self.environment.get_template(NAME).ok().and_then(|template| {
                template
                    .undeclared_variables(false)
                    .into_iter()
                    .filter(|name| !fields.contains_key(name))
                    .min()
            });
            match absent {
                Some(name) => {
                    let mut error = missing(place, &name, fields);
                    error.problem.push_str(&format!(" (named by `{}`)", self.at));
                    error
                }
                None => RowError::row(place, format!("`{}` fails on this row: {}", self.at, detail(&error))),
            }
        })
    }
}

fn detail(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place() -> Place {
        Place { file: "rows.jsonl".into(), line: 7 }
    }

    fn row(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn transforms(list: Value) -> Result<Transforms, DataError> {
        Transforms::new("tasks.gsm8k", &serde_json::from_value::<Vec<Transform>>(list).unwrap())
    }

    #[test]
    fn gsm8k_answers_come_out_of_their_solutions() {
        let chain = transforms(json!([
            { "field": "answer", "replace": "<<.*?>>" },
            { "field": "answer", "capture": "####\\s*(.+)" },
            { "field": "answer", "replace": ",", "with": "" },
        ]));
        let mut fields = row(json!({ "answer": "48/2 = <<48/2=24>>24\n#### 1,024" }));
        chain.unwrap().apply(&place(), &mut fields).unwrap();
        assert_eq!(fields["answer"], "1024");
    }

    #[test]
    fn a_capture_that_does_not_match_names_file_line_and_field() {
        let chain = transforms(json!([{ "field": "answer", "capture": "#### (.+)" }])).unwrap();
        let error = chain.apply(&place(), &mut row(json!({ "answer": "42" }))).unwrap_err();
        assert_eq!(error.to_string(), "rows.jsonl:7: field `answer`: does not match the capture `#### (.+)`");
        let error = chain.apply(&place(), &mut row(json!({ "answers": "42" }))).unwrap_err();
        assert_eq!(error.to_string(), "rows.jsonl:7: field `answer`: is missing; did you mean `answers`?");
        let error = chain.apply(&place(), &mut row(json!({ "answer": ["42"] }))).unwrap_err();
        assert!(error.to_string().contains("is a list"), "{error}");
    }

    #[test]
    fn a_transform_is_a_capture_or_a_replacement() {
        let error = transforms(json!([{ "field": "a", "capture": "x" }, { "field": "a" }])).unwrap_err();
        assert_eq!(error.to_string(), "tasks.gsm8k.transform[1]: needs either `capture` or `replace`");
        let error = transforms(json!([{ "field": "a", "replace": "(" }])).unwrap_err();
        assert!(error.to_string().starts_with("tasks.gsm8k.transform[0].replace: not a regular expression"));
    }

    #[test]
    fn a_template_keeps_text_as_it_is() {
        let template =
            Template::new("sources.s.template", "Q: {{ q }}\n\n{{ n + 1 }} <{{ tags[0] }}>\n").unwrap();
        let fields = row(json!({ "q": "a < b & \"c\"", "n": 2, "tags": ["x"] }));
        assert_eq!(template.render(&place(), &fields).unwrap(), "Q: a < b & \"c\"\n\n3 <x>\n");
    }

    #[test]
    fn a_template_names_the_field_that_a_row_lacks() {
        let template = Template::new("sources.s.template", "{{ question }}").unwrap();
        let error = template.render(&place(), &row(json!({ "questions": "?" }))).unwrap_err();
        let text = "rows.jsonl:7: field `question`: is missing; did you mean `questions`? (named by \
                    `sources.s.template`)";
        assert_eq!(error.to_string(), text);
        let error = Template::new("sources.s.template", "a\n{{ b").unwrap_err();
        assert!(error.to_string().starts_with("sources.s.template: line 2 of the template"), "{error}");
    }
}
