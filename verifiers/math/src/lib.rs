//! The verifier `math`: does a completion's final answer equal the gold answer?
//!
//! A wrong verdict is a wrong gradient, and a false pass is what a model learns to exploit. So the answer is looked
//! for only where a completion states it ([`extract`]), read by a parser of LaTeX and plain text into a typed tree
//! ([`read`], [`Expr`]), and compared by shape and value ([`compare`]): rationals exactly, rational functions modulo
//! large primes, everything else at points, rejected in f64 and confirmed at 320 bits with bounds of the error. What
//! mathematics alone does not decide is a named policy ([`Policies`]). Every input gets a verdict in bounded time and
//! memory: lengths, digits, nesting and the size of results are limited before any work is done ([`limits`]).
//!
//! ```
//! use rlvr_math::MathVerifier;
//! use rlvr_verdict::{Completion, Outcome, Problem, Verifier};
//!
//! let math = MathVerifier::default();
//! let problem = Problem { answer: Some(r"\frac{1}{2}".into()), ..Problem::default() };
//! let judge = |text: &str| math.verify(&problem, &Completion::new(text));
//!
//! assert_eq!(judge(r"So we get $\boxed{\sin 30^\circ}$.").outcome, Outcome::Pass);
//! assert_eq!(judge("The answer is 1/2 or 1/3.").outcome, Outcome::Fail);
//! assert_eq!(judge("I would think about a half of it.").outcome, Outcome::Unparseable);
//! ```

mod config;
mod equal;
mod extract;
mod lex;
mod lexicon;
pub mod limits;
mod number;
mod parse;
mod reading;
mod render;
mod trace;
mod tree;
mod units;
mod verifier;
mod words;
mod work;

pub use config::{ConfigError, MathConfig};
pub use equal::{Finding, Log, Policies, Unevaluated, compare};
pub use extract::{Beside, Extracted, Rule, Thinking, extract};
pub use lexicon::Context;
pub use limits::LimitError;
pub use reading::{Reading, read};
pub use tree::{Constant, Decimal, Expr, Function, Number, Relator, Series};
pub use units::{Dimension, Unit};
pub use verifier::MathVerifier;
pub use work::Work;

/// Adds the verifier `math` to a registry.
pub fn register(registry: &mut rlvr_verdict::Registry) {
    registry.add("math", |config: MathConfig| MathVerifier::new(config));
}
