//! Questions of fact and of units with four choices: the tables, and how a question is drawn from them.
//!
//! The facts are the same on both sides of the split; what is held out is a question: a subject with a set of choices (for units
//! a quantity with its choices), whatever its wording and the order of the choices. So it can be answered by who knows the
//! facts and not by who knows the line.

use super::side_of;
use crate::data::config::Split;
use crate::data::keyed::Draws;

/// A relation: ways to ask, and what belongs to what. Wrong choices are the answers to other questions.
struct Relation {
    name: &'static str,
    phrasings: [&'static str; 2],
    pairs: &'static [(&'static str, &'static str)],
}

const RELATIONS: [Relation; 5] = [
    Relation {
        name: "capital",
        phrasings: ["What is the capital of {}?", "Which city is the capital of {}?"],
        pairs: &[
            ("France", "Paris"),
            ("Italy", "Rome"),
            ("Spain", "Madrid"),
            ("Japan", "Tokyo"),
            ("Egypt", "Cairo"),
            ("Peru", "Lima"),
            ("Norway", "Oslo"),
            ("Greece", "Athens"),
            ("Austria", "Vienna"),
            ("Germany", "Berlin"),
        ],
    },
    Relation {
        name: "young",
        phrasings: ["What is a young {} called?", "What do we call a young {}?"],
        pairs: &[
            ("dog", "puppy"),
            ("cat", "kitten"),
            ("cow", "calf"),
            ("sheep", "lamb"),
            ("horse", "foal"),
            ("bear", "cub"),
            ("hen", "chick"),
            ("goat", "kid"),
            ("deer", "fawn"),
            ("pig", "piglet"),
        ],
    },
    Relation {
        name: "opposite",
        phrasings: ["What is the opposite of {}?", "Which word is the opposite of {}?"],
        pairs: &[
            ("hot", "cold"),
            ("big", "small"),
            ("up", "down"),
            ("fast", "slow"),
            ("day", "night"),
            ("light", "dark"),
            ("wet", "dry"),
            ("full", "empty"),
            ("hard", "soft"),
            ("high", "low"),
        ],
    },
    Relation {
        name: "home",
        phrasings: ["Where does a {} live?", "What is the home of a {}?"],
        pairs: &[
            ("bee", "hive"),
            ("bird", "nest"),
            ("fox", "den"),
            ("spider", "web"),
            ("horse", "stable"),
            ("cow", "barn"),
            ("king", "castle"),
            ("monk", "abbey"),
        ],
    },
    Relation {
        name: "material",
        phrasings: ["What is {} made from?", "From what is {} made?"],
        pairs: &[
            ("paper", "wood"),
            ("cheese", "milk"),
            ("bread", "flour"),
            ("glass", "sand"),
            ("wine", "grapes"),
            ("steel", "iron"),
            ("brick", "clay"),
            ("wax", "honeycomb"),
        ],
    },
];

/// `(many, one, how many)`: so many of the first are one of the second.
const UNITS: [(&str, &str, i64); 8] = [
    ("minutes", "hours", 60),
    ("hours", "days", 24),
    ("days", "weeks", 7),
    ("months", "years", 12),
    ("cm", "m", 100),
    ("mm", "cm", 10),
    ("inches", "feet", 12),
    ("feet", "yards", 3),
];

/// Letters of the choices, in order.
const LETTERS: [char; 4] = ['A', 'B', 'C', 'D'];

/// A question with four choices, one of which is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// A relation's name, or `units`.
    pub relation: &'static str,
    /// What is asked about, such as `France` or `3 hours in minutes`.
    subject: String,
    /// The line that is asked.
    pub question: String,
    /// In order.
    pub choices: Vec<String>,
    /// Letter of the right one.
    pub letter: char,
}

impl Question {
    /// The names of all relations, `units` last.
    pub(super) fn relations() -> impl Iterator<Item = &'static str> {
        RELATIONS.iter().map(|relation| relation.name).chain(["units"])
    }

    /// A question of one side, of any relation.
    pub(super) fn draw(split: Split, draws: &mut Draws) -> Self {
        let relation = draws.within(0, RELATIONS.len() as i64) as usize;
        Self::of_relation(relation, split, draws)
    }

    /// A question of one side, of the relation of that index among [`relations`](Self::relations).
    pub(super) fn of_relation(relation: usize, split: Split, draws: &mut Draws) -> Self {
        loop {
            let question = Self::any(relation, draws);
            if side_of(&question.key()) == split {
                return question;
            }
        }
    }

    /// What is asked: the same for the same choices in another order and other words.
    pub(super) fn key(&self) -> String {
        let mut choices: Vec<&str> = self.choices.iter().map(String::as_str).collect();
        choices.sort_unstable();
        format!("{}: {}: {}", self.relation, self.subject, choices.join(", "))
    }

    fn any(relation: usize, draws: &mut Draws) -> Self {
        let (relation, subject, question, right, wrong) = match RELATIONS.get(relation) {
            Some(relation) => {
                let (subject, right) = *draws.pick(relation.pairs);
                let question = draws.pick(&relation.phrasings).replace("{}", subject);
                let wrong = relation.pairs.iter().map(|(_, answer)| answer.to_string());
                (relation.name, subject.to_string(), question, right.to_string(), wrong.collect::<Vec<_>>())
            }
            None => {
                let (many, one, factor) = *draws.pick(&UNITS);
                let count = draws.within(2, 9);
                let right = count * factor;
                let wrong =
                    [right + factor, right - factor, right + count, right + 10, count + factor, right * 10];
                let (subject, question) =
                    (format!("{count} {one} in {many}"), format!("How many {many} are {count} {one}?"));
                (
                    "units",
                    subject,
                    question,
                    right.to_string(),
                    wrong.map(|number| number.to_string()).to_vec(),
                )
            }
        };
        let mut choices = vec![right.clone()];
        while choices.len() < LETTERS.len() {
            let choice = draws.pick(&wrong);
            if !choices.contains(choice) {
                choices.push(choice.clone());
            }
        }
        let place = draws.within(0, choices.len() as i64 - 1) as usize;
        choices.swap(0, place);
        Self { relation, subject, question, choices, letter: LETTERS[place] }
    }

    /// The text up to where the answer starts.
    pub(super) fn prompt(&self) -> String {
        let choices =
            LETTERS.iter().zip(&self.choices).map(|(letter, choice)| format!(" ({letter}) {choice}"));
        format!("Q: {}{}\nA:", self.question, choices.collect::<String>())
    }

    /// The right answer in its own words, which the verifier `choice` reads as well as its letter.
    pub(super) fn answer(&self) -> String {
        let right = LETTERS.iter().zip(&self.choices).find(|(letter, _)| **letter == self.letter);
        format!(" {}", right.map_or("", |(_, choice)| choice))
    }
}
