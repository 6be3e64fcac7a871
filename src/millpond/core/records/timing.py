"""When what must happen: deadlines in a wheel, everything rarer on an agenda, and time in which the pool did not run.

A wheel adds and forgets a deadline in constant time, which every call does; the agenda is a heap for retries, graces,
restarts and checks. Neither reads a clock; both bring the alarm forward when something earlier is added. Whoever is
judged by how long they were silent, slow or stopped is judged by time in which the pool ran.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.core.records.call import Call

TICKS = 128  # a second; a deadline is noticed at most 1/128 s late
AWAKE_S = 0.25  # seconds a pool that stood still is awake at least before it judges: the judged may have slept, too
LATE_S = 0.1  # a wake-up that comes later than this, and the pool stood still; what is shorter, loops have all the time
KEPT = 64  # standstills that are remembered; time before the oldest counts as time in which the pool ran
JITTER = 0.25  # a pause is up to this share longer or shorter
DOUBLINGS = 60  # beyond, it would be no number any more; the longest pause was reached long before
LONGEST_PAUSE = 5.0  # seconds


def backoff(first: float, attempt: int, chance: float, longest: float = LONGEST_PAUSE) -> float:
    """Seconds to pause before the attempt after `attempt` (from 1): doubling, with jitter, `longest` at most.

    `chance` is in [0, 1).
    """
    pause = min(first * 2.0 ** min(attempt - 1, DOUBLINGS), longest)
    shortest, most = pause * (1 - JITTER), min(pause * (1 + JITTER), longest)
    return shortest + (most - shortest) * chance


class Standstills:
    """The last standstills, each from when the pool should have been awake to when it was."""

    __slots__ = ("_past",)

    def __init__(self) -> None:
        self._past: deque[tuple[float, float]] = deque(maxlen=KEPT)  # (begin, end), ascending, none overlaps another

    def note(self, begin: float, end: float) -> None:
        """The pool was to be awake at `begin` and was so at `end`."""
        self._past.append((begin, end))

    def covers(self, at: float, until: float) -> bool:
        """Whether the pool stood still at some time between the two."""
        return any(begin <= until and at <= end for begin, end in self._past)

    def within(self, since: float, now: float) -> float:
        """Seconds between the two times in which the pool stood still."""
        still_s = 0.0
        for begin, end in reversed(self._past):
            if end <= since:
                break
            still_s += max(0.0, min(end, now) - max(begin, since))
        return still_s


class Alarm:
    """When whoever drives the core has to wake it: at `at` or earlier, never later.

    `beat_at` is theirs: when they are awake again in any case. Who comes later than that stood still meanwhile. Without
    it a pool that has nothing to do for a minute would not notice that it slept through half of it.
    """

    __slots__ = ("at", "beat_at")

    def __init__(self) -> None:
        self.at = self.beat_at = math.inf

    @property
    def wake_at(self) -> float:
        """When they are awake again."""
        return min(self.at, self.beat_at)

    def set(self, at: float) -> None:
        """Bring it forward, if that is earlier."""
        if at < self.at:
            self.at = at


class Wheel:
    """Calls by the tick in which their deadline has passed."""

    __slots__ = ("_alarm", "_due", "_slots")

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm
        self._slots: dict[int, dict[int, Call]] = {}  # tick -> call id -> call
        self._due: list[int] = []  # heap of the ticks that have a slot

    def __iter__(self) -> Iterator[Call]:
        for slot in self._slots.values():
            yield from slot.values()

    def add(self, call: Call) -> None:
        """Watch a call's deadline (not infinite)."""
        tick = int(call.deadline * TICKS) + 1
        slot = self._slots.get(tick)
        if slot is None:
            slot = self._open(tick)
        slot[call.id] = call
        call.tick = slot

    def discard(self, call: Call) -> None:
        """Watch it no more; slots that become empty stay until their time, so that each tick is on the heap once."""
        slot = call.tick
        if slot is not None:
            slot.pop(call.id, None)
            call.tick = None

    def next_at(self) -> float:
        """The earliest time at which something may be due; infinite when nothing is watched."""
        while self._due:
            tick = self._due[0]
            if self._slots[tick]:
                return tick / TICKS
            del self._slots[heapq.heappop(self._due)]
        return math.inf

    def due(self, now: float) -> list[Call]:
        """Take out the calls whose deadline has passed."""
        passed: list[Call] = []
        while self._due and self._due[0] / TICKS <= now:
            passed += self._slots.pop(heapq.heappop(self._due)).values()
        return passed

    def _open(self, tick: int) -> dict[int, Call]:
        slot = self._slots[tick] = {}
        heapq.heappush(self._due, tick)
        self._alarm.set(tick / TICKS)
        return slot


class Agenda:
    """Things to do later, each a verb and its subject; whoever does them checks that they still matter."""

    __slots__ = ("_alarm", "_entries", "_order", "_standstills")

    def __init__(self, alarm: Alarm, standstills: Standstills) -> None:
        self._alarm = alarm
        self._standstills = standstills
        # (at, order, verb, subject, since when `allow` gives it time or `None`)
        self._entries: list[tuple[float, int, str, Any, float | None]] = []
        self._order = itertools.count()

    def add(self, at: float, verb: str, subject: Any = None) -> None:
        """Note that `verb` is to be done to `subject` at the time `at`."""
        self._push(at, verb, subject, None)

    def allow(self, seconds: float, verb: str, subject: Any, now: float) -> None:
        """Note that `verb` is to be done to `subject` when the pool has run for so many seconds from now."""
        self._push(now + seconds, verb, subject, now)

    def _push(self, at: float, verb: str, subject: Any, since: float | None) -> None:
        heapq.heappush(self._entries, (at, next(self._order), verb, subject, since))
        self._alarm.set(at)

    def drop(self, verb: str) -> None:
        """Forget every entry of a verb; walks over all."""
        self._entries = [entry for entry in self._entries if entry[2] != verb]
        heapq.heapify(self._entries)

    def __contains__(self, what: tuple[str, Any]) -> bool:
        return any((verb, subject) == what for _, _, verb, subject, _ in self._entries)

    def next_at(self) -> float:
        """When the first entry is due; infinite when there is none."""
        return self._entries[0][0] if self._entries else math.inf

    def due(self, now: float) -> Iterator[tuple[str, Any]]:
        """Take out what is due, in order of time; entries added meanwhile wait for the next look."""
        last = next(self._order)
        while self._entries and self._entries[0][0] <= now and self._entries[0][1] < last:
            at, _, verb, subject, since = heapq.heappop(self._entries)
            still_s = self._standstills.within(since, now) if since is not None else 0.0
            if not still_s:
                yield verb, subject
            elif at + still_s > now + AWAKE_S:
                self._push(at + still_s, verb, subject, now)
            else:  # for the last time: else a loop that is always late would never judge
                self._push(now + AWAKE_S, verb, subject, None)
