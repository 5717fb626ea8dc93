"""What transformers makes of the tokenizers that rlvr trains.

Reads the folders that `train_tokenizer` (an example of rlvr-model) wrote and writes tests/fixtures/tokenizers/
expected.json: for each folder and text the ids with and without special tokens and the text decoded from them, by
`AutoTokenizer`. Made with transformers 5.23.0 and tokenizers 0.23.3:

    cd tests/fixtures/tokenizers
    train=../../../target/release/examples/train_tokenizer
    $train characters characters
    $train bpe bpe 400 corpus.txt
    $train bpe_digits bpe+digits 420 corpus.txt
    python ../../oracles/tokenizer_parity.py .
"""

import json
import sys
from pathlib import Path

from transformers import AutoTokenizer

TEXTS = [
    "",
    "Tom has 14 apples.",
    "  two  spaces,\n\n\tand a tab\n",
    "12345 + 67890 = 80235",
    "naïve café — €3.50",
    "彼女は 3 яблока 🙂🏽",
    "a special <s> token </s> spelled out<pad>",
    "don't we'll I'M",
    "def f(x):\r\n    return x ** 2\r\n",
    "\u0000 and \ufffd",
]


def main(root):
    expected = {}
    for folder in sorted(path for path in root.iterdir() if (path / "tokenizer.json").exists()):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        expected[folder.name] = {
            "class": type(tokenizer).__name__,
            "tokens": len(tokenizer),
            "special": {name: getattr(tokenizer, f"{name}_token_id") for name in ["bos", "eos", "pad", "unk"]},
            "texts": [
                {
                    "text": text,
                    "ids": (ids := tokenizer.encode(text, add_special_tokens=False)),
                    "with_special": (whole := tokenizer.encode(text)),
                    "decoded": tokenizer.decode(whole, skip_special_tokens=True),
                    "decoded_with_special": tokenizer.decode(whole, skip_special_tokens=False),
                }
                for text in TEXTS
            ],
        }
    (root / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
