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
from collections.abc import Callable
from typing import Any

import cloudpickle
from cloudpickle.cloudpickle import _dynamic_class_reduce

from millpond.wire import mainglobals, sharing
from millpond.wire.classes import by_value
from millpond.wire.descriptors import Lease
from millpond.wire.functions import Seen, see
from millpond.wire.importable import has_no_place
from millpond.wire.pickling import PROTOCOL
from millpond.wire.reducers import LOCKS, MORE_THAN_DATA, REDUCERS, reduce_otherwise
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
        self._refused = sharing.loaded(MORE_THAN_DATA)
        self.seen: list[Seen] = []  # the functions that are pickled by value
        self._values: dict[str, Any] = {}  # of the globals that functions of `__main__` use
        self._places = [PickledCall(mainglobals.place, is_method) for is_method in (False, True)]

    def reducer_override(self, value: Any) -> Any:
        """What cloudpickle does, with the changes above."""
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

    def dump(self, value: Any, complete: Callable[..., Any] = mainglobals.complete) -> None:
        """Pickle a call of `complete` with the value, and what is to be set at the other end.

        What refuses the value says where in it that is.
        """
        self._submitted = value
        try:
            super().dump(PickledCall(complete, value, self._values))
        except Exception as error:
            tell_where(error, value, ByValuePickler(Nowhere(), lease=Lease(), protocol=PROTOCOL))
            raise
        if self.has_locks:
            check_nothing_shared(value)

    def _dynamic_function_reduce(self, function: types.FunctionType) -> Any:
        seen = see(function)
        self.seen.append(seen)
        if not mainglobals.is_of_main(function):
            return super()._dynamic_function_reduce(function)
        scope, outer = function.__globals__, function.__qualname__.rpartition(".")[0]
        is_of_class = bool(outer) and not outer.endswith("<locals>")
        self.globals_ref[id(scope)] = self._places[is_of_class and function is not self._submitted]
        make, arguments, (attributes, slots), items, pairs, set_state = super()._dynamic_function_reduce(function)
        values = {name: value for held, name, value in seen[4] if held is scope}
        self._values |= values
        slots["__globals__"] = PickledCall(mainglobals.set_at_once, values)
        if scope.get(function.__name__) is not function:
            return make, arguments, (attributes, slots), items, pairs, set_state
        arguments = (function.__name__, not function.__dict__, *seen[2:4], make, *arguments)
        return mainglobals.same_or_made, arguments, (set_state, attributes, slots), items, pairs, mainglobals.set_up


class PickledCall(dict[str, Any]):
    """Pickled as a call of a function that the other end has; what is a dictionary can stand for globals."""

    def __init__(self, *call: Any) -> None:
        self._call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call[0], self._call[1:]


def dumps(value: Any, complete: Callable[..., Any] = mainglobals.complete, seen: list[Seen] | None = None) -> bytes:
    """The value as one stream, buffers included; `Leased` if something in it is shared. See `ByValuePickler.dump`.

    The list `seen` is given the functions in it that travel by value.
    """
    file, lease = io.BytesIO(), Lease()
    pickler = ByValuePickler(file, lease=lease, protocol=PROTOCOL)
    pickler.seen = pickler.seen if seen is None else seen
    pickler.dump(value, complete)
    return sharing.leased(file.getvalue(), lease)
