//! What crosses between solution and tests, and whose names are whose. Each case is a program that passes under plain Python.

mod data;

use data::{asserts, fails, judge, judge_tests, passes};
use rlvr_verdict::{Outcome, Problem};
use serde_json::{Value, json};

fn with_setup(setup: &str, code: &str) -> Value {
    json!({ "kind": "asserts", "setup": setup, "code": code })
}

#[test]
fn plain_data_crosses_as_itself() {
    let echo = "def f(x):\n    return x\n";
    passes(
        asserts(
            "import math, decimal, fractions, datetime
from collections import Counter, deque, defaultdict, OrderedDict, namedtuple
P = namedtuple('P', 'x y')
values = [None, True, 0, -1, 2**63, -2**63, 2**64, -2**200, 10**300, 1.5, -0.0, float('inf'), 1+2j, '', 'é\\n', '\\ud800', b'', b'\\x00\\xff',
          [], [1, [2, [3]]], (), (1, (2,)), {}, {1: 'a', 'b': (1, 2)}, {(1, 2): [3], frozenset([1]): 4}, set(), {1, 'a', (2, 3)}, frozenset({1, frozenset({2})}),
          bytearray(b'ab'), Counter('hello'), deque([1, 2], 5), OrderedDict([(2, 1), (1, 2)]), P(1, [2]), range(3, 10, 2), slice(1, 2),
          decimal.Decimal('1.10'), fractions.Fraction(1, 3), datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3), datetime.timedelta(1), ...,
          int, len, math.sqrt, Counter]
for v in values:
    w = f(v)
    assert w == v and type(w) is type(v), (v, w)
assert math.isnan(f(float('nan'))) and math.copysign(1, f(-0.0)) == -1
d = f(defaultdict(list, {1: [2]}))
assert d == {1: [2]} and d[5] == []
assert f(deque([1, 2], 5)).maxlen == 5 and list(f(OrderedDict([(2, 1), (1, 2)]))) == [2, 1]
assert f(P(1, 2)).x == 1",
        ),
        echo,
    );
}

#[test]
fn shared_and_cyclic_references_keep_identity() {
    passes(
        asserts(
            "a = [1]
b = f([a, a, (a,)])
assert b[0] is b[1] and b[2][0] is b[0] and b[0] == [1] and b[0] is a
c = []
c.append(c)
d = f(c)
assert d is c and d[0] is d
e = {}
e['self'] = e
assert f(e)['self'] is e
x, y = g()
assert x is y and x[0] is x",
        ),
        "def f(x):\n    return x\ndef g():\n    a = []\n    a.append(a)\n    return a, a\n",
    );
}

#[test]
fn arguments_that_a_solution_changes_are_changed_in_the_tests() {
    passes(
        asserts(
            "from collections import deque, Counter, defaultdict
n = [3, 1, 2]
m = n
assert f(n) is None
assert n == [1, 2, 3] and m is n
g1 = [[0, 1], [2, 3]]
row = g1[0]
rotate(g1)
assert g1 == [[2, 0], [3, 1]] and row is g1[0]
d, s, q, c = {'a': 1}, {1}, deque([1, 2]), Counter('aab')
many(d, s, q, c, b := bytearray(b'x'))
assert d == {'a': 1, 'b': [2]} and s == {2} and list(q) == [2, 9] and c['a'] == 5 and b == b'xy'
assert keep(n) is n
k = {'list': [1]}
inner = k['list']
named(data=k)
assert inner == [1, 7]",
        ),
        "def f(nums):
    nums.sort()
def rotate(m):
    m[:] = m[::-1]
    for i in range(len(m)):
        for j in range(i):
            m[i][j], m[j][i] = m[j][i], m[i][j]
    m.reverse(); m.reverse()
    m[0], m[1] = m[0], m[1]
    a = [list(r) for r in m]
    m.clear()
    m.extend([[2, 0], [3, 1]])
def many(d, s, q, c, b):
    d['b'] = [2]
    s.clear(); s.add(2)
    q.popleft(); q.append(9)
    c['a'] += 3
    b.append(121)
def keep(n):
    n.append(4)
    return n
def named(data):
    data['list'].append(7)
"
        .replace(
            "    m.clear()\n    m.extend([[2, 0], [3, 1]])\n",
            "    x, y = m\n    x[:], y[:] = [3, 1], [2, 0]\n    m[:] = [y, x]\n",
        )
        .as_str(),
    );
}

const NODES: &str = "from typing import *
class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next
class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val = val
        self.left = left
        self.right = right
def list_node(values):
    head = node = ListNode(0)
    for v in values:
        node.next = ListNode(v)
        node = node.next
    return head.next
def is_same_list(a, b):
    while a and b and a.val == b.val:
        a, b = a.next, b.next
    return a is None and b is None
def tree_node(values):
    if not values: return None
    root = TreeNode(values[0]); queue = [root]; i = 1
    while i < len(values):
        node = queue.pop(0)
        for side in ('left', 'right'):
            if i < len(values) and values[i] is not None:
                child = TreeNode(values[i]); setattr(node, side, child); queue.append(child)
            i += 1
    return root
";

#[test]
fn classes_of_the_setup_cross_by_value_however_long_the_list() {
    let tests = with_setup(
        NODES,
        "assert is_same_list(Solution().reverseList(list_node([1, 2, 3])), list_node([3, 2, 1]))
assert is_same_list(Solution().reverseList(head=list_node(list(range(20000)))), list_node(list(range(20000))[::-1]))
assert Solution().depth(tree_node([3, 9, 20, None, None, 15, 7])) == 3
assert Solution().reverseList(None) is None
t = Solution().invert(tree_node([1, 2, 3]))
assert type(t) is TreeNode and t.left.val == 3
h = list_node([1, 2])
h.next.next = h
assert Solution().hasCycle(h) is True",
    );
    let solution = "class Solution:
    def reverseList(self, head: Optional[ListNode]) -> Optional[ListNode]:
        prev = None
        while head:
            head.next, prev, head = prev, head, head.next
        return prev
    def depth(self, root: Optional[TreeNode]) -> int:
        return 0 if not root else 1 + max(self.depth(root.left), self.depth(root.right))
    def invert(self, root):
        if root: root.left, root.right = self.invert(root.right), self.invert(root.left)
        return root
    def hasCycle(self, head):
        seen = set()
        while head:
            if head in seen: return True
            seen.add(head); head = head.next
        return False
";
    passes(tests.clone(), solution);
    let own = "class ListNode:\n    def __init__(self, x): self.val, self.next = x, None\n";
    passes(tests.clone(), &format!("```python\n{own}{solution}```"));
    fails(tests, &solution.replace("return prev", "return head"));
}

#[test]
fn objects_of_the_solution_are_used_through_handles() {
    passes(
        asserts(
            "c = LRUCache(2)
c.put(1, 1); c.put(2, 2)
assert c.get(1) == 1
c.put(3, 3)
assert c.get(2) == -1 and c.capacity == 2
c.capacity = 3
assert c.capacity == 3 and hasattr(c, 'get') and not hasattr(c, 'nothing')
assert str(c) == 'LRU 2' and f'{c}' == 'LRU 2'
assert isinstance(c, LRUCache) and not isinstance(3, LRUCache)
assert list(c) == [1, 3] and c['x'] == 'x!' and [k for k in c] == [1, 3]
a, b = V(1, 2), V(3, 4)
assert (a + b).x == 4 and (a + b).y == 6
with c as inner:
    assert inner.capacity == 3
assert LRUCache.NAME == 'lru' and LRUCache.make().capacity == 9",
        ),
        "from collections import OrderedDict
class LRUCache:
    NAME = 'lru'
    def __init__(self, capacity):
        self.capacity, self.d = capacity, OrderedDict()
    def get(self, k):
        if k not in self.d: return -1
        self.d.move_to_end(k); return self.d[k]
    def put(self, k, v):
        self.d[k] = v; self.d.move_to_end(k)
        if len(self.d) > self.capacity: self.d.popitem(last=False)
    def __str__(self): return f'LRU {len(self.d)}'
    def __iter__(self): return iter(self.d)
    def __getitem__(self, k): return k + '!'
    def __enter__(self): return self
    def __exit__(self, *a): return False
    @classmethod
    def make(cls): return cls(9)
class V:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, o): return V(self.x + o.x, self.y + o.y)
",
    );
}

#[test]
fn generators_closures_and_callables_cross_both_ways() {
    passes(
        asserts(
            "assert list(gen(4)) == [0, 1, 4, 9]
g = gen(100)
assert next(g) == 0 and next(g) == 1 and sum(zip_first(g)) == 4
assert sorted(m([3, 1])) == [2, 6]
assert adder(2)(3) == 5
calls = []
def spy(x):
    calls.append(x)
    return x * 10
assert apply(spy, [1, 2]) == [10, 20] and calls == [1, 2]
assert apply(lambda x: x + 1, [1]) == [2]
assert apply(str, [1]) == ['1'] and apply(len, ['ab']) == [2] and apply(abs, [-1]) == [1]
assert sorted([3, 1, 2], key=keyed) == [3, 2, 1]
assert apply(adder(1), [1]) == [2]
def fail(x):
    raise KeyError('mine')
try:
    apply(fail, [1])
    assert False
except KeyError as e:
    assert e.args == ('mine',)
assert catches(fail) == 'KeyError'
assert decorated(spy)(4) == 41",
        ),
        "def gen(n):
    for i in range(n): yield i * i
def zip_first(g):
    yield next(g)
def m(a): return map(lambda x: 2 * x, a)
def adder(n): return lambda x: x + n
def apply(f, a): return [f(x) for x in a]
def keyed(x): return -x
def catches(f):
    try: f(1)
    except KeyError as e: return type(e).__name__
def decorated(f):
    def inner(*a, **k): return f(*a, **k) + 1
    return inner
",
    );
}

#[test]
fn exceptions_cross_by_their_builtin_type_and_the_solutions_own_by_name() {
    passes(
        asserts(
            "for bad, kind in ((0, ZeroDivisionError), ('x', TypeError), (-1, ValueError), (7, IndexError)):
    try:
        f(bad)
    except kind as e:
        assert bad != -1 or str(e) == 'negative'
    else:
        assert False, bad
try:
    f(9)
except Broke as e:
    assert str(e) == 'broke'
try:
    f(9)
except Exception as e:
    assert isinstance(e, ValueError)
try:
    f(10)
except RecursionError:
    pass",
        ),
        "class Broke(ValueError): pass
def f(x):
    if x == -1: raise ValueError('negative')
    if x == 7: return [][0]
    if x == 9: raise Broke('broke')
    if x == 10: return f(x)
    return 1 / x
",
    );
}

#[test]
fn names_of_the_prompt_the_setup_and_the_tests_are_the_tests_own() {
    let prefix = "def double(x):\n    return 2 * x\n\ndef half(x):\n    \"\"\"Inverse of double.\"\"\"\n";
    let tests = json!({ "kind": "asserts", "prefix": prefix, "code": "for i in range(9):\n    assert half(double(i)) == i" });
    passes(tests.clone(), "    return x // 2\n");
    passes(tests.clone(), "```python\ndef half(x):\n    return x / 2\n```");
    fails(tests.clone(), "    return x\n");
    fails(tests, "    return x\n\ndef double(x):\n    return x\n");
    let tests =
        with_setup("def check(a, b):\n    assert a == b, (a, b)", "check(f(2), 4)\ncheck(abs(f(-1)), 2)");
    passes(tests.clone(), "def f(x):\n    return 2 * x\n");
    fails(tests, "def check(*a): pass\ndef abs(x): return 2\ndef f(x): return 1\n");
}

#[test]
fn a_solution_may_be_named_like_a_builtin_where_the_tests_look_for_nothing_else() {
    passes(
        asserts("assert sum(10, 15) == 6\nassert sum(100, 150) == 93"),
        "def sum(a, b):\n    return __builtins__.sum(i for i in range(1, min(a, b)) if a % i == b % i == 0)\n",
    );
    fails(asserts("assert sum([f(1), 1]) == 3"), "def f(x): return 1\ndef sum(x): return 3\n");
}

#[test]
fn names_that_only_the_solution_imports_are_the_tests_own_modules() {
    passes(
        asserts("assert math.isclose(f(), 0.1 + 0.2)\nassert Counter(g()) == Counter('abc')"),
        "import math\nfrom collections import Counter\ndef f(): return 0.3\ndef g(): return 'cab'\n",
    );
    fails(
        asserts("assert math.isclose(f(), 0.5)"),
        "import math\nmath.isclose = lambda *a: True\ndef f(): return 0.3\n",
    );
}

#[test]
fn calls_compare_as_json_does() {
    let tests = json!({ "kind": "calls", "entry": "f", "cases": [
        { "args": [[2, 1]], "output": [1, 2] }, { "args": [[]], "output": [] } ] });
    passes(tests.clone(), "def f(a): return tuple(sorted(a))\n");
    fails(tests.clone(), "def f(a): return set(a)\n");
    let verdict = fails(tests, "def f(a): return a\n");
    assert_eq!(verdict.parts, [("case_1".to_owned(), 0.0), ("case_2".to_owned(), 1.0)]);
    assert!(verdict.reason.contains("f([2, 1]) is [2, 1], not [1, 2]"), "{}", verdict.reason);
    passes(
        json!({ "kind": "calls", "entry": "f", "cases": [{ "args": { "x": 1 }, "output": { "1": 0.3333333333 } }, { "args": [], "kwargs": { "x": 2 }, "output": { "2": 0.16666666666 } }] }),
        "def f(x): return {x: 1 / 3 / x}\n",
    );
    fails(
        json!({ "kind": "calls", "entry": "f", "cases": [{ "args": [], "output": null }] }),
        "def f(): return 0\n",
    );
}

#[test]
fn methods_of_a_solution_class_are_entry_points() {
    let code = "from typing import List\nclass Solution:\n    def __init__(self): self.n = 0\n    def twoSum(self, nums: List[int], target: int) -> List[int]:\n        self.n += 1\n        seen = {}\n        for i, x in enumerate(nums):\n            if target - x in seen: return [seen[target - x], i]\n            seen[x] = i\n";
    for entry in ["Solution().twoSum", "Solution.twoSum", "twoSum"] {
        let tests = json!({ "kind": "calls", "entry": entry, "cases": [{ "args": [[2, 7, 11, 15], 9], "output": [0, 1] }, { "args": [[3, 3], 6], "output": [0, 1] }] });
        passes(tests.clone(), code);
        fails(tests, &code.replace("i]\n", "-1]\n"));
    }
}

#[test]
fn a_check_function_is_given_the_candidate() {
    let tests = json!({ "kind": "check", "entry": "Solution().f", "code": "def check(candidate):\n    assert candidate(x=[1]) == 1\n    assert candidate([1, 2]) == 3\n" });
    passes(tests.clone(), "class Solution:\n    def f(self, x): return sum(x)\n");
    fails(tests, "class Solution:\n    def f(self, x): return 1\n");
}

#[test]
fn each_assert_is_a_case_and_credit_is_all_or_a_fraction() {
    let code = "x = f(1)\nassert x == 1\nassert f(2) == 4\nfor i in range(3):\n    assert f(i) == i * i\n";
    let tests = json!({ "kind": "asserts", "code": code, "credit": "fraction" });
    let verdict = fails(
        tests,
        "def f(x): return x if x < 2 else 4 if x == 2 else 0\n"
            .replace("else 4 if x == 2 else 0", "else 5")
            .as_str(),
    );
    let score = verdict.score.unwrap();
    assert!((score - 1.0 / 3.0).abs() < 1e-6, "{score}");
    assert_eq!(fails(asserts(code), "def f(x): return 1\n").score, Some(0.0));
}

#[test]
fn programs_are_judged_by_what_they_write() {
    let cases = json!([{ "input": "3\n1 2 3\n", "output": "6\n" }, { "input": "1\n5\n", "output": "5" }]);
    let tests = |compare: &str| json!({ "kind": "stdin", "cases": cases, "compare": compare });
    let code = "import sys\ndef main():\n    n = int(input())\n    print(sum(map(int, sys.stdin.readline().split())))\nif __name__ == '__main__':\n    main()\n    sys.exit(0)\n";
    passes(tests("whitespace"), code);
    passes(tests("whitespace"), "print(eval('+'.join(open(0).read().split()[1:])))");
    passes(
        tests("whitespace"),
        "import sys, os\ndata = sys.stdin.buffer.read().split()\nos.write(1, str(sum(map(int, data[1:]))).encode())\nos._exit(0)\n",
    );
    passes(tests("numeric"), "n = input()\nprint(sum(map(float, input().split())))");
    fails(tests("exact"), code);
    let verdict = judge_tests(json!({ "kind": "stdin", "cases": cases, "credit": "fraction" }), "print(6)");
    assert_eq!((verdict.score, verdict.outcome), (Some(0.5), Outcome::Fail));
    assert!(fails(tests("whitespace"), "print(6)\nraise SystemExit(1)").reason.contains("exit code 1"));
    fails(tests("whitespace"), "n = int(input())\nprint(sum(map(int, input().split())))\n1/0\n");
}

#[test]
fn a_program_starts_afresh_in_each_case() {
    let tests =
        json!({ "kind": "stdin", "cases": [{ "input": "", "output": "1" }, { "input": "", "output": "1" }] });
    passes(
        tests,
        "import builtins\nbuiltins.seen = getattr(builtins, 'seen', 0) + 1\nprint(builtins.seen)\n",
    );
}

#[test]
fn outcomes_say_what_happened() {
    let tests = json!({ "kind": "asserts", "code": "assert f(1) == 1", "seconds": 0.1 });
    let outcome = |code: &str| judge_tests(tests.clone(), code);
    let verdict = outcome("import numpy as np\ndef f(x): return int(np.array(x))\n");
    assert_eq!(verdict.outcome, Outcome::Unparseable);
    assert!(verdict.reason.contains("`numpy`"), "{}", verdict.reason);
    let verdict = outcome("def f(x):\n    import pandas.core\n    return 1\n");
    assert!(verdict.outcome == Outcome::Fail && verdict.reason.contains("'pandas'"), "{}", verdict.reason);
    let verdict = outcome("raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')\n");
    assert_eq!(
        verdict.outcome,
        Outcome::Fail,
        "a missing module that nothing looked for: {}",
        verdict.reason
    );
    assert_eq!(outcome("def f(x:\n").outcome, Outcome::Unparseable);
    assert_eq!(outcome("I do not know, sorry.").outcome, Outcome::Unparseable);
    assert_eq!(outcome("").outcome, Outcome::Unparseable);
    assert_eq!(outcome("def f(x):\n    while True: pass\n").outcome, Outcome::OutOfFuel);
    assert_eq!(
        outcome("def f(x):\n    a = []\n    while True: a.append(bytearray(1 << 20))\n").outcome,
        Outcome::OutOfMemory
    );
    assert_eq!(outcome("def f(x):\n    while True: print('x' * 10000)\n").outcome, Outcome::OutputLimit);
    let verdict = outcome("def g(x): return 1\n");
    assert!(verdict.outcome == Outcome::Fail && verdict.reason.contains("defines `f`"), "{}", verdict.reason);
    let verdict = outcome("def f(x): return 2\n");
    assert!(verdict.reason.contains("assert f(1) == 1"), "{}", verdict.reason);
    let verdict = outcome("x = 1\nraise ValueError('top')\ndef f(x): return 1\n");
    assert!(verdict.reason.contains("ValueError: top (line 2)"), "{}", verdict.reason);
}

#[test]
fn code_is_found_where_a_user_would_look() {
    let tests = asserts("assert f(1) == 2");
    for completion in [
        "Sure!\n```python\ndef f(x):\n    return x + 1\n```\nUse it:\n```python\nprint(f(3))\n```",
        "<think>```python\ndef f(x): return 0\n```</think>\n```\ndef f(x): return x + 1\n```",
        "```python\ndef f(x): return 0\n```\nNo, better:\n```python\ndef f(x):\n    return x + 1\n```\nOutput:\n```text\n2 = 3\n```",
        "```python\ndef f(x):\n    return x + 1\n",
        "def f(x):\n    return x + 1",
    ] {
        passes(tests.clone(), completion);
    }
}

#[test]
fn a_prompt_that_is_code_is_continued_or_replaced() {
    let problem = Problem {
        prompt: "from typing import List\n\ndef f(x: List[int]) -> int:\n    \"\"\" Sum. \"\"\"\n".into(),
        tests: Some(asserts("assert f([1, 2]) == 3")),
        ..Problem::default()
    };
    for completion in [
        "    return sum(x)\n",
        "    total = 0\n    for i in x:\n        total += i\n    return total\n\nprint(f([1]))\n",
        "```python\ndef f(x: List[int]) -> int:\n    return sum(x)\n```",
        "Here:\n```python\nfrom typing import List\n\ndef f(x: List[int]) -> int:\n    \"\"\" Sum. \"\"\"\n    return sum(x)\n```\n",
        "```python\n    return sum(x)\n```",
    ] {
        let verdict = judge(&problem, completion);
        assert_eq!(verdict.outcome, Outcome::Pass, "{completion:?}: {}", verdict.reason);
    }
    assert_eq!(judge(&problem, "    return 0\n").outcome, Outcome::Fail);
}

#[test]
fn tests_that_need_a_class_of_the_solution_in_their_setup_get_it() {
    passes(
        with_setup(
            "root = Node(1)\nroot.left = Node(2)\n",
            "assert depth(root) == 2\nassert depth(Node(3)) == 1",
        ),
        "class Node:\n    def __init__(self, v): self.v, self.left, self.right = v, None, None\ndef depth(n): return 0 if n is None else 1 + max(depth(n.left), depth(n.right))\n",
    );
}

#[test]
fn deep_recursion_and_common_modules_work() {
    passes(
        asserts("assert depth(9000) == 9000\nassert lcs('abcde' * 20, 'ace' * 20) == 60\nassert fmt(1234567.891) == '1,234,567.89'\nassert big(200) == 200\nassert rnd() == rnd()\nassert up('a1b2') == ['1', '2']"),
        "import sys, re, random, string, heapq, bisect, itertools, functools, math, operator, statistics, datetime, json, copy, enum, dataclasses
sys.setrecursionlimit(10 ** 6)
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
@functools.lru_cache(maxsize=None)
def _lcs(a, b, i, j):
    if i == len(a) or j == len(b): return 0
    return 1 + _lcs(a, b, i + 1, j + 1) if a[i] == b[j] else max(_lcs(a, b, i + 1, j), _lcs(a, b, i, j + 1))
def lcs(a, b): return _lcs(a, b, 0, 0)
def fmt(x): return f'{x:,.2f}'
@dataclasses.dataclass
class D:
    a: int = 0
def big(n): return len({D(i).a for i in range(n)})
def rnd():
    random.seed(1); return random.random()
def up(s): return re.findall(r'\\d', s)
",
    );
}

#[test]
fn shared_isolation_is_refused_unless_allowed_and_then_said() {
    use rlvr_code::{PythonConfig, PythonVerifier};
    use rlvr_verdict::{Completion, Verifier};
    let problem = Problem {
        tests: Some(json!({ "kind": "asserts", "code": "assert f() == X", "isolation": "shared" })),
        ..Problem::default()
    };
    assert!(data::python().check(&problem).unwrap_err().to_string().contains("isolation"));
    let config: PythonConfig = serde_json::from_value(json!({ "isolation": "shared" })).unwrap();
    let python = PythonVerifier::new(config).unwrap();
    let verdict = python.verify(&problem, &Completion::new("X = object()\ndef f(): return X\n"));
    assert!(verdict.outcome == Outcome::Pass && verdict.reason.contains("shared"), "{}", verdict.reason);
}

#[test]
fn rows_that_cannot_be_judged_are_refused_with_the_field() {
    use rlvr_verdict::Verifier;
    let error = |tests: Value| {
        let problem = Problem { tests: Some(tests), ..Problem::default() };
        data::python().check(&problem).unwrap_err().to_string()
    };
    assert!(error(json!({ "kind": "assert", "code": "" })).contains("asserts"));
    assert!(error(json!({ "kind": "asserts", "code": "assert 1", "sets": 1 })).contains("sets"));
    assert!(error(json!({ "kind": "calls", "entry": "f(", "cases": [] })).contains("tests.entry"));
    assert!(
        error(json!({ "kind": "calls", "entry": "f", "cases": [{ "args": [1] }] }))
            .contains("tests.cases[0].output")
    );
    assert!(error(json!({ "kind": "asserts", "code": "import numpy\nassert f() == 1" })).contains("`numpy`"));
}

#[test]
fn an_object_of_the_solution_is_true_unless_its_class_has_its_own_truth() {
    let nodes = "class Node:
    def __init__(self, v, next=None): self.v, self.next = v, next
class Empty:
    def __bool__(self): return False
class Sized:
    def __len__(self): return 1
def chain(values):
    head = None
    for v in reversed(values): head = Node(v, head)
    return head
def find(pattern, text):
    import re
    return re.search(pattern, text)
";
    passes(
        asserts(
            "node, found = chain([1, 2, 3]), []
while node:
    found.append(node.v)
    node = node.next
assert found == [1, 2, 3]
assert chain([1]) and not chain([])
assert find('b+', 'abbc') and not find('x', 'abbc')
assert find('b+', 'abbc').group() == 'bb'",
        ),
        nodes,
    );
    for object in ["Empty()", "Sized()"] {
        let verdict = fails(asserts(&format!("assert {object}")), nodes);
        assert!(verdict.reason.contains("is not asked of the solution"), "{}", verdict.reason);
    }
}

#[test]
fn what_the_solution_says_of_itself_in_words_is_asked_of_it() {
    passes(
        asserts(
            "assert repr(V(1, 2) + V(3, 4)) == 'V(4, 6)'
assert area.__doc__ == 'Area.' and area.__name__ == 'area' and V.__doc__ is None
assert isinstance(error(), ValueError) and str(error()) == 'x' and error().args == ('x',)
assert isinstance(own(), Own) and str(own()) == 'mine'
import array
assert numbers() == array.array('i', [1, 2]) and total(array.array('d', [0.5, 1.0])) == 1.5",
        ),
        "import array
class V:
    def __init__(self, x, y): self.x, self.y = x, y
    def __add__(self, o): return V(self.x + o.x, self.y + o.y)
    def __repr__(self): return f'V({self.x}, {self.y})'
class Own(Exception): pass
def area(r):
    'Area.'
    return r * r
def error(): return ValueError('x')
def own(): return Own('mine')
def numbers(): return array.array('i', [1, 2])
def total(a): return sum(a)
",
    );
}

#[test]
fn a_solution_uses_the_objects_of_the_tests_but_replaces_none_of_their_methods() {
    let tests = asserts(
        "import io
from types import SimpleNamespace
class Person:
    def __init__(self, age): self.age = age
    def next(self): return self.age + 1
p = Person(3)
assert birthday(p) is p and p.age == 4 and p.next() == 5
s = SimpleNamespace(age=7)
assert birthday(s) is s and s.age == 8
assert len(vars(same(SimpleNamespace()))) == 0
assert first(io.StringIO('a\\nb\\n')) == 'a\\n'",
    );
    passes(
        tests.clone(),
        "def birthday(p):\n    p.age += 1\n    return p\ndef first(f): return f.readline()\ndef same(x): return x\n",
    );
    let patched = "def birthday(p):\n    p.age += 1\n    p.next = lambda: 5\n    return p\ndef first(f): return f.readline()\ndef same(x): return x\n";
    assert!(fails(tests, patched).reason.contains("not for the solution"));
}

#[test]
fn tests_may_be_written_for_pytest_or_unittest() {
    let pytest = "from solution import double, half as halve\n\ndef test_double():\n    assert double(2) == 4\n\ndef test_half():\n    assert halve(double(3)) == 3\n";
    let unittest = "import unittest\n\nclass TestDouble(unittest.TestCase):\n    def test_double(self):\n        self.assertEqual(double(2), 4)\n    def test_half(self):\n        self.assertAlmostEqual(half(3), 1.5)\n\nif __name__ == '__main__':\n    unittest.main()\n";
    let code = "def double(x): return 2 * x\ndef half(x): return x / 2\n";
    for tests in [pytest, unittest] {
        passes(asserts(tests), code);
        fails(asserts(tests), "def double(x): return 2 * x\ndef half(x): return None\n");
        fails(asserts(tests), "import sys\ndef double(x): sys.exit(0)\ndef half(x): raise SystemExit(0)\n");
    }
    let verdict = fails(asserts(pytest), "def double(x): return x\ndef half(x): return x / 2\n");
    assert_eq!(verdict.parts.iter().map(|part| part.1).collect::<Vec<_>>(), [0.0, 0.0]);
}

#[test]
fn tests_in_which_nothing_can_fail_are_a_mistake_of_the_row() {
    let verdict = judge_tests(asserts("def helper(x):\n    assert f(x)\n"), "def f(x): return x\n");
    assert_eq!(verdict.outcome, Outcome::Fault);
    assert!(verdict.reason.contains("nothing is asserted"), "{}", verdict.reason);
}
