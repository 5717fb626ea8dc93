//! The verifier `wasm`: a component in any language that exports the WIT interface `rlvr:verifier/verifier`, loaded from a file.
//!
//! Every call runs in an instance of its own, made from a compiled component in microseconds and dropped after it, so that nothing
//! is carried from one check to the next. Fuel and memory are bounded; the host gives a virtual clock, seeded random numbers and
//! bounded output, and nothing else.
//!
//! WASI 0.2 is answered by some forty functions of our own (`wasi`) and by traps for the rest. The crate `wasmtime-wasi`
//! could be configured to the same end, but its purpose is to open files, sockets and clocks of the host: it brings tokio's
//! network stack and cap-std, waits in real time, and spends no fuel on it.

mod bindings;
mod engine;
mod limits;
mod state;
mod verifier;
mod wasi;

pub use limits::Limits;
pub use verifier::{WasmConfig, WasmVerifier};

/// The WIT package that components are made for.
pub const WIT: &str = include_str!("../wit/verifier.wit");

/// Adds the verifier `wasm` to a registry.
pub fn register(registry: &mut rlvr_verdict::Registry) {
    registry.add("wasm", WasmVerifier::new);
}
