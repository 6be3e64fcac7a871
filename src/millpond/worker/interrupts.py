"""Interrupts: turns SIGURG into `Interrupted`, raised in the operation whose caller gave up, and nowhere else.

The parent sets the call's request byte in the logbook, then sends the signal, and repeats it while the grace lasts.
Decides from the stack (`stack.interruptible_call`); the loops catch what is raised.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from millpond.errors import Interrupted
from millpond.wire.logbook import INTERRUPT
from millpond.worker.stack import interruptible_call

if TYPE_CHECKING:
    from types import FrameType

    from millpond.wire.logbook import Logbook

# Why no interrupt can hit our own code, instruction by instruction. Python runs signal handlers between two
# instructions of the main thread: at the start of a function, at a backward jump, after a call returned; and inside
# native functions that look for signals (sleep, read). `frame` is then the innermost Python frame.
#
# - The loop's own instructions, before the operation and after it: `invoke` is not on the stack, nothing is raised.
#   There is no flag to set before and to clear after, so there is no gap between the flag and the call.
# - At the start of `invoke`, before the operation's first instruction: raised; nothing has run, `invoke` unwinds.
# - In the operation, in what it calls, in a native function that `invoke` itself calls (`time.sleep`): raised.
# - In `invoke` after the operation returned, before `invoke` does: raised, and the result is dropped. The caller has
#   given up already, so nobody misses it; the answer says `INTERRUPTED`.
# - In the except clause that catches it, or on the way there: `invoke` is off the stack, a repeated signal is ignored.
# - The signal was sent for call A and is handled when call B runs: B's own request byte decides, and it is clear. A
#   position is used again only after A was answered, and is reset first.
# - A frame of ours above `invoke` (a log record on its way out): `stack` finds it shielded; the next repetition comes
#   when it is over.
# - `Interrupted` raised where Python cannot pass it on (a `__del__`, a callback of native code) or caught by the
#   handler is lost; the repetition is what it is for, and in the end the grace.
#
# Async operations have no `invoke` on the stack: their tasks are cancelled instead. Threads get no signals.


class Interrupts:
    """The signal handlers of one worker; `install` from the main thread."""

    __slots__ = ("_logbook", "_on_urgent")

    def __init__(self, logbook: Logbook) -> None:
        self._logbook = logbook
        self._on_urgent = self._interrupt  # one bound method for good: compared by identity below

    def install(self) -> None:
        """Take SIGURG, and SIGINT so that a stray one costs an operation and not the worker."""
        signal.signal(signal.SIGURG, self._on_urgent)
        signal.signal(signal.SIGINT, self._interrupt_by_hand)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGURG, signal.SIGINT})

    def reinstall(self) -> None:
        """Take SIGURG back from a handler that replaced it. 0.5 us: for each read of the socket, not for each call."""
        if signal.getsignal(signal.SIGURG) is not self._on_urgent:
            signal.signal(signal.SIGURG, self._on_urgent)

    def _interrupt(self, _signum: int, frame: FrameType | None) -> None:
        fields = interruptible_call(frame)
        if fields is not None and self._logbook.request(fields[3]) == INTERRUPT:
            raise Interrupted("the caller gave this call up, or its deadline passed")

    def _interrupt_by_hand(self, _signum: int, frame: FrameType | None) -> None:
        if interruptible_call(frame) is not None:
            raise KeyboardInterrupt
