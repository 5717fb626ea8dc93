//! Rotary positions: how fast each pair of a head turns, and the two spellings in which configs say so.

use std::f64::consts::PI;

use serde_json::{Map, Value, json};

use super::ConfigError;
use super::fields::Fields;

/// Rotary position embedding (Su et al. 2021, arXiv 2104.09864).
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the wavelengths: pair `i` of `d` turns by `theta^(-2 i / d)` a position.
    pub theta: f64,
    /// Stretching for contexts longer than the pre-training's; `None` for none.
    pub scaling: Option<Llama3>,
}

/// Llama 3.1's stretching: long wavelengths are divided by `factor`, short ones kept, those between interpolated.
#[derive(Clone, Debug, PartialEq)]
pub struct Llama3 {
    /// By how much long wavelengths are stretched.
    pub factor: f64,
    /// Wavelengths above `original_max_position_embeddings / low_freq_factor` are stretched fully.
    pub low_freq_factor: f64,
    /// Wavelengths below `original_max_position_embeddings / high_freq_factor` are kept.
    pub high_freq_factor: f64,
    /// The context of the pre-training, in tokens.
    pub original_max_position_embeddings: usize,
}

impl Rope {
    /// Transformers' default base.
    const THETA: f64 = 10_000.0;

    /// Reads both spellings; where both are given they must agree.
    pub(super) fn read(fields: &mut Fields<'_>, max_positions: usize) -> Result<Self, ConfigError> {
        let outer_theta = fields.number("rope_theta")?;
        fields.only_number("partial_rotary_factor", 1.0)?;
        let mut read_one = |field: &'static str| match fields.object(field)? {
            None => Ok(None),
            Some(inner) => Self::read_object(inner, outer_theta, max_positions).map(Some),
        };
        let (new, old) = (read_one("rope_parameters")?, read_one("rope_scaling")?);
        match (new, old) {
            (Some(new), Some(old)) if new != old => Err(ConfigError::field(
                "rope_parameters",
                "and `rope_scaling` (with `rope_theta`) say different things: keep one of them",
            )),
            (new, old) => {
                let rope = new.or(old);
                Ok(rope.unwrap_or(Rope { theta: outer_theta.unwrap_or(Self::THETA), scaling: None }))
            }
        }
    }

    fn read_object(
        mut fields: Fields<'_>,
        outer_theta: Option<f64>,
        max_positions: usize,
    ) -> Result<Self, ConfigError> {
        let theta = fields.number("rope_theta")?.or(outer_theta).unwrap_or(Self::THETA);
        fields.only_number("partial_rotary_factor", 1.0)?;
        fields.only_strings("rope_type", &["default", "llama3"])?;
        fields.only_strings("type", &["default", "llama3"])?;
        // `type` is the oldest spelling of `rope_type`; llama3 configs carry either.
        let kind = fields.string("rope_type")?.or(fields.string("type")?);
        let scaling = match kind.as_deref() {
            Some("llama3") => Some(Llama3 {
                factor: fields.required_number("factor")?,
                low_freq_factor: fields.required_number("low_freq_factor")?,
                high_freq_factor: fields.required_number("high_freq_factor")?,
                original_max_position_embeddings: fields
                    .size("original_max_position_embeddings")?
                    .unwrap_or(max_positions),
            }),
            _ => None,
        };
        fields.finish(if scaling.is_some() { "rope type llama3" } else { "rope type default" })?;
        Ok(Rope { theta, scaling })
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if !(self.theta.is_finite() && self.theta > 0.0) {
            return Err(ConfigError::field(
                "rope_theta",
                format!("is {}: a positive number is right", self.theta),
            ));
        }
        let Some(scaling) = &self.scaling else { return Ok(()) };
        let error = |field: &str, problem: String| {
            Err(ConfigError::field(format!("rope_parameters.{field}"), problem))
        };
        if !(scaling.factor.is_finite() && scaling.factor >= 1.0) {
            return error("factor", format!("is {}: a number of at least 1 is right", scaling.factor));
        }
        if !(scaling.low_freq_factor > 0.0 && scaling.low_freq_factor.is_finite()) {
            return error(
                "low_freq_factor",
                format!("is {}: a positive number is right", scaling.low_freq_factor),
            );
        }
        if !(scaling.high_freq_factor > scaling.low_freq_factor && scaling.high_freq_factor.is_finite()) {
            let problem = format!(
                "is {}: a number above `low_freq_factor` ({}) is right",
                scaling.high_freq_factor, scaling.low_freq_factor
            );
            return error("high_freq_factor", problem);
        }
        if scaling.original_max_position_embeddings == 0 {
            return error("original_max_position_embeddings", "is 0: at least 1 is right".to_string());
        }
        Ok(())
    }

    /// Inverse frequencies of a head, `[head_dim / 2]`, in radians a position.
    pub(super) fn inv_freq(&self, head_dim: usize) -> Vec<f64> {
        (0..head_dim / 2)
            .map(|pair| self.theta.powf(-(2.0 * pair as f64) / head_dim as f64))
            .map(|frequency| self.scaling.as_ref().map_or(frequency, |scaling| scaling.stretch(frequency)))
            .collect()
    }

    /// Adds the fields of both spellings.
    pub(super) fn write(&self, fields: &mut Map<String, Value>) {
        let scaling = self.scaling.as_ref().map(|scaling| {
            json!({
                "rope_type": "llama3",
                "factor": scaling.factor,
                "low_freq_factor": scaling.low_freq_factor,
                "high_freq_factor": scaling.high_freq_factor,
                "original_max_position_embeddings": scaling.original_max_position_embeddings,
            })
        });
        let mut parameters = scaling.clone().unwrap_or_else(|| json!({ "rope_type": "default" }));
        parameters["rope_theta"] = json!(self.theta);
        fields.insert("rope_theta".to_string(), json!(self.theta));
        fields.insert("rope_scaling".to_string(), scaling.unwrap_or(Value::Null));
        fields.insert("rope_parameters".to_string(), parameters);
    }
}

impl Llama3 {
    /// The stretched frequency (`_compute_llama3_parameters` in transformers' `modeling_rope_utils.py`).
    fn stretch(&self, frequency: f64) -> f64 {
        let original = self.original_max_position_embeddings as f64;
        let wavelength = 2.0 * PI / frequency;
        if wavelength < original / self.high_freq_factor {
            frequency
        } else if wavelength > original / self.low_freq_factor {
            frequency / self.factor
        } else {
            let span = self.high_freq_factor - self.low_freq_factor;
            let kept = (original / wavelength - self.low_freq_factor) / span;
            (1.0 - kept) * frequency / self.factor + kept * frequency
        }
    }
}
