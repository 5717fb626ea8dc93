//! Packing: documents laid end to end into the micro batches of a step.
//!
//! A document that does not fit what is left of a micro batch goes into the next one whole, and one that does not fit
//! the step waits for the next step: no document is cut but those longer than the context. Steps and micro batches are
//! therefore a little less than full, by less than a document each.

use super::error::DataError;
use super::mixture::{Mixture, Piece};
use crate::mid_train::MicroBatch;

impl Mixture {
    /// The documents of the next step, in micro batches.
    ///
    /// The loss counts every token that has a predecessor in its document and is not part of a prompt that its source
    /// masks; it never looks over a document's border.
    ///
    /// # Errors
    /// [`DataError::Exhausted`] where all budgets are spent, and what reading a document can run into.
    pub fn next_step(&mut self) -> Result<Vec<MicroBatch>, DataError> {
        let most = self.batch_tokens.div_ceil(self.micro_batch_tokens);
        let mut step: Vec<MicroBatch> = vec![MicroBatch::default()];
        let mut tokens = 0;
        loop {
            let entry = match self.next_entry() {
                Ok(entry) => entry,
                // What there was is a last, shorter step.
                Err(DataError::Exhausted { .. }) if tokens > 0 => return Ok(step),
                Err(error) => return Err(error),
            };
            let piece = self.piece(entry);
            let count = piece.ids.len();
            if tokens + count > self.batch_tokens {
                return Ok(step);
            }
            let full = step.last().is_none_or(|micro| micro.packed.len() + count > self.micro_batch_tokens);
            if full && step.len() == most {
                return Ok(step);
            }
            if full {
                step.push(MicroBatch::default());
            }
            if let Some(micro) = step.last_mut() {
                push(micro, &piece);
            }
            tokens += count;
            self.advance(entry);
        }
    }
}

fn push(micro: &mut MicroBatch, piece: &Piece<'_>) {
    let start = micro.packed.len();
    micro.packed.push(piece.ids);
    for (at, id) in piece.ids.iter().enumerate().skip(piece.first_target) {
        micro.targets.rows.push((start + at - 1) as u32);
        micro.targets.ids.push(*id);
        micro.domains.push(piece.domain);
    }
}
