//! One stage of a run: its steps, checkpoints and evaluations.

use super::summary::StageSummary;
use super::{Run, RunEnd, RunError, io};
use crate::checkpoint::Snapshot;
use crate::config::{Eval, MOST_EVALUATED, MidTrain, Rl, Stage, Work};
use crate::data::{Mixture, MixtureState};
use crate::eval::{EvalPlan, evaluate};
use crate::ledger::write_rows;
use crate::memory;
use crate::metrics::{Kind, Record};
use crate::mid_train::mid_train_step;
use crate::progress::Event;
use crate::rl::order::{TaskCursor, TaskOrder};
use crate::rl::step::{Learner, StepPlan};
use crate::scoring::{Scorer, ScoringError, sampling_params};
use crate::tensorboard::Events;
use crate::update::Optimizer;
use rlvr_model::Model;
use rlvr_model::tensor::{change, floats};
use rlvr_rollouts::RngKey;
use rlvr_verdict::FaultCount;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The loop's own state in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct StageState {
    /// Optimiser updates made.
    updates: u64,
    /// Where mid-training's data stands.
    mixture: Option<MixtureState>,
    /// Where RL's prompts stand.
    cursor: Option<TaskCursor>,
    /// How often RL's verifiers were asked and failed.
    faults: BTreeMap<String, FaultCount>,
    /// Seconds that the stage has taken up to here, over all sessions.
    seconds: f64,
}

/// A stage under way.
struct Going<'a> {
    stage: &'a Stage,
    index: usize,
    model: Model,
    /// The folder of the model that the stage's adapters belong to, where it trains some.
    base: Option<PathBuf>,
    optimizer: Optimizer,
    /// The reference policy of an RL stage with a KL penalty.
    reference: Option<Model>,
    state: StageState,
    done: u64,
    events: Events,
    started: Instant,
    /// Seconds of earlier sessions.
    before_s: f64,
}

impl Going<'_> {
    /// Seconds that the stage has taken, over all sessions.
    fn seconds(&self) -> f64 {
        self.before_s + self.started.elapsed().as_secs_f64()
    }
}

impl Run<'_> {
    /// Runs or goes on with a stage.
    pub(super) fn stage(&mut self, index: usize) -> Result<RunEnd, RunError> {
        let config = self.config;
        let stage = &config.stages[index];
        let done = self.checkpoints.latest(&stage.name)?;
        let ended = self.summary.stages.iter().any(|s| s.name == stage.name);
        if done == Some(stage.steps()) && ended {
            return Ok(RunEnd::Done);
        }
        memory::release();
        memory::reset_peak();
        let mut going = self.open_stage(stage, index, done)?;
        let (steps, kind) = (stage.steps(), stage.kind());
        let (from, done) = (stage.from.as_deref(), going.done);
        self.tell(Event::StageStarted { stage: &stage.name, kind, from, done, steps });
        if going.done < steps && going.done > 0 && self.eval_due(&mut going)? == RunEnd::Interrupted {
            return Ok(RunEnd::Interrupted); // the evaluation after the checkpoint had not ended, or its records were dropped
        }
        let end = match &stage.work {
            Work::MidTrain(work) => self.mid_train(&mut going, work)?,
            Work::Rl(work) => self.rl(&mut going, work)?,
        };
        if end == RunEnd::Interrupted {
            return Ok(end);
        }
        self.save_merged(stage, &going.model)?;
        let mut eval = Map::new();
        if let Some(plan) = &stage.eval {
            match self.evaluate(&mut going, plan)? {
                Some(results) => eval = results,
                None => return Ok(RunEnd::Interrupted),
            }
        }
        let seconds = going.seconds();
        self.summary.put(StageSummary {
            name: stage.name.clone(),
            kind: kind.into(),
            from: stage.from.clone(),
            steps,
            seconds,
            peak_bytes: memory::peak_bytes(),
            eval,
        });
        self.metrics.sync()?;
        self.summary.write(self.dir).map_err(io(&self.dir.join("summary.json")))?;
        self.tell(Event::StageDone { stage: &stage.name, seconds });
        Ok(RunEnd::Done)
    }

    fn open_stage<'s>(
        &self,
        stage: &'s Stage,
        index: usize,
        done: Option<u64>,
    ) -> Result<Going<'s>, RunError> {
        let started = Instant::now();
        let kl = match &stage.work {
            Work::Rl(rl) if rl.kl.coefficient != 0.0 => Some(rl.kl),
            _ => None,
        };
        let lora = stage.training.lora.is_some();
        let (mut model, state, file) = match done {
            None => (self.starting_model(stage, index)?, self.starting_state(stage)?, None),
            Some(step) => {
                let saved = self.checkpoints.load::<StageState>(&stage.name, step)?;
                let model = match lora {
                    true => self.starting_base(stage)?.with_adapter(&saved.dir)?,
                    false => Model::load(&saved.dir)?,
                };
                (model, saved.state.clone(), Some(saved.optimizer()))
            }
        };
        let mut reference = match kl {
            None => None,
            // the adapters begin with nothing to add: their base is what the stage starts from
            Some(kl) if lora && kl.refresh == 0 => Some(model.base()),
            Some(_) if lora => Some(model.snapshot()?),
            Some(_) => Some(self.starting_base(stage)?),
        };
        model.activation_checkpointing = stage.training.activation_checkpointing;
        let base = lora.then(|| self.base_folder(stage, &model)).transpose()?;
        let mut optimizer = Optimizer::new(&model.params, stage.training.adamw, stage.training.clip_norm)?;
        if let Some(file) = file {
            let mut places: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
            if kl.is_some_and(|kl| kl.refresh > 0)
                && let Some(reference) = &mut reference
            {
                for p in reference.params.trainable() {
                    let size = p.value.elem_count();
                    places.push((format!("reference.{}", p.name), p.value.dims().to_vec(), vec![0.0; size]));
                }
            }
            optimizer.restore(&model.params, &file, state.updates, &mut places)?;
            if let Some(reference) = &reference {
                for (p, (_, _, values)) in reference.params.trainable().zip(&places) {
                    change(&p.value, |to| to.copy_from_slice(values))?;
                }
            }
        }
        let done = done.unwrap_or(0);
        let events = Events::open(self.dir, &stage.name, done + 1)?;
        let before_s = state.seconds;
        Ok(Going { stage, index, model, base, optimizer, reference, state, done, events, started, before_s })
    }

    /// Where a stage begins: an RL stage that draws from the tasks of the RL stage before it goes on with the prompts that come next.
    fn starting_state(&self, stage: &Stage) -> Result<StageState, RunError> {
        let before = stage.from.as_ref().and_then(|from| self.config.stage(from));
        let (Some(before), Work::Rl(now)) = (before, &stage.work) else { return Ok(StageState::default()) };
        let cursor = match &before.work {
            Work::Rl(rl) if rl.tasks == now.tasks => {
                self.checkpoints.load::<StageState>(&before.name, before.steps())?.state.cursor
            }
            _ => None,
        };
        Ok(StageState { cursor, ..StageState::default() })
    }

    fn mid_train(&mut self, going: &mut Going<'_>, work: &MidTrain) -> Result<RunEnd, RunError> {
        let stage = going.stage;
        let (steps, training) = (stage.steps(), &stage.training);
        let state = going.state.mixture.take();
        let mut mixture: Mixture = self.prepared.mixture(self.config, going.index, work, training, state)?;
        while going.done < steps {
            let start = Instant::now();
            let step = going.done + 1;
            let batch = mixture.next_step()?;
            let rate = training.schedule.rate(training.learning_rate, step, steps);
            let domains = mixture.domains().len();
            let stats = mid_train_step(&going.model, &mut going.optimizer, batch, domains, rate)
                .map_err(|source| RunError::Update { stage: stage.name.clone(), step, source })?;
            going.done = step;
            going.state.mixture = Some(mixture.state());
            let seconds = start.elapsed().as_secs_f64();
            let mut record = Record::new(&stage.name, Kind::MidTrain, step).number("loss", stats.loss);
            for (name, (loss, count)) in mixture.domains().iter().zip(&stats.domains) {
                if *count > 0 {
                    record = record
                        .number(&format!("loss/{name}"), *loss)
                        .count(&format!("tokens/{name}"), *count);
                }
            }
            record = (record
                .count("tokens", stats.tokens)
                .number("lr", rate)
                .number("grad_norm", stats.grad_norm))
            .number("tokens_per_s", stats.tokens as f64 / seconds)
            .number("seconds", seconds);
            if self.step_done(going, record)? == RunEnd::Interrupted {
                return Ok(RunEnd::Interrupted);
            }
        }
        Ok(RunEnd::Done)
    }

    fn rl(&mut self, going: &mut Going<'_>, work: &Rl) -> Result<RunEnd, RunError> {
        let stage = going.stage;
        let (steps, training) = (stage.steps(), &stage.training);
        let tasks: Vec<_> = work.tasks.iter().map(|share| self.prepared.tasks(&share.tasks)).collect();
        let sets = work.tasks.iter().zip(&tasks).map(|(share, set)| (share.weight, set.len())).collect();
        let order = TaskOrder::new(self.config.seed, sets);
        let params = sampling_params(&work.sampling, &going.model);
        let mut cursor = going.state.cursor.take().unwrap_or_default();
        let mut scorer = self.prepared.rl_scorer(work)?;
        scorer.restore_faults(std::mem::take(&mut going.state.faults));
        let updates = stage.updates();
        let plan = StepPlan {
            stage: &stage.name,
            rl: work,
            micro_batch_tokens: training.micro_batch_tokens,
            tasks: &tasks,
            order: &order,
            params: &params,
            key: RngKey { seed: self.config.seed, stage: going.index as u32, step: 0 },
            rate: &|update| training.schedule.rate(training.learning_rate, update, updates),
        };
        let mut short = 0u64;
        while going.done < steps {
            let step = going.done + 1;
            if work.kl.refresh > 0
                && going.done > 0
                && going.done.is_multiple_of(work.kl.refresh)
                && let Some(reference) = &going.reference
            {
                reference.params.assign(&going.model.params)?;
            }
            let mut learner = Learner {
                model: &going.model,
                reference: going.reference.as_ref(),
                optimizer: &mut going.optimizer,
                scorer: &mut scorer,
            };
            let done = plan.run(step, &mut learner, &mut cursor).map_err(|error| {
                let source = Box::new(error);
                RunError::Step { stage: stage.name.clone(), step, source }
            })?;
            going.done = step;
            going.state.cursor = Some(cursor.clone());
            going.state.faults = scorer.faults();
            self.ledger.write(&stage.name, step, &done.rows)?;
            if let Some(message) = &done.message {
                short += 1;
                // a stage of hard tasks would say it at every step
                if short.is_power_of_two() {
                    let times = if short > 1 { format!(" (time {short})") } else { String::new() };
                    self.tell(Event::Message(&format!("{} step {step}: {message}{times}", stage.name)));
                }
            }
            if self.step_done(going, done.record)? == RunEnd::Interrupted {
                return Ok(RunEnd::Interrupted);
            }
        }
        Ok(RunEnd::Done)
    }

    /// Writes a step's record, saves and evaluates when it is time, and sees whether to stop.
    fn step_done(&mut self, going: &mut Going<'_>, record: Record) -> Result<RunEnd, RunError> {
        let (stage, steps) = (going.stage, going.stage.steps());
        going.state.updates = going.optimizer.updates();
        self.metrics.append(&record)?;
        going.events.write(&record)?;
        self.tell(Event::Step { record: &record });
        let last = going.done == steps;
        let stop = self.interrupt.load(Ordering::Relaxed);
        if last || stop || going.done.is_multiple_of(stage.training.checkpoint_every.max(1)) {
            self.save(going)?;
        }
        if stop && !last {
            return Ok(RunEnd::Interrupted);
        }
        if last { Ok(RunEnd::Done) } else { self.eval_due(going) }
    }

    /// Evaluates within a stage where its `every` says so.
    fn eval_due(&mut self, going: &mut Going<'_>) -> Result<RunEnd, RunError> {
        let Some(plan) = &going.stage.eval else { return Ok(RunEnd::Done) };
        if !plan.every.is_some_and(|every| every > 0 && going.done.is_multiple_of(every)) {
            return Ok(RunEnd::Done);
        }
        Ok(if self.evaluate(going, plan)?.is_some() { RunEnd::Done } else { RunEnd::Interrupted })
    }

    fn save(&mut self, going: &mut Going<'_>) -> Result<(), RunError> {
        self.metrics.sync()?;
        going.state.seconds = going.seconds();
        let going = &*going;
        let (model, stage) = (&going.model, going.stage);
        let held = match (&going.reference, &stage.work) {
            (Some(reference), Work::Rl(rl)) if rl.kl.refresh > 0 => reference
                .params
                .trainable()
                .map(|p| Ok((p, floats(&p.value)?)))
                .collect::<candle_core::Result<Vec<_>>>()?,
            _ => Vec::new(),
        };
        let mut tensors = going.optimizer.tensors(&model.params);
        for (p, values) in &held {
            tensors.push((format!("reference.{}", p.name), p.value.dims().to_vec(), &**values));
        }
        let tokenizer = &self.prepared.tokenizer;
        let path = self.checkpoints.save(&Snapshot {
            stage: &stage.name,
            step: going.done,
            model_bytes: 4 * model.params.trainable().map(|p| p.value.elem_count() as u64).sum::<u64>(),
            write_model: &|folder| {
                match &going.base {
                    Some(base) => model.save_adapter(folder, base)?,
                    None => model.save(folder)?,
                }
                tokenizer.save(folder)?;
                Ok(())
            },
            optimizer: &tensors,
            state: &going.state,
        })?;
        self.checkpoints.prune(&stage.name, stage.training.keep)?;
        self.tell(Event::Saved { path: &path });
        Ok(())
    }

    /// Evaluates the stage's task sets; none when interrupted.
    fn evaluate(
        &mut self,
        going: &mut Going<'_>,
        plan: &Eval,
    ) -> Result<Option<Map<String, serde_json::Value>>, RunError> {
        let stage = going.stage;
        memory::release();
        let mut scorer: Scorer = self.prepared.eval_scorer(plan)?;
        let mut results = Map::new();
        for (i, taskset) in plan.tasks.iter().enumerate() {
            let problems = self.prepared.tasks(taskset);
            let key = RngKey {
                seed: self.config.seed,
                stage: EVAL_KEYS + (going.index * EVAL_SETS + i % EVAL_SETS) as u32,
                step: going.done,
            };
            let set = EvalPlan::new(taskset, &problems, plan, &going.model, key);
            self.tell(Event::EvalStarted { stage: &stage.name, taskset, samples: set.total() });
            let mut told = |done| self.tell(Event::EvalProgress { done });
            let result = match evaluate(&going.model, &mut scorer, &set, Some(self.interrupt), &mut told) {
                Ok(result) => result,
                Err(ScoringError::Interrupted) => return Ok(None),
                Err(error) => {
                    let source = Box::new(error);
                    return Err(RunError::Eval { stage: stage.name.clone(), source });
                }
            };
            let record = result.record(&stage.name, going.done);
            self.metrics.append(&record)?;
            going.events.write(&record)?;
            let rows: Vec<_> = (result.scored.iter())
                .map(|s| {
                    let version = going.optimizer.updates() as i64;
                    s.ledger_row(
                        (&stage.name, going.done),
                        s.group,
                        s.rollout.prompt,
                        &problems[s.group],
                        version,
                    )
                })
                .collect();
            let folder = self.dir.join("samples");
            std::fs::create_dir_all(&folder).map_err(io(&folder))?;
            write_rows(&folder.join(format!("{}-{:06}-{taskset}.parquet", stage.name, going.done)), &rows)?;
            self.tell(Event::EvalDone { record: &record });
            results.insert(taskset.clone(), result.summary());
        }
        drop(scorer);
        memory::release();
        Ok(Some(results))
    }
}

/// Stage numbers of random keys from here on are evaluations'.
const EVAL_KEYS: u32 = 2048;
/// Task sets that a stage can evaluate with keys of their own; more share them.
const EVAL_SETS: usize = 32;
/// Stage numbers of random keys from here on are those of commands outside of runs: `eval` and `generate`.
pub const COMMAND_KEYS: u32 = 4000;
const _: () = assert!(EVAL_KEYS as usize + MOST_EVALUATED * EVAL_SETS <= COMMAND_KEYS as usize);
