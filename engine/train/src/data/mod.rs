//! The data of training: rows and text from files and generators, mixed and packed for mid-training, and task sets for
//! reinforcement learning and evaluation.
//!
//! Everything here is a function of the configuration, the seed and a position in the stream. What a checkpoint keeps
//! of it is a [`MixtureState`] of a few numbers.

pub mod config;
pub mod error;
pub mod keyed;
pub mod mixture;
mod packing;
pub mod rows;
pub mod source;
pub mod tasks;
pub mod text_ids;
pub mod transform;

pub use error::{DataError, Lacking, RowError};
pub use mixture::{Mixture, MixturePlan, MixtureState};
pub use rows::Row;
pub use source::{Document, Source};
pub use tasks::{TaskChecks, TaskSet, load_tasks};
