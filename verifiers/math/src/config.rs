//! Configuration of the verifier, and what a single row may ask for instead.

use crate::equal::Policies;
use crate::extract::{Rule, Thinking};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Configuration of the verifier `math`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MathConfig {
    /// Where an answer may stand, in order of precedence; [`Rule::AUTO`] unless given.
    pub extract: Vec<Rule>,
    /// Whether an answer counts only after the thinking. True unless given.
    pub after_thinking: bool,
    /// How thinking is marked.
    pub thinking: Thinking,
    /// What counts as equal where mathematics alone does not say.
    pub policies: Policies,
}

impl Default for MathConfig {
    fn default() -> Self {
        MathConfig {
            extract: Rule::AUTO.to_vec(),
            after_thinking: true,
            thinking: Thinking::default(),
            policies: Policies::default(),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It names no place to look for an answer.
    #[error(
        "`extract` is empty; name at least one of tagged, boxed, hashes, phrase, whole, last_math, last_number"
    )]
    NoRules,
    /// `rounding` is out of range.
    #[error("`policies.rounding` is {0}; it is a number of significant digits from 1 to 50, or 0 for never")]
    Rounding(u32),
    /// `decimals` is out of range.
    #[error("`policies.decimals` is {0}; it is a number of decimal places from 0 to {MOST_DECIMALS}")]
    Decimals(u32),
    /// A mark of thinking is empty.
    #[error("`thinking.tags` has an empty mark; give pairs such as [\"<think>\", \"</think>\"]")]
    EmptyTag,
}

/// Decimal places that may be asked for.
const MOST_DECIMALS: u32 = 50;

/// The field `extraction_config` of a row, in the words of Math-Verify's suites. `language`, `boxed_match_priority`,
/// `lowercase` and `default` are known there and decide nothing here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowFields {
    #[serde(default)]
    targets: Vec<Target>,
    float_rounding: Option<u32>,
    #[serde(default = "yes")]
    strict: bool,
    #[serde(default)]
    allow_set_relation_comp: bool,
    #[serde(default)]
    strings: Vec<String>,
    #[serde(default, rename = "language")]
    _language: IgnoredAny,
    #[serde(default, rename = "boxed_match_priority")]
    _boxed_match_priority: IgnoredAny,
    #[serde(default, rename = "lowercase")]
    _lowercase: IgnoredAny,
    #[serde(default, rename = "default")]
    _default: IgnoredAny,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Target {
    Latex,
    Expr,
    String,
}

/// How one row is judged.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Rules of extraction, in order.
    pub rules: Vec<Rule>,
    /// Whether what a rule finds is passed over where it is no mathematics and a later rule may find some.
    pub search: bool,
    /// The strings to choose from, where the answer is one of them.
    pub strings: Option<Vec<String>>,
    /// What counts as equal.
    pub policies: Policies,
}

/// Letters of choices, unless a row names its own.
const LETTERS: &str = "ABCDEFGH";

impl MathConfig {
    /// Whether it can be used.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(crate) fn checked(&self) -> Result<(), ConfigError> {
        if self.extract.is_empty() {
            return Err(ConfigError::NoRules);
        }
        if self.policies.rounding > 50 {
            return Err(ConfigError::Rounding(self.policies.rounding));
        }
        if let Some(places) = self.policies.decimals.filter(|places| *places > MOST_DECIMALS) {
            return Err(ConfigError::Decimals(places));
        }
        if self.thinking.tags.iter().flatten().any(|tag| tag.trim().is_empty()) {
            return Err(ConfigError::EmptyTag);
        }
        Ok(())
    }

    /// The settings of rows without a field `extraction_config`.
    pub(crate) fn settings(&self) -> Settings {
        let search = self.extract.iter().any(|r| matches!(r, Rule::LastMath | Rule::LastNumber));
        Settings { rules: self.extract.clone(), search, strings: None, policies: self.policies.clone() }
    }

    /// The settings that a row's `extraction_config` asks for. `targets` says what may be an answer: `latex` the last
    /// mathematics between marks, `expr` the last number, `string` one of `strings`; `float_rounding` are decimal
    /// places; without `strict`, variables may have other names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn row(&self, field: &Value) -> Result<Settings, String> {
        let fields = RowFields::deserialize(field).map_err(|e| e.to_string())?;
        let mut settings = self.settings();
        let has = |t| fields.targets.contains(&t);
        if has(Target::Latex) || has(Target::Expr) {
            settings.rules = vec![Rule::Tagged, Rule::Boxed, Rule::Phrase, Rule::Whole];
            settings.rules.extend(has(Target::Latex).then_some(Rule::LastMath));
            settings.rules.extend(has(Target::Expr).then_some(Rule::LastNumber));
            settings.search = true;
        } else if has(Target::String) {
            let letters = LETTERS.chars().map(String::from).collect();
            settings.strings = Some(if fields.strings.is_empty() { letters } else { fields.strings });
        }
        if let Some(places) = fields.float_rounding {
            if places > MOST_DECIMALS {
                return Err(format!("`float_rounding` is {places}; it is from 0 to {MOST_DECIMALS}"));
            }
            settings.policies.rounding = places;
            settings.policies.decimals = Some(places);
        }
        settings.policies.rename_variables = !fields.strict;
        settings.policies.inequality_for_set = fields.allow_set_relation_comp;
        Ok(settings)
    }
}
