//! The blocks that models are composed of. Each has a training forward, on the tape, and a cached one over rows of any mixture of
//! sequences, in the same arithmetic.

mod attention;
mod linear;
mod mamba;
mod mlp;

pub use attention::Attention;
pub(crate) use attention::AttentionBuffers;
pub use linear::Linear;
pub use mamba::Mamba;
pub(crate) use mamba::MambaBuffers;
pub use mlp::Mlp;
pub(crate) use mlp::MlpBuffers;

use crate::params::ParamId;
use std::collections::BTreeMap;

/// Parameters by name, while a model is put together.
pub struct Names {
    pub(crate) ids: BTreeMap<String, ParamId>,
    /// The factor on what adapters add; none for a model without them.
    pub(crate) adapters: Option<f32>,
}

impl Names {
    /// The parameter `name`, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<ParamId> {
        self.ids.get(name).copied()
    }

    /// The parameter `name`, which the configuration has listed.
    pub(crate) fn get(&self, name: &str) -> ParamId {
        self.find(name).unwrap_or_else(|| panic!("the configuration lists no parameter {name}"))
    }
}
