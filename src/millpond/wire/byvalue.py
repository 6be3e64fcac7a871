"""Classes and functions that the other end cannot import, pickled by value: cloudpickle's rules with three changes.

A class that the other end has is looked up there and not built again (`classes`). Functions of `__main__` share their
globals in a worker, as those of a module do (`mainglobals`). What belongs to a process, a lock or a cache, is made
there (`reducers`). Imported by `codec` and `functions` when first needed, because importing cloudpickle takes longer
than a worker's start should.
"""

from __future__ import annotations

import io
import types
from collections import ChainMap
from typing import Any

import cloudpickle
from cloudpickle.cloudpickle import _dynamic_class_reduce

from millpond.wire import mainglobals, sharing
from millpond.wire.classes import by_value
from millpond.wire.descriptors import Lease
from millpond.wire.functions import global_names, is_self_contained
from millpond.wire.importable import has_no_place
from millpond.wire.pickling import PROTOCOL
from millpond.wire.reducers import LOCKS, REDUCERS, more_than_data, reduce_otherwise
from millpond.wire.refusal import Nowhere, check_nothing_shared, tell_where


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A cloudpickle pickler that never sets up a class twice, and knows how to make more kinds of objects anew.

    `lease` holds the descriptors of what is shared.
    """

    has_locks = False  # in what was pickled so far
    _submitted: Any = None  # if it is a function, it is no method, wherever it was defined
    dispatch_table = ChainMap(REDUCERS, *cloudpickle.Pickler.dispatch_table.maps)

    def __init__(self, file: Any, *, lease: Lease, **given: Any) -> None:
        super().__init__(file, **given)
        self._lease = lease
        self._shared = sharing.classes()
        self._refused = more_than_data()
        self.values: dict[str, Any] = {}  # of the globals that functions of `__main__` use
        self._places = [Call(mainglobals.place, is_method) for is_method in (False, True)]

    def reducer_override(self, value: Any) -> Any:
        """What cloudpickle does, with the changes above."""
        if mainglobals.is_of_main(value):
            return self._moving(value)
        if issubclass(type(value), type):
            has_place = not has_no_place(value)
            return by_value(value, super().reducer_override(value) if has_place else _dynamic_class_reduce(value))
        if isinstance(value, types.FunctionType):
            return self._dynamic_function_reduce(value) if has_no_place(value) else super().reducer_override(value)
        shared = sharing.reduced(value, self._shared, self._lease)
        if shared is not NotImplemented:
            return shared
        if type(value) in LOCKS:
            self.has_locks = True
        return reduce_otherwise(value, self._refused)

    def dump(self, value: Any, values: Any = None) -> None:
        """Pickle the value, and then what is to be set at the other end; what refuses it says where in it that is.

        With `values`, which are this pickler's, a pair of both is pickled.
        """
        self._submitted = value
        whole = value if values is None else (value, values)
        try:
            super().dump(Call(mainglobals.complete, whole, self.values))
        except Exception as error:
            tell_where(error, value, ByValuePickler(Nowhere(), lease=Lease(), protocol=PROTOCOL))
            raise
        if self.has_locks:
            check_nothing_shared(value)

    def _moving(self, function: types.FunctionType) -> Any:
        is_method = _is_method(function) and function is not self._submitted
        self.globals_ref[id(function.__globals__)] = self._places[is_method]
        reduced = super().reducer_override(function)
        if not isinstance(reduced, tuple):
            return reduced
        make, arguments, (attributes, slots), items, pairs, set_up = reduced
        names, scope = global_names(function.__code__), function.__globals__
        slots["__globals__"] = {name: scope[name] for name in names if name in scope}
        self.values |= dict.fromkeys(names, mainglobals.MISSING) | slots["__globals__"]
        if scope.get(function.__name__) is function and is_self_contained(function):
            arguments = (function.__name__, function.__defaults__, function.__kwdefaults__, make, *arguments)
            make = mainglobals.same_or_made
        return make, arguments, (set_up, (attributes, slots)), items, pairs, mainglobals.set_up


class Call(dict[str, Any]):
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
    pickler.dump(value, pickler.values if with_values else None)
    return sharing.leased(file.getvalue(), lease)


def _is_method(function: types.FunctionType) -> bool:
    """Whether it was defined in the body of a class."""
    outer = function.__qualname__.rpartition(".")[0]
    return bool(outer) and not outer.endswith("<locals>")
