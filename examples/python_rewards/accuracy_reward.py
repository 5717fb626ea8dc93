import re
from fractions import Fraction


def boxes(text):
    """What stands in each \\boxed{...}, with its braces matched."""
    found = []
    for piece in text.split("\\boxed{")[1:]:
        depth = 1
        for i, char in enumerate(piece):
            depth += {"{": 1, "}": -1}.get(char, 0)
            if depth == 0:
                found.append(piece[:i])
                break
    return found


def extract(text):
    """The answer of a completion: its boxes if they all agree, else the words at its end; None without one."""
    text = text.rpartition("</think>")[2]
    if "<think>" in text:
        return None
    found = boxes(text)
    if found:
        return found[0] if len(set(found)) == 1 else None
    words = re.search(r"answer(?: is|:)\s*\$?(-?[\d,]*\.?\d+(?:/\d+)?)\$?\.?\s*$", text, re.IGNORECASE)
    return words.group(1) if words else None


def number(text):
    text = re.sub(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}", r"\1/\2", text.strip().strip("$").replace(",", ""))
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def accuracy_reward(completions, solution, **kwargs):
    """1.0 where the box, or else the words at the end, give the solution as a number or to the letter."""
    rewards = []
    for completion, gold in zip(completions, solution):
        answer = extract(completion)
        if answer is None:
            rewards.append(0.0)
        elif number(gold) is not None:
            rewards.append(1.0 if number(answer) == number(gold) else 0.0)
        else:
            rewards.append(1.0 if answer.strip() == gold.strip() else 0.0)
    return rewards
