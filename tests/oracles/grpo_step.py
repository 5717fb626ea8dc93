"""The loss and gradient norm of one GRPO step by PyTorch, on a checkpoint of tests/fixtures/llama.

Each completion stands alone behind its own copy of the prompt, as plain trainers lay it out; rlvr packs the prompt once
for its group. Old log-probabilities are the model's own, shifted at random so that some ratios are clipped.

Writes tests/fixtures/grpo_step.json. Made with torch 2.15.0 and transformers 5.23.0:

    python tests/oracles/grpo_step.py tests/fixtures
"""

import json
import random
import sys
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

CLIP, TEMPERATURE = 0.2, 0.8


def logprobs(model, prompt, completion):
    ids = torch.tensor([prompt + completion])
    logits = model(ids).logits[0, len(prompt) - 1:-1] / TEMPERATURE
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(completion)[:, None])[:, 0]


def main(fixtures):
    random.seed(5)
    torch.manual_seed(5)
    model = LlamaForCausalLM.from_pretrained(fixtures / "llama" / "tied_gqa", attn_implementation="eager").float()
    groups = []
    for prompt_length, lengths in [(19, [7, 1, 12]), (5, [16, 3]), (16, [4, 4, 9, 2])]:
        ids = lambda n: [random.randrange(3, 83) for _ in range(n)]
        prompt = ids(prompt_length)
        samples = []
        for length in lengths:
            completion = ids(length)
            with torch.no_grad():
                current = logprobs(model, prompt, completion)
            old = (current + 0.2 * torch.randn(length)).tolist()
            samples.append({"ids": completion, "old_logprobs": old, "advantage": random.uniform(-2, 2)})
        groups.append({"prompt": prompt, "samples": samples})

    sequences = [(g["prompt"], s) for g in groups for s in g["samples"]]
    tokens = sum(len(s["ids"]) for _, s in sequences)
    results = {}
    for name in ["sequence", "token"]:
        model.zero_grad()
        loss = 0.0
        for prompt, sample in sequences:
            ratio = torch.exp(logprobs(model, prompt, sample["ids"]) - torch.tensor(sample["old_logprobs"]))
            clipped = torch.clamp(ratio, 1 - CLIP, 1 + CLIP)
            each = -torch.min(ratio * sample["advantage"], clipped * sample["advantage"])
            loss = loss + (each.mean() / len(sequences) if name == "sequence" else each.sum() / tokens)
        loss.backward()
        norm = torch.sqrt(sum(p.grad.pow(2).sum() for p in model.parameters()))
        results[name] = {"loss": loss.item(), "grad_norm": norm.item()}
    out = {"clip": CLIP, "temperature": TEMPERATURE, "groups": groups, "tokens": tokens, "expected": results}
    (fixtures / "grpo_step.json").write_text(json.dumps(out) + "\n")
    print(results)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
