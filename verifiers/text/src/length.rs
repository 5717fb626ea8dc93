//! Scores the length of a completion, in tokens or characters.

use crate::ConfigError;
use rlvr_verdict::{Completion, Judges, Outcome, Problem, ProblemError, Step, Verdict, Verifier};
use serde::{Deserialize, Serialize};

/// Configuration of [`Length`]. At least one of `min` and `max` is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LengthConfig {
    /// What is counted.
    pub unit: Unit,
    /// Anything shorter scores 0; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<usize>,
    /// From `min` to here the score is 1, from here on it falls linearly to 0 at `max`; without it the score is 1 up to and with
    /// `max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<usize>,
    /// Anything longer scores 0; without one, no completion is too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
}

/// What the length of a completion is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Generated tokens, as the sampler counted them.
    #[default]
    Tokens,
    /// Unicode scalar values of the text.
    Chars,
}

/// The verifier `length`. It passes completions with a score of 1.
///
/// A completion whose tokens were not counted (a text that did not come from a sampler) is a fault when the unit is tokens.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    config: LengthConfig,
}

impl Length {
    /// A verifier with this configuration.
    ///
    /// # Errors
    /// When no bound is given, or the bounds are out of order.
    pub fn new(config: LengthConfig) -> Result<Self, ConfigError> {
        let LengthConfig { min, target, max, .. } = config;
        let low = min.unwrap_or(0);
        match (target, max) {
            (Some(_), None) => Err(ConfigError::new("target", "needs `max`, where the score reaches 0")),
            (None, None) if min.is_none() => {
                Err(ConfigError::new("max", "is missing; give `min`, `max` or both"))
            }
            (Some(target), Some(max)) if target >= max => {
                Err(ConfigError::new("target", format!("is {target}; it must be below max, {max}")))
            }
            (Some(target), _) if target < low => {
                Err(ConfigError::new("target", format!("is {target}; it must not be below min, {low}")))
            }
            (None, Some(max)) if max < low => {
                Err(ConfigError::new("max", format!("is {max}; it must not be below min, {low}")))
            }
            _ => Ok(Length { config }),
        }
    }

    fn score(&self, length: usize) -> f32 {
        match self.config {
            LengthConfig { min: Some(min), .. } if length < min => 0.0,
            LengthConfig { max: Some(max), .. } if length > max => 0.0,
            LengthConfig { target: Some(target), max: Some(max), .. } if length > target => {
                ((max - length) as f64 / (max - target) as f64) as f32
            }
            _ => 1.0,
        }
    }
}

impl Verifier for Length {
    fn name(&self) -> &str {
        "length"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn check(&self, _: &Problem) -> Result<(), ProblemError> {
        Ok(())
    }

    fn verify(&self, _: &Problem, completion: &Completion) -> Verdict {
        let LengthConfig { unit, min, target, max } = self.config;
        let (length, unit) = match unit {
            Unit::Chars => (completion.text.chars().count(), "characters"),
            Unit::Tokens if completion.tokens == 0 && !completion.text.is_empty() => {
                let remedy = "give the field `tokens` beside the text, or count `unit = \"chars\"`";
                return Verdict::fault(format!("the completion's tokens were not counted; {remedy}"));
            }
            Unit::Tokens => (completion.tokens, "tokens"),
        };
        let score = self.score(length);
        let outcome = if score == 1.0 { Outcome::Pass } else { Outcome::Fail };
        let bounds: Vec<String> = [("min", min), ("target", target), ("max", max)]
            .iter()
            .filter_map(|(name, bound)| bound.map(|b| format!("{name} {b}")))
            .collect();
        Verdict::scored(outcome, score, format!("{length} {unit} for {}", bounds.join(", ")))
    }
    fn judges(&self) -> Judges {
        Judges::Form
    }

    fn explain(&self, _: &Problem, completion: &Completion) -> Vec<Step> {
        let LengthConfig { unit, min, target, max } = self.config;
        let chars = completion.text.chars().count();
        let length = if unit == Unit::Chars { chars } else { completion.tokens };
        let mut steps = vec![
            Step::note("characters", chars.to_string()),
            Step::note(
                "tokens",
                if completion.tokens == 0 { "not counted".into() } else { completion.tokens.to_string() },
            ),
        ];
        steps.extend(min.map(|min| Step::rule("min", length >= min, min.to_string())));
        steps.extend(target.map(|target| Step::rule("target", length <= target, target.to_string())));
        steps.extend(max.map(|max| Step::rule("max", length <= max, max.to_string())));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(config: &str) -> Result<Length, String> {
        let config = serde_json::from_str(config).map_err(|e| e.to_string())?;
        Length::new(config).map_err(|e| e.to_string())
    }

    fn of_tokens(length: &Length, tokens: usize) -> f32 {
        let completion = Completion { text: "x".repeat(tokens), truncated: false, tokens };
        length.verify(&Problem::default(), &completion).score.unwrap()
    }

    #[test]
    fn the_score_falls_linearly_between_target_and_max() {
        let length = length(r#"{"min": 2, "target": 10, "max": 20}"#).unwrap();
        let scores = [0, 1, 2, 10, 15, 20, 21].map(|n| of_tokens(&length, n));
        assert_eq!(scores, [0.0, 0.0, 1.0, 1.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn without_a_target_all_between_min_and_max_is_right() {
        let length = length(r#"{"min": 2, "max": 4}"#).unwrap();
        assert_eq!([1, 2, 4, 5].map(|n| of_tokens(&length, n)), [0.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let length = length(r#"{"unit": "chars", "max": 4}"#).unwrap();
        let verdict = length.verify(&Problem::default(), &Completion::new("äöü€"));
        assert_eq!((verdict.outcome, verdict.reason.as_str()), (Outcome::Pass, "4 characters for max 4"));
    }

    #[test]
    fn tokens_that_nobody_counted_are_a_fault_not_a_zero() {
        let length = length(r#"{"max": 4}"#).unwrap();
        let verdict = length.verify(&Problem::default(), &Completion::new("some text"));
        assert_eq!((verdict.outcome, verdict.score), (Outcome::Fault, None));
        assert_eq!(length.verify(&Problem::default(), &Completion::new("")).score, Some(1.0));
    }

    #[test]
    fn bounds_out_of_order_are_refused_by_key() {
        for (config, says) in [
            ("{}", "`max`: is missing"),
            (r#"{"target": 3}"#, "`target`: needs `max`"),
            (r#"{"min": 1, "target": 3}"#, "`target`: needs `max`"),
            (r#"{"target": 5, "max": 5}"#, "`target`: is 5"),
            (r#"{"min": 6, "target": 5, "max": 9}"#, "`target`: is 5"),
            (r#"{"min": 6, "max": 5}"#, "`max`: is 5"),
            (r#"{"most": 5}"#, "unknown field `most`"),
        ] {
            let error = length(config).unwrap_err();
            assert!(error.contains(says), "{config}: {error}");
        }
    }
}
