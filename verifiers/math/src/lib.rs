//! The verifier `math`: does a completion's final answer equal the gold answer?
//!
//! A wrong verdict is a wrong gradient, and a false pass is what a model learns to exploit; so the answer is
//! looked for only where a completion states it ([`extract`]), read exactly or not at all ([`read`]), and
//! compared exactly ([`compare`]). What is not a plain number is compared as normalised text. Every input
//! gets a verdict in bounded time and memory: lengths, digits, nesting and the size of results are limited
//! before any work is done ([`limits`]).
//!
//! ```
//! use rlvr_math::MathVerifier;
//! use rlvr_verdict::{Completion, Outcome, Problem, Verifier};
//!
//! let math = MathVerifier::default();
//! let problem = Problem { answer: Some(r"\frac{1}{2}".into()), ..Problem::default() };
//! let judge = |text: &str| math.verify(&problem, &Completion::new(text));
//!
//! assert_eq!(judge(r"So we get $\boxed{0.5}$.").outcome, Outcome::Pass);
//! assert_eq!(judge("The answer is 1/2 or 1/3.").outcome, Outcome::Fail);
//! assert_eq!(judge("I would think about a half of it.").outcome, Outcome::Unparseable);
//! ```

mod arithmetic;
mod compare;
mod extract;
mod lex;
pub mod limits;
mod reading;
mod units;
mod verifier;

pub use compare::{Comparison, compare};
pub use extract::{Extracted, Rule, answer_part, extract};
pub use limits::LimitError;
pub use reading::{Number, Reading, read};
pub use verifier::{MathConfig, MathVerifier};

/// Adds the verifier `math` to a registry.
pub fn register(registry: &mut rlvr_verdict::Registry) {
    registry.add("math", |config: MathConfig| MathVerifier::new(config));
}
