//! Continuous batching: which sequences are in the batch, which rows a step runs, and which pages each may touch.
//!
//! Groups enter in the order they were asked for. A group's prompt runs once, in chunks that share steps with the
//! decode rows of others; then its samples decode side by side, each leaving as it ends and making room for the next.
//! A sample is admitted only when the pages for its longest completion are free, and takes them at once: nothing runs
//! out of memory midway, so nothing has to be preempted. Only the newest group can have samples waiting, so the pages
//! of those that run always come back to it and the batch cannot lock up.
//!
//! Everything here is bookkeeping on ids and page numbers; no model and no logits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rlvr_model::Row;

use crate::pages::{ForkCopies, PagePool, PageTable, pages_for, shared_pages};
use crate::philox::Draw;
use crate::request::{Finish, Request, Rollout};

/// What bounds a batch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most sequences in the batch.
    pub max_sequences: usize,
    /// Most prompt tokens in one step.
    pub prefill_chunk: usize,
    /// Most tokens of a sequence, prompt included.
    pub context: usize,
    /// Most tokens of a completion.
    pub max_tokens: usize,
}

impl Limits {
    /// Longest completion of a prompt of `prompt` tokens, in tokens.
    pub fn longest(&self, prompt: usize) -> usize {
        self.max_tokens.min(self.context.saturating_sub(prompt))
    }

    /// Pages that the prompt and one of `samples` completions need at once. With more samples waiting the prompt's
    /// last page is kept as it is for them, and the completion writes to a copy.
    pub fn pages_to_start(&self, prompt: usize, samples: u32) -> usize {
        let tokens = written(prompt, self.longest(prompt));
        if samples > 1 {
            pages_for(prompt) + pages_for(tokens) - shared_pages(prompt, tokens)
        } else {
            pages_for(tokens)
        }
    }
}

/// Positions whose keys and values a sequence ever writes: its last token is drawn, but never run.
fn written(prompt: usize, longest: usize) -> usize {
    prompt + longest.max(1) - 1
}

/// A completion on its way.
pub(crate) struct Sample {
    /// Index within the group.
    pub index: u32,
    /// Generated so far.
    pub ids: Vec<u32>,
    /// Of `ids`.
    pub logprobs: Vec<f32>,
    /// Set when it has ended; it leaves at the next [`Scheduler::settle`].
    pub finish: Option<Finish>,
    /// Its pages; none before it is admitted.
    table: PageTable,
    /// What to copy once the prompt is computed.
    copy: Option<ForkCopies>,
}

/// What a group does in the current step.
enum Turn {
    /// Nothing that ends in logits.
    Silent,
    /// The prompt's last row gives logits, this one of those wanted: every sample draws its first token from it.
    FirstTokens(usize),
    /// Each running sample has its own logits, from this one of those wanted on.
    Decode(usize),
}

struct Group {
    prompt: u64,
    attempt: u32,
    ids: Arc<[u32]>,
    /// Longest completion, in tokens.
    longest: usize,
    started: Instant,
    /// Prompt tokens whose keys and values are in the cache.
    prefilled: usize,
    /// Prompt tokens that the current step runs.
    chunk: usize,
    /// The prompt's pages, held by `table` or by the sample that took it.
    prompt_pages: Vec<u32>,
    /// And its recurrent state.
    prompt_state: u32,
    /// Kept while samples wait; the last of them takes it and writes on in place.
    table: Option<PageTable>,
    running: Vec<Sample>,
    waiting: VecDeque<Sample>,
    turn: Turn,
}

/// The rows of one forward pass.
pub(crate) struct Step<'s> {
    /// Prompt chunks and decode rows.
    pub rows: Vec<Row<'s>>,
    /// Rows whose logits are drawn from, ascending.
    pub wanted: Vec<usize>,
    /// How many of `rows` are prompt tokens.
    pub prefill: usize,
}

/// A draw to be made: `sample` gets a token from the logits of `row`.
pub(crate) struct Drawing<'s> {
    /// Index among the step's `wanted`.
    pub row: usize,
    /// Where the draw's random number is.
    pub draw: Draw,
    /// Tokens after which the completion ends in any case.
    pub longest: usize,
    /// To be extended, and marked if it ended.
    pub sample: &'s mut Sample,
}

/// The batch. One turn is [`plan`](Self::plan), [`take_copies`](Self::take_copies), [`step`](Self::step) and the
/// forward pass, [`drawings`](Self::drawings), [`settle`](Self::settle). Dropped, it gives every page back.
pub(crate) struct Scheduler<'a> {
    limits: Limits,
    queue: &'a [Request],
    pool: &'a mut PagePool,
    groups: Vec<Group>,
    /// In the order in which they must be made. Only they and forward passes write to pages, so listing a copy as soon
    /// as its source is complete keeps it right even when the source page is given away before the copy is made.
    copies: Vec<ForkCopies>,
}

impl<'a> Scheduler<'a> {
    /// Over requests that fit `limits` and `pool` ([`Limits::pages_to_start`]).
    pub fn new(queue: &'a [Request], limits: Limits, pool: &'a mut PagePool) -> Self {
        Self { limits, queue, pool, groups: Vec::new(), copies: Vec::new() }
    }

    /// Sequences in the batch.
    pub fn running(&self) -> usize {
        self.groups.iter().map(|g| g.running.len()).sum()
    }

    /// The pages, for accounting.
    pub fn pool(&self) -> &PagePool {
        self.pool
    }

    /// Lets sequences join and shares out the next step; `false` when nothing is left to do.
    pub fn plan(&mut self) -> bool {
        self.admit();
        let mut budget = self.limits.prefill_chunk;
        for group in &mut self.groups {
            group.chunk = budget.min(group.ids.len() - group.prefilled);
            budget -= group.chunk;
        }
        !self.groups.is_empty()
    }

    fn admit(&mut self) {
        let mut room = self.limits.max_sequences - self.running();
        while room > 0 {
            if let Some(group) = self.groups.last_mut().filter(|g| !g.waiting.is_empty()) {
                if !group.admit_next(self.pool, &mut self.copies) {
                    return;
                }
                room -= 1;
            } else {
                let Some((request, rest)) = self.queue.split_first() else { return };
                if self.pool.free() < self.limits.pages_to_start(request.ids.len(), request.samples) {
                    return;
                }
                let Some(table) = self.pool.allocate(pages_for(request.ids.len())) else { return };
                self.groups.push(Group::new(request, self.limits.longest(request.ids.len()), table));
                self.queue = rest;
            }
        }
    }

    /// Copies to be made before the next forward pass, in this order.
    pub fn take_copies(&mut self) -> Vec<ForkCopies> {
        std::mem::take(&mut self.copies)
    }

    /// The rows of the step that was planned.
    pub fn step(&mut self) -> Step<'_> {
        let mut step = Step { rows: Vec::new(), wanted: Vec::new(), prefill: 0 };
        for group in &mut self.groups {
            step.prefill += group.chunk;
            group.add_rows(&mut step);
        }
        step
    }

    /// The draws that follow the step's forward pass.
    pub fn drawings(&mut self) -> Vec<Drawing<'_>> {
        let mut drawings = Vec::new();
        for group in &mut self.groups {
            let Group { prompt, attempt, longest, running, waiting, turn, .. } = group;
            let drawing = |(row, sample): (usize, _)| Drawing::new(row, *prompt, *attempt, *longest, sample);
            match turn {
                Turn::Silent => {}
                Turn::FirstTokens(row) => {
                    drawings.extend(running.iter_mut().chain(waiting).map(|sample| drawing((*row, sample))));
                }
                Turn::Decode(first) => drawings.extend((*first..).zip(running).map(drawing)),
            }
        }
        drawings
    }

    /// Closes the step after its draws: completions that ended leave, with their pages free.
    pub fn settle(&mut self) -> Vec<Rollout> {
        let mut ended = Vec::new();
        for group in &mut self.groups {
            group.prefilled += group.chunk;
            group.chunk = 0;
            if group.prefilled == group.ids.len() {
                let alive = group.running.iter_mut().filter(|s| s.finish.is_none());
                self.copies.extend(alive.filter_map(|s| s.copy.take()));
            }
            let mut leaving: Vec<Sample> = group.running.extract_if(.., |s| s.finish.is_some()).collect();
            if let Turn::FirstTokens(_) = group.turn {
                let (gone, staying): (VecDeque<_>, _) =
                    group.waiting.drain(..).partition(|s| s.finish.is_some());
                leaving.extend(gone);
                group.waiting = staying;
            }
            for sample in leaving {
                ended.push(group.leave(sample, self.pool));
            }
            if group.waiting.is_empty()
                && let Some(table) = group.table.take()
            {
                self.pool.release(table);
            }
        }
        self.groups.retain(|g| !(g.running.is_empty() && g.waiting.is_empty()));
        ended
    }

    /// Ends everything that has not ended: samples in the batch, waiting and not yet begun, in the order asked for.
    pub fn cancel(&mut self) -> Vec<Rollout> {
        let mut ended = Vec::new();
        for mut group in self.groups.drain(..) {
            let mut samples: Vec<Sample> = group.running.drain(..).chain(group.waiting.drain(..)).collect();
            samples.sort_by_key(|s| s.index);
            ended.extend(samples.into_iter().map(|s| group.leave(s, self.pool)));
            if let Some(table) = group.table.take() {
                self.pool.release(table);
            }
        }
        for request in std::mem::take(&mut self.queue) {
            ended.extend((0..request.samples).map(|sample| Rollout {
                prompt: request.prompt,
                sample,
                attempt: request.attempt,
                ids: Vec::new(),
                logprobs: Vec::new(),
                finish: Finish::Cancelled,
                sampled_s: 0.0,
            }));
        }
        self.copies.clear();
        ended
    }
}

impl Drop for Scheduler<'_> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<'s> Drawing<'s> {
    fn new(row: usize, prompt: u64, attempt: u32, longest: usize, sample: &'s mut Sample) -> Self {
        let draw = Draw { prompt, sample: sample.index, attempt, position: sample.ids.len() as u32 };
        Self { row, draw, longest, sample }
    }
}

impl Group {
    fn new(request: &Request, longest: usize, table: PageTable) -> Self {
        let sample = |index| Sample {
            index,
            ids: Vec::new(),
            logprobs: Vec::new(),
            finish: None,
            table: PageTable::default(),
            copy: None,
        };
        Self {
            prompt: request.prompt,
            attempt: request.attempt,
            ids: Arc::clone(&request.ids),
            longest,
            started: Instant::now(),
            prefilled: 0,
            chunk: 0,
            prompt_pages: table.ids().to_vec(),
            prompt_state: table.state(),
            table: Some(table),
            running: Vec::new(),
            waiting: (0..request.samples).map(sample).collect(),
            turn: Turn::Silent,
        }
    }

    /// Gives the next waiting sample its pages and lets it join; `false`, with nothing changed, if they are not free.
    fn admit_next(&mut self, pool: &mut PagePool, copies: &mut Vec<ForkCopies>) -> bool {
        let prompt = self.ids.len();
        let tokens = written(prompt, self.longest);
        let (table, copy) = if self.waiting.len() > 1 {
            let Some(prefix) = &self.table else { return false };
            let Some((table, copies)) = pool.fork(prefix, prompt, tokens) else { return false };
            (table, Some(copies))
        } else {
            let Some(mut table) = self.table.take() else { return false };
            if !pool.grow(&mut table, pages_for(tokens) - pages_for(prompt)) {
                self.table = Some(table);
                return false;
            }
            (table, None)
        };
        let Some(sample) = self.waiting.pop_front() else { return false };
        let mut sample = Sample { table, copy, ..sample };
        if self.prefilled == prompt {
            copies.extend(sample.copy.take());
        }
        self.running.push(sample);
        true
    }

    /// Adds this group's rows of the planned step and notes which logits are whose.
    fn add_rows<'s>(&'s mut self, step: &mut Step<'s>) {
        let prompt = self.ids.len();
        self.turn = Turn::Silent;
        if self.prefilled < prompt {
            let end = self.prefilled + self.chunk;
            for position in self.prefilled..end {
                let pages = &self.prompt_pages[..pages_for(position + 1)];
                let (token, position) = (self.ids[position], position as u32);
                step.rows.push(Row { token, position, pages, state: self.prompt_state });
            }
            if end == prompt && self.chunk > 0 {
                self.turn = Turn::FirstTokens(step.wanted.len());
                step.wanted.push(step.rows.len() - 1);
            }
            return;
        }
        self.turn = Turn::Decode(step.wanted.len());
        for sample in &self.running {
            // A sample that joins after its prompt has its first token already.
            let token = sample.ids[sample.ids.len() - 1];
            let position = prompt + sample.ids.len() - 1;
            step.wanted.push(step.rows.len());
            let pages = &sample.table.ids()[..pages_for(position + 1)];
            step.rows.push(Row { token, position: position as u32, pages, state: sample.table.state() });
        }
    }

    fn leave(&self, sample: Sample, pool: &mut PagePool) -> Rollout {
        pool.release(sample.table);
        Rollout {
            prompt: self.prompt,
            sample: sample.index,
            attempt: self.attempt,
            ids: sample.ids,
            logprobs: sample.logprobs,
            finish: sample.finish.unwrap_or(Finish::Cancelled),
            sampled_s: self.started.elapsed().as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests;
