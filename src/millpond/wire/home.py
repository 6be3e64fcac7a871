"""One namespace for the functions of a program's `__main__`, in the processes that received them by value.

Without it each received function has globals of its own, and what an initializer sets no other function would see. A
global that this process set is kept as long as the program's own value of it does not change. Used by `byvalue`.
"""

from __future__ import annotations

import pickle
import types
from typing import Any

HOME: dict[str, Any] = {"__name__": "__main__"}

_ATOMS = (int, float, complex, bool, str, bytes, type(None))
_CONTAINERS = (list, dict, set, tuple, frozenset)
_received: dict[str, Any] = {}  # name -> what tells whether the program's value changed since it was last sent


class HomeReference(dict[str, Any]):
    """Stands for the globals of `__main__` in a pickle: the other end's `HOME` takes its place."""

    def __reduce__(self) -> tuple[Any, ...]:
        return home, ()


def home() -> dict[str, Any]:
    """The namespace here: part of what is pickled, called while unpickling."""
    return HOME


def move_in(function: types.FunctionType, recipe: tuple[Any, tuple[Any, dict[str, Any]]]) -> None:
    """Set up a received function, but leave alone the globals that only this process changed."""
    set_up, (attributes, slots) = recipe
    if function.__globals__ is HOME:
        slots = {**slots, "__globals__": _news(slots["__globals__"])}
    set_up(function, (attributes, slots))


def _news(sent: dict[str, Any]) -> dict[str, Any]:
    """Of the globals that came with a function those that are new here, or whose value at home changed."""
    news = {}
    for name, value in sent.items():
        mark = _mark(value)
        if name not in HOME or mark is None or _received.get(name) != mark:
            news[name] = value
        _received[name] = mark
    return news


def _mark(value: Any) -> Any:
    """What is equal for equal values and does not change with them; `None` where that cannot be told."""
    if isinstance(value, types.ModuleType):
        return ("module", value.__name__)
    if type(value) in _ATOMS:
        return (type(value), value)
    if type(value) in _CONTAINERS:
        try:
            return ("pickle", pickle.dumps(value, 5))
        except Exception:  # it holds something that does not pickle: taken to have changed
            return None
    return None
