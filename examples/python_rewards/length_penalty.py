SOFT_LIMIT = 768  # tokens from which a penalty grows
HARD_LIMIT = 1024  # tokens from which it is whole


def length_penalty(completion_ids, completions=None, **kwargs):
    """0.0 up to the soft limit, then linearly down to -1.0 at the hard one."""
    rewards = []
    for ids in completion_ids:
        over = (len(ids) - SOFT_LIMIT) / (HARD_LIMIT - SOFT_LIMIT)
        rewards.append(-min(max(over, 0.0), 1.0))
    return rewards
