"""A running call as the frames that arrive meanwhile see it: a stream's credit, and whether it was asked to stop.

The loop that reads the socket grants and stops; whoever runs the call counts what was sent and waits. Each number has
one writer, so that threads need no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from millpond.wire.frames import Fields


class Bell(Protocol):
    """What an event of asyncio and one of threading have in common."""

    def set(self) -> None:
        """Wake whoever waits."""
        ...


class Running:
    """One call beyond the fast path. `granted` items may be sent in all, `sent` were; `bell` wakes who waits for more.
    `task` is the asyncio task while it waits for the handler's own code, so that only that is cancelled.
    """

    __slots__ = ("bell", "fields", "granted", "is_stopped", "sent", "task")

    def __init__(self, fields: Fields, window: int, bell: Bell | None = None) -> None:
        self.fields = fields
        self.granted = window
        self.sent = 0
        self.bell = bell
        self.is_stopped = False
        self.task: Any = None

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
