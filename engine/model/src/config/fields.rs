//! The fields of a JSON object, taken one by one; what nobody took is an error.
//!
//! This is what keeps a config honest: a reader states each field that it knows, with its type, and [`Fields::finish`]
//! refuses the rest.

use serde_json::{Map, Value};

use super::ConfigError;

/// Fields that say how the model was made or is called, and change nothing that is computed from the weights.
const HARMLESS: &[&str] = &[
    "_attn_implementation_autoset",
    "_name_or_path",
    "add_cross_attention",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "is_decoder",
    "is_encoder_decoder",
    "is_llama_config",
    "label2id",
    "length_penalty",
    "max_length",
    "min_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "prefix",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
];

/// A number, or infinity by name.
fn number(value: &Value) -> Option<f64> {
    match value.get("__float__").and_then(Value::as_str) {
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

/// JSON as Python writes it, made valid: a bare `Infinity`, `-Infinity` or `NaN` outside of strings becomes an object that names it.
pub(super) fn named_infinities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(c) = rest.chars().next() {
        let word =
            ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !quoted && rest.starts_with(word));
        if let Some(word) = word {
            out += &format!("{{\"__float__\": \"{word}\"}}");
            rest = &rest[word.len()..];
            continue;
        }
        let escaped =
            if quoted && c == '\\' { rest[1..].chars().next().map_or(0, char::len_utf8) } else { 0 };
        quoted ^= c == '"';
        let taken = c.len_utf8() + escaped;
        out += &rest[..taken];
        rest = &rest[taken..];
    }
    out
}

/// The fields not yet taken. A field that is `null` counts as absent, as it does for transformers.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// The enclosing field with its dot, for messages: `rope_parameters.`
    within: String,
    taken: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(map: &'a Map<String, Value>) -> Self {
        Self { map, within: String::new(), taken: Vec::new() }
    }

    fn take(&mut self, field: &'static str) -> Option<&'a Value> {
        self.taken.push(field);
        self.map.get(field).filter(|value| !value.is_null())
    }

    fn error(&self, field: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::field(format!("{}{field}", self.within), problem)
    }

    fn typed<T>(
        &mut self,
        field: &'static str,
        wanted: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.take(field) else { return Ok(None) };
        let found = read(value);
        if found.is_none() {
            return Err(self.error(field, format!("is {value}: {wanted} is right")));
        }
        Ok(found)
    }

    pub(super) fn size(&mut self, field: &'static str) -> Result<Option<usize>, ConfigError> {
        self.typed(field, "a whole number", |value| {
            value.as_u64().and_then(|size| usize::try_from(size).ok())
        })
    }

    pub(super) fn required_size(&mut self, field: &'static str) -> Result<usize, ConfigError> {
        self.size(field)?.ok_or_else(|| self.error(field, "is missing: a whole number is right"))
    }

    pub(super) fn number(&mut self, field: &'static str) -> Result<Option<f64>, ConfigError> {
        self.typed(field, "a number", Value::as_f64)
    }

    pub(super) fn required_number(&mut self, field: &'static str) -> Result<f64, ConfigError> {
        self.number(field)?.ok_or_else(|| self.error(field, "is missing: a number is right"))
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<Option<bool>, ConfigError> {
        self.typed(field, "true or false", Value::as_bool)
    }

    pub(super) fn string(&mut self, field: &'static str) -> Result<Option<String>, ConfigError> {
        self.typed(field, "a string", |value| value.as_str().map(str::to_string))
    }

    pub(super) fn strings(&mut self, field: &'static str) -> Result<Vec<String>, ConfigError> {
        let list = self.typed(field, "a list of strings", |value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_string)).collect::<Option<Vec<_>>>()
        })?;
        Ok(list.unwrap_or_default())
    }

    /// One token id or several. An absent field is `default`, as in transformers; `null` and a negative id, which
    /// some old configs use for "none", are no id.
    pub(super) fn ids(&mut self, field: &'static str, default: &[u32]) -> Result<Vec<u32>, ConfigError> {
        if !self.map.contains_key(field) {
            self.taken.push(field);
            return Ok(default.to_vec());
        }
        let ids = self.typed(field, "a token id, a list of them or null", |value| {
            let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            items.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>()
        })?;
        let ids = ids.unwrap_or_default().into_iter().filter(|id| *id >= 0);
        ids.map(|id| {
            u32::try_from(id).map_err(|_| self.error(field, format!("has {id}: no token id is so large")))
        })
        .collect()
    }

    /// The fields of an object inside this one.
    pub(super) fn object(&mut self, field: &'static str) -> Result<Option<Fields<'a>>, ConfigError> {
        let map = self.typed(field, "an object", Value::as_object)?;
        Ok(map.map(|map| Fields { map, within: format!("{}{field}.", self.within), taken: Vec::new() }))
    }

    pub(super) fn only_strings(&mut self, field: &'static str, right: &[&str]) -> Result<(), ConfigError> {
        match self.string(field)? {
            Some(found) if !right.contains(&found.as_str()) => {
                Err(self.error(field, format!("is \"{found}\": supported is \"{}\"", right.join("\" or \""))))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn only_false(&mut self, field: &'static str) -> Result<(), ConfigError> {
        match self.flag(field)? {
            Some(true) => Err(self.error(field, "is true: supported is false")),
            _ => Ok(()),
        }
    }

    pub(super) fn only_number(&mut self, field: &'static str, right: f64) -> Result<(), ConfigError> {
        match self.number(field)? {
            Some(found) if found != right => {
                Err(self.error(field, format!("is {found}: supported is {right}")))
            }
            _ => Ok(()),
        }
    }

    /// A list of numbers, of which infinity is spelled as transformers 5 does (`{"__float__": "Infinity"}`).
    pub(super) fn numbers(&mut self, field: &'static str) -> Result<Option<Vec<f64>>, ConfigError> {
        self.typed(field, "a list of numbers", |value| value.as_array()?.iter().map(number).collect())
    }

    /// Whether the field is there and not null.
    pub(super) fn is_given(&self, field: &str) -> bool {
        self.map.get(field).is_some_and(|value| !value.is_null())
    }

    /// Whether the field is there, if only as null.
    pub(super) fn is_named(&self, field: &str) -> bool {
        self.map.contains_key(field)
    }

    /// Whether the field is a string.
    pub(super) fn is_string(&self, field: &str) -> bool {
        self.map.get(field).is_some_and(Value::is_string)
    }

    /// A number that may stand under several names; where it does, it must be the same.
    pub(super) fn same_number(&mut self, names: &[&'static str]) -> Result<Option<f64>, ConfigError> {
        self.same(names, Self::number)
    }

    /// The same for a whole number.
    pub(super) fn same_size(&mut self, names: &[&'static str]) -> Result<Option<usize>, ConfigError> {
        self.same(names, Self::size)
    }

    fn same<T: PartialEq + std::fmt::Display>(
        &mut self,
        names: &[&'static str],
        read: impl Fn(&mut Self, &'static str) -> Result<Option<T>, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        let mut found: Option<T> = None;
        for field in names {
            match (read(self, field)?, &found) {
                (Some(here), Some(before)) if here != *before => {
                    return Err(self.error(field, format!("is {here}, but `{}` says {before}", names[0])));
                }
                (Some(here), None) => found = Some(here),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Passes over fields that change nothing that is computed here.
    pub(super) fn pass_over(&mut self, fields: &[&'static str]) {
        self.taken.extend(fields);
    }

    pub(super) fn only_null(&mut self, field: &'static str) -> Result<(), ConfigError> {
        match self.take(field) {
            Some(found) => Err(self.error(field, format!("is {found}: supported is null"))),
            None => Ok(()),
        }
    }

    /// Refuses what was not taken and is not known to be harmless; `reader` is who does not know it. A `null` asks for
    /// nothing.
    pub(super) fn finish(self, reader: &str) -> Result<(), ConfigError> {
        let harmless = |field: &str| self.within.is_empty() && HARMLESS.contains(&field);
        let unknown = self.map.iter().find(|(field, value)| {
            !value.is_null() && !self.taken.contains(&field.as_str()) && !harmless(field)
        });
        match unknown {
            None => Ok(()),
            Some((field, value)) => {
                let problem =
                    format!("is {value}: {reader} knows no such field, and what it would change is unknown");
                Err(self.error(field, problem))
            }
        }
    }
}
