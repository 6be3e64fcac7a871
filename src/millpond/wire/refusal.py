"""Where in a value the thing is that cannot be pickled, for the message: `args[0].model.connection`.

Pickles the value once more, with Python's own pickler, which can be followed from object to object. Used by `byvalue`
after a failure; what a value's methods do differently the second time costs the path only.
"""

from __future__ import annotations

import collections
import functools
import pickle
import queue
import threading
import types
import weakref
from collections.abc import Iterator
from typing import Any

from millpond.wire.wording import type_name

# What two processes cannot share by each having one of its own: an object may have such a thing among its attributes,
# where it guards the object's copy; given by itself it is meant to be shared.
_MEANT_TO_BE_SHARED = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Condition,
    threading.Event,
    threading.Semaphore,
    threading.Barrier,
    threading.local,
    queue.Queue,
)
# What is looked at holds up a loop: a value of more objects is refused without a path, and a container of more items is
# taken for data.
MOST_OBJECTS, MOST_ITEMS = 20_000, 1000

_SLOT = types.MemberDescriptorType
_HOLDS_ARGUMENTS = (list, tuple, dict, functools.partial)
_SEQUENCES = (list, tuple, collections.deque)
_MAPPINGS = (dict, types.MappingProxyType, weakref.WeakValueDictionary)
_ATTRIBUTES = ("func", "args", "keywords", "fget", "fset", "fdel", "__func__", "__self__", "__wrapped__")
_SAYS_ALL = (TypeError, AttributeError, ValueError, RuntimeError, NotImplementedError, pickle.PicklingError)

Steps = Iterator[tuple[str, Any]]  # what an object holds, and how one gets there


def check_nothing_shared(value: Any) -> None:
    """Raise `TypeError` for a lock or the like that stands by itself in a value that travels."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, current = waiting.pop()
        if isinstance(current, _MEANT_TO_BE_SHARED):
            raise TypeError(
                f"cannot pickle {type_name(type(current))!r} object: the other process would have another one; what "
                f"multiprocessing.get_context('spawn') makes can be shared{f' (at {path})' if path else ''}"
            )
        may_hold_some = type(current) in _HOLDS_ARGUMENTS and len(getattr(current, "args", current)) <= MOST_ITEMS
        if may_hold_some and id(current) not in seen:
            seen.add(id(current))
            waiting += [(path + label, held) for label, held in (_steps(current) if path else _first_steps(value))]


def tell_where(error: Exception, value: Any, pickler: Any) -> None:
    """Add to the text of an error where in the value it was raised, if that can be found."""
    if type(error) in _SAYS_ALL and len(error.args) == 1 and isinstance(error.args[0], str):
        path = _path(value, pickler)
        if path:
            error.args = (f"{error.args[0]} (at {path})",)


_Pickler: Any = pickle._Pickler


class _Follower(_Pickler):  # type: ignore[misc]
    """Knows at each moment which objects it is inside of."""

    def __init__(self, pickler: Any) -> None:
        super().__init__(Nowhere(), 5, buffer_callback=lambda buffer: None)
        self._reducer = pickler
        self.dispatch_table = pickler.dispatch_table
        self.inside: list[Any] = []
        self._left = MOST_OBJECTS

    def reducer_override(self, value: Any) -> Any:
        return self._reducer.reducer_override(value)

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        self._left -= 1
        if not self._left:
            self.inside.clear()  # the path would take too long to find
            raise ValueError
        self.inside.append(value)
        super().save(value, save_persistent_id)
        self.inside.pop()  # not after a failure: then it says where


class Nowhere:
    """A file for what is not to be kept."""

    def write(self, data: Any) -> None: ...


def _path(value: Any, pickler: Any) -> str:
    """The names that lead to the failure. What a pickle holds besides, such as an object's state, has none."""
    follower = _Follower(pickler)
    path, holder = "", value
    try:
        follower.dump(value)
    except Exception:
        for held in follower.inside[1:]:
            steps = _steps(holder) if path else _first_steps(holder)
            label = next((label for label, there in _quiet(steps) if there is held), None)
            if label is not None:
                path, holder = path + label, held
    return path


def _quiet(steps: Steps) -> Steps:
    """The steps up to where an object's own methods fail."""
    try:
        yield from steps
    except Exception:
        return


def _first_steps(value: Any) -> Steps:
    if type(value) is tuple and len(value) == 2 and type(value[0]) is tuple and type(value[1]) is dict:
        yield from zip(("args", "kwargs"), value, strict=True)
        yield from ((f"args{label}", held) for label, held in _steps(value[0]))
        yield from ((f"kwargs{label}", held) for label, held in _steps(value[1]))
    else:
        name = value.__qualname__ if isinstance(value, types.FunctionType | type) else "value"
        yield from ((name + label, held) for label, held in _steps(value))


def _steps(holder: Any) -> Steps:
    if isinstance(holder, _MAPPINGS):
        yield from ((f"[{key!r:.60}]", held) for key, held in holder.items())
    elif isinstance(holder, _SEQUENCES):
        yield from ((f"[{index}]", held) for index, held in enumerate(holder))
    elif isinstance(holder, types.FunctionType):
        yield from _steps_of_function(holder)
    for name, held in getattr(holder, "__dict__", {}).items():
        yield f".{name}", held
    if isinstance(holder, types.FunctionType):
        return  # what else it has are the same things under other names
    slots = [name for kind in type(holder).__mro__ for name, slot in vars(kind).items() if type(slot) is _SLOT]
    for name in (*slots, *_ATTRIBUTES):
        yield f".{name}", getattr(holder, name, None)


def _steps_of_function(function: types.FunctionType) -> Steps:
    yield from ((f".__globals__[{name!r}]", held) for name, held in function.__globals__.items())
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield f".__closure__[{name!r}]", cell.cell_contents
    yield from ((f".__defaults__[{index}]", held) for index, held in enumerate(function.__defaults__ or ()))
    yield from ((f".__kwdefaults__[{name!r}]", held) for name, held in (function.__kwdefaults__ or {}).items())
