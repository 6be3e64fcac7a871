"""A running call as the frames that arrive meanwhile see it: a stream's credit, and whether it was asked to stop.

The loop that reads the socket grants and stops; whoever runs the call counts what was sent and waits. Each number has
one writer, so that threads need no lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    import threading

    from millpond.wire.frames import Fields


@dataclass(slots=True, eq=False, repr=False)
class Running:
    """One call beyond the fast path. `granted` items may be sent in all, `sent` were; `bell` wakes who waits for more.
    `task` is the asyncio task while it waits for the handler's own code, so that only that is cancelled.
    """

    fields: Fields
    granted: int
    sent: int = 0
    started: float = 0.0  # when it was claimed
    is_stopped: bool = False
    bell: asyncio.Event | threading.Event | None = None
    task: Any = None

    def grant(self, items: int) -> None:
        """The reader took so many items."""
        self.granted += items
        self._ring()

    def stop(self) -> None:
        """The caller gave the call up. Said again it changes nothing: a clean-up is not to be cancelled as well."""
        # `task` is set only while the task waits for the handler's own code, and read on the same thread: our own code
        # is never cancelled. `is_stopped` comes before the bell, so that who is woken sees it.
        if self.task is not None and not self.is_stopped:
            self.task.cancel()
        self.is_stopped = True
        self._ring()

    def may_go_on(self) -> bool:
        """Whether there is no need to wait: for another item, or to stop."""
        return self.sent < self.granted or self.is_stopped

    def _ring(self) -> None:
        if self.bell is not None:
            self.bell.set()
