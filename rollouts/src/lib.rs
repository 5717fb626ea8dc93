//! Sampling completions from a policy: continuous batching over a paged key-value cache.
//!
//! The contract: [`Sampler::generate`] takes groups of prompts as token ids and gives back, as each one ends, the
//! completions as token ids with the log-probability of every one of them. It knows ids, never text: stop strings are
//! asked of a [`StopRule`]. A prompt runs once however many samples it has, and they share its pages; memory is bounded
//! by the pages of the [`SamplerConfig`], and a request that could never fit is an error before anything runs. Which
//! tokens are drawn depends on the weights, the prompt, the [`SamplingParams`] and the address of each draw
//! ([`RngKey`], [`Draw`]), never on what a sample was batched with, so any rollout can be drawn again alone and comes
//! out the same to the bit.
//!
//! | module | is about |
//! | --- | --- |
//! | `request` | what goes in and comes out: requests, rollouts, stop rules |
//! | `sampler` | the loop: rows, logits, draws, delivery |
//! | `scheduler` | which sequences are in the batch and which rows a step runs |
//! | `pages` | who holds which page of the cache |
//! | `sampling` | from a row of logits to a token |
//! | `philox` | random numbers by address |
//! | `error` | what can be wrong |

mod error;
mod pages;
mod philox;
mod request;
mod sampler;
mod sampling;
mod scheduler;

pub use error::RolloutError;
pub use pages::{ForkCopies, PageCopy, PagePool, PageTable, StateCopy, pages_for};
pub use philox::{AddressError, Draw, RngKey, SAMPLE_BITS, SEED_BITS};
pub use request::{Finish, NoStopRule, Request, Rollout, StopRule};
pub use sampler::{Sampler, SamplerConfig, Stats};
pub use sampling::{Drawn, SamplingParams, Tail};
pub use scheduler::Limits;
