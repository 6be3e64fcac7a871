"""The options of a call: what they may be, checked where they are given, the same at a pool and at a client of one.

Part of the vocabulary; the call factory and the client read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from millpond.errors import BadArgument
from millpond.labels import LONGEST_BYTES, is_label
from millpond.settings import HIGHEST_PRIORITY, LONGEST_DEADLINE_S, OnCancel, nearest

UNSET = -1.0  # a deadline that was not given: the pool's default


@dataclass(frozen=True, slots=True)
class Options:
    """How a call is to be treated; never mixed with its arguments."""

    deadline: float = UNSET  # seconds from now; infinite for none; unset for the pool's default
    session: Any = None  # an open session's id, or the session as whoever makes the call knows it
    idempotent: bool = False
    priority: int = 0
    on_cancel: OnCancel = "interrupt"

    def changed(self, changes: dict[str, Any]) -> Options:
        """A copy with `changes`; raises `TypeError` or `ValueError` for what no call can have."""
        for name, value in changes.items():
            if name not in _CHECKS:
                raise TypeError(f"unknown option {name!r}; did you mean {nearest(name, _CHECKS)!r}?")
            if not _CHECKS[name](value):
                raise ValueError(f"option {name} cannot be {value!r}{_BOUNDS.get(name, '')}")
        return replace(self, **{name: _plain(name, value) for name, value in changes.items()})


def _plain(name: str, value: Any) -> Any:
    """The value as what it is a subclass of: the core compares and adds it, and runs nobody's methods."""
    if name == "deadline" and value is None:
        return math.inf
    kind = _KINDS.get(name)
    return value if kind is None or value is None else kind(value)


def _is_duration(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and 0 <= value <= LONGEST_DEADLINE_S)


def _is_priority(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -HIGHEST_PRIORITY <= value <= HIGHEST_PRIORITY


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "deadline": _is_duration,
    "session": lambda value: value is None or is_label(value),
    "idempotent": lambda value: isinstance(value, bool),
    "priority": _is_priority,
    "on_cancel": lambda value: isinstance(value, str) and str.__str__(value) in ("interrupt", "abandon"),
}
_KINDS: dict[str, Callable[[Any], Any]] = {"deadline": float, "priority": int, "session": str.__str__}
_BOUNDS = {
    "deadline": f"; it is from 0 to {LONGEST_DEADLINE_S:g} seconds, or None for none",
    "session": f"; it is an open session's id, 1 to {LONGEST_BYTES} bytes of UTF-8",
    "priority": f"; it is a whole number from {-HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}",
}
DEFAULT = Options()


def check_operation(name: object) -> str:
    """The name of an operation, as plain text. Raises `BadArgument` for what can be none."""
    if not isinstance(name, str):
        raise BadArgument(f"the first argument is the operation's name, not {name!r}; functions go to pool.run()")
    if not is_label(name):
        raise BadArgument(f"an operation's name is 1 to {LONGEST_BYTES} bytes of UTF-8, not {name[:40]!r}...")
    return str.__str__(name)
