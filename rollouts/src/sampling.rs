//! The tail of a decoding step: from a row of logits and one uniform number to a token and its log-probability.
//!
//! The order is that of transformers' `generate`: suppressed ids, temperature, top-k, top-p, min-p, each on what the
//! one before left, renormalised. Ranks are by logit, ties by the lower id, so a set of survivors is always the same
//! one and top-k keeps exactly k. The token is found by inverting the cumulative distribution at the uniform number;
//! a token of probability zero is never drawn.

use rlvr_model::kernels::softmax::{exp_shifted, log_sum_exp};
use rlvr_model::logprobs::scale;

use crate::error::RolloutError;

/// How tokens are drawn and when a completion ends.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingParams {
    /// Divides the logits; 0 means greedy: the most likely token, whatever the truncation.
    pub temperature: f32,
    /// Keep the k most likely tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the most likely tokens up to the one with which their probabilities reach this, in `(0, 1]`.
    pub top_p: f32,
    /// Drop tokens less likely than this share of the most likely one, in `[0, 1]`.
    pub min_p: f32,
    /// Longest completion, in tokens; the model's context may end it sooner.
    pub max_tokens: usize,
    /// Ids that end a completion. They are part of it.
    pub stop_ids: Vec<u32>,
    /// Go on through stop ids and stop strings to `max_tokens`, as benchmarks of a fixed length do.
    pub ignore_stop: bool,
    /// Ids that cannot be drawn: their logits are minus infinity before anything else, so log-probabilities are those
    /// of a softmax without them.
    pub suppress_ids: Vec<u32>,
}

impl Default for SamplingParams {
    /// The model's own distribution, at most 256 tokens, no stop ids.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            max_tokens: 256,
            stop_ids: Vec::new(),
            ignore_stop: false,
            suppress_ids: Vec::new(),
        }
    }
}

impl SamplingParams {
    /// Checks every field against its range, given the model's vocabulary size.
    ///
    /// # Errors
    /// [`RolloutError::Setting`] names the first field that is out of range.
    pub fn check(&self, vocab: usize) -> Result<(), RolloutError> {
        let wrong = |field, value: String, remedy: &str| {
            Err(RolloutError::Setting { field, value, remedy: remedy.to_owned() })
        };
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return wrong(
                "temperature",
                self.temperature.to_string(),
                "it must be a finite number, 0 (greedy) or more",
            );
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong("top_p", self.top_p.to_string(), "it must be above 0 and at most 1 (off)");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return wrong("min_p", self.min_p.to_string(), "it must be between 0 (off) and 1");
        }
        if self.max_tokens == 0 {
            return wrong("max_tokens", "0".to_owned(), "a completion has at least 1 token");
        }
        if let Some(id) = self.stop_ids.iter().find(|id| **id as usize >= vocab) {
            return wrong(
                "stop_ids",
                id.to_string(),
                &format!("the model's ids end at {}", vocab.saturating_sub(1)),
            );
        }
        let mut suppressed = self.suppress_ids.clone();
        suppressed.sort_unstable();
        suppressed.dedup();
        if let Some(id) = suppressed.last().filter(|id| **id as usize >= vocab) {
            return wrong(
                "suppress_ids",
                id.to_string(),
                &format!("the model's ids end at {}", vocab.saturating_sub(1)),
            );
        }
        if suppressed.len() >= vocab {
            return wrong("suppress_ids", format!("all {vocab} ids"), "leave at least one to draw");
        }
        Ok(())
    }

    fn truncates(&self) -> bool {
        self.top_k > 0 || self.top_p < 1.0 || self.min_p > 0.0
    }
}

/// A token drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawn {
    /// Its id.
    pub id: u32,
    /// Its log-probability (nats) under `softmax(logits / temperature)` before truncation, or under `softmax(logits)`
    /// at temperature 0.
    pub logprob: f32,
}

/// A token that may survive truncation.
#[derive(Clone, Copy)]
struct Candidate {
    logit: f32,
    id: u32,
}

/// Draws tokens from rows of logits; keeps its scratch memory between draws, so one per thread is enough.
///
/// ```
/// use rlvr_rollouts::{SamplingParams, Tail};
/// let params = SamplingParams { top_k: 2, ..SamplingParams::default() };
/// let logits = [0.0, 2.0, 1.0, -1.0];
/// let mut tail = Tail::default();
/// // Ids 1 and 2 survive, with probabilities 0.73 and 0.27, most likely first.
/// assert_eq!(tail.draw(&logits, &params, 0.7).unwrap().id, 1);
/// assert_eq!(tail.draw(&logits, &params, 0.8).unwrap().id, 2);
/// ```
#[derive(Default)]
pub struct Tail {
    /// Scaled logits, then probabilities before truncation; `[vocab]`.
    weights: Vec<f32>,
    candidates: Vec<Candidate>,
}

impl Tail {
    /// Draws from `logits` (`[vocab]`) with `uniform` in `[0, 1)`. `params` are taken as checked.
    ///
    /// `None` when the softmax of `logits / temperature` is not finite: the model has diverged.
    pub fn draw(&mut self, logits: &[f32], params: &SamplingParams, uniform: f64) -> Option<Drawn> {
        // The same products in the same order as the trainer's, so that both give the same log-probability.
        let factor = if params.temperature == 0.0 { 1.0 } else { 1.0 / params.temperature };
        self.weights.clear();
        self.weights.extend_from_slice(logits);
        scale(&mut self.weights, factor);
        for id in &params.suppress_ids {
            self.weights[*id as usize] = f32::NEG_INFINITY;
        }
        let lse = log_sum_exp(&self.weights);
        if !lse.is_finite() {
            return None;
        }
        let id = if params.temperature == 0.0 {
            most_likely(&self.weights)
        } else if params.truncates() {
            self.fill_candidates();
            exp_shifted(&mut self.weights, lse);
            self.truncate(params);
            self.invert_candidates(uniform)
        } else {
            exp_shifted(&mut self.weights, lse);
            invert(&self.weights, uniform)
        };
        let logprob = logits[id as usize] * factor - lse;
        logprob.is_finite().then_some(Drawn { id, logprob })
    }

    /// Every token that is not suppressed, with its scaled logit.
    fn fill_candidates(&mut self) {
        self.candidates.clear();
        let finite = (0u32..).zip(&self.weights).filter(|(_, logit)| **logit > f32::NEG_INFINITY);
        self.candidates.extend(finite.map(|(id, logit)| Candidate { logit: *logit, id }));
    }

    /// Leaves the survivors of top-k, top-p and min-p in `candidates`; `weights` are probabilities by now.
    fn truncate(&mut self, params: &SamplingParams) {
        let Self { weights, candidates } = self;
        let weight = |c: &Candidate| f64::from(weights[c.id as usize]);
        let mut ranked = 0;
        if params.top_k > 0 && params.top_k < candidates.len() {
            rank(candidates, 0, params.top_k);
            candidates.truncate(params.top_k);
            ranked = params.top_k;
        }
        if params.top_p < 1.0 {
            let enough = f64::from(params.top_p) * candidates.iter().map(weight).sum::<f64>();
            let (mut kept, mut mass) = (0, 0.0);
            while kept < candidates.len() && mass < enough {
                if kept == ranked {
                    // Ranked in growing pieces: a peaked distribution is never sorted to its end.
                    let piece = ranked.max(64).min(candidates.len() - ranked);
                    rank(candidates, ranked, piece);
                    ranked += piece;
                }
                mass += weight(&candidates[kept]);
                kept += 1;
            }
            candidates.truncate(kept);
        }
        if params.min_p > 0.0 {
            let floor = f64::from(params.min_p) * candidates.iter().map(weight).fold(0.0, f64::max);
            candidates.retain(|c| weight(c) >= floor);
        }
    }

    /// The candidate at which their cumulative weight passes the share `uniform` of the total.
    fn invert_candidates(&self, uniform: f64) -> u32 {
        let weight = |c: &Candidate| f64::from(self.weights[c.id as usize]);
        let target = share(uniform, self.candidates.iter().map(weight).sum());
        let mut passed = 0.0;
        let mut last = 0;
        for candidate in self.candidates.iter().filter(|c| weight(c) > 0.0) {
            passed += weight(candidate);
            last = candidate.id;
            if passed > target {
                break;
            }
        }
        last
    }
}

/// The id of the largest logit, the lowest such id.
fn most_likely(logits: &[f32]) -> u32 {
    let mut best = Candidate { logit: f32::NEG_INFINITY, id: 0 };
    for (id, logit) in (0u32..).zip(logits) {
        if *logit > best.logit {
            best = Candidate { logit: *logit, id };
        }
    }
    best.id
}

/// Puts the `count` highest of `candidates[from..]` at `from`, in order of rank.
fn rank(candidates: &mut [Candidate], from: usize, count: usize) {
    let order = |a: &Candidate, b: &Candidate| b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id));
    let rest = &mut candidates[from..];
    if count < rest.len() {
        rest.select_nth_unstable_by(count, order);
    }
    rest[..count].sort_unstable_by(order);
}

/// The first id at which the cumulative weight passes the share `uniform` of the total, in the order of ids.
///
/// Weights are summed in blocks first, so that the search adds up single weights within one block only.
fn invert(weights: &[f32], uniform: f64) -> u32 {
    const BLOCK: usize = 128;
    let total: f64 = weights.chunks(BLOCK).map(block_sum).sum();
    let target = share(uniform, total);
    let mut passed = 0.0;
    let mut last = 0;
    for (block, first) in weights.chunks(BLOCK).zip((0u32..).step_by(BLOCK)) {
        let sum = block_sum(block);
        if passed + sum <= target {
            passed += sum;
            continue;
        }
        for (id, weight) in (first..).zip(block).filter(|(_, weight)| **weight > 0.0) {
            passed += f64::from(*weight);
            last = id;
            if passed > target {
                return id;
            }
        }
        // The block's sum, rounded otherwise than its parts, passed the target by a hair: its last token it is.
        return last;
    }
    last
}

/// `uniform` of `total`, kept below it when the product rounds up.
fn share(uniform: f64, total: f64) -> f64 {
    (uniform * total).min(total.next_down())
}

/// Sum of up to 128 weights, in 16 lanes that the compiler keeps in registers.
fn block_sum(block: &[f32]) -> f64 {
    let (lanes, rest) = block.as_chunks::<16>();
    let mut sums = [0f32; 16];
    for lane in lanes {
        for (sum, weight) in sums.iter_mut().zip(lane) {
            *sum += weight;
        }
    }
    sums.iter().chain(rest).map(|x| f64::from(*x)).sum()
}
