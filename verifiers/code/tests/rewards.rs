//! Reward functions in Python files: what they may look like, what they are given, and what becomes of what they do.

use rlvr_code::{PythonFile, PythonFileConfig};
use rlvr_verdict::{Completion, Message, Outcome, Problem, Verdict, Verifier};
use serde_json::{Map, Value, json};

/// The verifier of a file `mine.py` with this content.
fn open(source: &str, settings: Value) -> Result<PythonFile, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.py");
    std::fs::write(&path, source).unwrap();
    let mut settings = settings.as_object().cloned().unwrap_or_default();
    settings.insert("python".into(), json!(path));
    let config: PythonFileConfig = serde_json::from_value(settings.into()).map_err(|e| e.to_string())?;
    PythonFile::open(config)
}

fn made(source: &str) -> PythonFile {
    open(source, Value::Null).unwrap()
}

fn refused(source: &str, settings: Value) -> String {
    open(source, settings).err().expect("the file is refused")
}

fn problem(extra: Value) -> Problem {
    let extra: Map<String, Value> = extra.as_object().cloned().unwrap_or_default();
    let (id, prompt) = ("p1".to_owned(), "What is 6 times 7?".to_owned());
    Problem { id, prompt, answer: Some("42".into()), extra, ..Problem::default() }
}

fn chat() -> Problem {
    let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
    let messages = vec![message("system", "Be brief."), message("user", "What is 6 times 7?")];
    Problem { messages, ..problem(json!({})) }
}

fn judged(verifier: &PythonFile, text: &str) -> Verdict {
    verifier.verify(&problem(json!({})), &Completion::new(text))
}

// ---- a function of the problem and the completion ----

#[test]
fn a_function_of_problem_and_completion_sees_the_row_and_the_completion() {
    let verifier = made(
        r#"
def verify(problem, completion):
    assert problem.answer == problem["answer"] == "42" and problem.prompt == "What is 6 times 7?" and problem.id == "p1"
    assert problem.level == 3 and problem.extra == {"level": 3} and problem.choices == [] and problem.get("none") is None
    assert isinstance(completion, str) and completion.text == "<think>41?</think> 42" and completion.tokens == 9
    assert completion.answer_text == " 42" and completion.truncated is True
    return {"score": 0.25, "outcome": "unparseable", "reason": "why\nnot", "parts": {"a": 1, "b": -2.5}, "answer": 42}
"#,
    );
    let completion = Completion { text: "<think>41?</think> 42".into(), truncated: true, tokens: 9 };
    let verdict = verifier.verify(&problem(json!({"level": 3})), &completion);
    assert_eq!((verdict.outcome, verdict.score), (Outcome::Unparseable, Some(0.25)), "{}", verdict.reason);
    assert_eq!((&*verdict.reason, verdict.answer.as_deref()), ("why not", Some("42")));
    assert_eq!(verdict.parts, [("a".to_owned(), 1.0), ("b".to_owned(), -2.5)]);
    assert!(verdict.cost.fuel > 0 && verdict.cost.peak_bytes > 0);
}

#[test]
fn numbers_truths_and_what_has_a_float_are_scores_and_the_largest_is_a_pass() {
    let verifier = made(
        "from fractions import Fraction\nfrom decimal import Decimal\n\
         def verify(p, c):\n    return {'t': True, 'f': False, 'i': 1, 'x': 0.5, 'q': Fraction(1, 4), 'd': Decimal('0.75'), 'r': {'reward': 1}}[c]\n",
    );
    for (text, outcome, score) in [
        ("t", Outcome::Pass, 1.0),
        ("f", Outcome::Fail, 0.0),
        ("i", Outcome::Pass, 1.0),
        ("x", Outcome::Fail, 0.5),
        ("q", Outcome::Fail, 0.25),
        ("d", Outcome::Fail, 0.75),
        ("r", Outcome::Pass, 1.0),
    ] {
        let verdict = judged(&verifier, text);
        assert_eq!((verdict.outcome, verdict.score), (outcome, Some(score)), "{text}: {}", verdict.reason);
    }
}

#[test]
fn what_is_no_score_is_a_fault_that_says_what_came() {
    let verifier = made(
        "def verify(problem, completion):\n    return {'nan': float('nan'), 'inf': float('inf'), 'str': '1', 'list': [1.0], 'big': 10 ** 400,\n\
         'out': 1.5, 'key': {'scores': 1}, 'two': {'score': 1, 'reward': 1}, 'part': {'score': 1, 'parts': {'a': 'b'}},\n\
         'word': {'score': 1, 'outcome': 'great'}, 'own': {'score': 1, 'outcome': 'fault', 'reason': 'mine'}}[completion]\n",
    );
    for (text, told) in [
        ("nan", "returned nan, which is no finite number"),
        ("inf", "returned inf"),
        ("str", "returned '1', which is no number"),
        ("list", "returned [1.0], which is no number"),
        ("big", "which is no number"),
        ("out", "returned 1.5, outside 0 to 1; range = [0.0, 1.5]"),
        ("key", "the key 'scores'; score, reward, outcome"),
        ("two", "score and reward"),
        ("part", "returned for the part `a` 'b'"),
        ("word", "the outcome \"great\"; pass, fail"),
        ("own", "mine"),
    ] {
        let verdict = judged(&verifier, text);
        assert_eq!((verdict.outcome, verdict.score), (Outcome::Fault, None), "{text}");
        assert!(verdict.reason.contains(told), "{text}: {}", verdict.reason);
    }
}

#[test]
fn a_range_maps_values_to_scores_and_keeps_them_as_a_part() {
    let source =
        "def verify(problem, completion):\n    return None if completion == 'none' else float(completion)\n";
    let verifier = open(source, json!({"range": [-1, 3]})).unwrap();
    let verdict = judged(&verifier, "0");
    assert_eq!((verdict.score, &verdict.parts[..]), (Some(0.25), &[("value".to_owned(), 0.0)][..]));
    assert_eq!((judged(&verifier, "3").outcome, judged(&verifier, "-1").score), (Outcome::Pass, Some(0.0)));
    assert_eq!(judged(&verifier, "3.5").outcome, Outcome::Fault);
    let none = judged(&verifier, "none");
    assert_eq!((none.outcome, none.score), (Outcome::Unparseable, Some(0.25)), "as the value 0");
    assert!(refused(source, json!({"range": [1, 1]})).contains("range: [1, 1] is no range"));
}

// ---- TRL ----

#[test]
fn trl_functions_get_lists_of_one_with_every_column_and_texts_or_messages_as_the_row_has() {
    let verifier = made(
        r#"
def reward(prompts, completions, answer, level, log_metric, log_extra, **kwargs):
    assert answer == ["42"] and level == [[1, 2]] and kwargs["id"] == ["p1"] and kwargs["nothing"] == [None]
    assert len(kwargs["completion_ids"][0]) == 5 and "trainer_state" not in kwargs
    log_metric("length", 0.5)
    log_extra("seen", completions)
    if isinstance(completions[0], str):
        assert prompts == ["What is 6 times 7?"] and completions == ["42"]
        return [0.25]
    assert prompts == [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 6 times 7?"}]]
    assert completions == [[{"role": "assistant", "content": "42"}]]
    return (0.75,)
"#,
    );
    let completion = Completion { tokens: 5, ..Completion::new("42") };
    let extra = json!({"level": [1, 2], "nothing": null});
    let verdict = verifier.verify(&problem(extra.clone()), &completion);
    assert_eq!(verdict.score, Some(0.25), "{}", verdict.reason);
    assert_eq!(verdict.parts, [("length".to_owned(), 0.5)]);
    let row = Problem { extra: extra.as_object().cloned().unwrap(), ..chat() };
    assert_eq!(verifier.verify(&row, &completion).score, Some(0.75));
    let steps: Vec<String> = verifier.explain(&row, &completion).iter().map(ToString::to_string).collect();
    assert!(steps[0].contains("mine.py:2") && steps[0].contains("TRL's signature"), "{steps:?}");
    assert!(steps.iter().any(|step| step.contains("logged seen") && step.contains("assistant")), "{steps:?}");
    let missing = verifier.check(&problem(json!({}))).unwrap_err();
    assert_eq!(missing.field, "level");
    assert!(missing.to_string().contains("`reward` (mine.py:2)"), "{missing}");
}

#[test]
fn conversational_gives_messages_for_rows_of_plain_text() {
    let source =
        "def reward(completions, **kwargs):\n    return [float(c[0]['content']) for c in completions]\n";
    let fault = judged(&made(source), "1");
    assert!(fault.outcome == Outcome::Fault && fault.reason.contains("mine.py:2"), "{}", fault.reason);
    assert_eq!(judged(&open(source, json!({"conversational": true})).unwrap(), "1").score, Some(1.0));
    let text = "def reward(completions, **kwargs):\n    return [float(c) for c in completions]\n";
    let plain = open(text, json!({"conversational": false})).unwrap();
    assert_eq!(plain.verify(&chat(), &Completion::new("1")).score, Some(1.0));
}

#[test]
fn a_trl_function_that_returns_no_list_of_one_is_a_fault_and_none_in_it_does_not_apply() {
    let verifier = made(
        "def reward(completions, **kwargs):\n    return {'float': 1.0, 'two': [1, 1], 'none': [None], 'nothing': None, 'dict': [{'score': 1}]}[completions[0]]\n",
    );
    for (text, told) in [
        ("float", "returned 1.0, not a list with one reward for each completion"),
        ("two", "returned 2 rewards for 1 completion"),
        ("nothing", "is a return missing?"),
        ("dict", "not a list of numbers"),
    ] {
        let verdict = judged(&verifier, text);
        assert_eq!(verdict.outcome, Outcome::Fault, "{text}");
        assert!(verdict.reason.contains(told), "{text}: {}", verdict.reason);
    }
    let verdict = judged(&verifier, "none");
    assert_eq!((verdict.outcome, verdict.score), (Outcome::Unparseable, Some(0.0)));
    assert!(verdict.reason.contains("does not apply"), "{}", verdict.reason);
}

#[test]
fn token_ids_are_known_by_their_number_alone() {
    let verifier = made(
        "def reward(completions, completion_ids, **kwargs):\n    return [completion_ids[0][0] if c == 'look' else len(i) / 10 for c, i in zip(completions, completion_ids)]\n",
    );
    let of = |text: &str, tokens| {
        verifier.verify(&problem(json!({})), &Completion { tokens, ..Completion::new(text) })
    };
    assert_eq!(of("some text", 5).score, Some(0.5));
    assert!(of("some text", 0).reason.contains("number of the completion's tokens is not known"));
    assert!(of("look", 5).reason.contains("token ids are not known"));
    assert_eq!(of("", 0).score, Some(0.0));
}

#[test]
fn what_a_verifier_does_not_have_is_refused_when_a_function_cannot_do_without() {
    let error = refused("def reward(completions, trainer_state, **kwargs):\n    return [1.0]\n", Value::Null);
    assert!(error.contains("mine.py:1") && error.contains("takes `trainer_state`"), "{error}");
    made("def reward(completions, trainer_state=None, **kwargs):\n    return [1.0]\n");
}

// ---- the verifiers library ----

#[test]
fn functions_of_the_verifiers_library_get_what_they_name() {
    let verifier = made(
        r#"
def correct(prompt, completion, answer, state, info, task, parser, level):
    assert prompt == [{"role": "user", "content": "What is 6 times 7?"}] and answer == "42"
    assert completion[-1]["content"] == completion[-1].content == "42" and completion[-1]["role"] == "assistant"
    assert state["answer"] == "42" and state["completion"] is completion and state["turn"] == 1 and state["info"] is info
    assert info == {"source": "x"} and task == "default" and level == 2
    return float(parser.parse_answer(completion) == answer)
"#,
    );
    let row = problem(json!({"info": {"source": "x"}, "level": 2}));
    let verdict = verifier.verify(&row, &Completion::new("42"));
    assert_eq!((verdict.outcome, verdict.score), (Outcome::Pass, Some(1.0)), "{}", verdict.reason);
    assert_eq!(verifier.check(&problem(json!({}))).unwrap_err().field, "level");
    let steps = verifier.explain(&row, &Completion::new("42"));
    assert!(steps[0].found.contains("the verifiers library's signature"), "{}", steps[0]);
}

#[test]
fn the_files_own_parser_is_used_and_a_judge_is_named_as_what_there_is_none_of() {
    let verifier = made(
        "class P:\n    def parse_answer(self, completion):\n        return completion[-1]['content'].split()[-1]\n\
         parser = P()\ndef correct(completion, answer, parser, **kwargs):\n    return parser.parse_answer(completion) == answer\n",
    );
    assert_eq!(judged(&verifier, "it is 42").outcome, Outcome::Pass);
    let error = made("def f(completion, judge):\n    return 1.0\n").check(&problem(json!({}))).unwrap_err();
    assert!(error.field == "judge" && error.remedy.contains("no model to ask"), "{error}");
}

#[test]
fn looking_for_a_text_among_messages_is_a_fault_and_not_a_quiet_zero() {
    let source = "def correct(completion, answer):\n    return answer in completion\n";
    let fault = judged(&made(source), "42");
    assert!(
        fault.outcome == Outcome::Fault && fault.reason.contains("conversational = false"),
        "{}",
        fault.reason
    );
    assert_eq!(judged(&open(source, json!({"conversational": false})).unwrap(), "42").score, Some(1.0));
}

#[test]
fn async_functions_run_and_their_waits_are_virtual() {
    let plain = made(
        "async def half():\n    return 0.5\nasync def verify(problem, completion):\n    return await half()\n",
    );
    assert_eq!(judged(&plain, "x").score, Some(0.5));
    let waits = made(
        "import asyncio, time\nasync def reward(completions, **kwargs):\n    start = time.monotonic()\n\
         \x20   parts = await asyncio.gather(asyncio.sleep(0.5, 1), asyncio.sleep(1.0, 2))\n\
         \x20   return [0.25 if parts == [1, 2] and 1.0 <= time.monotonic() - start < 1.5 else 0.0]\n",
    );
    let verdict = judged(&waits, "x");
    assert_eq!(verdict.score, Some(0.25), "{}", verdict.reason);
    let runs = made(
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 1\ndef verify(problem, completion):\n    return asyncio.run(f())\n",
    );
    assert_eq!(judged(&runs, "x").score, Some(1.0));
}

// ---- which function ----

#[test]
fn of_several_functions_the_one_that_is_named_is_used_and_without_a_name_all_are_listed() {
    let source = "def helper(completion):\n    return completion\n\
                  def first(completions, **kwargs):\n    return [helper(1.0)]\n\
                  def second(completions, **kwargs):\n    return [helper(0.5)]\n";
    let error = refused(source, Value::Null);
    assert!(error.contains("2 reward functions: first (line 3), second (line 5)"), "{error}");
    let second = open(source, json!({"function": "second"})).unwrap();
    assert_eq!((judged(&second, "x").score, second.name()), (Some(0.5), "mine.py:second"));
    let error = refused(source, json!({"function": "third"}));
    assert!(error.contains("no function `third`; it has first, helper, second"), "{error}");
    // what another calls is a helper, `verify` goes before all others, and what begins with `_` is private
    let one = "def extract(completion):\n    return completion\ndef reward(completions, **k):\n    return [len(extract(completions[0])) / 10]\n";
    assert_eq!(made(one).name(), "mine.py:reward");
    let verify = format!("{source}def verify(problem, completion):\n    return 1\n");
    assert_eq!(made(&verify).name(), "mine.py");
    assert!(
        refused("def _reward(completions):\n    return [1]\n", Value::Null)
            .contains("has no reward function")
    );
    let error = refused("def f(x):\n    return 1\n", json!({"function": "f"}));
    assert!(error.contains("mine.py:1: `f(x)` has no signature that is known"), "{error}");
}

#[test]
fn closures_partials_and_objects_are_functions_by_name() {
    let source = "import functools\nclass R:\n    def __call__(self, completions, **kwargs):\n        return [0.5]\n\
                  def of(scale, completions, **kwargs):\n    return [scale]\n\
                  def make(x):\n    def inner(completions, **kwargs):\n        return [x]\n    return inner\n\
                  obj = R()\npart = functools.partial(of, 0.25)\nclosure = make(0.75)\n";
    for (name, score) in [("obj", 0.5), ("part", 0.25), ("closure", 0.75)] {
        let verifier = open(source, json!({"function": name})).unwrap();
        assert_eq!(judged(&verifier, "x").score, Some(score), "{name}");
    }
}

#[test]
fn a_function_that_never_returns_a_value_is_refused_when_it_is_loaded() {
    let error = refused("def verify(problem, completion):\n    score = 1.0\n", Value::Null);
    assert!(error.contains("mine.py:1") && error.contains("never returns a value"), "{error}");
}

// ---- loading ----

#[test]
fn a_missing_module_is_an_error_of_loading_with_its_line_and_a_remedy_wherever_it_is_imported() {
    for (source, line, module) in [
        ("import re\nimport numpy as np\ndef verify(problem, completion):\n    return 1\n", 2, "numpy"),
        (
            "def verify(problem, completion):\n    from math_verify import parse\n    return 1\n",
            2,
            "math_verify",
        ),
        ("import trl.rewards\ndef verify(problem, completion):\n    return 1\n", 1, "trl.rewards"),
        ("import json\nimport zlib\ndef verify(problem, completion):\n    return 1\n", 2, "zlib"),
        ("from . import x\ndef verify(problem, completion):\n    return 1\n", 1, "relative import"),
    ] {
        let error = refused(source, Value::Null);
        assert!(error.contains(&format!("mine.py:{line}:")) && error.contains(module), "{error}");
        assert!(error.contains("right") || error.contains("try:"), "{error}");
    }
}

#[test]
fn guarded_imports_and_the_standard_library_work() {
    let verifier = made(
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nfrom contextlib import suppress\n\
         import re, math, json, collections, difflib, string, unicodedata, fractions, decimal, statistics, itertools, functools, logging, ast, dataclasses\n\
         try:\n    import numpy as np\nexcept ImportError:\n    np = None\n\
         with suppress(ImportError):\n    import torch\n\
         if TYPE_CHECKING:\n    from trl import GRPOTrainer\n\
         @dataclasses.dataclass\nclass C:\n    x: int = 1\n\
         def verify(problem, completion):\n    logging.warning('logged')\n    return C().x if np is None else 0\n\
         if __name__ == '__main__':\n    import pandas\n",
    );
    let steps = verifier.explain(&problem(json!({})), &Completion::new("x"));
    assert_eq!(judged(&verifier, "x").score, Some(1.0));
    assert!(steps.iter().any(|step| step.found == "WARNING:root:logged"), "{steps:?}");
}

#[test]
fn what_fails_while_loading_is_told_with_its_line() {
    for (source, told) in [
        ("x = 1\ndef verify(problem, completion)\n    return 1\n", "mine.py:2: expected ':'"),
        ("x = 1\ny = 1 / 0\n", "mine.py:2: ZeroDivisionError: division by zero"),
        ("words = open('words.txt').read()\n", "mine.py:1: FileNotFoundError"),
        ("import sys\nsys.exit(3)\n", "mine.py:2: SystemExit: 3"),
        ("while True:\n    pass\n", "more than 0.5 s to load, 10 times limits.seconds"),
        ("def helper(x):\n    return x\n", "has no reward function; `verify(problem, completion)`"),
    ] {
        let error = refused(source, json!({"limits": {"seconds": 0.05}}));
        assert!(error.contains(told), "{error}");
    }
    let absent: PythonFileConfig = serde_json::from_value(json!({"python": "/nowhere/mine.py"})).unwrap();
    assert!(PythonFile::open(absent).err().unwrap().contains("/nowhere/mine.py"));
    assert!(refused("", json!({"functoin": "f"})).contains("unknown field `functoin`"));
    assert!(refused("", json!({"limits": {"memory": 5}})).contains("limits.memory"));
}

// ---- failures ----

#[test]
fn an_exception_is_a_fault_with_the_lines_that_led_to_it() {
    let verifier = made(
        "def number(text):\n    return int(text)\n\ndef verify(problem, completion):\n    return number(completion)\n",
    );
    let verdict = judged(&verifier, "one");
    assert_eq!((verdict.outcome, verdict.score), (Outcome::Fault, None));
    assert_eq!(
        verdict.reason,
        "`verify`: ValueError: invalid literal for int() with base 10: 'one' (mine.py:2, in number; called at mine.py:5, in verify)"
    );
    let steps: Vec<String> = verifier
        .explain(&problem(json!({})), &Completion::new("one"))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(steps.contains(&"- mine.py:2: in number: return int(text)".to_owned()), "{steps:?}");
    assert_eq!(judged(&verifier, "1").outcome, Outcome::Pass);
}

#[test]
fn ending_the_process_is_a_fault() {
    let verifier = made(
        "import os, sys\ndef verify(problem, completion):\n    os._exit(3) if completion == 'os' else sys.exit(0)\n    return 1\n",
    );
    for text in ["os", "sys"] {
        assert_eq!(judged(&verifier, text).outcome, Outcome::Fault, "{text}");
    }
}

#[test]
fn what_a_completion_exhausts_scores_0_and_is_no_escape() {
    let verifier = open(
        "import json, re, os\ndef deep(n):\n    return deep(n + 1)\ndef verify(problem, completion):\n\
         \x20   if completion == 'loop':\n        while True: pass\n\
         \x20   if completion == 'memory': return len('x' * 10 ** 9)\n\
         \x20   if completion == 'grow':\n        kept = []\n        while True: kept.append('x' * 10 ** 6)\n\
         \x20   if completion == 'deep': return deep(0)\n\
         \x20   if completion == 'write':\n        while True: os.write(1, b'x' * 65536)\n\
         \x20   return re.match('(a+)+$', completion) is not None\n",
        json!({"limits": {"seconds": 0.2}}),
    )
    .unwrap();
    for (text, outcome) in [
        ("loop", Outcome::OutOfFuel),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", Outcome::OutOfFuel),
        ("memory", Outcome::OutOfMemory),
        ("grow", Outcome::OutOfMemory),
        ("deep", Outcome::Trapped),
        ("write", Outcome::OutputLimit),
        ("aaa", Outcome::Pass),
    ] {
        let verdict = judged(&verifier, text);
        let score = if outcome == Outcome::Pass { 1.0 } else { 0.0 };
        assert_eq!((verdict.outcome, verdict.score), (outcome, Some(score)), "{text}: {}", verdict.reason);
    }
}

#[test]
fn what_an_empty_completion_exhausts_too_is_the_functions_own_fault() {
    let verifier = open(
        "def verify(problem, completion):\n    while True:\n        pass\n    return 1\n",
        json!({"limits": {"seconds": 0.1}}),
    )
    .unwrap();
    for text in ["a completion", ""] {
        let verdict = judged(&verifier, text);
        assert_eq!((verdict.outcome, verdict.score), (Outcome::Fault, None));
        assert!(verdict.reason.contains("used up its fuel, and does so on an empty completion too"));
    }
}

// ---- the same verdict whatever was judged before ----

#[test]
fn nothing_carries_over_from_one_check_to_the_next() {
    let verifier = made(
        r#"
import random, re, time, uuid, sys
seen = []
cache = {}
def verify(problem, completion):
    seen.append(completion)
    cache[completion] = [completion] * 1000
    if completion == "raise":
        raise ValueError
    if completion == "big":
        kept.append("x" * 10 ** 7)
    reason = f"{len(seen)} {random.random()} {uuid.uuid4()} {time.time()} {id(seen)} {len(sys.modules)}"
    return {"score": 1 / len(seen), "reason": reason}
kept = []
"#,
    );
    let texts = ["a", "raise", "b", "big", "a", "a", "loop", "b"];
    let first: Vec<Verdict> = texts.iter().map(|text| judged(&verifier, text)).collect();
    assert!(first[0].same_as(&first[4]) && first[0].same_as(&first[5]) && first[2].same_as(&first[7]));
    assert_eq!(first[0].score, Some(1.0));
    assert_ne!(first[0].reason, first[2].reason, "random numbers are the completion's own");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for (text, before) in texts.iter().zip(&first).rev() {
                    let verdict = judged(&verifier, text);
                    assert!(verdict.same_as(before), "{text}: {verdict:?} {before:?}");
                }
            });
        }
    });
}

#[test]
fn the_version_is_the_hash_of_the_file() {
    let source = "def verify(problem, completion):\n    return 1\n";
    let (one, same, other) = (made(source), made(source), made(&format!("{source}# changed\n")));
    assert_eq!(one.version(), same.version());
    assert_ne!(one.version(), other.version());
}

#[test]
fn printed_text_is_kept_for_an_explanation_and_bounded() {
    let verifier = made(
        "print('loading')\ndef verify(problem, completion):\n    print('got', completion)\n    for _ in range(100000): print('more')\n    return 1\n",
    );
    let steps = verifier.explain(&problem(json!({})), &Completion::new("it"));
    let printed: Vec<&str> =
        steps.iter().filter(|s| s.name.starts_with("printed")).map(|s| &*s.found).collect();
    assert_eq!(printed[..2], ["loading", "got it"]);
    assert!(printed.len() < 100, "{}", printed.len());
}

#[test]
fn any_text_can_be_judged_and_returned() {
    let verifier = made(
        "def verify(problem, completion):\n    return {'score': 1, 'reason': completion + chr(0xd800), 'answer': completion}\n",
    );
    for text in ["", "\0\u{1}", "\u{fffd}\u{202e}\u{1f600}", "\"\\\n"] {
        let verdict = judged(&verifier, text);
        assert_eq!(
            (verdict.outcome, verdict.answer.as_deref()),
            (Outcome::Pass, Some(text)),
            "{}",
            verdict.reason
        );
    }
    let huge = "x".repeat(4 << 20);
    assert_eq!(judged(&verifier, &huge).outcome, Outcome::Pass);
}
