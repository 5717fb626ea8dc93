//! In which order an RL stage goes through its task sets.
//!
//! The order is a function of the seed and of how many prompts came before: each set is gone through epoch by epoch, every
//! epoch in its own shuffle, and sets take turns in proportion to their weights.

use crate::data::keyed::{key, shuffled};
use serde::{Deserialize, Serialize};

/// How far each task set has been gone through; kept in checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskCursor {
    drawn: Vec<u64>,
}

/// Task sets with weights.
#[derive(Clone, Debug)]
pub struct TaskOrder {
    seed: u64,
    /// (weight above 0, number of problems above 0)
    sets: Vec<(f64, usize)>,
}

impl TaskOrder {
    /// An order over sets of (weight, problems); both above 0.
    pub fn new(seed: u64, sets: Vec<(f64, usize)>) -> Self {
        TaskOrder { seed, sets }
    }

    /// The next problem as (set, index in it).
    pub fn next(&self, cursor: &mut TaskCursor) -> (usize, usize) {
        cursor.drawn.resize(self.sets.len(), 0);
        let turn = |set: usize| (cursor.drawn[set] + 1) as f64 / self.sets[set].0;
        let set = (0..self.sets.len()).min_by(|a, b| turn(*a).total_cmp(&turn(*b))).unwrap_or(0);
        let (drawn, count) = (cursor.drawn[set], self.sets[set].1 as u64);
        cursor.drawn[set] += 1;
        let epoch = drawn / count;
        (set, shuffled(drawn % count, count, key(&[self.seed, set as u64, epoch])) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_holds_each_problem_once_in_an_order_of_its_own() {
        let order = TaskOrder::new(3, vec![(1.0, 50)]);
        let mut cursor = TaskCursor::default();
        let mut epoch = || (0..50).map(|_| order.next(&mut cursor).1).collect::<Vec<_>>();
        let (first, second) = (epoch(), epoch());
        assert_ne!(first, second);
        for mut indices in [first, second] {
            indices.sort_unstable();
            assert_eq!(indices, (0..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn sets_take_turns_by_weight_and_a_restored_cursor_goes_on() {
        let order = TaskOrder::new(3, vec![(3.0, 5), (1.0, 7)]);
        let mut cursor = TaskCursor::default();
        let first: Vec<_> = (0..40).map(|_| order.next(&mut cursor)).collect();
        assert_eq!(first.iter().filter(|(set, _)| *set == 0).count(), 30);
        let mut restored: TaskCursor =
            serde_json::from_str(&serde_json::to_string(&cursor).unwrap()).unwrap();
        assert_eq!(order.next(&mut restored), order.next(&mut cursor));
    }
}
