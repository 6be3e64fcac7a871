"""Where a call's ending goes: to the ticket of whoever waits for it."""

from __future__ import annotations

from typing import Any, Protocol


class Ticket(Protocol):
    """An asyncio future, a `concurrent.futures` one, or a stream.

    A future that has its ending, because its caller left or was told, raises `InvalidStateError`; a stream takes none.
    """

    def set_result(self, value: Any, /) -> None:
        """The result."""
        ...

    def set_exception(self, error: Any, /) -> None:
        """The failure."""
        ...
