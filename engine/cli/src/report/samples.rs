//! Which samples the page shows: a few hundred of the ledger's, the same ones each time.
//!
//! Every RL stage has an equal share; within it steps lie evenly from the first to the last, and of a step whole groups
//! are taken, since a right answer says most beside the wrong ones to the same prompt.

use std::path::Path;

use anyhow::Result;
use rlvr_train::ledger::{self, Row};
use serde_json::{Map, Value, json};

use super::run::Run;

/// Most samples on a page.
const MOST: usize = 400;
/// Steps shown of a stage.
const STEPS: usize = 8;
/// Most samples of one group.
const OF_GROUP: usize = 8;
/// Most characters of a prompt or a completion.
const CHARACTERS: usize = 6000;

/// The samples as JSON objects for the page's script, in the order of stage, step, group and sample.
///
/// # Errors
/// A file of the ledger cannot be read.
pub fn choose(folder: &Path, run: &Run) -> Result<Vec<Value>> {
    if !folder.join("ledger").is_dir() {
        return Ok(Vec::new());
    }
    let mut files = ledger::files(folder)?;
    let order = |name: &str| run.stages.iter().position(|stage| stage.name == name);
    files.sort_by_key(|(stage, step, _)| (order(stage), *step));
    let stages = files.chunk_by(|a, b| a.0 == b.0).count().max(1);
    let mut samples = Vec::new();
    for steps in files.chunk_by(|a, b| a.0 == b.0) {
        let chosen = evenly(steps.len(), STEPS);
        let share = MOST / stages / chosen.len().max(1);
        for index in chosen {
            let rows = ledger::read(&steps[index].2)?;
            samples.extend(of_step(&rows, share).into_iter().map(to_json));
        }
    }
    Ok(samples)
}

/// Whole groups of a step, evenly spaced, of about `share` samples in all; at least one group.
fn of_step(rows: &[Row], share: usize) -> Vec<&Row> {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| (row.group, row.sample, row.attempt));
    let groups: Vec<&[&Row]> = sorted.chunk_by(|a, b| a.group == b.group).collect();
    let size = groups.iter().map(|group| group.len().min(OF_GROUP)).max().unwrap_or(1);
    let chosen = evenly(groups.len(), (share / size).max(1));
    chosen.into_iter().flat_map(|index| groups[index].iter().take(OF_GROUP).copied()).collect()
}

/// At most `wanted` of `count` indices, the first and the last among them.
fn evenly(count: usize, wanted: usize) -> Vec<usize> {
    match (count, wanted) {
        (0, _) | (_, 0) => Vec::new(),
        (count, wanted) if count <= wanted => (0..count).collect(),
        (_, 1) => vec![0],
        (count, wanted) => (0..wanted).map(|index| index * (count - 1) / (wanted - 1)).collect(),
    }
}

fn to_json(row: &Row) -> Value {
    let parts: Map<String, Value> =
        row.parts.iter().map(|(name, score)| (name.clone(), json!(score))).collect();
    json!({
        "stage": row.stage, "step": row.step, "group": row.group, "sample": row.sample, "attempt": row.attempt,
        "problem": row.problem_id, "set": set_of(&row.problem_id), "prompt": clipped(&row.prompt),
        "completion": clipped(&row.completion), "tokens": row.ids.len(), "finish": row.finish,
        "verifier": row.verifier, "outcome": row.outcome, "score": row.score, "reason": clipped(&row.reason),
        "parts": parts, "reward": row.reward, "advantage": row.advantage, "used": row.used,
        "version": row.policy_version, "fuel": row.fuel,
    })
}

/// What a problem's id says of where it comes from: `gsm8k/train` of `gsm8k/train/12`.
fn set_of(id: &str) -> &str {
    id.rfind(['/', ':']).map_or("", |end| &id[..end])
}

/// The text, or its beginning and a note of how much is left out.
fn clipped(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => {
            let more = text[end..].chars().count();
            format!("{}\n[… {more} more characters are in the ledger]", &text[..end])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_even_and_hold_both_ends() {
        assert_eq!(evenly(60, 4), [0, 19, 39, 59]);
        assert_eq!((evenly(3, 8), evenly(0, 8), evenly(9, 1)), (vec![0, 1, 2], vec![], vec![0]));
    }

    #[test]
    fn long_texts_are_clipped_between_characters() {
        let long = "é".repeat(CHARACTERS + 7);
        assert!(clipped(&long).ends_with("[… 7 more characters are in the ledger]"));
        assert_eq!(clipped("short"), "short");
    }
}
