"""Whether the result of a call is what a row of kind `calls` expects, in the values that JSON has."""

import json
import math
import collections

_VIEWS = (range, type({}.keys()), type({}.values()), type({}.items()))


def exact(value):
    """A value of a row: `{"$integer": "..."}` stands for an integer that JSON's readers would round."""
    if type(value) is list:
        return [exact(item) for item in value]
    if type(value) is dict:
        if len(value) == 1 and type(value.get("$integer")) is str:
            return int(value["$integer"])
        return {key: exact(item) for key, item in value.items()}
    return value


def same(got, expected, tolerance, unordered=False):
    """Whether a result is what the row expects. JSON has neither tuples nor keys that are no strings; a set is no list, unless
    the row says that order is free."""
    if type(expected) is float:
        return type(got) in (int, float) and _near(got, expected, tolerance)
    if type(expected) is int:
        return type(got) in (int, float) and got == expected
    if type(expected) is list:
        if unordered:
            return _same_items(got, expected, tolerance)
        if not isinstance(got, (list, tuple, collections.deque)) and type(got) not in _VIEWS:
            return False
        got = list(got)
        return len(got) == len(expected) and all(same(g, e, tolerance) for g, e in zip(got, expected))
    if type(expected) is dict:
        if not isinstance(got, dict) or len(got) != len(expected):
            return False
        keyed = {k if type(k) is str else _key(k): v for k, v in dict.items(got)}
        return keyed.keys() == expected.keys() and all(same(v, expected[k], tolerance) for k, v in keyed.items())
    return type(got) is type(expected) and got == expected


def _same_items(got, expected, tolerance):
    """Whether the results are those expected, each as often, in any order."""
    if not isinstance(got, (list, tuple, set, frozenset, collections.deque)) and type(got) not in _VIEWS:
        return False
    rest = list(got)
    if len(rest) != len(expected):
        return False
    for item in expected:
        at = next((i for i, r in enumerate(rest) if same(r, item, tolerance)), None)
        if at is None:
            return False
        del rest[at]
    return True


def _near(got, expected, tolerance):
    """Relative to the larger of the two, or a thousandth of the tolerance apart; both not a number."""
    try:
        got = float(got)
    except OverflowError:
        return False
    return math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance / 1000) or got != got and expected != expected


def _key(key):
    try:
        return json.dumps(key) if type(key) in (int, float, bool, type(None)) else str(key)
    except Exception:
        return None
