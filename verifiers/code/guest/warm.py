"""Runs last before the snapshot: sets up who answers, and runs ordinary programs so that the snapshot holds warm code."""

import gc
import json
import re
import sys
import _rlvr
import _rlvr_boot as boot
import _rlvr_bridge as bridge
import _rlvr_solution as solution
import _rlvr_tests as tests

_role = None


def control(message):
    """Answers the host."""
    global _role
    request = json.loads(message)
    op = request["op"]
    if op == "load":
        _role = solution.dispatch
        reply = solution.load(request)
    elif op == "analyze":
        _role = tests.dispatch
        reply = tests.analyze(request)
    elif op == "bind":
        reply = tests.bind(request["shared"])
    elif op == "watched":
        reply = tests.watched_case(request["index"])
    elif op == "flush":
        reply = sys.stdout.flush()
    else:
        reply = tests.case(request["index"])
    return json.dumps(reply).encode()


def dispatch(message):
    return _role(message)


# ---- ordinary checks, whose code stays compiled, specialised and in memory ----

_SOLUTION = """
from typing import List, Optional, Dict, Tuple
import math, heapq, bisect, itertools
from collections import Counter, defaultdict, deque
from functools import lru_cache

class Node:
    def __init__(self, value, next=None):
        self.value = value
        self.next = next

class Solution:
    def total(self, numbers: List[int], threshold: float = 0.5) -> int:
        seen = defaultdict(list)
        for i, n in enumerate(numbers):
            seen[n % 2].append(i)
        best = max(numbers, key=lambda n: -n) if numbers else 0
        return sum(sorted(numbers)) + best * 0

def work(text: str, numbers: List[int], table: Dict[str, int] = None) -> List[str]:
    words = [w.strip().lower() for w in text.split()]
    counts = Counter(words)
    table = {w: len(w) for w in words}
    result, i = [], 0
    while i < len(words):
        if words[i] in table and table[words[i]] > 1 or not words[i].isalpha():
            result.append(words[i][::-1] + str(numbers[i % len(numbers)]))
        i += 1
    numbers.sort(reverse=True)
    return sorted(set(result), key=lambda w: (len(w), w)) + [f"{math.sqrt(4.0):.2f}", "%d" % counts["a"]]

@lru_cache(None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def pairs(n):
    for a, b in itertools.combinations(range(n), 2):
        yield (a, b)

def fails(n):
    try:
        return {1: [n]}[n]
    except KeyError as error:
        raise ValueError(str(error)) from None
"""
_CHECK = """
METADATA = {'author': 'x', 'dataset': 'test'}
def check(candidate):
    assert candidate("a quick Fox", [3, 1, 2]) == ['a', 'b'] or True
    assert candidate("", [1.5, 2.25])[-1] == "0", "Test 1"
    assert abs(candidate("x", (1,).__class__([2]) and [2]).__len__() - 3) < 10
"""
_ASSERTS = """
import math
l = [3, 1, 2]
work("some text here", l)
assert l == [3, 2, 1]
assert fib(20) == 6765, "wrong"
assert sorted(pairs(3)) == [(0, 1), (0, 2), (1, 2)]
assert set(map(tuple, [[1, 2]])) == {(1, 2)} and {1: 'a'} == {1: 'a'} and math.isclose(1.0, 1.0)
assert Node(3).value == 3
try:
    fails(3)
    assert False
except ValueError:
    pass
"""
_PROGRAM = """
import sys
n = int(input())
a = list(map(int, sys.stdin.readline().split()))
print(sum(a[:n]), *sorted(a), sep=' ')
"""


def _loop(message):
    """The other side is this one."""
    bridge.trust(True)
    try:
        return solution.dispatch(message)
    finally:
        bridge.trust(False)


def _ask(**request):
    return json.loads(control(json.dumps(request).encode()))


def _forget():
    """Nothing of the programs above stays, but what it made of the code of ours."""
    for container in (bridge.owned, bridge.numbers, bridge.handles, bridge.mirrors, bridge.broken, bridge._named, bridge._masks,
                      _rlvr.classes, _rlvr.names, boot.missing, solution._before):
        container.clear()
    tests.check = solution._module = None
    bridge.asked = bridge._depth = 0
    bridge.trust(False)
    bridge.begin()
    sys.modules.pop("__main__", None)
    sys.modules.pop("solution", None)


def _warm():
    bridge.begin()
    bridge.exchange = _loop
    base = {"prefix": "", "setup": "", "entry": "", "cases": [], "tolerance": 1e-6, "unordered": False, "watch": False}
    calls = [{"args": [[1, 2, 3]], "output": 6}, {"args": [[2.5, 1.5], 1.0], "output": 4.0},
             {"args": {"numbers": [4]}, "output": [4, "x", {"a": None}]}]
    rows = [dict(base, kind="check", code=_CHECK, entry="work"), dict(base, kind="asserts", code=_ASSERTS),
            dict(base, kind="calls", code="", entry="Solution().total", cases=calls),
            dict(base, kind="asserts", code="assert work('a', [1]) == 2", prefix="def work(a, b):\n    pass\n",
                 setup="class Tree:\n    def __init__(self, v=0):\n        self.v = v\n")]
    for row in rows * 3:
        ready = _ask(op="analyze", **row)
        _ask(op="load", candidates=["no code here\n", _SOLUTION], prefix=row["prefix"], setup=row["setup"],
             wanted=ready["names"], main=False)
        bridge.trust(False)
        _ask(op="bind", shared=False)
        for index in range(ready["cases"]):
            _ask(op="case", index=index)
        _forget()
    _ask(op="load", candidates=[_PROGRAM], prefix="", setup="", wanted=[], main=True)
    _forget()
    bridge.exchange = _rlvr.exchange


for _ in range(2):
    _warm()
re.purge()
gc.collect()
gc.freeze()
gc.set_threshold(20000, 20, 50)
_role = None
_rlvr.serve(control, dispatch)
