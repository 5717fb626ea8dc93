"""A small random checkpoint with transformers' own numbers for it; `llama_logits.py` and `family_logits.py` list the checkpoints.

`write(folder, model, length, ...)` makes FOLDER as `save_pretrained` does, and beside the weights `expected.safetensors`:

    input_ids      i64 [T]      one sequence
    logits         f32 [T, V]   of the full forward, eager attention
    cached_logits  f32 [T, V]   a prefill of `prefill` ids, then one id at a time through the cache
    prefill        i64 [1]
    loss           f32 [1]      mean cross entropy of ids 1.. given those before them
    grad.NAME      f32          d loss / d NAME for every parameter (a tied output matrix counts to the embedding)
    inv_freq       f32 [D / 2]  the rotary inverse frequencies in use, where there are any
"""

import shutil

import torch
from safetensors.torch import save_file


def randomise(model, stored=torch.float32):
    """Weights larger than the usual 0.02, so that every part moves the logits; norms are not all ones."""
    model = model.float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            mean = 1.0 if "norm" in name else 0.0
            parameter.copy_(mean + 0.2 * torch.randn_like(parameter))
            parameter.copy_(parameter.to(stored).float())
    return model.eval()


def expected(model, length):
    ids = torch.randint(3, model.config.vocab_size, (1, length))
    logits = model(ids).logits
    loss = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
    loss.backward()
    numbers = {"input_ids": ids[0], "logits": logits[0].detach(), "loss": loss.detach().reshape(1)}
    # Nemotron-H is stored under another name than the one it has in memory
    stored = lambda name: name.replace("model.", "backbone.", 1) if model.config.model_type == "nemotron_h" else name
    numbers |= {f"grad.{stored(name)}": parameter.grad.clone() for name, parameter in model.named_parameters()}
    rotary = getattr(model.model, "rotary_emb", None)
    if rotary is not None:
        numbers["inv_freq"] = rotary.inv_freq
    prefill = length // 3
    with torch.no_grad():
        step = model(ids[:, :prefill], use_cache=True)
        rows = [step.logits[0]]
        for position in range(prefill, length):
            cache = {"cache": step.cache} if "cache" in step else {"past_key_values": step.past_key_values}
            step = model(ids[:, position:position + 1], use_cache=True, **cache)
            rows.append(step.logits[0])
    numbers["cached_logits"] = torch.cat(rows)
    numbers["prefill"] = torch.tensor([prefill])
    assert (numbers["cached_logits"] - numbers["logits"]).abs().max() < 1e-4
    return {name: number.contiguous() for name, number in numbers.items()}


def write(folder, model, length, stored=torch.float32, shard="5GB"):
    shutil.rmtree(folder, ignore_errors=True)
    model = randomise(model, stored)
    numbers = expected(model, length)
    model.to(stored).save_pretrained(folder, max_shard_size=shard)
    save_file(numbers, folder / "expected.safetensors")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder.name}: {size} bytes, loss {numbers['loss'].item():.4f}")
