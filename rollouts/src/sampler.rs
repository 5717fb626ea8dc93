//! The sampler: runs groups of prompts through the model in one changing batch and hands each completion out as it
//! ends.
//!
//! A loop around three parts: the scheduler says which rows to run, the model turns them into logits, the tail draws
//! from those. The sampler owns what lives as long as the run: the cache, its page accounts and scratch memory.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Instant;

use rayon::prelude::*;
use rlvr_model::{KvCache, Model, ModelConfig, ModelError};
use serde::{Deserialize, Serialize};

use crate::error::RolloutError;
use crate::pages::{PagePool, pages_for};
use crate::philox::{Draw, RngKey};
use crate::request::{Finish, Request, Rollout, StopRule};
use crate::sampling::{SamplingParams, Tail};
use crate::scheduler::{Drawing, Limits, Scheduler};

/// Sizes of a sampler. They decide speed and memory, never which tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// Most sequences in the batch at one time.
    pub max_sequences: usize,
    /// Pages of the key-value cache, [`PAGE`](rlvr_model::PAGE) tokens each; [`KvCache::bytes_per_page`] gives their size.
    pub kv_pages: usize,
    /// Most prompt tokens that one step runs beside the decode rows.
    pub prefill_chunk: usize,
}

impl SamplerConfig {
    /// Pages enough for `max_sequences` sequences that all grow to `longest` tokens, prompt included, and share
    /// nothing, and for one prompt that waits; prompts in chunks of 1024 tokens.
    pub fn for_sequences(max_sequences: usize, longest: usize) -> Self {
        Self { max_sequences, kv_pages: (max_sequences + 1) * pages_for(longest), prefill_chunk: 1024 }
    }

    /// Sizes for `groups` prompts of at most `prompt` tokens with `samples` completions each of at most `max_tokens`, of which at most
    /// `max_sequences` run at one time: no more sequences than there are, and pages that count a prompt's once for its samples.
    pub fn for_groups(
        max_sequences: usize,
        (groups, samples): (usize, usize),
        (prompt, max_tokens): (usize, usize),
    ) -> Self {
        let sequences = max_sequences.min(groups.saturating_mul(samples)).max(1);
        // one more group can wait, and one be half gone
        let prompts = (sequences.div_ceil(samples.max(1)) + 2).min(groups.max(1));
        // a completion begins within a page and ends within another
        let own = pages_for(max_tokens) + 1;
        Self {
            max_sequences: sequences,
            kv_pages: prompts * pages_for(prompt) + sequences * own,
            prefill_chunk: 1024,
        }
    }

    /// Recurrent states that hybrid models need: one a sequence, and one for a prompt whose samples still wait;
    /// [`KvCache::bytes_per_state`] gives their size.
    pub fn states(&self) -> usize {
        self.max_sequences + 1
    }

    fn check(&self) -> Result<(), RolloutError> {
        let positive = |field, value: usize| match value {
            0 => Err(RolloutError::Setting {
                field,
                value: "0".into(),
                remedy: "it must be at least 1".into(),
            }),
            _ => Ok(()),
        };
        positive("max_sequences", self.max_sequences)?;
        positive("kv_pages", self.kv_pages)?;
        positive("prefill_chunk", self.prefill_chunk)?;
        if u32::try_from(self.kv_pages).is_err() {
            return Err(RolloutError::Setting {
                field: "kv_pages",
                value: self.kv_pages.to_string(),
                remedy: format!("it must be below {}", 1u64 << 32),
            });
        }
        Ok(())
    }
}

/// What a call of [`Sampler::generate`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Prompt tokens run through the model: each prompt once.
    pub prefill_tokens: u64,
    /// Tokens drawn, each completion's first included.
    pub generated_tokens: u64,
    /// Forward passes.
    pub steps: u64,
    /// Sequences in the batch as a share of `max_sequences`, mean over steps; prompts being prefilled count.
    pub occupancy: f64,
    /// Most cache pages held at one time.
    pub peak_pages: usize,
    /// Seconds from call to return.
    pub seconds: f64,
}

/// A cache, its accounts and scratch memory, used by one [`generate`](Self::generate) at a time.
pub struct Sampler {
    config: SamplerConfig,
    model_config: ModelConfig,
    cache: KvCache,
    pool: PagePool,
    /// Scratch for drawing, one per parallel part of a step's draws.
    tails: Vec<Tail>,
    /// `[wanted rows, vocab]` of the last step.
    logits: Vec<f32>,
}

impl Sampler {
    /// A sampler for models of one shape; takes `config.kv_pages` pages of memory.
    ///
    /// # Errors
    /// [`RolloutError::Setting`] when a size is zero or the pages are too many to number.
    pub fn new(model_config: &ModelConfig, config: SamplerConfig) -> Result<Self, RolloutError> {
        config.check()?;
        Ok(Self {
            config,
            model_config: model_config.clone(),
            cache: KvCache::new(model_config, config.kv_pages, config.states()),
            pool: PagePool::new(config.kv_pages, config.states()),
            tails: (0..4 * rayon::current_num_threads()).map(|_| Tail::default()).collect(),
            logits: Vec::new(),
        })
    }

    /// The accounts of the cache's pages; all of them are free between calls.
    pub fn pages(&self) -> &PagePool {
        &self.pool
    }

    /// Draws every sample of every request and gives each to `on_finish` as it ends, in no set order, while others
    /// still run. `key` says which random numbers this call draws.
    ///
    /// The same requests, parameters and key give the same ids and log-probabilities to the bit, whatever the
    /// [`SamplerConfig`], the order of requests and the number of threads.
    ///
    /// When `on_finish` breaks, everything that has not ended is given to it as [`Finish::Cancelled`] with the ids it
    /// has, and the call returns: each sample asked for is given out exactly once. Blocks the calling thread; works
    /// in rayon's pool.
    ///
    /// # Errors
    /// Before anything runs: parameters out of range, a request that repeats another, is empty, holds ids outside the
    /// vocabulary, leaves no room in the context or could never fit the cache. Later: the model's own errors, and
    /// logits that are not finite. All pages are free again after an error too.
    ///
    /// # Example
    /// ```
    /// use std::ops::ControlFlow;
    /// use rlvr_model::{Model, ModelConfig};
    /// use rlvr_rollouts::{NoStopRule, Request, RngKey, Sampler, SamplerConfig, SamplingParams};
    ///
    /// let fields = serde_json::json!({
    ///     "vocab_size": 32, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
    ///     "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
    ///     "tie_word_embeddings": true,
    /// });
    /// let config = ModelConfig::from_json(fields.as_object().unwrap())?;
    /// let model = Model::random(config, 1)?;
    /// let mut sampler = Sampler::new(&model.config, SamplerConfig::for_sequences(8, 64))?;
    /// let group = Request { prompt: 0, attempt: 0, ids: [5, 6, 7].into(), samples: 4 };
    /// let params = SamplingParams { max_tokens: 10, ..SamplingParams::default() };
    /// let key = RngKey { seed: 1, stage: 0, step: 0 };
    /// let mut rollouts = Vec::new();
    /// let stats = sampler.generate(&model, &[group], &params, key, &NoStopRule, &mut |rollout| {
    ///     rollouts.push(rollout);
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!((rollouts.len(), stats.prefill_tokens, stats.generated_tokens), (4, 3, 40));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn generate(
        &mut self,
        model: &Model,
        requests: &[Request],
        params: &SamplingParams,
        key: RngKey,
        stop: &dyn StopRule,
        on_finish: &mut dyn FnMut(Rollout) -> ControlFlow<()>,
    ) -> Result<Stats, RolloutError> {
        let start = Instant::now();
        let limits = Limits {
            max_sequences: self.config.max_sequences,
            prefill_chunk: self.config.prefill_chunk,
            context: self.model_config.max_position_embeddings,
            max_tokens: params.max_tokens,
        };
        self.check(model, requests, params, &limits, key)?;
        self.pool.reset_peak();
        let mut stats = Stats::default();
        let mut scheduler = Scheduler::new(requests, limits, &mut self.pool);
        let mut joined = 0;
        while scheduler.plan() {
            for copy in scheduler.take_copies() {
                if let Some(page) = copy.page {
                    self.cache.copy_page(page.from, page.to);
                }
                self.cache.copy_state(copy.state.from, copy.state.to);
            }
            joined += scheduler.running();
            let step = scheduler.step();
            stats.steps += 1;
            stats.prefill_tokens += step.prefill as u64;
            model
                .forward_cached(&step.rows, &step.wanted, &mut self.cache, &mut self.logits)
                .map_err(ModelError::from)?;
            let drawings = scheduler.drawings();
            stats.generated_tokens += drawings.len() as u64;
            draw_all(
                drawings,
                &self.logits,
                self.model_config.vocab_size,
                &mut self.tails,
                params,
                key,
                stop,
            )?;
            let mut stopped = false;
            for rollout in scheduler.settle() {
                stopped |= on_finish(rollout).is_break();
            }
            if stopped {
                for rollout in scheduler.cancel() {
                    let _ = on_finish(rollout);
                }
            }
        }
        stats.peak_pages = scheduler.pool().peak();
        stats.occupancy = joined as f64 / (stats.steps.max(1) as f64 * limits.max_sequences as f64);
        stats.seconds = start.elapsed().as_secs_f64();
        Ok(stats)
    }

    fn check(
        &self,
        model: &Model,
        requests: &[Request],
        params: &SamplingParams,
        limits: &Limits,
        key: RngKey,
    ) -> Result<(), RolloutError> {
        if model.config != self.model_config {
            return Err(RolloutError::Setting {
                field: "model",
                value: "of another shape than the sampler's cache".into(),
                remedy: "make a sampler from this model's config".into(),
            });
        }
        params.check(self.model_config.vocab_size)?;
        let mut seen = HashSet::new();
        for request in requests {
            let Request { prompt, attempt, ids, samples } = request;
            let (prompt, attempt, tokens) = (*prompt, *attempt, ids.len());
            let wrong = |problem: String| Err(RolloutError::Request { prompt, attempt, problem });
            if ids.is_empty() {
                return wrong(
                    "the prompt has no tokens; begin it with at least one, such as the BOS id".into(),
                );
            }
            if *samples == 0 {
                return wrong("0 samples; ask for at least 1".into());
            }
            if !seen.insert((prompt, attempt)) {
                return wrong(
                    "asked for twice, which would draw the same samples twice; count attempt up".into(),
                );
            }
            let vocab = self.model_config.vocab_size;
            if let Some(at) = ids.iter().position(|id| *id as usize >= vocab) {
                return wrong(format!("id {} at {at}, but the model's ids end at {}", ids[at], vocab - 1));
            }
            if tokens >= limits.context {
                return Err(RolloutError::PromptTooLong { prompt, tokens, context: limits.context });
            }
            let (needed, pages) = (limits.pages_to_start(tokens, *samples), self.pool.total());
            if needed > pages {
                let max_tokens = limits.longest(tokens);
                return Err(RolloutError::DoesNotFit { prompt, tokens, max_tokens, needed, pages });
            }
            let position = u32::try_from(limits.longest(tokens) - 1).unwrap_or(u32::MAX);
            key.check()
                .and_then(|()| Draw { prompt, sample: samples - 1, attempt, position }.check())
                .map_err(|source| RolloutError::Address { prompt, attempt, source })?;
        }
        Ok(())
    }
}

/// Makes a step's draws in parallel: each sample gets its token and learns whether that ended it.
fn draw_all(
    mut drawings: Vec<Drawing<'_>>,
    logits: &[f32],
    vocab: usize,
    tails: &mut [Tail],
    params: &SamplingParams,
    key: RngKey,
    stop: &dyn StopRule,
) -> Result<(), RolloutError> {
    let part = drawings.len().div_ceil(tails.len()).max(1);
    drawings.par_chunks_mut(part).zip(tails).try_for_each(|(part, tail)| {
        for Drawing { row, draw, longest, sample } in part {
            let logits = &logits[*row * vocab..(*row + 1) * vocab];
            let drawn = tail.draw(logits, params, key.uniform(*draw)).ok_or(RolloutError::NotFinite {
                prompt: draw.prompt,
                sample: draw.sample,
                position: sample.ids.len(),
            })?;
            sample.ids.push(drawn.id);
            sample.logprobs.push(drawn.logprob);
            sample.finish = finish(&sample.ids, drawn.id, *longest, params, stop);
        }
        Ok(())
    })
}

/// Whether a completion whose newest id is `last` has ended, and why.
fn finish(
    ids: &[u32],
    last: u32,
    longest: usize,
    params: &SamplingParams,
    stop: &dyn StopRule,
) -> Option<Finish> {
    if !params.ignore_stop {
        if params.stop_ids.contains(&last) {
            return Some(Finish::Stop);
        }
        if stop.stops(ids) {
            return Some(Finish::StopString);
        }
    }
    (ids.len() >= longest).then_some(Finish::Length)
}
