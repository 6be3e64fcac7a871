"""The globals of the program's `__main__` in a worker: one namespace for all that arrives by value.

The program's values come along with what uses them. One that differs from what came last replaces the value here; one
that does not leaves alone what code in this process assigned. In the program itself nothing is shared: functions that a
result brings have the values they had. Used by `byvalue` and `functions`; `worker/overlap` is for calls that overlap.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from millpond.wire import sharing


class MISSING:
    """Stands for the value of a name that the program has not."""


class Arrived:
    """A function by value, with its program's values, and the version of the namespace that had these last."""

    __slots__ = ("function", "values", "version")

    def __init__(self, function: Any, values: dict[str, Any]) -> None:
        self.function = complete(function, values)
        self.values = values
        self.version = -1


class Namespace:
    """The globals `names`, and marks of the program's values that came last. `version` counts the changes of those."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.version = 0
        self.received: dict[str, Any] = {}

    def place(self, is_method: bool) -> dict[str, Any]:
        """The globals for a function that arrives."""
        return self.names

    def receive(self, values: dict[str, Any]) -> None:
        """Set the program's values, once all that came with them is complete."""
        for name, value in values.items():
            mark = mark_of(value)
            if self.received.get(name, ABSENT) != mark:
                self.set(name, value, mark)

    def define(self, name: str, value: Any) -> None:
        """Set a value that came by itself, ahead of the calls that were made since it changed."""
        self.receive({name: value})

    def set(self, name: str, value: Any, mark: Any) -> None:
        """Set or remove a name; `mark` is that of the program's value now."""
        self.version += 1
        self.received[name] = mark
        if value is MISSING:
            self.names.pop(name, None)
        else:
            self.names[name] = value

    def renew(self, arrived: Arrived) -> bool:
        """Have the program's values as they came with this function; false if it has to be made anew for that."""
        if arrived.version != self.version:
            self.receive(arrived.values)
            arrived.version = self.version
        return True


here: Namespace | None = None  # this process's, if functions of a program's `__main__` come to live in it


def share(namespace: Namespace | None) -> None:
    """From now on what arrives in this process, a worker or what workers are forked from, lives there."""
    global here
    here = namespace


def is_of_main(value: Any) -> bool:
    """Whether it is a function whose globals are those of a program's `__main__`, or came from there."""
    return isinstance(value, types.FunctionType) and value.__globals__.get("__name__") == "__main__"


# Part of what is pickled:


def place(is_method: bool) -> dict[str, Any]:
    """Where a function's globals are."""
    return {"__name__": "__main__"} if here is None else here.place(is_method)


def same_or_made(
    name: str, is_plain: bool, defaults: Any, keywords: Any, make: Callable[..., Any], code: Any, scope: Any, *rest: Any
) -> Any:
    """The function of that name, if it is the same: so that what looks for it by its name finds what it holds.

    The program's own is the same whatever a worker did to it; a worker's is if it has no attributes, and such defaults.
    """
    names = vars(sys.modules["__main__"]) if here is None else scope
    there: Any = names.get(name)
    is_same = is_of_main(there) and there.__globals__ is names and there.__code__ == code
    if is_same and here is not None:
        is_same = is_plain and mark_of(there) == (code, mark_of(defaults), mark_of(keywords))
    return there if is_same else make(code, scope, *rest)


def set_up(function: types.FunctionType, recipe: tuple[Callable[..., None], Any, Any]) -> None:
    """Give a function what came with it, but for the program's own: nothing that a worker did to it is done here."""
    set_state, *state = recipe
    if here is not None or function.__globals__ is not vars(sys.modules["__main__"]):
        set_state(function, state)


def set_at_once(values: dict[str, Any]) -> dict[str, Any]:
    """Of a function's globals those to set before all is complete: what arrives with it may call it at once."""
    if here is not None and not LOOKING_UP.isdisjoint(values):
        vars(sys.modules["__main__"])  # has what waits to be looked up set up
    received, names = ({}, {}) if here is None else (here.received, here.names)
    new = [name for name in values if name not in received and name not in names]
    return {name: values[name] for name in new if values[name] is not MISSING}


def complete(value: Any, values: dict[str, Any]) -> Any:
    """Called last: functions and containers are filled, so that the program's values can be compared."""
    if here is not None:
        here.receive(values)
    return value


def mark_of(value: Any) -> Any:
    """What is equal for equal values and does not change with them; where that cannot be told, equal to nothing."""
    if is_of_main(value) and not value.__closure__ and not value.__dict__:
        return value.__code__, mark_of(value.__defaults__), mark_of(value.__kwdefaults__)
    if type(value) in PLAIN:
        try:
            return sharing.dumps(value)  # tells 1 from True, and -0.0 from 0.0
        except Exception:  # it holds something that does not pickle: taken to have changed
            pass
    return (id(value), value) if isinstance(value, _BY_IDENTITY) else object()


_BY_IDENTITY = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)
PLAIN = (int, float, complex, bool, str, bytes, type(None), list, dict, set, tuple, frozenset)
LOOKING_UP = frozenset(("eval", "exec", "globals", "vars"))  # globals of a function that may use any other by its name
ABSENT = mark_of(MISSING)
