//! Training: data mixtures, mid-training, the RL loop, evaluation, checkpoints and the ledger of a run.

pub mod adamw;
pub mod schedule;
