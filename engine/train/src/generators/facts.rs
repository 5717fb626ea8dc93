//! `facts`: questions of fact and of units with four choices, as documents with their answers and as tasks for the
//! verifier `choice`; the relation is a tag. It has no parameters.

use serde_json::{Map, Value, json};

use super::questions::Question;
use super::{Documents, GeneratedTask, Tasks};
use crate::data::Document;
use crate::data::config::Split;
use crate::data::keyed::{self, Draws};

pub(super) struct Facts {
    split: Split,
    key: u64,
}

impl Facts {
    pub(super) fn new(params: &Map<String, Value>, key: u64, split: Split) -> Result<Self, String> {
        match params.keys().next() {
            Some(name) => Err(format!("`facts` has no parameters, so no `{name}`")),
            None => Ok(Self { split, key }),
        }
    }

    fn question(&self, index: u64) -> Question {
        Question::draw(self.split, &mut Draws::new(keyed::key(&[self.key, index])))
    }
}

impl Documents for Facts {
    fn document(&self, index: u64) -> Document {
        let question = self.question(index);
        Document { prompt: question.prompt(), text: question.answer() }
    }
}

impl Tasks for Facts {
    fn task(&self, index: u64) -> GeneratedTask {
        let question = self.question(index);
        let fields = Map::from_iter([
            ("prompt".to_string(), question.prompt().into()),
            ("verifier".to_string(), "choice".into()),
            ("answer".to_string(), question.letter.to_string().into()),
            ("choices".to_string(), json!(question.choices)),
            ("tags".to_string(), json!(["facts", question.relation])),
        ]);
        GeneratedTask { key: question.prompt(), fields }
    }
}
