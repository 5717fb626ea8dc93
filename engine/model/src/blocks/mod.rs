//! The blocks that models are composed of. Each has a training forward, on the tape, and a cached one over rows of any mixture of
//! sequences, in the same arithmetic.

mod attention;
mod mlp;

pub use attention::Attention;
pub(crate) use attention::AttentionBuffers;
pub use mlp::Mlp;
pub(crate) use mlp::MlpBuffers;

use crate::params::ParamId;
use std::collections::BTreeMap;

/// Parameters by name, while a model is put together.
pub struct Names(pub(crate) BTreeMap<String, ParamId>);

impl Names {
    /// The parameter `name`, which the configuration has listed.
    pub(crate) fn get(&self, name: &str) -> ParamId {
        *self.0.get(name).unwrap_or_else(|| panic!("the configuration lists no parameter {name}"))
    }
}
