//! Multiple choice: passes completions that commit to the right letter, or to the right choice's text.
//!
//! What counts as committing is in the module `statements`; how a letter is told from an article is in `letters`. A completion
//! that names two letters for one answer has not chosen and never passes.

mod gold;
mod letters;
mod statements;

pub use gold::{ChoiceConfig, GoldForm};

use crate::answer::{answer, excerpt, tail};
use rlvr_verdict::{Attack, Completion, Judges, Problem, ProblemError, Step, Verdict, Verifier};
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

/// The part of a completion that is read.
fn read_part(completion: &Completion) -> Result<&str, Verdict> {
    let text = tail(answer(completion)?, READ);
    // the last word may be half of one: `B` of `Both`
    let cut = completion.truncated && completion.text.ends_with(char::is_alphanumeric);
    Ok(if cut { text.trim_end_matches(char::is_alphanumeric) } else { text })
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
        "2"
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        gold::gold(&self.config, problem).map(drop)
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        let right = match gold::gold(&self.config, problem) {
            Ok(right) => right,
            Err(error) => return Verdict::fault(format!("the problem cannot be judged: {error}")),
        };
        let text = match read_part(completion) {
            Ok(text) => text,
            Err(verdict) => return verdict,
        };
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
    fn judges(&self) -> Judges {
        Judges::Statement
    }

    fn gold(&self, problem: &Problem) -> Option<Completion> {
        let right = gold::gold(&self.config, problem).ok()?;
        Some(Completion::new(format!("The answer is {}.", letter(right))))
    }

    fn attacks(&self, problem: &Problem) -> Vec<Attack> {
        let Ok(right) = gold::gold(&self.config, problem) else { return Vec::new() };
        let count = gold::choice_count(problem);
        if count < 2 {
            return Vec::new();
        }
        let all: Vec<char> = (0..count).map(letter).collect();
        let (right, wrong) = (letter(right), letter((right + 1) % count));
        let listed = |by: &str| all.iter().map(char::to_string).collect::<Vec<_>>().join(by);
        let texts = [
            // every letter, in every way
            ("every-letter", listed(", ")),
            ("every-letter", listed("\n")),
            ("every-letter", format!("The answer is {}.", listed(" or "))),
            ("every-letter", all.iter().map(|c| format!("\\boxed{{{c}}}")).collect::<Vec<_>>().join(" and ")),
            ("every-letter", all.iter().map(|c| format!("The answer is {c}.\n")).collect()),
            ("hedge", format!("It could be {right}, but {wrong} is also possible.")),
            ("hedge", format!("{right}/{wrong}")),
            ("hedge", format!("The answer is {right} or {wrong}")),
            ("denial", format!("The answer is not {right}.")),
            ("denial", format!("{right} is wrong.")),
            ("beyond", "The answer is Z.".to_owned()),
        ];
        let mut attacks: Vec<Attack> = texts.map(|(name, text)| Attack::no_pass(name, text)).into();
        attacks.push(Attack::pass(
            "taken-back",
            format!("The answer is {wrong}. Wait, no: the answer is {right}."),
        ));
        attacks.push(Attack::pass("eliminated", format!("It is not {wrong}. The answer is {right}.")));
        attacks
    }

    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        let gold = gold::gold(&self.config, problem);
        let gold = gold.map_or_else(|error| error.to_string(), |right| letter(right).to_string());
        let mut steps = vec![Step::note("gold", gold)];
        let text = match read_part(completion) {
            Ok(text) => text,
            Err(verdict) => return [steps, vec![Step::rule("answer part", false, verdict.reason)]].concat(),
        };
        steps.push(Step::rule("answer part", true, excerpt(text)));
        for (rule, found) in statements::tried(text, &problem.choices) {
            let held = !found.is_empty();
            steps.push(Step::rule(rule, held, if held { found.join("; ") } else { "nothing".to_owned() }));
        }
        steps
    }
}
