"""Random checkpoints of every family but Llama (`llama_logits.py`) with transformers' own numbers for them.

Writes to tests/fixtures/families/NAME/ what `model_logits.py` says. Made with torch 2.15.0, transformers 5.24.0,
safetensors 0.8.0, Python 3 on x86-64:

    python tests/oracles/family_logits.py tests/fixtures/families
"""

import sys
from pathlib import Path

import torch
from model_logits import write
from transformers import (GraniteConfig, GraniteForCausalLM, GraniteMoeHybridConfig, GraniteMoeHybridForCausalLM,
                          MistralConfig, MistralForCausalLM, NemotronHConfig, NemotronHForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

CLASSES = {
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    "granite": (GraniteConfig, GraniteForCausalLM),
    "granitehybrid": (GraniteMoeHybridConfig, GraniteMoeHybridForCausalLM),
    "nemotronh": (NemotronHConfig, NemotronHForCausalLM),
}

# name (the family, then what is special about it), config, sequence length
CASES = {
    # A window of 7 positions and a sequence far longer than it.
    "mistral_window": (dict(vocab_size=71, hidden_size=32, intermediate_size=56, num_hidden_layers=2,
                            num_attention_heads=4, num_key_value_heads=2, sliding_window=7,
                            max_position_embeddings=128, rope_theta=10000.0), 53),
    # Heads whose widths do not make up hidden_size, no window, tied.
    "mistral_wide": (dict(vocab_size=67, hidden_size=40, intermediate_size=48, num_hidden_layers=2,
                          num_attention_heads=4, num_key_value_heads=1, head_dim=12, sliding_window=None,
                          max_position_embeddings=96, rope_theta=1000000.0, tie_word_embeddings=True), 37),
    # Biases on queries, keys and values, tied.
    "qwen2_tied": (dict(vocab_size=73, hidden_size=28, intermediate_size=44, num_hidden_layers=2,
                        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=96,
                        tie_word_embeddings=True, rms_norm_eps=1e-6, eos_token_id=2), 35),
    # Full attention first, a window in later layers, untied.
    "qwen2_window": (dict(vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=3,
                          num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=96,
                          use_sliding_window=True, sliding_window=20, max_window_layers=1), 47),
    # Norms of query and key heads.
    "qwen3_tied": (dict(vocab_size=79, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=96,
                        tie_word_embeddings=True), 41),
    # The same with biases on all four projections, odd sizes, untied.
    "qwen3_bias": (dict(vocab_size=59, hidden_size=26, intermediate_size=37, num_hidden_layers=2,
                        num_attention_heads=3, num_key_value_heads=1, head_dim=10, max_position_embeddings=64,
                        attention_bias=True), 33),
    # Four multipliers, tied, as Granite 3 is.
    "granite_tied": (dict(vocab_size=83, hidden_size=32, intermediate_size=52, num_hidden_layers=2,
                          num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=96,
                          embedding_multiplier=12.0, attention_multiplier=0.0625, residual_multiplier=0.22,
                          logits_scaling=16.0, tie_word_embeddings=True), 39),
    # Others of them, biases in attention and MLP, untied.
    "granite_bias": (dict(vocab_size=57, hidden_size=30, intermediate_size=41, num_hidden_layers=2,
                          num_attention_heads=5, num_key_value_heads=5, max_position_embeddings=64,
                          embedding_multiplier=3.0, attention_multiplier=0.5, residual_multiplier=0.7,
                          logits_scaling=3.0, attention_bias=True, mlp_bias=True), 31),
    # Granite 4.0 Micro: attention alone, with rotary positions and the shared MLP.
    "granitehybrid_dense": (dict(vocab_size=63, hidden_size=32, intermediate_size=48, shared_intermediate_size=48,
                                 num_hidden_layers=2, layer_types=["attention", "attention"],
                                 num_attention_heads=4, num_key_value_heads=2, num_local_experts=0,
                                 position_embedding_type="rope", max_position_embeddings=96, mamba_n_heads=4,
                                 embedding_multiplier=12.0, attention_multiplier=0.125, residual_multiplier=0.22,
                                 logits_scaling=8.0, tie_word_embeddings=True), 37),
    # Granite 4.0-H: Mamba-2 and attention without positions; several chunks of the scan.
    "granitehybrid_mamba": (dict(vocab_size=65, hidden_size=32, intermediate_size=48, shared_intermediate_size=40,
                                 num_hidden_layers=3, layer_types=["mamba", "attention", "mamba"],
                                 num_attention_heads=4, num_key_value_heads=2, num_local_experts=0,
                                 mamba_n_heads=8, mamba_d_state=10, mamba_n_groups=1, mamba_chunk_size=16,
                                 max_position_embeddings=128, embedding_multiplier=12.0, attention_multiplier=0.125,
                                 residual_multiplier=0.22, logits_scaling=8.0, tie_word_embeddings=True), 71),
    # Groups of heads, biases of projections, no bias of the convolution, another kernel, untied.
    "granitehybrid_groups": (dict(vocab_size=51, hidden_size=24, intermediate_size=40, shared_intermediate_size=36,
                                  num_hidden_layers=2, layer_types=["mamba", "attention"], num_attention_heads=4,
                                  num_key_value_heads=4, num_local_experts=0, mamba_n_heads=6, mamba_d_state=7,
                                  mamba_n_groups=3, mamba_d_conv=3, mamba_chunk_size=8, mamba_conv_bias=False,
                                  mamba_proj_bias=True, max_position_embeddings=64), 35),
    # Nemotron-H: one mixer a layer, squared ReLU, heads wider than hidden_size / heads.
    "nemotronh_pattern": (dict(vocab_size=69, hidden_size=32, intermediate_size=60,
                               layers_block_type=["linear_attention", "mlp", "full_attention", "mlp", "linear_attention"],
                               num_attention_heads=4, num_key_value_heads=2, head_dim=12, ssm_state_size=9,
                               mamba_num_heads=4, mamba_head_dim=12, n_groups=2, chunk_size=16,
                               max_position_embeddings=128), 67),
    # Another pattern, biases wherever they can be, one group.
    "nemotronh_bias": (dict(vocab_size=55, hidden_size=28, intermediate_size=33,
                            layers_block_type=["full_attention", "linear_attention", "mlp"], num_attention_heads=2,
                            num_key_value_heads=1, head_dim=14, ssm_state_size=8, mamba_num_heads=3,
                            mamba_head_dim=10, n_groups=1, chunk_size=32, mlp_bias=True,
                            use_bias=True, max_position_embeddings=64), 33),
}


def main(root):
    torch.use_deterministic_algorithms(True)
    for seed, (name, (fields, length)) in enumerate(CASES.items()):
        torch.manual_seed(100 + seed)
        config, model = CLASSES[name.split("_")[0]]
        write(root / name, model(config(attn_implementation="eager", **fields)), length)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
