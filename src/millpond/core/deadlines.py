"""When what must happen: deadlines of calls in a wheel, everything rarer on an agenda.

A wheel adds and forgets a deadline in constant time, which every call does; the agenda is a heap for chores, retries,
graces and restarts. Neither reads a clock; both bring an alarm forward when something earlier is added.
"""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.core.call import Call
    from millpond.core.standstill import Standstills

TICKS = 128  # a second; a deadline is noticed at most 1/128 s late
AWAKE_S = 0.25  # seconds a pool that stood still is awake at least before it judges: the judged may have slept, too


class Sleeper(Protocol):
    """Whoever is to be woken: at `wake_at` or earlier than that, never later."""

    wake_at: float


class Wheel:
    """Calls by the tick in which their deadline has passed."""

    __slots__ = ("_due", "_sleeper", "_slots")

    def __init__(self, sleeper: Sleeper) -> None:
        self._sleeper = sleeper
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
        call.slot = slot

    def discard(self, call: Call) -> None:
        """Watch it no more; slots that become empty stay until their time, so that each tick is on the heap once."""
        slot = call.slot
        if slot is not None:
            slot.pop(call.id, None)
            call.slot = None

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
        if tick / TICKS < self._sleeper.wake_at:
            self._sleeper.wake_at = tick / TICKS
        return slot


class Agenda:
    """Things to do later, each a verb and its subject; whoever does them checks that they still matter."""

    __slots__ = ("_entries", "_order", "_sleeper", "_standstills")

    def __init__(self, sleeper: Sleeper, standstills: Standstills) -> None:
        self._sleeper = sleeper
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
        if at < self._sleeper.wake_at:
            self._sleeper.wake_at = at

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
