//! Evaluation: samples of held-out problems, judged, as pass@k, maj@k and their intervals.

use crate::config::Eval;
use crate::interval::Estimate;
use crate::metrics::{Kind, Record};
use crate::passk::{Problem, Sample, Summary, summarise, summarise_by_tag};
use crate::scoring::{
    Draw, PromptedProblem, Scored, Scorer, ScoringError, faults_by_verifier, sampling_params,
};
use rlvr_model::Model;
use rlvr_rollouts::{Finish, RngKey, SamplingParams};
use rlvr_verdict::Outcome;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// How a task set is evaluated.
pub struct EvalPlan<'a> {
    /// The task set's name.
    pub taskset: &'a str,
    /// Its problems.
    pub problems: &'a [PromptedProblem],
    /// Samples of each problem.
    pub samples: usize,
    /// How they are drawn.
    pub params: SamplingParams,
    /// Strings that end a completion.
    pub stop: &'a [String],
    /// Which random numbers they draw.
    pub key: RngKey,
}

impl<'a> EvalPlan<'a> {
    /// How `eval` has a task set evaluated on a model.
    pub fn new(
        taskset: &'a str,
        problems: &'a [PromptedProblem],
        eval: &'a Eval,
        model: &Model,
        key: RngKey,
    ) -> Self {
        let problems = &problems[..eval.limit.unwrap_or(problems.len()).min(problems.len())];
        let params = sampling_params(&eval.sampling(), model);
        EvalPlan { taskset, problems, samples: eval.samples, params, stop: &eval.stop, key }
    }

    /// Samples in all.
    pub fn total(&self) -> u64 {
        (self.problems.len() * self.samples) as u64
    }
}

/// The results of a task set.
pub struct EvalResult {
    /// The task set's name.
    pub taskset: String,
    /// Over all problems.
    pub all: Summary,
    /// By tag.
    pub tags: BTreeMap<String, Summary>,
    /// Mean generated tokens of a sample.
    pub length: f64,
    /// Share of samples cut off by a length limit.
    pub truncated: f64,
    /// Samples whose verifier failed; they are in no estimate.
    pub faults: usize,
    /// Seconds.
    pub seconds: f64,
    /// Every sample.
    pub scored: Vec<Scored>,
}

/// Draws and judges; `progress` is told how many samples are drawn.
///
/// # Errors
/// As for [`Scorer::draw`].
pub fn evaluate(
    model: &Model,
    scorer: &mut Scorer,
    plan: &EvalPlan<'_>,
    interrupt: Option<&AtomicBool>,
    progress: &mut dyn FnMut(u64),
) -> Result<EvalResult, ScoringError> {
    let start = Instant::now();
    let EvalPlan { problems, samples, ref params, stop, key, .. } = *plan;
    let draw = Draw { prompts: problems, first_key: 0, samples, params, stop, key, interrupt };
    let drawn = scorer.draw(model, &draw, progress)?;
    let mut outcomes: Vec<Problem> =
        problems.iter().map(|p| Problem { tags: p.problem.tags.clone(), samples: Vec::new() }).collect();
    for sample in &drawn.scored {
        // a fault is the verifier's: it says nothing of the model
        if let Some(score) = sample.verdict.score {
            let passed = sample.verdict.outcome == Outcome::Pass;
            let answer = sample.verdict.answer.clone();
            outcomes[sample.group].samples.push(Sample { passed, score, answer });
        }
    }
    let ks = [1, plan.samples];
    let ks = if plan.samples > 1 { &ks[..] } else { &ks[..1] };
    let count = drawn.scored.len().max(1) as f64;
    let tokens: usize = drawn.scored.iter().map(|s| s.rollout.ids.len()).sum();
    let cut = drawn.scored.iter().filter(|s| s.rollout.finish == Finish::Length).count();
    Ok(EvalResult {
        taskset: plan.taskset.to_owned(),
        all: summarise(&outcomes, ks),
        tags: summarise_by_tag(&outcomes, ks),
        length: tokens as f64 / count,
        truncated: cut as f64 / count,
        faults: drawn.scored.iter().filter(|s| s.verdict.score.is_none()).count(),
        seconds: start.elapsed().as_secs_f64(),
        scored: drawn.scored,
    })
}

impl EvalResult {
    /// pass@k over all problems, if it was asked for.
    pub fn pass(&self, k: usize) -> Option<Estimate> {
        self.all.pass.iter().find(|(at, _)| *at == k).and_then(|(_, e)| *e)
    }

    /// The line of `metrics.jsonl`.
    pub fn record(&self, stage: &str, step: u64) -> Record {
        let mut record = Record::new(stage, Kind::Eval, step)
            .text("taskset", &self.taskset)
            .count("n", self.all.n as u64)
            .count("samples", self.all.samples as u64);
        for (k, estimate) in &self.all.pass {
            let value = |f: fn(&Estimate) -> f64| estimate.as_ref().map(f);
            record = record
                .optional(&format!("pass@{k}"), value(|e| e.value))
                .optional(&format!("pass@{k}/low"), value(|e| e.low))
                .optional(&format!("pass@{k}/high"), value(|e| e.high));
        }
        for (k, estimate) in self.all.maj.iter().filter(|(k, _)| *k > 1) {
            record = record.optional(&format!("maj@{k}"), estimate.as_ref().map(|e| e.value));
        }
        record = record.number("length/mean", self.length).number("truncated", self.truncated);
        record = record.count("faults", self.faults as u64);
        for (name, count) in faults_by_verifier(&self.scored) {
            record = record.count(&format!("faults/{name}"), count);
        }
        for (tag, summary) in &self.tags {
            record = record.count(&format!("tag/{tag}/n"), summary.n as u64);
            for (k, estimate) in &summary.pass {
                record = record.optional(&format!("tag/{tag}/pass@{k}"), estimate.as_ref().map(|e| e.value));
            }
        }
        record.number("seconds", self.seconds)
    }

    /// The entry of `summary.json`.
    pub fn summary(&self) -> Value {
        let mut entry = passes(&self.all, true);
        entry.insert("n".into(), self.all.n.into());
        entry.insert("samples".into(), self.all.samples.into());
        entry.insert("faults".into(), self.faults.into());
        let tags = self.tags.iter().map(|(tag, summary)| {
            let mut entry = passes(summary, false);
            entry.insert("n".into(), summary.n.into());
            (tag.clone(), Value::Object(entry))
        });
        entry.insert("tags".into(), Value::Object(tags.collect()));
        Value::Object(entry)
    }
}

fn passes(summary: &Summary, intervals: bool) -> Map<String, Value> {
    let mut entry = Map::new();
    for (k, estimate) in &summary.pass {
        entry.insert(format!("pass@{k}"), json!(estimate.as_ref().map(|e| e.value)));
        if intervals {
            entry.insert(format!("pass@{k}_ci"), json!(estimate.as_ref().map(|e| [e.low, e.high])));
        }
    }
    for (k, estimate) in summary.maj.iter().filter(|(k, _)| *k > 1) {
        entry.insert(format!("maj@{k}"), json!(estimate.as_ref().map(|e| e.value)));
    }
    entry
}
