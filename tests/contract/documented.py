"""A handler with type hints of many kinds, and one for the documents of calls."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import millpond

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Item:
    name: str
    count: int = 1
    when: datetime.date | None = None


class Shop:
    """What documents are sent to."""

    def price(self, item: Item, times: int = 1) -> list[Item]:
        """Price an item."""
        return [item] * times

    def kinds(self, item: Any, colour: Colour = Colour.RED) -> list[str]:
        return [type(item).__name__, type(colour).__name__]

    def raw(self, data: bytes, more: str = "") -> bytes:
        return data + more.encode()

    def unknown(self, value: Missing) -> str:  # type: ignore[valid-type]
        return type(value).__name__

    def attributes(self, items: list[Item]) -> list[list[str]]:
        return [sorted(vars(item)) for item in items]

    def spread(self, a: int, b: int = 2, /, c: int = 3, *rest: int, d: int = 4, **more: int) -> list[Any]:
        return [a, b, c, list(rest), d, more]

    def nothing(self) -> None:
        return None

    def strange(self) -> object:
        return object()

    def fail(self, text: str) -> None:
        raise LookupError(text)

    async def later(self, number: float) -> float:
        return number

    def say(self, text: str, *, session: millpond.Session | None = None) -> list[Any]:
        return [text, None if session is None else session.id]

    def hold(self, *, session: Any) -> str:
        return str(session.id)

    def letters(self, text: str) -> Iterator[str]:
        yield from text

    async def numbers(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    def broken(self, count: int) -> Iterator[int]:
        yield from range(count)
        raise LookupError("no more")
