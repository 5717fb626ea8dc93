//! Sampling and verification as one stream: a completion is judged as soon as it ends, while others are still generated.

use crate::config::Sampling;
use crate::ledger;
use rlvr_model::Model;
use rlvr_model::tokenizer::Tokenizer;
use rlvr_rollouts::{
    Finish, Request, RngKey, Rollout, RolloutError, Sampler, SamplingParams, Stats, StopRule,
};
use rlvr_verdict::compose::{PartConfig, Reward, RewardConfig};
use rlvr_verdict::{Completion, FaultCount, Job, Outcome, Problem, Verdict, Verifier, VerifierPool};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A problem with its prompt as the model reads it.
#[derive(Clone, Debug)]
pub struct PromptedProblem {
    /// What is asked.
    pub problem: Arc<Problem>,
    /// The prompt's text, after templates.
    pub prompt: Arc<str>,
    /// The prompt's ids.
    pub ids: Arc<[u32]>,
}

/// The sampler's parameters for a model, whose ends of sequence end a completion.
pub fn sampling_params(sampling: &Sampling, model: &Model) -> SamplingParams {
    SamplingParams {
        temperature: sampling.temperature,
        top_k: sampling.top_k,
        top_p: sampling.top_p,
        min_p: sampling.min_p,
        max_tokens: sampling.max_tokens,
        stop_ids: model.generation.eos_token_id.clone(),
        ..SamplingParams::default()
    }
}

/// A judged completion.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Index of its prompt among those given.
    pub group: usize,
    /// What was drawn.
    pub rollout: Rollout,
    /// Its text, without the stop token; a stop string is kept, and ends it.
    pub text: String,
    /// The verdict of the problem's own verifier where a part of the reward is its score, else of the first part.
    pub verdict: Verdict,
    /// The name of the verifier that gave it.
    pub verifier: String,
    /// Each part's verdict where the reward has several.
    pub verdicts: Vec<(String, ledger::PartVerdict)>,
    /// The composed reward; none when a verifier failed.
    pub reward: Option<Reward>,
    /// The verifiers that failed on it, by the names that the reward and the problem have for them.
    pub faulted: Vec<String>,
}

impl Scored {
    /// The sample as a row of the ledger, outside any update.
    pub fn ledger_row(
        &self,
        (stage, step): (&str, u64),
        group: usize,
        prompt_key: u64,
        prompt: &PromptedProblem,
        policy_version: i64,
    ) -> ledger::Row {
        ledger::Row {
            stage: stage.to_owned(),
            step: step as i64,
            group: group as i64,
            problem_id: prompt.problem.id.clone(),
            problem: prompt.problem.clone(),
            prompt_key,
            sample: self.rollout.sample as i32,
            attempt: self.rollout.attempt as i32,
            prompt: prompt.prompt.to_string(),
            prompt_ids: prompt.ids.to_vec(),
            completion: self.text.clone(),
            ids: self.rollout.ids.clone(),
            logprobs: self.rollout.logprobs.clone(),
            finish: finish_name(self.rollout.finish).to_owned(),
            policy_version,
            verifier: self.verifier.clone(),
            outcome: self.verdict.outcome.name().to_owned(),
            score: self.verdict.score,
            reason: self.verdict.reason.clone(),
            parts: self.reward.as_ref().map(|r| r.parts.clone()).unwrap_or_default(),
            verdicts: self.verdicts.clone(),
            reward: self.reward.as_ref().map(|r| r.value),
            advantage: None,
            used: false,
            fuel: self.verdict.cost.fuel,
            wall_s: self.verdict.cost.wall,
            sampled_s: self.rollout.sampled_s,
        }
    }
}

fn part_verdict(verifier: &str, verdict: &Verdict) -> ledger::PartVerdict {
    ledger::PartVerdict {
        verifier: verifier.to_owned(),
        outcome: verdict.outcome.name().to_owned(),
        score: verdict.score,
        reason: verdict.reason.clone(),
    }
}

/// Samples on which each verifier failed, by name.
pub fn faults_by_verifier<'a>(samples: impl IntoIterator<Item = &'a Scored>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for name in samples.into_iter().flat_map(|sample| &sample.faulted) {
        *counts.entry(name.clone()).or_default() += 1;
    }
    counts
}

fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::StopString => "stop_string",
        Finish::Length => "length",
        Finish::Cancelled => "cancelled",
    }
}

/// Why sampling and scoring ended early.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    /// The sampler failed.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// A drawn id is not the tokenizer's.
    #[error(transparent)]
    Tokenizer(#[from] rlvr_model::tokenizer::TokenizerError),
    /// A verifier failed too often.
    #[error(
        "verifier `{name}` failed on {} of {} samples, more than the share {limit} that max_fault_share allows; the last fault: {last}",
        counts.faults, counts.samples
    )]
    Faults {
        /// The verifier.
        name: String,
        /// Its counts.
        counts: FaultCount,
        /// The allowed share.
        limit: f64,
        /// Reason of the last fault.
        last: String,
    },
    /// The run was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// How completions are drawn and judged.
pub struct Scorer {
    sampler: Sampler,
    tokenizer: Arc<Tokenizer>,
    verifiers: BTreeMap<String, Arc<dyn Verifier>>,
    pool: VerifierPool,
    reward: RewardConfig,
    max_fault_share: f64,
}

/// What is to be drawn, and how.
#[derive(Clone, Copy)]
pub struct Draw<'a> {
    /// The prompts.
    pub prompts: &'a [PromptedProblem],
    /// The prompts' keys of random numbers count from here.
    pub first_key: u64,
    /// Completions of each prompt.
    pub samples: usize,
    /// How they are drawn.
    pub params: &'a SamplingParams,
    /// Strings that end a completion.
    pub stop: &'a [String],
    /// Which random numbers they draw.
    pub key: RngKey,
    /// Ends it when set.
    pub interrupt: Option<&'a AtomicBool>,
}

impl Draw<'_> {
    fn requests(&self) -> Vec<Request> {
        (self.prompts.iter().enumerate())
            .map(|(i, p)| Request {
                prompt: self.first_key + i as u64,
                attempt: 0,
                ids: p.ids.clone(),
                samples: self.samples as u32,
            })
            .collect()
    }
}

/// What a call of [`Scorer::draw`] made.
pub struct Drawn {
    /// By prompt, then sample.
    pub scored: Vec<Scored>,
    /// The sampler's account.
    pub stats: Stats,
    /// Seconds spent waiting for verdicts after the last completion had ended.
    pub waited_s: f64,
}

/// Stop strings, looked for in the text of the newest ids.
pub struct StopStrings<'a> {
    tokenizer: &'a Tokenizer,
    strings: &'a [String],
    longest: usize,
}

impl<'a> StopStrings<'a> {
    /// A rule that ends a completion with the first of `strings` in it; none of them is empty.
    pub fn new(tokenizer: &'a Tokenizer, strings: &'a [String]) -> Self {
        StopStrings { tokenizer, strings, longest: strings.iter().map(String::len).max().unwrap_or(0) }
    }

    /// A text up to the end of the stop string that is complete first; all of it where there is none. A token may bring
    /// more text behind the stop string that it completes.
    pub fn cut<'t>(&self, text: &'t str) -> &'t str {
        let ends = self.strings.iter().filter_map(|string| Some(text.find(string.as_str())? + string.len()));
        ends.min().map_or(text, |end| &text[..end])
    }
}

impl StopRule for StopStrings<'_> {
    fn stops(&self, ids: &[u32]) -> bool {
        if self.strings.is_empty() {
            return false;
        }
        // every token adds at least one byte of text but for special ones, of which few stand at the end of a completion
        let tail = &ids[ids.len().saturating_sub(self.longest + 8)..];
        match self.tokenizer.decode(tail) {
            Ok(text) => self.strings.iter().any(|s| text.contains(s.as_str())),
            Err(_) => false,
        }
    }
}

impl Scorer {
    /// A scorer that asks `verifiers` by the names that problems use, through `pool`.
    pub fn new(
        sampler: Sampler,
        tokenizer: Arc<Tokenizer>,
        verifiers: BTreeMap<String, Arc<dyn Verifier>>,
        pool: VerifierPool,
        reward: RewardConfig,
        max_fault_share: f64,
    ) -> Self {
        Scorer { sampler, tokenizer, verifiers, pool, reward, max_fault_share }
    }

    /// How often each verifier was asked and failed, since the scorer was made or from where [`Scorer::restore_faults`] left it.
    pub fn faults(&self) -> BTreeMap<String, FaultCount> {
        self.pool.counts()
    }

    /// Goes on with the counts of an earlier scorer, so that a resumed run stops at the share at which an uninterrupted one would.
    pub fn restore_faults(&self, counts: BTreeMap<String, FaultCount>) {
        self.pool.restore_counts(counts);
    }

    /// Draws completions and judges each as it ends; `progress` is told how many have ended.
    ///
    /// # Errors
    /// When the sampler fails, a verifier fails more often than allowed, or the interrupt is set.
    pub fn draw(
        &mut self,
        model: &Model,
        draw: &Draw<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Drawn, ScoringError> {
        let Draw { prompts, first_key, params, stop, key, interrupt, .. } = *draw;
        let requests = draw.requests();
        let rule = StopStrings::new(&self.tokenizer, stop);
        let parts = self.reward.resolved_parts();
        let mut round = self.pool.round::<(usize, usize)>();
        let mut open: Vec<Open> = Vec::new();
        let mut failed = None;
        let mut on_finish = |rollout: Rollout| {
            if interrupt.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return ControlFlow::Break(());
            }
            let group = (rollout.prompt - first_key) as usize;
            let text = match self.tokenizer.decode(&rollout.ids) {
                Ok(text) if rollout.finish == Finish::StopString => rule.cut(&text).to_owned(),
                Ok(text) => text,
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            };
            let truncated = rollout.finish == Finish::Length;
            let completion = Completion { text: text.clone(), truncated, tokens: rollout.ids.len() };
            let completion = Arc::new(completion);
            for (i, part) in parts.iter().enumerate() {
                let problem = prompts[group].problem.clone();
                let name = part.verifier.as_ref().unwrap_or(&problem.verifier);
                let verifier = self.verifiers[name].clone();
                let sample = rollout.sample;
                let job = Job { verifier, problem, completion: completion.clone(), sample };
                round.submit((open.len(), i), job);
            }
            open.push(Open { group, rollout, text, verdicts: vec![None; parts.len()] });
            progress(open.len() as u64);
            ControlFlow::Continue(())
        };
        let stats = self.sampler.generate(model, &requests, params, key, &rule, &mut on_finish)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        if interrupt.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(ScoringError::Interrupted);
        }
        let start = Instant::now();
        let mut last_fault = String::new();
        while let Some(((sample, part), verdict)) = round.next_verdict() {
            if verdict.outcome == Outcome::Fault {
                last_fault.clone_from(&verdict.reason);
            }
            open[sample].verdicts[part] = Some(verdict);
        }
        drop(round);
        let waited_s = start.elapsed().as_secs_f64();
        if let Some((name, counts)) = self.pool.over(self.max_fault_share) {
            return Err(ScoringError::Faults { name, counts, limit: self.max_fault_share, last: last_fault });
        }
        let judged = |sample: Open| self.judged(&prompts[sample.group], &parts, sample);
        let mut scored: Vec<Scored> = open.into_iter().map(judged).collect();
        scored.sort_by_key(|s| (s.group, s.rollout.sample));
        Ok(Drawn { scored, stats, waited_s })
    }

    /// A completion with what its verdicts, one for each part of the reward, come to.
    fn judged(&self, prompt: &PromptedProblem, parts: &[PartConfig], sample: Open) -> Scored {
        let Open { group, rollout, text, verdicts } = sample;
        let own = parts.iter().position(|part| part.verifier.is_none()).unwrap_or(0);
        let name = |part: usize| parts[part].verifier.as_ref().unwrap_or(&prompt.problem.verifier);
        let lost = || Verdict::fault("no verdict came back");
        let mut all: Vec<Verdict> = verdicts.into_iter().map(|v| v.unwrap_or_else(lost)).collect();
        let reward = self.reward.compose(&all, rollout.ids.len());
        let several = if all.len() > 1 { &all[..] } else { &[] };
        let verdicts =
            several.iter().enumerate().map(|(i, v)| (parts[i].name.clone(), part_verdict(name(i), v)));
        let (verdicts, verifier) = (verdicts.collect(), name(own).clone());
        let failed = (0..all.len()).filter(|part| all[*part].outcome == Outcome::Fault);
        let faulted = failed.map(|part| name(part).clone()).collect();
        let verdict = all.swap_remove(own);
        Scored { group, rollout, text, verdict, verifier, verdicts, reward, faulted }
    }
}

/// A completion whose verdicts come in.
struct Open {
    /// Index of its prompt among those given.
    group: usize,
    rollout: Rollout,
    text: String,
    /// One for each part of the reward, as they come.
    verdicts: Vec<Option<Verdict>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_with_the_stop_string_that_is_complete_first_whatever_its_last_token_brings() {
        let tokenizer = Tokenizer::characters().unwrap();
        let strings = ["####".to_owned(), "Q:".to_owned(), "####\nQ".to_owned()];
        let rule = StopStrings::new(&tokenizer, &strings);
        assert_eq!(rule.cut("5 ####\nQ: more"), "5 ####");
        assert_eq!(rule.cut("5\nQ: 6 ####"), "5\nQ:");
        assert_eq!(rule.cut("none of them #"), "none of them #");
    }

    #[test]
    fn a_completion_of_longer_tokens_is_judged_up_to_its_stop_string() {
        let corpus = "the cat was there as the cats were ".repeat(200);
        let tokenizer = Tokenizer::train_bpe([corpus.as_str()].into_iter(), 300, false).unwrap();
        let ids = tokenizer.encode("the cat was there").unwrap();
        let strings = ["a".to_owned()];
        let rule = StopStrings::new(&tokenizer, &strings);
        let stops = (1..=ids.len()).find(|end| rule.stops(&ids[..*end])).unwrap();
        let text = tokenizer.decode(&ids[..stops]).unwrap();
        assert!(
            !text.ends_with('a'),
            "{text:?}: this tokenizer has a token that goes on past the stop string"
        );
        assert_eq!(rule.cut(&text), "the ca");
    }
}
