"""Plain functions on their way to a worker: by name where they can be imported, by value (cloudpickle) where not.

The function travels as a blob in front of the call's other arguments; the blob is made and read here. At both ends it
is kept for the next call only while the function cannot mean anything else than it did.
"""

from __future__ import annotations

import dis
import functools
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

from millpond.labels import made_label
from millpond.wire import mainglobals, sharing
from millpond.wire.codec import refuse
from millpond.wire.importable import is_importable
from millpond.wire.mainglobals import MISSING, Arrived, is_of_main

KEPT_BY_PARENT = 256
KEPT_BY_WORKER = 64

# The first byte of a blob says what it is: what a name leads to, a function by value that may be used for equal blobs
# again, or what has to be made anew each time.
_NAMED, _KEPT, _FRESH = b"n", b"k", b"f"
NAMED = _NAMED[0]

# What a blob depends on, compared by identity: globals (a namespace, a name, what it was), and functions' own parts.
_Watched = tuple[list[tuple[dict[str, Any], str, Any]], list[tuple[Any, Any, Any, Any]]]
_ATOMS = (int, float, complex, bool, str, bytes, type(None), type(...))

# By id: (function, blob, what must not have changed). The reference to the function keeps the id from being reused.
_blobs: dict[int, tuple[Any, bytes, _Watched | None]] = {}
_arrived: dict[bytes, Arrived] = {}  # by blob
_lock = threading.Lock()  # held while either is changed


def freeze_function(function: Callable[..., Any]) -> bytes:
    """The function as bytes for `thaw_function`; raises `CodecError` if nothing can carry it."""
    known = _blobs.get(id(function))
    if known is not None and known[0] is function and (known[2] is None or _is_unchanged(known[2])):
        return known[1]
    try:
        return _freeze(function)
    except BaseException as error:
        refuse("this function cannot be sent to a worker", error)


def thaw_function(blob: bytes) -> Any:
    """The function of a blob. Runs whatever the blob asks for: only for what the parent sends to its workers."""
    try:
        kind = blob[:1]
        if kind == _NAMED:
            return _thaw_named(blob)
        return _thaw_kept(blob) if kind == _KEPT else _thaw(blob)
    except BaseException as error:
        refuse("the worker cannot load this function", error)


def function_name(function: Any) -> str:
    """The qualified name that statistics and breakers know a function by; a partial has its function's."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        return made_label(f"{function.__module__}.{function.__qualname__}")
    except AttributeError:
        kind = type(function)
        return made_label(f"{kind.__module__}.{kind.__qualname__}")


def _thaw(blob: bytes) -> Any:
    return pickle.loads(memoryview(blob)[1:])


_thaw_named = functools.lru_cache(KEPT_BY_WORKER)(_thaw)


def _thaw_kept(blob: bytes) -> Any:
    known, here = _arrived.get(blob), mainglobals.here
    if known is not None and here is not None and here.renew(known):
        return known.function
    function, values = _thaw(blob)
    if here is not None and here.may_keep():
        _keep(_arrived, blob, Arrived(function, values), KEPT_BY_WORKER)
    return function


def _keep(kept: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    with _lock:
        kept.pop(key, None)
        if len(kept) >= limit:
            del kept[next(iter(kept))]
        kept[key] = value


def _freeze(function: Any) -> bytes:
    stream = _pickled_by_name(function)
    if stream is not None:
        if not _is_only_a_name(function):
            return _FRESH + stream
        blob, watched = _NAMED + stream, None
    else:
        from millpond.wire import byvalue

        watched = _watched(function)
        stream = byvalue.dumps(function, with_values=watched is not None)
        if watched is None:
            return sharing.leased(_FRESH + stream, getattr(stream, "lease", None))
        blob = _KEPT + stream
    _keep(_blobs, id(function), (function, blob, watched), KEPT_BY_PARENT)
    return blob


def _pickled_by_name(function: Any) -> bytes | None:
    """A plain pickle, if the other end can load it."""
    try:
        stream = sharing.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError):
        return None
    return stream if is_importable(stream) else None


def _is_only_a_name(function: Any) -> bool:
    """Whether its pickle is a name and nothing else; a partial or a bound method carries values that may change."""
    if isinstance(function, types.BuiltinFunctionType):
        return isinstance(function.__self__, types.ModuleType)
    return isinstance(function, types.FunctionType | type)


def _is_unchanged(watched: _Watched) -> bool:
    for scope, name, value in watched[0]:
        if scope.get(name, MISSING) is not value:
            return False
    for own, code, defaults, keywords in watched[1]:
        is_same = own.__code__ is code and own.__defaults__ is defaults and own.__kwdefaults__ is keywords
        if not is_same or own.__dict__:
            return False
    return True


def _watched(function: Any) -> _Watched | None:
    """On what a by-value pickle of the function depends, or `None` if that cannot be watched."""
    values: list[tuple[dict[str, Any], str, Any]] = []
    functions: dict[int, tuple[Any, Any, Any, Any]] = {}
    waiting = [function]
    while waiting:
        current = waiting.pop()
        if id(current) in functions:
            continue
        if not is_self_contained(current):
            return None
        code, scope, keywords = current.__code__, current.__globals__, current.__kwdefaults__
        if not is_of_main(current) and _assigns_globals(code):  # it has those of its pickle for its own
            return None
        functions[id(current)] = (current, code, current.__defaults__, keywords)
        keyword_only = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        values += [(keywords, name, keywords.get(name, MISSING)) for name in keyword_only if keywords]
        for name in global_names(code):
            value = scope.get(name, MISSING)
            if isinstance(value, types.FunctionType):
                if _pickled_by_name(value) is None:
                    waiting.append(value)
            elif not _is_constant(value):
                return None
            values.append((scope, name, value))
    return values, list(functions.values())


def is_self_contained(function: Any) -> bool:
    """A function without closure, attributes or mutable defaults: its code and its globals say everything."""
    if not isinstance(function, types.FunctionType) or function.__closure__ or function.__dict__:
        return False
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    return all(type(value) in _ATOMS for value in defaults)


def _is_constant(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        return sys.modules.get(value.__name__) is value
    return value is MISSING or type(value) in _ATOMS


@functools.lru_cache(1024)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """The globals that code and the code inside it refer to; in the body of a class any name may be one."""
    return tuple(dict.fromkeys(instruction.argval for instruction in _global_instructions(code)))


def _assigns_globals(code: types.CodeType) -> bool:
    return any(found.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") for found in _global_instructions(code))


def _global_instructions(code: types.CodeType) -> Iterator[dis.Instruction]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_NAME" or "GLOBAL" in instruction.opname:
            yield instruction
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_instructions(constant)
