"""Classes that travel by value: built where they are new, looked up where they are known, by cloudpickle's own ids.

The process that defined a class is its home. Nothing that comes back changes it there, and no base is told of the same
subclass twice. Elsewhere the class follows its home: what the home changed since it was last sent replaces what is
here, what only this process changed stays. Used by `byvalue`; its functions are part of what is pickled.
"""

from __future__ import annotations

import abc
import types
import weakref
from collections.abc import Callable
from typing import Any

from cloudpickle import cloudpickle

from millpond.wire.mainglobals import PLAIN, mark_of

_NAMES = (str, tuple, list, dict)

# Classes that came from elsewhere: what tells of each attribute whether the home changed it since. `None` while a class
# is still without attributes, and for ever if what brings them fails.
_received: weakref.WeakKeyDictionary[type, dict[str, Any] | None] = weakref.WeakKeyDictionary()


def by_value(kind: type, reduced: Any) -> Any:
    """How the class is pickled, given how cloudpickle would do it."""
    if not isinstance(reduced, tuple) or len(reduced) != 6:
        return reduced
    make, arguments, state, items, pairs, set_up = reduced
    if kind.__qualname__ != kind.__name__:  # which cloudpickle leaves behind: pickle looks for a nested class by it
        state = (state[0] | {"__qualname__": kind.__qualname__}, state[1])
    slots = vars(kind).get("__slots__")
    # They cannot be given to a class that is there. `typing.NamedTuple` gives its own.
    if make is cloudpickle._make_skeleton_class and isinstance(slots, _NAMES) and not issubclass(kind, tuple):
        arguments[3]["__slots__"] = slots
    return find_or_make, (make, arguments), (set_up, state, kind not in _received), items, pairs, bring_up_to_date


def find_or_make(make: Callable[..., type], arguments: tuple[Any, ...]) -> type:
    """The class if this process has it, else a new one without attributes."""
    known: type | None = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(arguments[-2])
    if known is not None:
        return known
    try:
        made = make(*arguments)
    except Exception:
        # A base wants to know more of a subclass than its name, or looks for what a class without attributes lacks.
        if make is not cloudpickle._make_skeleton_class:
            raise
        made = _made_in_silence(*arguments)
    _received.setdefault(made, None)
    return made


def bring_up_to_date(kind: type, recipe: tuple[Callable[..., None], tuple[dict[str, Any], Any], bool]) -> None:
    """Give a class the attributes that came, as far as they are news here."""
    set_up, (attributes, slots), is_from_home = recipe
    if kind not in _received:
        return
    before = _received[kind]
    if before is not None and not is_from_home:
        return
    marks = {name: _mark(name, value) for name, value in attributes.items()}
    if before is None:
        set_up(kind, (attributes, slots))
    else:
        news = {name: attributes[name] for name, mark in marks.items() if mark is None or before.get(name) != mark}
        set_up(kind, (news, slots))
        for name in before.keys() - marks.keys() & vars(kind).keys():
            delattr(kind, name)
    _received[kind] = marks


def _mark(name: str, value: Any) -> Any:
    """What tells whether the value changed; `None` where nothing does."""
    if name == "_abc_impl":
        return value  # the classes registered, to which an abstract class refers weakly: they stay as long as it does
    return mark_of(value) if type(value) in PLAIN else None


class _Complete(Exception):
    """Ends the making of a class."""

    kind: type | None = None

    def __set_name__(self, kind: type, name: str) -> None:
        self.kind = kind
        raise self


def _made_in_silence(
    meta: type, name: str, bases: tuple[Any, ...], namespace: dict[str, Any], tracker_id: str | None, extra: Any
) -> type:
    """A class made without telling its bases or its metaclass: all they did to the original comes with its attributes.

    `type.__new__` tells the bases last. Before that, when the class is complete, it tells what the class has their
    names, and an error there leaves the class as it is.
    """
    complete = _Complete()
    try:
        type.__new__(meta, name, types.resolve_bases(bases), {**namespace, "_complete": complete})
    except (_Complete, RuntimeError):  # the second is how Python 3.11 says it
        if complete.kind is None:
            raise
    kind: Any = complete.kind
    type.__delattr__(kind, "_complete")
    if isinstance(kind, abc.ABCMeta):
        abc._abc_init(kind)  # type: ignore[attr-defined]
    made: type = cloudpickle._lookup_class_or_track(tracker_id, kind)
    return made
