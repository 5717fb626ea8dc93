"""Writes what the guest knows of the standard library: `stdlib.bin`, code of every module that needs no file system, and
`frozen.h`, the few modules that CPython needs before the importer of boot.py can run.

    python3.13 stdlib.py LIB CONFIG.C FOLDER

`stdlib.bin`: the length of the index (4 bytes), the marshalled index {name: (is_package, offset, length)}, the modules' code.
Also `modules.txt`: the names of all top-level modules that a guest can import, with those that CONFIG.C says are built in.
"""

import marshal
import os
import re
import struct
import sys

SKIP = {
    "test", "idlelib", "tkinter", "ensurepip", "lib2to3", "pydoc_data", "turtledemo", "turtle", "venv", "site-packages",
    "__pycache__", "curses", "dbm", "sqlite3", "ctypes", "multiprocessing", "msilib", "wsgiref", "__phello__", "asyncio_test",
    "_pyrepl", "pathlib_test", "_ios_support", "_android_support", "_apple_support",
}
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


def code_of(name, path):
    with open(path, encoding="utf-8") as file:
        return marshal.dumps(compile(file.read(), f"<frozen {name}>", "exec", dont_inherit=True, optimize=2))


def main(lib, config, folder):
    index, codes, frozen = {}, [], []
    offset = 0
    for name, package, path in modules(lib):
        code = code_of(name, path)
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
        file.write("\n".join(sorted({name.split(".")[0] for name in index} | built_in)) + "\n")
    with open(os.path.join(folder, "frozen.h"), "w") as file:
        for i, (_, _, code) in enumerate(frozen):
            file.write(f"static const unsigned char frozen_{i}[] = {{{','.join(map(str, code))}}};\n")
        file.write("static const struct _frozen frozen_modules[] = {\n")
        for i, (name, package, code) in enumerate(frozen):
            file.write(f'    {{"{name}", frozen_{i}, {len(code)}, {int(package)}}},\n')
        file.write("    {0}};\n")


main(*sys.argv[1:])
