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
from collections.abc import Callable
from typing import Any

from millpond.labels import made_label
from millpond.wire import sharing
from millpond.wire.codec import refuse

KEPT_BY_PARENT = 256
KEPT_BY_WORKER = 64

# The first byte of a blob says whether the worker may use the same function object for equal blobs.
_KEEP, _FRESH = b"k", b"f"

# A global the function refers to: (its namespace, its name, what it was), compared by identity.
_Watched = tuple[dict[str, Any], str, Any]
_UNDEFINED = object()
_ATOMS = (int, float, complex, bool, str, bytes, type(None), type(...))

# By id: (function, blob, what must not have changed). The reference to the function keeps the id from being reused.
_blobs: dict[int, tuple[Any, bytes, tuple[_Watched, ...]]] = {}
_blobs_lock = threading.Lock()


def freeze_function(function: Callable[..., Any]) -> bytes:
    """The function as bytes for `thaw_function`; raises `CodecError` if nothing can carry it."""
    known = _blobs.get(id(function))
    if known is not None and known[0] is function and (not known[2] or _is_unchanged(known[2])):
        return known[1]
    try:
        return _freeze(function)
    except BaseException as error:
        refuse("this function cannot be sent to a worker", error)


def thaw_function(blob: bytes) -> Callable[..., Any]:
    """The function of a blob. Runs whatever the blob asks for: only for what the parent sends to its workers."""
    try:
        return _thaw_kept(blob) if blob[:1] == _KEEP else _thaw(blob)
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


def _thaw(blob: bytes) -> Callable[..., Any]:
    function: Callable[..., Any] = pickle.loads(memoryview(blob)[1:])
    return function


_thaw_kept = functools.lru_cache(KEPT_BY_WORKER)(_thaw)


def _freeze(function: Any) -> bytes:
    stream = _pickled_by_name(function)
    if stream is None:
        from millpond.wire import byvalue

        stream = byvalue.dumps(function)
        watched = _watched(function)
    else:
        watched = () if _is_only_a_name(function) else None
    if watched is None:
        return sharing.leased(_FRESH + stream, getattr(stream, "lease", None))
    blob = _KEEP + stream
    _keep(function, blob, watched)
    return blob


def _keep(function: Any, blob: bytes, watched: tuple[_Watched, ...]) -> None:
    with _blobs_lock:
        _blobs.pop(id(function), None)
        if len(_blobs) >= KEPT_BY_PARENT:
            del _blobs[next(iter(_blobs))]
        _blobs[id(function)] = (function, blob, watched)


def _pickled_by_name(function: Any) -> bytes | None:
    """A plain pickle, if the other end can load it: what refers to `__main__` is another module there."""
    try:
        stream = sharing.dumps(function)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError):
        return None
    return None if b"__main__" in stream else stream


def _is_only_a_name(function: Any) -> bool:
    """Whether its pickle is a name and nothing else; a partial or a bound method carries values that may change."""
    if isinstance(function, types.BuiltinFunctionType):
        return isinstance(function.__self__, types.ModuleType)
    return isinstance(function, types.FunctionType | type)


def _is_unchanged(watched: tuple[_Watched, ...]) -> bool:
    return all(scope.get(name, _UNDEFINED) is value for scope, name, value in watched)


def _watched(function: Any) -> tuple[_Watched, ...] | None:
    """The globals on which a by-value pickle depends, or `None` if it depends on what cannot be watched."""
    found: list[_Watched] = []
    seen: set[int] = set()
    waiting = [function]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        names = _global_names(current.__code__) if _is_self_contained(current) else None
        if names is None:
            return None
        for name in names:
            value = current.__globals__.get(name, _UNDEFINED)
            if isinstance(value, types.FunctionType):
                if _pickled_by_name(value) is None:
                    waiting.append(value)
            elif not _is_constant(value):
                return None
            found.append((current.__globals__, name, value))
    return tuple(found)


def _is_self_contained(function: Any) -> bool:
    """A function without closure, attributes or mutable defaults: its code and its globals say everything."""
    if not isinstance(function, types.FunctionType) or function.__closure__ or function.__dict__:
        return False
    defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    return all(type(value) in _ATOMS for value in defaults)


def _is_constant(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        return sys.modules.get(value.__name__) is value
    return value is _UNDEFINED or type(value) in _ATOMS


def _global_names(code: types.CodeType) -> set[str] | None:
    """The globals that code and the code inside it read, or `None` if it also changes some."""
    names: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            return None
        if instruction.opname == "LOAD_NAME" or "GLOBAL" in instruction.opname:
            names.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = _global_names(constant)
            if inner is None:
                return None
            names |= inner
    return names
