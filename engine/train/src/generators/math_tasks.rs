//! `math-tasks`: the problems of `worked-math` as tasks, for the verifier `math`; the family is the tag.
//!
//! Parameters: those of [`Problems`](super::problems::Problems).

use serde_json::{Map, Value, json};

use super::problems::Drawn;
use super::{GeneratedTask, Kind, Tasks, Wrong, known, problems};
use crate::data::config::Split;
use crate::data::keyed::{self, Draws};

pub(super) struct MathTasks {
    problems: Drawn,
    key: u64,
}

impl MathTasks {
    pub(super) fn new(params: &Map<String, Value>, key: u64, split: Split) -> Result<Self, Wrong> {
        known(params, &problems::PARAMS)?;
        Ok(Self { problems: Drawn::new(params.clone(), split)?, key })
    }
}

impl Tasks for MathTasks {
    fn kinds(&self) -> Vec<Kind> {
        self.problems.kinds()
    }

    fn task(&self, kind: usize, index: u64) -> GeneratedTask {
        let problem =
            self.problems.of_kind(kind, &mut Draws::new(keyed::key(&[self.key, kind as u64, index])));
        let fields = Map::from_iter([
            ("prompt".to_string(), problem.prompt().into()),
            ("verifier".to_string(), "math".into()),
            ("answer".to_string(), problem.answer.to_string().into()),
            ("tags".to_string(), json!([problem.family])),
        ]);
        GeneratedTask { key: format!("{}: {}", problem.family, problem.key), fields }
    }
}
