//! One step of reinforcement learning: draw groups, judge them, drop those that teach nothing and draw others, update.

use super::order::{TaskCursor, TaskOrder};
use super::policy::{Group, PolicySettings, PolicyStats, Sample, score_reference, update_policy};
use crate::config::Rl;
use crate::ledger;
use crate::metrics::{Kind, Record};
use crate::scoring::{Draw, PromptedProblem, Scored, Scorer, ScoringError, faults_by_verifier};
use crate::update::{Optimizer, UpdateError};
use rlvr_model::Model;
use rlvr_objective::{AdvantageNorm, GroupStats, KlConfig, KlPlace, advantages, kl_in_reward};
use rlvr_rollouts::{Finish, RngKey, SamplingParams};
use rlvr_verdict::Outcome;
use rlvr_verdict::compose::KL_PENALTY;
use std::collections::BTreeMap;
use std::time::Instant;

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Sampling or verification failed.
    #[error(transparent)]
    Scoring(#[from] ScoringError),
    /// The update failed.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The sampler and the trainer do not agree.
    #[error(
        "sampler and trainer differ by up to {found:.3e} in a token's log-probability, above mismatch_bound = {bound:.1e}: the \
         samples are not from the policy being trained. The run was stopped before its results could mislead"
    )]
    Mismatch {
        /// The largest difference in nats.
        found: f64,
        /// The bound.
        bound: f64,
    },
}

impl From<candle_core::Error> for StepError {
    fn from(error: candle_core::Error) -> Self {
        StepError::Update(error.into())
    }
}

/// What stays the same over the steps of a stage.
pub struct StepPlan<'a> {
    /// The stage's name.
    pub stage: &'a str,
    /// The stage's settings.
    pub rl: &'a Rl,
    /// Most tokens of a micro batch.
    pub micro_batch_tokens: usize,
    /// Problems of each task set.
    pub tasks: &'a [Vec<PromptedProblem>],
    /// The order in which they come.
    pub order: &'a TaskOrder,
    /// How completions are drawn.
    pub params: &'a SamplingParams,
    /// Which random numbers they draw; each step puts in its own number.
    pub key: RngKey,
    /// The learning rate of the n-th of the stage's planned updates, `optimizer_steps` for each step, counted from 1.
    pub rate: &'a dyn Fn(u64) -> f64,
}

/// What a step changes or uses up.
pub struct Learner<'a> {
    /// The policy; updated in place.
    pub model: &'a Model,
    /// The reference policy of a KL penalty.
    pub reference: Option<&'a Model>,
    /// AdamW's state.
    pub optimizer: &'a mut Optimizer,
    /// Draws and judges.
    pub scorer: &'a mut Scorer,
}

/// A step that was made.
pub struct StepDone {
    /// The line of `metrics.jsonl`.
    pub record: Record,
    /// Every sample, used or not.
    pub rows: Vec<ledger::Row>,
    /// What a person should know, if anything.
    pub message: Option<String>,
}

/// A prompt with its judged samples.
struct DrawnGroup {
    prompt: PromptedProblem,
    key: u64,
    samples: Vec<Scored>,
    /// As the verifiers gave them, without a KL penalty: what decides on whether the group is used.
    rewards: Vec<Option<f32>>,
    advantages: Vec<Option<f32>>,
    used: bool,
}

impl StepPlan<'_> {
    /// Makes the step `step` (from 1), with the problems that are next after `cursor`.
    ///
    /// # Errors
    /// See [`StepError`]. After one from the update or the mismatch, the model may have changed and is not to be saved.
    pub fn run(
        &self,
        step: u64,
        learner: &mut Learner<'_>,
        cursor: &mut TaskCursor,
    ) -> Result<StepDone, StepError> {
        let start = Instant::now();
        let mut account = Account::default();
        let version = learner.optimizer.updates();
        let mut groups: Vec<DrawnGroup> = Vec::new();
        let mut refills = 0;
        loop {
            let useful = groups.iter().filter(|g| g.used).count();
            let wanted = self.rl.prompts_per_step - useful;
            if wanted == 0
                || (!groups.is_empty() && (!self.rl.drop_zero_variance || refills > self.rl.max_refills))
            {
                break;
            }
            let prompts: Vec<PromptedProblem> = (0..wanted)
                .map(|_| {
                    let (set, index) = self.order.next(cursor);
                    self.tasks[set][index].clone()
                })
                .collect();
            groups.extend(self.draw(step, &prompts, groups.len() as u64, learner, &mut account)?);
            refills += 1;
            if !self.rl.drop_zero_variance {
                break;
            }
        }
        account.refills = refills.saturating_sub(1);
        account.rollout_s = start.elapsed().as_secs_f64() - account.waited_s;
        let training = Instant::now();
        let settings = PolicySettings {
            loss: self.rl.policy_loss(),
            temperature: if self.params.temperature > 0.0 { self.params.temperature } else { 1.0 },
            max_tokens: self.params.max_tokens,
            micro_batch_tokens: self.micro_batch_tokens,
        };
        let updates = self.update(step, &mut groups, &settings, learner)?;
        account.train_s = training.elapsed().as_secs_f64();
        account.step_s = start.elapsed().as_secs_f64();
        let record = self.record(step, &groups, &updates, &account);
        let rows = groups
            .iter()
            .enumerate()
            .flat_map(|(i, g)| g.rows((self.stage, step), i, version as i64))
            .collect();
        Ok(StepDone { record, rows, message: self.message(&groups) })
    }

    /// Draws and judges one group for each prompt.
    fn draw(
        &self,
        step: u64,
        prompts: &[PromptedProblem],
        first_key: u64,
        learner: &mut Learner<'_>,
        account: &mut Account,
    ) -> Result<Vec<DrawnGroup>, ScoringError> {
        // Ctrl-C waits for the step: nothing interrupts it
        let draw = Draw {
            prompts,
            first_key,
            samples: self.rl.samples_per_prompt,
            params: self.params,
            stop: &self.rl.sampling.stop,
            key: RngKey { step, ..self.key },
            interrupt: None,
        };
        let drawn = learner.scorer.draw(learner.model, &draw, &mut |_| ())?;
        account.waited_s += drawn.waited_s;
        account.prompt_tokens += drawn.stats.prefill_tokens;
        account.generated_tokens += drawn.stats.generated_tokens;
        let mut groups: Vec<DrawnGroup> = (prompts.iter().enumerate())
            .map(|(i, prompt)| DrawnGroup {
                prompt: prompt.clone(),
                key: first_key + i as u64,
                samples: Vec::new(),
                rewards: Vec::new(),
                advantages: Vec::new(),
                used: false,
            })
            .collect();
        for scored in drawn.scored {
            let group = &mut groups[scored.group];
            group.rewards.push(scored.reward.as_ref().map(|r| r.value));
            group.samples.push(scored);
        }
        for group in &mut groups {
            let stats = GroupStats::of(&group.rewards);
            group.used = stats.count > 0 && (stats.has_variance || !self.rl.drop_zero_variance);
        }
        Ok(groups)
    }

    /// Advantages, then one update for each minibatch of groups.
    fn update(
        &self,
        step: u64,
        groups: &mut [DrawnGroup],
        settings: &PolicySettings,
        learner: &mut Learner<'_>,
    ) -> Result<Updates, StepError> {
        let mut updates = Updates::default();
        let mut used: Vec<&mut DrawnGroup> = groups.iter_mut().filter(|g| g.used).collect();
        let mut batch: Vec<Group> = used.iter().map(|g| g.group()).collect();
        if let Some(reference) = learner.reference {
            score_reference(reference, &mut batch, settings)?;
        }
        let in_reward = settings.loss.kl.filter(|kl| kl.place == KlPlace::Reward);
        for (group, packed) in used.iter_mut().zip(&mut batch) {
            if let Some(kl) = in_reward {
                group.take_off(&kl, &packed.samples);
            }
            let rewards: Vec<Option<f32>> =
                group.samples.iter().map(|s| s.reward.as_ref().map(|r| r.value)).collect();
            group.advantages = advantages(&rewards, self.rl.advantage);
            for (sample, advantage) in packed.samples.iter_mut().zip(group.advantages.iter().flatten()) {
                sample.advantage = *advantage;
            }
        }
        let parts = self.rl.optimizer_steps.clamp(1, batch.len().max(1));
        for part in 0..parts {
            let minibatch = &batch[batch.len() * part / parts..batch.len() * (part + 1) / parts];
            if minibatch.is_empty() {
                continue;
            }
            let rate = (self.rate)(planned_update(self.rl.optimizer_steps, step, part, parts));
            let stats = update_policy(learner.model, learner.optimizer, minibatch, settings, rate)?;
            if updates.made == 0 {
                updates.first = stats;
                let (found, bound) = (stats.mismatch.abs_max, self.rl.mismatch_bound);
                if found.is_nan() || found > bound {
                    return Err(StepError::Mismatch { found, bound });
                }
            }
            updates.loss += stats.loss;
            updates.grad_norm += stats.grad_norm;
            updates.metrics += stats.metrics;
            updates.entropy_sum += stats.entropy_sum;
            updates.packed_tokens += stats.packed_tokens;
            updates.made += 1;
        }
        Ok(updates)
    }

    fn message(&self, groups: &[DrawnGroup]) -> Option<String> {
        let used = groups.iter().filter(|g| g.used).count();
        let learns = |a: &f32| *a != 0.0;
        let without = self.rl.advantage != AdvantageNorm::None
            && !groups.iter().flat_map(|g| &g.advantages).flatten().any(learns);
        if used == self.rl.prompts_per_step && !without {
            return None;
        }
        let scores: Vec<f32> =
            groups.iter().flat_map(|g| &g.samples).filter_map(|s| s.verdict.score).collect();
        let mean = scores.iter().sum::<f32>() / scores.len().max(1) as f32;
        let why = match mean {
            m if m < 0.2 => "the tasks are too hard for this model",
            m if m > 0.8 => "the tasks are too easy for this model",
            _ => "most groups agree in their rewards",
        };
        let (drawn, wanted) = (groups.len(), self.rl.prompts_per_step);
        if used > 0 && without {
            return Some(format!(
                "in none of the {used} groups of the update do rewards differ (mean score {mean:.2}): {why}; all advantages are 0, \
                 so that nothing was learned from them"
            ));
        }
        let then = if used == 0 { "no update was made" } else { "the update was made with those" };
        Some(format!(
            "{used} of {drawn} groups drawn for {wanted} had rewards that differ (mean score {mean:.2}, max_refills = {}): {why}; {then}",
            self.rl.max_refills
        ))
    }

    fn record(&self, step: u64, groups: &[DrawnGroup], updates: &Updates, account: &Account) -> Record {
        let all: Vec<&Scored> = groups.iter().flat_map(|g| &g.samples).collect();
        let share = |count: usize| count as f64 / all.len().max(1) as f64;
        let rewards: Vec<f64> =
            groups.iter().flat_map(|g| &g.rewards).filter_map(|r| Some(f64::from((*r)?))).collect();
        let reward = Spread::of(&rewards);
        let lengths: Vec<f64> = all.iter().map(|s| s.rollout.ids.len() as f64).collect();
        let stds: Vec<f64> = groups.iter().map(|g| GroupStats::of(&g.rewards).std).collect();
        let faults = all.iter().filter(|s| s.reward.is_none()).count();
        let judged = all.iter().filter(|s| s.verdict.outcome != Outcome::Fault).count();
        let passed = all.iter().filter(|s| s.verdict.outcome == Outcome::Pass).count();
        let used = groups.iter().filter(|g| g.used).count();
        let varied = groups.iter().filter(|g| GroupStats::of(&g.rewards).has_variance).count();
        let tokens = updates.metrics.tokens as f64;
        let per_update = |sum: f64| (updates.made > 0).then(|| sum / updates.made as f64);
        let per_token = |sum: f64| (tokens > 0.0).then(|| sum / tokens);
        let mut record = Record::new(self.stage, Kind::Rl, step)
            .optional("reward/mean", reward.map(|r| r.mean))
            .optional("reward/std", reward.map(|r| r.std))
            .number("pass_rate", passed as f64 / judged.max(1) as f64)
            .count("groups", groups.len() as u64)
            .count("groups/with_variance", varied as u64)
            .count("groups/dropped", (groups.len() - used) as u64)
            .number("group_std", stds.iter().sum::<f64>() / stds.len().max(1) as f64)
            .count("refills", u64::from(account.refills))
            .count("faults", faults as u64)
            .number("truncated", share(all.iter().filter(|s| s.rollout.finish == Finish::Length).count()))
            .number("length/mean", lengths.iter().sum::<f64>() / lengths.len().max(1) as f64)
            .number("length/max", lengths.iter().copied().fold(0.0, f64::max))
            .number("length/prompt", account.prompt_tokens as f64 / groups.len().max(1) as f64)
            .optional("entropy", per_token(updates.entropy_sum))
            .optional("kl", updates.metrics.kl())
            .optional("clip_fraction", (tokens > 0.0).then(|| updates.metrics.clip_fraction()))
            .optional("ratio/mean", (tokens > 0.0).then(|| updates.metrics.ratio_mean()))
            .optional("ratio/max", (tokens > 0.0).then_some(updates.metrics.ratio_max))
            .optional("policy_loss", per_update(updates.loss))
            .optional("grad_norm", per_update(updates.grad_norm))
            .number("lr", (self.rate)(planned_update(self.rl.optimizer_steps, step, 0, 1)))
            .optional("mismatch/mean", (updates.made > 0).then(|| updates.first.mismatch.mean()))
            .optional("mismatch/max", (updates.made > 0).then_some(updates.first.mismatch.abs_max))
            .optional("mismatch/k3", (updates.made > 0).then(|| updates.first.mismatch.k3()));
        for (name, mean) in part_means(&all) {
            record = record.number(&format!("reward/part/{name}"), mean);
        }
        for (name, count) in faults_by_verifier(all.iter().copied()) {
            record = record.count(&format!("faults/{name}"), count);
        }
        for outcome in Outcome::ALL {
            let count = all.iter().filter(|s| s.verdict.outcome == outcome).count();
            if count > 0 {
                record = record.number(&format!("outcome/{outcome}"), share(count));
            }
        }
        let per_s = |count: f64, seconds: f64| (seconds > 0.0).then(|| count / seconds);
        record
            .count("tokens", account.generated_tokens)
            .count("tokens/packed", updates.packed_tokens as u64)
            .optional("tokens_per_s/rollout", per_s(account.generated_tokens as f64, account.rollout_s))
            .optional("tokens_per_s/train", per_s(updates.packed_tokens as f64, account.train_s))
            .number("seconds", account.step_s)
            .number("seconds/rollout", account.rollout_s)
            .number("seconds/verify", account.waited_s)
            .number("seconds/train", account.train_s)
    }
}

/// The place (from 1) of an update among the stage's planned ones, `planned` a step: the schedule goes by steps, and one with
/// fewer minibatches than planned, for its groups were dropped, does not hold it up. `part` of `parts` counts from 0.
fn planned_update(planned: usize, step: u64, part: usize, parts: usize) -> u64 {
    (step - 1) * planned as u64 + (part * planned / parts) as u64 + 1
}

/// Sums over the updates of a step.
#[derive(Default)]
struct Updates {
    made: usize,
    first: PolicyStats,
    loss: f64,
    grad_norm: f64,
    metrics: rlvr_objective::LossMetrics,
    entropy_sum: f64,
    packed_tokens: usize,
}

/// Counts and seconds of a step.
#[derive(Default)]
struct Account {
    refills: u32,
    step_s: f64,
    rollout_s: f64,
    waited_s: f64,
    train_s: f64,
    prompt_tokens: u64,
    generated_tokens: u64,
}

#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    std: f64,
}

impl Spread {
    /// Mean and population standard deviation.
    fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        (!values.is_empty()).then_some(Spread { mean, std: variance.sqrt() })
    }
}

fn part_means(samples: &[&Scored]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, score) in samples.iter().filter_map(|s| s.reward.as_ref()).flat_map(|r| &r.parts) {
        let sum = sums.entry(name.clone()).or_default();
        *sum = (sum.0 + f64::from(*score), sum.1 + 1.0);
    }
    sums.into_iter().map(|(name, (sum, count))| (name, sum / count)).collect()
}

impl DrawnGroup {
    /// Takes a KL penalty off the rewards of the samples that are in the update, which `packed` are; it becomes a part of
    /// them. [`rewards`](Self::rewards) stay as the verifiers gave them.
    fn take_off(&mut self, kl: &KlConfig, packed: &[Sample]) {
        let rewards = self.samples.iter_mut().filter_map(|s| s.reward.as_mut());
        for (reward, sample) in rewards.zip(packed) {
            let Some(reference) = &sample.reference else { continue };
            let before = reward.value;
            reward.value = kl_in_reward(before, &sample.old_logprobs, reference, kl);
            reward.parts.push((KL_PENALTY.to_owned(), before - reward.value));
        }
    }

    /// The samples that have a reward, for the update.
    fn group(&self) -> Group {
        let kept = self.samples.iter().filter(|s| s.reward.is_some());
        let sample = |s: &Scored| Sample {
            ids: s.rollout.ids.clone(),
            old_logprobs: s.rollout.logprobs.clone(),
            ..Sample::default()
        };
        Group { prompt: self.prompt.ids.clone(), samples: kept.map(sample).collect() }
    }

    fn rows(&self, at: (&str, u64), index: usize, version: i64) -> Vec<ledger::Row> {
        (self.samples.iter().enumerate())
            .map(|(i, scored)| {
                let advantage = self.advantages.get(i).copied().flatten();
                let row = scored.ledger_row(at, index, self.key, &self.prompt, version);
                ledger::Row { advantage, used: self.used && advantage.is_some(), ..row }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::planned_update;

    #[test]
    fn a_schedule_goes_by_steps_however_many_minibatches_each_had() {
        let whole: Vec<u64> =
            (1..=3).flat_map(|s| (0..4).map(move |part| planned_update(4, s, part, 4))).collect();
        assert_eq!(whole, (1..=12).collect::<Vec<_>>());
        let halved: Vec<u64> =
            (1..=3).flat_map(|s| (0..2).map(move |part| planned_update(4, s, part, 2))).collect();
        assert_eq!(halved, [1, 3, 5, 7, 9, 11]);
        assert_eq!(planned_update(4, 3, 0, 1), 9);
    }
}
