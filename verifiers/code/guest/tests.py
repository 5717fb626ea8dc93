"""The side of the tests: an interpreter that the solution has never touched, which runs the tests and compares.

Names that the prompt, the setup or the tests bind, and builtins, are this instance's own; the entry point, and names that
are otherwise unbound, stand for objects of the solution.
"""

import ast
import builtins
import io
import json
import math
import random
import re
import sys
import symtable
import types
import _rlvr
import _rlvr_bridge as bridge

_space = None
_theirs = {}
_cases = []
_WORD = re.compile(r"[^\W\d]\w*")
_BUILTINS = frozenset(vars(builtins)) | {"__name__", "__builtins__"}


def _compiled(source, file):
    try:
        return compile(source, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None


def _is_stub(node):
    """A function with nothing in it but a docstring: what the solution is asked to write."""
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and all(
        isinstance(s, ast.Pass)
        or isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)
        or isinstance(s, ast.Raise) and "NotImplementedError" in ast.dump(s)
        for s in node.body
    )


def _stubs(source):
    """Names of a prompt's functions and classes that are still to be written."""
    names = set()
    for node in ast.parse(source).body:
        if _is_stub(node):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef) and node.body and any(_is_stub(s) for s in node.body):
            names.add(node.name)
    return names


def _free(source):
    """Names that a program reads and neither binds at its top level nor finds among the builtins."""
    free, bound = set(), set()

    def walk(table):
        for symbol in table.get_symbols():
            if table.get_type() == "module":
                (bound if symbol.is_assigned() or symbol.is_imported() else free).add(symbol.get_name())
            elif symbol.is_global():
                (bound if symbol.is_declared_global() and symbol.is_assigned() else free).add(symbol.get_name())
        for child in table.get_children():
            walk(child)

    walk(symtable.symtable(source, "<tests>", "exec"))
    return free - bound


def _solution(names, classes):
    found, exceptions = bridge.send(bridge.DESCRIBE, 0, (sorted(names), classes))
    result = {}
    for name in names:
        if name in found:
            result[name] = found[name]
            if name in exceptions:
                base = bridge.EXCEPTIONS.get(exceptions[name], Exception)
                if issubclass(base, Exception):
                    result[name] = bridge.mirrors[name] = type(name, (base,), {})
    return result


def _names(code, found):
    """Every name that code uses, of globals and attributes; no text of its constants."""
    found.update(code.co_names)
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            _names(constant, found)
    return found


_request = None
_setup = None
_used = set()


def analyze(request):
    """Compiles the tests, and says which names they look for."""
    global _request, _setup
    _request = request
    try:
        if request["setup"]:
            _setup = compile(request["setup"], "<setup>", "exec", dont_inherit=True)
            _names(_setup, _used)
    except (SyntaxError, ValueError) as error:
        return {"status": "setup", "text": _reason(error)}
    try:
        _KINDS[request["kind"]](request)
    except (SyntaxError, ValueError) as error:
        return {"status": "tests", "text": _reason(error)}
    if request["entry"]:
        return {"status": "ready", "cases": len(_cases), "names": _WORD.findall(request["entry"])[:1] + ["Solution"]}
    free = _free(request["setup"] + "\n" + request["code"]) - _BUILTINS
    return {"status": "ready", "cases": len(_cases), "names": sorted(free or _used & _BUILTINS)}


def bind(shared):
    """Runs the prompt and the setup, and binds what is the solution's."""
    global _space, _theirs
    if shared:
        _space = _theirs = sys.modules["solution"].__dict__
        _space["__rlvr_seen__"] = _note
        return {"status": "ready"}
    entry, prefix = _request["entry"], _request["prefix"]
    random.seed()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    _space = module.__dict__
    _space["__builtins__"] = builtins
    root = _WORD.findall(entry)[0] if entry else ""
    theirs = _theirs = _solution(_used | {root, "Solution"} if entry else _used, [])
    # a solution may be called like a builtin, but only where the tests look for nothing else
    alike = {root} if entry or _free(_request["setup"] + "\n" + _request["code"]) - _BUILTINS else _BUILTINS
    _space.update({n: v for n, v in theirs.items() if n not in _BUILTINS or n in alike})
    _space["__rlvr_seen__"] = _note
    if prefix:
        _run_prefix(prefix, theirs if not entry else {})
    if _setup:
        try:
            exec(_setup, _space)
        except BaseException as error:
            own = not any(n in theirs for n in _names(_setup, set()))
            return {"status": "setup" if own and type(error) is not NameError else "unbound", "text": _reason(error)}
    _cross_by_value(root)
    if root in theirs:
        _space[root] = theirs[root]
    return {"status": "ready"}


def _run_prefix(prefix, theirs):
    """Binds the helpers of a prompt, and the solution's objects where the prompt only says what is to be written."""
    whole = _compiled(prefix, "<prompt>")
    code = whole or _compiled(prefix + "\n    pass\n", "<prompt>")
    try:
        if code:
            exec(code, _space)
    except Exception:
        return  # a prompt that is no program after all
    for name in _stubs(prefix) if whole and theirs else ():
        if name in theirs:
            _space[name] = theirs[name]


def _cross_by_value(root):
    """Makes the classes of the prompt and the setup cross by value, on both sides."""
    classes = [n for n, v in _space.items()
               if isinstance(v, type) and v.__module__ == "__main__" and n != root and n not in bridge.mirrors]
    for name in classes:
        bridge.cross_by_value(name, _space[name])
    if classes:
        bridge.send(bridge.DESCRIBE, 0, ([], classes))


# ---- kinds of tests ----


def _without_imports(code):
    """The tests, where `from solution import f`, as files of tests have it, stands for a name that is the solution's anyway."""
    lines = code.split("\n")
    for node in ast.parse(code, "<tests>").body:
        if isinstance(node, ast.ImportFrom) and node.module == "solution" and node.end_lineno == node.lineno:
            renamed = "; ".join(f"{a.asname} = {a.name}" for a in node.names if a.asname)
            lines[node.lineno - 1] = renamed or "pass"
    return "\n".join(lines)


def _asserts(request):
    """Each top-level statement that can fail a test is a case; the others run where they stand. Functions called `test...`
    that nothing calls are cases too, as pytest has it."""
    request["code"] = _without_imports(request["code"])
    tree = ast.parse(request["code"], "<tests>")
    lines = request["code"].split("\n")
    before = []
    named = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    uncalled = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test")
                and n.name not in named and not n.args.posonlyargs + n.args.args + n.args.kwonlyargs]
    for node in tree.body:
        before.append(node)
        if isinstance(node, ast.Assert) or not isinstance(node, _QUIET) and _may_fail(node):
            _case(before, "\n".join(lines[node.lineno - 1 : node.end_lineno]).strip())
            before = []
    for function in uncalled:
        call = f"{function.name}()"
        _case(before + ast.parse(call, "<tests>").body, call)
        before = []
    if not _cases:
        raise ValueError("nothing in them can fail; assert something")
    if before:
        _case(before, "the end of the tests")


class _Watched(ast.NodeTransformer):
    """Asserts that compare note both sides, for a person."""

    def visit_Assert(self, node):
        if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
            node.test.left, node.test.comparators[0] = map(self._noted, (node.test.left, node.test.comparators[0]))
        return ast.fix_missing_locations(node)

    @staticmethod
    def _noted(side):
        return ast.Call(ast.Name("__rlvr_seen__", ast.Load()), [ast.Constant(ast.unparse(side)[:200]), side], [])


_seen = []


def _note(source, value):
    if len(_seen) < 40:
        _seen.append((source, _short(value)))
    return value


def _watched(tree):
    return _Watched().visit(tree) if _request.get("watch") else tree


def _case(body, source):
    body = [_watched(node) for node in body]
    code = compile(ast.Module(body=body, type_ignores=[]), "<tests>", "exec", dont_inherit=True)
    _names(code, _used)
    _cases.append((lambda: exec(code, _space), source))


_QUIET = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign,
          ast.AugAssign, ast.Pass)


def _may_fail(node):
    return any(isinstance(n, (ast.Assert, ast.Raise, ast.Call)) for n in ast.walk(node))


def _candidate():
    """The callable that an entry point such as `f`, `Solution().f` or `Solution.f` names."""
    entry = _request["entry"]
    if entry not in _space and entry.isidentifier() and "Solution" in _theirs:
        return getattr(_theirs["Solution"](), entry)
    head, _, rest = entry.partition(".")
    if rest.isidentifier() and head.isidentifier():
        owner = eval(head, _space)
        if isinstance(owner, bridge.Handle) and bridge._get(owner, "_flags") & bridge.CLASS:
            return getattr(owner(), rest)
    return eval(entry, _space)


def _check(request):
    code = compile(_watched(ast.parse(request["code"], "<tests>")), "<tests>", "exec", dont_inherit=True)
    _names(code, _used)

    def run():
        exec(code, _space)
        _space["check"](_candidate())

    _cases.append((run, ""))


def _calls(request):
    for case in request["cases"]:
        _cases.append((lambda case=case: _call(case, request["tolerance"]), ""))


def _call(case, tolerance):
    entry = _request["entry"]
    args, kwargs = case.get("args", []), case.get("kwargs", {})
    if isinstance(args, dict):
        args, kwargs = [], args
    shown = ", ".join([_short(a) for a in args] + [f"{k}={_short(v)}" for k, v in kwargs.items()])
    result = _candidate()(*args, **kwargs)
    if _request.get("watch"):
        _note(f"{entry}({shown})", result)
        _note("expected", case["output"])
    if not same(result, case["output"], tolerance):
        raise Different(f"{entry}({shown}) is {_short(result)}, not {_short(case['output'])}")


class Different(Exception):
    """A call gave another result than expected."""


_KINDS = {"asserts": _asserts, "check": _check, "calls": _calls}


def same(got, expected, tolerance):
    """Whether a result is what the row expects. JSON has neither tuples, sets nor keys that are no strings."""
    if isinstance(expected, float) or isinstance(got, float):
        if type(got) not in (int, float) or type(expected) not in (int, float):
            return False
        return got == expected or math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance) or got != got and expected != expected
    if isinstance(expected, list):
        if type(got) in (set, frozenset):
            rest = list(got)
            if len(rest) != len(expected):
                return False
            for item in expected:
                at = next((i for i, r in enumerate(rest) if same(r, item, tolerance)), None)
                if at is None:
                    return False
                del rest[at]
            return True
        if not isinstance(got, (list, tuple, bridge.collections.deque)) and type(got) not in _VIEWS:
            return False
        got = list(got)
        return len(got) == len(expected) and all(same(g, e, tolerance) for g, e in zip(got, expected))
    if isinstance(expected, dict):
        if not isinstance(got, dict) or len(got) != len(expected):
            return False
        keyed = {k if type(k) is str else _key(k): v for k, v in dict.items(got)}
        return keyed.keys() == expected.keys() and all(same(v, expected[k], tolerance) for k, v in keyed.items())
    return type(got) in (int, str, bool, type(None)) and got == expected


_VIEWS = (range, type({}.keys()), type({}.values()), type({}.items()))


def _key(key):
    try:
        return json.dumps(key) if type(key) in (int, float, bool, type(None)) else str(key)
    except Exception:
        return None


# ---- running ----


def _short(value):
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 120 else text[:117] + "..."


def _reason(error):
    text = str(error)[:300] if not isinstance(error, KeyError) else f"{error}"[:300]
    if isinstance(error, (Different, bridge.Abandoned)):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def watched_case(index):
    """Runs a case, and tells what it is and which values it compared."""
    _seen.clear()
    return case(index) | {"source": _cases[index][1], "seen": _seen}


def case(index):
    """Runs a case."""
    try:
        _cases[index][0]()
        return {"passed": True}
    except BaseException as error:
        # tests that end by themselves, as `unittest.main()` does; a solution's exit never arrives as one
        if type(error) is SystemExit and not error.code:
            return {"passed": True}
        missing = type(error) is NameError and getattr(error, "name", None)
        if isinstance(error, ModuleNotFoundError):
            return {"passed": False, "kind": "missing", "text": str(error).removeprefix("No module named ").strip("'")}
        kind = "memory" if isinstance(error, MemoryError) else "undefined" if missing else "failed"
        return {"passed": False, "kind": kind, "text": missing or _where(index, error)}


def _where(index, error):
    """Which test failed, and how."""
    source, text = _cases[index][1], _reason(error)
    if source and "\n" not in source:
        return f"{source[:200]}: {text}"
    line, tb = 0, error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == "<tests>":
            line = tb.tb_lineno
        tb = tb.tb_next
    return f"line {line} of the tests: {text}" if line else text


def _perform(op, number, args, kwargs):
    """What the solution may do to objects of the tests: call them, and use the public attributes of their own classes."""
    target = bridge.owned[number]
    if op == bridge.CALL:
        return target(*args, **kwargs)
    if op in (bridge.GETATTR, bridge.SETATTR) and type(args[0]) is str and not args[0].startswith("_"):
        own = type(target).__module__ == "__main__" and not isinstance(target, type)
        if op == bridge.GETATTR and len(args) == 1 and (own or type(target) in _OPEN):
            return getattr(target, args[0])
        # what is there may change its value; nothing may be put over a method
        if op == bridge.SETATTR and (own or type(target) is types.SimpleNamespace) and args[0] in vars(target):
            if type(args[1]) not in bridge._CLASSES:
                return setattr(target, *args)
    if op == bridge.OPERATE and args and type(args[0]) is str and args[0] in _OPERATIONS:
        return bridge.OPERATIONS[args[0]](target, *args[1:])
    raise AttributeError("not for the solution")


_OPERATIONS = {"iter", "next", "getitem", "str", "repr"}
_OPEN = (types.SimpleNamespace, io.StringIO, io.BytesIO)


def dispatch(message):
    return bridge.answer(message, _perform)
