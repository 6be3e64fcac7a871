"""A handler whose operations take and give values of many kinds, for requests that nobody thought of."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import msgspec

import millpond

SHORT = Annotated[int, msgspec.Meta(ge=0, le=20)]


@dataclasses.dataclass
class Item:
    """One thing."""

    name: str
    count: int = 1
    tags: list[str] | None = None


class Fuzzed:
    """Answers whatever it is asked."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}

    def price(self, item: Item, times: SHORT = 1) -> list[Item]:
        """Price an item.

        As often as it says.
        """
        return [item] * times

    def total(self, items: list[Item], rate: float = 1.0) -> dict[str, float]:
        """Add up."""
        return {one.name: float(len(one.name)) for one in items}

    def colour(self, name: Literal["red", "green"], more: bool | None = None) -> str:
        """Say a colour."""
        return name

    def anything(self, value: Any = None, /, *rest: int, key: str = "") -> Any:
        """Give it back."""
        return value

    def nothing(self) -> None:
        """Do nothing."""

    def count(self, step: SHORT, *, session: millpond.Session) -> int:
        """Count in a session."""
        self.kept[session.id] = self.kept.get(session.id, 0) + step
        return self.kept[session.id]

    def letters(self, text: str) -> Iterator[str]:
        """Its letters, one by one."""
        yield from text

    async def numbers(self, count: SHORT) -> AsyncIterator[int]:
        """Numbers up to one."""
        for number in range(count):
            yield number


NAME = f"{__name__}:Fuzzed"
