"""What transformers makes of tokenizer folders: those that rlvr trains, and others in the style of known models.

Writes tests/fixtures/tokenizers/expected.json: for each folder and text the ids with and without special tokens and
the text decoded from them, by `AutoTokenizer`. Before that it makes three small folders with the pre-tokenizers,
normalizers and decoders of Llama 2 (sentencepiece style, byte fallback), Llama 3 (its split pattern) and Qwen
(its split pattern, NFC). Made with transformers 5.23.0 and tokenizers 0.23.3:

    cd tests/fixtures/tokenizers
    train=../../../target/release/examples/train_tokenizer    # an example of rlvr-model
    $train characters characters
    $train bpe bpe 400 corpus.txt
    $train bpe_digits bpe+digits 420 corpus.txt
    python ../../oracles/tokenizer_parity.py .
"""

import json
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")

TEXTS = [
    "",
    "Tom has 14 apples.",
    "  two  spaces,\n\n\tand a tab\n",
    "12345 + 67890 = 80235",
    "naïve café — €3.50",
    "cafe\u0301 \u00a0non-breaking\u3000wide",
    "彼女は 3 яблока 🙂🏽 👩‍👩‍👧",
    "مرحبا بالعالم हिन्दी",
    "a special <s> token </s> spelled out<pad>",
    "don't we'll I'M THEY'RE",
    "def f(x):\r\n    return x ** 2\r\n",
    "\u0000 and \ufffd",
    "   \n  \n",
]


def byte_level(split, normalizer, corpus):
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=380, show_progress=False, special_tokens=["<s>", "</s>", "<pad>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([corpus], trainer)
    return tokenizer


def sentencepiece_style(corpus):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])
    specials = ["<unk>", "<s>", "</s>", "<pad>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False, special_tokens=specials, limit_alphabet=90)
    # Word by word: without a pre-tokenizer a whole text would be one word.
    tokenizer.train_from_iterator(corpus.split(), trainer)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(document))


def make_others(root):
    corpus = (root / "corpus.txt").read_text()
    for name, tokenizer in [
        ("llama2_style", sentencepiece_style(corpus)),
        ("llama3_style", byte_level(LLAMA3_SPLIT, None, corpus)),
        ("qwen_style", byte_level(QWEN_SPLIT, normalizers.NFC(), corpus)),
    ]:
        if name != "qwen_style":
            bos = tokenizer.token_to_id("<s>")
            tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
        unknown = {"unk_token": "<unk>"} if name == "llama2_style" else {}
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>",
                                       pad_token="<pad>", clean_up_tokenization_spaces=False, **unknown)
        fast.save_pretrained(root / name)


def main(root):
    make_others(root)
    expected = {}
    for folder in sorted(path for path in root.iterdir() if (path / "tokenizer.json").exists()):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        expected[folder.name] = {
            "tokens": len(tokenizer),
            "special": {name: getattr(tokenizer, f"{name}_token_id") for name in ["bos", "eos", "pad", "unk"]},
            "texts": [
                {
                    "text": text,
                    "ids": tokenizer.encode(text, add_special_tokens=False),
                    "with_special": (whole := tokenizer.encode(text)),
                    "decoded": tokenizer.decode(whole, skip_special_tokens=True),
                    "decoded_with_special": tokenizer.decode(whole, skip_special_tokens=False),
                }
                for text in TEXTS
            ],
        }
    lines = (f"{json.dumps(name)}: {json.dumps(case)}" for name, case in expected.items())
    (root / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
