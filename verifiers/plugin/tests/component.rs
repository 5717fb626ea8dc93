//! Components as verifiers: what they are given, what stops them, and that nothing stays from one call to the next.
//!
//! The components are made by `examples/wasm_verifier/c/build.sh`: from the example beside it, and from `fixtures/obedient.c`.

use rlvr_plugin::{Limits, WasmConfig, WasmVerifier};
use rlvr_verdict::{Completion, Judges, Message, Outcome, Problem, Verdict, Verifier, VerifierPool};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

fn fixture(name: &str) -> String {
    let folder = match name {
        "similarity" => "../../examples/wasm_verifier/c",
        _ => "tests/fixtures",
    };
    format!("{}/{folder}/{name}.wasm", env!("CARGO_MANIFEST_DIR"))
}

fn make(config: Value) -> Result<WasmVerifier, String> {
    let config: WasmConfig = serde_json::from_value(config).map_err(|e| e.to_string())?;
    WasmVerifier::new(config)
}

fn obedient() -> WasmVerifier {
    make(json!({"wasm": fixture("obedient"), "limits": {"fuel": 20_000_000}})).unwrap()
}

fn told(text: &str) -> Verdict {
    obedient().verify(&Problem::default(), &Completion::new(text)).checked()
}

fn similarity(gold: &str, text: &str) -> Verdict {
    let verifier = make(json!({"wasm": fixture("similarity")})).unwrap();
    let problem = Problem { answer: Some(gold.into()), ..Problem::default() };
    verifier.check(&problem).unwrap();
    verifier.verify(&problem, &Completion::new(text))
}

#[test]
fn a_component_gives_verdicts_with_scores_parts_and_answers() {
    let right = similarity("kitten", "<think>sitting?</think>\nkitten ");
    assert_eq!((right.outcome, right.score), (Outcome::Pass, Some(1.0)));
    assert_eq!(right.answer.as_deref(), Some("kitten"));
    // three edits of seven letters: the textbook's pair
    let near = similarity("kitten", "sitting");
    assert_eq!((near.outcome, near.score), (Outcome::Fail, Some(1.0 - 3.0 / 7.0)));
    assert_eq!(near.parts, [("exact".into(), 0.0), ("similarity".into(), 1.0 - 3.0 / 7.0)]);
    let none = similarity("kitten", "<think>kitten");
    assert_eq!((none.outcome, none.score), (Outcome::Unparseable, Some(0.0)));
}

#[test]
fn a_component_says_what_it_is_and_its_version_has_the_hash_of_its_file() {
    let verifier = obedient();
    assert_eq!((verifier.name(), verifier.judges()), ("obedient", Judges::Statement));
    let (version, hash) = verifier.version().split_once('+').unwrap();
    assert_eq!((version, hash.len()), ("7", 16));
    let other = make(json!({"wasm": fixture("similarity")})).unwrap();
    assert_ne!(other.version().split_once('+').unwrap().1, hash);
}

#[test]
fn a_problem_that_the_component_refuses_is_refused_with_its_field_and_remedy() {
    let verifier = make(json!({"wasm": fixture("similarity")})).unwrap();
    let error = verifier.check(&Problem::default()).unwrap_err().to_string();
    assert_eq!(error, "field `answer`: is missing; give the text that is to be written");
    let endless = Problem { id: "loop".into(), ..Problem::default() };
    let error = obedient().check(&endless).unwrap_err().to_string();
    assert!(
        error.contains("`check` of `obedient` used up its fuel (20000000 units; limits.fuel)"),
        "{error}"
    );
}

#[test]
fn a_component_gets_every_field_of_the_row_and_of_the_completion() {
    let problem = Problem {
        id: "p7".into(),
        prompt: "6*7?".into(),
        messages: vec![Message { role: "user".into(), content: "6*7?".into() }],
        answer: Some("42".into()),
        choices: vec!["41".into(), "42".into(), "43".into()],
        tests: Some(json!([1])),
        tags: vec!["a".into(), "b".into()],
        extra: json!({"level": 5}).as_object().unwrap().clone(),
        ..Problem::default()
    };
    let completion = Completion { text: "<think>hm</think> 42".into(), truncated: true, tokens: 9 };
    let verifier = make(json!({"wasm": fixture("obedient"), "settings": {"strict": 1}})).unwrap();
    assert_eq!(
        verifier.verify(&problem, &completion).reason,
        "call 1 settings {\"strict\":1} id p7 prompt 6*7? messages 1 answer 42 choices 3 tests [1] tags 2 extra {\"level\":5} \
         answer-text  42 truncated 1 tokens 9"
    );
}

#[test]
fn a_trap_is_a_fault_with_its_message_and_the_last_words_of_the_component() {
    let fault = told("say and trap");
    assert_eq!((fault.outcome, fault.score), (Outcome::Fault, None));
    assert!(
        fault.reason.starts_with("`verify` of `obedient` trapped: wasm `unreachable` instruction executed")
            && fault.reason.ends_with("it wrote: the last words"),
        "{}",
        fault.reason
    );
    assert!(told("exit").reason.contains("ended itself with an exit code of 1"), "{}", told("exit").reason);
    assert_eq!(told("fault").outcome, Outcome::Fault);
    assert_eq!(told("nan").outcome, Outcome::Fault);
    assert_eq!(told("parts").outcome, Outcome::Fault);
}

#[test]
fn what_a_completion_can_exhaust_is_a_score_of_zero_and_no_escape() {
    for (text, outcome, reason) in [
        ("loop", Outcome::OutOfFuel, "used up its fuel (20000000 units; limits.fuel)"),
        ("sleep", Outcome::OutOfFuel, "used up its fuel"),
    ] {
        let verdict = told(text);
        assert_eq!((verdict.outcome, verdict.score), (outcome, Some(0.0)), "{text}");
        assert!(verdict.reason.contains(reason), "{text}: {}", verdict.reason);
        assert_eq!(verdict.cost.fuel, 20_000_000, "{text}");
    }
    let most = 16 << 20;
    let config = json!({"wasm": fixture("obedient"), "limits": {"memory": most}});
    let bomb = make(config).unwrap().verify(&Problem::default(), &Completion::new("grow"));
    assert_eq!((bomb.outcome, bomb.score), (Outcome::OutOfMemory, Some(0.0)), "{}", bomb.reason);
    assert!(bomb.cost.peak_bytes <= most && bomb.cost.peak_bytes > most / 2, "{:?}", bomb.cost);
}

#[test]
fn a_verifier_that_nothing_can_satisfy_within_its_budget_is_at_fault_itself() {
    let problem = Problem { id: "endless".into(), ..Problem::default() };
    for text in ["fine", ""] {
        let verdict = obedient().verify(&problem, &Completion::new(text));
        assert_eq!((verdict.outcome, verdict.score), (Outcome::Fault, None), "{}", verdict.reason);
        assert!(
            verdict.reason.contains("limits.fuel); so it does with an empty completion"),
            "{}",
            verdict.reason
        );
    }
}

#[test]
fn the_backstop_of_wall_time_is_a_fault_and_never_a_verdict() {
    let config = json!({"wasm": fixture("obedient"), "limits": {"fuel": 1u64 << 50, "backstop": 0.01}});
    let verdict = make(config).unwrap().verify(&Problem::default(), &Completion::new("loop"));
    assert_eq!((verdict.outcome, verdict.score), (Outcome::Fault, None), "{}", verdict.reason);
    assert!(verdict.reason.contains("limits.backstop"), "{}", verdict.reason);
}

#[test]
fn nothing_stays_from_one_call_to_the_next() {
    let verifier = obedient();
    let verify = |text: &str| verifier.verify(&Problem::default(), &Completion::new(text));
    let first = verify("how many calls?");
    assert!(first.reason.starts_with("call 1 "), "{}", first.reason);
    for between in ["trap", "grow", "loop", "chatter", "how many calls?"] {
        verify(between);
        assert!(verify("how many calls?").same_as(&first), "after {between}");
    }
}

#[test]
fn clocks_random_numbers_and_fuel_are_the_same_each_time_and_on_any_thread() {
    let verifier = Arc::new(obedient());
    let thrown = |id: &str, text: &str| {
        let problem = Problem { id: id.into(), ..Problem::default() };
        verifier.verify(&problem, &Completion::new(text))
    };
    let dice = thrown("p", "dice");
    assert_ne!(dice.reason, "0");
    assert_ne!(thrown("q", "dice").reason, dice.reason);
    let others: Vec<Verdict> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..8).map(|_| scope.spawn(|| thrown("p", "dice"))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert!(others.iter().all(|other| other.same_as(&dice)));
    // a sleep takes no time but fuel, a unit for each nanosecond
    let verifier = make(json!({"wasm": fixture("obedient"), "limits": {"fuel": 3_000_000_000u64}})).unwrap();
    let nap = verifier.verify(&Problem::default(), &Completion::new("nap"));
    assert_eq!(nap.reason, "from 1735689601, 2 s");
    assert!((2_000_000_000..2_100_000_000).contains(&nap.cost.fuel), "{:?}", nap.cost);
}

#[test]
fn a_component_finds_no_files() {
    assert_eq!(told("open").reason, "not opened");
}

#[test]
fn what_a_component_writes_is_kept_for_a_person_up_to_a_limit() {
    let config = json!({"wasm": fixture("obedient"), "limits": {"output": 100}});
    let steps = make(config).unwrap().explain(&Problem::default(), &Completion::new("chatter"));
    let written: Vec<String> = steps.iter().filter(|s| s.name == "wrote").map(|s| s.found.clone()).collect();
    assert_eq!(written[..2], ["line 0", "line 1"]);
    assert!(written.iter().map(String::len).sum::<usize>() < 200);
    assert!(written.last().unwrap().contains("bytes more]"), "{written:?}");
}

#[test]
fn a_deep_recursion_ends_on_a_small_stack_as_on_a_large_one() {
    let verdict = |stack: usize| {
        let run = move || told("deep");
        std::thread::Builder::new().stack_size(stack).spawn(run).unwrap().join().unwrap()
    };
    let (small, large) = (verdict(256 << 10), verdict(64 << 20));
    assert_eq!((small.outcome, small.score), (Outcome::Trapped, Some(0.0)), "{}", small.reason);
    assert!(small.same_as(&large), "{small:?} {large:?}");
}

#[test]
fn a_pool_of_threads_runs_components_side_by_side() {
    let verifier: Arc<dyn Verifier> = Arc::new(obedient());
    let pool = VerifierPool::new(4, VerifierPool::HANG).unwrap();
    let mut round = pool.round();
    for sample in 0..200u32 {
        let text = if sample % 20 == 0 { "trap" } else { "fine" };
        round.submit(
            sample,
            rlvr_verdict::Job {
                verifier: verifier.clone(),
                problem: Arc::default(),
                completion: Arc::new(Completion::new(text)),
                sample,
            },
        );
    }
    let verdicts: Vec<(u32, Verdict)> = std::iter::from_fn(|| round.next_verdict()).collect();
    assert_eq!(verdicts.len(), 200);
    assert!(verdicts.iter().all(|(sample, v)| (v.outcome == Outcome::Fault) == (sample % 20 == 0)));
    assert_eq!(pool.over(0.01).unwrap().0, "obedient");
}

#[test]
fn a_file_that_is_no_verifier_is_refused_by_name_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = make(json!({"wasm": path})).err().unwrap();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        error
    };
    let error = refusal("text.wasm", b"(module)");
    assert!(error.contains("is no wasm") && error.contains("rlvr:verifier/plugin@0.1.0"), "{error}");
    let error = refusal("core.wasm", b"\0asm\x01\0\0\0");
    assert!(error.contains("core wasm module") && error.contains("wasm-tools component new"), "{error}");
    let error = refusal("empty.wasm", b"\0asm\x0d\0\x01\0");
    assert!(error.contains("exports nothing and not `rlvr:verifier/verifier@0.1.0`"), "{error}");
    let whole = std::fs::read(fixture("similarity")).unwrap();
    let error = refusal("cut.wasm", &whole[..whole.len() / 2]);
    assert!(error.contains("is no valid component") && error.contains("build it anew"), "{error}");
    // another name of the same length
    let renamed = |file: &str, old: &str, new: &str| {
        assert_eq!(new.len(), old.len());
        let mut bytes = std::fs::read(fixture(file)).unwrap();
        for at in 0..bytes.len() - old.len() {
            if bytes[at..].starts_with(old.as_bytes()) {
                bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
            }
        }
        bytes
    };
    let exported = |new: &str| renamed("similarity", "rlvr:verifier/verifier@0.1.0", new);
    let error = refusal("new.wasm", &exported("rlvr:verifier/verifier@0.2.0"));
    assert!(
        error.contains("is made for `rlvr:verifier/verifier@0.2.0`, and this program has 0.1.0"),
        "{error}"
    );
    let error = refusal("other.wasm", &exported("xlvr:verifier/verifier@0.1.0"));
    assert!(error.contains("exports `xlvr:verifier/verifier@0.1.0` and not"), "{error}");
    let error = refusal("needy.wasm", &renamed("obedient", "wasi:cli/exit@", "mine:cli/exit@"));
    assert!(error.contains("it imports `mine:cli/exit@0.2."), "{error}");
    assert!(error.contains("nothing but WASI 0.2"), "{error}");
    assert!(make(json!({"wasm": fixture("similarity")})).is_ok());
    let missing = folder.path().join("missing.wasm");
    let error = make(json!({"wasm": missing})).err().unwrap();
    assert!(error.contains("missing.wasm") && error.contains("path of a wasm component"), "{error}");
}

#[test]
fn settings_and_limits_that_cannot_be_meant_are_refused() {
    let error = make(json!({"wasm": fixture("obedient"), "settings": {"bad": true}})).err().unwrap();
    assert!(
        error.contains("obedient.wasm: refuses its `settings` {\"bad\":true}: `bad` is no setting"),
        "{error}"
    );
    let error = make(json!({"wasm": fixture("obedient"), "settings": {"trap": true}})).err().unwrap();
    assert!(error.contains("`describe` of") && error.contains("trapped"), "{error}");
    let error = make(json!({"wasm": fixture("obedient"), "limits": {"fuel": 0}})).err().unwrap();
    assert!(error.contains("limits.fuel"), "{error}");
    let error = make(json!({})).err().unwrap();
    assert!(error.contains("has no file; `wasm`"), "{error}");
    let error = make(json!({"wasm": fixture("obedient"), "limit": {}})).err().unwrap();
    assert!(error.contains("unknown field `limit`"), "{error}");
    let error = make(json!({"wasm": fixture("obedient"), "limits": {"memory": 1000}})).err().unwrap();
    assert!(error.contains("limits.memory"), "{error}");
    assert!(Limits::default().check().is_ok() && Path::new(&fixture("obedient")).exists());
}
