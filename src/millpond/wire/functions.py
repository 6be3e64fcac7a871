"""Plain functions on their way to a worker: by name where they can be imported, by value (cloudpickle) where not.

The function travels as a blob in front of the call's other arguments; the blob is made and read here. At both ends it
is kept for the next call only while the function cannot mean anything else than it did.
"""

from __future__ import annotations

import dis
import functools
import pickle
import re
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

from millpond.labels import made_label
from millpond.wire import mainglobals, sharing
from millpond.wire.codec import refuse
from millpond.wire.importable import can_import, is_importable
from millpond.wire.mainglobals import LOOKING_UP, MISSING, Arrived, is_of_main

KEPT_BY_PARENT = 256
KEPT_BY_WORKER = 64

# The first byte of a blob says what it is: what a name leads to, any other plain pickle, or a function by value, which
# may be used for equal blobs again or has to be made anew each time.
_NAMED, _PLAIN, _KEPT, _FRESH = b"n", b"p", b"k", b"f"
NAMED = _NAMED[0]
_GLOBAL = re.compile("LOAD_NAME|.*_GLOBAL")
_ONLY_A_NAME = b"\x93\x94."  # how the pickle ends of what is looked up by its name

# A function that travels by value: its code, its defaults, its keyword defaults, and what these and its globals are: a
# mapping, a name, what was there. Compared by identity.
Seen = tuple[types.FunctionType, types.CodeType, Any, Any, list[tuple[dict[str, Any], str, Any]]]
# What can only be replaced, which is seen; the functions among it are looked at themselves.
_FIXED = (int, float, complex, bool, str, bytes, type(None), type(...), types.FunctionType)

# By id: (function, blob, what must not have changed). The reference to the function keeps the id from being reused.
_blobs: dict[int, tuple[Any, bytes, list[Seen]]] = {}
_arrived: dict[bytes, Arrived] = {}  # by blob
_lock = threading.Lock()  # held while either is changed


def encode_function(function: Callable[..., Any]) -> bytes:
    """The function as bytes for `decode_function`; raises `CodecError` if nothing can carry it."""
    # Without the lock: an entry is replaced as a whole and never changed. One that another thread removes at this
    # moment is as good as one that was never there. The id alone proves nothing: it may have been another function's.
    known = _blobs.get(id(function))
    if known is not None and known[0] is function and (not known[2] or _is_unchanged(known[2])):
        return known[1]
    try:
        return _encode(function)
    except BaseException as error:
        refuse("this function cannot be sent to a worker", error)


def decode_function(blob: bytes) -> Any:
    """The function of a blob. Runs whatever the blob asks for: only for what the parent sends to its workers."""
    try:
        return _decodes.get(blob[:1], _decode_kept)(blob)
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


def _decode(blob: bytes) -> Any:
    return pickle.loads(memoryview(blob)[1:])


_decodes: dict[bytes, Callable[[bytes], Any]] = {
    _NAMED: functools.lru_cache(KEPT_BY_WORKER)(_decode),
    _PLAIN: _decode,
    _FRESH: lambda blob: _decode(blob).function,
}


def _decode_kept(blob: bytes) -> Any:
    arrived, here = _arrived.get(blob), mainglobals.here
    if arrived is None or here is None or not here.renew(arrived):
        arrived = _decode(blob)
        _keep(_arrived, blob, arrived, KEPT_BY_WORKER)
    return arrived.function


def _keep(kept: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    with _lock:
        kept.pop(key, None)
        if len(kept) >= limit:
            del kept[next(iter(kept))]
        kept[key] = value


def _encode(function: Any) -> bytes:
    seen: list[Seen] = []
    stream = pickled_by_name(function)
    if stream is not None:
        kind = _NAMED if stream.endswith(_ONLY_A_NAME) else _PLAIN
    else:
        from millpond.wire import byvalue

        stream = byvalue.dumps(function, Arrived, seen)
        kind = _KEPT if isinstance(function, types.FunctionType) and all(map(_says_all, seen)) else _FRESH
    blob = sharing.leased(kind + stream, getattr(stream, "lease", None))
    if kind in (_NAMED, _KEPT):
        _keep(_blobs, id(function), (function, blob, seen), KEPT_BY_PARENT)
    return blob


def pickled_by_name(value: Any) -> bytes | None:
    """A plain pickle, if there is one and the other end can load it; cloudpickle says what it cannot carry either."""
    try:
        stream = sharing.dumps(value)
    except Exception:
        return None
    return stream if is_importable(stream) else None


def see(function: types.FunctionType) -> Seen:
    """What a by-value pickle of the function depends on."""
    code, scope, keywords = function.__code__, function.__globals__, function.__kwdefaults__
    keyword_only = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
    places = [(keywords, name) for name in keyword_only if keywords]
    places += [(scope, name) for name in global_names(code)]
    values = [(held, name, held.get(name, MISSING)) for held, name in places]
    return function, code, function.__defaults__, keywords, values


def _is_unchanged(seen: list[Seen]) -> bool:
    for function, code, defaults, keywords, values in seen:
        if function.__code__ is not code or function.__defaults__ is not defaults or function.__dict__:
            return False
        if function.__kwdefaults__ is not keywords:
            return False
        for scope, name, value in values:
            if scope.get(name, MISSING) is not value:
                return False
    return True


def _says_all(seen: Seen) -> bool:
    """Whether the function cannot change unseen, here or, by what a call leaves behind, in a worker."""
    function, code, defaults, _, values = seen
    if function.__closure__ or function.__dict__ or not LOOKING_UP.isdisjoint(global_names(code)):
        return False
    # One that is not of `__main__` has globals of its own there, and those of one call are not those of the next.
    is_alike = is_of_main(function) or not any(global_names(code).values())
    return is_alike and all(map(_is_fixed, (*(defaults or ()), *(value for *_, value in values))))


def _is_fixed(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        return sys.modules.get(value.__name__) is value and can_import(value.__name__)
    return type(value) in _FIXED or value is MISSING


@functools.lru_cache(1024)
def global_names(code: types.CodeType) -> dict[str, bool]:
    """The globals that code and the code inside it refer to, and whether it assigns or removes them.

    In the body of a class any name may be one.
    """
    found = [(it.argval, "LOAD" not in it.opname) for it in dis.get_instructions(code) if _GLOBAL.match(it.opname)]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += global_names(constant).items()
    return {name: (name, True) in found for name, _ in found}
