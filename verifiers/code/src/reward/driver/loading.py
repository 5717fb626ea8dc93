"""Runs in the guest before anything of the user's, as one program with calling.py behind it: what a file of reward functions is, which
of them is meant, and why a file cannot be used.

Three kinds of function are known, by the names of their parameters: `problem` (problem, completion), `trl` (completions and
columns, as lists of one) and `verifiers` (any of prompt, completion, answer, state, info, task, parser).
"""

import ast
import gc
import inspect
import io
import json
import linecache
import math
import random
import re
import sys
import time
import types
import _rlvr
from _rlvr_boot import _index

MOST_PRINTED = 16384     # characters of printed text that are kept
MOST_TEXT = 4000         # characters of a message, a reason or an answer
MOST_FRAMES = 24

_file = ""
_call = None
_metrics = {}
_extras = {}


class Refused(Exception):
    """Why a file cannot be used: told before anything is judged."""


class Unusable(Exception):
    """What a function asks for and no verifier has, or what it returns and is no score."""


def _clean(text, most=MOST_TEXT):
    text = text if type(text) is str else str(text)
    return (text if len(text) <= most else text[: most - 3] + "...").encode("utf-8", "replace").decode()


def _short(value, most=120):
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= most else text[: most - 3] + "..."


# ---- what is printed ----


class _Printed(io.TextIOBase):
    """Standard output and error: the first of what is printed is kept, and the rest dropped."""

    def __init__(self):
        self.kept, self.room = [], MOST_PRINTED

    def writable(self):
        return True

    def write(self, text):
        if self.room > 0:
            self.kept.append(text[: self.room])
            self.room -= len(text)
        return len(text)

    def clear(self):
        self.__init__()

    def text(self):
        return _clean("".join(self.kept), MOST_PRINTED) + ("\n..." if self.room < 0 else "")


_printed = _Printed()


# ---- failures ----


def _frames(error):
    """The frames of an exception that are in the user's file, outermost first."""
    frames, tb = [], error.__traceback__
    while tb is not None:
        code = tb.tb_frame.f_code
        if code.co_filename == _file:
            source = linecache.getline(_file, tb.tb_lineno).strip()
            frames.append({"line": tb.tb_lineno, "function": code.co_name, "code": _clean(source, 200)})
        tb = tb.tb_next
    return frames[-MOST_FRAMES:]


def _told(error):
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, Unusable):
        return _clean(text)
    return _clean(f"{type(error).__name__}: {text}" if text else type(error).__name__)


# ---- imports ----

_GUARDS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def _names(node):
    if node is None:
        return {"Exception"}
    return {n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(node) if isinstance(n, (ast.Name, ast.Attribute))}


def _never_runs(node):
    """Whether an `if` is one of `TYPE_CHECKING` or `__name__ == "__main__"`."""
    return bool(_names(node.test) & {"TYPE_CHECKING", "__name__"})


def _imports(node):
    """The imports below a node that nothing guards against failing."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif isinstance(child, ast.Try) and any(_names(h.type) & _GUARDS for h in child.handlers):
            for part in child.handlers + child.orelse + child.finalbody:
                yield from _imports(part)
        elif isinstance(child, ast.With) and any("suppress" in _names(i.context_expr) for i in child.items):
            continue
        elif isinstance(child, ast.If) and _never_runs(child):
            for part in child.orelse:
                yield from _imports(ast.Module([part], []))
        else:
            yield from _imports(child)


def _missing(name, line):
    top = name.partition(".")[0]
    remedy = "write it with the standard library, or guard the import with `try: ... except ImportError: ...`"
    if top in _index or top in sys.builtin_module_names:
        return Refused(f"{_file}:{line}: the module `{name}` cannot be imported in the sandbox, which has no network, processes or compression; {remedy}")
    return Refused(f"{_file}:{line}: imports `{name}`, which the sandbox does not have: it has the standard library alone, and no files beside this one; {remedy}")


def _import_asyncio():
    """Imports asyncio over stand-ins for the modules of sockets, and gives it an event loop without files: where nothing is ready,
    the virtual clock moves on."""
    names = {"SOCK_STREAM": 1, "SOCK_DGRAM": 2, "AF_UNSPEC": 0, "AF_INET": 2, "AF_INET6": 10, "AI_PASSIVE": 1, "IPPROTO_TCP": 6,
             "IPPROTO_IPV6": 41, "has_ipv6": False, "socket": type("socket", (), {"__slots__": ()}), "error": OSError,
             "timeout": TimeoutError, "herror": OSError, "gaierror": OSError, "getdefaulttimeout": lambda: None, "CAPI": None}
    for name, content in (("_socket", names), ("select", {"error": OSError, "select": None})):
        module = types.ModuleType(name)
        module.__dict__.update(content)
        sys.modules.setdefault(name, module)
    import asyncio

    class Loop(asyncio.BaseEventLoop):
        _selector = types.SimpleNamespace(select=lambda timeout: time.sleep(max(timeout or 0, 0)) or ())

        def _process_events(self, events):
            pass

        def _write_to_self(self):
            pass

    asyncio.DefaultEventLoopPolicy._loop_factory = Loop


def _check_imports(tree):
    """Imports all modules that the file imports anywhere, so that what is missing is told now."""
    for node in _imports(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise Refused(f"{_file}:{node.lineno}: a relative import; the file is no part of a package here: one file with all that it needs is right")
        for name in [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]:
            if name == "__future__":
                continue
            if name.partition(".")[0] == "asyncio":
                _import_asyncio()
            try:
                __import__(name)
            except (ImportError, AttributeError):
                raise _missing(name, node.lineno) from None


# ---- patterns ----

_FLAGS_AT = {"compile": 1, "search": 2, "match": 2, "fullmatch": 2, "findall": 2, "finditer": 2, "split": 3, "sub": 4, "subn": 4}


def _compile_patterns(tree, space):
    """Compiles the constant patterns of the file: `re` would compile them anew in every check."""
    constants = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and type(node.value.value) is str:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    constants.setdefault(target.id, set()).add(node.value.value)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _FLAGS_AT:
            continue
        owner = node.func.value
        if not isinstance(owner, ast.Name) or space.get(owner.id, re if owner.id == "re" else None) is not re or not node.args:
            continue
        first, at = node.args[0], _FLAGS_AT[node.func.attr]
        patterns = {first.value} if isinstance(first, ast.Constant) else constants.get(getattr(first, "id", None), ())
        flags = next((k.value for k in node.keywords if k.arg == "flags"), node.args[at] if len(node.args) > at else None)
        if flags is not None and not all(isinstance(n, (ast.Name, ast.Attribute, ast.BinOp, ast.BitOr, ast.Constant, ast.Load)) for n in ast.walk(flags)):
            continue
        for pattern in patterns:
            try:
                re.compile(pattern, eval(compile(ast.Expression(flags), _file, "eval"), dict(space)) if flags else 0)
            except Exception:
                pass  # the function will say so where it stands


# ---- which function ----

_TRL = {"prompts", "completions", "completion_ids", "log_extra", "log_metric"}
_ABSENT = {"trainer_state": "a verdict depends on the problem and the completion alone", "environments": "there are no environments"}
_VERIFIERS = {"prompt", "completion", "answer", "state", "info", "task", "parser"}


class Signature:
    """The parameters of a function: which style they are, which must be given, which may be."""

    def __init__(self, name, function):
        self.style, self.required, self.named, self.keywords = None, [], set(), False
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            return
        for p in parameters:
            if p.kind is p.VAR_KEYWORD:
                self.keywords = True
            elif p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                self.named.add(p.name)
                if p.default is p.empty:
                    self.required.append(p.name)
        positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self.text = str(inspect.signature(function))
        self.by_position = False
        if "completions" in self.named:
            self.style = "trl"
        elif {"problem", "completion"} <= self.named:
            self.style = "problem"
        elif self.named & {"completion", "state"}:
            self.style = "verifiers"
        elif name == "verify" and len(positional) == 2:
            self.style, self.by_position = "problem", True


def _called_names(function):
    """Names that a function's code uses, of functions that it calls among others."""
    names, waiting = set(), [getattr(inspect.unwrap(function), "__code__", None)]
    while waiting:
        code = waiting.pop()
        if code is not None:
            names.update(code.co_names)
            waiting.extend(c for c in code.co_consts if type(c) is types.CodeType)
    return names


def _choose(space, module, wanted):
    if wanted is not None:
        if not callable(space.get(wanted)):
            functions = sorted(n for n, v in space.items() if inspect.isfunction(v) and v.__module__ == module)
            raise Refused(f"{_file}: there is no function `{wanted}`; it has {', '.join(functions) or 'none'}")
        signature = Signature(wanted, space[wanted])
        if signature.style is None:
            raise Refused(f"{_file}{_at(space[wanted])}: `{wanted}{getattr(signature, 'text', '')}` has no signature that is known; {_RIGHT}")
        return wanted, signature
    found = {n: Signature(n, v) for n, v in space.items()
             if not n.startswith("_") and inspect.isfunction(v) and v.__module__ == module}
    found = {n: s for n, s in found.items() if s.style}
    if "verify" in found:
        return "verify", found["verify"]
    # what another function of the file calls is its helper
    helpers = {name for n in found for name in _called_names(space[n]) if name != n}
    own = {n: s for n, s in found.items() if n not in helpers} or found
    if not own:
        raise Refused(f"{_file}: has no reward function; {_RIGHT}")
    if len(own) > 1:
        listed = ", ".join(f"{n} (line {_line(space[n])})" for n in own)
        raise Refused(f"{_file}: has {len(own)} reward functions: {listed}; name one: function = \"{next(iter(own))}\"")
    return next(iter(own.items()))


_RIGHT = "`verify(problem, completion)`, TRL's `(completions, **kwargs)` or the verifiers library's `(prompt, completion, answer, state, ...)` are right"


def _line(function):
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_firstlineno if code else 0


def _at(function):
    line = _line(function)
    return f":{line}" if line else ""


def _returns(tree, function):
    """Whether the text of a function gives a value back, or is none of this file."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno + len(node.decorator_list) >= _line(function) >= min(
                [node.lineno] + [d.lineno for d in node.decorator_list]) and node.name == getattr(function, "__name__", ""):
            return any(isinstance(n, ast.Return) and n.value is not None or isinstance(n, (ast.Yield, ast.YieldFrom, ast.Raise)) for n in ast.walk(node))
    return True
