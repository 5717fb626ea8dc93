//! What a verifier's author needs, alone: [`Problem`], [`Completion`], [`Verdict`] and the [`Verifier`] trait; and around them a
//! [`Registry`] of verifiers by name, a [`VerifierPool`] over threads, rows of task sets ([`tasks`]) and the composition of
//! verdicts into rewards ([`compose`]), settings with the nearest right name for a wrong one ([`settings`]); and unit tests of verifiers ([`testkit`]).
//!
//! A verdict is typed and reproducible, and a verifier's own fault is never a zero: a panic, a hang or an impossible score is
//! [`Outcome::Fault`], which has no score. No machine learning is inside.

pub mod compose;
mod exact;
mod files;
mod pool;
mod probe;
mod problem;
mod registry;
pub mod settings;
pub mod tasks;
pub mod testkit;
mod verdict;
mod verifier;

pub use exact::read_json;
pub use files::{FILE_KINDS, FileKind};
pub use pool::{FaultCount, Job, Round, VerifierPool};
pub use probe::{Attack, Expect, Judges, Step};
pub use problem::{Completion, Message, Problem, ProblemError};
pub use registry::{Registry, RegistryError, nearest};
pub use verdict::{Cost, Outcome, Verdict};
pub use verifier::{Verifier, explain_guarded, verify_guarded};
