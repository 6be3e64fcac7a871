"""The future of an executor's call: a `concurrent.futures` one whose `cancel` takes the call out of the queue.

Ended on the loop's thread, cancelled on any. While its call waits it holds on to the pool, afterwards to nothing of it:
whoever keeps results keeps no workers.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from concurrent.futures._base import CANCELLED
from typing import TYPE_CHECKING, Any, TypeVar

from millpond.executor.standard import as_standard
from millpond.wire.exceptions import as_raised

if TYPE_CHECKING:
    from millpond.core import Call

T = TypeVar("T")


class CallFuture(futures.Future[T]):
    """A future whose `cancel` also takes the call out of the queue."""

    call: Call | None = None  # until it is given to a worker, or ends without
    withdraw: Callable[[CallFuture[Any]], None] | None = None
    has_begun = False  # its call was given to a worker

    def cancel(self) -> bool:
        """True if the call will never run; a call that was given to a worker cannot be cancelled."""
        was_cancelled = self.cancelled()
        is_cancelled = super().cancel()
        if is_cancelled and not was_cancelled and self.withdraw is not None:
            self.withdraw(self)
        return is_cancelled

    def set_exception(self, exception: BaseException | None) -> None:
        """Done, with what the function raised, as the standard pool has it; on the loop's thread."""
        super().set_exception(None if exception is None else as_standard(as_raised(exception)))
        # Not before: one that another thread cancels at this moment raises above, and is still to be withdrawn.
        self.call = self.withdraw = None

    def withdrawn(self) -> Call | None:
        """Its call, if that has not ended; once, when it was cancelled; on the loop's thread."""
        call, self.call, self.withdraw = self.call, None, None
        return call

    def notify_cancelled(self) -> None:
        """Wake who waits for it, unless that was done."""
        if self._state == CANCELLED:
            self.set_running_or_notify_cancel()

    def may_begin(self) -> bool:
        """Asked when its call is about to be sent: false if it was cancelled. From now on it cannot be."""
        if not self.has_begun and self.set_running_or_notify_cancel():
            self.has_begun = True
            self.call = self.withdraw = None
        return self.has_begun
