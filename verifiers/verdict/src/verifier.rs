//! The trait that everything which scores completions implements.

use crate::{Attack, Completion, Judges, Problem, ProblemError, Step, Verdict};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// A judge of completions.
///
/// `verify` is a function of the problem and the completion alone: the same inputs give the same verdict, wall time aside, on
/// any thread and in any order. What a completion can provoke (an exception, an endless loop) is a verdict with a score;
/// [`Outcome::Fault`](crate::Outcome::Fault) is for failures of the verifier itself.
///
/// ```
/// use rlvr_verdict::{Completion, Problem, ProblemError, Verdict, Verifier};
///
/// /// Passes completions that contain the answer.
/// struct Contains;
///
/// impl Verifier for Contains {
///     fn name(&self) -> &str {
///         "contains"
///     }
///     fn version(&self) -> &str {
///         "1"
///     }
///     fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
///         match problem.answer {
///             Some(_) => Ok(()),
///             None => Err(ProblemError::new("answer", "is missing", "give the text to look for")),
///         }
///     }
///     fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
///         match &problem.answer {
///             Some(answer) if completion.text.contains(answer) => Verdict::pass(format!("contains {answer:?}")),
///             Some(answer) => Verdict::fail(format!("does not contain {answer:?}")),
///             None => Verdict::fault("the problem has no answer"),
///         }
///     }
/// }
///
/// let problem = Problem { answer: Some("42".into()), ..Problem::default() };
/// assert_eq!(Contains.verify(&problem, &Completion::new("it is 42")).score, Some(1.0));
/// ```
pub trait Verifier: Send + Sync {
    /// The name that task rows use.
    fn name(&self) -> &str;

    /// Changes whenever a verdict may.
    fn version(&self) -> &str;

    /// Whether the problem can be judged. Run over a whole task set before training.
    ///
    /// # Errors
    /// A field that is missing or cannot be read, with what would be right.
    fn check(&self, problem: &Problem) -> Result<(), ProblemError>;

    /// Judges a completion.
    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict;

    /// Which part of a completion counts. The test kit tests what follows from it.
    fn judges(&self) -> Judges {
        Judges::default()
    }

    /// A completion that passes, where one can be written from the problem: the answer itself unless overridden. None is meant
    /// for a verifier whose problems do not hold their answer, such as one that runs tests.
    fn gold(&self, problem: &Problem) -> Option<Completion> {
        problem.answer.as_deref().map(Completion::new)
    }

    /// Attacks on this verifier in particular, which the test kit tries beside those on any verifier.
    fn attacks(&self, _problem: &Problem) -> Vec<Attack> {
        Vec::new()
    }

    /// How the verdict on a completion comes about, for a person: what was read, every rule that was tried, each part. Never
    /// called while training; without an implementation, what the verdict itself tells.
    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        Step::of_verdict(&self.verify(problem, completion))
    }
}

/// Runs a verifier, turning a panic or an impossible score into a fault and noting the wall time.
pub fn verify_guarded(verifier: &dyn Verifier, problem: &Problem, completion: &Completion) -> Verdict {
    let start = Instant::now();
    let mut verdict = match catch_unwind(AssertUnwindSafe(|| verifier.verify(problem, completion))) {
        Ok(verdict) => verdict.checked(),
        Err(panic) => {
            Verdict::fault(format!("verifier `{}` panicked: {}", verifier.name(), message(&*panic)))
        }
    };
    verdict.cost.wall = start.elapsed().as_secs_f64();
    verdict
}

/// The steps of a verifier, or the panic that it ended in.
pub fn explain_guarded(verifier: &dyn Verifier, problem: &Problem, completion: &Completion) -> Vec<Step> {
    catch_unwind(AssertUnwindSafe(|| verifier.explain(problem, completion)))
        .unwrap_or_else(|panic| vec![Step::rule("explain", false, format!("panicked: {}", message(&*panic)))])
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
