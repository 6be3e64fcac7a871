"""Where a call's ending goes: to the ticket of whoever waits for it."""

from __future__ import annotations

from typing import Any, Protocol


class Ticket(Protocol):
    """An asyncio future, a `concurrent.futures` one, or a stream."""

    def done(self) -> bool:
        """Whether the caller has left or was told."""
        ...

    def set_result(self, value: Any, /) -> None:
        """The result."""
        ...

    def set_exception(self, error: Any, /) -> None:
        """The failure."""
        ...
