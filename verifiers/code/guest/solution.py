"""The side of the solution: finds its code in what the model wrote, runs it, and does what the tests ask of its objects."""

import ast
import builtins
import gc
import json
import random
import sys
import textwrap
import traceback
import types
import _rlvr
import _rlvr_bridge as bridge

_module = None
_own_names = frozenset(vars(builtins))


def _compiles(source, name="<solution>"):
    try:
        return compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _defined(source):
    """Names that a program binds at its top level, as far as its text shows."""
    names = set()
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return names
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(a.asname or a.name.split(".")[0] for a in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                names.update(n.id for n in ast.walk(target) if isinstance(n, ast.Name))
    return names


def _whole(text, prefix, wanted):
    """The programs that a candidate may stand for, best first: `(code, opening)`, where the opening runs before."""
    if prefix:
        alone = _compiles(text)
        if alone and (not wanted or _defined(text) & wanted):
            return alone, prefix
        for continued in (prefix + text, prefix.rstrip("\n") + "\n" + text):
            code = _compiles(continued)
            if code:
                return code, None
        return (alone, prefix) if alone else None
    code = _compiles(text)
    if not code and text[:1] in " \t":
        code = _compiles(textwrap.dedent(text))
    return code and (code, None)


def _choose(candidates, prefix, wanted):
    """The first candidate that parses and binds a wanted name; else the first that parses. With its place among them."""
    first = None
    for place, text in enumerate(candidates):
        found = _whole(text, prefix, wanted)
        if not found:
            continue
        if not wanted or len(candidates) == 1 or _defined(text if found[1] or not prefix else prefix + text) & wanted:
            return found, place
        first = first or (found, place)
    return first or (None, None)


def _error(error):
    """What a raised exception was, for the verdict's reason."""
    line = 0
    tb = error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == "<solution>":
            line = tb.tb_lineno
        tb = tb.tb_next
    try:
        text = str(error)[:300]
    except BaseException:
        text = ""
    missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    return {"error": type(error).__name__, "text": text, "line": line, "missing": missing if type(missing) is str else None}


def _syntax(candidates):
    for text in candidates:
        try:
            compile(text, "<solution>", "exec", dont_inherit=True)
        except SyntaxError as error:
            return f"{error.msg} (line {error.lineno})"
        except Exception as error:
            return str(error)
    return "there is no code"


def load(request):
    """Runs the solution, and binds what the tests may ask for."""
    global _module
    prefix, setup, wanted = request["prefix"], request["setup"], set(request["wanted"])
    found, place = _choose(request["candidates"], prefix, wanted)
    if not found:
        return {"status": "unparseable", "text": _syntax(request["candidates"][:1])}
    code, opening = found
    name = "__main__" if request["main"] else "solution"
    _module = types.ModuleType(name)
    sys.modules[name] = _module
    space = _module.__dict__
    space["__builtins__"] = builtins
    random.seed()
    for source, file in ((setup, "<setup>"), (opening, "<prompt>")):
        if source:
            before = _compiles(source, file)
            try:
                if before:
                    exec(before, space)
            except Exception:
                pass  # what is missing will be missed by the solution, or is bound by it later
    status = "loaded"
    try:
        exec(code, space)
    except SystemExit as error:
        code = error.code
        status = {"exit": 0 if code is None else code if type(code) is int else 1}
    except BaseException as error:
        status = _error(error)
    if request["main"]:
        try:
            import atexit

            atexit._run_exitfuncs()
            sys.stdout.flush()
        except BaseException as error:
            if status == "loaded":
                status = _error(error)
    return {"status": status, "candidate": place, "continued": bool(prefix) and not opening}


def _lookup(names, classes):
    """Those of the names that the solution binds, and from now on which classes cross by value."""
    space = _module.__dict__
    for name in classes:
        if name in space:
            bridge.cross_by_value(name, space[name])
    found = {}
    for name in names:
        if name in space:
            found[name] = space[name]
    exceptions = {}
    for name, value in found.items():
        if isinstance(value, type) and issubclass(value, BaseException):
            exceptions[name] = next(c.__name__ for c in value.__mro__ if bridge.EXCEPTIONS.get(c.__name__) is c)
    return found, exceptions


def _perform(op, number, args, kwargs):
    if op == bridge.DESCRIBE:
        return _lookup(*args)
    target = bridge.owned[number]
    if op == bridge.CALL:
        return target(*args, **kwargs)
    if op == bridge.GETATTR:
        return getattr(target, *args)
    if op == bridge.SETATTR:
        return setattr(target, *args)
    return bridge.OPERATIONS[args[0]](target, *args[1:])


def dispatch(message):
    return bridge.answer(message, _perform)
