//! The verifier `python`: does a model-written program pass its tests? And `python_file`: what does a reward function in a Python
//! file say of a completion ([`PythonFile`])?
//!
//! CPython 3.13 runs in process, as a wasm guest in wasmtime, snapshotted after its boot: a check starts from a copy of that
//! memory and takes a millisecond. Fuel, not time, limits a program, so that a verdict is the same on any machine under any load.
//!
//! The judge does not trust the guest. The solution runs in one instance, the tests in another that the solution never touches,
//! and what crosses between them is plain data ([`sandbox`]). See the book's page on code for what that means for tests.

pub mod attacks;
pub mod bench;
mod extract;
mod judge;
mod modules;
mod output;
mod reward;
pub mod sandbox;
mod task;
mod verifier;
mod watch;
mod workers;

pub use extract::candidates;
pub use output::{Compare, same_output};
pub use reward::{PythonFile, PythonFileConfig};
pub use task::{Credit, StdinCase, Task, Tests};
pub use verifier::{Isolation, PythonConfig, PythonVerifier};

/// Adds the verifiers `python` and `python_file` to a registry.
pub fn register(registry: &mut rlvr_verdict::Registry) {
    registry.add("python", PythonVerifier::new);
    registry.add("python_file", PythonFile::open);
}
