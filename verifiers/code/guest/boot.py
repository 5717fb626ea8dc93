"""Runs before the snapshot: an importer over the standard library in memory, and the modules that programs use most."""

import sys
import marshal
import _rlvr
from _frozen_importlib import BuiltinImporter, FrozenImporter, ModuleSpec

_image = _rlvr.stdlib
_head = 4 + int.from_bytes(_image[:4], "little")
_index = marshal.loads(_image[4:_head])
missing = set()  # modules that were looked for and are not there


class MemoryImporter:
    """Imports the modules of the standard library that are not built in."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        entry = _index.get(name)
        if entry is None:
            missing.add(name)
        return entry and ModuleSpec(name, cls, is_package=entry[0])

    @classmethod
    def create_module(cls, spec):
        return None

    @classmethod
    def exec_module(cls, module):
        _, offset, length = _index[module.__spec__.name]
        exec(marshal.loads(_image[_head + offset : _head + offset + length]), module.__dict__)


sys.meta_path[:] = [BuiltinImporter, FrozenImporter, MemoryImporter]
sys.path[:] = []
sys.path_hooks[:] = []
sys.path_importer_cache.clear()

import abc, array, ast, bisect, calendar, cmath, collections, collections.abc, contextlib, copy, copyreg, dataclasses
import datetime, decimal, enum, fractions, functools, gc, hashlib, heapq, inspect, io, itertools, json, keyword
import linecache, math, numbers, operator, os, pprint, queue, random, re, statistics, string, struct, textwrap, threading
import time, tokenize, traceback, types, typing, warnings, weakref
import encodings.ascii, encodings.latin_1, encodings.utf_8, _strptime
