"""The list of what travels: each kind has a maker of its value and a probe, a function from the value to plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """One kind of value. `carried` is false where the right answer is a refusal."""

    name: str
    make: Callable[[], Any]
    probe: Callable[[Any], Any]
    is_carried: bool


KINDS: dict[str, Kind] = {}


def kind(name: str, make: Callable[[], Any], probe: Callable[[Any], Any]) -> None:
    """A kind that arrives equal, wherever it goes."""
    assert name not in KINDS, name
    KINDS[name] = Kind(name, make, probe, is_carried=True)


def refused(name: str, make: Callable[[], Any]) -> None:
    """A kind that no process can have from another; whoever tries is told."""
    assert name not in KINDS, name
    KINDS[name] = Kind(name, make, lambda value: "carried", is_carried=False)
