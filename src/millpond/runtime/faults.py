"""What raised that should not have: logged the first time, counted ever after.

Orders of the core's, and what a program's own code raises where the pool calls it (a tracer, a callback). Whoever calls
it goes on; nothing is decided here. `statistics().faults` and the health's notes show the counts.
"""

from __future__ import annotations

import threading

from millpond.logger.pool_logger import PoolLogger

log = PoolLogger("millpond")

# A program's code may raise these on the pool's loop, and so may the interpreter, for Ctrl-C: they are never kept.
INTERRUPTS = (KeyboardInterrupt, SystemExit)


class Faults:
    """Those of one pool. `counts`: where -> how often; the names are from a closed set."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._noting = threading.RLock()  # callers' threads note faults of their tracer, too

    def note(self, where: str, error: BaseException, what_now: str = "the pool goes on") -> None:
        """Count what was raised there, and log it the first time; raises nothing."""
        with self._noting:
            times = self.counts[where] = self.counts.get(where, 0) + 1
        if times == 1:
            log.raised(error, "%s raised; %s, and this is not logged again", where, what_now)

    def seen(self) -> dict[str, int]:
        """A copy of the counts; from any thread."""
        with self._noting:
            return dict(self.counts)
