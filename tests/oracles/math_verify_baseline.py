"""Accuracy and time of Math-Verify on the answer-checker cases: the figures that `rlvr-math` is compared with.

    pip install math-verify==0.9.0 latex2sympy2_extended==1.11.0 antlr4-python3-runtime==4.13.2
    pip install sympy==1.14.0 mpmath==1.3.0
    python tests/oracles/math_verify_baseline.py ../shared/data/math_cases > baseline.json

Made with Python 3.11. The folder holds JSONL files with the fields `gold`, `pred`, `expected`, `kind`, `note` and, for the
cases of a project's own test suite, `extraction_config`. A row is judged as that suite judges it: `parse` of both
sides with the row's targets and box priority, then `verify` with its `float_rounding`, `strict` and
`allow_set_relation_comp`. `kind` chooses the targets of a row without a config; everything else is Math-Verify's
default. Math-Verify knows no languages and no lettered-choice extraction but `StringExtractionConfig`, so
lighteval's `language` has no counterpart and is dropped.

The time of a row is what one call costs a training loop: parse the gold, parse the prediction, verify; the regexes
and sympy are warm, one process runs at a time, and of `--passes` passes each row's smallest time counts. A row that
has not answered after `--cap` seconds, or whose process died or ran out of its `--memory`, is wrong, and a fresh
process takes the next row. Math-Verify's own 5-second alarms stay on: they are how it is used.

Rows whose note begins with POLICY state a choice, not a fact; they are judged, listed under `policy`, and outside
every figure. Prints a JSON object: file -> {rows, policy_rows_excluded, right, accuracy, median_us, p99_us,
worst_us, stopped, wrong, policy}; times are in microseconds, accuracy is right / rows.
"""

import argparse
import json
import logging
import math
import multiprocessing
import resource
import statistics
import sys
import time
import warnings
from pathlib import Path

from math_verify import ExprExtractionConfig, LatexExtractionConfig, StringExtractionConfig, parse, verify

TARGETS_OF_KIND = {"latex": ["latex"], "expr": ["expr"], "string": ["string"], "mixed": ["latex", "expr"]}
VERIFY_SETTINGS = ["float_rounding", "strict", "allow_set_relation_comp"]
FORK = multiprocessing.get_context("fork")


def targets(row, config):
    """The row's extraction targets as Math-Verify's config objects."""
    made = []
    for name in config.get("targets") or TARGETS_OF_KIND[row["kind"]]:
        if name == "latex":
            priority = {key: config[key] for key in ["boxed_match_priority"] if key in config}
            made.append(LatexExtractionConfig(**priority))
        elif name == "expr":
            made.append(ExprExtractionConfig())
        elif name == "string":
            given = {"strings": tuple(config["strings"])} if "strings" in config else {}
            given |= {key: config[key] for key in ["lowercase"] if key in config}
            made.append(StringExtractionConfig(**given))
        else:
            raise ValueError(f"{row['id']}: unknown extraction target {name!r}")
    return made


def judge(row):
    """Math-Verify's verdict on a row, and the seconds that it took."""
    config = row.get("extraction_config") or {}
    extraction = targets(row, config)
    settings = {key: config[key] for key in VERIFY_SETTINGS if key in config}
    start = time.perf_counter()
    verdict = verify(parse(row["gold"], extraction), parse(row["pred"], extraction), **settings)
    return bool(verdict), time.perf_counter() - start


def serve(pipe, memory):
    """Judges the rows that come through the pipe, in a process that may be killed at any of them."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # Twice: the first call imports and compiles what the second then only runs.
    for _ in range(2):
        judge({"id": "warm-up", "gold": "$\\frac{1}{2}$", "pred": "The answer is $0.5$", "kind": "mixed"})
    pipe.send("ready")
    while (row := pipe.recv()) is not None:
        try:
            pipe.send(judge(row))
        except MemoryError:
            pipe.send(None)


class Judge:
    """One worker process, replaced when a row hangs or kills it."""

    def __init__(self, memory, cap):
        self.memory, self.cap = memory, cap
        self.process = None

    def start(self):
        self.pipe, theirs = FORK.Pipe()
        self.process = FORK.Process(target=serve, args=(theirs, self.memory), daemon=True)
        self.process.start()
        theirs.close()
        self.pipe.recv()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def __call__(self, row):
        """(verdict, seconds); a row that was stopped has no verdict and costs at least what was waited for it."""
        if self.process is None:
            self.start()
        start = time.perf_counter()
        try:
            self.pipe.send(row)
            answer = self.pipe.recv() if self.pipe.poll(self.cap) else None
        except (EOFError, ConnectionError):
            answer = None
        if answer is None:
            self.stop()
            return None, time.perf_counter() - start
        return answer


def percentile(values, share):
    """The smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def measure(path, judge_row, passes):
    rows = [json.loads(line) for line in path.open()]
    answers = [[judge_row(row) for row in rows] for _ in range(passes)]
    verdicts = [verdict for verdict, _ in answers[0]]
    seconds = [min(times) for times in zip(*([taken for _, taken in one_pass] for one_pass in answers))]
    policy = [str(row.get("note") or "").startswith("POLICY") for row in rows]
    kept = [i for i in range(len(rows)) if not policy[i]]
    right = [i for i in kept if verdicts[i] == rows[i]["expected"]]
    micros = [1e6 * seconds[i] for i in kept]
    return {
        "rows": len(kept),
        "policy_rows_excluded": len(rows) - len(kept),
        "right": len(right),
        "accuracy": round(len(right) / len(kept), 4),
        "median_us": round(statistics.median(micros)),
        "p99_us": round(percentile(micros, 0.99)),
        "worst_us": round(max(micros)),
        "stopped": [rows[i]["id"] for i in kept if verdicts[i] is None],
        "wrong": [rows[i]["id"] for i in kept if verdicts[i] != rows[i]["expected"]],
        "policy": [
            {"id": rows[i]["id"], "note": rows[i]["note"], "expected": rows[i]["expected"], "verdict": verdicts[i]}
            for i in range(len(rows)) if policy[i]
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with the case files, *.jsonl")
    parser.add_argument("--passes", type=int, default=2, help="passes over a file; a row's smallest time counts")
    parser.add_argument("--cap", type=float, default=20.0, help="seconds after which a row is stopped and wrong")
    parser.add_argument("--memory", type=int, default=4 << 30, help="bytes of address space of the judging process")
    given = parser.parse_args()
    files = sorted(given.folder.glob("*.jsonl"))
    if not files:
        sys.exit(f"{given.folder}: no *.jsonl file in it; give the folder of case files, ../shared/data/math_cases")
    judge_row = Judge(given.memory, given.cap)
    results = {}
    for path in files:
        print(f"{path.name} ...", file=sys.stderr)
        results[path.stem] = measure(path, judge_row, given.passes)
    judge_row.stop()
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
