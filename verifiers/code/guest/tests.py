"""The side of the tests: an interpreter that the solution has never touched, which runs the tests and compares.

Names that the prompt, the setup or the tests bind, and builtins, are this instance's own; the entry point, and names that
are otherwise unbound, stand for objects of the solution.
"""

import ast
import builtins
import importlib
import io
import json
import random
import re
import sys
import types
import _symtable
import _rlvr
import _rlvr_bridge as bridge
import _rlvr_cases
from _rlvr_boot import _index, missing
from _rlvr_cases import Unfit
from _rlvr_compare import exact, same
from _rlvr_solution import BOUND, defined, seed

_WORD = re.compile(r"\w*")
_BUILTINS = frozenset(vars(builtins)) | {"__name__", "__builtins__"}


class Check:
    """What is known of a row's tests while they are run."""

    def __init__(self, request):
        self.request = request
        self.entry, self.prefix = request["entry"], request["prefix"]
        self.root = _WORD.match(self.entry)[0]
        self.setup = None      # compiled
        self.cases = []        # (what runs it, its text, the names that it looks for)
        self.prompt = None     # a Prompt
        self.open = set()      # names that the prompt binds, and the solution is to bind anew
        self.free = set()      # names that neither the tests nor the builtins bind
        self.names = []        # names that the solution is asked for
        self.modules = set()   # free names that stand for modules of the standard library
        self.space = {}
        self.theirs = {}
        self.shared = False
        self.seen = []         # values that a watched case has compared, with their expressions

    def names_of(self, code):
        return {n for n in _names(code, set()) if n in self.free}


check = None


class Different(Exception):
    """A call gave another result than expected."""


# ---- names ----


def _names(code, found):
    """Every name that code uses, of globals and attributes; no text of its constants."""
    found.update(code.co_names)
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            _names(constant, found)
    return found


def _free(source):
    """Names that a program reads and neither binds at its top level nor finds among the builtins."""
    free, bound = set(), set()

    def walk(table):
        for name, flags in table.symbols.items():
            if table.type == _symtable.TYPE_MODULE:
                (bound if flags & BOUND else free).add(name)
            else:
                scope = flags >> _symtable.SCOPE_OFF & _symtable.SCOPE_MASK
                if scope == _symtable.GLOBAL_EXPLICIT and flags & _symtable.DEF_LOCAL:
                    bound.add(name)
                elif scope in (_symtable.GLOBAL_EXPLICIT, _symtable.GLOBAL_IMPLICIT):
                    free.add(name)
        for child in table.children:
            walk(child)

    walk(_symtable.symtable(source, "<tests>", "exec"))
    return {n for n in free - bound if n[:2] != "__"}


def _is_stub(node):
    """A function with nothing in it but a docstring: what the solution is asked to write."""
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and all(
        isinstance(s, ast.Pass)
        or isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)
        or isinstance(s, ast.Raise) and "NotImplementedError" in ast.dump(s)
        for s in node.body
    )


class Prompt:
    """What a prompt that is code binds: helpers, which stay the tests' own, and what the solution is asked to write. Only its code
    where nobody asks for names."""

    def __init__(self, source, named):
        self.code, body = None, []
        for text in (source, source + "\n    pass\n") if source else ():
            try:
                tree = ast.parse(text, "<prompt>") if named else text
                self.code = compile(tree, "<prompt>", "exec", dont_inherit=True)
            except (SyntaxError, ValueError):
                continue
            body = tree.body if named else []
            break
        self.bound = defined(body)
        self.functions = {n.name for n in body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
        self.classes = {n.name for n in body if isinstance(n, ast.ClassDef)}
        self.stubs = {n.name for n in body if _is_stub(n) or isinstance(n, ast.ClassDef) and any(_is_stub(s) for s in n.body)}


def _used_as_modules(source, names):
    """Those of the names that are only ever looked into, as in `math.sqrt`, and are modules of the standard library."""
    known = {n for n in names if n in _index or n in sys.builtin_module_names}
    if not known:
        return known
    tree = ast.parse(source)
    owners = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    return known - {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in owners}


def _whose(prompt):
    """Decides which names are the solution's, where the row names no entry point: those that the prompt does not bind, and its
    stubs. Where there are none, the functions of the prompt that the tests use, or else its classes, are to be written anew."""
    unbound = check.free - prompt.bound - check.modules
    check.open = prompt.stubs & check.free
    if unbound or check.open:
        return
    check.open = prompt.functions & check.free or prompt.classes & check.free
    for _, _, names in check.cases:
        both = sorted(names & check.open)
        if len(both) > 1:
            raise Unfit(f"{both[0]} and {both[1]} are both defined by the prompt and used together; name the one that the "
                        "program is to define in `entry`")


def analyze(request):
    """Compiles the tests, and says which names they look for."""
    global check
    check = Check(request)
    try:
        if request["setup"]:
            check.setup = compile(request["setup"], "<setup>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return {"status": "setup", "text": _reason(error)}
    try:
        if request["kind"] == "asserts":
            request["code"] = _rlvr_cases.without_imports(request["code"])
        source = request["setup"] + "\n" + request["code"]
        everything = _free(source)
        check.free = everything - _BUILTINS
        check.modules = _used_as_modules(source, check.free - {check.root})
        check.free -= check.modules
        _KINDS[request["kind"]]()
        prompt = check.prompt = Prompt(check.prefix, not check.entry or bool(check.free - {check.root}))
        if check.entry:
            check.open = prompt.stubs & check.free | {check.root}
        else:
            _whose(prompt)
    except (SyntaxError, ValueError, Unfit) as error:
        return {"status": "code", "text": _reason(error)}
    if check.entry:
        wanted = [check.root, "Solution"]
    else:
        # a solution may be called like a builtin, but only where the tests look for nothing else
        wanted = sorted((check.free - prompt.bound | check.open) or everything & _BUILTINS)
    check.names = sorted({*wanted, *(check.free - prompt.bound), *check.open})
    return {"status": "ready", "cases": len(check.cases), "names": wanted}


def _solution(names):
    """Objects of the solution by name: exceptions as classes of ours, all else as it crosses."""
    found, exceptions = bridge.send(bridge.DESCRIBE, 0, (names, []))
    result = {n: found[n] for n in names if n in found}
    for name, ancestors in sorted(exceptions.items(), key=lambda item: len(item[1])):
        builtin = next((bridge.EXCEPTIONS[a] for a in ancestors if a in bridge.EXCEPTIONS), Exception)
        if name in result and issubclass(builtin, Exception):
            base = next((bridge.mirrors[a] for a in ancestors if a in bridge.mirrors), builtin)
            result[name] = bridge.mirrors[name] = type(name, (base,), {})
    for name, value in result.items():
        if name[:1].isupper():
            bridge.name_class(value)
    return result


def bind(shared):
    """Runs the prompt and the setup, and binds what is the solution's."""
    check.shared = shared
    if shared:
        check.space = check.theirs = sys.modules["solution"].__dict__
        check.space[_NOTE] = _note
        return {"status": "ready"}
    seed()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    space = check.space = module.__dict__
    space["__builtins__"] = builtins
    space[_NOTE] = _note
    theirs = check.theirs = _solution(check.names)
    space.update(theirs)
    for name in sorted(check.modules):
        space[name] = importlib.import_module(name)
    try:
        if check.prompt.code:
            exec(check.prompt.code, space)
    except Exception:
        pass  # a prompt that is no program after all
    for name in check.open:
        space.pop(name, None)
        if name in theirs:
            space[name] = theirs[name]
    try:
        if check.setup:
            exec(check.setup, space)
    except BaseException as error:
        if isinstance(error, NameError) and not bridge.is_theirs(error):
            return {"status": "undefined", "text": error.name}
        own = not any(n in theirs for n in _names(check.setup, set()))
        return {"status": "setup" if own else "unbound", "text": _reason(error)}
    _cross_by_value()
    if check.root in theirs:
        space[check.root] = theirs[check.root]
    bridge.asked = 0
    return {"status": "ready"}


def _cross_by_value():
    """Makes the classes of the prompt and the setup cross by value, on both sides."""
    classes = [n for n, v in check.space.items()
               if isinstance(v, type) and v.__module__ == "__main__" and n not in check.theirs and n not in bridge.mirrors]
    for name in classes:
        bridge.cross_by_value(name, check.space[name])
    if classes:
        bridge.send(bridge.DESCRIBE, 0, ([], classes))


# ---- kinds of tests ----


def _asserts():
    for case in _rlvr_cases.split(check.request["code"], check.request["setup"]):
        tree = _watched(ast.Module(body=case.body, type_ignores=[]))
        code = compile(tree, "<tests>", "exec", dont_inherit=True)
        check.cases.append((lambda case=case, code=code: _run(case, code), case.source, check.names_of(code)))


def _run(case, code):
    exec(code, check.space)
    if case.unittest:
        _run_unittest(check.space[case.owner], case.name)
    elif case.owner:
        _run_method(check.space[case.owner](), case.name)
    elif case.name:
        check.space[case.name]()


def _run_method(instance, name):
    setup = getattr(instance, "setup_method", None)
    if setup:
        setup(*[getattr(instance, name)][: setup.__code__.co_argcount - 1])
    getattr(instance, name)()


def _run_unittest(cls, name):
    if not vars(cls).get("_rlvr_begun"):
        cls._rlvr_begun = True
        cls.setUpClass()
    cls(name).debug()


def _candidate():
    """The callable that an entry point such as `f`, `Solution().f` or `Solution.f` names."""
    entry, space = check.entry, check.space
    if entry not in space and entry.isidentifier() and "Solution" in check.theirs:
        return getattr(check.theirs["Solution"](), entry)
    head, _, rest = entry.partition(".")
    if rest.isidentifier() and head.isidentifier():
        owner = eval(head, space)
        if isinstance(owner, bridge.Handle) and bridge._get(owner, "_flags") & bridge.CLASS:
            return getattr(owner(), rest)
    return eval(entry, space)


def _check():
    source = check.request["code"]
    if check.request["watch"]:
        source = _watched(ast.parse(source, "<tests>"))
    code = compile(source, "<tests>", "exec", dont_inherit=True)

    def run():
        exec(code, check.space)
        check.space["check"](_candidate())

    check.cases.append((run, "", check.names_of(code)))


def _calls():
    for case in check.request["cases"]:
        check.cases.append((lambda case=exact(case): _call(case), "", set()))


def _call(case):
    args, kwargs = case.get("args", []), case.get("kwargs", {})
    if isinstance(args, dict):
        args, kwargs = [], args
    shown = ", ".join([_short(a) for a in args] + [f"{k}={_short(v)}" for k, v in kwargs.items()])
    result = _candidate()(*args, **kwargs)
    if check.request["watch"]:
        _note(f"{check.entry}({shown})", result)
        _note("expected", case["output"])
    if not same(result, case["output"], check.request["tolerance"], check.request["unordered"]):
        raise Different(f"{check.entry}({shown}) is {_short(result)}, not {_short(case['output'])}")


class _Watched(ast.NodeTransformer):
    """Asserts that compare note both sides, for a person."""

    def visit_Assert(self, node):
        if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
            node.test.left, node.test.comparators[0] = map(self._noted, (node.test.left, node.test.comparators[0]))
        return ast.fix_missing_locations(node)

    @staticmethod
    def _noted(side):
        return ast.Call(ast.Name(_NOTE, ast.Load()), [ast.Constant(ast.unparse(side)[:200]), side], [])


_NOTE = "__rlvr_seen__"


def _note(source, value):
    if len(check.seen) < 40:
        check.seen.append((source, _short(value)))
    return value


def _watched(tree):
    return _Watched().visit(tree) if check.request["watch"] else tree


_KINDS = {"asserts": _asserts, "check": _check, "calls": _calls}


# ---- running ----


def _short(value):
    try:
        text = repr(value)
    except BaseException:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 120 else text[:117] + "..."


def _reason(error):
    text = str(error)[:300]
    if isinstance(error, (Different, Unfit, bridge.Abandoned)):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def watched_case(index):
    """Runs a case, and tells what it is and which values it compared."""
    check.seen.clear()
    return case(index) | {"source": check.cases[index][1], "seen": check.seen}


def case(index):
    """Runs a case. `idle`: nothing has been asked of the solution so far, so that nothing can be said of it."""
    run, _, names = check.cases[index]
    bridge.broken.clear()
    try:
        run()
        if bridge.broken:
            raise bridge.broken[0]
    except BaseException as error:
        return {"passed": False, **_failed(index, error)}
    undefined = sorted(n for n in names if n not in check.space)
    if undefined:
        return {"passed": False, "kind": "undefined", "text": undefined[0]}
    entry = check.theirs.get(check.root)
    by_value = entry is not None and not isinstance(entry, bridge.Handle)
    used = check.shared or bridge.asked or by_value or any(n in check.theirs for n in names)
    return {"passed": True, "idle": not used}


def _failed(index, error):
    if isinstance(error, NameError) and not bridge.is_theirs(error) and error.name:
        return {"kind": "undefined", "text": error.name}
    if isinstance(error, ModuleNotFoundError) and not bridge.is_theirs(error) and error.name in missing:
        return {"kind": "row", "text": error.name}
    return {"kind": "memory" if isinstance(error, MemoryError) else "failed", "text": _where(index, error)}


def _where(index, error):
    """Which test failed, and how."""
    source, text = check.cases[index][1], _reason(error)
    if source and "\n" not in source:
        return f"{source[:200]}: {text}"
    line, tb = 0, error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == "<tests>":
            line = tb.tb_lineno
        tb = tb.tb_next
    return f"line {line} of the tests: {text}" if line else text


# ---- what the solution may do to objects of the tests ----

_OPERATIONS = {"iter", "next", "getitem", "str", "repr", "bool", "len", "contains", "reversed",
               "eq", "ne", "lt", "le", "gt", "ge"}
_OPEN = {io.StringIO, io.BytesIO, re.Match, random.Random}


def _perform(op, number, args, kwargs):
    """Calls, public attributes of the tests' own classes and a few others, and operations that only look."""
    target = bridge.owned[number]
    if op == bridge.CALL:
        return target(*args, **kwargs)
    cls = type(target)
    if op == bridge.OPERATE and args and type(args[0]) is str and args[0] in _OPERATIONS:
        return bridge.OPERATIONS[args[0]](target, *args[1:])
    if args and type(args[0]) is str and not args[0].startswith("_"):
        own = cls.__module__ == "__main__" and not isinstance(target, type)
        if op == bridge.GETATTR and len(args) == 1 and (own or cls in _OPEN):
            return getattr(target, args[0])
        if op == bridge.SETATTR and len(args) == 2 and own and _may_set(cls, args[0]):
            return setattr(target, *args)
    raise AttributeError("not for the solution")


def _may_set(cls, name):
    """An attribute that hides nothing, or that the class itself says how to set."""
    return bridge.settable(cls, name) or hasattr(type(getattr(cls, name, None)), "__set__")


def dispatch(message):
    return bridge.answer(message, _perform)
