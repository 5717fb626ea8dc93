//! The corpus of attacks scores nothing, and the host is as it was after it.

use rlvr_code::attacks::{self, Attack};
use rlvr_code::bench::private_bytes;
use rlvr_code::{PythonConfig, PythonVerifier};
use rlvr_verdict::{Outcome, Verdict, verify_guarded};
use std::sync::OnceLock;

/// Little fuel, since many attacks use all that there is.
fn python() -> &'static PythonVerifier {
    static VERIFIER: OnceLock<PythonVerifier> = OnceLock::new();
    VERIFIER.get_or_init(|| {
        let mut config = PythonConfig::default();
        (config.limits.seconds, config.limits.memory) = (0.05, 256 << 20);
        PythonVerifier::new(config).unwrap()
    })
}

fn judge(attack: &Attack) -> Verdict {
    verify_guarded(python(), &attack.problem, &attack.completion)
}

#[test]
fn no_attack_scores_and_none_is_a_fault() {
    for attack in attacks::all() {
        let verdict = judge(&attack);
        assert_eq!(
            verdict.score,
            Some(0.0),
            "{}: {}: {}",
            attack.problem.id,
            verdict.outcome,
            verdict.reason
        );
    }
    for reference in attacks::references() {
        let verdict = judge(&reference);
        assert_eq!(verdict.outcome, Outcome::Pass, "{}: {}", reference.problem.id, verdict.reason);
    }
}

#[test]
fn what_exhausts_its_limits_is_marked_in_the_corpus() {
    use Outcome::{OutOfFuel, OutOfMemory, OutputLimit};
    let unmarked = attacks::all().into_iter().filter(|attack| !attack.exhausts);
    let exhausted = |attack: &Attack| matches!(judge(attack).outcome, OutOfFuel | OutOfMemory | OutputLimit);
    let found: Vec<String> = unmarked.filter(exhausted).map(|attack| attack.problem.id).collect();
    assert!(found.is_empty(), "to be marked: {found:#?}");
}

#[test]
fn every_attack_gets_as_far_as_being_run() {
    for attack in attacks::all() {
        let verdict = judge(&attack);
        assert_ne!(verdict.outcome, Outcome::Unparseable, "{}: {}", attack.problem.id, verdict.reason);
    }
}

#[test]
fn verdicts_on_attacks_are_the_same_in_any_order_on_any_thread() {
    let attacks = attacks::all();
    let first: Vec<Verdict> = attacks.iter().map(judge).collect();
    std::thread::scope(|scope| {
        for odd in 0..2 {
            let (attacks, first) = (&attacks, &first);
            scope.spawn(move || {
                for i in (0..attacks.len()).rev().filter(|i| i % 2 == odd) {
                    let again = judge(&attacks[i]);
                    assert!(again.same_as(&first[i]), "{}: {again:?}, {:?}", attacks[i].problem.id, first[i]);
                }
            });
        }
    });
}

#[test]
fn memory_is_back_where_it_was_after_many_hostile_checks() {
    let attacks = attacks::all();
    let round = || attacks.iter().for_each(|attack| drop(judge(attack)));
    round();
    let before = private_bytes();
    round();
    round();
    let after = private_bytes();
    assert!(after < before + (48 << 20), "{before} bytes before, {after} after");
}

#[test]
#[ignore = "takes a minute: ten thousand checks; run with -- --ignored"]
fn memory_is_back_where_it_was_after_ten_thousand_hostile_checks() {
    let attacks: Vec<Attack> = attacks::all().into_iter().filter(|attack| !attack.exhausts).collect();
    let exhausting: Vec<Attack> = attacks::all().into_iter().filter(|attack| attack.exhausts).collect();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        status
            .lines()
            .filter(|line| line.starts_with("Rss") || line.starts_with("VmRSS"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    attacks.iter().chain(&exhausting).for_each(|attack| drop(judge(attack)));
    let (before, at_first) = (private_bytes(), resident());
    let mut checks = 0;
    exhausting.iter().for_each(|attack| drop(judge(attack)));
    while checks + exhausting.len() < 10_000 {
        let attack = &attacks[checks % attacks.len()];
        assert_eq!(judge(attack).score, Some(0.0), "{}", attack.problem.id);
        checks += 1;
    }
    let after = private_bytes();
    println!("{} checks: {before} anonymous bytes before, {after} after", checks + exhausting.len());
    println!("before: {at_first}\nafter: {}", resident());
    assert!(after < before + (8 << 20), "{before} bytes before, {after} after");
}
