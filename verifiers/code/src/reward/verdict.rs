//! From what a function says to a verdict.
//!
//! | the function | verdict |
//! | --- | --- |
//! | gives a number in the range | the score; a pass where it is the largest |
//! | gives a number outside of it, or what is no number | fault |
//! | gives nothing (`None`: it does not apply) | as 0, unparseable |
//! | raises | fault, with the lines of the file that led there |
//! | uses up fuel, memory, output or the stack, and does not on an empty completion | score 0, with that outcome |
//! | uses them up on an empty completion too | fault |

use super::PythonFile;
use super::program::{Frame, Reply, Style};
use crate::sandbox::Stop;
use rlvr_verdict::{Outcome, Step, Verdict};

/// Lines of printed text that are shown.
const MOST_LINES: usize = 40;

/// Outcome and words for a check that used something up; none for any other.
pub(super) fn exhausted(answer: &Result<Reply, Stop>) -> Option<(Outcome, String)> {
    let (outcome, what) = match answer {
        Err(Stop::Fuel) => (Outcome::OutOfFuel, "used up its fuel".to_owned()),
        Err(Stop::Memory) => (Outcome::OutOfMemory, "used up its memory".to_owned()),
        Err(Stop::Output) => (Outcome::OutputLimit, "wrote more than it may".to_owned()),
        Err(Stop::Trap(trap)) => (Outcome::Trapped, format!("made the interpreter trap: {trap}")),
        Ok(Reply { exhausted: Some(error), .. }) => match &**error {
            "MemoryError" => (Outcome::OutOfMemory, "used up its memory".to_owned()),
            _ => (Outcome::Trapped, "used up the stack (RecursionError)".to_owned()),
        },
        _ => return None,
    };
    Some((outcome, what))
}

impl PythonFile {
    /// The verdict on an answer of the guest. `own`: what was used up is used up by an empty completion too.
    pub(super) fn verdict(&self, answer: &Result<Reply, Stop>, own: bool) -> Verdict {
        let name = format!("`{}`", self.program.function.name);
        if let Some((outcome, what)) = exhausted(answer) {
            let at = answer.as_ref().map_or(String::new(), |reply| places(&self.file, &reply.frames));
            return match own {
                true => Verdict::fault(format!("{name} {what}, and does so on an empty completion too{at}")),
                false => Verdict::scored(outcome, 0.0, format!("{name} {what}{at}")),
            };
        }
        let reply = match answer {
            Ok(reply) => reply,
            Err(Stop::Exit(code)) => {
                return Verdict::fault(format!("{name} ended the process with code {code}"));
            }
            Err(Stop::Backstop) => {
                return Verdict::fault(
                    "the check took longer than the backstop: this machine is too slow or too busy",
                );
            }
            Err(stop) => return Verdict::fault(format!("{name}: {stop}")),
        };
        if let Some(fault) = &reply.fault {
            let at = places(&self.file, &reply.frames);
            return Verdict::fault(format!("{name}: {}{at}", one_line(fault)));
        }
        self.scored(&name, reply)
    }

    fn scored(&self, name: &str, reply: &Reply) -> Verdict {
        let [least, most] = self.config.range;
        let value = reply.value.unwrap_or(0.0);
        if !(least..=most).contains(&value) {
            let said =
                if reply.value.is_none() { "None, which counts as 0".to_owned() } else { value.to_string() };
            let range = [least.min(value), most.max(value)];
            return Verdict::fault(format!(
                "{name} returned {said}, outside {least} to {most}; range = {range:?} in the verifier's settings, or wider, is right"
            ));
        }
        let outcome = match &reply.outcome {
            Some(word) => match Outcome::ALL.into_iter().find(|outcome| outcome.name() == word) {
                Some(Outcome::Fault) => {
                    return Verdict::fault(format!(
                        "{name}: {}",
                        one_line(reply.reason.as_deref().unwrap_or("a fault"))
                    ));
                }
                Some(outcome) => outcome,
                None => {
                    let known = Outcome::ALL.map(Outcome::name).join(", ");
                    return Verdict::fault(format!(
                        "{name} returned the outcome {word:?}; {known} are right"
                    ));
                }
            },
            None if reply.value.is_none() => Outcome::Unparseable,
            None if value == most => Outcome::Pass,
            None => Outcome::Fail,
        };
        let reason = match (&reply.reason, reply.value) {
            (Some(reason), _) => one_line(reason),
            (None, Some(value)) => format!("{name} returned {value}"),
            (None, None) => format!("{name} returned None: it does not apply, and counts as 0"),
        };
        let score = (value - least) / (most - least);
        let mut verdict = Verdict::scored(outcome, score as f32, reason);
        verdict.answer.clone_from(&reply.answer);
        if self.config.range != [0.0, 1.0] {
            verdict = verdict.with_part("value", value as f32);
        }
        reply.parts.iter().fold(verdict, |verdict, (part, score)| verdict.with_part(part, *score as f32))
    }

    /// The steps to a verdict, for a person.
    pub(super) fn steps(&self, verdict: &Verdict, reply: &Reply) -> Vec<Step> {
        let function = &self.program.function;
        let style = match function.style {
            Style::Problem => "a function of the problem and the completion",
            Style::Trl => "TRL's signature",
            Style::Verifiers => "the verifiers library's signature",
        };
        let at = format!("{}:{}", self.file, function.line);
        let mut steps =
            vec![Step::note("function", format!("{}{} ({at}): {style}", function.name, function.signature))];
        if let Some(value) = reply.value {
            steps.push(Step::note("returned", value.to_string()));
        }
        for Frame { line, function, code } in &reply.frames {
            steps.push(Step::rule(
                format!("{}:{line}", self.file),
                false,
                format!("in {function}: {}", one_line(code)),
            ));
        }
        if let Some(fault) = &reply.fault {
            steps.push(Step::rule("raised", false, one_line(fault)));
        }
        for (column, values) in &reply.extras {
            let values = values.as_str().map_or_else(|| values.to_string(), str::to_owned);
            steps.push(Step::note(format!("logged {column}"), one_line(&values)));
        }
        for (name, printed) in [("printed when loaded", &function.printed), ("printed", &reply.printed)] {
            let lines = printed.lines().take(MOST_LINES).filter(|line| !line.trim().is_empty());
            steps.extend(lines.map(|line| Step::note(name, one_line(line))));
        }
        steps.extend(Step::of_verdict(verdict));
        steps
    }
}

/// ` (f.py:3, in inner; called at f.py:9, in outer)`.
fn places(file: &str, frames: &[Frame]) -> String {
    let place = |frame: &Frame| format!("{file}:{}, in {}", frame.line, frame.function);
    let called = |frame: &Frame| format!("; called at {}", place(frame));
    match frames {
        [] => String::new(),
        // of a recursion, the ends tell enough
        [first, .., before, last] if frames.len() > 4 => {
            format!(" ({}{}; ...{})", place(last), called(before), called(first))
        }
        [before @ .., last] => {
            format!(" ({}{})", place(last), before.iter().rev().map(called).collect::<String>())
        }
    }
}

/// Text of a guest as part of a reason: one line of bounded length.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect();
    line.trim().to_owned()
}
