//! What of a row's tests is a case, whose a name is, how results compare, and what handles forward. Each program that passes here
//! passes under plain Python too.

mod data;

use data::{asserts, fails, judge, judge_tests, passes};
use rlvr_verdict::{Outcome, Problem, Verdict};
use serde_json::{Value, json};

fn calls(cases: Value) -> Value {
    json!({ "kind": "calls", "entry": "f", "cases": cases })
}

fn prompted(prompt: &str, tests: Value, completion: &str) -> Verdict {
    judge(&Problem { prompt: prompt.into(), tests: Some(tests), ..Problem::default() }, completion)
}

#[test]
fn what_follows_an_answer_is_not_taken_for_it() {
    let prompt = "def f(x: list) -> int:\n    \"\"\" Sum. \"\"\"\n";
    let answer = "```python\ndef f(x: list) -> int:\n    \"\"\" Sum. \"\"\"\n    return sum(x)\n```\n";
    for after in [
        "```python\nprint(f([1]))\n```",
        "```\n3\n```",
        "```python\nassert f([1, 2]) == 3\n```",
        "```\nf\n```",
    ] {
        let verdict =
            prompted(prompt, asserts("assert f([1, 2]) == 3"), &format!("{answer}Then:\n{after}\n"));
        assert_eq!(verdict.outcome, Outcome::Pass, "{after:?}: {}", verdict.reason);
    }
    for body in ["return sum(x)\n", "  return sum(x)\n", "    return sum(x)\n\nThis sums the numbers.\n"] {
        let verdict = prompted(prompt, asserts("assert f([1, 2]) == 3"), body);
        assert_eq!(verdict.outcome, Outcome::Pass, "{body:?}: {}", verdict.reason);
    }
    let tests = json!({ "kind": "stdin", "cases": [{ "input": "", "output": "6\n" }] });
    for sample in ["7", "YES", "[1, 2]", "'x'"] {
        passes(tests.clone(), &format!("```python\nprint(6)\n```\nOutput:\n```\n{sample}\n```\n"));
        passes(tests.clone(), &format!("```\nprint(6)\n```\nOutput:\n```\n{sample}\n```\n"));
    }
}

#[test]
fn a_name_bound_in_a_branch_is_bound() {
    let usage = "```python\nprint(f(1))\n```";
    let answer = "```python\ntry:\n    import numpy\nexcept ImportError:\n    def f(x): return x + 1\n```";
    passes(asserts("assert f(1) == 2"), &format!("{answer}\n{usage}"));
}

#[test]
fn test_functions_and_classes_are_run_one_case_each() {
    let pytest =
        "import math\ndef test_one():\n    assert f(1) == 2\ndef test_two():\n    assert f(2) == 3\n";
    let unittest = "import unittest\nclass T(unittest.TestCase):\n    def setUp(self):\n        self.x = 1\n    def test_one(self):\n        self.assertEqual(f(self.x), 2)\n    def test_two(self):\n        with self.assertRaises(TypeError):\n            f('x')\nif __name__ == '__main__':\n    unittest.main()\n";
    let class = "class TestF:\n    def setup_method(self):\n        self.x = 1\n    def test_one(self):\n        assert f(self.x) == 2\n    def test_two(self):\n        assert f(2) == 3\n";
    let called = "def check():\n    assert f(1) == 2\ndef run():\n    check()\nrun()\nassert f(2) == 3\n";
    for tests in [pytest, unittest, class, called] {
        let verdict = passes(asserts(tests), "def f(x): return x + 1\n");
        assert_eq!(verdict.parts.len(), 2, "{tests}");
        fails(asserts(tests), "def f(x): return 0\n");
        fails(asserts(tests), "x = 1\n");
    }
    let verdict =
        judge_tests(asserts("def test_f(fixture):\n    assert f(fixture) == 2\n"), "def f(x): return 2\n");
    assert!(
        verdict.outcome == Outcome::Fault && verdict.reason.contains("fixture")
            || verdict.reason.contains("arguments")
    );
    let verdict = judge_tests(asserts("def verify():\n    assert f(1) == 2\n"), "def f(x): return 2\n");
    assert!(
        verdict.outcome == Outcome::Fault && verdict.reason.contains("nothing is asserted"),
        "{}",
        verdict.reason
    );
}

#[test]
fn a_statement_that_asserts_nothing_earns_nothing() {
    let tests = |code: &str| json!({ "kind": "asserts", "code": code, "credit": "fraction" });
    let stack = "class Stack:\n    def push(self, x): pass\n    def pop(self): return 0\n";
    assert_eq!(fails(tests("s = Stack()\ns.push(1)\nassert s.pop() == 1"), stack).score, Some(0.0));
    assert_eq!(
        fails(tests("import random\nrandom.seed(1)\nassert 1 == 1\nassert f(1) == 2"), "x = 1").score,
        Some(0.0)
    );
    assert_eq!(passes(tests("assert 1 == 1\nassert f(1) == 2"), "def f(x): return 2").parts.len(), 1);
    let caught = "try:\n    f(0)\nexcept Exception:\n    pass\nelse:\n    assert False";
    fails(tests(caught), "x = 1");
    passes(tests(caught), "def f(x): return 1 / x");
    fails(asserts("assert f(1) == 2\nf(0)"), "def f(x): return 2 // x");
}

#[test]
fn a_prompt_without_stubs_is_repaired_by_the_completion() {
    let prompt = "def add(a, b):\n    return a - b\n";
    let tests = asserts("assert add(1, 2) == 3");
    assert_eq!(prompted(prompt, tests.clone(), "def add(a, b):\n    return a + b\n").outcome, Outcome::Pass);
    assert_eq!(prompted(prompt, tests.clone(), "pass").outcome, Outcome::Fail);
    let right = prompt.replace('-', "+");
    assert_eq!(prompted(&right, tests.clone(), "pass").outcome, Outcome::Fail);
    assert_eq!(prompted(&right, tests, "    pass\n").score, Some(0.0));
    let entry = json!({ "kind": "calls", "entry": "add", "cases": [{ "args": [1, 2], "output": 3 }] });
    assert_eq!(prompted(&right, entry.clone(), "pass").outcome, Outcome::Fail);
    assert_eq!(prompted(prompt, entry, "def add(a, b): return a + b").outcome, Outcome::Pass);
    let two = "def enc(s):\n    return s\ndef dec(s):\n    return s + 'x'\n";
    let verdict =
        prompted(two, asserts("assert dec(enc('a')) == 'a'"), "def dec(s): return s\ndef enc(s): return s");
    assert!(verdict.outcome == Outcome::Fault && verdict.reason.contains("entry"), "{}", verdict.reason);
}

#[test]
fn numbers_compare_as_what_they_are() {
    let large = |output: Value| calls(json!([{ "args": [1], "output": output }]));
    fails(large(json!(1_000_000_007)), "def f(x): return 1e9");
    fails(large(json!(1)), "def f(x): return True");
    fails(large(json!(true)), "def f(x): return 1");
    fails(large(json!(1e-7)), "def f(x): return 0");
    passes(large(json!(6)), "def f(x): return 6.0");
    passes(large(json!(0.5)), "def f(x): return 0.5 + 1e-9");
    passes(large(json!(2.0)), "def f(x): return 2");
    let digits = json!([{ "args": [{ "$integer": "123456789012345678901234567890" }], "output": { "$integer": "123456789012345678901234567891" } }]);
    passes(calls(digits.clone()), "def f(x): return x + 1");
    fails(calls(digits), "def f(x): return 123456789012345678900000000000");
}

#[test]
fn order_is_free_only_where_the_row_says_so() {
    let tests = json!({ "kind": "calls", "entry": "f", "unordered": true, "cases": [{ "args": [[3, 1]], "output": [1, 3] }] });
    passes(tests.clone(), "def f(a): return set(a)");
    passes(tests.clone(), "def f(a): return a");
    fails(tests, "def f(a): return a + [1]");
}

#[test]
fn handles_forward_what_tells_nothing_of_the_tests() {
    passes(
        asserts(
            "import inspect, io, contextlib, collections.abc
v = V(1, 2)
assert repr(v) == 'V(1, 2)' and repr([v]) == '[V(1, 2)]' and (-v).x == -1 and abs(V(3, 4)) == 5 and int(v) == 1
assert 2 in v and 9 not in v and type(v).__name__ == 'V' and v.__class__.__name__ == 'V'
v += V(1, 1)
assert v.x == 2
assert f.__doc__ == 'x' and list(inspect.signature(f).parameters) == ['a', 'b']
assert not isinstance(v, collections.abc.Iterable) and isinstance(g(), collections.abc.Iterator)
s = io.StringIO()
with contextlib.redirect_stdout(s):
    f(1)
assert s.getvalue() == 'hi 1\\n'
for E in (Base, Child):
    try:
        boom()
        assert False
    except E as e:
        assert e.code == 7
with rolled_back() as log:
    raise KeyError('mine')
assert log() == ['begin', 'KeyError']
c = counter()
assert next(c) == 0 and c.send(5) == 5",
        ),
        "from contextlib import contextmanager
class V:
    def __init__(self, x, y): self.x, self.y = x, y
    def __neg__(self): return V(-self.x, -self.y)
    def __abs__(self): return (self.x ** 2 + self.y ** 2) ** .5
    def __contains__(self, k): return k in (self.x, self.y)
    def __int__(self): return self.x
    def __iadd__(self, o): self.x += o.x; return self
    def __repr__(self): return f'V({self.x}, {self.y})'
class Base(Exception): pass
class Child(Base):
    def __init__(self, code): super().__init__(code); self.code = code
def boom(): raise Child(7)
def f(a, b=2):
    'x'
    print('hi', a)
def g(): yield 1
def counter():
    n = 0
    while True: n = (yield n) or n + 1
@contextmanager
def rolled_back():
    log = ['begin']
    try: yield lambda: log
    except KeyError as e: log.append(type(e).__name__)
",
    );
}

#[test]
fn objects_of_the_tests_may_be_written_to_and_tested_for_truth() {
    passes(
        asserts(
            "import io, re, random, array, types, datetime
class N:
    def __init__(self, v, next=None): self.v, self.next = v, next
r = rev(N(1, N(2)))
assert r.v == 2 and r.next.v == 1 and r.next.next is None
n = N(1)
bump(n)
assert n.v == 2
assert lines(io.StringIO('1\\n2\\n')) == 3 and found(re.compile('a+'), 'caat') == 'aa' and same(random.Random(3)) < 1
for x in (array.array('i', [1, 2]), types.SimpleNamespace(a=[1]), datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)):
    assert same_as(x) == x",
        ),
        "def rev(h):
    p = None
    while h: h.next, p, h = p, h, h.next
    return p
def bump(n): n.v += 1
def lines(s): return sum(int(l) for l in s)
def found(p, s): return p.search(s).group()
def same(r): return r.random()
def same_as(x): return x
",
    );
}

#[test]
fn recursion_is_as_deep_as_in_native_python() {
    passes(
        asserts("assert f(5000) == 5000\nassert walk(900) == 900"),
        "import sys, functools\nsys.setrecursionlimit(10 ** 6)\n@functools.lru_cache(None)\ndef f(n): return 0 if n == 0 else 1 + f(n - 1)\ndef walk(n): return 0 if n == 0 else 1 + max(walk(n - 1) for _ in range(1))\n",
    );
    let memoize = "def memoize(f):\n    seen = {}\n    def inner(n):\n        if n not in seen: seen[n] = f(n)\n        return seen[n]\n    return inner\n";
    passes(
        asserts(
            "@memoize\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nassert fib(450) % 1000 == 600\n",
        ),
        memoize,
    );
    let verdict = fails(
        asserts(
            "@memoize\ndef fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nassert fib(5000) > 0\n",
        ),
        memoize,
    );
    assert!(verdict.reason.contains("RecursionError"), "{}", verdict.reason);
}

#[test]
fn every_module_that_is_listed_can_be_imported() {
    let names: Vec<&str> = include_str!("../guest/modules.txt")
        .lines()
        .filter(|n| !["antigravity", "this", "__main__"].contains(n) && !n.ends_with(".__main__"))
        .collect();
    let program = "import importlib\ndef f(names):\n    lost = []\n    for name in names:\n        try: importlib.import_module(name)\n        except BaseException as error: lost.append((name, repr(error)))\n    return lost\n";
    passes(
        json!({ "kind": "calls", "entry": "f", "seconds": 30, "cases": [{ "args": [names], "output": [] }] }),
        program,
    );
    passes(
        asserts("assert f() == [1, 2]"),
        "import asyncio, subprocess, socket\nasync def g(n):\n    await asyncio.sleep(0.001)\n    return n\nasync def both(): return await asyncio.gather(g(1), g(2))\ndef f(): return asyncio.run(both())\n",
    );
}

#[test]
fn a_row_that_nothing_can_pass_is_refused_or_a_fault() {
    use rlvr_verdict::Verifier;
    let error = |tests: Value| {
        let problem = Problem { tests: Some(tests), ..Problem::default() };
        data::python().check(&problem).unwrap_err().to_string()
    };
    assert!(error(json!("def check(candidate):\n    assert candidate(1) == 2")).contains("entry_point"));
    assert!(error(json!({ "kind": "asserts", "code": "f(1)" })).contains("asserts nothing"));
    assert!(error(json!({ "kind": "asserts", "code": "import gzip\nassert f() == 3" })).contains("`gzip`"));
    assert!(
        error(json!({ "kind": "asserts", "code": "assert f()", "seconds": 1e30 })).contains("tests.seconds")
    );
    assert!(
        error(json!({ "kind": "asserts", "code": "assert f()", "seconds": 1e-12 })).contains("tests.seconds")
    );
    assert!(error(json!(5)).contains("is 5"));
    let hidden = "__import__('gzip')\nassert f() == 3";
    let verdict = judge_tests(asserts(hidden), "def f(): return 3");
    assert!(
        verdict.outcome == Outcome::Fault && verdict.reason.contains("the row's tests"),
        "{}",
        verdict.reason
    );
}
