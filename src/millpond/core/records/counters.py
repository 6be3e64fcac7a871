"""What is counted beside the ledger of calls, and the samples that ended calls leave for whoever adds them up.

Samples are taken only while somebody reads them (`Records.is_sampled`): one row of numbers a call into its operation's
buffer, handed over whole at each reading. Where calls come in tens of thousands a second, one in a few leaves a row, at
random, and says how many it stands for. Decides nothing; the metrics come after it.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.core.records.call import ENDINGS
from millpond.texts import is_pool_error

if TYPE_CHECKING:
    from typing import Any

    from millpond.core.records.call import Call
    from millpond.core.records.worker import Worker
    from millpond.errors import Ending

# A row: when the call was submitted, when it was sent, its seconds in the worker, when it ended, bytes of its arguments
# and of its result (a stream's items are not in it), and how many calls it stands for. 0.35 us a row; five arrays to
# append to would take twice that.
ROW = struct.Struct("7d")
ROW_BYTES = ROW.size
FIRST_ROOM = 64  # rows
# Rows an operation and second that are enough: in a minute 240,000, of which 240 lie beyond p99.9. A row for each call
# costs 4 % of the rate at 80,000 calls a second, so many rows 1 %.
ENOUGH = 4_000
STEP = ENOUGH // 2  # rows between two readings after which half as many will do, again and again
MOST_OTHERS = 200_000  # calls that ended otherwise, between two readings; those beyond are counted and leave no sample
SHORTEST_S = 0.01  # between two readings, as far as rates are concerned
UNTIMED = ("cancelled", "rejected")  # their callers left or were refused: how long that took is no latency

_pack_into = ROW.pack_into


def error_code(error: object) -> str:
    """The code a failed call is counted under."""
    return error.code if is_pool_error(error) else "handler_error"


@dataclass(slots=True, eq=False, repr=False)
class Samples:
    """What one operation's calls left since the last reading, and how they ended since the pool opened.

    `rows` are those of the calls that went the usual way: answered, at the first attempt; `filled` bytes are used. The
    others are in the arrays, which need not be of one length. `left` calls of the usual way have yet to end until the
    next leaves a row, which stands for `gap` calls.
    """

    dropped: int = 0  # calls that found no room
    # Those in `rows` are not in it yet
    endings: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDINGS, 0))
    codes: dict[str, int] = field(default_factory=dict)
    _stride: int = 1  # calls to a row, on average
    _chance: int = 1
    _taken_at: float = 0.0
    gap: int = field(init=False)
    left: int = field(init=False)
    rows: bytearray = field(init=False)
    filled: int = field(init=False)
    _passed: int = field(init=False)
    _thin_at: int = field(init=False)
    has_others: bool = field(init=False)
    waits: array[float] = field(init=False)
    services: array[float] = field(init=False)
    latencies: array[float] = field(init=False)
    request_bytes: array[float] = field(init=False)

    def __post_init__(self) -> None:
        self._renew(FIRST_ROOM)

    @property
    def has_news(self) -> bool:
        """Whether any call ended since the last reading."""
        return bool(self.filled or self.has_others)

    def take(self, now: float) -> tuple[memoryview, int, array[float], array[float], array[float], array[float]]:
        """The rows, how many calls ended after the last of them, and what the other calls left: the caller's to keep.

        The others' are waits, services, latencies and request bytes.
        """
        after = self.gap - self.left
        taken = memoryview(self.rows)[: self.filled], after
        others = self.waits, self.services, self.latencies, self.request_bytes
        calls = self._passed + after
        self.endings["ok"] += calls
        elapsed_s, self._taken_at = max(now - self._taken_at, SHORTEST_S), now
        self._stride = max(1, int(calls / elapsed_s) // ENOUGH)
        self._renew(max(FIRST_ROOM, self.filled // ROW_BYTES))
        return *taken, *others

    def took(self) -> None:
        """A row was written: draw how many calls go by until the next, so that no pattern of theirs is followed."""
        self.filled += ROW_BYTES
        self._passed += self.gap
        if self.filled >= self._thin_at:  # more than before, or the first after a pause
            self._stride *= 2
            self._thin_at += STEP * ROW_BYTES
        if self._stride > 1:
            self._chance = self._chance * 1_103_515_245 + 12_345 & 0x7FFFFFFF
            self.gap = 1 + (self._chance >> 8) % (2 * self._stride - 1)
        self.left = self.gap

    def grow(self) -> None:
        """Make room for more rows."""
        self.rows += bytes(len(self.rows))

    def _renew(self, room: int) -> None:
        self.rows = bytearray(room * ROW_BYTES)
        self.filled = self._passed = 0
        self._thin_at = STEP * ROW_BYTES
        self.gap = self.left = 1
        self.has_others = False
        self.waits = array("d")
        self.services = array("d")
        self.latencies = array("d")
        self.request_bytes = array("d")


@dataclass(slots=True, eq=False, repr=False)
class Counters:
    """Counters of one pool, since it opened; `busy_s` and `available_s` are those of the workers that are gone."""

    deaths: dict[str, int] = field(default_factory=dict)  # cause -> workers
    start_failures: int = 0
    # Of the workers that became ready since the last reading
    start_seconds: array[float] = field(default_factory=lambda: array("d"))
    cold_calls: int = 0  # given to a worker the moment it became ready: they waited for its start
    interrupts: int = 0
    sessions_opened: int = 0
    sessions_closed: int = 0
    sessions_lost: int = 0
    sessions_moved: int = 0
    sessions_slept: int = 0
    sessions_woken: int = 0
    sessions_restored: int = 0
    store_failures: int = 0  # records that could not be stored or read
    affinity_hits: int = 0  # sessions' calls that were run where the session's state was
    affinity_misses: int = 0  # those for which its state was brought to another worker first
    busy_s: float = 0.0
    available_s: float = 0.0

    def take_start_seconds(self) -> array[float]:
        """How long starts took since this was asked last."""
        taken, self.start_seconds = self.start_seconds, array("d")
        return taken

    def worker_gone(self, worker: Worker, cause: str, now: float) -> None:
        """A worker is gone, and what it held was taken from it."""
        self.deaths[cause] = self.deaths.get(cause, 0) + 1
        self.busy_s += worker.busy_s
        if worker.ready_at:
            self.available_s += now - worker.ready_at


def note_end(call: Call, ending: Ending, value: Any, now: float) -> None:
    """Take the sample of a call that ended. `endings.finish` passes over those that shall leave none."""
    samples = call.op.samples
    if ending != "ok" or call.attempts != 1:
        _note_other(samples, call, ending, value, now)
        return
    at = samples.filled
    sizes = call.nbytes, call.answer_bytes
    try:
        _pack_into(samples.rows, at, call.submitted_at, call.sent_at, call.service_s, now, *sizes, samples.gap)
    except struct.error:
        samples.grow()
        note_end(call, ending, value, now)
    else:
        samples.took()


def note_retry(call: Call) -> None:
    """A call that began is to be tried again: if that was its first attempt, its wait had ended when it was sent."""
    if call.attempts == 1 and len(call.op.samples.waits) < MOST_OTHERS:
        call.op.samples.waits.append(call.sent_at - call.submitted_at)


def _note_other(samples: Samples, call: Call, ending: Ending, value: Any, now: float) -> None:
    samples.has_others = True
    if ending != "ok":
        code = error_code(value)
        samples.codes[code] = samples.codes.get(code, 0) + 1
    samples.endings[ending] += 1
    if len(samples.request_bytes) >= MOST_OTHERS:
        samples.dropped += 1
        return
    samples.request_bytes.append(call.nbytes)
    if call.attempts == 1:
        samples.waits.append(call.sent_at - call.submitted_at)
    elif not call.attempts and ending == "expired":  # else the wait shown under overload would be the survivors'
        samples.waits.append(now - call.submitted_at)
    if ending in ("ok", "failed"):
        samples.services.append(call.service_s)
    if ending not in UNTIMED:
        samples.latencies.append(now - call.submitted_at)
