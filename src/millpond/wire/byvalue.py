"""Classes and functions that the other end cannot import, pickled by value: cloudpickle with two changes.

A class that was received and now travels back is not set up again at an end that has it complete: cloudpickle would
replace the methods of the class in the caller's script by copies with other globals. And functions of `__main__` share
their globals in a worker, as those of a module do (`mainglobals`). Imported by `codec` and `functions` when first
needed, because importing cloudpickle takes longer than a worker's start should.
"""

from __future__ import annotations

import io
import sys
import types
from typing import Any

import cloudpickle

from millpond.wire import mainglobals, sharing
from millpond.wire.descriptors import Lease
from millpond.wire.functions import global_names

PROTOCOL = 5
_METHODS = (types.FunctionType, property, classmethod, staticmethod)


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A cloudpickle pickler that updates a class at the other end only if the class is at home at this one.

    `lease` holds the descriptors of what is shared.
    """

    def __init__(self, file: Any, *, lease: Lease, **given: Any) -> None:
        super().__init__(file, **given)
        self._lease = lease
        self._shared = sharing.classes()
        self.values: dict[str, Any] = {}  # of the globals that functions of `__main__` use
        self._places = [_Call(mainglobals.place, is_method) for is_method in (False, True)]

    def reducer_override(self, value: Any) -> Any:
        """What cloudpickle does, but a class that is a guest here is set up at the other end once only.

        And functions of `__main__` share one namespace there.
        """
        if mainglobals.is_of_main(value):
            return self._moving(value)
        shared = sharing.reduced(value, self._shared, self._lease)
        if shared is not NotImplemented:
            return shared
        reduced = super().reducer_override(value)
        if not isinstance(value, type) or not isinstance(reduced, tuple) or len(reduced) != 6 or _is_at_home(value):
            return reduced
        make, arguments, state, items, pairs, set_up = reduced
        return make, arguments, (set_up, state), items, pairs, set_up_once

    def dump(self, value: Any) -> None:
        """Pickle the value, and then what is to be set at the other end."""
        super().dump(_Call(mainglobals.complete, value, self.values))

    def _moving(self, function: types.FunctionType) -> Any:
        self.globals_ref[id(function.__globals__)] = self._places[_is_method(function)]
        reduced = super().reducer_override(function)
        if not isinstance(reduced, tuple):
            return reduced
        make, arguments, (attributes, slots), items, pairs, set_up = reduced
        names, scope = global_names(function.__code__), function.__globals__
        slots["__globals__"] = {name: scope[name] for name in names if name in scope}
        self.values |= dict.fromkeys(names, mainglobals.MISSING) | slots["__globals__"]
        return make, arguments, (set_up, (attributes, slots)), items, pairs, mainglobals.set_up


class _Call(dict[str, Any]):
    """Pickled as a call of a function that the other end has; what is a dictionary can stand for globals."""

    def __init__(self, *call: Any) -> None:
        self._call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call[0], self._call[1:]


def dumps(value: Any, with_values: bool = False) -> bytes:
    """The value as one stream, buffers included; `Leased` if something in it is shared.

    With `with_values` it is a pair: the value, and the globals that came with it.
    """
    file, lease = io.BytesIO(), Lease()
    pickler = ByValuePickler(file, lease=lease, protocol=PROTOCOL)
    pickler.dump((value, pickler.values) if with_values else value)
    return sharing.leased(file.getvalue(), lease)


def set_up_once(kind: type, recipe: tuple[Any, Any]) -> None:
    """Give a class its attributes unless it has them: part of what is pickled, called while unpickling."""
    set_up, state = recipe
    if not _is_complete(kind, state[0]):
        set_up(kind, state)


def _is_complete(kind: type, attributes: dict[str, Any]) -> bool:
    """Whether a class is more than a skeleton. Its methods tell: data may have been added while it was away.

    `__slotnames__` always is, by the first pickling of an instance.
    """
    methods = [name for name, value in attributes.items() if isinstance(value, _METHODS)]
    return all(name in vars(kind) for name in methods or attributes if name != "__slotnames__")


def _is_at_home(kind: type) -> bool:
    """Whether this process defined the class where its name says; a received one has the name without the place."""
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


def _is_method(function: types.FunctionType) -> bool:
    """Whether it was defined in the body of a class."""
    outer = function.__qualname__.rpartition(".")[0]
    return bool(outer) and not outer.endswith("<locals>")
