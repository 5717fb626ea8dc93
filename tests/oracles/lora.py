"""LoRA adapters made by PEFT over random checkpoints of `family_logits.py`, with PyTorch's numbers for them.

    python tests/oracles/lora.py make tests/fixtures

writes to tests/fixtures/lora/NAME/ an adapter as `save_pretrained` does, and beside it `expected.safetensors`:

    input_ids      i64 [T]      one sequence
    logits         f32 [T, V]   of base and adapter
    loss           f32 [1]      mean cross entropy of ids 1.. given those before them
    grad.NAME      f32          d loss / d NAME for every A and B, named as in the adapter's file

    python tests/oracles/lora.py check BASE ADAPTER LOGPROBS.json

loads an adapter that rlvr wrote, and compares with what `rlvr logprobs` said of it; MERGED in place of ADAPTER may be a
whole model. Made with torch 2.15.0, transformers 5.24.0, peft 0.21.2, safetensors 0.8.0, Python 3 on x86-64.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

# base, settings, sequence length
CASES = {
    "all_linear": ("qwen2_tied", dict(r=4, lora_alpha=8, target_modules="all-linear"), 19),
    "rank_stabilised": ("granitehybrid_mamba", dict(r=3, lora_alpha=5, use_rslora=True, target_modules=[
        "q_proj", "in_proj", "out_proj", "input_linear", "output_linear"]), 23),
    "some_layers": ("nemotronh_bias", dict(r=2, lora_alpha=7, target_modules=[
        "k_proj", "v_proj", "o_proj", "up_proj", "down_proj", "in_proj"]), 17),
}


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def make(root):
    for seed, (name, (base, settings, length)) in enumerate(CASES.items()):
        torch.manual_seed(700 + seed)
        folder = root / "lora" / name
        shutil.rmtree(folder, ignore_errors=True)
        model = get_peft_model(load(root / "families" / base), LoraConfig(task_type="CAUSAL_LM", **settings))
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if "lora_B" in key:
                    parameter.copy_(0.2 * torch.randn_like(parameter))
        ids = torch.randint(3, model.config.vocab_size, (1, length))
        logits = model(ids).logits
        loss = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
        loss.backward()
        model.save_pretrained(folder)
        grads = {key.replace(".default", ""): p.grad for key, p in model.named_parameters() if p.requires_grad}
        assert grads.keys() == load_file(folder / "adapter_model.safetensors").keys()
        numbers = {"input_ids": ids[0], "logits": logits[0].detach(), "loss": loss.detach().reshape(1)}
        numbers |= {f"grad.{key}": grad for key, grad in grads.items()}
        save_file({key: number.contiguous() for key, number in numbers.items()}, folder / "expected.safetensors")
        config = json.loads((folder / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = f"../../families/{base}"
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        (folder / "README.md").unlink(missing_ok=True)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name}: {size} bytes, {len(grads)} gradients, loss {loss.item():.4f}")


def check(base, adapter, said):
    said = json.loads(Path(said).read_text())
    whole = (Path(adapter) / "config.json").exists()
    model = load(adapter) if whole else PeftModel.from_pretrained(load(base), adapter).eval()
    ids = torch.tensor([said["ids"]])
    with torch.no_grad():
        logprobs = model(ids).logits[0].log_softmax(-1)
        plain = load(base)(ids).logits[0].log_softmax(-1)
    theirs = logprobs[:-1].gather(1, ids[0, 1:, None])[:, 0]
    off = (theirs - torch.tensor(said["logprobs"][1:])).abs().max().item()
    print(f"largest difference {off:.2e}; the adapter moves a log-probability by up to "
          f"{(logprobs - plain).abs().max().item():.2e}")
    assert off < 1e-4


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        check(*sys.argv[2:5])
