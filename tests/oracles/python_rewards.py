"""Calls a reward function as TRL's GRPO trainer does: the whole batch at once, in this Python process.

    python3 python_rewards.py FILE FUNCTION < batch.json

`batch.json` has the lists that TRL passes by keyword: prompts, completions, and one for each column. `tokens` stands for
`completion_ids`, of which its functions here use the lengths. Writes the rewards as a JSON list.
"""

import asyncio
import importlib.util
import inspect
import json
import sys


def main(path, name):
    spec = importlib.util.spec_from_file_location("rewards", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name)
    batch = json.load(sys.stdin)
    batch["completion_ids"] = [[0] * n for n in batch.pop("tokens")]
    extra = {"trainer_state": None, "log_extra": lambda column, values: None, "log_metric": lambda name, value: None}
    rewards = function(**batch, **extra)
    if inspect.iscoroutine(rewards):
        rewards = asyncio.run(rewards)
    json.dump(rewards, sys.stdout)


main(*sys.argv[1:])
