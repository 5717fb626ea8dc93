//! Multiple choice: passes completions that commit to the right letter, or to the right choice's text.
//!
//! What counts as committing is in the module `statements`; how a letter is told from an article is in `letters`. A completion
//! that names two letters for one answer has not chosen and never passes.

mod gold;
mod letters;
mod statements;

pub use gold::{ChoiceConfig, GoldForm};

use crate::answer::{answer, excerpt, tail};
use rlvr_verdict::{Completion, Problem, ProblemError, Verdict, Verifier};
use statements::Stated;

/// Bytes at the end of an answer that are read: some 4,000 tokens of prose.
pub const READ: usize = 16 * 1024;

/// The verifier `choice`. The problem's `answer` is a letter, an index or the text of one of its `choices`; without `choices`
/// it is a letter from A to J.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    config: ChoiceConfig,
}

impl Choice {
    /// A verifier with this configuration.
    pub fn new(config: ChoiceConfig) -> Self {
        Choice { config }
    }
}

/// The letter of the choice at an index, from A.
fn letter(index: usize) -> char {
    char::from_u32('A' as u32 + index as u32).unwrap_or('?')
}

impl Verifier for Choice {
    fn name(&self) -> &str {
        "choice"
    }

    fn version(&self) -> &str {
        "1"
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        gold::gold(&self.config, problem).map(drop)
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        let right = match gold::gold(&self.config, problem) {
            Ok(right) => right,
            Err(error) => return Verdict::fault(format!("the problem cannot be judged: {error}")),
        };
        let mut text = match answer(completion) {
            Ok(answer) => tail(answer, READ),
            Err(verdict) => return verdict,
        };
        if completion.truncated && completion.text.ends_with(char::is_alphanumeric) {
            // the last word may be half of one: `B` of `Both`
            text = text.trim_end_matches(char::is_alphanumeric);
        }
        let last = letter(gold::choice_count(problem) - 1);
        match statements::read(text, &problem.choices) {
            Stated::One { choice, from } => {
                let read = letter(choice);
                let from = excerpt(from);
                let verdict = if choice == right {
                    Verdict::pass(format!("read {read} from {from}, which is right"))
                } else if read > last {
                    Verdict::fail(format!("read {read} from {from}, which is beyond the last choice, {last}"))
                } else {
                    Verdict::fail(format!("read {read} from {from}, but the answer is {}", letter(right)))
                };
                verdict.with_answer(read)
            }
            Stated::Several { choices: [a, b], from } => {
                let (a, b) = (letter(a), letter(b));
                Verdict::fail(format!("does not choose between {a} and {b} in {}", excerpt(from)))
            }
            Stated::Denied { from } => {
                Verdict::unparseable(format!("says what the answer is not, in {}", excerpt(from)))
            }
            Stated::Nothing => {
                let end = excerpt(tail(text, 60));
                Verdict::unparseable(format!("no choice from A to {last} is stated; it ends with {end}"))
            }
        }
    }
}
