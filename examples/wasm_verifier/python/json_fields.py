"""Extraction tasks: the answer must be a JSON object with the fields that the row's `expected` has.

The score is the share of fields that are right, each a part of the verdict. `build.sh` makes a component of this file.
"""

import json
import re

from componentize_py_types import Err
from wit_world.exports import Verifier as Plugin
from wit_world.exports.verifier import (
    Completion,
    Description,
    Judges,
    Outcome,
    Part,
    Problem,
    ProblemError,
    Verdict,
)

FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)


class Verifier(Plugin):
    def describe(self, settings: str) -> Description:
        for key in json.loads(settings):
            if key != "ignore_case":
                raise Err(f"there is no setting `{key}`; `ignore_case` is the only one")
        return Description("json_fields", "1", Judges.STATEMENT)

    def check(self, settings: str, problem: Problem) -> None:
        expected = json.loads(problem.extra).get("expected")
        if not isinstance(expected, dict) or not expected:
            raise Err(ProblemError("expected", "is no object with fields", 'give {"name": "Ada", "year": 1815}'))

    def verify(self, settings: str, problem: Problem, completion: Completion) -> Verdict:
        expected = json.loads(problem.extra)["expected"]
        fold = json.loads(settings).get("ignore_case", False)
        fences = FENCE.findall(completion.answer_text)
        text = fences[-1] if fences else completion.answer_text
        try:
            found = json.loads(text)
        # Whatever a completion can provoke is a verdict of its own: an exception that leaves this function is a fault.
        except (ValueError, RecursionError) as error:
            return Verdict(Outcome.UNPARSEABLE, 0.0, f"no JSON: {error}", [], None)
        if not isinstance(found, dict):
            return Verdict(Outcome.UNPARSEABLE, 0.0, "JSON, but no object", [], None)

        def same(a, b):
            if fold and isinstance(a, str) and isinstance(b, str):
                return a.casefold() == b.casefold()
            return a == b and isinstance(a, bool) == isinstance(b, bool)

        parts = [Part(key, float(key in found and same(found[key], value))) for key, value in expected.items()]
        right = sum(part.score for part in parts)
        outcome = Outcome.PASS if right == len(parts) else Outcome.FAIL
        reason = f"{right:.0f} of {len(parts)} fields are right"
        return Verdict(outcome, right / len(parts), reason, parts, json.dumps(found, sort_keys=True))
