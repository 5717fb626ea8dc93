"""What transformers makes of the chat templates in tests/fixtures/chat.

The templates are written in the style of Llama 3, Qwen 3, Granite, Mistral, SmolLM2 and Nemotron, with the Jinja that such templates use.
Writes expected.json beside them: for each template and conversation the rendered text, or the template's own error,
on a fixed day. Made with transformers 5.24.0 and jinja2 3.1.6:

    python tests/oracles/chat_templates.py tests/fixtures/chat
"""

import datetime
import json
import sys
from pathlib import Path

import jinja2
import transformers.utils.chat_template_utils as chat

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


class FixedDay(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 3, 7, 9, 5, 0)


chat.datetime = FixedDay


def turns(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


CONVERSATIONS = [
    turns(("user", "What is 2 + 2?")),
    turns(("system", "  Answer briefly.\n"), ("user", "What is 2 + 2?")),
    turns(("user", "  <b>Tom's</b> \"café\" & co\n"), ("assistant", "\n4  "), ("user", "And 3 + 3?\n\n")),
    turns(("system", "Be kind."), ("user", "hi"), ("assistant", "<think>\nwell\n</think>\n\nhello"), ("user", "bye")),
    turns(("user", "hi"), ("assistant", "<think>hm</think>finished")),
    turns(("user", "one"), ("skip", "two"), ("user", "three"), ("stop", "four"), ("user", "five")),
    turns(("user", ""), ("user", "twice")),
]


def rendered(template, messages, add_generation_prompt):
    try:
        texts, _ = chat.render_jinja_template(
            conversations=[messages], chat_template=template, add_generation_prompt=add_generation_prompt, **SPECIAL
        )
        return {"text": texts[0]}
    except jinja2.exceptions.TemplateError as error:
        return {"error": str(error)}


def main(root):
    cases = [
        {"template": path.name, "messages": messages, "add_generation_prompt": prompt,
         **rendered(path.read_text(), messages, prompt)}
        for path in sorted(root.glob("*.jinja"))
        for messages in CONVERSATIONS
        for prompt in (False, True)
    ]
    expected = {"special": SPECIAL, "now": FixedDay.now().isoformat(), "cases": cases}
    (root / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
