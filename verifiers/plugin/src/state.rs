//! What the host knows of a component while a call runs: its budget, its clock, its output, and what stopped it.

use crate::limits::Limits;
use rlvr_verdict::Outcome;
use rlvr_wasm::Random;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Trap};

/// Why a component was stopped before it had answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// It used up its fuel.
    #[error("used up its fuel")]
    Fuel,
    /// It asked for more memory than it may have.
    #[error("asked for more memory than it may have")]
    Memory,
    /// It used up its stack.
    #[error("used up its stack")]
    Stack,
    /// It ended its process.
    #[error("ended itself with an exit code of {0}")]
    Exit(i32),
    /// It trapped, or called what it does not have.
    #[error("trapped: {0}")]
    Trap(String),
    /// The epoch backstop fired: ours to retry.
    #[error("was still running when its backstop of wall time fired")]
    Backstop,
}

impl Stop {
    /// The outcome of a completion that has used up a budget.
    pub fn exhausted(&self) -> Option<Outcome> {
        match self {
            Stop::Fuel => Some(Outcome::OutOfFuel),
            Stop::Memory => Some(Outcome::OutOfMemory),
            Stop::Stack => Some(Outcome::Trapped),
            Stop::Exit(_) | Stop::Trap(_) | Stop::Backstop => None,
        }
    }
}

impl From<wasmtime::Error> for Stop {
    fn from(error: wasmtime::Error) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return stop.clone();
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => Stop::Fuel,
            Some(Trap::StackOverflow) => Stop::Stack,
            Some(Trap::Interrupt) => Stop::Backstop,
            Some(trap) => Stop::Trap(trap.to_string().trim_start_matches("wasm trap: ").to_owned()),
            None => Stop::Trap(error.root_cause().to_string()),
        }
    }
}

/// What a component wrote to standard output and error, in order, up to a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    most: usize,
    dropped: u64,
}

impl Output {
    pub fn write(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(self.most - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..kept]);
        self.dropped += (bytes.len() - kept) as u64;
    }

    /// The text, with a note of how much is missing.
    pub fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.dropped > 0 {
            text += &format!("[and {} bytes more]", self.dropped);
        }
        text
    }
}

/// Streams and the like that a call may hold at once.
const MOST_RESOURCES: usize = 10_000;

/// The data of a store.
pub(crate) struct State {
    pub table: ResourceTable,
    pub output: Output,
    pub random: Random,
    /// Fuel at the start of the call: the clock is what has been used of it.
    pub fuel: u64,
    /// Largest sum of the memories so far, in bytes.
    pub peak: usize,
    memory: usize,
    most_memory: u64,
}

impl State {
    pub fn new(limits: &Limits, seed: [u8; 32]) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        State {
            table,
            output: Output { most: limits.output as usize, ..Output::default() },
            random: Random::new(seed),
            fuel: limits.fuel,
            peak: 0,
            memory: 0,
            most_memory: limits.memory,
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        most: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if most.is_some_and(|most| desired > most) {
            return Ok(false);
        }
        let all = self.memory - current + desired;
        if all as u64 > self.most_memory {
            return Err(wasmtime::Error::new(Stop::Memory));
        }
        (self.memory, self.peak) = (all, self.peak.max(all));
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 1 << 20)
    }
}
