//! A case: a completion, and what its verdict must be.

use crate::tasks::Place;
use crate::{Completion, Outcome, Problem, Verdict};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// A completion of a problem with what is expected of its verdict.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in reports.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// What was asked.
    pub problem: Arc<Problem>,
    /// What was answered.
    pub completion: Arc<Completion>,
    /// What must come of it.
    pub expected: Expected,
}

/// What a verdict must be. What is not given is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// One of these outcomes; any where there is none.
    pub outcomes: Vec<Outcome>,
    /// The score, within these ends.
    pub score: Option<Range>,
    /// Parts by name, each within its ends; parts that are not named may have any score.
    pub parts: Vec<(String, Range)>,
    /// What occurs in the reason.
    pub reason: Option<String>,
}

/// Scores from `low` to `high`, both among them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The lowest.
    pub low: f32,
    /// The highest.
    pub high: f32,
}

/// How far a score may be from the one that is expected: what summing a few parts in another order changes.
const CLOSE: f32 = 1e-5;

impl Range {
    fn holds(self, score: f32) -> bool {
        score >= self.low - CLOSE && score <= self.high + CLOSE
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            write!(f, "{}", self.low)
        } else {
            write!(f, "{} to {}", self.low, self.high)
        }
    }
}

/// Something of a verdict that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `outcome`, `score`, `reason` or `part NAME`.
    pub of: String,
    /// What would be right.
    pub expected: String,
    /// What it is.
    pub got: String,
}

impl Expected {
    /// What of a verdict is otherwise; nothing where it is as expected.
    pub fn differences(&self, verdict: &Verdict) -> Vec<Difference> {
        let mut all = Vec::new();
        let mut tell = |of: String, expected: String, got: String| all.push(Difference { of, expected, got });
        if !self.outcomes.is_empty() && !self.outcomes.contains(&verdict.outcome) {
            tell("outcome".into(), self.outcome_names(), verdict.outcome.to_string());
        }
        if let Some(range) = self.score
            && !verdict.score.is_some_and(|score| range.holds(score))
        {
            tell("score".into(), range.to_string(), number(verdict.score));
        }
        for (name, range) in &self.parts {
            let got = verdict.parts.iter().find(|(n, _)| n == name).map(|(_, score)| *score);
            if !got.is_some_and(|score| range.holds(score)) {
                tell(format!("part {name}"), range.to_string(), number(got));
            }
        }
        if let Some(text) = self.reason.as_ref().filter(|text| !verdict.reason.contains(text.as_str())) {
            tell("reason".into(), format!("... {text} ..."), verdict.reason.clone());
        }
        all
    }

    /// Whether a fault is among what is expected.
    pub fn allows_fault(&self) -> bool {
        self.outcomes.contains(&Outcome::Fault)
    }

    /// Whether a pass, and nothing else, is expected.
    pub fn is_pass(&self) -> bool {
        self.outcomes == [Outcome::Pass]
    }

    fn outcome_names(&self) -> String {
        self.outcomes.iter().map(|outcome| outcome.name()).collect::<Vec<_>>().join(" or ")
    }

    /// Takes the expectation's fields out of a row: `expect`, `score`, `parts`, `reason`; `column` gives the row's own name of a
    /// field.
    ///
    /// # Errors
    /// The field and what would be right.
    pub(super) fn take<'c>(
        row: &mut Map<String, Value>,
        column: impl Fn(&'c str) -> &'c str,
    ) -> Result<Expected, (String, String)> {
        let mut take = |field: &'c str| row.shift_remove(column(field)).filter(|value| !value.is_null());
        let wrong = |field: &'c str, right: &str| (column(field).to_owned(), right.to_owned());
        let outcomes = match take("expect") {
            None => Vec::new(),
            Some(value) => outcomes(&value).map_err(|right| wrong("expect", &right))?,
        };
        let score =
            take("score").map(|value| range(&value).ok_or_else(|| wrong("score", RANGE))).transpose()?;
        let parts = match take("parts") {
            None => Vec::new(),
            Some(Value::Object(parts)) => parts
                .iter()
                .map(|(name, value)| {
                    let range = range(value).ok_or_else(|| wrong("parts", &format!("`{name}`: {RANGE}")))?;
                    Ok((name.clone(), range))
                })
                .collect::<Result<_, (String, String)>>()?,
            Some(_) => return Err(wrong("parts", "a table of part names and scores is right")),
        };
        let reason = match take("reason") {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => return Err(wrong("reason", "a text that occurs in the reason is right")),
        };
        let expected = Expected { outcomes, score, parts, reason };
        if expected == Expected::default() {
            let right = "is missing; an outcome such as \"pass\" is right, or `score`, `parts` or `reason`";
            return Err(wrong("expect", right));
        }
        Ok(expected)
    }
}

const RANGE: &str = "a score such as 1, or the ends of a range such as [0.4, 0.6], is right";

fn range(value: &Value) -> Option<Range> {
    let number = |value: &Value| value.as_f64().filter(|n| n.is_finite()).map(|n| n as f32);
    match value {
        Value::Array(ends) => match &ends[..] {
            [low, high] => {
                let (low, high) = (number(low)?, number(high)?);
                (low <= high).then_some(Range { low, high })
            }
            _ => None,
        },
        value => number(value).map(|score| Range { low: score, high: score }),
    }
}

fn outcomes(value: &Value) -> Result<Vec<Outcome>, String> {
    let named = |value: &Value| {
        let name = value.as_str()?;
        Outcome::ALL.into_iter().find(|outcome| outcome.name() == name)
    };
    let names = || Outcome::ALL.map(Outcome::name).join(", ");
    let right = || format!("is {value}; one of {}, a list of them, or true or false is right", names());
    match value {
        Value::Bool(true) => Ok(vec![Outcome::Pass]),
        // whatever is neither a pass nor the verifier's own failure
        Value::Bool(false) => {
            Ok(Outcome::ALL.into_iter().filter(|o| !matches!(o, Outcome::Pass | Outcome::Fault)).collect())
        }
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(named).collect::<Option<_>>().ok_or_else(right)
        }
        value => named(value).map(|outcome| vec![outcome]).ok_or_else(right),
    }
}

fn number(score: Option<f32>) -> String {
    score.map_or_else(|| "none".to_owned(), |score| score.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn expected(mut row: Value) -> Result<Expected, (String, String)> {
        Expected::take(row.as_object_mut().unwrap(), |field| field)
    }

    #[test]
    fn what_differs_is_told_field_by_field() {
        let expected = expected(
            json!({"expect": "pass", "score": [0.9, 1], "parts": {"a": 1, "b": 0.5}, "reason": "equal"}),
        );
        let verdict = Verdict::fail("other value").with_part("a", 1.0).with_part("c", 1.0);
        let told: Vec<String> = (expected.unwrap().differences(&verdict).iter())
            .map(|d| format!("{}: {} | {}", d.of, d.expected, d.got))
            .collect();
        let right = [
            "outcome: pass | fail",
            "score: 0.9 to 1 | 0",
            "part b: 0.5 | none",
            "reason: ... equal ... | other value",
        ];
        assert_eq!(told, right);
    }

    #[test]
    fn false_expects_anything_but_a_pass_or_a_fault() {
        let expected = expected(json!({"expect": false})).unwrap();
        assert!(expected.differences(&Verdict::unparseable("")).is_empty());
        assert!(!expected.differences(&Verdict::pass("")).is_empty());
        assert!(!expected.differences(&Verdict::fault("")).is_empty());
    }

    #[test]
    fn an_expectation_that_is_none_is_refused_with_its_field() {
        for (row, field) in [
            (json!({}), "expect"),
            (json!({"expect": "passes"}), "expect"),
            (json!({"score": [1, 0]}), "score"),
            (json!({"parts": {"a": "1"}}), "parts"),
            (json!({"reason": 3}), "reason"),
        ] {
            assert_eq!(expected(row.clone()).unwrap_err().0, field, "{row}");
        }
    }
}
