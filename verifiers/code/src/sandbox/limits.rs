//! What a check may use, and how fuel, time and native Python relate.

use serde::Deserialize;

/// Fuel units that a second of native CPython 3.13 costs in the sandbox: the work that CPython does natively in one second takes
/// this many units, measured by `rlvr bench verify-python`. Guests' clocks advance by it too, so that a program that waits, or
/// measures time, sees seconds of native length.
pub const FUEL_PER_SECOND: u64 = 40_000_000_000;

/// Limits of one check.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Seconds of native Python; times [`FUEL_PER_SECOND`], the fuel of all cases of a check together. The verdict.
    pub seconds: f64,
    /// Bytes of memory that each instance may have, its interpreter included.
    pub memory: u64,
    /// Bytes that a program may write to its standard output and error together.
    pub output: u64,
    /// Seconds of wall time after which a check is given up as a fault of ours, to be retried: never a verdict.
    pub backstop: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { seconds: 3.0, memory: 512 << 20, output: 8 << 20, backstop: 50.0 }
    }
}

impl Limits {
    /// Least memory with which a guest can start.
    pub const LEAST_MEMORY: u64 = 160 << 20;

    /// Fuel units of a check.
    pub fn fuel(&self) -> u64 {
        (self.seconds * FUEL_PER_SECOND as f64) as u64
    }

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// The key, what is wrong with it and what would be right.
    pub fn check(&self) -> Result<(), String> {
        let positive = |name: &str, value: f64| match value.is_finite() && value > 0.0 && value <= 1e6 {
            true => Ok(()),
            false => Err(format!("limits.{name}: {value} is not a number of seconds above 0")),
        };
        positive("seconds", self.seconds)?;
        positive("backstop", self.backstop)?;
        if self.memory < Self::LEAST_MEMORY || self.memory > 4 << 30 {
            let (memory, least) = (self.memory, Self::LEAST_MEMORY);
            return Err(format!("limits.memory: {memory} is not in {least}..=4294967296 (bytes)"));
        }
        if self.output == 0 || self.output > 1 << 30 {
            return Err(format!("limits.output: {} is not in 1..=1073741824 (bytes)", self.output));
        }
        Ok(())
    }
}
