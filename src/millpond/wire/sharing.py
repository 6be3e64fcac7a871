"""What of multiprocessing travels as something shared: connections, sockets, shared memory, locks, queues.

multiprocessing's own reducers are used, with file descriptors handed over by `descriptors`. Its locks travel by name,
and have one in the spawn context only. Nothing here imports multiprocessing: where the program has not, only sockets
can be shared. Used by `codec`, `byvalue`, `functions` and `handlerspec`.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import socket
import sys
from collections.abc import Callable
from typing import Any

from millpond.wire.descriptors import Handle, Lease
from millpond.wire.onimport import when_imported
from millpond.wire.pickling import PROTOCOL

Reduce = Callable[[Any], Any]
Table = dict[type, Reduce]
Classes = tuple[tuple[str, tuple[str, ...]], ...]  # modules, and names in them

_REDUCTION = "multiprocessing.reduction"
_REDUCERS = frozenset(f"multiprocessing.{name}" for name in ("connection", "heap", "sharedctypes"))
# Classes whose objects, and those of classes made from them, are pickled only while a process is being started.
_CLASSES: Classes = (
    ("multiprocessing.synchronize", ("SemLock", "Condition", "Event")),
    ("multiprocessing.queues", ("Queue", "SimpleQueue")),
    ("multiprocessing.sharedctypes", ("SynchronizedBase",)),
    ("multiprocessing.connection", ("Connection",)),
)


class Leased(bytes):
    """A stream that refers to descriptors: they are kept as long as it is, or as the value that it becomes part of."""

    lease: Lease

    def __reduce__(self) -> tuple[type[bytes], tuple[bytes]]:
        return bytes, (bytes(self),)


def authentication_key() -> bytes | None:
    """What this program's managers and connections know each other by; `None` where it has not imported any."""
    process = sys.modules.get("multiprocessing.process")
    return bytes(process.current_process().authkey) if process is not None else None


def know_key(key: bytes | None) -> None:
    """Know the program's managers, and be known to them; without a key the program had none when it was asked."""

    def tell(module: Any) -> None:
        module.current_process().authkey = key

    if key is not None:
        when_imported("multiprocessing.process", tell)


def leased(stream: bytes, lease: Lease | None) -> bytes:
    """The stream, which holds the lease from now on."""
    if not lease:
        return stream
    made = Leased(stream)
    made.lease = lease
    return made


def reusable(payload: Any) -> Any:
    """The payload, which may be read more than once: until it is given up its descriptors can be had again."""
    lease = getattr(payload, "lease", None)
    if lease is not None:
        lease.reuse()
    return payload


class ToBeShared(pickle.PicklingError):
    """Plain pickling came to something that is shared: the value is pickled again, as `reduced` says."""


class _Tables:
    """What was made of the tables of `copyreg` and multiprocessing when they were looked at last. Never changed."""

    __slots__ = ("copied", "count", "plain", "reducers", "registered")

    def __init__(self, registered: Table, copied: Table) -> None:
        self.registered = registered  # multiprocessing's itself
        self.count = len(registered)
        self.copied = copied  # of copyreg's
        self.reducers = {kind: reduce for kind, reduce in list(registered.items()) if reduce.__module__ in _REDUCERS}
        # A class made from one of them has no reducer: as any other object it would travel as a descriptor's number.
        kinds: list[type] = [Leased, *self.reducers]
        for kind in self.reducers:
            if kind.__module__ in _REDUCERS:
                kinds += kind.__subclasses__()
        self.plain = copied | dict.fromkeys(kinds, _refuse)


_tables: _Tables | None = None  # while multiprocessing is not there
_modules, _dispatch_table = sys.modules, copyreg.dispatch_table


def table() -> Table | None:
    """The dispatch table of a plain pickler, which refuses what is shared; `None` while multiprocessing is not there.

    The same one as long as nothing changed. A plain dictionary: a mapping that looks into several costs 0.3 us for each
    object.
    """
    global _tables
    known = _tables
    if known is None:
        if _REDUCTION not in _modules:
            return None
    elif len(known.registered) == known.count and known.copied == _dispatch_table:
        return known.plain
    pickler = getattr(_modules[_REDUCTION], "ForkingPickler", None)
    if pickler is None:  # another thread is in the midst of the import
        return None
    _tables = known = _Tables(pickler._extra_reducers, dict(_dispatch_table))
    return known.plain


def dumps(value: Any) -> bytes:
    """As `pickle.dumps`, but raises `ToBeShared` for what is shared."""
    known = table()
    if known is None:
        return pickle.dumps(value, PROTOCOL)
    file = io.BytesIO()
    pickler = pickle.Pickler(file, PROTOCOL)
    pickler.dispatch_table = known
    pickler.dump(value)
    return file.getvalue()


def classes() -> tuple[type, ...]:
    """Those of multiprocessing's classes for `reduced` that are loaded."""
    return () if table() is None else loaded(_CLASSES)


def loaded(classes: Classes) -> tuple[type, ...]:
    """Those of some modules' classes that are there: another thread may be in the midst of an import."""
    modules = [(sys.modules[module], names) for module, names in classes if module in sys.modules]
    return tuple(getattr(module, name) for module, names in modules for name in names if hasattr(module, name))


def reduced(value: Any, classes: tuple[type, ...], lease: Lease) -> Any:
    """How a shared value is pickled, its descriptors held by `lease`; `NotImplemented` for any other."""
    kind = type(value)
    if kind is Leased:
        lease.hold(value.lease)
        return value.__reduce__()
    if kind is socket.socket:
        return _socket, (lease.take(value.fileno()), value.family, value.type, value.proto)
    reduce = None if _tables is None else _tables.reducers.get(kind)
    if reduce is None and issubclass(kind, classes):
        _check_has_name(value)
    elif reduce is None or not _is_shared(value):
        return NotImplemented
    if reduce is None or hasattr(value, "_wrapper"):
        lease.hold(value)  # collected here, its name or its piece of the memory would be another's before it arrives
    return _as_at_a_start(reduce, value, lease)


class _Start:
    """Stands for multiprocessing's `Popen`, which is asked how a descriptor gets to the process that is to be started.

    It is set only while one object says how it is pickled: a manager's proxy would add the manager's key.
    """

    def __init__(self, lease: Lease) -> None:
        self.DupFd = lease.take

    def duplicate_for_child(self, descriptor: int) -> int:
        return descriptor


def _as_at_a_start(reduce: Reduce | None, value: Any, lease: Lease) -> Any:
    context: Any = sys.modules["multiprocessing.context"]
    before = context.get_spawning_popen()
    # Of this thread only (multiprocessing keeps it in a `threading.local`): a process that another thread starts at
    # this moment is not taken for ours.
    context.set_spawning_popen(_Start(lease))
    try:
        made = value.__reduce_ex__(PROTOCOL) if reduce is None else reduce(value)
    finally:
        context.set_spawning_popen(before)
    return (_arena, made[1]) if made[0].__name__ == "rebuild_arena" else made


def _check_has_name(value: Any) -> None:
    """A lock of the fork context is an address in this process's memory: the worker would write to the same in its own.

    A queue, a condition or a synchronized value has such locks. Of connections only multiprocessing's own can be made
    again at the other end.
    """
    if hasattr(value, "fileno"):
        raise pickle.PicklingError(f"cannot pickle {type(value).__name__!r} object: its class is made from Connection")
    locks = [getattr(held, "_semlock", None) for held in (value, *vars(value).values())]
    if any(lock is not None and lock.name is None for lock in locks):
        raise pickle.PicklingError(
            f"{type(value).__name__} of multiprocessing's fork context can only be inherited, and workers run: "
            'make it with multiprocessing.get_context("spawn")'
        )


def _is_shared(value: Any) -> bool:
    """Not so a number or an array of ctypes that lies in this process's own memory."""
    return hasattr(value, "_wrapper") or not hasattr(value, "_b_base_")


def _refuse(value: Any) -> Any:
    """The reducer of what is shared in a plain pickler's table."""
    if not _is_shared(value):
        return value.__reduce_ex__(PROTOCOL)
    raise ToBeShared(f"{type(value).__name__} is shared")


def _socket(handle: Handle, family: int, kind: int, proto: int) -> socket.socket:
    """A socket that arrived."""
    return socket.socket(family, kind, proto, fileno=handle.detach())


def _arena(size: int, handle: Handle) -> Any:
    """Shared memory that arrived; unlike multiprocessing's, which arrives once a process, it closes its descriptor."""
    from multiprocessing import heap, util

    descriptor = handle.detach()
    try:
        arena = heap.Arena(size, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    util.Finalize(arena, os.close, args=(descriptor,))
    return arena
