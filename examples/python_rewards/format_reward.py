import re

FORMAT = re.compile(r"\s*<think>.+?</think>\s*<answer>.+?</answer>\s*", re.DOTALL)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")


def format_reward(completions, **kwargs):
    """1.0 for a completion that is one <think> and then one <answer>, 0.0 for any other."""
    contents = [completion[0]["content"] for completion in completions]
    return [
        1.0 if FORMAT.fullmatch(content) and all(content.count(tag) == 1 for tag in TAGS) else 0.0
        for content in contents
    ]
