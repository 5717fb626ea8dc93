//! Scores the form of a completion: sections in order, patterns that must or must not occur, and how often.
//!
//! Every rule that the configuration names is looked at on the whole completion, thinking included. The score is 1 when all hold
//! and otherwise 0, or the share of those that hold.

use crate::ConfigError;
use crate::answer::{excerpt, scannable};
use crate::pattern::compiled;
use regex::Regex;
use rlvr_verdict::{Completion, Judges, Outcome, Problem, ProblemError, Step, Verdict, Verifier};
use serde::{Deserialize, Serialize};

/// Matches that a rule of [`FormatConfig::counts`] can ask for at most. Each costs a search of the text.
pub const COUNTED: usize = 1000;

/// Configuration of [`Format`]. At least one rule is given.
///
/// ```
/// // the format of DeepSeek-R1-Zero (arXiv 2501.12948, table 1)
/// let config = r#"{"sections": ["think", "answer"], "required": ["^\\s*<think>", "</answer>\\s*$"]}"#;
/// let format = rlvr_text::format::Format::new(serde_json::from_str(config)?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FormatConfig {
    /// Tags, by name: `think` is `<think>...</think>`. Each opens and closes exactly once, holds more than white space and
    /// begins after the end of the one before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<String>,
    /// Patterns that occur, the first match of each after the end of the one before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// Patterns that occur so often.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<Count>,
    /// Patterns that do not occur.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<String>,
    /// What the rules that hold are worth.
    pub score: Score,
}

/// How often a pattern occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The pattern. Matches that overlap are one.
    pub pattern: String,
    /// The least number of matches, up to [`COUNTED`].
    #[serde(default)]
    pub min: usize,
    /// The greatest, up to [`COUNTED`]; any number without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
}

/// How the score follows from the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// 1 when every rule holds, otherwise 0.
    #[default]
    All,
    /// The share of the rules that hold. An empty completion scores 0 even so.
    Share,
}

/// The verifier `format`. Its verdicts have a part for each rule, 1 or 0, named after its key: `sections.think`, `required.0`,
/// `counts.0`, `forbidden.0`.
#[derive(Clone, Debug)]
pub struct Format {
    sections: Vec<Tags>,
    required: Vec<Regex>,
    counts: Vec<(Regex, Count)>,
    forbidden: Vec<Regex>,
    score: Score,
}

#[derive(Clone, Debug)]
struct Tags {
    name: String,
    open: String,
    close: String,
}

/// The rules so far, each with what is wrong where it does not hold.
type Rules = Vec<(String, Result<(), String>)>;

impl Format {
    /// A verifier with this configuration.
    ///
    /// # Errors
    /// No rule, a section name that is empty, repeated or no tag's, a pattern that is none or too large, or an impossible count.
    pub fn new(config: FormatConfig) -> Result<Self, ConfigError> {
        let patterns = |key: &str, patterns: &[String]| -> Result<Vec<Regex>, ConfigError> {
            let rule = |(i, pattern): (usize, &String)| {
                compiled(pattern).map_err(|problem| ConfigError::new(format!("{key}[{i}]"), problem))
            };
            patterns.iter().enumerate().map(rule).collect()
        };
        let format = Format {
            sections: tags(&config.sections)?,
            required: patterns("required", &config.required)?,
            counts: counts(config.counts)?,
            forbidden: patterns("forbidden", &config.forbidden)?,
            score: config.score,
        };
        let rules = [&format.required, &format.forbidden].map(Vec::len);
        if format.sections.is_empty() && format.counts.is_empty() && rules == [0, 0] {
            let remedy = "there is no rule; give `sections`, `required`, `counts` or `forbidden`";
            return Err(ConfigError::new("sections", remedy));
        }
        Ok(format)
    }

    fn rules(&self, text: &str) -> Rules {
        let mut rules = Rules::new();
        let mut from = 0;
        for tags in &self.sections {
            rules.push((format!("sections.{}", tags.name), section(text, tags, &mut from)));
        }
        let mut from = 0;
        for (i, pattern) in self.required.iter().enumerate() {
            let found = pattern.find_at(text, from);
            from = found.map_or(from, |found| found.end());
            let place = if i == 0 { "" } else { " after the one before" };
            let missing = || format!("{} does not occur{place}", excerpt(pattern.as_str()));
            rules.push((format!("required.{i}"), found.map(drop).ok_or_else(missing)));
        }
        for (i, (pattern, count)) in self.counts.iter().enumerate() {
            rules.push((format!("counts.{i}"), counted(text, pattern, count)));
        }
        for (i, pattern) in self.forbidden.iter().enumerate() {
            let found = pattern.find(text).map(|found| format!("{} is forbidden", excerpt(found.as_str())));
            rules.push((format!("forbidden.{i}"), found.map_or(Ok(()), Err)));
        }
        rules
    }
}

fn tags(sections: &[String]) -> Result<Vec<Tags>, ConfigError> {
    let mut all: Vec<Tags> = Vec::new();
    for (i, name) in sections.iter().enumerate() {
        let wrong =
            |problem: &str| Err(ConfigError::new(format!("sections[{i}]"), format!("{name:?} {problem}")));
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "_-.:".contains(c)) {
            return wrong("is no tag's name; give it bare, such as \"think\"");
        }
        if all.iter().any(|tags| tags.name == *name) {
            return wrong("is repeated; each section occurs once");
        }
        all.push(Tags { name: name.clone(), open: format!("<{name}>"), close: format!("</{name}>") });
    }
    Ok(all)
}

fn counts(counts: Vec<Count>) -> Result<Vec<(Regex, Count)>, ConfigError> {
    let mut all = Vec::new();
    for (i, count) in counts.into_iter().enumerate() {
        let error = |key, problem| ConfigError::new(format!("counts[{i}].{key}"), problem);
        let pattern = compiled(&count.pattern).map_err(|problem| error("pattern", problem))?;
        if count.min == 0 && count.max.is_none() {
            return Err(error("min", "is missing; give `min`, `max` or both".into()));
        }
        if let Some(max) = count.max.filter(|max| *max < count.min) {
            return Err(error("max", format!("is {max}; it must not be below min, {}", count.min)));
        }
        for (key, n) in [("min", count.min), ("max", count.max.unwrap_or(0))] {
            if n > COUNTED {
                return Err(error(key, format!("is {n}; up to {COUNTED} are counted")));
            }
        }
        all.push((pattern, count));
    }
    Ok(all)
}

/// Whether a section stands after `from`, which moves on to its end.
fn section(text: &str, tags: &Tags, from: &mut usize) -> Result<(), String> {
    let Tags { open, close, .. } = tags;
    let mut ends = [0; 2];
    for (tag, end) in [open, close].into_iter().zip(&mut ends) {
        let mut places = text.match_indices(tag.as_str());
        let Some((at, _)) = places.next() else { return Err(format!("{tag} does not occur")) };
        if places.next().is_some() {
            return Err(format!("{tag} occurs more than once"));
        }
        *end = at + tag.len();
    }
    let [opened, closed] = ends;
    let before = *from;
    *from = closed.max(before);
    let Some(body) = text.get(opened..closed - close.len()) else {
        return Err(format!("{close} stands before {open}"));
    };
    if opened - open.len() < before {
        return Err(format!("{open} stands before the end of the section before it"));
    }
    if body.trim().is_empty() { Err(format!("{open} holds nothing")) } else { Ok(()) }
}

/// Whether a pattern occurs as often as it should; counts no further than the answer needs.
fn counted(text: &str, pattern: &Regex, count: &Count) -> Result<(), String> {
    let enough = count.max.map_or(count.min, |max| max + 1);
    let n = pattern.find_iter(text).take(enough).count();
    let shown = excerpt(pattern.as_str());
    match count.max {
        _ if n < count.min => Err(format!("{shown} occurs {n} times, at least {} are right", count.min)),
        Some(max) if n > max => Err(format!("{shown} occurs more than {max} times")),
        _ => Ok(()),
    }
}

impl Verifier for Format {
    fn name(&self) -> &str {
        "format"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn check(&self, _: &Problem) -> Result<(), ProblemError> {
        Ok(())
    }

    fn verify(&self, _: &Problem, completion: &Completion) -> Verdict {
        let text = match scannable(&completion.text) {
            Ok(text) if text.trim().is_empty() => return Verdict::unparseable("the completion is empty"),
            Ok(text) => text,
            Err(verdict) => return verdict,
        };
        let rules = self.rules(text);
        let (all, hold) = (rules.len(), rules.iter().filter(|(_, held)| held.is_ok()).count());
        let mut verdict = if hold == all {
            Verdict::pass(format!("all {all} rules hold"))
        } else {
            let score = if self.score == Score::Share { hold as f32 / all as f32 } else { 0.0 };
            let broken = rules.iter().filter_map(|(_, held)| held.as_ref().err().map(String::as_str));
            let broken: Vec<&str> = broken.collect();
            let reason = format!("{hold} of {all} rules hold: {}", broken.join("; "));
            Verdict::scored(Outcome::Fail, score, reason)
        };
        for (name, held) in rules {
            verdict = verdict.with_part(name, if held.is_ok() { 1.0 } else { 0.0 });
        }
        verdict
    }
    fn judges(&self) -> Judges {
        Judges::Form
    }

    fn explain(&self, _: &Problem, completion: &Completion) -> Vec<Step> {
        let text = match scannable(&completion.text) {
            Ok(text) => text,
            Err(verdict) => return vec![Step::rule("length", false, verdict.reason)],
        };
        let step = |(name, held): (String, Result<(), String>)| {
            let score = if held.is_ok() { 1.0 } else { 0.0 };
            let (held, found) = (held.is_ok(), held.err().unwrap_or_else(|| "holds".to_owned()));
            Step { score: Some(score), ..Step::rule(name, held, found) }
        };
        self.rules(text).into_iter().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(config: &str) -> Result<Format, String> {
        let config = serde_json::from_str(config).map_err(|e| e.to_string())?;
        Format::new(config).map_err(|e| e.to_string())
    }

    fn verify(config: &str, text: &str) -> Verdict {
        format(config).unwrap().verify(&Problem::default(), &Completion::new(text))
    }

    const SECTIONS: &str = r#"{"sections": ["think", "answer"]}"#;

    #[test]
    fn sections_stand_once_in_order_and_hold_something() {
        assert_eq!(verify(SECTIONS, "<think>1+1</think>\n<answer>2</answer>").score, Some(1.0));
        for (wrong, says) in [
            ("<think>1+1</think> 2", "<answer> does not occur"),
            ("<think>1+1 <answer>2</answer>", "</think> does not occur"),
            (
                "<answer>2</answer><think>1+1</think>",
                "<answer> stands before the end of the section before it",
            ),
            ("<think>a<answer>2</answer>b</think>", "<answer> stands before the end"),
            ("<think> </think><answer>2</answer>", "<think> holds nothing"),
            ("</think>a<think><answer>2</answer>", "</think> stands before <think>"),
            ("<think>a</think><think>b</think><answer>2</answer>", "<think> occurs more than once"),
        ] {
            let verdict = verify(SECTIONS, wrong);
            assert_eq!((verdict.outcome, verdict.score), (Outcome::Fail, Some(0.0)), "{wrong}");
            assert!(verdict.reason.contains(says), "{wrong}: {}", verdict.reason);
        }
    }

    #[test]
    fn required_patterns_follow_one_another() {
        let config = r#"{"required": ["\\AStep", "so", "\\d\\z"]}"#;
        assert_eq!(verify(config, "Step one, so 2").score, Some(1.0));
        let verdict = verify(config, "so Step 2 x");
        assert_eq!(
            verdict.reason,
            r#"1 of 3 rules hold: "\AStep" does not occur; "\d\z" does not occur after the one before"#
        );
        assert_eq!(verify(r#"{"required": ["b", "a"]}"#, "a b").score, Some(0.0));
    }

    #[test]
    fn matches_are_counted_between_min_and_max() {
        let config = r#"{"counts": [{"pattern": "==", "min": 1, "max": 2}]}"#;
        let scores = ["x", "==", "== ==", "== == =="].map(|text| verify(config, text).score);
        assert_eq!(scores, [Some(0.0), Some(1.0), Some(1.0), Some(0.0)]);
        let config = r#"{"counts": [{"pattern": "a", "max": 0}]}"#;
        assert_eq!((verify(config, "b").score, verify(config, "a").score), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn the_score_is_all_or_nothing_or_a_share() {
        let rules = r#""required": ["a"], "forbidden": ["b", "c", "d"]"#;
        let all = verify(&format!("{{{rules}}}"), "a b");
        assert_eq!((all.score, all.outcome), (Some(0.0), Outcome::Fail));
        let share = verify(&format!("{{{rules}, \"score\": \"share\"}}"), "a b");
        assert_eq!((share.score, share.outcome), (Some(0.75), Outcome::Fail));
        let parts: Vec<_> = share.parts.iter().map(|(name, score)| (name.as_str(), *score)).collect();
        let forbidden = [("forbidden.0", 0.0), ("forbidden.1", 1.0), ("forbidden.2", 1.0)];
        assert_eq!(parts, [&[("required.0", 1.0)][..], &forbidden].concat());
    }

    #[test]
    fn an_empty_completion_earns_nothing_for_what_it_does_not_contain() {
        let verdict = verify(r#"{"forbidden": ["b"], "score": "share"}"#, " \n");
        assert_eq!((verdict.score, verdict.outcome), (Some(0.0), Outcome::Unparseable));
    }

    #[test]
    fn rules_that_make_no_sense_are_refused_by_key() {
        for (config, says) in [
            ("{}", "there is no rule"),
            (r#"{"sections": ["<think>"]}"#, "`sections[0]`: \"<think>\" is no tag's name"),
            (r#"{"sections": ["a", "a"]}"#, "`sections[1]`: \"a\" is repeated"),
            (r#"{"required": ["a", "("]}"#, "`required[1]`: \"(\" is not a regular expression"),
            (r#"{"forbidden": ["["]}"#, "`forbidden[0]`"),
            (r#"{"counts": [{"pattern": "a"}]}"#, "`counts[0].min`"),
            (r#"{"counts": [{"pattern": "a", "min": 2, "max": 1}]}"#, "`counts[0].max`: is 1"),
            (r#"{"counts": [{"pattern": "a", "min": 2000}]}"#, "`counts[0].min`: is 2000"),
            (r#"{"section": ["a"]}"#, "unknown field `section`"),
        ] {
            let error = format(config).unwrap_err();
            assert!(error.contains(says), "{config}: {error}");
        }
    }
}
