"""What crosses between the two instances, on both sides: data by value, everything else as a handle.

A side that owns an object hands out its number; the other side holds a `Handle` that sends what is done to it back to the
owner. On the side of the tests, a handle never forwards a comparison, truth, hash or length: those stay with the instance that
asks. The solution's side may ask them of objects of the tests, whose answers are honest.

Requests are `(op, number, args, kwargs)`. Answers open with R (a result), M (a result, and arguments that were changed) or
E (an exception, by the name of its builtin class). Nothing that comes in is trusted to be well formed.
"""

import array
import builtins
import collections
import datetime
import decimal
import enum
import fractions
import functools
import importlib
import inspect
import io
import itertools
import math
import operator
import re
import statistics
import string
import sys
import types
import typing
import _rlvr
from _rlvr_boot import _index
from _rlvr import decode, encode, exchange

CALL, GETATTR, SETATTR, OPERATE, DESCRIBE = range(5)
CAPTURED = 8  # added to an operation: what it prints goes to whoever asks

trusting = False  # whether the other side is that of the tests
asked = 0         # what was asked of the other side
broken = []       # failed assertions of ours that the other side has seen, and may have swallowed


def trust(other):
    """Says whether the other side is that of the tests."""
    global trusting
    trusting = other
    _rlvr.trust(other)


# ---- builtin functions and types, which cross by name ----

_PRIVATE = {"eval", "exec", "compile", "open", "input", "print", "globals", "locals", "vars", "dir", "getattr", "setattr",
            "delattr", "breakpoint", "help", "exit", "quit", "__import__", "__build_class__", "copyright", "credits", "license"}
by_name = {}
for _module in (builtins, collections, datetime, decimal, fractions, functools, itertools, math, operator, re, statistics,
                string, types):
    for _name, _object in vars(_module).items():
        if _module is builtins and _name in _PRIVATE or _name.startswith("_"):
            continue
        if isinstance(_object, (type, types.BuiltinFunctionType, types.FunctionType)) or _object is NotImplemented:
            by_name.setdefault(f"{_module.__name__}.{_name}", _object)
name_of = {}
for _name, _object in by_name.items():
    name_of.setdefault(id(_object), _name)
by_name["types.NoneType"] = type(None)
for _name in typing.__all__:
    by_name[f"typing.{_name}"] = getattr(typing, _name)
    name_of.setdefault(id(by_name[f"typing.{_name}"]), f"typing.{_name}")

EXCEPTIONS = {n: c for n, c in vars(builtins).items() if isinstance(c, type) and issubclass(c, BaseException)}

# ---- handles ----

owned = []       # objects that were handed out, by number
numbers = {}     # id -> number
handles = {}     # number of the other side -> Handle
mirrors = {}     # names of exception classes of the other side -> classes of ours

CALLABLE, ITERATOR, CLASS, EXCEPTION = 1, 2, 4, 8


class Abandoned(BaseException):
    """What no `except` of a test may take for its own: the other side raised SystemExit or the like, or gave no proper answer."""


_new = object.__new__
_set = object.__setattr__
_get = object.__getattribute__
_KEPT = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__bool__", "__len__", "__class__",
         "__del__", "__reduce__", "__reduce_ex__", "__getstate__", "__deepcopy__", "__copy__", "__length_hint__",
         "__instancecheck__", "__subclasscheck__", "__set_name__", "__mro_entries__"}


class Handle:  # without a docstring: that of its object is asked for
    __slots__ = ("_number", "_flags", "_label", "_made", "__weakref__")

    def __getattr__(self, name):
        if name in _KEPT:
            raise AttributeError(name)
        if name == "__signature__":
            return _signature_of(self)
        return send(GETATTR, _get(self, "_number"), (name,))

    def __setattr__(self, name, value):
        send(SETATTR, _get(self, "_number"), (name, value))

    def __delattr__(self, name):
        send(OPERATE, _get(self, "_number"), ("delattr", name))

    def __bool__(self):
        if trusting:
            return operate(self, "bool") is True
        # true, as any object whose class says nothing else; what a class of the solution says is not asked
        if _get(self, "_flags") & _OWN_TRUTH:
            raise TypeError(f"whether {_get(self, '_label')} is true is not asked of the solution")
        return True

    def __instancecheck__(self, other):
        return type(other) in _CLASSES and operate(self, "isinstance", other) is True

    def __repr__(self):
        return operate(self, "repr")

    def __str__(self):
        return operate(self, "str")

    def __format__(self, spec):
        return format(operate(self, "str"), spec)


_CLASSES = {Handle}


def operate(handle, name, *args):
    return send(OPERATE, _get(handle, "_number"), (name, *args))


def _forward(name):
    def method(self, *args):
        return send(OPERATE, _get(self, "_number"), (name, *args))

    return method


def _arithmetic(name, reflected):
    """Between two objects of the other side only: the other operand might be the expected result."""

    def method(self, other):
        if type(other) not in _CLASSES:
            return NotImplemented
        left, right = (other, self) if reflected else (self, other)
        return send(OPERATE, _get(left, "_number"), (name, right))

    return method


def _contains(self, item):
    """The owner is asked about an item only where the item is its own, or where the tests have made the container by the name of
    its class: a result that says what it contains would be asked about what was expected."""
    if trusting or type(item) in _CLASSES or _get(self, "_made") == _OBJECT:
        return operate(self, "contains", item) is True
    return any(item is own or item == own for own in self)


def _exit(self, kind, error, traceback):
    """A failed test leaves a `with` of the other side, which has no say in it and does not see it."""
    if error is None or isinstance(error, Exception) and not isinstance(error, AssertionError):
        return operate(self, "exit", error)
    try:
        operate(self, "exit", None)
    except BaseException:
        pass
    return False


def _call(self, *args, **kwargs):
    result = send(CALL, _get(self, "_number"), args, kwargs)
    if _get(self, "_made") == _CLASS and type(result) in _CLASSES:
        _set(result, "_made", _OBJECT)
    return result


_CLASS, _OBJECT = 1, 2


def name_class(handle):
    """Notes that the tests name this class: what it makes is of their making."""
    if type(handle) in _CLASSES:
        _set(handle, "_made", _CLASS)


def _resume(method):
    """`send` and the like of a generator, whose end is a StopIteration that is meant."""

    def resume(self, *args):
        return send(CALL, _get(send(GETATTR, _get(self, "_number"), (method,)), "_number"), args, None, True)

    return resume


def _parameters(obj):
    return [(p.name, int(p.kind), p.default is not p.empty, None if p.default is p.empty else p.default)
            for p in inspect.signature(obj).parameters.values()]


def _signature_of(handle):
    try:
        return inspect.Signature([
            inspect.Parameter(name, list(inspect._ParameterKind)[kind], default=default if has else inspect.Parameter.empty)
            for name, kind, has, default in operate(handle, "signature")
        ])
    except Exception:
        raise AttributeError("__signature__") from None


OPERATIONS = {
    "str": str, "repr": repr, "bool": bool, "len": len, "next": next, "contains": operator.contains, "signature": _parameters,
    "isinstance": lambda cls, o: isinstance(o, cls), "delattr": delattr, "enter": lambda o: type(o).__enter__(o),
    "exit": lambda o, e: type(o).__exit__(o, *((None, None, None) if e is None else (type(e), e, e.__traceback__))),
}
_methods = {"__contains__": _contains, "__exit__": _exit, "__enter__": _forward("enter")}
for _name in ("iter", "reversed", "abs", "int", "float", "complex", "round"):
    OPERATIONS[_name] = getattr(builtins, _name)
    _methods[f"__{_name}__"] = _forward(_name)
for _name in ("trunc", "floor", "ceil"):
    OPERATIONS[_name] = getattr(math, _name)
    _methods[f"__{_name}__"] = _forward(_name)
for _name in ("getitem", "setitem", "delitem", "neg", "pos", "invert", "index"):
    OPERATIONS[_name] = getattr(operator, _name)
    _methods[f"__{_name}__"] = _forward(_name)
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift", "matmul"):
    OPERATIONS[_name] = getattr(operator, f"__{_name}__")
    OPERATIONS[f"i{_name}"] = getattr(operator, f"__i{_name}__")
    _methods[f"__{_name}__"] = _arithmetic(_name, False)
    _methods[f"__r{_name}__"] = _arithmetic(_name, True)
    _methods[f"__i{_name}__"] = _arithmetic(f"i{_name}", False)
_FORWARDED = tuple(_methods)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    OPERATIONS[_name] = getattr(operator, _name)
    _methods[f"__{_name}__"] = _forward(_name)
_methods["__len__"] = _forward("len")
_methods["__bool__"] = Handle.__bool__
_TOLD = tuple(_methods)  # what is told of an object; only the solution's side may use those after _FORWARDED
_OWN_TRUTH = sum(16 << _TOLD.index(name) for name in ("__bool__", "__len__"))

_masks = {}


def _mask(cls):
    """Which of the methods that are told of an object its class has."""
    mask = _masks.get(cls)
    if mask is None:
        bodies = [vars(c) for c in cls.__mro__ if c is not object]
        mask = _masks[cls] = sum(1 << i for i, name in enumerate(_TOLD) if any(body.get(name) is not None for body in bodies))
    return mask


_handle_classes = {}


def _handle_class(flags, kind):
    """The class of handles of objects of such a class: with its name, and those of its methods that are forwarded."""
    cls = _handle_classes.get((flags, kind, trusting))
    if cls is None:
        body = {"__slots__": (), "__doc__": property(lambda self: send(GETATTR, _get(self, "_number"), ("__doc__",)))}
        for i, name in enumerate(_TOLD if trusting else _FORWARDED):
            if flags >> 4 + i & 1:
                body[name] = _methods[name]
        if flags & CALLABLE:
            body["__call__"] = _call
        if flags & ITERATOR:
            body.update(__iter__=lambda self: self, __next__=_forward("next"))
            body.update((name, _resume(name)) for name in ("send", "throw"))
        body["__hash__"] = object.__hash__
        cls = _handle_classes[flags, kind, trusting] = type(kind if kind.isidentifier() else "Handle", (Handle,), body)
        _CLASSES.add(cls)
    return cls


def hand_out(obj):
    """The number under which the other side knows an object of ours."""
    number = numbers.get(id(obj))
    if number is None:
        number = numbers[id(obj)] = len(owned)
        owned.append(obj)
    return number


def take_handle(number, flags, kind, name):
    handle = handles.get(number)
    if handle is None:
        handle = _new(_handle_class(flags, kind))
        _set(handle, "_number", number)
        _set(handle, "_flags", flags)
        _set(handle, "_label", f"{kind} {name}" if name else kind)
        _set(handle, "_made", 0)
        handles[number] = handle
    return handle


# ---- rare values ----

_named = {}


def named(name, fields):
    """The class of named tuples with these fields: the tests' own if they have one of this name."""
    own = _rlvr.names.get(name)
    if isinstance(own, type) and issubclass(own, tuple) and getattr(own, "_fields", None) == fields:
        return own
    cls = _named.get((name, fields))
    if cls is None:
        cls = _named[name, fields] = collections.namedtuple(name, fields, rename=True)
    return cls


def _date(kind, *args):
    return getattr(datetime, kind)(*args)


def _clock(t):
    return (t.hour, t.minute, t.second, t.microsecond, *(() if t.tzinfo is None else (t.tzinfo,)))


def _path(kind, text):
    if kind in ("PurePosixPath", "PosixPath", "PureWindowsPath"):
        return getattr(importlib.import_module("pathlib"), kind)(text)
    raise ValueError("no such path")


def _module_of(name):
    """A module of the other side stands for this side's own of that name."""
    if type(name) is str and (name in sys.builtin_module_names or name in _index):
        return importlib.import_module(name)
    raise ValueError("no such module")


_EXPORTERS = {
    decimal.Decimal: lambda o: (ord("d"), (str(o),)),
    fractions.Fraction: lambda o: (ord("q"), (o.numerator, o.denominator)),
    range: lambda o: (ord("r"), (o.start, o.stop, o.step)),
    slice: lambda o: (ord("l"), (o.start, o.stop, o.step)),
    datetime.timedelta: lambda o: (ord("t"), ("timedelta", o.days, o.seconds, o.microseconds)),
    datetime.date: lambda o: (ord("t"), ("date", o.year, o.month, o.day)),
    datetime.timezone: lambda o: (ord("z"), (o.utcoffset(None), o.tzname(None))),
    array.array: lambda o: (ord("A"), (o.typecode, o.tobytes())),
    re.Pattern: lambda o: (ord("R"), (o.pattern, o.flags)),
    type({}.keys()): lambda o: (ord("K"), tuple(o)),
    type({}.values()): lambda o: (ord("V"), tuple(o)),
    type({}.items()): lambda o: (ord("I"), tuple(o)),
}
_IMPORTERS = {
    ord("d"): lambda text: decimal.Decimal(text),
    ord("q"): lambda n, d: fractions.Fraction(n, d),
    ord("r"): range,
    ord("l"): slice,
    ord("t"): lambda kind, *args: _date(kind, *args) if kind in ("timedelta", "date", "datetime", "time") else None,
    ord("z"): lambda offset, name: datetime.timezone(offset, name) if offset or name != "UTC" else datetime.timezone.utc,
    ord("A"): array.array,
    ord("R"): re.compile,
    ord("P"): _path,
    ord("x"): lambda *parts: _rebuilt(*parts),
    ord("m"): _module_of,
    ord("="): lambda value: value,
    ord("K"): lambda *keys: dict.fromkeys(keys).keys(),
    ord("V"): lambda *values: dict(enumerate(values)).values(),
    ord("I"): lambda *items: dict(items).items(),
    ord("g"): lambda name: by_name[name],
    ord("h"): take_handle,
    ord("H"): lambda number: owned[number] if number >= 0 else None,
    ord("c"): lambda name: _rlvr.names[name],
    ord("e"): lambda cls, member: _rlvr.names[cls][member],
}


def export(obj):
    """Tag and payload of an object that is no plain data."""
    cls = type(obj)
    if cls in _CLASSES:
        return ord("H"), (_get(obj, "_number"),)
    name = name_of.get(id(obj))
    if name is not None and by_name[name] is obj:
        return ord("g"), (name,)
    exporter = _EXPORTERS.get(cls)
    if exporter is not None:
        return exporter(obj)
    if cls is datetime.datetime and type(obj.tzinfo) in (datetime.timezone, type(None)):
        return ord("t"), ("datetime", obj.year, obj.month, obj.day, *_clock(obj))
    if cls is datetime.time and type(obj.tzinfo) in (datetime.timezone, type(None)):
        return ord("t"), ("time", *_clock(obj))
    if isinstance(obj, type) and obj in _rlvr.classes:
        return ord("c"), (_rlvr.classes[obj],)
    if isinstance(obj, enum.Enum) and cls.__name__ in _rlvr.names:
        return ord("e"), (cls.__name__, obj.name)
    if cls is types.ModuleType:
        return ord("m"), (str(obj.__name__),)
    if isinstance(obj, BaseException):
        return ord("x"), _parts(obj)
    if cls.__module__ == "pathlib._local":
        return ord("P"), (cls.__name__, str(obj))
    for plain, value in _PLAIN:
        if isinstance(obj, plain):
            return ord("="), (value(obj),)
    return ord("h"), describe(obj)


# a subclass of a plain type crosses as what it is worth
_PLAIN = ((int, int.__int__), (float, float.__float__), (str, str.__str__), (bytes, lambda o: bytes.__getitem__(o, slice(None))))


def import_(tag, payload):
    return _IMPORTERS[tag](*payload)


def describe(obj):
    """Number, flags, class and name of an object that crosses as a handle."""
    cls = type(obj)
    flags, name = _mask(cls) << 4, ""
    if callable(obj):
        flags |= CALLABLE
        name = getattr(obj, "__name__", "")
    elif hasattr(cls, "__next__"):
        flags |= ITERATOR
    if isinstance(obj, type):
        flags |= CLASS
        if hasattr(obj, "__class_getitem__"):
            flags |= 16 << _TOLD.index("__getitem__")
        if issubclass(obj, BaseException):
            flags |= EXCEPTION
    return hand_out(obj), flags, str(cls.__name__), name if type(name) is str else ""


_rlvr.configure(export, import_, named, collections.deque, collections.Counter, collections.defaultdict,
                collections.OrderedDict)


# ---- classes that cross by value ----


def begin():
    """Before anything crosses: a class of the standard library that is nothing but its attributes, and what is told of objects of
    common classes."""
    _rlvr.classes[types.SimpleNamespace] = "types.SimpleNamespace"
    _rlvr.names["types.SimpleNamespace"] = types.SimpleNamespace
    for cls in (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.GeneratorType):
        _mask(cls)


def is_plain(cls):
    """Whether instances are nothing but their attributes."""
    return (isinstance(cls, type) and not issubclass(cls, (BaseException, enum.Enum))
            and all(c is object or c.__flags__ & (1 << 9) for c in cls.__mro__)
            and not any("__slots__" in vars(c) for c in cls.__mro__[:-1]))


def cross_by_value(name, cls):
    """From now on, instances of this class cross as their attributes and become instances of the class of this name."""
    if is_plain(cls):
        _rlvr.classes[cls] = name
        _rlvr.names[name] = cls
    elif isinstance(cls, type) and issubclass(cls, (enum.Enum, tuple)):
        _rlvr.names[name] = cls


# ---- arguments that were changed ----


def _shallow(obj):
    cls = type(obj)
    if cls in (list, dict, set, bytearray):
        return cls(obj)
    if cls in (collections.deque, collections.Counter, collections.defaultdict, collections.OrderedDict):
        return list(obj) if cls is collections.deque else dict(obj)
    if cls in _rlvr.classes:
        return dict(obj.__dict__)
    return None


def _restore(obj, content):
    """Makes an object of ours what the other side has made of it."""
    cls = type(obj)
    if cls is list and type(content) is list or cls is bytearray and type(content) is bytearray:
        obj[:] = content
    elif cls in (set, collections.deque) and type(content) is (set if cls is set else list):
        obj.clear()
        obj.update(content) if cls is set else obj.extend(content)
    elif isinstance(obj, dict) and type(content) is dict:
        dict.clear(obj)
        for key, value in content.items():
            cls.__setitem__(obj, key, value)
    elif cls in _rlvr.classes and type(content) is dict:
        own = obj.__dict__
        own.clear()
        own.update((key, value) for key, value in content.items() if settable(cls, key))


def settable(cls, name):
    """Whether the other side may set an attribute of this name: none that would hide what the class itself defines."""
    if type(name) is not str or name.startswith("__") and name.endswith("__"):
        return False
    own = next((vars(c)[name] for c in cls.__mro__ if name in vars(c)), None)
    return trusting or not (callable(own) or hasattr(type(own), "__get__"))


_MUTABLE = {list, dict, set, bytearray, collections.deque, collections.Counter, collections.defaultdict,
            collections.OrderedDict}


def _changes(message, roots, objects):
    """Every mutable container of a request with what it holds now, if any differs from what came."""
    mutable = [i for i, o in enumerate(objects) if type(o) in _MUTABLE or type(o) in _rlvr.classes]
    if not mutable or encode(roots)[0] == message:
        return None
    return [(i, _shallow(objects[i])) for i in mutable]


# ---- requests and answers ----


def send(op, number, args=(), kwargs=None, resumes=False):
    """Does something to an object of the other side. `resumes`: a StopIteration is an answer."""
    global asked
    captured = sys.stdout is not sys.__stdout__ and not trusting
    message, objects = encode((op | CAPTURED if captured else op, number, args, kwargs))
    asked += op != DESCRIBE
    answer = exchange(message)
    try:
        roots, kind = decode(answer, objects, 1)[0], answer[:1]
        if captured:
            *roots, printed = roots
            sys.stdout.write(printed)
        if kind == b"R":
            (result,) = roots
            return result
        if kind == b"M":
            result, changes = roots
            for index, content in changes:
                _restore(objects[index], content)
            return result
        name, _, _, text, _ = roots
        error = _rebuilt(*roots)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        if trusting:
            raise
        raise Abandoned(f"the program's answer makes no sense: {error}") from None
    if not trusting:
        # an end of an iteration is one only where an iteration was asked: elsewhere it would end one of the tests' own
        resumes = resumes or op == OPERATE and args[0] == "next"
        if not isinstance(error, Exception) or isinstance(error, (StopIteration, StopAsyncIteration)) and not resumes:
            raise Abandoned(f"{name}: {text}" if text else str(name))
        error.__dict__[_THEIRS] = True
    raise error


_THEIRS = "_of_the_solution"


def is_theirs(error):
    """Whether an exception was raised by the other side."""
    return _THEIRS in error.__dict__


def _parts(error):
    """What crosses of an exception: its builtin class, arguments, own classes, text, and its attributes that are plain."""
    mro = type(error).__mro__
    name = next((c.__name__ for c in mro if EXCEPTIONS.get(c.__name__) is c), "Exception")
    names = tuple(c.__name__ for c in mro if EXCEPTIONS.get(c.__name__) is not c and c is not object)
    try:
        text = str(error)[:400]
    except Exception:
        text = ""
    plain = (type(None), bool, int, float, str, bytes)
    args = tuple(a if type(a) in plain else text for a in error.args[:8])
    own = tuple((k, v) for k, v in error.__dict__.items() if type(k) is str and type(v) in plain and k != _THEIRS)
    return name, args, names[:16], text, own[:16]


def _rebuilt(name, args, names, text, own):
    """An exception of ours for one of the other side: of our class of one of its names, or of its builtin class."""
    cls = next((mirrors[n] for n in names if n in mirrors), None) or EXCEPTIONS.get(name, Exception)
    try:
        error = cls(*args)
    except Exception:
        error = cls.__new__(cls, *args) if names else next(c for c in cls.__mro__ if c.__init__ is not cls.__init__)(text)
    error.__dict__.update((k, v) for k, v in own if settable(cls, k))
    if names and not trusting and names[0] not in mirrors:
        error.add_note(f"{names[0]} of the solution")
    return error


def failure(error, printed=()):
    """An answer that says what was raised."""
    try:
        return encode((*_parts(error), *printed), None, 69)[0]
    except Exception:
        name = type(error).__name__ if EXCEPTIONS.get(type(error).__name__) is type(error) else "Exception"
        return encode((name, (), (), "", (), *printed), None, 69)[0]


_depth = 0
_FRAMES = 8  # of ours, for each call that crosses: they do not count as the program's own recursion


def answer(message, perform):
    """Answers a request; `perform(op, number, args, kwargs)` does what it asks."""
    global _depth
    _depth += 1
    if _depth <= 8:
        reply = _answer(message, perform)
    else:
        sys.setrecursionlimit(sys.getrecursionlimit() + _FRAMES)
        reply = _answer(message, perform)
        sys.setrecursionlimit(sys.getrecursionlimit() - _FRAMES)
    _depth -= 1
    return reply


def _answer(message, perform):
    printed = ()
    try:
        roots, objects = decode(message)
        op, number, args, kwargs = roots
        if type(op) is not int or type(number) is not int or type(args) is not tuple or type(kwargs) not in (dict, type(None)):
            raise ValueError("bad request")
        if op & CAPTURED and trusting:
            kept, buffer = sys.stdout, io.StringIO()
            sys.stdout = buffer
            try:
                result = perform(op & ~CAPTURED, number, args, kwargs or {})
            finally:
                sys.stdout, printed = kept, (buffer.getvalue(),)
        else:
            result = perform(op, number, args, kwargs or {})
        changes = _changes(message, roots, objects)
        if changes is None:
            return encode((result, *printed), objects, 82)[0]
        return encode((result, changes, *printed), objects, 77)[0]
    except BaseException as error:
        if not trusting and isinstance(error, AssertionError) and not is_theirs(error):
            broken.append(error)
            error = AssertionError()  # what was expected stays here
        return failure(error, printed)
