"""Which parts of a row's tests are cases: those that assert something, each judged on its own.

A case is a top-level statement that asserts or raises, itself or through a function of the tests, with the statements before it that
do neither; a `test...` function that the tests do not call themselves; or a `test...` method of a class of tests.
"""

import ast

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)


class Unfit(Exception):
    """Why no solution can be judged by a row's tests."""


class Case:
    """Statements to be run, and then perhaps a function `name` or a method of the class `owner`."""

    def __init__(self, body, source="", name="", owner="", unittest=False):
        self.body, self.source, self.name, self.owner, self.unittest = body, source, name, owner, unittest


def without_imports(source):
    """The tests, where `from solution import f`, as files of tests have it, stands for a name that is the solution's anyway."""
    if "solution" not in source:
        return source
    lines = source.encode().split(b"\n")
    imports = [n for n in ast.walk(ast.parse(source, "<tests>")) if isinstance(n, ast.ImportFrom) and n.module == "solution"]
    for node in sorted(imports, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        renamed = "; ".join(f"{a.asname} = {a.name}" for a in node.names if a.asname) or "pass"
        first, last = node.lineno - 1, node.end_lineno - 1
        after = lines[last][node.end_col_offset :]
        lines[first] = lines[first][: node.col_offset] + renamed.encode() + after
        lines[first + 1 : last + 1] = [b""] * (last - first)
    return b"\n".join(lines).decode()


def split(source, setup):
    """The cases of a program of tests.

    Raises Unfit where nothing is asserted, or where a test function needs arguments that nobody gives.
    """
    tree = ast.parse(source, "<tests>")
    asserts = _Asserts([tree, ast.parse(setup)])
    lines = source.split("\n")
    cases, before = [], []
    for node in tree.body:
        if _starts_a_runner(node):
            continue
        before.append(node)
        if not isinstance(node, _DEFINITIONS) and asserts.holds(node):
            cases.append(Case(before, "\n".join(lines[node.lineno - 1 : node.end_lineno]).strip()))
            before = []
    functions = _test_functions(tree, asserts)
    if functions:
        functions[0].body, before = before, []
    cases += functions
    if not cases:
        raise Unfit("nothing is asserted: an assert, a test function or class, or a call of a function that asserts is right")
    if before:
        # what comes after the last assert must not fail either
        cases[-1].body = cases[-1].body + before
    return cases


class _Asserts:
    """Knows which functions of the tests assert, directly or through others."""

    def __init__(self, trees):
        functions = [n for tree in trees for n in ast.walk(tree) if isinstance(n, _FUNCTIONS)]
        self.names, self.handed_on, known = set(), set(), -1
        while len(self.names) > known:
            known = len(self.names)
            self.names.update(f.name for f in functions if any(self.holds(s) for s in f.body))
        called = {id(n.func) for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Call)}
        self.handed_on = {n.id for tree in trees for n in ast.walk(tree)
                          if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in called} & self.names

    def holds(self, node):
        """Whether a statement asserts when it is run."""
        if isinstance(node, (ast.Assert, ast.Raise)):
            return True
        if isinstance(node, ast.Call) and self._called(node.func):
            return True
        return any(self.holds(child) for child in ast.iter_child_nodes(node) if not isinstance(child, _DEFINITIONS))

    def _called(self, func):
        name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
        # a function that asserts may be called by another name, once it has been handed on
        return name in self.names or name.startswith("assert") or isinstance(func, ast.Name) and bool(self.handed_on)


def _starts_a_runner(node):
    """`unittest.main()` and the like, perhaps where `__name__` is `"__main__"`: the test functions are run one by one."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and getattr(node.test.left, "id", "") == "__name__":
        return any(_starts_a_runner(statement) for statement in node.body)
    call = node.value if isinstance(node, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        return func.attr == "main" and func.value.id in ("unittest", "pytest")
    return False


def _test_functions(tree, asserts):
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
    cases = []
    for node in tree.body:
        if isinstance(node, _FUNCTIONS) and node.name.startswith("test") and node.name not in used and node.name in asserts.names:
            _check_arguments(node, 0)
            cases.append(Case([], node.name, node.name))
        elif isinstance(node, ast.ClassDef) and (_is_unittest(node, classes) or node.name.startswith("Test")):
            for method in _methods(node, classes):
                if method.name.startswith("test") and method.name in asserts.names:
                    _check_arguments(method, 1)
                    case = Case([], f"{node.name}.{method.name}", method.name, node.name, _is_unittest(node, classes))
                    cases.append(case)
    return cases


def _bases(node, classes):
    names = [b.id if isinstance(b, ast.Name) else b.attr if isinstance(b, ast.Attribute) else "" for b in node.bases]
    return names, [classes[n] for n in names if n in classes and classes[n] is not node and classes[n].lineno < node.lineno]


def _is_unittest(node, classes):
    names, own = _bases(node, classes)
    return any(n.endswith("TestCase") for n in names) or any(_is_unittest(base, classes) for base in own)


def _methods(node, classes):
    """Methods by name, those of bases in the tests first."""
    methods = {m.name: m for base in _bases(node, classes)[1] for m in _methods(base, classes)}
    methods.update({m.name: m for m in node.body if isinstance(m, _FUNCTIONS)})
    return list(methods.values())


def _check_arguments(function, given):
    if isinstance(function, ast.AsyncFunctionDef):
        raise Unfit(f"{function.name} is async, which is not run; a plain function is right")
    a = function.args
    needed = len(a.posonlyargs) + len(a.args) - len(a.defaults) + sum(d is None for d in a.kw_defaults)
    if needed > given and not function.decorator_list:
        raise Unfit(f"{function.name} takes arguments that nothing gives; a test function without them is right")
