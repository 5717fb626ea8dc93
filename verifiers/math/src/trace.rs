//! What is told of a verdict to a person who asks how it came about; nothing is noted while training.

use rlvr_verdict::Step;
use std::cell::RefCell;

/// Steps noted at most.
const STEPS: usize = 60;
/// Characters of a step.
const SHOWN: usize = 200;

/// The steps of a verdict, where they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Trace(Option<RefCell<Vec<Step>>>);

impl Trace {
    /// One that notes what it is told.
    pub(crate) fn noting() -> Self {
        Trace(Some(RefCell::default()))
    }

    /// Notes a step, which is only made where it is asked for.
    pub(crate) fn step(&self, step: impl FnOnce() -> Step) {
        let Some(steps) = &self.0 else { return };
        let mut steps = steps.borrow_mut();
        if steps.len() < STEPS {
            let step = step();
            steps.push(Step { found: one_line(&step.found), ..step });
        }
    }

    /// All steps.
    pub(crate) fn steps(self) -> Vec<Step> {
        self.0.map(RefCell::into_inner).unwrap_or_default()
    }
}

fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        line.push_str("...");
    }
    line
}
