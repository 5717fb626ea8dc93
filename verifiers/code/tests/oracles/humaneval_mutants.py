"""HumanEval's solutions with their bodies emptied, a constant changed or an operator replaced, and which of them native Python
says that the tests catch.

    python3 humaneval_mutants.py HUMANEVAL.jsonl > mutants.jsonl
    rlvr verify mutants.jsonl --verifier python --map id=task_id,tests=test > verdicts.jsonl
    python3 humaneval_mutants.py HUMANEVAL.jsonl --compare mutants.jsonl verdicts.jsonl

A mutant is alive where the tests pass natively, dead where they fail or raise, and left out where they take over five seconds.
Needs HumanEval's own file; writes no part of it anywhere but to its output.
"""

import ast
import concurrent.futures
import copy
import json
import os
import subprocess
import sys

MOST = 6  # mutants of a solution beside the emptied ones
SECONDS = 5

OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And,
}


def places(tree):
    """Every place of a tree that can be changed: the node, and how it is changed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) in (bool, int, float, str):
            if isinstance(node.value, bool):
                yield node, "value", not node.value
            elif isinstance(node.value, str):
                yield node, "value", node.value + "x"
            else:
                yield node, "value", node.value + 1
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in OPERATORS:
            yield node, "op", OPERATORS[type(node.op)]()
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
            yield node, "ops", [OPERATORS[type(node.ops[0])](), *node.ops[1:]]


def mutants(row):
    """Whole programs, with a name for each."""
    tree = ast.parse(row["prompt"] + row["canonical_solution"])
    target = next(n for n in reversed(tree.body) if isinstance(n, ast.FunctionDef) and n.name == row["entry_point"])
    docstring = 1 if ast.get_docstring(target, clean=False) is not None else 0
    for name, body in (("pass", "pass"), ("none", "return None")):
        changed = copy.deepcopy(tree)
        found = next(n for n in reversed(changed.body) if isinstance(n, ast.FunctionDef) and n.name == row["entry_point"])
        found.body = ast.parse("def f():\n " + body).body[0].body
        yield name, ast.unparse(changed)
    body = ast.Module(body=target.body[docstring:], type_ignores=[])
    count = sum(1 for _ in places(body))
    for i in range(0, count, max(1, -(-count // MOST))):
        node, field, value = list(places(body))[i]
        before = getattr(node, field)
        setattr(node, field, value)
        yield f"change{i}", ast.unparse(tree)
        setattr(node, field, before)


def alive(row, program):
    """Whether the tests pass; None where they take too long."""
    source = f"{program}\n{row['test']}\ncheck({row['entry_point']})\n"
    try:
        done = subprocess.run([sys.executable, "-I", "-"], input=source.encode(), capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return done.returncode == 0


def make(rows):
    jobs = [(row, name, program) for row in rows for name, program in mutants(row)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda job: alive(job[0], job[2]), jobs)
        for (row, name, program), native in zip(jobs, results):
            if native is not None:
                print(json.dumps({
                    "task_id": f"{row['task_id']}/{name}", "prompt": row["prompt"], "entry_point": row["entry_point"],
                    "test": row["test"], "completion": f"```python\n{program}\n```", "native": native,
                }))


def compare(mutants_file, verdicts_file):
    with open(verdicts_file) as file:
        verdicts = {v["id"]: v for v in map(json.loads, file)}
    agreed, differing, alive_count = 0, [], 0
    with open(mutants_file) as file:
        for row in map(json.loads, file):
            verdict = verdicts[row["task_id"]]
            alive_count += row["native"]
            if (verdict["outcome"] == "pass") == row["native"]:
                agreed += 1
            else:
                differing.append((row["task_id"], row["native"], verdict["outcome"], verdict["reason"]))
    print(f"{agreed} of {agreed + len(differing)} agree; {alive_count} mutants pass natively")
    for difference in differing:
        print(*difference)
    return not differing


def main(file, *rest):
    if rest[:1] == ("--compare",):
        sys.exit(not compare(*rest[1:]))
    with open(file) as lines:
        make([json.loads(line) for line in lines])


main(*sys.argv[1:])
