//! Training: data mixtures, mid-training, the RL loop, evaluation, checkpoints and the ledger of a run.

pub mod adamw;
pub mod bench;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod durable;
pub mod eval;
pub mod footprint;
pub mod generators;
pub mod interval;
pub mod ledger;
pub mod memory;
pub mod metrics;
pub mod mid_train;
pub mod optimizer_file;
pub mod passk;
pub mod plan;
pub mod progress;
pub mod rl;
pub mod run;
pub mod schedule;
pub mod scoring;
pub mod tensorboard;
pub mod timeline;
pub mod update;
