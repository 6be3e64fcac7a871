"""Workers that are gone, as far as they are remembered: how each ended, and the end of what it wrote.

Ids, names and numbers; nothing of a call's or a session's is kept alive by them. Told by `fleet.remove` alone.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from millpond.core.records.ended import TAIL
from millpond.core.records.worker import RECYCLED, RETIRED

if TYPE_CHECKING:
    from millpond.core.records.worker import Worker
    from millpond.seams import Death

PLANNED = (RETIRED, RECYCLED)  # causes
MOST_LOST = 100  # that are remembered, of those that the pool did not want to go
MOST_PLANNED = 50  # of the others, which may be many a minute


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
    """The last that went; those that were retired or recycled push out none that was lost."""

    __slots__ = ("_lost", "_planned")

    def __init__(self) -> None:
        self._lost: deque[GoneWorker] = deque(maxlen=MOST_LOST)
        self._planned: deque[GoneWorker] = deque(maxlen=MOST_PLANNED)

    def last(self) -> tuple[GoneWorker, ...]:
        """All that are remembered, the newest at the end."""
        return tuple(sorted((*self._planned, *self._lost), key=_gone_at))

    def note(self, worker: Worker, cause: str, reason: str, death: Death, lost: int, now: float) -> None:
        """Remember one whose sessions are still bound to it."""
        how, tail = (death.signal, death.exit_code), death.stderr_tail[-TAIL:]
        sessions, alive_s = len(worker.sessions), now - worker.started_at
        gone = GoneWorker(worker.id, worker.pid, now, cause, reason, *how, lost, sessions, alive_s, tail)
        (self._planned if cause in PLANNED else self._lost).append(gone)


def _gone_at(gone: GoneWorker) -> float:
    return gone.gone_at
