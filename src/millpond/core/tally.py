"""What is counted beside the ledger of calls, and the samples that ended calls leave for whoever adds them up.

Samples are taken only while somebody reads them (`Records.note_end`): five numbers a call into its operation's arrays,
handed over whole at each reading. Decides nothing; the metrics come after it.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from millpond.core.call import ENDINGS
from millpond.errors import PoolError

if TYPE_CHECKING:
    from typing import Any

    from millpond.core.call import Call
    from millpond.core.worker import Worker
    from millpond.errors import Ending

ROOM = 200_000  # calls an operation between two readings; what ends beyond is counted and leaves no samples
UNTIMED = ("cancelled", "rejected")  # their callers left or were refused: how long that took is no latency


def error_code(error: object) -> str:
    """The code a failed call is counted under."""
    return error.code if isinstance(error, PoolError) else "handler_error"


class Samples:
    """What one operation's calls left since the last reading (arrays), and since the pool opened (`endings`, `codes`).

    `count` is how many calls ended; above `limit` they find no room until the next reading.
    """

    __slots__ = (
        "answer_bytes",
        "codes",
        "count",
        "dropped",
        "endings",
        "latencies",
        "limit",
        "read_at",
        "request_bytes",
        "services",
        "waits",
    )

    def __init__(self) -> None:
        self.count = 0
        self.read_at = 0  # the count at the last reading
        self.limit = ROOM
        self.dropped = 0
        self.endings: dict[str, int] = dict.fromkeys(ENDINGS, 0)  # without those that are `ok`
        self.codes: dict[str, int] = {}
        self.renew()

    def renew(self) -> None:
        """Begin new arrays; whoever took the old ones has them to himself."""
        self.dropped += max(0, self.count - self.limit)
        self.read_at, self.limit = self.count, self.count + ROOM
        self.waits = array("d")  # seconds from submission to being sent, the first time
        self.services = array("d")  # seconds in the worker, of calls that were answered
        self.latencies = array("d")  # seconds from submission to the ending
        self.request_bytes = array("d")
        self.answer_bytes = array("d")  # of results; a stream's items are not in it

    def all_endings(self) -> dict[str, int]:
        """Calls by ending."""
        others = sum(self.endings.values())
        return self.endings | {"ok": self.count - others}


class Tally:
    """Counters of one pool, since it opened; `busy_s` and `available_s` are those of the workers that are gone."""

    __slots__ = (
        "affinity_hits",
        "affinity_misses",
        "available_s",
        "busy_s",
        "cold_calls",
        "deaths",
        "interrupts",
        "sessions_closed",
        "sessions_lost",
        "sessions_moved",
        "sessions_opened",
        "start_failures",
        "start_seconds",
    )

    def __init__(self) -> None:
        self.deaths: dict[str, int] = {}  # cause -> workers
        self.start_failures = 0
        self.start_seconds = array("d")  # of the workers that became ready since the last reading
        self.cold_calls = 0  # given to a worker the moment it became ready: they waited for its start
        self.interrupts = 0
        self.sessions_opened = 0
        self.sessions_closed = 0
        self.sessions_lost = 0
        self.sessions_moved = 0
        self.affinity_hits = 0  # sessions' calls given to the worker that holds their session
        self.affinity_misses = 0  # those given to another, which has to be told of the session first
        self.busy_s = 0.0
        self.available_s = 0.0

    def buried(self, worker: Worker, cause: str, now: float) -> None:
        """A worker is gone, and what it held was taken from it."""
        self.deaths[cause] = self.deaths.get(cause, 0) + 1
        self.busy_s += worker.busy_s
        if worker.ready_at:
            self.available_s += now - worker.ready_at

    def ended(self, call: Call, ending: Ending, value: Any, now: float) -> None:
        """Take the samples of a call that ended."""
        samples = call.op.samples
        samples.count = count = samples.count + 1
        if ending != "ok":
            self._failed(samples, call, ending, value)
        if count > samples.limit:
            return
        submitted = call.submitted_at
        samples.request_bytes.append(call.nbytes)
        if ending == "ok" and call.attempts == 1:
            samples.waits.append(call.sent_at - submitted)
            samples.services.append(call.service_s)
            samples.latencies.append(now - submitted)
            samples.answer_bytes.append(call.worker.answer_bytes)  # type: ignore[union-attr]
        else:
            self._sample_slowly(samples, call, ending, now)

    def tried_again(self, call: Call) -> None:
        """A call is put on the shelf: if it was its first, its wait ended when it was sent."""
        samples = call.op.samples
        if call.attempts == 1 and samples.count < samples.limit:
            samples.waits.append(call.sent_at - call.submitted_at)

    def _failed(self, samples: Samples, call: Call, ending: Ending, value: Any) -> None:
        code = error_code(value)
        samples.endings[ending] += 1
        samples.codes[code] = samples.codes.get(code, 0) + 1

    def _sample_slowly(self, samples: Samples, call: Call, ending: Ending, now: float) -> None:
        if call.attempts == 1:
            samples.waits.append(call.sent_at - call.submitted_at)
        if ending in ("ok", "failed"):
            samples.services.append(call.service_s)
        if ending == "ok":
            samples.answer_bytes.append(call.worker.answer_bytes)  # type: ignore[union-attr]
        if ending not in UNTIMED:
            samples.latencies.append(now - call.submitted_at)
