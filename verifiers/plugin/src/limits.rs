//! What a call of a component may use.

use serde::Deserialize;

/// Limits of one call: of `verify`, or of `check`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Units of fuel, about one per wasm instruction. The verdict.
    pub fuel: u64,
    /// Bytes that all of its memories together may have.
    pub memory: u64,
    /// Bytes that are kept of what it writes to standard output and error; the rest is dropped.
    pub output: u64,
    /// Seconds of wall time after which a call is given up as a fault of ours, to be retried: never a verdict.
    pub backstop: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { fuel: 2_000_000_000, memory: 256 << 20, output: 64 << 10, backstop: 50.0 }
    }
}

impl Limits {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// The key, what is wrong with it and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: u64, most: u64, unit: &str| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(format!("limits.{name}: {value} is not in 1..={most} ({unit})")),
        };
        within("fuel", self.fuel, u64::MAX >> 1, "units")?;
        within("memory", self.memory, 4 << 30, "bytes")?;
        within("output", self.output, 1 << 30, "bytes")?;
        if !(self.backstop > 0.0 && self.backstop <= 1e6) {
            return Err(format!("limits.backstop: {} is not a number of seconds above 0", self.backstop));
        }
        Ok(())
    }
}
