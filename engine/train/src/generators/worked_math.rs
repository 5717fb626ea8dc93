//! `worked-math`: documents of problems with their solutions, of which a share is sloppy, as in real corpora.
//!
//! Parameters: `sloppy` (share of quick guesses without steps, mostly wrong; default 0) and those of
//! [`Problems`](super::problems::Problems).

use serde_json::{Map, Value};

use super::problems::Drawn;
use super::{Documents, Wrong, known, problems, take_share};
use crate::data::Document;
use crate::data::config::Split;
use crate::data::keyed::{self, Draws};

pub(super) struct WorkedMath {
    problems: Drawn,
    sloppy: f64,
    key: u64,
}

impl WorkedMath {
    pub(super) fn new(params: &Map<String, Value>, key: u64) -> Result<Self, Wrong> {
        known(params, &[&["sloppy"], &problems::PARAMS[..]].concat())?;
        let mut params = params.clone();
        let sloppy = take_share(&mut params, "sloppy", 0.0)?;
        Ok(Self { problems: Drawn::new(params, Split::Train)?, sloppy, key })
    }
}

impl Documents for WorkedMath {
    fn document(&self, index: u64) -> Document {
        let mut draws = Draws::new(keyed::key(&[self.key, index]));
        self.problems.problem(&mut draws).document(self.sloppy, &mut draws)
    }
}
