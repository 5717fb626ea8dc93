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
    /// Seconds of processor time of its thread after which a request to a guest is given up as a fault of ours, to be retried:
    /// never a verdict. Grows with the seconds of a row that asks for more than `seconds`.
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

    /// These limits with a row's own seconds.
    pub fn for_row(self, seconds: Option<f64>) -> Limits {
        let seconds = seconds.unwrap_or(self.seconds);
        Limits { seconds, backstop: self.backstop * (seconds / self.seconds).max(1.0), ..self }
    }

    /// Seconds that can be meant: enough for the interpreter to read the tests, and an end in sight.
    pub const SECONDS: std::ops::RangeInclusive<f64> = 0.01..=1e6;

    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// The key, what is wrong with it and what would be right.
    pub fn check(&self) -> Result<(), String> {
        for (name, value) in [("seconds", self.seconds), ("backstop", self.backstop)] {
            if !Self::SECONDS.contains(&value) {
                return Err(format!("limits.{name}: {value} is not in 0.01..=1000000 (seconds)"));
            }
        }
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
