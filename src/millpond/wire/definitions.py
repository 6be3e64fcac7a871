"""What the program's `__main__` defines, name by name, for the `__main__` of its workers (`mainmodule`).

Looked at when something of it travels by value, and only what changed since is pickled. The entry of a function is its
code: its globals are the worker's `__main__`. So what functions and classes mention has entries, too: modules, what was
imported, plain data. What cannot be pickled, and what is large, has none.
"""

from __future__ import annotations

import functools
import marshal
import os
import threading
import types
from collections.abc import Callable
from operator import call
from typing import Any

from millpond.wire.mainglobals import PLAIN
from millpond.wire.mainmodule import MODULE, namespace

LARGEST_BYTES = 256 * 1024  # of one entry, which has to fit into a frame whatever `max_payload` is

Entries = dict[str, bytes]
# All names in their order; for each whether its value is known by its id or by its type; and these.
_Snapshot = tuple[tuple[str, ...], list[Callable[[Any], Any]], list[Any]]

_GONE = object()
# Kinds of values that have a name, beside classes, and what is written with such.
_NAMED = (types.FunctionType, type(functools.lru_cache(len)), types.BuiltinFunctionType)
_WRITTEN = (types.GenericAlias, types.UnionType)
# Modules of types whose objects are data as well, and common in scripts.
_DATA_MODULES = ("datetime", "decimal", "fractions", "logging", "pathlib", "pathlib._local", "re", "typing", "uuid")
_lock = threading.RLock()  # held while entries are made, which runs code of the program's
os.register_at_fork(after_in_child=_lock._at_fork_reinit)  # type: ignore[attr-defined]


class Definitions:
    """What the workers of one pool are to have: `newest` is replaced, never changed, and may be read anywhere."""

    __slots__ = ("newest",)

    def __init__(self) -> None:
        self.newest: Entries = {}

    def look(self) -> Entries:
        """Something of `__main__` is about to travel by value: take note of what the program defines now."""
        watch = _watch_of(namespace())
        if self.newest is not watch.look():
            with _lock:  # of two threads the one that looked first does not come last
                self.newest = watch.entries
        return self.newest


class _ScopeWatch:
    """The `__main__` of this process. All that is read without the lock is replaced, never changed."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.entries: Entries = {}
        self.scope = scope
        self._seen: dict[str, Any] = {}  # name -> its value when its entry was made
        self._mentioned: frozenset[str] = frozenset()  # by definitions
        # Name -> id of a value without an entry. No reference: what the program lets go of would stay in memory.
        self._passed_over: dict[str, int] = {}
        self._snapshot: _Snapshot = (), [], []

    def look(self) -> Entries:
        # Asked for each such call, and so in steps of C: 50 names take about 2 us.
        names, by, known = self._snapshot
        if (*self.scope,) != names or [*map(call, by, self.scope.values())] != known:
            with _lock:
                before = self._taken()  # what another thread changes meanwhile is seen the next time
                while changed := self._changes():
                    self._follow(changed)
                    before = self._taken()
                self._snapshot = before
        return self.entries

    def _taken(self) -> _Snapshot:
        """A value without an entry is known by its type, and cannot have become a definition without another.

        But that of a name that is mentioned may have become one to have an entry.
        """
        scope = self.scope.copy()
        by = [id if name in self._seen or name in self._passed_over else type for name in scope]
        return (*scope,), by, [*map(call, by, scope.values())]

    def _changes(self) -> list[str]:
        """The names whose entries are to be made anew."""
        scope, seen, mentioned, passed_over = self.scope, self._seen, self._mentioned, self._passed_over
        changed = [name for name, value in seen.items() if scope.get(name, _GONE) is not value]
        for name in scope.keys() - seen.keys():
            value = scope.get(name, _GONE)
            if _is_definition(value) or (name in mentioned and passed_over.get(name) != id(value)):
                changed.append(name)
        return changed

    def _follow(self, changed: list[str]) -> None:
        entries, seen, passed_over = self.entries.copy(), self._seen.copy(), self._passed_over.copy()
        for name in changed:
            value = self.scope.get(name, _GONE)
            entry = self._entry(value)
            for known in (entries, seen, passed_over):
                known.pop(name, None)
            if entry is not None:
                entries[name], seen[name] = entry, value
            elif _is_definition(value):
                seen[name] = value
            else:
                passed_over[name] = id(value)
        self.entries, self._seen, self._passed_over = entries, seen, passed_over

    def _entry(self, value: Any) -> bytes | None:
        """The value as `mainmodule.define` takes it, or `None`."""
        if type(value) is types.ModuleType:
            return MODULE + value.__name__.encode()
        is_plain = type(value) in PLAIN
        if not (is_plain or type(value).__module__ in _DATA_MODULES or type(value) in _WRITTEN or _is_named(value)):
            return None
        from millpond.wire.entries import made_entry

        try:
            if is_plain and len(marshal.dumps(value)) > LARGEST_BYTES:  # which refuses what contains anything else
                return None
            entry, mentioned = made_entry(value, self.scope, LARGEST_BYTES)
        except Exception:  # who submits it, or what refers to it, is told why it cannot travel
            return None
        self._mentioned |= mentioned
        return entry


_watch = _ScopeWatch({})


def _watch_of(scope: dict[str, Any]) -> _ScopeWatch:
    global _watch
    if _watch.scope is not scope:
        _watch = _ScopeWatch(scope)
    return _watch


def _is_named(value: Any) -> bool:
    return type(value) in _NAMED or issubclass(type(value), type)


def _is_definition(value: Any) -> bool:
    return _is_named(value) and getattr(value, "__module__", None) == "__main__"
