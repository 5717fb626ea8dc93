"""Random Llama checkpoints with transformers' own numbers for them.

Writes to tests/fixtures/llama/NAME/ a model folder as `save_pretrained` makes it (f32 unless said otherwise), and
beside the weights `expected.safetensors`:

    input_ids      i64 [T]      one sequence
    logits         f32 [T, V]   of the full forward, eager attention
    cached_logits  f32 [T, V]   a prefill of `prefill` ids, then one id at a time through the KV cache
    prefill        i64 [1]
    loss           f32 [1]      mean cross entropy of ids 1.. given those before them
    grad.NAME      f32          d loss / d NAME for every parameter (a tied output matrix counts to the embedding)
    inv_freq       f32 [D / 2]  the rotary inverse frequencies in use

Made with torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6, Python 3 on x86-64:

    python tests/oracles/llama_logits.py tests/fixtures/llama
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}

# name, config, sequence length, stored dtype
CASES = {
    # Grouped queries 4:2, tied; ids end at a vocabulary that is no multiple of 16.
    "tied_gqa": (dict(vocab_size=83, hidden_size=32, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
                      num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=True,
                      rms_norm_eps=1e-5), 37),
    # One key head a query head, untied, odd sizes, several end ids.
    "untied_mha": (dict(vocab_size=101, hidden_size=30, intermediate_size=47, num_hidden_layers=3,
                        num_attention_heads=5, max_position_embeddings=64, tie_word_embeddings=False,
                        eos_token_id=[2, 7]), 29),
    # Heads wider than hidden_size / heads, all queries on one key head, one block.
    "wide_heads": (dict(vocab_size=64, hidden_size=24, intermediate_size=40, num_hidden_layers=1,
                        num_attention_heads=4, num_key_value_heads=1, head_dim=10, max_position_embeddings=96,
                        rope_theta=500000.0), 33),
    # Llama-3 scaling: all three bands of wavelengths, positions far past the original context.
    "llama3_rope": (dict(vocab_size=67, hidden_size=48, intermediate_size=40, num_hidden_layers=2,
                         num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=256,
                         tie_word_embeddings=True, rope_theta=10000.0,
                         rope_scaling=LLAMA3 | {"original_max_position_embeddings": 32}), 131),
    # Narrow heads, shards, bf16 on disk.
    "sharded_bf16": (dict(vocab_size=71, hidden_size=36, intermediate_size=52, num_hidden_layers=2,
                          num_attention_heads=6, num_key_value_heads=3, max_position_embeddings=80,
                          rms_norm_eps=1e-4), 41),
    # f16 on disk, and a config in the spelling of transformers 4.
    "old_config_f16": (dict(vocab_size=53, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
                            num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
                            rope_theta=10000.0, rope_scaling=LLAMA3 | {"original_max_position_embeddings": 16}), 40),
}
STORED = {"sharded_bf16": torch.bfloat16, "old_config_f16": torch.float16}


def spell_as_transformers_4(path):
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = rope
    config["torch_dtype"] = config.pop("dtype")
    config["transformers_version"] = "4.45.0"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def model_of(name, fields):
    model = LlamaForCausalLM(LlamaConfig(attn_implementation="eager", **fields)).float()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            # Larger than the usual 0.02, so that every part moves the logits; norms are not all ones.
            mean = 1.0 if "norm" in parameter_name else 0.0
            parameter.copy_(mean + 0.2 * torch.randn_like(parameter))
            parameter.copy_(parameter.to(STORED.get(name, torch.float32)).float())
    return model.eval()


def expected(model, length):
    ids = torch.randint(3, model.config.vocab_size, (1, length))
    logits = model(ids).logits
    loss = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
    loss.backward()
    numbers = {"input_ids": ids[0], "logits": logits[0].detach(), "loss": loss.detach().reshape(1)}
    numbers |= {f"grad.{name}": parameter.grad.clone() for name, parameter in model.named_parameters()}
    numbers["inv_freq"] = model.model.rotary_emb.inv_freq
    prefill = length // 3
    with torch.no_grad():
        step = model(ids[:, :prefill], use_cache=True)
        rows = [step.logits[0]]
        for position in range(prefill, length):
            step = model(ids[:, position:position + 1], past_key_values=step.past_key_values, use_cache=True)
            rows.append(step.logits[0])
    numbers["cached_logits"] = torch.cat(rows)
    numbers["prefill"] = torch.tensor([prefill])
    assert (numbers["cached_logits"] - numbers["logits"]).abs().max() < 1e-4
    return {name: number.contiguous() for name, number in numbers.items()}


def main(root):
    torch.use_deterministic_algorithms(True)
    for seed, (name, (fields, length)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        folder = root / name
        shutil.rmtree(folder, ignore_errors=True)
        model = model_of(name, fields)
        numbers = expected(model, length)
        stored = model.to(STORED.get(name, torch.float32))
        stored.save_pretrained(folder, max_shard_size="20KB" if "sharded" in name else "5GB")
        if "old_config" in name:
            spell_as_transformers_4(folder / "config.json")
        save_file(numbers, folder / "expected.safetensors")
        print(f"{name}: {sum(file.stat().st_size for file in folder.iterdir())} bytes, loss {numbers['loss'].item():.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
