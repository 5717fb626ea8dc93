//! The test kit finds what it is for: a verifier broken in each way is caught, each by the check named after it, and a sound one
//! is not.

use rlvr_verdict::testkit::{Options, Report, Status, Suite, run_verifier};
use rlvr_verdict::{Completion, Judges, Problem, ProblemError, Verdict, Verifier};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

const SUITE: &str = r#"
verifier = "broken"

[budget]
p50_s = 0.002

[[case]]
name = "right"
prompt = "What is the capital of France? Not Madrid."
answer = "Paris"
completion = "Paris"
expect = "pass"

[[case]]
name = "wrong"
prompt = "What is the capital of France? Not Madrid."
answer = "Paris"
completion = "Madrid"
expect = "fail"

[[case]]
name = "another problem"
prompt = "What is the capital of Italy?"
answer = "Rome"
completion = "Rome"
expect = "pass"

[[case]]
name = "a third problem"
prompt = "What is the capital of Spain?"
answer = "Madrid"
completion = "Madrid"
score = 1
"#;

/// A verifier in a closure.
struct Broken<F> {
    judges: Judges,
    verify: F,
}

impl<F: Fn(&str, &Completion) -> Verdict + Send + Sync> Verifier for Broken<F> {
    fn name(&self) -> &str {
        "broken"
    }
    fn version(&self) -> &str {
        "1"
    }
    fn check(&self, _: &Problem) -> Result<(), ProblemError> {
        Ok(())
    }
    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        (self.verify)(problem.answer.as_deref().unwrap_or_default(), completion)
    }
    fn judges(&self) -> Judges {
        self.judges
    }
}

fn report(judges: Judges, verify: impl Fn(&str, &Completion) -> Verdict + Send + Sync + 'static) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.toml");
    std::fs::write(&path, SUITE).unwrap();
    let suite = Suite::read(&path).unwrap();
    let options = Options { hang: Duration::from_millis(500), ..Options::default() };
    run_verifier(&suite, Arc::new(Broken { judges, verify }), &options).unwrap()
}

/// Names of the cases and checks that failed.
fn failed(report: &Report) -> Vec<String> {
    let cases = report.cases.iter().filter(|case| !case.passed).map(|case| format!("case/{}", case.name));
    let checks = report.checks.iter().filter(|check| check.status == Status::Failed);
    cases.chain(checks.map(|check| check.name.clone())).collect()
}

fn caught(report: &Report, names: &[&str]) {
    let failed = failed(report);
    for name in names {
        assert!(failed.iter().any(|failed| failed == name), "{name} is not among {failed:?}\n{report}");
    }
}

fn equal(answer: &str, completion: &Completion) -> Verdict {
    match completion.answer_text().trim() {
        "" => Verdict::unparseable("no answer"),
        read if read == answer => Verdict::pass("equal").with_answer(read),
        read => Verdict::fail("not equal").with_answer(read),
    }
}

#[test]
fn a_sound_verifier_passes_every_check() {
    let report = report(Judges::Answer, equal);
    assert!(report.passed(), "{report}");
    let rate = report.false_negatives.unwrap();
    assert_eq!((rate.count, rate.of), (0, 3));
    assert_eq!(report.false_positives.unwrap().count, 0);
    let skipped: Vec<&str> =
        report.checks.iter().filter(|c| c.status == Status::Skipped).map(|c| &*c.name).collect();
    assert_eq!(skipped, ["meta/prose", "meta/repetition"]);
}

#[test]
fn one_that_always_passes_is_caught_by_attacks_and_false_positives() {
    let report = report(Judges::Answer, |_, _| Verdict::pass(""));
    caught(
        &report,
        &["case/wrong", "attack/empty", "attack/injection", "attack/huge", "rates/other-golds-fail"],
    );
}

#[test]
fn one_that_never_passes_is_caught_by_false_negatives() {
    let report = report(Judges::Answer, |_, _| Verdict::fail(""));
    caught(&report, &["case/right", "rates/golds-pass"]);
    assert_eq!(report.false_negatives.unwrap().value, 1.0);
}

#[test]
fn one_whose_verdicts_are_shifted_by_one_is_caught_by_the_order() {
    let last = Mutex::new(Verdict::fail("nothing before"));
    let report = report(Judges::Answer, move |answer, c| {
        std::mem::replace(&mut *last.lock().unwrap(), equal(answer, c))
    });
    caught(&report, &["meta/order"]);
}

#[test]
fn a_slow_one_is_caught_by_its_budget() {
    let report = report(Judges::Answer, |answer, completion| {
        if completion.text.len() < 10 {
            std::thread::sleep(Duration::from_millis(4));
        }
        equal(answer, completion)
    });
    caught(&report, &["cost"]);
    assert_eq!(report.check("cost").unwrap().findings[0].of, "budget.p50_s");
}

#[test]
fn one_that_panics_on_some_texts_is_caught_by_its_faults() {
    // slices in the middle of a character
    let report = report(Judges::Answer, |answer, completion| match completion.text.get(..1) {
        None if !completion.text.is_empty() => panic!("byte 1 of {:?}", &completion.text[..1]),
        _ => equal(answer, completion),
    });
    caught(&report, &["faults", "attack/huge"]);
    let findings = &report.check("faults").unwrap().findings;
    assert!(findings.iter().all(|finding| finding.reason.contains("panicked")), "{findings:?}");
}

#[test]
fn one_that_hangs_is_caught_by_its_faults_and_not_waited_for() {
    let report = report(Judges::Answer, |answer, completion| {
        while completion.text.contains("reward") {
            std::thread::sleep(Duration::from_millis(100));
        }
        equal(answer, completion)
    });
    caught(&report, &["faults", "attack/injection"]);
    let reason = &report.check("faults").unwrap().findings[0].reason;
    assert!(reason.contains("abandoned"), "{reason}");
}

#[test]
fn one_that_depends_on_the_clock_is_caught_by_the_clock() {
    // forgets its golds after a second
    let made = Instant::now();
    let report = report(Judges::Answer, move |answer, completion| {
        if made.elapsed() > Duration::from_secs(1) {
            Verdict::fail("expired")
        } else {
            equal(answer, completion)
        }
    });
    caught(&report, &["determinism/clock"]);
}

#[test]
fn one_that_depends_on_chance_or_on_its_thread_is_caught_by_a_second_worker() {
    let chance = report(Judges::Answer, |answer, completion| {
        let verdict = equal(answer, completion);
        Verdict { reason: format!("{:x}", RandomState::new().hash_one(0)), ..verdict }
    });
    caught(&chance, &["determinism/twice"]);
    let own = OnceLock::new();
    let thread = report(Judges::Answer, move |answer, completion| {
        let here = std::thread::current().id();
        if *own.get_or_init(|| here) == here { equal(answer, completion) } else { Verdict::fail("elsewhere") }
    });
    caught(&thread, &["determinism/twice"]);
}

#[test]
fn one_whose_calls_share_a_buffer_is_caught_by_threads() {
    let buffer = Mutex::new(String::new());
    let report = report(Judges::Answer, move |answer, completion| {
        *buffer.lock().unwrap() = completion.text.clone();
        if completion.text.len() < 10 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let text = buffer.lock().unwrap().clone();
        equal(answer, &Completion { text, ..completion.clone() })
    });
    assert_eq!(failed(&report), ["meta/threads"], "{report}");
}

#[test]
fn one_that_looks_for_the_answer_anywhere_is_caught_by_hedges_thoughts_and_lists() {
    let contains = |answer: &str, completion: &Completion| {
        if completion.text.contains(answer) { Verdict::pass("contains") } else { Verdict::fail("does not") }
    };
    let report = report(Judges::Statement, contains);
    caught(&report, &["attack/hedge", "attack/thinking", "attack/enumeration", "meta/thinking"]);
}

#[test]
fn one_that_claims_to_read_statements_and_does_not_is_caught_by_prose() {
    let report = report(Judges::Statement, equal);
    caught(&report, &["meta/prose", "meta/repetition"]);
}

#[test]
fn one_that_gives_impossible_scores_is_caught_by_its_faults() {
    let report = report(Judges::Answer, |answer, completion| {
        let verdict = equal(answer, completion);
        Verdict { score: Some(verdict.score.unwrap_or(0.0) * 2.0), ..verdict }
    });
    caught(&report, &["faults", "case/right"]);
}

#[test]
fn a_filter_leaves_only_what_it_names_and_skip_leaves_it_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.toml");
    std::fs::write(&path, format!("{SUITE}\n[checks]\nskip = [\"attack/huge\", \"meta\"]\n")).unwrap();
    let suite = Suite::read(&path).unwrap();
    let names = |filter: Option<&str>| {
        let options = Options { filter: filter.map(str::to_owned), ..Options::default() };
        let verifier = Arc::new(Broken { judges: Judges::Answer, verify: equal });
        let report = run_verifier(&suite, verifier, &options).unwrap();
        let cases = report.cases.into_iter().map(|case| format!("case/{}", case.name));
        cases.chain(report.checks.into_iter().map(|check| check.name)).collect::<Vec<_>>()
    };
    assert_eq!(names(Some("case/right")), ["case/right"]);
    assert_eq!(names(Some("s/attack/em")), ["attack/empty"]);
    let all = names(None);
    assert!(!all.iter().any(|name| name == "attack/huge" || name.starts_with("meta/")), "{all:?}");
    assert!(
        all.iter().any(|name| name == "attack/nesting") && all.iter().any(|name| name == "cost"),
        "{all:?}"
    );
}
