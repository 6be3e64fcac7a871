"""Says when the pool stood still for long, and of whom: its loop was blocked, or the whole program did not run.

Told when a wake-up came late; what that means for those who are judged is the core's to decide. A thread beside the
loop tells the two apart: while code blocks the loop the thread goes on, while the program is stopped it does not.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from millpond import events
from millpond.core import LATE_S

if TYPE_CHECKING:
    from millpond.telemetry.bus import Bus

STALL_S = 1.0  # what is shorter is not reported
LOOK_S = 0.25  # between two looks of the thread at the time
LOOP, PROGRAM = "loop", "program"
CLOSE_S = 1.0


class Stalls:
    """Those of one pool: `counts` of either kind, and the `last`: when it ended, its seconds, and its kind."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._program = ProgramWatch()
        self.counts = {LOOP: 0, PROGRAM: 0}
        self.last: tuple[float, float, str] | None = None

    def watch(self) -> None:
        """Begin to tell the one from the other."""
        self._program.start()

    def close(self) -> None:
        """End the thread."""
        self._program.stop()

    def note(self, begin: float, end: float) -> None:
        """The pool was to be awake at `begin`, and was so at `end`."""
        seconds = end - begin
        if seconds < STALL_S:
            return
        kind = PROGRAM if self._program.stopped_s(begin, end) > seconds / 2 else LOOP
        self.counts[kind] += 1
        self.last = (end, seconds, kind)
        if self._bus.has_listener(events.PoolStalled.name):
            self._bus.execute(events.PoolStalled(seconds, kind))


class ProgramWatch:
    """A thread that looks at the time as long as the program runs.

    Native code that keeps the interpreter's lock keeps it from that as well; then the program uses its processor, which
    a stopped one does not.
    """

    def __init__(self) -> None:
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None
        # The thread writes these two and the loop reads them, without a lock: each pair is replaced as a whole, so that
        # a reader has the old one or the new one. A stop that the thread has not noticed yet the reader finds by
        # itself.
        self._looked = (0.0, 0.0)  # time and the program's processor time
        self._stop = (0.0, 0.0)  # when it last could not look, from and to

    def start(self) -> None:
        """Look from now on. Without a thread (an interpreter that ends gives none) every stall is the loop's."""
        self._ends.clear()
        self._looked = _moment()
        thread = threading.Thread(target=self._live, name="millpond-watch", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return
        self._thread = thread

    def stop(self) -> None:
        """Look no more."""
        if self._thread is not None:
            self._ends.set()
            self._thread.join(CLOSE_S)
            self._thread = None

    def stopped_s(self, since: float, until: float) -> float:
        """Seconds between the two times in which the program did not run, as far as known."""
        if self._thread is None:
            return 0.0
        begin, end = self._stop_now() or self._stop
        return max(0.0, min(end, until) - max(begin, since))

    def _live(self) -> None:
        while not self._ends.wait(LOOK_S):
            self._stop = self._stop_now() or self._stop
            self._looked = _moment()

    def _stop_now(self) -> tuple[float, float] | None:
        """The stop that the next look will find, if there is one."""
        (last, cpu_s), (now, cpu_now_s) = self._looked, _moment()
        silent_s = now - last
        is_stop = silent_s > LOOK_S + LATE_S and cpu_now_s - cpu_s < silent_s / 2
        return (last, now) if is_stop else None


def _moment() -> tuple[float, float]:
    return time.monotonic(), time.process_time()
