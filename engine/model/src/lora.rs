//! Low-rank adapters, LoRA (Hu et al., arXiv 2106.09685): a projection `W x` becomes `W x + scale * B (A x)`, where `A`, `[rank, in]`, and
//! `B`, `[out, rank]`, are trained and everything else stays as it is.
//!
//! The adapters' parameters stand in the model's one store behind those of the base, so that sampler, trainer and optimiser need not
//! know of them; the base has neither gradients nor optimiser state. As `B` begins with zeros, a model with fresh adapters is its base
//! to the bit.

use crate::config::{Architecture, ModelConfig};
use crate::hf;
use crate::kernels::gemm::{View, gemm};
use crate::model::{Model, ModelError, mix};
use crate::params::{Param, Params};
use crate::tensor::{floats, tensor};
use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::Path;

/// What adapters a model gets.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    /// Width between `A` and `B`, at least 1.
    pub rank: usize,
    /// Numerator of the scale, above 0.
    pub alpha: f64,
    /// The projections that get one.
    pub targets: LoraTargets,
    /// Whether the scale is `alpha / sqrt(rank)` (rsLoRA: Kalajdzievski, arXiv 2312.03732) and not `alpha / rank`.
    pub rslora: bool,
}

impl LoraConfig {
    /// The factor on what the adapters add.
    pub fn scale(&self) -> f32 {
        let rank = self.rank as f64;
        (self.alpha / if self.rslora { rank.sqrt() } else { rank }) as f32
    }
}

/// Which projections get an adapter. Written as a list of names, or as `"all-linear"`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LoraTargets {
    /// All within the blocks.
    #[default]
    AllLinear,
    /// Those whose names end so, such as `q_proj`.
    Named(Vec<String>),
}

const ALL_LINEAR: &str = "all-linear";

impl Serialize for LoraTargets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            LoraTargets::AllLinear => ALL_LINEAR.serialize(serializer),
            LoraTargets::Named(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LoraTargets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Targets;
        impl<'de> Visitor<'de> for Targets {
            type Value = LoraTargets;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{ALL_LINEAR}\" or a list of projections' names")
            }
            fn visit_str<E>(self, name: &str) -> Result<LoraTargets, E> {
                Ok(match name {
                    ALL_LINEAR => LoraTargets::AllLinear,
                    name => LoraTargets::Named(vec![name.to_owned()]),
                })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<LoraTargets, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(names)).map(LoraTargets::Named)
            }
        }
        deserializer.deserialize_any(Targets)
    }
}

/// Why adapters cannot be attached.
#[derive(Debug, thiserror::Error)]
pub enum LoraError {
    /// No projection of the model has the name.
    #[error("the model has no projection `{target}`; it has {known}")]
    Target {
        /// The name.
        target: String,
        /// The names that there are.
        known: String,
    },
    /// A projection that cannot have one.
    #[error("`{target}` of this family can have no adapter: PEFT refuses to load one; {known} can")]
    Refused {
        /// The name.
        target: String,
        /// The names that can.
        known: String,
    },
    /// The model has adapters already.
    #[error("the model has adapters already; merge them first")]
    Attached,
}

/// A projection within the blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Its name without `.weight`, such as `model.layers.0.self_attn.q_proj`.
    pub name: String,
    /// Width of its result.
    pub outputs: usize,
    /// Width of its input.
    pub inputs: usize,
}

impl Projection {
    /// The end of its name, by which targets choose it.
    pub fn target(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// Names of an adapter's `A` and `B`.
pub(crate) fn names(projection: &str) -> [String; 2] {
    ["A", "B"].map(|matrix| format!("{projection}.lora_{matrix}.weight"))
}

impl ModelConfig {
    /// All projections within the blocks, in the order of the forward.
    pub fn projections(&self) -> Vec<Projection> {
        let outer = self.outer_names();
        let matrices = self.parameter_specs().into_iter().filter(|spec| !outer.contains(&&*spec.name));
        matrices
            .filter_map(|spec| {
                let (name, [outputs, inputs]) =
                    (spec.name.strip_suffix(".weight")?, spec.shape[..].try_into().ok()?);
                Some(Projection { name: name.to_owned(), outputs, inputs })
            })
            .collect()
    }

    /// The names of projections that can have adapters.
    pub fn lora_targets(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for projection in self.projections() {
            let target = projection.target();
            if self.can_adapt(target) && !names.iter().any(|name| name == target) {
                names.push(target.to_owned());
            }
        }
        names
    }

    /// PEFT refuses adapters of the mixer's output on Nemotron-H, whose fused kernels take that weight past its module.
    fn can_adapt(&self, target: &str) -> bool {
        !(self.architecture == Architecture::NemotronH && target == "out_proj")
    }

    /// The projections that `targets` choose, in the order of the forward.
    ///
    /// # Errors
    /// A name that no projection has, or of one that can have no adapter.
    pub fn lora_projections(&self, targets: &LoraTargets) -> Result<Vec<Projection>, LoraError> {
        let all = self.projections();
        let known = || self.lora_targets().join(", ");
        let named = match targets {
            LoraTargets::AllLinear => self.lora_targets(),
            LoraTargets::Named(named) => named.clone(),
        };
        for target in &named {
            if !all.iter().any(|projection| projection.target() == target) {
                return Err(LoraError::Target { target: target.clone(), known: known() });
            }
            if !self.can_adapt(target) {
                return Err(LoraError::Refused { target: target.clone(), known: known() });
            }
        }
        Ok(all.into_iter().filter(|p| named.iter().any(|target| target == p.target())).collect())
    }
}

/// An adapter of one projection: `A`, `[rank, in]`, and `B`, `[out, rank]`.
pub(crate) struct Adapter {
    pub projection: Projection,
    pub a: Vec<f32>,
    pub b: Vec<f32>,
}

impl Model {
    /// Attaches fresh adapters: `A` uniform within `1 / sqrt(in)` on either side (Kaiming with `a = sqrt(5)`, as PEFT does), keyed by
    /// the seed, `B` zero. From now on they alone are trainable.
    ///
    /// # Errors
    /// Targets that the model does not have, or adapters that it has already.
    pub fn with_lora(self, lora: LoraConfig, seed: u64) -> Result<Model, ModelError> {
        let projections = self.config.lora_projections(&lora.targets)?;
        let fresh = |(i, projection): (usize, Projection)| {
            let bound = 1.0 / (projection.inputs as f64).sqrt();
            let a = uniform(lora.rank * projection.inputs, bound, seed, i as u64);
            let b = vec![0.0; projection.outputs * lora.rank];
            Adapter { projection, a, b }
        };
        let adapters = projections.into_iter().enumerate().map(fresh).collect();
        self.attach(lora, adapters)
    }

    /// Attaches the adapters of a PEFT folder, which may be of any base of this shape.
    ///
    /// # Errors
    /// When the folder cannot be read, or its adapters are of another shape or kind.
    pub fn with_adapter(self, folder: &Path) -> Result<Model, ModelError> {
        let (lora, adapters) = hf::read_adapter(folder, &self.config)?;
        self.attach(lora, adapters)
    }

    fn attach(self, lora: LoraConfig, adapters: Vec<Adapter>) -> Result<Model, ModelError> {
        if self.lora.is_some() {
            return Err(LoraError::Attached.into());
        }
        let mut params = self.params.frozen();
        for Adapter { projection, a, b } in adapters {
            let [name_a, name_b] = names(&projection.name);
            params.push(name_a, tensor(a, (lora.rank, projection.inputs))?);
            params.push(name_b, tensor(b, (projection.outputs, lora.rank))?);
        }
        Ok(Model::assemble(self.config, self.generation, params, Some(lora)))
    }

    /// The model without its adapters, over the same memory: the reference policy of a run that trains adapters.
    pub fn base(&self) -> Model {
        Model::assemble(self.config.clone(), self.generation.clone(), self.params.clone(), None)
    }

    /// A model of the same function without adapters: each projection that has one is a copy, `W + scale * B A`; all else is shared.
    ///
    /// # Errors
    /// When memory for the copies cannot be had.
    pub fn merged(&self) -> Result<Model, ModelError> {
        let whole = self.params.iter().take(self.config.parameter_specs().len());
        let merge = |p: &Param| -> Result<Param, ModelError> {
            let Some([a, b]) = p.name.strip_suffix(".weight").and_then(|name| self.adapter(name)) else {
                return Ok(Param { trainable: true, ..p.clone() });
            };
            let (outputs, inputs) = p.value.dims2()?;
            let rank = a.value.dim(0)?;
            let mut sum = vec![0.0; outputs * inputs];
            let (a, b) = (floats(&a.value)?, floats(&b.value)?);
            gemm((outputs, inputs, rank), View::rows(&b, rank), View::rows(&a, inputs), &mut sum, false);
            let scale = self.lora.as_ref().map_or(0.0, LoraConfig::scale);
            for (sum, weight) in sum.iter_mut().zip(&*floats(&p.value)?) {
                *sum = weight + scale * *sum;
            }
            Ok(Param { name: p.name.clone(), value: tensor(sum, (outputs, inputs))?, trainable: true })
        };
        let params: Params = whole.map(merge).collect::<Result<_, _>>()?;
        Ok(Model::assemble(self.config.clone(), self.generation.clone(), params, None))
    }

    /// `A` and `B` of a projection, if it has an adapter.
    fn adapter(&self, projection: &str) -> Option<[&Param; 2]> {
        let own = self.params.len() - self.config.parameter_specs().len();
        let [a, b] =
            names(projection).map(|name| self.params.iter().rev().take(own).find(|p| p.name == name));
        Some([a?, b?])
    }

    /// Writes `adapter_config.json` and `adapter_model.safetensors` as PEFT does; `base` is the folder that the adapters belong to.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save_adapter(&self, folder: &Path, base: &Path) -> Result<(), ModelError> {
        let Some(lora) = &self.lora else { return Ok(()) };
        let own = || self.params.iter().skip(self.config.parameter_specs().len());
        let held = own().map(|p| floats(&p.value)).collect::<candle_core::Result<Vec<_>>>()?;
        let tensors = own().zip(&held).map(|(p, data)| (p.name.clone(), p.value.dims().to_vec(), &**data));
        Ok(hf::write_adapter(folder, &self.config, lora, base, tensors.collect())?)
    }
}

/// Uniform numbers within `bound` on either side by SplitMix64, keyed by `(seed, stream)`.
fn uniform(count: usize, bound: f64, seed: u64, stream: u64) -> Vec<f32> {
    let mut state = mix(mix(seed ^ 0x4c6f_5241) ^ mix(stream.wrapping_add(1)));
    let draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let unit = (mix(state) >> 11) as f64 / (1u64 << 53) as f64;
        ((2.0 * unit - 1.0) * bound) as f32
    };
    std::iter::repeat_with(draw).take(count).collect()
}
