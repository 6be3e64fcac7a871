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
from collections.abc import Callable, Iterable
from operator import is_, itemgetter
from typing import Any

from millpond.wire.mainglobals import PLAIN
from millpond.wire.mainmodule import MODULE, namespace

LARGEST_BYTES = 256 * 1024  # of one entry, which has to fit into a frame whatever `max_payload` is

Entries = dict[str, bytes]
# How many names there are; what gets the values of those with entries, and the values; of the others, and their types;
# of those without an entry that definitions mention, and the ids.
_Values = Callable[[dict[str, Any]], tuple[Any, ...]]
_Known = tuple[_Values, tuple[Any, ...]]
_Snapshot = tuple[int, _Known, _Known, _Known]

_GONE = object()
_FUNCTIONS = (types.FunctionType, type(functools.lru_cache(len)))
# Modules of types whose objects are data as well, and common in scripts.
_DATA_MODULES = ("datetime", "decimal", "fractions", "logging", "pathlib", "pathlib._local", "re", "uuid")
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


class _Watch:
    """The `__main__` of this process. All that is read without the lock is replaced, never changed."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.entries: Entries = {}
        self.scope = scope
        self._seen: dict[str, Any] = {}  # name -> its value when its entry was made
        self._mentioned: frozenset[str] = frozenset()  # by definitions
        # Name -> id of a value without an entry. No reference: what the program lets go of would stay in memory.
        self._passed_over: dict[str, int] = {}
        nothing: _Known = (_getter(()), ())
        self._snapshot: _Snapshot = (-1, nothing, nothing, nothing)

    def look(self) -> Entries:
        if not self._is_as_it_was(self._snapshot):
            with _lock:
                before = self._taken()  # what another thread changes meanwhile is seen the next time
                while changed := self._changes():
                    self._follow(changed)
                    before = self._taken()
                self._snapshot = before
        return self.entries

    def _taken(self) -> _Snapshot:
        scope, seen = self.scope, self._seen
        others = {name: type(value) for name, value in scope.copy().items() if name not in seen}
        passed_over = {name: number for name, number in self._passed_over.items() if name in scope}
        return (
            len(seen) + len(others),
            (_getter(seen), (*seen.values(),)),
            (_getter(others), (*others.values(),)),
            (_getter(passed_over), (*passed_over.values(),)),
        )

    def _is_as_it_was(self, snapshot: _Snapshot) -> bool:
        """Asked for each such call, and so in steps of C: 50 names take about 2 us.

        A value without an entry is known by its type: it cannot have become a definition without another.
        """
        scope = self.scope
        size, (seen, values), (others, types_of_others), (passed_over, ids) = snapshot
        try:
            return (
                len(scope) == size
                and all(map(is_, seen(scope), values))
                and (*map(type, others(scope)),) == types_of_others
                and (*map(id, passed_over(scope)),) == ids
            )
        except KeyError:  # a name is gone
            return False

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
        if not (is_plain or type(value).__module__ in _DATA_MODULES or _is_definition(value) or _is_imported(value)):
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


def _getter(names: Iterable[str]) -> _Values:
    """What gives the values of all these names; `KeyError` if one is not there. `itemgetter` does from two on."""
    several = (*names,)
    return itemgetter(*several) if len(several) > 1 else lambda scope: (*(scope[name] for name in several),)


_watch = _Watch({})


def _watch_of(scope: dict[str, Any]) -> _Watch:
    global _watch
    if _watch.scope is not scope:
        _watch = _Watch(scope)
    return _watch


def _is_definition(value: Any) -> bool:
    kind = type(value)
    return (kind in _FUNCTIONS or issubclass(kind, type)) and getattr(value, "__module__", None) == "__main__"


def _is_imported(value: Any) -> bool:
    kind = type(value)
    is_named = kind in _FUNCTIONS or kind is types.BuiltinFunctionType or issubclass(kind, type)
    return is_named or kind in (types.GenericAlias, types.UnionType) or kind.__module__ == "typing"
