//! How verdicts become the reward of a sample: weighted sums, gates and length shaping.

use crate::Verdict;
use serde::{Deserialize, Serialize};

/// The part of a reward that a [`LengthShaping`] takes off.
pub const LENGTH_PENALTY: &str = "length_penalty";

/// The part of a reward that a KL penalty takes off, where it stands in the reward.
pub const KL_PENALTY: &str = "kl_penalty";

/// The `[reward]` table of a run: without parts, the score of the problem's own verifier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// What is added up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartConfig>,
    /// A penalty for long completions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<LengthShaping>,
}

/// One part of a reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartConfig {
    /// Name in the logs.
    pub name: String,
    /// The verifier that scores it; without one, the problem's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<String>,
    /// Factor on its score.
    #[serde(default = "one")]
    pub weight: f32,
    /// Whether a score below 1 makes the sum of all parts 0.
    #[serde(default)]
    pub gate: bool,
}

fn one() -> f32 {
    1.0
}

/// A penalty that grows linearly from 0 at `target` tokens to `penalty` at `max` tokens and above (the soft overlong
/// punishment of DAPO, arXiv 2503.14476, equation 13).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthShaping {
    /// Tokens up to which nothing is taken off.
    pub target: usize,
    /// Tokens from which the whole penalty is taken off; above `target`.
    pub max: usize,
    /// What is taken off at most.
    pub penalty: f32,
}

/// A composed reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// A finite number of any size.
    pub value: f32,
    /// Each part's own score (before its weight) and the length penalty, by name.
    pub parts: Vec<(String, f32)>,
}

impl RewardConfig {
    /// The parts to score: those given, or the problem's own verifier as `score`.
    pub fn resolved_parts(&self) -> Vec<PartConfig> {
        if self.parts.is_empty() {
            return vec![PartConfig { name: "score".into(), verifier: None, weight: 1.0, gate: false }];
        }
        self.parts.clone()
    }

    /// Refuses what cannot be meant; the error names the field.
    ///
    /// # Errors
    /// Repeated or empty part names, weights that are not finite, a length range that is empty.
    pub fn check(&self) -> Result<(), String> {
        for (i, part) in self.parts.iter().enumerate() {
            if part.name.is_empty() || self.parts[..i].iter().any(|p| p.name == part.name) {
                return Err(format!(
                    "reward.parts[{i}].name: {:?} is empty or repeated; each part needs its own",
                    part.name
                ));
            }
            if [LENGTH_PENALTY, KL_PENALTY].contains(&&*part.name) {
                return Err(format!(
                    "reward.parts[{i}].name: {:?} is what is taken off for length or divergence; another name is right",
                    part.name
                ));
            }
            if !part.weight.is_finite() {
                return Err(format!("reward.parts[{i}].weight: {} is not a finite number", part.weight));
            }
        }
        match self.length {
            Some(LengthShaping { target, max, .. }) if max <= target => {
                Err(format!("reward.length.max: {max} must be above target, {target}"))
            }
            Some(LengthShaping { penalty, .. }) if !penalty.is_finite() => {
                Err(format!("reward.length.penalty: {penalty} is not a finite number"))
            }
            _ => Ok(()),
        }
    }

    /// The reward of a sample of `tokens` generated tokens, given one verdict for each of [`RewardConfig::resolved_parts`]; none
    /// when one of them is a fault.
    ///
    /// # Panics
    /// When the number of verdicts is not that of the parts.
    pub fn compose(&self, verdicts: &[Verdict], tokens: usize) -> Option<Reward> {
        let config = self.resolved_parts();
        assert_eq!(config.len(), verdicts.len(), "one verdict for each part of the reward");
        let scores: Vec<f32> = verdicts.iter().map(|v| v.score).collect::<Option<_>>()?;
        let shut = config.iter().zip(&scores).any(|(part, score)| part.gate && *score < 1.0);
        let sum: f32 = config.iter().zip(&scores).map(|(part, score)| part.weight * score).sum();
        let mut value = if shut { 0.0 } else { sum };
        let mut parts: Vec<(String, f32)> = config.into_iter().map(|p| p.name).zip(scores).collect();
        if let Some(length) = self.length {
            let penalty = length.at(tokens);
            value -= penalty;
            parts.push((LENGTH_PENALTY.into(), penalty));
        }
        Some(Reward { value, parts })
    }
}

impl LengthShaping {
    /// What is taken off a completion of `tokens` tokens.
    pub fn at(&self, tokens: usize) -> f32 {
        let over = tokens.saturating_sub(self.target) as f32 / (self.max - self.target) as f32;
        self.penalty * over.min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn config(text: &str) -> RewardConfig {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn parts_are_weighted_and_logged() {
        let reward = config(
            r#"{"parts": [{"name": "right"}, {"name": "form", "verifier": "format", "weight": 0.5}]}"#,
        );
        let verdicts = [Verdict::fail(""), Verdict::scored(Outcome::Fail, 0.5, "")];
        let got = reward.compose(&verdicts, 10).unwrap();
        assert_eq!(got, Reward { value: 0.25, parts: vec![("right".into(), 0.0), ("form".into(), 0.5)] });
    }

    #[test]
    fn a_gate_below_one_shuts_the_whole_reward() {
        let reward =
            config(r#"{"parts": [{"name": "right"}, {"name": "form", "gate": true, "weight": 0.1}]}"#);
        assert_eq!(reward.compose(&[Verdict::pass(""), Verdict::fail("")], 1).unwrap().value, 0.0);
        assert_eq!(reward.compose(&[Verdict::pass(""), Verdict::pass("")], 1).unwrap().value, 1.1);
    }

    #[test]
    fn length_takes_off_linearly_between_target_and_max() {
        let reward = config(r#"{"length": {"target": 100, "max": 200, "penalty": 0.5}}"#);
        let value = |tokens| reward.compose(&[Verdict::pass("")], tokens).unwrap().value;
        assert_eq!([value(100), value(150), value(200), value(999)], [1.0, 0.75, 0.5, 0.5]);
        assert!(config(r#"{"length": {"target": 200, "max": 200, "penalty": 0.5}}"#).check().is_err());
    }

    #[test]
    fn the_names_of_what_is_taken_off_are_no_names_of_parts() {
        for name in [LENGTH_PENALTY, KL_PENALTY] {
            let error = config(&format!(r#"{{"parts": [{{"name": "{name}"}}]}}"#)).check().unwrap_err();
            assert!(error.contains("reward.parts[0].name") && error.contains(name), "{error}");
        }
    }

    #[test]
    fn a_fault_in_any_part_leaves_no_reward() {
        let reward = config(r#"{"parts": [{"name": "a"}, {"name": "b", "weight": 0}]}"#);
        assert_eq!(reward.compose(&[Verdict::pass(""), Verdict::fault("")], 1), None);
    }
}
