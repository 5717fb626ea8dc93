"""The side of the solution: finds its code in what the model wrote, runs it, and does what the tests ask of its objects."""

import ast
import builtins
import itertools
import opcode
import os
import random
import sys
import textwrap
import types
import _symtable
import _rlvr_bridge as bridge
from _rlvr_boot import missing

_module = None
_before = {}  # what the prompt has bound, before the solution


_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)


def _compiles(source, name="<solution>"):
    try:
        return compile(source, name, "exec", dont_inherit=True)
    except _UNREADABLE:
        return None


def _is_indented(source):
    """Whether a text begins inside of something, so that it is no program."""
    first = next((line for line in source.split("\n") if line.strip() and line.lstrip()[0] != "#"), "")
    return first[:1] in (" ", "\t") and "\f" not in first


def _parsed(source):
    """The statements of a program; none where it is none."""
    try:
        return ast.parse(source).body
    except _UNREADABLE:
        return []


BOUND = _symtable.DEF_LOCAL | _symtable.DEF_IMPORT  # flags of a symbol that is assigned, defined or imported


def _binds(source, code, wanted):
    """Whether the top level of a program binds one of these names, in branches too."""
    if len(code.co_names) > 256:
        symbols = _symtable.symtable(source, "<solution>", "exec").symbols
        return any(symbols.get(name, 0) & BOUND for name in wanted)
    units = code.co_code
    return any(name in wanted and _holds(units, bytes((_STORE, i))) for i, name in enumerate(code.co_names))


_STORE = opcode.opmap["STORE_NAME"]


def _holds(units, unit):
    """Whether code has this unit of an operation and its argument."""
    at = units.find(unit)
    while at % 2 and at > 0:
        at = units.find(unit, at + 1)
    return at >= 0


def seed():
    """Draws the seed of `random`, which by itself would draw far more."""
    random.seed(int.from_bytes(os.urandom(32)))


def defined(body):
    """Names that statements bind, in branches too, as far as their text shows."""
    names = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(a.asname or a.name.split(".")[0] for a in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                names.update(n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        for part in ("body", "orelse", "finalbody", "handlers"):
            names |= defined(getattr(node, part, ()))
    return names


def _writes(body):
    """Whether a program may write something."""
    return any(isinstance(n, ast.Name) and n.id == "print" or isinstance(n, ast.Attribute) and n.attr in ("write", "writelines")
               for node in body for n in ast.walk(node))


def _is_output(body):
    """Whether a program is nothing but values: what another one prints, rather than one."""
    return all(isinstance(node, ast.Expr) and not any(isinstance(n, ast.Call) for n in ast.walk(node)) for node in body)


class _Reading:
    """A program that a candidate may stand for: `opening`, which runs before, and its own code."""

    def __init__(self, source, opening):
        self.source, self.opening = source, opening
        self.code = None if _is_indented(source) else _compiles(source)
        self.place = None  # of the candidate

    def answers(self, wanted, main):
        """Whether it binds a wanted name, or may write where it is the output that counts."""
        return _binds(self.source, self.code, wanted) or main and _writes(_parsed(self.source))


def _continued(text, prefix):
    """A prompt with what may be the rest of it: lines that begin inside a function, perhaps with their indentation lost."""
    returns = any(line.lstrip().startswith("return") for line in prefix.split("\n"))
    body = _parsed(prefix) if returns else []
    if body and isinstance(getattr(body[-1], "body", [None])[-1], ast.Return):
        return  # nothing is left to be written
    first, _, rest = text.partition("\n")
    cut = "\n".join(itertools.takewhile(lambda line: not line or line[0] in " \t", text.split("\n")))
    yield prefix + text
    yield prefix.rstrip("\n") + "\n" + text
    if first[:1] not in (" ", "\t"):
        yield f"{prefix}\n    {first}\n{rest}"
    yield prefix + "\n" + textwrap.indent(textwrap.dedent(text), "    ")
    yield prefix + "\n" + cut + "\n"


def _readings(text, prefix):
    """Best first. A text that is a program by itself is no continuation, unless the prompt breaks off inside a line."""
    alone = _Reading(text, prefix)
    if alone.code:
        yield alone
    if prefix and (not alone.code or not _compiles(prefix) and not _compiles(prefix + "\n    pass\n")):
        for source in _continued(text, prefix):
            reading = _Reading(source, None)
            if reading.code:
                yield reading
                break
    if not alone.code and text[:1] in (" ", "\t"):
        dedented = _Reading(textwrap.dedent(text), prefix)
        if dedented.code:
            yield dedented


def _choose(candidates, prefix, wanted, main):
    """The first candidate that binds a wanted name, or may write where it is the output that counts; else the first that does
    anything; else the first that parses."""
    best, best_rank = None, -1
    for place, text in enumerate(candidates):
        for reading in _readings(text, prefix):
            reading.place = place
            if reading.answers(wanted, main):
                return reading
            rank = 0 if _is_output(_parsed(reading.source)) else 1
            if rank > best_rank:
                best, best_rank = reading, rank
    return best


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
    name = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    return {"error": type(error).__name__, "text": text, "line": line,
            "missing": name if type(name) is str and name in missing else None}


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
    global _module, _before
    bridge.trust(True)
    prefix, setup, wanted = request["prefix"], request["setup"], set(request["wanted"])
    program = _choose(request["candidates"], prefix, wanted, request["main"])
    if not program:
        return {"status": "unparseable", "text": _syntax(request["candidates"][:1])}
    name = "__main__" if request["main"] else "solution"
    _module = types.ModuleType(name)
    sys.modules[name] = sys.modules["__main__"] = _module
    space = _module.__dict__
    space["__builtins__"] = builtins
    seed()
    for source, file in ((setup, "<setup>"), (program.opening, "<prompt>")):
        if source:
            before = _compiles(source, file)
            try:
                if before:
                    exec(before, space)
            except Exception:
                pass  # what is missing will be missed by the solution, or is bound by it later
    _before = dict(space)
    status = "loaded"
    try:
        exec(program.code, space)
    except SystemExit as error:
        number = error.code
        status = {"exit": 0 if number is None else number if type(number) is int else 1}
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
    return {"status": status, "candidate": program.place, "continued": bool(prefix) and program.opening is None}


def _lookup(names, classes):
    """Those of the names that the solution binds, and from now on which classes cross by value."""
    space = _module.__dict__
    for name in classes:
        if name in space:
            bridge.cross_by_value(name, space[name])
    found, exceptions = {}, {}
    for name in names:
        # what is still the prompt's is not the solution's doing
        if name in space and (name not in _before or space[name] is not _before[name]):
            value = found[name] = space[name]
            if isinstance(value, type) and issubclass(value, BaseException):
                exceptions[name] = [c.__name__ for c in value.__mro__]
                bridge.mirrors[name] = value
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
