//! Changes of a completion that must leave its verdict as it is, by what a verifier judges.

use crate::{Completion, Judges};

/// A change of completions.
pub(super) struct Change {
    /// The check's name.
    pub name: &'static str,
    /// Whether verdicts of such a verifier must not depend on it.
    pub holds_for: fn(Judges) -> bool,
    /// Why it is skipped for the others.
    pub otherwise: &'static str,
    /// Whether it is tried on the cases too, and not on golds alone: cases may say things that it would change the meaning of.
    pub on_cases: bool,
    /// The changed texts; `other` is an answer that is right where the text is wrong, or wrong where it is right.
    pub of: fn(text: &str, other: &str) -> Vec<String>,
}

const AS_A_WHOLE: &str = "the verifier judges a text as a whole";

/// All of them.
pub(super) const CHANGES: [Change; 4] = [
    Change {
        name: "meta/prose",
        holds_for: Judges::ignores_prose,
        otherwise: AS_A_WHOLE,
        on_cases: false,
        of: |text, _| {
            let (before, after) = ("Let me work this out step by step.", "I hope this helps.");
            vec![
                format!("{before}\n\n{text}"),
                format!("{text}\n\n{after}"),
                format!("Sure!\n\n{before} There are several things to look at.\n\n{text}\n\n{after}"),
            ]
        },
    },
    Change {
        name: "meta/whitespace",
        holds_for: Judges::ignores_thinking,
        otherwise: "white space is part of what the verifier judges",
        on_cases: true,
        of: |text, _| vec![format!("\n\n{text}"), format!("{text}\n\n  "), format!("\n{text}\t\n")],
    },
    Change {
        name: "meta/thinking",
        holds_for: Judges::ignores_thinking,
        otherwise: "the thinking is part of what the verifier judges",
        on_cases: true,
        of: |text, other| {
            if text.contains("think>") {
                return Vec::new();
            }
            let thoughts = ["Let me see.", other].map(|t| format!("<think>\n{t}\n</think>\n\n{text}"));
            thoughts.into()
        },
    },
    Change {
        name: "meta/repetition",
        holds_for: Judges::ignores_prose,
        otherwise: AS_A_WHOLE,
        on_cases: false,
        of: |text, _| vec![format!("{text}\n\n{text}"), [text; 5].join("\n\n")],
    },
];

/// The changed completions. A text that was cut off is not changed: what follows its end tells where that is.
pub(super) fn changed(change: &Change, completion: &Completion, other: &str) -> Vec<Completion> {
    if completion.truncated || completion.text.trim().is_empty() {
        return Vec::new();
    }
    let texts = (change.of)(&completion.text, other);
    texts.into_iter().map(|text| Completion { text, ..completion.clone() }).collect()
}
