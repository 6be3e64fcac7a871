"""Classes and functions that the other end cannot import, pickled by value: cloudpickle's rules with two changes.

A class that the other end has is looked up there and not built again (`classes`). Functions of `__main__` share their
globals in a worker, as those of a module do (`mainglobals`). Imported by `codec` and `functions` when first needed,
because importing cloudpickle takes longer than a worker's start should.
"""

from __future__ import annotations

import io
import types
from typing import Any

import cloudpickle

from millpond.wire import mainglobals, sharing
from millpond.wire.classes import by_value
from millpond.wire.descriptors import Lease
from millpond.wire.functions import global_names

PROTOCOL = 5


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A cloudpickle pickler that never sets up a class twice.

    `lease` holds the descriptors of what is shared.
    """

    def __init__(self, file: Any, *, lease: Lease, **given: Any) -> None:
        super().__init__(file, **given)
        self._lease = lease
        self._shared = sharing.classes()
        self.values: dict[str, Any] = {}  # of the globals that functions of `__main__` use
        self._places = [_Call(mainglobals.place, is_method) for is_method in (False, True)]

    def reducer_override(self, value: Any) -> Any:
        """What cloudpickle does, with the changes above."""
        if mainglobals.is_of_main(value):
            return self._moving(value)
        if issubclass(type(value), type):
            return by_value(value, super().reducer_override(value))
        shared = sharing.reduced(value, self._shared, self._lease)
        return super().reducer_override(value) if shared is NotImplemented else shared

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


def _is_method(function: types.FunctionType) -> bool:
    """Whether it was defined in the body of a class."""
    outer = function.__qualname__.rpartition(".")[0]
    return bool(outer) and not outer.endswith("<locals>")
