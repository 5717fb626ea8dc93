import json
import re

WEIGHTS = {"easy": 0.5, "medium": 0.75, "hard": 1.0}


def parse_json(text):
    blocks = re.findall(r"```(?:json)?\s*(.*?)```", text, re.DOTALL)
    try:
        return json.loads(blocks[-1] if blocks else text)
    except json.JSONDecodeError:
        return None


async def graded_reward(prompts, completions, task, ground_truth, difficulty, log_metric=None, **kwargs):
    """For rows of the task "extract": the share of fields that are right, worth more where the row is harder."""
    rewards = []
    for completion, kind, truth, level in zip(completions, task, ground_truth, difficulty):
        if kind != "extract":
            rewards.append(None)  # another function's
            continue
        given = parse_json(completion[-1]["content"])
        fields = given if isinstance(given, dict) else {}
        share = sum(fields.get(key) == value for key, value in truth.items()) / len(truth)
        if log_metric:
            log_metric("fields", share)
        rewards.append(share * WEIGHTS[level])
    return rewards
