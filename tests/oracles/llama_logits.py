"""Random Llama checkpoints with transformers' own numbers for them.

Writes to tests/fixtures/llama/NAME/ what `model_logits.py` says.

Made with torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6, Python 3 on x86-64:

    python tests/oracles/llama_logits.py tests/fixtures/llama
"""

import json
import sys
from pathlib import Path

import torch
from model_logits import write
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


def main(root):
    torch.use_deterministic_algorithms(True)
    for seed, (name, (fields, length)) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        folder = root / name
        model = LlamaForCausalLM(LlamaConfig(attn_implementation="eager", **fields))
        stored = STORED.get(name, torch.float32)
        write(folder, model, length, stored, "20KB" if "sharded" in name else "5GB")
        if "old_config" in name:
            spell_as_transformers_4(folder / "config.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
