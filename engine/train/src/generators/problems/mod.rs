//! The arithmetic problems of `worked-math`, `math-tasks` and `web`: a question, its steps and its answer.
//!
//! Each family is a file of its own. A problem is short (its solution included, about 90 characters), so that a model
//! of characters with a million parameters can learn it in minutes.

mod addition;
mod product;
mod story;
mod units;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Kind, Wrong, side_of};
use crate::data::Document;
use crate::data::config::Split;
use crate::data::error::suggestion;
use crate::data::keyed::Draws;

/// A problem with its solution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MathProblem {
    /// `addition`, `product`, `story` or `units`.
    pub family: &'static str,
    /// What is asked: the same for the same numbers and structure in other words or in another order.
    pub key: String,
    /// One line.
    pub question: String,
    /// The steps of the solution, such as `14+25=39 39*3=117`.
    pub steps: String,
    /// The answer.
    pub answer: i64,
}

impl MathProblem {
    /// The text up to where the answer starts.
    pub fn prompt(&self) -> String {
        format!("Q: {}\nA:", self.question)
    }

    /// The steps and the answer.
    pub fn solution(&self) -> String {
        format!(" {}\n#### {}", self.steps, self.answer)
    }

    /// A quick guess without steps, somewhere near the answer and mostly wrong.
    pub fn guess(&self, draws: &mut Draws) -> String {
        let spread = (self.answer / 4).max(5);
        let guess = draws.within((self.answer - spread).max(0), self.answer + spread);
        format!("\n#### {guess}")
    }

    /// The problem with its solution, or with a guess for a share `sloppy` of the draws.
    pub fn document(&self, sloppy: f64, draws: &mut Draws) -> Document {
        let text = if draws.uniform() < sloppy { self.guess(draws) } else { self.solution() };
        Document { prompt: self.prompt(), text }
    }
}

/// The parameters of [`Problems`].
pub(super) const PARAMS: [&str; 3] = ["families", "digits", "largest"];

/// Which problems are drawn.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Problems {
    /// Weights of the families; those that are not named are left out. Without any, all are as likely.
    pub families: BTreeMap<String, f64>,
    /// Digits of the numbers that `addition` adds, 1 to 9.
    pub digits: u32,
    /// Largest of the numbers added or taken away in `product`, `story` and `units`, 3 to 9999.
    pub largest: i64,
}

impl Default for Problems {
    fn default() -> Self {
        Self { families: BTreeMap::new(), digits: 3, largest: 20 }
    }
}

type Family = fn(&Problems, &mut Draws) -> MathProblem;

const FAMILIES: [(&str, Family); 4] = [
    ("addition", addition::problem),
    ("product", product::problem),
    ("story", story::problem),
    ("units", units::problem),
];

/// Problems of one side.
pub(super) struct Drawn {
    problems: Problems,
    chosen: Vec<(Kind, Family)>,
    split: Split,
}

impl Drawn {
    /// Reads what is left of a generator's parameters.
    pub(super) fn new(params: Map<String, Value>, split: Split) -> Result<Self, Wrong> {
        let problems: Problems = serde_json::from_value(Value::Object(params))
            .map_err(|error| Wrong::new("", format!("cannot be read: {error}")))?;
        let wrong = |key: &str, what: String| Err(Wrong::new(key, what));
        if !(1..=9).contains(&problems.digits) {
            return wrong("digits", format!("is {}; 1 to 9 is right", problems.digits));
        }
        if !(3..=9999).contains(&problems.largest) {
            return wrong("largest", format!("is {}; 3 to 9999 is right", problems.largest));
        }
        let names = FAMILIES.map(|(name, _)| name);
        for (name, weight) in &problems.families {
            if !names.contains(&name.as_str()) {
                let key = format!("families.{name}");
                return wrong(&key, format!("is no family; {}", suggestion(name, names)));
            }
            if !(weight.is_finite() && *weight >= 0.0) {
                let key = format!("families.{name}");
                return wrong(&key, format!("is {weight}; a weight of 0 or more is right"));
            }
        }
        let weight_of = |name: &str| match problems.families.is_empty() {
            true => 1.0,
            false => problems.families.get(name).copied().unwrap_or(0.0),
        };
        let chosen: Vec<(Kind, Family)> = (FAMILIES.into_iter())
            .map(|(name, family)| (Kind { name: name.to_owned(), weight: weight_of(name) }, family))
            .filter(|(kind, _)| kind.weight > 0.0)
            .collect();
        if chosen.is_empty() {
            let all = names.join(", ");
            return wrong("families", format!("gives every family the weight 0; there are {all}"));
        }
        let drawn = Self { problems, chosen, split };
        for (kind, family) in &drawn.chosen {
            let mut draws = Draws::new(0);
            let found = (0..10_000).any(|_| side_of(&family(&drawn.problems, &mut draws).key) == split);
            if !found {
                let what =
                    format!("leaves `{}` no problem on this side: raise `digits` or `largest`", kind.name);
                return wrong("", what);
            }
        }
        Ok(drawn)
    }

    /// The families, with their weights.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.chosen.iter().map(|(kind, _)| kind.clone()).collect()
    }

    /// The next problem of this side, of any family.
    pub(super) fn problem(&self, draws: &mut Draws) -> MathProblem {
        let weights: Vec<f64> = self.chosen.iter().map(|(kind, _)| kind.weight).collect();
        let family = draws.weighted(&weights);
        self.of_kind(family, draws)
    }

    /// The next problem of this side, of the family of that index among [`kinds`](Self::kinds).
    pub(super) fn of_kind(&self, kind: usize, draws: &mut Draws) -> MathProblem {
        let (_, family) = &self.chosen[kind];
        loop {
            // One in four problems is held out, and `new` saw one of this side in each family.
            let problem = family(&self.problems, draws);
            if side_of(&problem.key) == self.split {
                return problem;
            }
        }
    }
}
