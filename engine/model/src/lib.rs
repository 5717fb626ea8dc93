//! Language models that train and decode: architectures, parameters, differentiable operations and Hugging Face files.
//!
//! The crate knows nothing of reinforcement learning. Its numerical ground is [`kernels`].

pub mod blocks;
pub mod cached;
pub mod chat;
pub mod config;
pub mod hf;
pub mod kernels;
pub mod logprobs;
pub mod lora;
pub mod mamba;
pub mod model;
pub mod ops;
pub mod packed;
pub mod params;
pub mod tape;
pub mod tensor;
pub mod tokenizer;

pub use cached::{KvCache, PAGE, Row};
pub use config::ModelConfig;
pub use lora::{LoraConfig, LoraTargets};
pub use model::{Model, ModelError};
pub use packed::{Packed, Segment};
pub use tape::{Tape, Var};
