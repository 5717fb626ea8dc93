"""Writes ../fixtures/trl_losses.json: advantages and policy losses as TRL itself computes them.

Needs torch, transformers and trl (1.16.0 was used): `python tests/oracles/trl_losses.py`. No file is downloaded.

`GRPOTrainer` and `RLOOTrainer` are built around a two-layer random model; only three things are replaced, all of
them inputs of the code under comparison: what `_generate` returns, what the reward function returns, and the
log-probabilities (given numbers, f64, instead of a forward pass). `_generate_and_score_completions` then yields the
advantages, and `_compute_loss` and autograd the losses and their gradients.
"""

import functools
import json
import os
import tempfile
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

GROUP = 4
MAX_TOKENS = 8
LENGTHS = [5, 1, 8, 3, 2, 7, 4, 6]
SCRATCH = tempfile.TemporaryDirectory()


def tokenizer():
    vocab = {token: i for i, token in enumerate(["<pad>", "<eos>", "a", "b"])}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocab, unk_token="a")), pad_token="<pad>", eos_token="<eos>"
    )


@functools.cache
def model_folder():
    """A tiny random model as a folder, since TRL loads its reference model from a path."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 4, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 1, "num_key_value_heads": 1, "pad_token_id": 0, "eos_token_id": 1}
    folder = f"{SCRATCH.name}/model"
    Qwen2ForCausalLM(Qwen2Config(**sizes, **heads)).save_pretrained(folder)
    return folder


def build(trainer_class, config_class, reward, **settings):
    config = config_class(
        output_dir=f"{SCRATCH.name}/run",
        use_cpu=True,
        bf16=False,
        report_to=[],
        per_device_train_batch_size=len(LENGTHS),
        gradient_accumulation_steps=1,
        num_generations=GROUP,
        max_completion_length=MAX_TOKENS,
        **settings,
    )
    trainer = trainer_class(
        model=model_folder(),
        reward_funcs=lambda **kwargs: reward,
        args=config,
        train_dataset=Dataset.from_list([{"prompt": "a"}] * len(LENGTHS)),
        processing_class=tokenizer(),
    )
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    return trainer


def score(trainer, *logprobs):
    """TRL's advantages of one generation batch; `logprobs` are what its forward passes return, in turn."""
    ids = [[2] * (n - 1) + [1] for n in LENGTHS]
    prompts, texts = [[2]] * len(ids), ["a"] * len(ids)
    if isinstance(trainer, RLOOTrainer):
        trainer._generate = lambda _: (prompts, ids, texts)
    else:
        trainer._generate = lambda _: (prompts, ids, None, texts, None, {}, None, None)
    passes = iter(logprobs)
    trainer._get_per_token_logps_and_entropies = lambda *args, **kwargs: (next(passes), None, None)
    return trainer._generate_and_score_completions([{"prompt": "a"} for _ in ids])["advantages"].tolist()


def rows(padded):
    return [padded[i, :n].tolist() for i, n in enumerate(LENGTHS)]


def advantage_cases():
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn(len(LENGTHS), generator=generator).tolist()
    rewards = {
        "binary": [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "real": draws,
        "equal": [0.3] * 8,
        "large": [1e4, -2e4, 3e4, 5e3, 1e-3, 2e-3, 3e-3, 1e-3],
        "left": [1.0, None, 0.25, 0.0, None, None, 0.5, 1.0],
        "alone": [None, 1.0, None, None, None, None, None, None],
    }
    cases = []
    for name, values in rewards.items():
        for ours, theirs in [("std", "group"), ("mean", "none")]:
            trainer = build(GRPOTrainer, GRPOConfig, values, scale_rewards=theirs, beta=0.0)
            out = score(trainer)
            for at in range(0, len(values), GROUP):
                group = slice(at, at + GROUP)
                case = {"name": name, "how": ours, "rewards": values[group], "advantages": out[group]}
                cases.append(case)
    return cases


def loss_cases():
    generator = torch.Generator().manual_seed(2)
    shape = (len(LENGTHS), max(LENGTHS))
    uniform = torch.rand(shape, generator=generator)
    noise = torch.randn((2, *shape), generator=generator)
    # Ratios from about 0.3 to 3, so that every clip below holds some tokens and not others. f32 numbers, f64 sums.
    old = (-0.05 - 3 * uniform).float()
    new = (old + 0.35 * noise[0]).clamp(max=-1e-3).float()
    reference = (old + 0.5 * noise[1]).clamp(max=-1e-3).float()
    new[0, :2] = old[0, :2]  # ratios of exactly 1
    advantages = torch.tensor([1.5, -0.7, 0.4, 0.0, -1.25, 2.0, -0.1, 0.9])
    mask = torch.tensor([[t < n for t in range(shape[1])] for n in LENGTHS])

    cases = []
    settings = [
        (loss, low, high, beta)
        for loss in ["grpo", "bnpo", "dapo", "dr_grpo"]
        for low, high in [(0.2, 0.2), (0.2, 0.28), (0.05, 0.1), (1.0, 4.0)]
        for beta in [0.0, 0.04]
    ]
    for loss, low, high, beta in settings:
        trainer = build(
            GRPOTrainer,
            GRPOConfig,
            [0.0] * 8,
            loss_type=loss,
            epsilon=low,
            epsilon_high=high,
            beta=beta,
            use_bias_correction_kl=False,  # the penalty of the GRPO paper, not that of DeepSeek-V3.2
        )
        logprobs = new.double().requires_grad_()
        trainer._get_per_token_logps_and_entropies = lambda *a, **k: (logprobs, torch.zeros(shape), None)
        value = trainer._compute_loss(
            trainer.model,
            {
                "prompt_ids": torch.full((shape[0], 1), 2),
                "prompt_mask": torch.ones((shape[0], 1), dtype=torch.long),
                "completion_ids": torch.full(shape, 2),
                "completion_mask": mask.long(),
                "advantages": advantages.double(),
                "old_per_token_logps": old.double(),
                "ref_per_token_logps": reference.double(),
                "num_items_in_batch": mask.sum(),
            },
        )
        value.backward()
        logged = {name: values[-1] for name, values in trainer._metrics["train"].items()}
        cases.append(
            {
                "loss_type": loss,
                "clip_low": low,
                "clip_high": high,
                "beta": beta,
                "loss": value.item(),
                "d_logprobs": rows(logprobs.grad),
                "clipped_low": logged["clip_ratio/low_mean"],
                "clipped_high": logged["clip_ratio/high_mean"],
                "kl": logged.get("kl"),
            }
        )
    batch = {
        "max_tokens": MAX_TOKENS,
        "advantages": advantages.tolist(),
        "logprobs": rows(new),
        "old_logprobs": rows(old),
        "reference": rows(reference),
    }
    return batch, cases


def reward_kl_case(batch):
    """RLOO subtracts k1, summed over the sample, from the reward; its advantages are r minus the others' mean."""

    def padded(values):
        return torch.tensor([row + [0.0] * (max(LENGTHS) - len(row)) for row in values], dtype=torch.float32)

    rewards, beta = [1.0, 0.0, 0.5, 1.0, 0.0, 0.25, -1.0, 2.0], 0.05
    trainer = build(RLOOTrainer, RLOOConfig, rewards, beta=beta, normalize_advantages=False)
    out = score(trainer, padded(batch["old_logprobs"]), padded(batch["reference"]))
    return {"rewards": rewards, "beta": beta, "group": GROUP, "advantages": out}


def main():
    batch, losses = loss_cases()
    fixture = {
        "made_by": f"tests/oracles/trl_losses.py, trl {trl.__version__}, torch {torch.__version__.split('+')[0]}",
        "advantages": advantage_cases(),
        "batch": batch,
        "losses": losses,
        "reward_kl": reward_kl_case(batch),
    }
    path = Path(__file__).resolve().parent.parent / "fixtures" / "trl_losses.json"
    path.write_text(json.dumps(fixture) + "\n")
    print(f"{path.name}: {len(fixture['advantages'])} groups, {len(losses)} losses, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
