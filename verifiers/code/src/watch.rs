//! What happens in a check, for a person: where code was found, which was taken, and what each case compared.

use crate::extract::Candidate;
use crate::judge::one_line;
use rlvr_verdict::Step;

/// Cases that are told one by one at most.
const MOST_CASES: usize = 50;

/// Characters of a value or an expression at most.
const SHORT: usize = 120;

/// Takes notes, or none.
pub(crate) struct Watch(Option<Vec<Step>>);

impl Watch {
    /// One that notes nothing.
    pub fn off() -> Self {
        Watch(None)
    }

    pub fn on() -> Self {
        Watch(Some(Vec::new()))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What was noted, in order.
    pub fn steps(self) -> Vec<Step> {
        self.0.unwrap_or_default()
    }

    fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Some(steps) = &mut self.0 {
            steps.push(step());
        }
    }

    pub fn candidates(&mut self, codes: &[Candidate]) {
        for Candidate { place, code } in codes {
            let lines = code.lines().count();
            self.note(|| Step::note("code", format!("{place}: {lines} lines, {} bytes", code.len())));
        }
        if codes.is_empty() {
            self.note(|| Step::rule("code", false, "none in the answer"));
        }
    }

    pub fn taken(&mut self, taken: Option<&Candidate>, continued: bool) {
        self.note(|| match taken {
            Some(Candidate { place, code }) => {
                let how = if continued { ", as the rest of the prompt's code" } else { "" };
                Step::rule("program", true, format!("{place}{how}: {}", short(code)))
            }
            None => Step::rule("program", false, "nothing parses"),
        });
    }

    /// A test: its source, and pairs of compared expressions with their values.
    pub fn case(&mut self, index: usize, passed: bool, source: &str, seen: &[(String, String)], fuel: u64) {
        if index >= MOST_CASES {
            return;
        }
        self.note(|| {
            let compared = seen.iter().filter(|(expression, value)| expression != value);
            let compared: Vec<String> = compared
                .map(|(expression, value)| format!("{} is {}", short(expression), short(value)))
                .collect();
            let parts = [short(source), compared.join(", "), format!("fuel {fuel}")];
            let found = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
            Step::rule(format!("case_{}", index + 1), passed, found)
        });
    }

    /// A run of a program.
    pub fn run(&mut self, index: usize, passed: bool, input: &str, got: &[u8], expected: &str, fuel: u64) {
        if index >= MOST_CASES {
            return;
        }
        self.note(|| {
            let got = short(&String::from_utf8_lossy(got));
            let (input, expected) = (short(input), short(expected));
            let found = format!("input {input:?}; wrote {got:?}; expected {expected:?}; fuel {fuel}");
            Step::rule(format!("case_{}", index + 1), passed, found)
        });
    }

    /// What the solution has written to standard output beside its results.
    pub fn printed(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.note(|| Step::note("printed", format!("{:?}", short(&String::from_utf8_lossy(bytes)))));
        }
    }
}

fn short(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
