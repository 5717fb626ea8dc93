"""The second part of the program: what a function is given, what becomes of what it returns, and the two requests of the host. The host
keeps the memory as `load` leaves it and puts it back after every `judge`.
"""

# ---- what a function is given ----


class Problem(dict):
    """A row: its fields as keys and as attributes."""

    def __getattr__(self, name):
        if name in self:
            return self[name]
        if name in _OPTIONAL:
            return None if name in ("answer", "tests") else []
        if name == "extra":
            return {k: v for k, v in self.items() if k not in _FIELDS}
        raise AttributeError(f"the row has no field `{name}`; it has {', '.join(self)}")


_OPTIONAL = ("answer", "tests", "messages", "choices", "tags")
_FIELDS = ("id", "prompt", "verifier", *_OPTIONAL)


class Completion(str):
    """What the model wrote; `answer_text` is what stands after its last `</think>`."""

    def __new__(cls, given):
        self = str.__new__(cls, given["text"])
        self.truncated, self.tokens = given["truncated"], given["tokens"]
        return self

    @property
    def text(self):
        return str(self)

    @property
    def answer_text(self):
        answer = self[self.rfind("</think>") + len("</think>"):] if "</think>" in self else str(self)
        return "" if "<think>" in answer else answer


class Message(dict):
    """A message of a chat, whose fields are attributes too."""

    def __getattr__(self, name):
        if name in self:
            return self[name]
        raise AttributeError(f"a message has no `{name}`")


class Messages(list):
    """A chat."""

    def __contains__(self, item):
        if isinstance(item, str):
            raise Unusable("the completion is a list of messages, in which a text cannot be: `completion[-1][\"content\"]` is its text, or set conversational = false")
        return list.__contains__(self, item)


class TokenIds:
    """The ids of a completion's tokens, of which a verifier knows the number alone."""

    def __init__(self, completion):
        self.completion = completion

    def __len__(self):
        if self.completion["text"] and not self.completion["tokens"]:
            raise Unusable("the number of the completion's tokens is not known; give the row's completion as {\"text\", \"tokens\"}")
        return self.completion["tokens"]

    def __getitem__(self, index):
        raise Unusable("a completion's token ids are not known to a verifier, their number alone is: len(completion_ids[0])")


class Parser:
    """The base parser of the verifiers library: an answer is the text of the last message of the assistant."""

    def parse(self, text):
        return text

    def get_assistant_messages(self, completion):
        return [m for m in completion if m["role"] == "assistant"]

    def parse_answer(self, completion):
        if isinstance(completion, str):
            return self.parse(completion)
        messages = self.get_assistant_messages(completion)
        return self.parse(messages[-1]["content"]) if messages else None


def _chat(problem):
    return problem.get("messages") or [{"role": "user", "content": problem["prompt"]}]


def _log_extra(column, values):
    _extras[_clean(column, 100)] = _short(list(values), 400)


def _log_metric(name, value):
    _metrics[_clean(name, 100)] = float(value)


# ---- calling ----


def _problem_style(function, signature, conversational):
    def call(problem, completion):
        problem, completion = Problem(problem), Completion(completion)
        if signature.by_position:
            return function(problem, completion)
        columns = {n: problem[n] for n in signature.named if n in problem and n not in ("problem", "completion")}
        return function(problem=problem, completion=completion, **columns)

    return call


def _trl_style(function, signature, conversational):
    def call(problem, completion):
        chat = bool(problem.get("messages")) if conversational is None else conversational
        given = {k: [v] for k, v in problem.items() if k not in ("prompt", "messages", "verifier", "completion", "completion_ids")}
        given["prompts"] = [_chat(problem) if chat else problem["prompt"]]
        given["completions"] = [[{"role": "assistant", "content": completion["text"]}] if chat else completion["text"]]
        given["completion_ids"] = [TokenIds(completion)]
        given["log_extra"], given["log_metric"] = _log_extra, _log_metric
        if not signature.keywords:
            given = {k: v for k, v in given.items() if k in signature.named}
        return function(**given)

    return call


def _one(rewards):
    """The reward of the one completion in the batch."""
    if isinstance(rewards, (str, bytes, dict)) or not hasattr(type(rewards), "__iter__"):
        missing = "; is a return missing?" if rewards is None else ""
        raise Unusable(f"returned {_short(rewards)}, not a list with one reward for each completion{missing}")
    rewards = list(rewards)
    if len(rewards) != 1:
        raise Unusable(f"returned {len(rewards)} rewards for 1 completion: {_short(rewards)}")
    if isinstance(rewards[0], dict):
        raise Unusable(f"returned {_short(rewards)}, not a list of numbers")
    return rewards[0]


def _verifiers_style(function, signature, conversational):
    parser = sys.modules[function.__module__].__dict__.get("parser") if function.__module__ in sys.modules else None
    parser = parser or Parser()

    def call(problem, completion):
        if conversational is False:
            prompt, answered = problem["prompt"], completion["text"]
        else:
            prompt = Messages(Message(m) for m in _chat(problem))
            answered = Messages([Message(role="assistant", content=completion["text"])])
        info, task, answer = problem.get("info"), problem.get("task", "default"), problem.get("answer", "")
        if isinstance(info, str):
            info = json.loads(info)
        info = info or {}
        timing = {"generation_ms": 0.0, "scoring_ms": 0.0, "total_ms": 0.0}
        state = {"id": problem.get("id"), "prompt": prompt, "completion": answered, "answer": answer, "task": task, "info": info,
                 "responses": [], "trajectory": [], "turn": 1, "timing": timing, "is_completed": True, "is_truncated": completion["truncated"],
                 "reward": None, "metrics": {}}
        given = {k: v for k, v in problem.items() if k not in ("messages", "verifier")}
        given.update(prompt=prompt, completion=answered, answer=answer, state=state, info=info, task=task, parser=parser)
        if not signature.keywords:
            given = {k: v for k, v in given.items() if k in signature.named}
        return function(**given)

    return call


_STYLES = {"problem": _problem_style, "trl": _trl_style, "verifiers": _verifiers_style}


def _awaited(value):
    """Runs what an async function returned; a wait takes no time but the virtual clock's."""
    if not inspect.isawaitable(value):
        return value
    if "asyncio" in sys.modules:
        return sys.modules["asyncio"].new_event_loop().run_until_complete(value)
    steps = value.__await__() if not inspect.iscoroutine(value) else value
    try:
        while True:
            steps.send(None)
    except StopIteration as end:
        return end.value


# ---- scores ----

_KEYS = ("score", "reward", "outcome", "reason", "parts", "answer")


def _number(value, what):
    try:
        if isinstance(value, (str, bytes)) or not hasattr(type(value), "__float__"):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Unusable(f"{what} {_short(value)}, which is no number") from None
    if not math.isfinite(number):
        raise Unusable(f"{what} {number}, which is no finite number")
    return number


def _reply(value):
    if value is None:
        return {}
    if not isinstance(value, dict):
        return {"value": _number(value, "returned")}
    unknown = [k for k in value if k not in _KEYS]
    if unknown:
        raise Unusable(f"returned a dict with the key {_short(unknown[0])}; {', '.join(_KEYS)} are right")
    given = [k for k in ("score", "reward") if k in value]
    if len(given) != 1:
        raise Unusable(f"returned a dict with {' and '.join(given) or 'no score'}: {_short(value)}; one `score` is right")
    reply = {}
    if value[given[0]] is not None:
        reply["value"] = _number(value[given[0]], f"returned the {given[0]}")
    parts = value.get("parts") or {}
    if not isinstance(parts, dict):
        raise Unusable(f"returned the parts {_short(parts)}; a dict of names and numbers is right")
    reply["parts"] = [[_clean(k, 100), _number(v, f"returned for the part `{k}`")] for k, v in parts.items()]
    for key in ("outcome", "reason", "answer"):
        if value.get(key) is not None:
            reply[key] = _clean(value[key])
    return reply


# ---- the host's requests ----


def load(request):
    """Runs the user's file and chooses its function."""
    global _file, _call
    _file, source = request["file"], request["source"]
    linecache.cache[_file] = (len(source), None, source.splitlines(True), _file)
    sys.stdout = sys.stderr = _printed
    try:
        try:
            tree = ast.parse(source, _file)
            code = compile(tree, _file, "exec", dont_inherit=True)
        except SyntaxError as error:
            raise Refused(f"{_file}:{error.lineno}: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise Refused(f"{_file}: {_told(error)}") from None
        _check_imports(tree)
        name = re.sub(r"\W", "_", _file.removesuffix(".py"))
        module = types.ModuleType(name)
        if name not in sys.modules and name not in _index:
            sys.modules[name] = module
        module.__file__ = _file
        try:
            exec(code, module.__dict__)
        except BaseException as error:
            frames = _frames(error)
            line = frames[-1]["line"] if frames else 0
            if isinstance(error, ModuleNotFoundError):
                raise _missing(error.name or "?", line) from None
            raise Refused(f"{_file}:{line}: {_told(error)}") from None
        _compile_patterns(tree, module.__dict__)
        name, signature = _choose(module.__dict__, name, request["function"])
        function = module.__dict__[name]
        where = f"{_file}{_at(function)}: `{name}{signature.text}`"
        for parameter, why in _ABSENT.items():
            if signature.style == "trl" and parameter in signature.required:
                raise Refused(f"{where} takes `{parameter}`, which a verifier does not have: {why}; give it a default or leave it out")
        if not _returns(tree, function):
            raise Refused(f"{where} never returns a value; a score is right")
        _call = _STYLES[signature.style](function, signature, request["conversational"])
        columns = {"problem": {"problem", "completion"}, "trl": _TRL, "verifiers": _VERIFIERS}[signature.style]
        columns = [] if signature.by_position else [p for p in signature.required if p not in columns]
    except Refused as refused:
        return {"refused": _clean(refused)}
    except Exception as error:
        return {"refused": f"{_file}: {_told(error)}"}
    printed = _printed.text()
    _printed.clear()
    gc.collect()
    gc.freeze()
    return {"function": name, "line": _line(function), "style": signature.style, "signature": _clean(signature.text, 200),
            "columns": columns, "printed": printed}


def judge(request):
    """The value that the function gives a completion."""
    random.seed(request["seed"])
    try:
        value = _awaited(_call(request["problem"], request["completion"]))
        reply = _reply(_one(value) if request["style"] == "trl" else value)
        reply["parts"] = reply.get("parts", []) + [[k, _number(v, f"logged for the metric `{k}`")] for k, v in _metrics.items()]
    except (RecursionError, MemoryError) as error:
        reply = {"exhausted": type(error).__name__, "frames": _frames(error)}
    except BaseException as error:
        reply = {"fault": _told(error), "frames": _frames(error)}
    reply["printed"] = _printed.text()
    reply["extras"] = _extras
    return reply


def control(message):
    request = json.loads(message)
    reply = load(request) if request["op"] == "load" else judge(request)
    return json.dumps(reply).encode()


sys.modules.pop("solution", None)
_rlvr.serve(control, control)
