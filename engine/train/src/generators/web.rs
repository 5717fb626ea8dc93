//! `web`: general text in a small vocabulary, for a base model: plain sentences, the format in which questions are
//! answered, and a few solved problems as any crawl has them.
//!
//! Parameters: `answers` (share of documents in the answer format whose answer stands in the question; default 0.2),
//! `solved` (share that are problems with solutions; default 0.05), `sloppy` (share of those that are guesses;
//! default 0) and those of [`Problems`](super::problems::Problems).

use serde_json::{Map, Value};

use super::problems::Drawn;
use super::questions::Question;
use super::{Documents, Wrong, known, problems, take_share};
use crate::data::Document;
use crate::data::config::Split;
use crate::data::keyed::{self, Draws};

pub(super) struct Web {
    problems: Drawn,
    answers: f64,
    solved: f64,
    sloppy: f64,
    key: u64,
}

const NAMES: [&str; 8] = ["Tom", "Ann", "Ben", "Eva", "Sam", "Mia", "Leo", "Zoe"];
const ADJECTIVES: [&str; 10] =
    ["old", "small", "red", "quiet", "cold", "long", "bright", "green", "new", "soft"];
const NOUNS: [&str; 12] =
    ["house", "river", "tree", "boat", "road", "garden", "bird", "dog", "letter", "stone", "lamp", "market"];
const ACTIONS: [&str; 10] = [
    "walked to",
    "looked at",
    "wrote about",
    "found",
    "waited by",
    "talked about",
    "passed",
    "liked",
    "drew",
    "sat near",
];
const TIMES: [&str; 8] = [
    "In the morning",
    "At noon",
    "Last week",
    "After the rain",
    "On Sunday",
    "In winter",
    "Every day",
    "Before dinner",
];
const THINGS: [&str; 8] = ["pens", "nuts", "figs", "eggs", "cups", "pins", "caps", "buns"];

impl Web {
    pub(super) fn new(params: &Map<String, Value>, key: u64) -> Result<Self, Wrong> {
        known(params, &[&["answers", "solved", "sloppy"], &problems::PARAMS[..]].concat())?;
        let mut params = params.clone();
        let answers = take_share(&mut params, "answers", 0.2)?;
        let solved = take_share(&mut params, "solved", 0.05)?;
        let sloppy = take_share(&mut params, "sloppy", 0.0)?;
        if answers + solved > 1.0 {
            return Err(Wrong::new(
                "",
                format!("gives `answers` {answers} and `solved` {solved}; 1 together at most is right"),
            ));
        }
        Ok(Self { problems: Drawn::new(params, Split::Train)?, answers, solved, sloppy, key })
    }
}

impl Documents for Web {
    fn document(&self, index: u64) -> Document {
        let mut draws = Draws::new(keyed::key(&[self.key, index]));
        let kind = draws.uniform();
        if kind < self.solved {
            self.problems.problem(&mut draws).document(self.sloppy, &mut draws)
        } else if kind < self.solved + self.answers {
            answered(&mut draws)
        } else {
            let sentences: Vec<String> = (0..draws.within(1, 3)).map(|_| sentence(&mut draws)).collect();
            Document { prompt: String::new(), text: sentences.join(" ") }
        }
    }
}

fn sentence(draws: &mut Draws) -> String {
    let (name, action) = (*draws.pick(&NAMES), *draws.pick(&ACTIONS));
    let (adjective, noun) = (*draws.pick(&ADJECTIVES), *draws.pick(&NOUNS));
    match draws.within(0, 2) {
        0 => format!("{}, {name} {action} the {adjective} {noun}.", draws.pick(&TIMES)),
        1 => format!("{name} {action} the {noun}, and it was {adjective}."),
        _ => format!("The {noun} was {adjective}, so {name} {action} it."),
    }
}

/// The formats of both kinds of answer, on questions that need no arithmetic.
fn answered(draws: &mut Draws) -> Document {
    if draws.within(0, 2) == 0 {
        let question = Question::draw(Split::Train, draws);
        return Document { prompt: question.prompt(), text: question.answer() };
    }
    let (name, things, count) = (*draws.pick(&NAMES), *draws.pick(&THINGS), draws.within(1, 999));
    let prompt = format!("Q: {name} has {count} {things}. How many {things} has {name}?\nA:");
    Document { prompt, text: format!("\n#### {count}") }
}
