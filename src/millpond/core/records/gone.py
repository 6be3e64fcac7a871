"""Workers that are gone, as far as they are remembered: how each ended, and the end of what it wrote.

Ids, names and numbers; nothing of a call's or a session's is kept alive by them. Told by `fleet.remove` alone.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from millpond.core.records.ended import TAIL

if TYPE_CHECKING:
    from millpond.core.records.worker import Worker
    from millpond.seams import Death

MOST_GONE = 100  # that are remembered


class GoneWorker(msgspec.Struct, gc=False):
    """One that is gone; `gone_at` is a time of the pool's clock, `lost` are calls that it had begun."""

    worker: int
    pid: int
    gone_at: float
    cause: str
    reason: str
    signal: int | None
    exit_code: int | None
    lost: int
    sessions: int
    seconds: float
    stderr_tail: str


class GoneWorkers:
    """The last that went, the newest at the end."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: deque[GoneWorker] = deque(maxlen=MOST_GONE)

    def note(self, worker: Worker, cause: str, reason: str, death: Death, lost: int, now: float) -> None:
        """Remember one whose sessions are still bound to it."""
        how, tail = (death.signal, death.exit_code), death.stderr_tail[-TAIL:]
        sessions, alive_s = len(worker.sessions), now - worker.started_at
        gone = GoneWorker(worker.id, worker.pid, now, cause, reason, *how, lost, sessions, alive_s, tail)
        self.last.append(gone)
