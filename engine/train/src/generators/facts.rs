//! `facts`: questions of fact and of units with four choices, as documents with their answers and as tasks for the
//! verifier `choice`; the relation is a tag. It has no parameters.

use serde_json::{Map, Value, json};

use super::questions::Question;
use super::{Documents, GeneratedTask, Kind, Tasks, Wrong, known};
use crate::data::Document;
use crate::data::config::Split;
use crate::data::keyed::{self, Draws};

pub(super) struct Facts {
    split: Split,
    key: u64,
}

impl Facts {
    pub(super) fn new(params: &Map<String, Value>, key: u64, split: Split) -> Result<Self, Wrong> {
        known(params, &[])?;
        Ok(Self { split, key })
    }
}

impl Documents for Facts {
    fn document(&self, index: u64) -> Document {
        let question = Question::draw(self.split, &mut Draws::new(keyed::key(&[self.key, index])));
        Document { prompt: question.prompt(), text: question.answer() }
    }
}

impl Tasks for Facts {
    fn kinds(&self) -> Vec<Kind> {
        Question::relations().map(|name| Kind { name: name.to_owned(), weight: 1.0 }).collect()
    }

    fn task(&self, kind: usize, index: u64) -> GeneratedTask {
        let mut draws = Draws::new(keyed::key(&[self.key, kind as u64, index]));
        let question = Question::of_relation(kind, self.split, &mut draws);
        let fields = Map::from_iter([
            ("prompt".to_string(), question.prompt().into()),
            ("verifier".to_string(), "choice".into()),
            ("answer".to_string(), question.letter.to_string().into()),
            ("choices".to_string(), json!(question.choices)),
            ("tags".to_string(), json!(["facts", question.relation])),
        ]);
        GeneratedTask { key: question.key(), fields }
    }
}
