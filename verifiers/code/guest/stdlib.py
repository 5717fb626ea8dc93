"""Writes what the guest knows of the standard library: `stdlib.bin`, code of every module that needs no file system, and
`frozen.h`, the few modules that CPython needs before the importer of boot.py can run.

    python3.13 stdlib.py LIB CONFIG.C FOLDER

`stdlib.bin`: the length of the index (4 bytes), the marshalled index {name: (is_package, offset, length)}, the modules' code.
Modules of `stubs` stand for C modules that the guest lacks. Also `modules.txt`: the names of all modules that a guest can import,
with those that CONFIG.C says are built in. A module that imports one that is not there, outside of a `try`, is left out.
"""

import ast
import marshal
import os
import re
import struct
import sys

SKIP = {
    "test", "idlelib", "tkinter", "ensurepip", "lib2to3", "pydoc_data", "turtledemo", "turtle", "venv", "site-packages",
    "__pycache__", "curses", "dbm", "sqlite3", "ctypes", "multiprocessing", "msilib", "wsgiref", "__phello__", "asyncio_test",
    "_pyrepl", "pathlib_test", "_ios_support", "_android_support", "_apple_support", "mbcs", "oem", "expatreader",
}
# put into sys.modules without a file of their own
MADE = {"collections.abc", "os.path", "__main__", "_frozen_importlib", "_frozen_importlib_external"}
FROZEN = ["encodings", "encodings.aliases", "encodings.utf_8"]


def modules(folder, prefix=""):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        stem, extension = os.path.splitext(name)
        if name in SKIP or stem in SKIP:
            continue
        if extension == ".py":
            if stem == "__init__":
                if prefix:
                    yield prefix[:-1], True, path
            else:
                yield prefix + stem, False, path
        elif not extension and os.path.exists(os.path.join(path, "__init__.py")):
            yield from modules(path, prefix + name + ".")


def tree_of(path):
    with open(path, encoding="utf-8") as file:
        return ast.parse(file.read())


def imported(tree, package):
    """Modules that a module may not do without: imported by its top level, in no branch and in no `try`. Those of `from a import b`
    that are no modules are among them."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base += [node.module] if node.module else []
            yield ".".join(base)
            yield from (".".join([*base, alias.name]) for alias in node.names)


def importable(needs, built_in):
    """The modules whose every need is there, parents included."""
    known = set(needs) | built_in | MADE
    while True:
        lost = {
            name for name in known & set(needs)
            if any(n not in known and (n in needs or n.partition(".")[0] not in known) for n in needs[name]) or "." in name and name.rpartition(".")[0] not in known
        }
        if not lost:
            return known
        known -= lost


def main(lib, config, folder):
    index, codes, frozen, needs = {}, [], [], {}
    offset = 0
    stubs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "stubs")
    for name, package, path in [*modules(lib), *modules(stubs)]:
        tree = tree_of(path)
        needs[name] = set(imported(tree, name if package else name.rpartition(".")[0]))
        code = marshal.dumps(compile(tree, f"<frozen {name}>", "exec", dont_inherit=True, optimize=2))
        if name in FROZEN:
            frozen.append((name, package, code))
        index[name] = (package, offset, len(code))
        codes.append(code)
        offset += len(code)
    head = marshal.dumps(index)
    with open(os.path.join(folder, "stdlib.bin"), "wb") as file:
        file.write(struct.pack("<I", len(head)) + head + b"".join(codes))
    with open(config) as file:
        built_in = set(re.findall(r'^\s*{"(\w+)", ', file.read(), re.M))
    with open(os.path.join(folder, "modules.txt"), "w") as file:
        file.write("\n".join(sorted(importable(needs, built_in))) + "\n")
    with open(os.path.join(folder, "frozen.h"), "w") as file:
        for i, (_, _, code) in enumerate(frozen):
            file.write(f"static const unsigned char frozen_{i}[] = {{{','.join(map(str, code))}}};\n")
        file.write("static const struct _frozen frozen_modules[] = {\n")
        for i, (name, package, code) in enumerate(frozen):
            file.write(f'    {{"{name}", frozen_{i}, {len(code)}, {int(package)}}},\n')
        file.write("    {0}};\n")


main(*sys.argv[1:])
