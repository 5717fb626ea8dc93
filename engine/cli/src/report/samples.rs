//! Which samples the page shows: a few hundred of those drawn, the same ones each time.
//!
//! Evaluations come first: of each task set the same problems in every stage, one stage after the other, so that what
//! training changed can be read. Then training: every RL stage has an equal share, and its steps lie evenly from the
//! first to the last. Groups are shown whole, since a right answer says most beside the wrong ones to the same prompt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rlvr_train::ledger::{self, Row};
use rlvr_verdict::Step;
use serde_json::{Map, Value, json};

use super::run::Run;
use super::steps::Explainer;

/// Most samples of evaluations on a page, and most of training.
const MOST: usize = 200;
/// Steps shown of a stage.
const STEPS: usize = 8;
/// Most samples of one group.
const OF_GROUP: usize = 8;
/// Most characters of a prompt or a completion.
const CHARACTERS: usize = 6000;

/// The samples as JSON objects for the page's script.
///
/// # Errors
/// A file of samples cannot be read.
pub fn choose(folder: &Path, run: &Run, explainer: &Explainer) -> Result<Vec<Value>> {
    let mut samples = of_evaluations(folder, run, explainer)?;
    samples.extend(of_training(folder, run, explainer)?);
    Ok(samples)
}

/// Samples of each stage's last evaluation on each task set, by task set, problem and stage.
fn of_evaluations(folder: &Path, run: &Run, explainer: &Explainer) -> Result<Vec<Value>> {
    let files = evaluations(folder, run)?;
    let share = MOST / files.len().max(1);
    let mut samples: Vec<(&str, Row, usize)> = Vec::new();
    for ((set, stage), (_, path)) in &files {
        samples.extend(
            of_step(&ledger::read(path)?, share).into_iter().map(|row| (set.as_str(), row.clone(), *stage)),
        );
    }
    let sets = run.tasksets();
    let order = |set: &str| sets.iter().position(|one| *one == set);
    samples.sort_by_key(|(set, row, stage)| (order(set), row.group, *stage, row.sample));
    let json = |(set, row, _): &(&str, Row, usize)| {
        to_json(row, &format!("evaluation on {set}"), &explainer.steps(row, false))
    };
    Ok(samples.iter().map(json).collect())
}

/// The last evaluation, step and file, of each task set and stage (by its index): `samples/STAGE-000100-SET.parquet`.
fn evaluations(folder: &Path, run: &Run) -> Result<BTreeMap<(String, usize), (u64, PathBuf)>> {
    let folder = folder.join("samples");
    let mut last = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(last);
    }
    for entry in
        std::fs::read_dir(&folder).with_context(|| format!("{}: cannot be read", folder.display()))?
    {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".parquet")) else {
            continue;
        };
        // A stage's name may begin with another one's: the longest that fits is meant.
        let of_stage = |(index, stage): (usize, &super::run::Stage)| {
            let (step, set) = name.strip_prefix(&stage.name)?.strip_prefix('-')?.split_once('-')?;
            Some((index, step.parse::<u64>().ok()?, set.to_owned()))
        };
        let fits = run.stages.iter().enumerate().filter_map(of_stage);
        if let Some((stage, step, set)) = fits.max_by_key(|(stage, ..)| run.stages[*stage].name.len()) {
            let entry = last.entry((set, stage)).or_insert((step, path.clone()));
            if entry.0 < step {
                *entry = (step, path);
            }
        }
    }
    Ok(last)
}

/// Samples of the ledger, by stage and step.
fn of_training(folder: &Path, run: &Run, explainer: &Explainer) -> Result<Vec<Value>> {
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
            let json = |row| to_json(row, "training", &explainer.steps(row, true));
            samples.extend(of_step(&rows, share).into_iter().map(json));
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

/// A sample for the script; `drawn` says what for.
fn to_json(row: &Row, drawn: &str, steps: &[Step]) -> Value {
    let parts: Map<String, Value> =
        row.parts.iter().map(|(name, score)| (name.clone(), json!(score))).collect();
    json!({
        "drawn": drawn, "stage": row.stage, "step": row.step, "group": row.group, "sample": row.sample, "attempt": row.attempt,
        "problem": row.problem_id, "set": set_of(&row.problem_id), "prompt": clipped(&row.prompt),
        "completion": clipped(&row.completion), "tokens": row.ids.len(), "finish": row.finish,
        "verifier": row.verifier, "outcome": row.outcome, "score": row.score, "reason": clipped(&row.reason),
        "parts": parts, "reward": row.reward, "advantage": row.advantage, "used": row.used,
        "version": row.policy_version, "fuel": row.fuel, "steps": steps,
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
