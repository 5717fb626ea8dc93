//! Another verifier over a finished run's rollouts: what would have been otherwise. The ledger holds each problem as its verifier
//! got it, so that nothing but the ledger is needed.

use super::Args;
use super::stream::Tally;
use crate::commands::{say, wrong};
use anyhow::Context;
use rlvr_train::ledger::{self, Row};
use rlvr_verdict::{Completion, Job, Outcome, ProblemError, Registry, Verdict, Verifier, VerifierPool};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Groups and samples that are printed; all are in the JSON.
const PRINTED: usize = 10;

/// What would have changed.
#[derive(Default, Serialize)]
struct Rescored {
    /// The verifier that judged anew, and its version.
    verifier: String,
    /// Samples judged anew.
    samples: u64,
    /// Counts by old outcome, then new one.
    confusion: BTreeMap<Outcome, BTreeMap<Outcome, u64>>,
    /// Mean of the old scores, of samples that have both.
    mean_before: Option<f64>,
    /// Mean of the new ones.
    mean_after: Option<f64>,
    /// Groups whose scores differ within them, which is what an update learns from: before.
    groups_with_variance_before: u64,
    /// And after.
    groups_with_variance_after: u64,
    /// All groups whose mean moves, the farthest first.
    groups: Vec<Group>,
    /// All groups there are.
    groups_in_all: u64,
    /// Samples that passed and do not, or the other way round, or are a fault on one side.
    flipped: Vec<Flipped>,
}

/// A group of samples of one prompt.
#[derive(Serialize)]
struct Group {
    stage: String,
    step: i64,
    group: i64,
    problem: String,
    samples: usize,
    before: f64,
    after: f64,
    shift: f64,
}

/// A sample whose verdict turned.
#[derive(Serialize)]
struct Flipped {
    stage: String,
    step: i64,
    group: i64,
    sample: i32,
    attempt: i32,
    problem: String,
    before: Side,
    after: Side,
    completion: String,
}

#[derive(Serialize)]
struct Side {
    outcome: Outcome,
    score: Option<f32>,
    reason: String,
}

/// Judges anew, and prints what would have changed.
pub fn execute(args: &Args, config: &Value, registry: &Registry) -> anyhow::Result<ExitCode> {
    let name = args.verifier.as_deref().unwrap_or_default();
    let verifier = registry.make(name, config).map_err(wrong)?;
    let pool = VerifierPool::new(args.workers, VerifierPool::HANG)?;
    let mut tally = Tally::default();
    let by = format!("{} {}", verifier.name(), verifier.version());
    let mut all = Rescored { verifier: by, ..Rescored::default() };
    let mut sums = [0.0; 2];
    let mut scored = 0u64;
    for path in files(&args.rescore)? {
        let rows = ledger::read(&path).map_err(wrong)?;
        let judged = judge(&pool, &verifier, &path, rows, &mut tally);
        for (row, before, verdict) in &judged {
            tally.count(verdict);
            all.samples += 1;
            *all.confusion.entry(*before).or_default().entry(verdict.outcome).or_default() += 1;
            if let (Some(old), Some(new)) = (row.score, verdict.score) {
                sums = [sums[0] + f64::from(old), sums[1] + f64::from(new)];
                scored += 1;
            }
            let turned = |outcome: Outcome| {
                [*before, verdict.outcome].contains(&outcome) && *before != verdict.outcome
            };
            if turned(Outcome::Pass) || turned(Outcome::Fault) {
                all.flipped.push(flipped(row, *before, verdict));
            }
        }
        groups(&judged, &mut all);
    }
    if scored > 0 {
        (all.mean_before, all.mean_after) = (Some(sums[0] / scored as f64), Some(sums[1] / scored as f64));
    }
    all.groups.sort_by(|a, b| b.shift.abs().total_cmp(&a.shift.abs()));
    if args.json {
        say(serde_json::to_string(&all)?)?
    } else {
        print(&all)?
    }
    Ok(tally.code())
}

/// The ledger's files at the paths: those of runs, of folders, or themselves.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        let before = all.len();
        if path.is_file() {
            all.push(path.clone());
        } else if path.join("ledger").is_dir() {
            all.extend(ledger::files(path).map_err(wrong)?.into_iter().map(|(.., file)| file));
        } else {
            let entries = std::fs::read_dir(path).map_err(|e| wrong(format!("{}: {e}", path.display())))?;
            for entry in entries {
                all.push(entry.with_context(|| path.display().to_string())?.path());
            }
            all.retain(|file| file.extension().is_some_and(|ending| ending == "parquet"));
            all[before..].sort();
        }
        if all.len() == before {
            return Err(wrong(format!(
                "{}: holds no file of a ledger; a run's folder, its folder `ledger` or `samples`, or files of these are right",
                path.display()
            )));
        }
    }
    Ok(all)
}

type Judged = (Row, Outcome, Verdict);

/// The rows with their old outcomes and new verdicts. A row that the verifier cannot judge is told, and left out.
fn judge(
    pool: &VerifierPool,
    verifier: &Arc<dyn Verifier>,
    path: &Path,
    rows: Vec<Row>,
    tally: &mut Tally,
) -> Vec<Judged> {
    let mut round = pool.round::<usize>();
    let mut taken: Vec<(Row, Outcome, Option<Verdict>)> = Vec::new();
    let mut known: Option<(String, bool)> = None;
    for row in rows {
        let fits = match &known {
            Some((id, fits)) if *id == row.problem_id => *fits,
            _ => verifier
                .check(&row.problem)
                .map_err(|error| {
                    let ProblemError { field, problem, remedy, .. } = error;
                    let id = &row.problem_id;
                    tally.tell(&format!(
                        "{}: problem {id}: field `{field}`: {problem}; {remedy}",
                        path.display()
                    ));
                })
                .is_ok(),
        };
        known = Some((row.problem_id.clone(), fits));
        let before = Outcome::ALL.into_iter().find(|outcome| outcome.name() == row.outcome);
        let (true, Some(before)) = (fits, before) else { continue };
        let truncated = row.finish == "length";
        let completion = Completion { text: row.completion.clone(), truncated, tokens: row.ids.len() };
        let (verifier, problem) = (verifier.clone(), row.problem.clone());
        let job = Job { verifier, problem, completion: Arc::new(completion), sample: row.sample as u32 };
        round.submit(taken.len(), job);
        taken.push((row, before, None));
    }
    while let Some((index, verdict)) = round.next_verdict() {
        taken[index].2 = Some(verdict);
    }
    taken.into_iter().filter_map(|(row, before, verdict)| Some((row, before, verdict?))).collect()
}

/// Notes the groups of a step.
fn groups(judged: &[Judged], all: &mut Rescored) {
    let mut groups: BTreeMap<(&str, i64, i64), Vec<&Judged>> = BTreeMap::new();
    for one in judged {
        groups.entry((&one.0.stage, one.0.step, one.0.group)).or_default().push(one);
    }
    for ((stage, step, group), members) in groups {
        let scores = |side: fn(&Judged) -> Option<f32>| -> Vec<f32> {
            members.iter().filter_map(|one| side(one)).collect()
        };
        let (before, after) = (scores(|one| one.0.score), scores(|one| one.2.score));
        let varies = |scores: &[f32]| u64::from(scores.iter().any(|score| *score != scores[0]));
        all.groups_in_all += 1;
        all.groups_with_variance_before += varies(&before);
        all.groups_with_variance_after += varies(&after);
        let mean = |scores: &[f32]| scores.iter().map(|s| f64::from(*s)).sum::<f64>() / scores.len() as f64;
        if before.is_empty() || after.is_empty() || before == after {
            continue;
        }
        let (stage, problem) = (stage.to_owned(), members[0].0.problem_id.clone());
        let (before, after) = (mean(&before), mean(&after));
        let shift = after - before;
        all.groups.push(Group { stage, step, group, problem, samples: members.len(), before, after, shift });
    }
}

fn flipped(row: &Row, before: Outcome, verdict: &Verdict) -> Flipped {
    Flipped {
        stage: row.stage.clone(),
        step: row.step,
        group: row.group,
        sample: row.sample,
        attempt: row.attempt,
        problem: row.problem_id.clone(),
        before: Side { outcome: before, score: row.score, reason: row.reason.clone() },
        after: Side { outcome: verdict.outcome, score: verdict.score, reason: verdict.reason.clone() },
        completion: row.completion.clone(),
    }
}

fn print(all: &Rescored) -> anyhow::Result<()> {
    let mean = |mean: Option<f64>| mean.map_or_else(|| "none".to_owned(), |mean| format!("{mean:.4}"));
    let (before, after) = (mean(all.mean_before), mean(all.mean_after));
    say(format!(
        "{} samples judged anew by {}: mean score {before} before, {after} after",
        all.samples, all.verifier
    ))?;
    let columns: Vec<Outcome> =
        Outcome::ALL.into_iter().filter(|o| all.confusion.values().any(|row| row.contains_key(o))).collect();
    let heads: String = columns.iter().map(|outcome| format!("{:>14}", outcome.name())).collect();
    say(format!("\n{:>14}{heads}", "before \\ after"))?;
    for (old, row) in &all.confusion {
        let counts: String =
            columns.iter().map(|new| format!("{:>14}", row.get(new).copied().unwrap_or(0))).collect();
        say(format!("{:>14}{counts}", old.name()))?;
    }
    say(format!(
        "\n{} of {} groups have another mean score; with scores that differ within them: {} before, {} after",
        all.groups.len(),
        all.groups_in_all,
        all.groups_with_variance_before,
        all.groups_with_variance_after
    ))?;
    for g in all.groups.iter().take(PRINTED) {
        say(format!(
            "  {:+.3}  {:.3} to {:.3}  {} step {} group {} ({}), {} samples",
            g.shift, g.before, g.after, g.stage, g.step, g.group, g.problem, g.samples
        ))?;
    }
    say(format!("\n{} samples flipped", all.flipped.len()))?;
    for f in all.flipped.iter().take(PRINTED) {
        say(format!("  {} step {} group {} sample {} ({})", f.stage, f.step, f.group, f.sample, f.problem))?;
        for (mark, side) in [("-", &f.before), ("+", &f.after)] {
            say(format!("    {mark} {}: {}", side.outcome, side.reason))?;
        }
    }
    if all.groups.len().max(all.flipped.len()) > PRINTED {
        say(format!("\nthe first {PRINTED} are shown; --json has all"))?;
    }
    Ok(())
}
