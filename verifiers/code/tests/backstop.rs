//! The backstop of wall time: when it fires it is our fault, which is tried again, and never the completion's.

use rlvr_code::sandbox::Limits;
use rlvr_code::{PythonConfig, PythonVerifier};
use rlvr_verdict::{
    Completion, Job, Outcome, Problem, ProblemError, Verdict, Verifier, VerifierPool, verify_guarded,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Fuel for hours, and a backstop of a tenth of a second.
fn impatient() -> PythonVerifier {
    let limits = Limits { seconds: 1000.0, backstop: 0.1, ..Limits::default() };
    PythonVerifier::new(PythonConfig { limits, ..PythonConfig::default() }).unwrap()
}

fn problem() -> Problem {
    Problem { tests: Some(json!({ "kind": "asserts", "code": "assert f(1) == 2" })), ..Problem::default() }
}

const ENDLESS: &str = "def f(x):\n    while True: pass\n";

#[test]
fn its_firing_is_a_fault_after_which_the_worker_is_as_good_as_new() {
    let (python, problem) = (impatient(), problem());
    let judge = |code: &str| verify_guarded(&python, &problem, &Completion::new(code));
    // the guest is loaded before the clock counts
    assert_eq!(judge("def f(x): return x + 1").outcome, Outcome::Pass);
    for endless in [ENDLESS, "while True: pass", "import re\ndef f(x): return re.match('(a*)*b', 'a' * 40)"] {
        let verdict = judge(endless);
        assert_eq!((verdict.outcome, verdict.score), (Outcome::Fault, None), "{}", verdict.reason);
        assert!(verdict.reason.contains("backstop"), "{}", verdict.reason);
        assert_eq!(judge("def f(x): return x + 1").outcome, Outcome::Pass);
        assert_eq!(judge("def f(x): return x").outcome, Outcome::Fail);
    }
}

/// Counts how often it is asked.
struct Counted(PythonVerifier, AtomicUsize);

impl Verifier for Counted {
    fn name(&self) -> &str {
        "counted"
    }
    fn version(&self) -> &str {
        self.0.version()
    }
    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        self.0.check(problem)
    }
    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        // the first try meets a machine that is too busy
        match self.1.fetch_add(1, Ordering::SeqCst) {
            0 => self.0.verify(problem, &Completion::new(ENDLESS)),
            _ => self.0.verify(problem, completion),
        }
    }
}

#[test]
fn its_firing_is_tried_again() {
    let pool = VerifierPool::new(1, VerifierPool::HANG).unwrap();
    let verifier = Arc::new(Counted(impatient(), AtomicUsize::new(0)));
    let verdict = |code: &str| {
        let mut round = pool.round::<()>();
        let completion = Arc::new(Completion::new(code));
        round.submit(
            (),
            Job { verifier: verifier.clone(), problem: Arc::new(problem()), completion, sample: 0 },
        );
        round.next_verdict().unwrap().1
    };
    assert_eq!(verdict("def f(x): return x + 1").outcome, Outcome::Pass);
    assert_eq!(verifier.1.load(Ordering::SeqCst), 2);
    assert_eq!(verdict(ENDLESS).outcome, Outcome::Fault);
    assert_eq!(verifier.1.load(Ordering::SeqCst), 4, "once more, and then it stands");
}
