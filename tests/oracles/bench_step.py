"""The loss and gradient norm of the last step of `rlvr bench grpo-step --save DIR` by PyTorch: the weights before it from DIR as
transformers reads them, the tokens and rewards from DIR/step.parquet, advantages and loss from the formulas of GRPO.

    rlvr bench grpo-step --model CONFIG --save DIR > said.json
    python tests/oracles/bench_step.py DIR said.json

Ends with exit code 1 when either differs by more than 1e-4, relatively for the norm. Used with torch 2.15.0,
transformers 5.23.0 and pyarrow 25.0.0.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet
import torch
from transformers import AutoModelForCausalLM


def main(folder, said):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    groups = defaultdict(list)
    for row in pyarrow.parquet.read_table(folder / "step.parquet").to_pylist():
        groups[row["group"]].append(row)
    rows = [row for group in groups.values() for row in group]
    loss, off = 0.0, 0.0
    for group in groups.values():
        rewards = torch.tensor([row["reward"] for row in group])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        prompt = group[0]["prompt_ids"]
        ids = torch.tensor([prompt + row["ids"] for row in group])
        logits = model(ids).logits[:, len(prompt) - 1:-1]
        chosen = torch.log_softmax(logits, -1).gather(2, ids[:, len(prompt):, None])[..., 0]
        old = torch.tensor([row["logprobs"] for row in group])
        off = max(off, (chosen - old).abs().max().item())
        ratio = torch.exp(chosen - old)
        clipped = torch.clamp(ratio, 0.8, 1.2)
        each = -torch.min(ratio * advantages[:, None], clipped * advantages[:, None])
        part = each.mean(1).sum() / len(rows)
        part.backward()
        loss += part.item()
    norm = torch.sqrt(sum(p.grad.pow(2).sum() for p in model.parameters())).item()
    tokens = sum(len(row["ids"]) for row in rows)
    print(json.dumps({"completion_tokens": tokens, "loss": loss, "grad_norm": norm, "logprob_difference_max": off}))
    same = (tokens == said["completion_tokens"] and abs(loss - said["loss"]) < 1e-4
            and abs(norm / said["grad_norm"] - 1) < 1e-4 and off < 1e-4)
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
