//! `lora` of a stage: adapters are trained, and the model that the stage starts from stays as it is.

use rlvr_model::{LoraConfig, LoraTargets};
use serde::{Deserialize, Serialize};

/// The adapters of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// Width of the adapters, at least 1.
    pub rank: usize,
    /// Numerator of the factor on what they add; above 0.
    pub alpha: f64,
    /// The projections that get one, by the ends of their names, or `"all-linear"`.
    #[serde(default)]
    pub targets: LoraTargets,
    /// Whether the factor is `alpha / sqrt(rank)` and not `alpha / rank`.
    #[serde(default)]
    pub rslora: bool,
    /// Share of the adapters' inputs that is dropped; only 0 is supported.
    #[serde(default)]
    pub dropout: f64,
    /// Whether the stage ends with a whole model, the adapters merged into it, beside its checkpoints.
    #[serde(default)]
    pub merge: bool,
}

impl Lora {
    /// What the model gets.
    pub fn adapters(&self) -> LoraConfig {
        let Lora { rank, alpha, rslora, .. } = *self;
        LoraConfig { rank, alpha, targets: self.targets.clone(), rslora }
    }
}
