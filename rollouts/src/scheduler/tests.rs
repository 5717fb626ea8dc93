//! The scheduler against a memory that remembers which token was written where: every row must find its own
//! sequence, whole, in the pages it is given. Tokens name their owner, so the expectation needs no bookkeeping.

use std::collections::{HashMap, HashSet};

use rlvr_model::PAGE;

use super::*;
use crate::philox::RngKey;

fn prompt_token(prompt: u64, position: usize) -> u32 {
    1 << 31 | (prompt as u32) << 20 | position as u32
}

fn drawn_token(prompt: u64, sample: u32, index: u32) -> u32 {
    (prompt as u32) << 20 | sample << 12 | index
}

fn request(prompt: u64, tokens: usize, samples: u32) -> Request {
    let ids: Vec<u32> = (0..tokens).map(|p| prompt_token(prompt, p)).collect();
    Request { prompt, attempt: 0, ids: ids.into(), samples }
}

fn limits(max_sequences: usize, prefill_chunk: usize, max_tokens: usize) -> Limits {
    Limits { max_sequences, prefill_chunk, context: 4096, max_tokens }
}

/// What the cache would hold.
#[derive(Default)]
struct Memory {
    /// The token and position last written to each slot of each page.
    slots: HashMap<(u32, usize), (u32, usize)>,
    /// The tokens that each recurrent state has seen.
    states: HashMap<u32, Vec<u32>>,
}

impl Memory {
    fn copy(&mut self, copies: ForkCopies) {
        for (copy, slot) in copies.page.into_iter().flat_map(|copy| (0..PAGE).map(move |slot| (copy, slot))) {
            match self.slots.get(&(copy.from, slot)).copied() {
                Some(entry) => self.slots.insert((copy.to, slot), entry),
                None => self.slots.remove(&(copy.to, slot)),
            };
        }
        let seen = self.states[&copies.state.from].clone();
        self.states.insert(copies.state.to, seen);
    }

    /// Writes the step's rows and reads back, for each, its whole sequence.
    fn run(&mut self, step: &Step<'_>, lengths: &HashMap<u64, usize>) {
        let mut written = HashSet::new();
        for row in &step.rows {
            let position = row.position as usize;
            let slot = (row.pages[position / PAGE], position % PAGE);
            assert!(written.insert(slot), "two rows write the same slot");
            self.slots.insert(slot, (row.token, position));
            let state = self.states.entry(row.state).or_default();
            if position == 0 {
                state.clear();
            }
            state.push(row.token);
            let prompt = u64::from(row.token >> 20 & 0x7ff);
            let sample = row.token >> 12 & 0xff;
            let length = lengths[&prompt];
            for p in 0..=position {
                let expected = if p < length {
                    prompt_token(prompt, p)
                } else {
                    drawn_token(prompt, sample, (p - length) as u32)
                };
                assert_eq!(
                    self.slots.get(&(row.pages[p / PAGE], p % PAGE)),
                    Some(&(expected, p)),
                    "prompt {prompt}"
                );
                assert_eq!(self.states[&row.state].get(p), Some(&expected), "state of prompt {prompt}");
            }
            assert_eq!(self.states[&row.state].len(), position + 1, "state of prompt {prompt}");
        }
    }
}

/// One step as seen from outside.
#[derive(Debug, Default, Clone)]
struct Seen {
    running: usize,
    in_use: usize,
    prefill: usize,
    decode: usize,
    ended: Vec<(u64, u32)>,
}

/// Runs everything; a completion ends after `length` tokens or at the limit.
fn run(
    requests: &[Request],
    limits: Limits,
    pool: &mut PagePool,
    length: impl Fn(u64, u32) -> usize,
) -> (Vec<Rollout>, Vec<Seen>) {
    let lengths = requests.iter().map(|r| (r.prompt, r.ids.len())).collect();
    let (mut memory, mut rollouts, mut seen) = (Memory::default(), Vec::new(), Vec::new());
    let mut scheduler = Scheduler::new(requests, limits, pool);
    while scheduler.plan() {
        scheduler.take_copies().into_iter().for_each(|copy| memory.copy(copy));
        let (running, in_use) = (scheduler.running(), scheduler.pool().in_use());
        let step = scheduler.step();
        assert!(!step.rows.is_empty(), "a step without work");
        memory.run(&step, &lengths);
        let (prefill, decode) = (step.prefill, step.rows.len() - step.prefill);
        let wanted = step.wanted.len();
        for drawing in scheduler.drawings() {
            assert!(drawing.row < wanted);
            let Draw { prompt, sample, position, .. } = drawing.draw;
            drawing.sample.ids.push(drawn_token(prompt, sample, position));
            drawing.sample.logprobs.push(0.0);
            if drawing.sample.ids.len() >= length(prompt, sample) {
                drawing.sample.finish = Some(Finish::Stop);
            } else if drawing.sample.ids.len() >= drawing.longest {
                drawing.sample.finish = Some(Finish::Length);
            }
        }
        let ended = scheduler.settle();
        seen.push(Seen {
            running,
            in_use,
            prefill,
            decode,
            ended: ended.iter().map(|r| (r.prompt, r.sample)).collect(),
        });
        rollouts.extend(ended);
    }
    (rollouts, seen)
}

#[test]
fn the_samples_of_a_group_hold_one_copy_of_the_prompts_full_pages() {
    let mut pool = PagePool::new(64, 10);
    let prompt = 3 * PAGE + 5;
    let (rollouts, seen) = run(&[request(0, prompt, 8)], limits(8, 4096, 20), &mut pool, |_, _| 99);
    assert_eq!(rollouts.len(), 8);
    // 5 + 19 written tokens past the full pages are two pages a sample.
    assert!(seen.iter().all(|s| s.in_use == 3 + 8 * 2), "{seen:?}");
    assert_eq!((pool.peak(), pool.in_use()), (3 + 8 * 2, 0));
}

#[test]
fn the_last_sample_writes_on_in_the_prompts_own_page() {
    let mut pool = PagePool::new(3, 10);
    // One page of prompt, not full; three samples need three pages, not four.
    let (rollouts, _) = run(&[request(0, PAGE - 4, 3)], limits(8, 4096, 5), &mut pool, |_, _| 99);
    assert_eq!((rollouts.len(), pool.peak(), pool.in_use()), (3, 3, 0));
}

#[test]
fn a_prompt_runs_once_in_chunks_beside_the_decode_rows_of_others() {
    let mut pool = PagePool::new(64, 10);
    let requests = [request(0, 10, 4), request(1, 45, 4)];
    let (_, seen) = run(&requests, limits(8, 20, 12), &mut pool, |_, _| 99);
    let chunks: Vec<usize> = seen.iter().map(|s| s.prefill).take_while(|n| *n > 0).collect();
    assert_eq!(chunks, [20, 20, 15]);
    assert_eq!(seen[1].decode, 4, "the first group decodes while the second prompt is still read");
    assert_eq!(seen.iter().map(|s| s.prefill).sum::<usize>(), 55);
}

#[test]
fn sequences_join_and_leave_while_others_run() {
    let mut pool = PagePool::new(64, 10);
    let requests: Vec<Request> = (0..3).map(|p| request(p, 7, 3)).collect();
    let (rollouts, seen) =
        run(&requests, limits(4, 64, 30), &mut pool, |p, s| 3 + 5 * s as usize + p as usize);
    assert_eq!(rollouts.len(), 9);
    assert!(seen.iter().all(|s| s.running <= 4));
    let left_early = seen.iter().filter(|s| !s.ended.is_empty() && s.running > s.ended.len()).count();
    assert!(left_early >= 3, "completions leave a batch that goes on: {seen:?}");
    assert!(
        seen.windows(2).any(|w| !w[0].ended.is_empty() && w[1].running == w[0].running),
        "their places are taken"
    );
    for rollout in &rollouts {
        let expected: Vec<u32> = (0..3 + 5 * rollout.sample + rollout.prompt as u32)
            .map(|i| drawn_token(rollout.prompt, rollout.sample, i))
            .collect();
        assert_eq!(rollout.ids, expected);
    }
}

#[test]
fn a_completion_that_ends_with_its_first_token_takes_no_place() {
    let mut pool = PagePool::new(2, 10);
    // Room for one running sample at a time, yet all end in the one step that reads the prompt.
    let (rollouts, seen) = run(&[request(0, PAGE, 5)], limits(1, 64, 8), &mut pool, |_, _| 1);
    assert_eq!((rollouts.len(), seen.len(), pool.in_use()), (5, 1, 0));
}

#[test]
fn samples_that_wait_for_pages_join_with_the_token_they_have() {
    let mut pool = PagePool::new(4, 10);
    let (rollouts, seen) = run(&[request(0, PAGE + 3, 6)], limits(16, 64, 9), &mut pool, |_, _| 99);
    assert_eq!(rollouts.len(), 6);
    assert!(seen[0].running < 6 && seen.iter().map(|s| s.prefill).sum::<usize>() == PAGE + 3);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn groups_enter_in_the_order_asked_for() {
    let mut pool = PagePool::new(12, 10);
    // The second group is too large to fit beside the first, and the small third must not overtake it.
    let requests = [request(0, 40, 2), request(1, 100, 2), request(2, 4, 1)];
    let (rollouts, _) = run(&requests, limits(8, 256, 40), &mut pool, |_, _| 99);
    let order: Vec<u64> = rollouts.iter().map(|r| r.prompt).collect();
    assert_eq!(order, [0, 0, 1, 1, 2]);
}

#[test]
fn cancelling_gives_every_sample_once_and_every_page_back() {
    let requests: Vec<Request> = (0..4).map(|p| request(p, 20, 3)).collect();
    for steps in 0..12 {
        let mut pool = PagePool::new(20, 10);
        let mut scheduler = Scheduler::new(&requests, limits(5, 16, 9), &mut pool);
        let mut rollouts = Vec::new();
        for _ in 0..steps {
            scheduler.plan();
            scheduler.take_copies();
            scheduler.step();
            for drawing in scheduler.drawings() {
                drawing.sample.ids.push(0);
                drawing.sample.logprobs.push(0.0);
                if drawing.sample.ids.len() >= 2 + drawing.sample.index as usize {
                    drawing.sample.finish = Some(Finish::Stop);
                }
            }
            rollouts.extend(scheduler.settle());
        }
        rollouts.extend(scheduler.cancel());
        assert!(!scheduler.plan(), "nothing is left");
        drop(scheduler);
        assert_eq!(pool.in_use(), 0, "after {steps} steps");
        let given: HashSet<(u64, u32)> = rollouts.iter().map(|r| (r.prompt, r.sample)).collect();
        assert_eq!((rollouts.len(), given.len()), (12, 12), "after {steps} steps");
    }
}

#[test]
fn a_scheduler_dropped_midway_gives_every_page_back() {
    let requests = [request(0, 20, 3), request(1, 50, 2)];
    let mut pool = PagePool::new(30, 10);
    let mut scheduler = Scheduler::new(&requests, limits(4, 16, 9), &mut pool);
    scheduler.plan();
    scheduler.step();
    assert!(scheduler.pool().in_use() > 0);
    drop(scheduler);
    assert_eq!(pool.in_use(), 0);
}

/// Hundreds of random workloads in pools that just hold the largest request: all finish, none sees a foreign token,
/// memory stays within the pool and comes back.
#[test]
fn any_workload_that_fits_finishes_within_its_pages() {
    let key = RngKey { seed: 5, stage: 0, step: 0 };
    for case in 0..400 {
        let number = |what: u32, below: usize| {
            let u = key.uniform(Draw { prompt: case, sample: 0, attempt: 0, position: what });
            (u * below as f64) as usize
        };
        let count = 1 + number(0, 7);
        let requests: Vec<Request> = (0..count)
            .map(|p| {
                let what = 10 + 2 * p as u32;
                request(p as u64, 1 + number(what, 70), 1 + number(what + 1, 6) as u32)
            })
            .collect();
        let limits = Limits { context: 80, ..limits(1 + number(1, 9), 1 + number(2, 40), 1 + number(3, 40)) };
        let least = requests.iter().map(|r| limits.pages_to_start(r.ids.len(), r.samples)).max().unwrap_or(0);
        let mut pool = PagePool::new(least + number(4, 8), limits.max_sequences + 1);
        let length = |p: u64, s: u32| 1 + number(100 + 16 * p as u32 + s, 50);
        let (rollouts, seen) = run(&requests, limits, &mut pool, length);
        assert_eq!(rollouts.len(), requests.iter().map(|r| r.samples as usize).sum::<usize>(), "case {case}");
        for rollout in &rollouts {
            let longest = limits.longest(requests[rollout.prompt as usize].ids.len());
            assert_eq!(rollout.ids.len(), length(rollout.prompt, rollout.sample).min(longest), "case {case}");
        }
        assert!(seen.iter().all(|s| s.running <= limits.max_sequences && s.prefill <= limits.prefill_chunk));
        assert_eq!((pool.in_use(), pool.free_states()), (0, limits.max_sequences + 1), "case {case}");
    }
}
