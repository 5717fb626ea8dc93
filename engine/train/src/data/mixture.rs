//! A mixture of sources: which document comes next, so that each domain has its share of the tokens.
//!
//! The next document is drawn from the entry that is furthest behind: the least tokens drawn per share. So shares hold
//! to within a document at any moment, and an entry whose budget is spent leaves the others in proportion. Each epoch
//! of a source is a shuffle of its own, keyed instead of held, so that the whole state is a few numbers an entry and a
//! run goes on anywhere in the stream at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use rlvr_model::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

use super::config::MixtureEntry;
use super::error::{DataError, suggestion};
use super::keyed::{key, of_text, shuffled};
use super::source::Source;
use super::text_ids;

/// Steps are not quite full, since no document is cut to fill one. Budgets without a weight are spread over this
/// fraction of the planned tokens, so that they are spent before the stage ends.
const BUDGETS_SPENT_BY: f64 = 0.95;

/// What a stage asks of its mixture.
#[derive(Clone, Copy, Debug)]
pub struct MixturePlan<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The stage's name: each goes through the sources in an order of its own.
    pub stage: &'a str,
    /// Steps of the stage.
    pub steps: u64,
    /// Most tokens of a step.
    pub batch_tokens: usize,
    /// Most tokens of a micro batch.
    pub micro_batch_tokens: usize,
    /// Tokens that the model can see. A longer document, or one that does not fit a micro batch, is cut into several.
    pub context: usize,
}

/// Where a mixture stands between two steps: goes into checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureState {
    /// As in the configuration.
    pub entries: Vec<EntryState>,
}

/// Where one entry of a mixture stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryState {
    /// The source's name.
    pub source: String,
    /// [`Source::fingerprint`].
    pub fingerprint: u64,
    /// Documents drawn, over all epochs.
    pub document: u64,
    /// Pieces drawn of the current one.
    pub piece: u64,
    /// Tokens drawn.
    pub tokens: u64,
}

/// A mixture at a place in its stream.
#[derive(Debug)]
pub struct Mixture {
    tokenizer: Tokenizer,
    entries: Vec<Entry>,
    domains: Vec<String>,
    state: MixtureState,
    /// Most tokens of a document that is not cut.
    longest: usize,
    pub(super) batch_tokens: usize,
    pub(super) micro_batch_tokens: usize,
}

#[derive(Debug)]
struct Entry {
    source: Arc<Source>,
    domain: u16,
    /// Of the tokens, relative to the other entries'.
    share: f64,
    budget: Option<u64>,
    key: u64,
    /// The current document's number and ids, and where the loss starts to count.
    current: Option<(u64, Vec<u32>, usize)>,
}

/// What is to be packed next: a document, or a part of one that is too long.
pub(super) struct Piece<'a> {
    pub ids: &'a [u32],
    /// First of them that the loss counts; at least 1.
    pub first_target: usize,
    pub domain: u16,
}

impl Mixture {
    /// The mixture `entries` over `sources`, at its start.
    ///
    /// # Errors
    /// A source that is not there, an entry with neither weight nor budget, and budgets that cannot fill the stage or
    /// leave nothing of it to those with weights.
    pub fn new(
        entries: &[MixtureEntry],
        sources: &BTreeMap<String, Arc<Source>>,
        tokenizer: &Tokenizer,
        plan: &MixturePlan<'_>,
    ) -> Result<Self, DataError> {
        let at = |index: usize, key: &str| format!("stage.{}.mixture[{index}]{key}", plan.stage);
        let longest = plan.context.min(plan.micro_batch_tokens).min(plan.batch_tokens);
        if longest < 2 {
            let problem = format!(
                "context {}, micro_batch_tokens {} and batch_tokens {}: each must be at least 2",
                plan.context, plan.micro_batch_tokens, plan.batch_tokens
            );
            return Err(DataError::config(format!("stage.{}", plan.stage), problem));
        }
        let shares = shares(entries, plan)?;
        let mut domains: Vec<String> = Vec::new();
        let (mut made, mut states) = (Vec::new(), Vec::new());
        for (index, (entry, share)) in entries.iter().zip(shares).enumerate() {
            let source = sources.get(&entry.source).ok_or_else(|| {
                let known = suggestion(&entry.source, sources.keys().map(String::as_str));
                DataError::config(
                    at(index, ".source"),
                    format!("there is no source `{}`; {known}", entry.source),
                )
            })?;
            let domain = domains.iter().position(|name| *name == entry.domain).unwrap_or_else(|| {
                domains.push(entry.domain.clone());
                domains.len() - 1
            });
            states.push(EntryState {
                source: entry.source.clone(),
                fingerprint: source.fingerprint(),
                document: 0,
                piece: 0,
                tokens: 0,
            });
            made.push(Entry {
                source: source.clone(),
                domain: domain as u16,
                share,
                budget: entry.tokens,
                key: key(&[plan.seed, of_text(plan.stage), index as u64]),
                current: None,
            });
        }
        Ok(Self {
            tokenizer: tokenizer.clone(),
            entries: made,
            domains,
            state: MixtureState { entries: states },
            longest,
            batch_tokens: plan.batch_tokens,
            micro_batch_tokens: plan.micro_batch_tokens,
        })
    }

    /// Goes to where a mixture of the same configuration stood.
    ///
    /// # Errors
    /// [`DataError::State`] where the state is that of other sources, or their contents have changed since.
    pub fn restore(&mut self, state: MixtureState) -> Result<(), DataError> {
        if state.entries.len() != self.entries.len() {
            let problem = format!(
                "it has {} entries in its mixture and the configuration {}; resume with the configuration that the \
                 run was started with",
                state.entries.len(),
                self.entries.len()
            );
            return Err(DataError::State { problem });
        }
        for (saved, now) in state.entries.iter().zip(&self.state.entries) {
            if saved.source != now.source {
                let problem = format!(
                    "source `{}` stands where the configuration has `{}`; resume with the configuration that the run \
                     was started with",
                    saved.source, now.source
                );
                return Err(DataError::State { problem });
            }
            if saved.fingerprint != now.fingerprint {
                let problem = format!(
                    "the documents of source `{}` have changed since; put them back as they were, or start anew",
                    saved.source
                );
                return Err(DataError::State { problem });
            }
        }
        self.state = state;
        Ok(())
    }

    /// Where it stands.
    pub fn state(&self) -> MixtureState {
        self.state.clone()
    }

    /// Names of the domains, in the order in which the mixture names them first.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The entry to draw from next; its piece is there for [`piece`](Self::piece).
    pub(super) fn next_entry(&mut self) -> Result<usize, DataError> {
        let turn = |index: &usize| self.state.entries[*index].tokens as f64 / self.entries[*index].share;
        let open = (0..self.entries.len()).filter(|index| {
            self.entries[*index].budget.is_none_or(|budget| self.state.entries[*index].tokens < budget)
        });
        let next = open.min_by(|a, b| turn(a).total_cmp(&turn(b))).ok_or_else(|| DataError::Exhausted {
            drawn: self.state.entries.iter().map(|entry| entry.tokens).sum(),
        })?;
        self.make_ready(next)?;
        Ok(next)
    }

    /// Moves an entry on to its next piece that has something to learn, if it does not stand on one.
    fn make_ready(&mut self, index: usize) -> Result<(), DataError> {
        let (entry, state) = (&mut self.entries[index], &mut self.state.entries[index]);
        let mut fruitless = 0;
        loop {
            if entry.current.as_ref().is_none_or(|(document, ..)| *document != state.document) {
                let document = entry.source.document(entry.number(state.document))?;
                let (ids, prompt) = text_ids::document(&self.tokenizer, &document)?;
                let first_target = if entry.source.mask_prompt() { prompt } else { 0 };
                entry.current = Some((state.document, ids, first_target));
            }
            if let Some((_, ids, first_target)) = &entry.current {
                let mut start = state.piece as usize * self.longest;
                while start < ids.len() {
                    let end = (start + self.longest).min(ids.len());
                    if (start + 1).max(*first_target) < end {
                        return Ok(());
                    }
                    state.piece += 1;
                    start = end;
                }
            }
            (state.document, state.piece) = (state.document + 1, 0);
            fruitless += 1;
            // One document may have ended, so an epoch and one more.
            if fruitless > entry.source.count().unwrap_or(1000) + 1 {
                let problem = "has no document with anything to learn: each is a single token, or all prompt";
                return Err(DataError::config(format!("sources.{}", entry.source.name()), problem));
            }
        }
    }

    /// The piece that `entry` stands on.
    pub(super) fn piece(&self, entry: usize) -> Piece<'_> {
        let (entry, state) = (&self.entries[entry], &self.state.entries[entry]);
        let (ids, first_target) = match &entry.current {
            Some((_, ids, first_target)) => (&ids[..], *first_target),
            None => (&[][..], 0),
        };
        let start = (state.piece as usize * self.longest).min(ids.len());
        let end = (start + self.longest).min(ids.len());
        let first_target = first_target.saturating_sub(start).max(1);
        Piece { ids: &ids[start..end], first_target, domain: entry.domain }
    }

    /// Counts the piece that `entry` stands on as drawn.
    pub(super) fn advance(&mut self, entry: usize) {
        let tokens = self.piece(entry).ids.len() as u64;
        let state = &mut self.state.entries[entry];
        state.tokens += tokens;
        state.piece += 1;
    }
}

impl Entry {
    /// The source's number of the `document`-th document to draw.
    fn number(&self, document: u64) -> u64 {
        match self.source.count() {
            Some(count) => shuffled(document % count, count, key(&[self.key, document / count])),
            // Without an end there is nothing to shuffle; another stage begins elsewhere in the series.
            None => self.key.wrapping_add(document),
        }
    }
}

/// The share of each entry. Those with a weight share what budgets without one leave.
fn shares(entries: &[MixtureEntry], plan: &MixturePlan<'_>) -> Result<Vec<f64>, DataError> {
    let at = |index: usize, key: &str| format!("stage.{}.mixture[{index}]{key}", plan.stage);
    let planned = plan.steps.saturating_mul(plan.batch_tokens as u64);
    let (mut weights, mut budgets, mut endless) = (0.0, 0, entries.is_empty());
    for (index, entry) in entries.iter().enumerate() {
        match (entry.weight, entry.tokens) {
            (None, None) => {
                let problem = "has neither `weight` nor `tokens`; give it a share or a budget";
                return Err(DataError::config(at(index, ""), problem));
            }
            (Some(weight), _) if !(weight.is_finite() && weight > 0.0) => {
                return Err(DataError::config(
                    at(index, ".weight"),
                    format!("is {weight}; it must be above 0"),
                ));
            }
            (_, Some(0)) => return Err(DataError::config(at(index, ".tokens"), "is 0; it must be above 0")),
            (None, Some(tokens)) => budgets += tokens,
            (Some(weight), _) => weights += weight,
        }
        endless |= entry.tokens.is_none();
    }
    let total: u64 = entries.iter().filter_map(|entry| entry.tokens).sum();
    if !endless && total < planned {
        let problem = format!(
            "the budgets are {total} tokens together, but the stage trains on {planned} ({} steps of {}): raise a \
             budget, give an entry a weight without `tokens`, or lower the steps",
            plan.steps, plan.batch_tokens
        );
        return Err(DataError::config(format!("stage.{}.mixture", plan.stage), problem));
    }
    let budgeted = match weights > 0.0 {
        true => budgets as f64 / (planned as f64 * BUDGETS_SPENT_BY),
        false => 0.0,
    };
    if budgeted >= 1.0 {
        let problem = format!(
            "the budgets without a weight take {budgets} of the stage's {planned} tokens and leave nothing to the \
             weights: lower them, or raise the steps"
        );
        return Err(DataError::config(format!("stage.{}.mixture", plan.stage), problem));
    }
    let share = |entry: &MixtureEntry| match (entry.weight, entry.tokens) {
        (Some(weight), _) => (1.0 - budgeted) * weight / weights,
        (None, Some(tokens)) if weights > 0.0 => tokens as f64 / (planned as f64 * BUDGETS_SPENT_BY),
        (None, tokens) => tokens.unwrap_or(0) as f64 / budgets.max(1) as f64,
    };
    Ok(entries.iter().map(share).collect())
}

#[cfg(test)]
mod tests;
