"""Writes ../fixtures/mamba2.safetensors: outputs and gradients of transformers' Mamba-2 layer without its projections.

Needs torch (2.15.0 was used), transformers (5.23.0) and safetensors: `python tests/oracles/mamba2.py`.

The loss is half the sum of squares of the output, so the gradient that arrives there is the output itself. Time steps
reach beyond both limits where there are limits. The layer's own chunks are shorter than the sequences.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import GraniteMoeHybridConfig
from transformers.models.granitemoehybrid.modeling_granitemoehybrid import GraniteMoeHybridMambaLayer

RUNS = {
    "grouped": {"heads": 4, "head_dim": 12, "groups": 2, "state": 10, "kernel": 4, "limits": (0.2, 1.5), "bias": True, "tokens": 37},
    "plain": {"heads": 2, "head_dim": 8, "groups": 1, "state": 5, "kernel": 3, "limits": (0.0, float("inf")), "bias": False, "tokens": 70},
}


def run(name, heads, head_dim, groups, state, kernel, limits, bias, tokens):
    generator = torch.Generator().manual_seed(len(name))
    inner = heads * head_dim
    config = GraniteMoeHybridConfig(
        hidden_size=inner, mamba_expand=1, mamba_n_heads=heads, mamba_d_head=head_dim, mamba_n_groups=groups,
        mamba_d_state=state, mamba_d_conv=kernel, mamba_conv_bias=bias, mamba_chunk_size=16, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, layer_types=["mamba"], time_step_limit=limits, rms_norm_eps=1e-5,
    )
    layer = GraniteMoeHybridMambaLayer(config, 0).eval()
    layer.in_proj, layer.out_proj = torch.nn.Identity(), torch.nn.Identity()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
        layer.norm.weight.add_(1.0)
    width = 2 * inner + 2 * groups * state + heads
    x = torch.randn(1, tokens, width, generator=generator).requires_grad_()
    out = layer(x)
    (out.square().sum() / 2).backward()
    made = {"shape": torch.tensor([heads, head_dim, groups, state, kernel, *config.time_step_limit, 1e-5])}
    made |= {"input": x[0], "grad.input": x.grad[0], "output": out[0]}
    for key, parameter in layer.named_parameters():
        made |= {key: parameter, f"grad.{key}": parameter.grad}
    return {f"{name}.{key}": value.detach().float().contiguous() for key, value in made.items()}


if __name__ == "__main__":
    path = Path(__file__).resolve().parent.parent / "fixtures" / "mamba2.safetensors"
    made = {}
    for name, settings in RUNS.items():
        made |= run(name, **settings)
    save_file(made, path)
    print(f"{path.name}: {path.stat().st_size} bytes")
