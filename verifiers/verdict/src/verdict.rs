//! What a verifier says of a completion.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of a verdict. Everything but [`Outcome::Fault`] is the completion's own doing and has a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The completion is right (score 1 as a rule).
    Pass,
    /// The completion is wrong, or only partly right.
    Fail,
    /// No answer could be read from the completion.
    Unparseable,
    /// The completion's program used up its fuel.
    OutOfFuel,
    /// The completion's program used up its memory.
    OutOfMemory,
    /// The completion's program ended in a trap.
    Trapped,
    /// The completion's program wrote more than it may.
    OutputLimit,
    /// The verifier itself failed. No score: the sample leaves its group.
    Fault,
}

impl Outcome {
    /// All outcomes, in order.
    pub const ALL: [Outcome; 8] = [
        Outcome::Pass,
        Outcome::Fail,
        Outcome::Unparseable,
        Outcome::OutOfFuel,
        Outcome::OutOfMemory,
        Outcome::Trapped,
        Outcome::OutputLimit,
        Outcome::Fault,
    ];

    /// The name in files: `pass`, `out_of_fuel`, ...
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Pass => "pass",
            Outcome::Fail => "fail",
            Outcome::Unparseable => "unparseable",
            Outcome::OutOfFuel => "out_of_fuel",
            Outcome::OutOfMemory => "out_of_memory",
            Outcome::Trapped => "trapped",
            Outcome::OutputLimit => "output_limit",
            Outcome::Fault => "fault",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a verdict cost. Wall time is information only; it decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Fuel units of the sandbox; 0 for native verifiers.
    pub fuel: u64,
    /// Peak memory of the sandbox in bytes; 0 for native verifiers.
    pub peak_bytes: u64,
    /// Seconds.
    pub wall: f64,
}

/// A typed judgement of one completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// `0..=1`, or none for a [`Outcome::Fault`].
    pub score: Option<f32>,
    /// What happened.
    pub outcome: Outcome,
    /// One line for a person: what was read, and why it did or did not pass.
    pub reason: String,
    /// Scores of named parts, in the verifier's order.
    #[serde(with = "parts")]
    pub parts: Vec<(String, f32)>,
    /// What it cost.
    pub cost: Cost,
    /// The answer that was read from the completion, in a normal form where the verifier has one: what majority votes count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

impl Verdict {
    /// Score 1.
    pub fn pass(reason: impl Into<String>) -> Self {
        Self::scored(Outcome::Pass, 1.0, reason)
    }

    /// Score 0.
    pub fn fail(reason: impl Into<String>) -> Self {
        Self::scored(Outcome::Fail, 0.0, reason)
    }

    /// Score 0: there was nothing to judge.
    pub fn unparseable(reason: impl Into<String>) -> Self {
        Self::scored(Outcome::Unparseable, 0.0, reason)
    }

    /// The verifier's own failure: no score.
    pub fn fault(reason: impl Into<String>) -> Self {
        Verdict { score: None, ..Self::scored(Outcome::Fault, 0.0, reason) }
    }

    /// An outcome with a score; a partial score counts as [`Outcome::Fail`] by convention.
    pub fn scored(outcome: Outcome, score: f32, reason: impl Into<String>) -> Self {
        let cost = Cost::default();
        Verdict { score: Some(score), outcome, reason: reason.into(), parts: Vec::new(), cost, answer: None }
    }

    /// Notes the answer that was read.
    pub fn with_answer(mut self, answer: impl Into<String>) -> Self {
        self.answer = Some(answer.into());
        self
    }

    /// Adds the score of a named part.
    pub fn with_part(mut self, name: impl Into<String>, score: f32) -> Self {
        self.parts.push((name.into(), score));
        self
    }

    /// Whether two verdicts say the same, wall time aside.
    pub fn same_as(&self, other: &Verdict) -> bool {
        let timeless = |v: &Verdict| Verdict { cost: Cost { wall: 0.0, ..v.cost }, ..v.clone() };
        timeless(self) == timeless(other)
    }

    /// The verdict as the pool hands it on: one whose scores are not finite numbers in `0..=1`, or which lacks or has a score
    /// against its outcome, is the verifier's fault.
    pub fn checked(self) -> Self {
        let sound = |score: &f32| (0.0..=1.0).contains(score);
        let problem = if let Some(score) = self.score.filter(|s| !sound(s)) {
            format!("the verifier gave the score {score}, which is not in 0..=1")
        } else if let Some((name, score)) = self.parts.iter().find(|(_, s)| !s.is_finite()) {
            format!("the verifier gave the part `{name}` the score {score}")
        } else if self.score.is_none() != (self.outcome == Outcome::Fault) {
            format!("the verifier gave the outcome `{}` with score {:?}", self.outcome, self.score)
        } else {
            return self;
        };
        Verdict { cost: self.cost, ..Verdict::fault(problem) }
    }
}

/// Parts are a JSON object in files.
mod parts {
    use serde::de::{MapAccess, Visitor};
    use serde::ser::SerializeMap;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(parts: &[(String, f32)], serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(parts.len()))?;
        for (name, score) in parts {
            map.serialize_entry(name, score)?;
        }
        map.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, f32)>, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Vec<(String, f32)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of part names and scores")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = map.next_entry()? {
                    parts.push(part);
                }
                Ok(parts)
            }
        }
        deserializer.deserialize_map(Parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_is_no_number_is_the_verifiers_fault() {
        for score in [f32::NAN, f32::INFINITY, -0.1, 1.5] {
            let verdict = Verdict::scored(Outcome::Fail, score, "").checked();
            assert_eq!((verdict.outcome, verdict.score), (Outcome::Fault, None), "{score}");
        }
        let verdict = Verdict { score: None, ..Verdict::pass("") }.checked();
        assert_eq!(verdict.outcome, Outcome::Fault);
        assert_eq!(Verdict::pass("ok").checked(), Verdict::pass("ok"));
    }

    #[test]
    fn a_verdict_survives_json_with_its_parts_in_order() {
        let verdict = Verdict::fail("2 of 3 tests").with_part("b", 1.0).with_part("a", 0.25);
        let text = serde_json::to_string(&verdict).unwrap();
        assert!(
            text.contains(r#""outcome":"fail""#) && text.contains(r#""parts":{"b":1.0,"a":0.25}"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
    }

    #[test]
    fn wall_time_does_not_make_two_verdicts_differ() {
        let mut slow = Verdict::pass("ok");
        slow.cost.wall = 3.0;
        assert!(slow.same_as(&Verdict::pass("ok")));
        slow.cost.fuel = 1;
        assert!(!slow.same_as(&Verdict::pass("ok")));
    }
}
