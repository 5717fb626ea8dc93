//! The budget of one verdict. Everything that computes for a verdict spends from it before it computes, whichever
//! comparison asks for it and however often: so what a verdict takes in all is bounded, and not only each of its parts.

use crate::limits::WORK;
use std::cell::Cell;

/// What may still be spent on a verdict, in units of some 20 ns.
#[derive(Debug)]
pub struct Work {
    left: Cell<u64>,
    over: Cell<bool>,
}

impl Default for Work {
    fn default() -> Self {
        Work { left: Cell::new(WORK), over: Cell::new(false) }
    }
}

impl Work {
    /// Takes units off the budget; none where there are too few left, and from then on.
    pub(crate) fn spend(&self, units: u64) -> Option<()> {
        match self.left.get().checked_sub(units).filter(|_| !self.over.get()) {
            Some(left) => {
                self.left.set(left);
                Some(())
            }
            None => {
                self.over.set(true);
                None
            }
        }
    }

    /// Takes off what an exact operation on numbers of so many bits in all takes; `fraction` where it has common divisors
    /// to find.
    pub(crate) fn spend_bits(&self, bits: usize, fraction: bool) -> Option<()> {
        let words = bits as u64 / 64 + 1;
        self.spend(4 + if fraction { 3 * words + words * words / 16 } else { words + words * words / 64 })
    }

    /// Whether something was left undone because the budget had ended.
    pub fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Units spent so far.
    pub fn spent(&self) -> u64 {
        WORK - self.left.get()
    }
}
