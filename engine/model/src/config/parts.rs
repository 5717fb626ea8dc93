//! Parts of a configuration that only some families have: Granite's multipliers and the sizes of Mamba-2.

use super::fields::Fields;
use super::{Architecture, ConfigError};
use serde_json::{Value, json};

/// Granite's factors; 1 elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Multipliers {
    /// On the embedding.
    pub embedding: f64,
    /// On attention scores; `None` for `1 / sqrt(head_dim)`.
    pub attention: Option<f64>,
    /// On what a block adds to the residual stream.
    pub residual: f64,
    /// What logits are divided by.
    pub logits: f64,
}

impl Default for Multipliers {
    fn default() -> Self {
        Multipliers { embedding: 1.0, attention: None, residual: 1.0, logits: 1.0 }
    }
}

impl Multipliers {
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, ConfigError> {
        let mut factor = |field| Ok(fields.number(field)?.unwrap_or(1.0));
        Ok(Multipliers {
            embedding: factor("embedding_multiplier")?,
            attention: Some(factor("attention_multiplier")?),
            residual: factor("residual_multiplier")?,
            logits: factor("logits_scaling")?,
        })
    }

    pub(super) fn write(&self, fields: &mut Value) {
        fields["embedding_multiplier"] = json!(self.embedding);
        fields["attention_multiplier"] = json!(self.attention);
        fields["residual_multiplier"] = json!(self.residual);
        fields["logits_scaling"] = json!(self.logits);
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (field, factor) in [
            ("embedding_multiplier", self.embedding),
            ("attention_multiplier", self.attention.unwrap_or(1.0)),
            ("residual_multiplier", self.residual),
            ("logits_scaling", self.logits),
        ] {
            if !(factor.is_finite() && factor > 0.0) {
                return Err(ConfigError::field(field, format!("is {factor}: a positive number is right")));
            }
        }
        Ok(())
    }
}

/// The sizes of a Mamba-2 mixer (Dao and Gu, arXiv 2405.21060).
#[derive(Clone, Debug, PartialEq)]
pub struct Mamba {
    /// Heads.
    pub heads: usize,
    /// Components of a head.
    pub head_dim: usize,
    /// Groups of heads that share their input and output matrices (`B`, `C`).
    pub groups: usize,
    /// Numbers of state for each component.
    pub state: usize,
    /// Positions that the convolution sees.
    pub conv_kernel: usize,
    /// Whether the convolution has a bias.
    pub conv_bias: bool,
    /// Whether the projections in and out have one.
    pub bias: bool,
    /// Time steps are held above this.
    pub time_step_min: f64,
    /// And below this; may be infinite.
    pub time_step_max: f64,
}

impl Mamba {
    /// Width inside the mixer.
    pub fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Channels of the convolution: the input, `B` and `C`.
    pub fn channels(&self) -> usize {
        self.inner() + 2 * self.groups * self.state
    }

    pub(super) fn read_granite(fields: &mut Fields<'_>, hidden: usize) -> Result<Self, ConfigError> {
        let heads = fields.size("mamba_n_heads")?.unwrap_or(128);
        let inner = fields.size("mamba_expand")?.unwrap_or(2) * hidden;
        fields.pass_over(&["mamba_chunk_size"]);
        let head_dim = match fields.is_string("mamba_d_head") {
            true => {
                fields.only_strings("mamba_d_head", &["auto"])?;
                inner / heads.max(1)
            }
            false => fields.size("mamba_d_head")?.unwrap_or(inner / heads.max(1)),
        };
        if head_dim * heads != inner {
            let problem =
                format!("is {heads}: heads of {head_dim} components do not make up the inner width {inner}");
            return Err(ConfigError::field("mamba_n_heads", problem));
        }
        let (time_step_min, time_step_max) = time_step_limit(fields)?;
        Ok(Mamba {
            heads,
            head_dim,
            groups: fields.size("mamba_n_groups")?.unwrap_or(1),
            state: fields.size("mamba_d_state")?.unwrap_or(256),
            conv_kernel: fields.size("mamba_d_conv")?.unwrap_or(4),
            conv_bias: fields.flag("mamba_conv_bias")?.unwrap_or(true),
            bias: fields.flag("mamba_proj_bias")?.unwrap_or(false),
            time_step_min,
            time_step_max,
        })
    }

    pub(super) fn read_nemotron(fields: &mut Fields<'_>) -> Result<Self, ConfigError> {
        fields.pass_over(&[
            "chunk_size",
            "expand",
            "mamba_proj_bias",
            "mamba_ssm_cache_dtype",
            "time_step_floor",
            "time_step_max",
            "use_mamba_kernels",
        ]);
        // read for its errors; transformers clamps at `time_step_min` from below and not from above
        time_step_limit(fields)?;
        Ok(Mamba {
            heads: fields.size("mamba_num_heads")?.unwrap_or(128),
            head_dim: fields.size("mamba_head_dim")?.unwrap_or(64),
            groups: fields.size("n_groups")?.unwrap_or(8),
            state: fields.size("ssm_state_size")?.unwrap_or(128),
            conv_kernel: fields.size("conv_kernel")?.unwrap_or(4),
            conv_bias: fields.flag("use_conv_bias")?.unwrap_or(true),
            bias: fields.flag("use_bias")?.unwrap_or(false),
            time_step_min: fields.number("time_step_min")?.unwrap_or(0.001),
            time_step_max: f64::INFINITY,
        })
    }

    pub(super) fn write(&self, architecture: Architecture, hidden: usize, fields: &mut Value) {
        let more = match architecture {
            Architecture::NemotronH => json!({
                "mamba_num_heads": self.heads, "mamba_head_dim": self.head_dim, "n_groups": self.groups,
                "ssm_state_size": self.state, "conv_kernel": self.conv_kernel, "use_conv_bias": self.conv_bias,
                "use_bias": self.bias, "time_step_min": self.time_step_min, "mamba_hidden_act": "silu",
            }),
            _ => {
                let mut more = json!({
                    "mamba_n_heads": self.heads, "mamba_d_head": self.head_dim, "mamba_n_groups": self.groups,
                    "mamba_d_state": self.state, "mamba_d_conv": self.conv_kernel,
                    "mamba_conv_bias": self.conv_bias, "mamba_proj_bias": self.bias,
                    "mamba_expand": self.inner() / hidden,
                });
                if self.time_step_max.is_finite() || self.time_step_min > 0.0 {
                    let most = match self.time_step_max.is_finite() {
                        true => json!(self.time_step_max),
                        false => json!({ "__float__": "Infinity" }),
                    };
                    more["time_step_limit"] = json!([self.time_step_min, most]);
                }
                more
            }
        };
        if let (Value::Object(fields), Value::Object(more)) = (fields, more) {
            fields.extend(more);
        }
    }

    pub(super) fn validate(&self, architecture: Architecture) -> Result<(), ConfigError> {
        let nemotron = architecture == Architecture::NemotronH;
        let name = |granite, other| if nemotron { other } else { granite };
        for (field, size) in [
            (name("mamba_n_heads", "mamba_num_heads"), self.heads),
            (name("mamba_d_head", "mamba_head_dim"), self.head_dim),
            (name("mamba_n_groups", "n_groups"), self.groups),
            (name("mamba_d_state", "ssm_state_size"), self.state),
            (name("mamba_d_conv", "conv_kernel"), self.conv_kernel),
        ] {
            if size == 0 || size > 1 << 20 {
                return Err(ConfigError::field(field, format!("is {size}: 1 to {} is right", 1 << 20)));
            }
        }
        if !self.heads.is_multiple_of(self.groups) {
            let problem = format!("is {}: a divisor of the {} heads is right", self.groups, self.heads);
            return Err(ConfigError::field(name("mamba_n_groups", "n_groups"), problem));
        }
        Ok(())
    }
}

/// The bounds of time steps; all of them where nothing is said.
fn time_step_limit(fields: &mut Fields<'_>) -> Result<(f64, f64), ConfigError> {
    match fields.numbers("time_step_limit")?.as_deref() {
        None => Ok((0.0, f64::INFINITY)),
        Some([least, most]) if 0.0 <= *least && least < most => Ok((*least, *most)),
        Some(other) => Err(ConfigError::field(
            "time_step_limit",
            format!("is {other:?}: two numbers, the smaller first, are right"),
        )),
    }
}
