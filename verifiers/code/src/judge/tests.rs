//! What a check leaves in memory, and what must not change its verdict or fuel.

use super::*;
use crate::sandbox::{Sandbox, THREAD_STACK};
use rlvr_verdict::Problem;
use std::sync::Arc;

/// Runs `look` on a pair that has judged a completion and is not put back yet.
fn after_judging(tests: Value, completion: &str, look: impl FnOnce(&Pair, &Score) + Send) {
    let problem = Problem { tests: Some(tests), ..Problem::default() };
    let task = Task::read(&problem).unwrap();
    let codes = located(completion);
    std::thread::scope(|scope| {
        let work = || {
            let mut pair = Pair::new(Sandbox::open(&|_| {}).unwrap());
            pair.begin(Limits::default(), seeds(&task)).unwrap();
            let score = match &task.tests {
                Tests::Stdin { .. } => run_programs(&mut pair, &task, &codes, &mut Watch::off()),
                _ => run_tests(&mut pair, &task, &codes, &mut Watch::off()),
            };
            look(&pair, &score.unwrap_or_else(|early| panic!("{}", early.1)));
        };
        std::thread::Builder::new().stack_size(THREAD_STACK).spawn_scoped(scope, work).unwrap();
    });
}

#[test]
fn expected_outputs_never_enter_the_memory_of_the_solution() {
    let solution = "def f(x):\n    return 'argument of the ' + x\ndef g(spy):\n    try: spy(1)\n    except Exception as error: f.seen = repr(error)\n\nprint('said by the solution')\n";
    let asserts = "assert f('asked0question') == 'the0expected'\nassert f('b') == 'argument of the b', 'a0message'\nassert abs(len(f('c')) - 271828182845) < 1";
    let calls = json!([{ "args": ["asked0question"], "output": "the0expected" }, { "args": ["d"], "output": { "a0message": 271828182845_u64 } }]);
    let check = format!("def check(candidate):\n    {}", asserts.replace('\n', "\n    "));
    for tests in [
        json!({ "kind": "asserts", "code": asserts }),
        json!({ "kind": "check", "entry": "f", "code": check }),
        json!({ "kind": "calls", "entry": "f", "cases": calls }),
        json!({ "kind": "asserts", "code": format!("def spy(x):\n    assert x == 'the0expected', 'a0message'\nf('asked0question')\ng(spy)\n{asserts}") }),
    ] {
        after_judging(tests, solution, |pair, _| {
            let memory = pair.memory(Role::Solution).unwrap();
            let holds = |needle: &[u8]| memory.windows(needle.len()).any(|window| window == needle);
            assert!(
                holds(b"asked0question") && holds(b"said by the solution"),
                "the scan finds what is there"
            );
            for secret in
                [&b"the0expected"[..], b"a0message", b"assert f('", b"def check(candidate):\n    assert f"]
            {
                assert!(!holds(secret), "{}", String::from_utf8_lossy(secret));
            }
            assert!(!holds(b"271828182845") && !holds(&271828182845_u64.to_le_bytes()));
        });
    }
    let cases = json!([{ "input": "asked0question", "output": "the0expected" }]);
    after_judging(json!({ "kind": "stdin", "cases": cases }), "print(input())", |pair, _| {
        let memory = pair.memory(Role::Solution).unwrap();
        let holds = |needle: &[u8]| memory.windows(needle.len()).any(|window| window == needle);
        assert!(holds(b"asked0question") && !holds(b"the0expected"));
    });
}

/// Problems with completions: references and attacks, and HumanEval's own solutions where they are there.
fn checks() -> Vec<(Task, String)> {
    let mut checks: Vec<(Task, String)> = crate::attacks::references()
        .into_iter()
        .chain(crate::attacks::all().into_iter().filter(|attack| !attack.exhausts))
        .map(|attack| (Task::read(&attack.problem).unwrap(), attack.completion.text))
        .collect();
    let folder = std::env::var("RLVR_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data").into());
    match std::fs::read_to_string(format!("{folder}/humaneval/test.jsonl")) {
        Ok(rows) => checks.extend(rows.lines().map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| row[name].as_str().unwrap().to_owned();
            let problem = Problem {
                prompt: field("prompt"),
                tests: Some(row["test"].clone()),
                extra: [("entry_point".to_owned(), row["entry_point"].clone())].into_iter().collect(),
                ..Problem::default()
            };
            (Task::read(&problem).unwrap(), field("canonical_solution"))
        })),
        Err(error) => eprintln!("without HumanEval: {folder}: {error}"),
    }
    checks
}

/// Judges every check `times` on each of `threads` threads, and compares all with `expected`.
fn compare(
    expected: &[Verdict],
    checks: &[(Task, String)],
    make: fn(Arc<Sandbox>) -> Pair,
    threads: usize,
    times: usize,
) {
    let sandbox = Sandbox::open(&|_| {}).unwrap();
    let limits = Limits { seconds: 10.0, ..Limits::default() };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let work = || {
                let mut pair = make(sandbox.clone());
                for _ in 0..times {
                    for ((task, completion), expected) in checks.iter().zip(expected) {
                        let verdict = judge(&mut pair, task, completion, Credit::All, limits);
                        assert!(verdict.same_as(expected), "{completion}\n{verdict:?}\n{expected:?}");
                    }
                }
            };
            std::thread::Builder::new().stack_size(THREAD_STACK).spawn_scoped(scope, work).unwrap();
        }
    });
}

fn first_verdicts(checks: &[(Task, String)]) -> Vec<Verdict> {
    let sandbox = Sandbox::open(&|_| {}).unwrap();
    let limits = Limits { seconds: 10.0, ..Limits::default() };
    std::thread::scope(|scope| {
        let work = || {
            let mut pair = Pair::new(sandbox.clone());
            checks.iter().map(|(task, text)| judge(&mut pair, task, text, Credit::All, limits)).collect()
        };
        let thread = std::thread::Builder::new().stack_size(THREAD_STACK).spawn_scoped(scope, work);
        thread.unwrap().join().unwrap()
    })
}

#[test]
fn verdicts_and_fuel_are_the_same_in_kept_and_fresh_instances_on_one_and_two_threads() {
    // HumanEval/75 takes longer than all others together
    let checks: Vec<(Task, String)> =
        checks().into_iter().filter(|(_, code)| !code.contains("for k in range(2,101)")).collect();
    let first = first_verdicts(&checks);
    assert!(first.iter().all(|verdict| verdict.outcome != Outcome::Fault && verdict.cost.fuel > 0));
    compare(&first, &checks, Pair::new, 2, 2);
    compare(&first, &checks, Pair::fresh, 1, 1);
}

#[test]
#[ignore = "takes minutes: a hundred times all of HumanEval, in kept instances and in fresh ones; run with -- --ignored"]
fn fuel_is_the_same_over_a_hundred_repeats() {
    let checks = checks();
    let first = first_verdicts(&checks);
    for threads in [1, 2] {
        compare(&first, &checks, Pair::new, threads, 100 / threads);
        compare(&first, &checks, Pair::fresh, threads, 100 / threads);
    }
}

#[test]
fn a_watched_check_says_what_was_compared_and_comes_to_the_same_outcome() {
    let checks = checks();
    let first = first_verdicts(&checks[..40]);
    let sandbox = Sandbox::open(&|_| {}).unwrap();
    std::thread::scope(|scope| {
        let work = || {
            let mut pair = Pair::new(sandbox.clone());
            for ((task, completion), first) in checks.iter().zip(&first) {
                let mut watch = Watch::on();
                let limits = Limits { seconds: 10.0, ..Limits::default() };
                let verdict = judge_watched(&mut pair, task, completion, Credit::All, limits, &mut watch);
                assert_eq!((verdict.outcome, &verdict.parts), (first.outcome, &first.parts), "{completion}");
            }
            let problem = Problem {
                tests: Some(json!({ "kind": "asserts", "code": "assert f(1) == 2\nassert f(2) == 9" })),
                ..Problem::default()
            };
            let answer =
                "No:\n```\nf(\n```\n```python\ndef f(x):\n    print('x is', x)\n    return x + 1\n```\n";
            let mut watch = Watch::on();
            let task = Task::read(&problem).unwrap();
            judge_watched(&mut pair, &task, answer, Credit::All, Limits::default(), &mut watch);
            let told: Vec<String> = watch.steps().iter().map(ToString::to_string).collect();
            let told = told.join("\n");
            for part in [
                "+ program: block 2 of 2 (python): def f(x):",
                "+ case_1: assert f(1) == 2; f(1) is 2; fuel ",
                "- case_2: assert f(2) == 9; f(2) is 3; fuel ",
                "printed: \"x is 1 x is 2\"",
            ] {
                assert!(told.contains(part), "{part}\n{told}");
            }
        };
        std::thread::Builder::new().stack_size(THREAD_STACK).spawn_scoped(scope, work).unwrap();
    });
}
