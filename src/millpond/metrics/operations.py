"""What is known of each operation: the first 64 that are called have a name of their own, the rest share one.

An operation that has a name keeps it and none is given one later, so that the counters of each, and of the rest, only
grow. Windows go in steps of ten seconds. Not thread-safe: the collector's lock is around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

from millpond.metrics import distribution, slot
from millpond.metrics.accumulator import Accumulator, Batch
from millpond.metrics.columns import Row
from millpond.metrics.histogram import Histogram
from millpond.metrics.rolling import Rolling, SmallPart
from millpond.metrics.slot import OperationSlot
from millpond.metrics.snapshot import OPERATION_KINDS, OTHER, WINDOWS, Distribution, OperationFigures
from millpond.metrics.source import ENDINGS, NO_COUNTS, Counts, OperationReading

NAMED = 64  # as many as functions given to `run` have a record of their own
IN_HISTORY = 10  # the busiest of a minute
STEP_S = 10
LONGEST_S = WINDOWS[-1]
MEMORY_BYTES = 600  # of a record's objects, beside its counts
NO_WINDOWS = dict.fromkeys(WINDOWS, MappingProxyType(dict.fromkeys(OPERATION_KINDS, distribution.NOTHING)))

Taken = Mapping[str, Batch]  # kind -> the new samples
Windows = Mapping[int, Mapping[str, Distribution]]


class Operation:
    """One operation that has a name of its own."""

    __slots__ = ("_current", "_described", "_windows", "codes", "counted", "endings", "name", "totals")

    def __init__(self, name: str) -> None:
        self.name = name
        self.endings: Counts = NO_COUNTS
        self.codes: Counts = NO_COUNTS
        self.totals = {kind: Accumulator() for kind in OPERATION_KINDS}
        self.counted = row_of(NO_COUNTS)  # the endings when the last step ended
        self._current = {kind: Accumulator() for kind in OPERATION_KINDS}
        self._windows = {s: Rolling(s, OPERATION_KINDS, len(ENDINGS)) for s in WINDOWS}
        self._described: Windows | None = None  # emptied when a step ends

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        sums = sum(one.nbytes for many in (self.totals, self._current) for one in many.values())
        parts = sum(len(part.packed) + MEMORY_BYTES for part in self._longest.parts)
        return sums + sum(window.nbytes for window in self._windows.values()) + parts

    @property
    def recent(self) -> float:
        """Calls that ended in the longest window."""
        return float(self._longest.totals.sum())

    @property
    def calls(self) -> int:
        """Calls that ended since the pool opened."""
        return sum(self.endings.values())

    @property
    def _longest(self) -> Rolling:
        return self._windows[LONGEST_S]

    def take(self, taken: Taken) -> None:
        """Add new samples."""
        for kind, batch in taken.items():
            self.totals[kind].take(batch)
            self._current[kind].take(batch)

    def end_step(self, now: float) -> None:
        """Ten seconds are over: move the windows on."""
        self._described = None
        counted = row_of(self.endings)
        grown = counted - self.counted
        if not grown.any() and not any(one.total or one.zeros for one in self._current.values()):
            for window in self._windows.values():
                window.leave(now)
            return
        histograms = {kind: one.freeze() for kind, one in self._current.items()}
        part = SmallPart(now, STEP_S, grown, slot.pack_all(histograms, OPERATION_KINDS))
        for window in self._windows.values():
            window.push(part, histograms)
        for one in self._current.values():
            one.clear()
        self.counted = counted

    def since(self, moment: float) -> OperationSlot:
        """What the steps held that ended after a moment."""
        parts = [part for part in self._longest.parts if part.at > moment]
        counts = np.sum([part.counters for part in parts], axis=0) if parts else np.zeros(len(ENDINGS))
        packed = slot.merge_packed([part.packed for part in parts], OPERATION_KINDS)
        endings = {ending: int(n) for ending, n in zip(ENDINGS, counts.tolist(), strict=True) if n}
        return OperationSlot(self.name, endings, slot.unpack_all(packed, OPERATION_KINDS))

    def figures(self) -> OperationFigures:
        """The operation, frozen."""
        return OperationFigures(self.name, self.endings, self.codes, _frozen(self.totals), self.windows())

    def windows(self) -> Windows:
        """Its windows' distributions; what the first ten seconds have is shown at once."""
        if self._described is not None:
            return self._described
        if not self._longest.parts:
            first = MappingProxyType({kind: one.describe() for kind, one in self._current.items()})
            return dict.fromkeys(WINDOWS, first)
        self._described = {s: _described(window) for s, window in self._windows.items()}
        return self._described


def row_of(endings: Counts) -> Row:
    """Endings as a row, in the order of `ENDINGS`."""
    return np.array([float(endings.get(ending, 0)) for ending in ENDINGS])


def _described(window: Rolling) -> Mapping[str, Distribution]:
    return MappingProxyType({kind: window.describe(kind) for kind in OPERATION_KINDS})


def _frozen(sums: Mapping[str, Accumulator]) -> Mapping[str, Histogram]:
    return MappingProxyType({kind: one.freeze() for kind, one in sums.items()})


class OperationBook:
    """The operations of one pool."""

    __slots__ = ("_named", "_rest")

    def __init__(self) -> None:
        self._named: dict[str, Operation] = {}
        self._rest = {kind: Accumulator() for kind in OPERATION_KINDS}

    @property
    def nbytes(self) -> int:
        """About how much memory the operations take."""
        return sum(one.nbytes for one in self._named.values())

    def get(self, name: str) -> Operation | None:
        """An operation that has a name of its own."""
        return self._named.get(name)

    def note(self, reading: OperationReading, taken: Taken) -> None:
        """Take what happened to one operation; it gets a name of its own if there is one left."""
        one = self._named.get(reading.name)
        if one is None and len(self._named) < NAMED:
            one = self._named[reading.name] = Operation(reading.name)
        if one is None:
            for kind, batch in taken.items():
                self._rest[kind].take(batch)
            return
        one.endings, one.codes = reading.endings, reading.codes
        one.take(taken)

    def end_step(self, now: float) -> None:
        """Ten seconds are over; windows are made here rather than by whoever wants the next snapshot."""
        for one in self._named.values():
            one.end_step(now)
            one.windows()

    def figures(self) -> tuple[OperationFigures, ...]:
        """All that have a name, in the order of their first calls."""
        return tuple(one.figures() for one in self._named.values())

    def pack_since(self, moment: float) -> bytes:
        """The ten that were busiest since a moment, as a slot of history has them."""
        there = sorted((one.since(moment) for one in self._named.values()), key=lambda one: -one.calls)
        return slot.pack_operations(one for one in there[:IN_HISTORY] if one.calls)

    def rest(self, endings: Counts, codes: Counts) -> OperationFigures:
        """What the pool has, by its `endings` and `codes`, and no operation with a name of its own."""
        named = self._named.values()
        return OperationFigures(
            OTHER,
            _minus(endings, [one.endings for one in named]),
            _minus(codes, [one.codes for one in named]),
            _frozen(self._rest),
            NO_WINDOWS,
        )


def _minus(whole: Counts, parts: Iterable[Counts]) -> Counts:
    left = dict(whole)
    for part in parts:
        for key, count in part.items():
            left[key] = left.get(key, 0) - count
    return MappingProxyType({key: count for key, count in left.items() if count > 0})
