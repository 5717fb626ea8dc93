//! The `tasks` of an RL stage: one task set's name, or several with weights.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A task set and how often prompts come from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskShare {
    /// The task set's name.
    pub tasks: String,
    /// Prompts are drawn from the sets in proportion to their weights; above 0.
    pub weight: f64,
}

/// Reads `"name"`, or a list of `"name"` and `{ tasks = "name", weight = 2 }`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TaskShare>, D::Error> {
    deserializer.deserialize_any(Mix)
}

/// Writes one set of weight 1 as its name.
pub(super) fn serialize<S: Serializer>(shares: &[TaskShare], serializer: S) -> Result<S::Ok, S::Error> {
    match shares {
        [only] if only.weight == 1.0 => only.tasks.serialize(serializer),
        shares => shares.serialize(serializer),
    }
}

impl<'de> Deserialize<'de> for TaskShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Share)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareTable {
    tasks: String,
    #[serde(default = "one")]
    weight: f64,
}

fn one() -> f64 {
    1.0
}

struct Mix;

impl<'de> Visitor<'de> for Mix {
    type Value = Vec<TaskShare>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a task set's name, or a list of { tasks, weight }")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(vec![TaskShare { tasks: name.to_owned(), weight: 1.0 }])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items))
    }
}

struct Share;

impl<'de> Visitor<'de> for Share {
    type Value = TaskShare;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a task set's name, or { tasks, weight }")
    }

    fn visit_str<E>(self, name: &str) -> Result<TaskShare, E> {
        Ok(TaskShare { tasks: name.to_owned(), weight: 1.0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TaskShare, A::Error> {
        let ShareTable { tasks, weight } = ShareTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TaskShare { tasks, weight })
    }
}
