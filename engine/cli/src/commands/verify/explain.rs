//! How verdicts come about, for a person: each row with what was read, every rule that was tried, and each part.

use super::rows::{Rows, for_each_line};
use super::stream::Tally;
use crate::commands::say;
use rlvr_verdict::{Job, Outcome, Verdict, VerifierPool, explain_guarded};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Explains the rows with these ids; all where none is named.
pub fn execute(path: &Path, rows: &mut Rows<'_>, ids: &[String], as_json: bool) -> anyhow::Result<ExitCode> {
    let pool = VerifierPool::new(1, VerifierPool::HANG)?;
    let mut tally = Tally::default();
    let mut missing: Vec<&String> = ids.iter().collect();
    for_each_line(path, |line, place| {
        let job = match rows.read(line, place) {
            Ok(job) => job,
            Err(problem) => {
                tally.tell(&problem);
                return Ok(());
            }
        };
        if !ids.is_empty() && !ids.contains(&job.problem.id) {
            return Ok(());
        }
        missing.retain(|id| **id != job.problem.id);
        let Job { verifier, problem, completion, .. } = &job;
        let (verifier, problem, completion) = (verifier.clone(), problem.clone(), completion.clone());
        let mut round = pool.round::<()>();
        round.submit((), job);
        let verdict = round.next_verdict().map_or_else(|| Verdict::fault("no verdict came"), |(_, v)| v);
        tally.count(&verdict);
        // one that hung or panicked would do so again; what has fuel is stopped by it
        let steps = match verdict.outcome {
            Outcome::Fault if verdict.cost.fuel == 0 => Vec::new(),
            _ => explain_guarded(&*verifier, &problem, &completion),
        };
        let by = format!("{} {}", verifier.name(), verifier.version());
        if as_json {
            let mut row =
                json!({"id": problem.id, "verifier": by, "judges": verifier.judges(), "verdict": verdict});
            row["steps"] = json!(steps);
            say(row)?;
            return Ok(());
        }
        let score = verdict.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score}"));
        say(format!("{} ({place}): {}, {score}", problem.id, verdict.outcome))?;
        say(format!("  verifier  {by}, judges {}", verifier.judges()))?;
        if let Some(gold) = &problem.answer {
            say(format!("  gold      {}", one_line(gold)))?;
        }
        say(format!("  reason    {}", verdict.reason))?;
        if let Some(answer) =
            verdict.answer.as_ref().filter(|_| steps.iter().all(|step| step.name != "answer"))
        {
            say(format!("  answer    {}", one_line(answer)))?;
        }
        for step in &steps {
            say(format!("  {step}"))?;
        }
        for (name, score) in &verdict.parts {
            if steps.iter().all(|step| step.name != *name) {
                say(format!("    {name}: score {score}"))?;
            }
        }
        Ok(())
    })?;
    for id in &missing {
        tally.tell(&format!("--id {id}: no row of {} has this id", path.display()));
    }
    Ok(tally.code())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
