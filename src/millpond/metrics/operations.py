"""What is known of each operation: the first 64 that are called have figures of their own, the rest are added up.

An operation that has figures keeps them and none is given some later, so that the counters of each, and of the rest,
only grow. Windows go in steps of ten seconds. Not thread-safe: the collector's lock is around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from millpond.facts import Distribution
from millpond.metrics.columns import Row, labelled
from millpond.metrics.histogram import EMPTY, NOTHING, Histogram, merged
from millpond.metrics.history import OperationSlot, PackedInterval, pack_all, pack_operations
from millpond.metrics.snapshot import OPERATION_KINDS, OTHER, WINDOWS, OperationFigures
from millpond.metrics.source import ENDINGS, NO_COUNTS, Counts, OperationReading
from millpond.metrics.window import RollingWindow

NAMED = 64  # as many as functions given to `run` have a record of their own
IN_HISTORY = 10  # the busiest of a minute
STEP_S = 10

Histograms = Mapping[str, Histogram]
Windows = Mapping[int, Mapping[str, Distribution]]

NO_HISTOGRAMS: Histograms = MappingProxyType(dict.fromkeys(OPERATION_KINDS, EMPTY))
NO_WINDOWS: Windows = dict.fromkeys(WINDOWS, MappingProxyType(dict.fromkeys(OPERATION_KINDS, NOTHING)))


def added(sums: Histograms, more: Histograms) -> Histograms:
    """Histograms by kind, each with what there is more of its kind."""
    return MappingProxyType({kind: merged((one, more[kind])) for kind, one in sums.items()})


class Count(NamedTuple):
    """What was counted and measured up to a moment; `endings` are a row in the order of `ENDINGS`."""

    endings: Row
    histograms: Histograms

    def since(self, before: Count) -> Count:
        """What came after an earlier moment."""
        rest = {kind: merged((one,), (before.histograms[kind],)) for kind, one in self.histograms.items()}
        return Count(self.endings - before.endings, rest)


class OperationRecord:
    """One operation that has figures of its own."""

    __slots__ = ("_described", "_minute", "_step", "_windows", "codes", "endings", "name", "totals")

    def __init__(self, name: str) -> None:
        self.name = name
        self.endings = self.codes = NO_COUNTS
        self.totals = NO_HISTOGRAMS
        self._step = self._minute = self._count()  # as of the last ten seconds' end, and the last minute's
        self._windows = {s: RollingWindow(s, OPERATION_KINDS, len(ENDINGS)) for s in WINDOWS}
        self._described: Windows | None = None  # as of the last ten seconds' end

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        windows = self._windows.values()
        sums = sum(one.counts.nbytes for many in (self.totals, self._step.histograms) for one in many.values())
        return sums + sum(one.nbytes for one in windows) + sum(part.nbytes for part in self._windows[WINDOWS[-1]].parts)

    def note(self, reading: OperationReading, new: Histograms) -> None:
        """Take what happened since the last reading."""
        self.endings, self.codes = reading.endings, reading.codes
        self.totals = added(self.totals, new)

    def end_step(self, now: float) -> None:
        """Ten seconds are over: move the windows on, and describe them for all snapshots of the next ten."""
        before, self._step = self._step, self._count()
        endings, histograms = self._step.since(before)
        if endings.any() or any(histograms.values()):
            part = PackedInterval(now, STEP_S, endings, pack_all(histograms, OPERATION_KINDS))
            for window in self._windows.values():
                window.push(part, histograms)
        else:
            for window in self._windows.values():
                window.leave(now)
        self._described = {s: MappingProxyType(window.describe()) for s, window in self._windows.items()}

    def end_minute(self) -> OperationSlot:
        """What happened in the minute that is over."""
        before, self._minute = self._minute, self._count()
        endings, histograms = self._minute.since(before)
        counts = {ending: int(n) for ending, n in zip(ENDINGS, endings.tolist(), strict=True) if n}
        return OperationSlot(self.name, counts, histograms)

    def figures(self) -> OperationFigures:
        """The operation, frozen; windows show at once what its first ten seconds have."""
        windows = self._described
        if windows is None:
            first = MappingProxyType({kind: one.describe() for kind, one in self.totals.items()})
            windows = dict.fromkeys(WINDOWS, first)
        return OperationFigures(self.name, self.endings, self.codes, self.totals, windows)

    def _count(self) -> Count:
        return Count(np.array(labelled(self.endings, ENDINGS)), self.totals)


class Operations:
    """The operations of one pool."""

    __slots__ = ("_named", "_rest")

    def __init__(self) -> None:
        self._named: dict[str, OperationRecord] = {}
        self._rest = NO_HISTOGRAMS

    @property
    def nbytes(self) -> int:
        """About how much memory the operations take."""
        return sum(one.nbytes for one in self._named.values())

    def get(self, name: str) -> OperationRecord | None:
        """An operation that has figures of its own."""
        return self._named.get(name)

    def note(self, reading: OperationReading, new: Histograms) -> None:
        """Take what happened to one operation; it gets figures of its own if fewer than 64 have some."""
        one = self._named.get(reading.name)
        if one is None and len(self._named) < NAMED:
            one = self._named[reading.name] = OperationRecord(reading.name)
        if one is None:
            self._rest = added(self._rest, new)
        else:
            one.note(reading, new)

    def end_steps(self, before: float, now: float) -> None:
        """End the ten seconds of those whose turn came since the last reading.

        Turns are a second apart: with 50 operations it takes tens of milliseconds for all, for which the pool's loop
        would stand still every ten seconds.
        """
        for turn, one in enumerate(self._named.values()):
            if (before + turn) // STEP_S != (now + turn) // STEP_S:
                one.end_step(now)

    def pack_minute(self) -> bytes:
        """The ten that were busiest in the minute that is over, as a slot of history has them."""
        there = sorted((one.end_minute() for one in self._named.values()), key=lambda one: -one.calls)
        return pack_operations(one for one in there[:IN_HISTORY] if one.calls)

    def figures(self) -> tuple[OperationFigures, ...]:
        """All that have figures of their own, in the order of their first calls."""
        return tuple(one.figures() for one in self._named.values())

    def rest(self, endings: Counts, codes: Counts) -> OperationFigures:
        """What the pool has, by its `endings` and `codes`, and no operation with figures of its own."""
        named = self._named.values()
        others = _minus(endings, [one.endings for one in named]), _minus(codes, [one.codes for one in named])
        return OperationFigures(OTHER, *others, self._rest, NO_WINDOWS)


def _minus(whole: Counts, parts: Iterable[Counts]) -> Counts:
    left = dict(whole)
    for part in parts:
        for key, count in part.items():
            left[key] = left.get(key, 0) - count
    return MappingProxyType({key: count for key, count in left.items() if count > 0})
