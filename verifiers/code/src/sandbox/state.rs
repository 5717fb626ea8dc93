//! What the host knows of the two instances while a check runs: messages on their way, input, output and what stopped it.

use super::limits::Limits;
use rlvr_wasm::Random;
use std::time::Duration;
use wasmtime::{Memory, ResourceLimiter, TypedFunc};

/// Which of the two instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that runs the model's code.
    Solution = 0,
    /// The one that runs the tests.
    Tests = 1,
}

impl Role {
    pub(super) fn other(self) -> Role {
        match self {
            Role::Solution => Role::Tests,
            Role::Tests => Role::Solution,
        }
    }
}

/// Why a guest was stopped before it had answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It used up its fuel.
    #[error("out of fuel")]
    Fuel,
    /// It asked for more memory than it may have.
    #[error("out of memory")]
    Memory,
    /// It wrote more than it may.
    #[error("too much output")]
    Output,
    /// It ended its process.
    #[error("exit with code {0}")]
    Exit(i32),
    /// It trapped: a stack overflow, or an interpreter that the program had corrupted.
    #[error("{0}")]
    Trap(String),
    /// The epoch backstop fired: ours to retry.
    #[error("the backstop fired")]
    Backstop,
    /// Anything else that is ours.
    #[error("{0}")]
    Host(String),
}

/// One instance as the host sees it.
#[derive(Default)]
pub(super) struct Side {
    pub memory: Option<Memory>,
    pub dispatch: Option<TypedFunc<u32, u32>>,
    pub control: Option<TypedFunc<u32, u32>>,
    /// What the guest fetches next with `take`.
    pub inbox: Vec<u8>,
    /// What it answered with `give`.
    pub outbox: Option<Vec<u8>>,
    pub stdin: Vec<u8>,
    pub stdin_at: usize,
    pub stdout: Vec<u8>,
    /// What its random numbers are drawn from.
    pub random: Random,
}

/// The data of a store.
pub(super) struct State {
    pub sides: [Side; 2],
    pub active: Role,
    pub depth: u32,
    pub limits: Limits,
    /// Fuel at the start of the check.
    pub fuel: u64,
    /// Nanoseconds that guests have slept.
    pub slept: u64,
    /// Bytes written to standard output and error.
    pub written: u64,
    /// Largest memory of either instance.
    pub peak: usize,
    /// Processor time of the thread at which the request under way is given up, once it has been looked at.
    pub deadline: Option<Duration>,
}

/// Nested calls between the two instances at most.
pub(super) const MOST_DEPTH: u32 = 1000;

/// Bytes of a message at most.
pub(super) const MOST_MESSAGE: usize = 64 << 20;

impl State {
    pub fn new(limits: Limits) -> Self {
        State {
            sides: Default::default(),
            active: Role::Tests,
            depth: 0,
            limits,
            fuel: limits.fuel(),
            slept: 0,
            written: 0,
            peak: 0,
            deadline: None,
        }
    }

    pub fn side(&mut self) -> &mut Side {
        &mut self.sides[self.active as usize]
    }

    /// Forgets a check, for the next one under `limits`.
    pub fn clear(&mut self, limits: Limits) {
        (self.active, self.depth, self.slept, self.written) = (Role::Tests, 0, 0, 0);
        (self.limits, self.fuel, self.peak, self.deadline) = (limits, limits.fuel(), 0, None);
        for side in &mut self.sides {
            *side = Side {
                memory: side.memory,
                dispatch: side.dispatch.take(),
                control: side.control.take(),
                ..Side::default()
            };
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired as u64 > self.limits.memory {
            return Err(wasmtime::Error::new(Stop::Memory));
        }
        self.peak = self.peak.max(desired);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 100_000)
    }
}
