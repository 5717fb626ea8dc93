//! Reinforcement learning from verifiable rewards: groups of samples, their rewards, and the policy update.

pub mod order;
pub mod policy;
pub mod step;
