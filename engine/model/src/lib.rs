//! Language models that train and decode: architectures, parameters, differentiable operations and Hugging Face files.
//!
//! The crate knows nothing of reinforcement learning. Its numerical ground is [`kernels`].

pub mod kernels;
pub mod packed;

pub use packed::{Packed, Segment};
