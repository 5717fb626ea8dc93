"""Writes ../fixtures/torch_adamw.json: parameters after each step of PyTorch's AdamW with gradient clipping.

Needs torch (2.15.0 was used): `python tests/oracles/torch_adamw.py`.

Two runs with different settings; the gradients' size varies, so that some steps are clipped and others are not.
Vectors are in a group without decay, as they are in rlvr.
"""

import json
from pathlib import Path

import torch

SHAPES = [[4, 3], [5], [2, 2, 3], [1]]
RUNS = [
    {"seed": 3, "steps": 8, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1, "clip_norm": 1.0},
    {"seed": 4, "steps": 4, "beta1": 0.8, "beta2": 0.999, "eps": 1e-3, "weight_decay": 0.0, "clip_norm": 2.5},
]


def run(seed, steps, beta1, beta2, eps, weight_decay, clip_norm):
    generator = torch.Generator().manual_seed(seed)
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    groups = [
        {"params": [p for p in params if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(beta1, beta2), eps=eps)
    flat = lambda tensors: [t.detach().flatten().tolist() for t in tensors]
    made = {
        "adamw": {"beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay},
        "clip_norm": clip_norm,
        "shapes": SHAPES,
        "initial": flat(params),
        "steps": [],
    }
    for step in range(steps):
        lr = 0.01 * (step + 1) / steps
        for group in optimizer.param_groups:
            group["lr"] = lr
        size = [0.05, 1.0, 20.0][step % 3]
        for p in params:
            p.grad = size * torch.randn(p.shape, generator=generator)
        grads = flat(p.grad for p in params)
        norm = torch.nn.utils.clip_grad_norm_(params, clip_norm).item()
        optimizer.step()
        made["steps"].append({"lr": lr, "grads": grads, "norm": norm, "params": flat(params)})
    return made


if __name__ == "__main__":
    path = Path(__file__).resolve().parent.parent / "fixtures" / "torch_adamw.json"
    path.write_text(json.dumps([run(**settings) for settings in RUNS]) + "\n")
    print(f"{path.name}: {path.stat().st_size} bytes")
