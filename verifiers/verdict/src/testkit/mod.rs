//! Unit tests of verifiers, without a model: cases with their expected verdicts, and on top of them what every reward must
//! survive.
//!
//! | check | what it finds |
//! | --- | --- |
//! | `case/NAME` | a verdict that is not as the case says |
//! | `attack/NAME` | a completion without a right answer that passes: empty, huge, hedged, echoed, injected, ... ([`attacks`]) |
//! | `meta/prose`, `whitespace`, `thinking`, `repetition` | a verdict that changes with what does not count |
//! | `meta/order`, `meta/threads` | a verdict that depends on what was judged before or beside it |
//! | `rates/golds-pass`, `rates/other-golds-fail` | false negatives and positives over the problems, with intervals |
//! | `determinism/twice`, `determinism/clock` | a verdict that another worker, or the same a second later, does not make again |
//! | `cost` | more time, fuel or memory than the budget |
//! | `faults` | a verdict that is the verifier's own failure: a panic, a hang, an impossible score |
//!
//! What a verifier judges ([`Verifier::judges`](crate::Verifier::judges)) decides which of them have a meaning; the report says
//! which were skipped, and why.
//!
//! In a verifier's crate, [`test_suites!`](crate::test_suites) makes each suite a test of `cargo test`:
//!
//! ```no_run
//! rlvr_verdict::test_suites! {
//!     registry: |registry| registry.add_verifier(mine::Verifier);
//!     words => "tests/words.toml";
//!     numbers => "tests/numbers.toml";
//! }
//! # mod mine {
//! #     use rlvr_verdict::*;
//! #     pub struct Verifier;
//! #     impl rlvr_verdict::Verifier for Verifier {
//! #         fn name(&self) -> &str { "mine" }
//! #         fn version(&self) -> &str { "1" }
//! #         fn check(&self, _: &Problem) -> Result<(), ProblemError> { Ok(()) }
//! #         fn verify(&self, _: &Problem, _: &Completion) -> Verdict { Verdict::pass("") }
//! #     }
//! # }
//! ```

mod again;
pub mod attacks;
mod case;
mod golds;
mod metamorphic;
mod report;
mod run;
mod stats;
mod suite;
mod trials;

pub use case::{Case, Difference, Expected, Range};
pub use report::{CaseResult, CheckResult, Finding, Report, Status};
pub use run::{Options, run, run_verifier};
pub use stats::{CostSummary, Rate};
pub use suite::{Budget, Checks, RateLimits, Suite, SuiteError};

use crate::Registry;
use std::path::Path;

/// Runs the suite in `folder/file`, for a test.
///
/// # Panics
/// With the whole report when anything failed, and when the suite cannot be read.
pub fn assert_suite(folder: &str, file: &str, registry: &Registry) {
    let path = Path::new(folder).join(file);
    let report = Suite::read(&path).and_then(|suite| run(&suite, registry, &Options::default()));
    match report {
        Ok(report) if report.passed() => print!("{report}"),
        Ok(report) => panic!("{} of the suite's cases and checks failed\n{report}", report.failures()),
        Err(error) => panic!("{error}"),
    }
}

/// Makes each suite a test: `name => "FILE";`, the file from the crate's folder, after `registry:` and a closure that adds the
/// crate's verifiers to a [`Registry`]. A test that fails shows the whole report.
#[macro_export]
macro_rules! test_suites {
    (registry: $register:expr; $($name:ident => $file:literal;)+) => {
        $(
            #[test]
            fn $name() {
                let mut registry = $crate::Registry::new();
                let register: fn(&mut $crate::Registry) = $register;
                register(&mut registry);
                $crate::testkit::assert_suite(env!("CARGO_MANIFEST_DIR"), $file, &registry);
            }
        )+
    };
}
