//! The sandbox: a CPython guest in wasmtime, in pairs of instances that share nothing but messages.

mod engine;
mod guest;
mod limits;
mod pages;
mod pair;
mod resident;
mod stack;
mod state;
mod surface;

pub(crate) use engine::THREAD_STACK;
pub use engine::{Sandbox, SandboxError};
pub use guest::GUEST_SHA256;
pub use limits::{FUEL_PER_SECOND, Limits};
pub use pair::{Pair, Used};
pub(crate) use resident::{Image, Resident};
pub(crate) use stack::Stack;
pub use state::{Role, Stop};
