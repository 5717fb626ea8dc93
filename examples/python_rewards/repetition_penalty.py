from collections import Counter

N = 3
MAX_PENALTY = -1.0


def ngrams(words, n):
    return zip(*(words[i:] for i in range(n)))


def repetition_penalty(completions, **kwargs):
    """From 0.0 down to -1.0 by the share of word trigrams that repeat earlier ones."""
    rewards = []
    for completion in completions:
        content = completion if isinstance(completion, str) else completion[0]["content"]
        counts = Counter(ngrams(content.lower().split(), N))
        total = sum(counts.values())
        rewards.append((1 - len(counts) / total) * MAX_PENALTY if total else 0.0)
    return rewards
