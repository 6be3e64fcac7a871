"""History in memory: what happened, in steps of 1 s for 10 minutes, of 10 s for 2 hours, of 60 s for 24 hours.

A slot holds one step as small as it can be kept: its counters are what was added in it, its gauges have a mean and a
peak, its histograms are packed and only unpacked when somebody looks. Slots of a shorter step are merged into one of
the next when its time is full. Each ring is bounded by time and number, so that memory is flat once they are full. Not
thread-safe: the collector's lock is around it. The file behind it is `store`.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import floor

import numpy as np

from millpond.metrics.columns import COUNTER_AT, GAUGE_AT, Row
from millpond.metrics.histogram import EMPTY, Histogram, merged, unpack
from millpond.metrics.snapshot import KINDS, OPERATION_KINDS
from millpond.metrics.source import ENDINGS

KEEP_S = {1: 600, 10: 7_200, 60: 86_400}  # resolution -> how long its slots stay, both in seconds
RESOLUTIONS = tuple(KEEP_S)
OVERHEAD_BYTES = 700  # of a slot's objects, beside what they hold
_ENDINGS = struct.Struct(f"<{len(ENDINGS)}Q")
_LENGTH = struct.Struct("<H")


@dataclass(frozen=True, slots=True, eq=False)
class OperationSlot:
    """One operation in one slot: how its calls ended, and its histograms by `OPERATION_KINDS`."""

    name: str
    endings: Mapping[str, int]
    histograms: Mapping[str, Histogram]

    @property
    def calls(self) -> int:
        """Calls that ended in the slot."""
        return sum(self.endings.values())


@dataclass(frozen=True, slots=True, eq=False)
class PackedInterval:
    """What was counted (a row) in the `seconds` before `at` (monotonic), and the histograms of what was measured."""

    at: float
    seconds: float
    counters: Row
    packed: bytes

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return OVERHEAD_BYTES + self.counters.nbytes + len(self.packed)


@dataclass(frozen=True, slots=True, eq=False)
class Slot(PackedInterval):
    """What happened in a stretch of time that ended at `wall` (Unix time), in the pool's run `boot`.

    `counters` and `gauges` are rows in the order of `columns`; `gauges` are means over the slot, `peaks` the highest.
    `packed` are the pool's histograms, in the order of `KINDS`.
    """

    gauges: Row
    peaks: Row
    boot: str
    wall: float
    packed_operations: bytes = b""  # of the busiest, compressed

    def counter(self, name: str) -> float:
        """How much a counter grew in the slot."""
        return float(self.counters[COUNTER_AT[name]])

    def gauge(self, name: str) -> float:
        """A gauge's mean."""
        return float(self.gauges[GAUGE_AT[name]])

    def peak(self, name: str) -> float:
        """A gauge's highest value."""
        return float(self.peaks[GAUGE_AT[name]])

    @property
    def histograms(self) -> Mapping[str, Histogram]:
        """The pool's histograms, by `KINDS`."""
        return unpack_all(self.packed, KINDS)

    @property
    def operations(self) -> tuple[OperationSlot, ...]:
        """The ten busiest operations; only slots of a minute have them."""
        return unpack_operations(self.packed_operations)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        rows = self.counters.nbytes + self.gauges.nbytes + self.peaks.nbytes
        return OVERHEAD_BYTES + rows + len(self.packed) + len(self.packed_operations)


def merge(slots: Sequence[Slot], packed_operations: bytes = b"") -> Slot:
    """Slots that follow each other, as one; there must be at least one."""
    last = slots[-1]
    seconds = [slot.seconds for slot in slots]
    weights = seconds if sum(seconds) > 0 else None
    histograms = [slot.histograms for slot in slots if slot.packed]
    return Slot(
        at=last.at,
        seconds=sum(seconds),
        counters=np.sum([slot.counters for slot in slots], axis=0),
        packed=pack_all({kind: merged(one[kind] for one in histograms) for kind in KINDS}, KINDS),
        gauges=np.average([slot.gauges for slot in slots], axis=0, weights=weights),
        peaks=np.max([slot.peaks for slot in slots], axis=0),
        boot=last.boot,
        wall=last.wall,
        packed_operations=packed_operations,
    )


def pack_all(histograms: Mapping[str, Histogram], kinds: Sequence[str]) -> bytes:
    """Histograms in the order of `kinds`; nothing at all if all are empty."""
    if not any(histograms[kind] for kind in kinds):
        return b""
    return b"".join(histograms[kind].pack() for kind in kinds)


def unpack_all(packed: bytes, kinds: Sequence[str]) -> dict[str, Histogram]:
    """What `pack_all` packed."""
    if not packed:
        return dict.fromkeys(kinds, EMPTY)
    found, at = {}, 0
    for kind in kinds:
        found[kind], at = unpack(packed, at)
    return found


def pack_operations(operations: Iterable[OperationSlot]) -> bytes:
    """Operations as compressed bytes."""
    written = []
    for one in operations:
        name = one.name.encode()[:65_535]
        counts = _ENDINGS.pack(*(one.endings.get(ending, 0) for ending in ENDINGS))
        packed = b"".join(one.histograms[kind].pack() for kind in OPERATION_KINDS)
        written += [_LENGTH.pack(len(name)), name, counts, packed]
    return zlib.compress(b"".join(written), 1) if written else b""


def unpack_operations(packed: bytes) -> tuple[OperationSlot, ...]:
    """What `pack_operations` packed. Raises `ValueError` if it is something else."""
    try:
        data = zlib.decompress(packed) if packed else b""
    except zlib.error as error:
        raise ValueError(f"no packed operations: {error}") from error
    found, at = [], 0
    while at < len(data):
        length = _LENGTH.unpack_from(data, at)[0]
        name = data[at + 2 : at + 2 + length].decode(errors="replace")
        at += 2 + length
        counts = dict(zip(ENDINGS, _ENDINGS.unpack_from(data, at), strict=True))
        at += _ENDINGS.size
        histograms = {}
        for kind in OPERATION_KINDS:
            histograms[kind], at = unpack(data, at)
        found.append(OperationSlot(name, counts, histograms))
    return tuple(found)


class History:
    """The slots of one pool, in a ring for each resolution."""

    __slots__ = ("_pending", "_rings", "nbytes")

    def __init__(self) -> None:
        self._rings: dict[int, deque[Slot]] = {step: deque() for step in RESOLUTIONS}
        self._pending: dict[int, list[Slot]] = {step: [] for step in RESOLUTIONS}  # not yet a longer slot
        self.nbytes = 0  # about how much memory they take

    def push(self, slot: Slot, operations: Callable[[], bytes]) -> list[tuple[int, Slot]]:
        """Keep a new slot; gives back the longer slots that it ended, each with its step in seconds.

        `operations` packs the busiest operations since it was last asked, for slots of a minute.
        """
        ended: list[tuple[int, Slot]] = []
        self._keep(RESOLUTIONS[0], slot)
        for step in RESOLUTIONS[1:]:
            self._pending[step].append(slot)
            if floor(slot.at / step) == floor((slot.at - slot.seconds) / step):
                break
            slot = merge(self._pending[step], operations() if step == RESOLUTIONS[-1] else b"")
            self._pending[step] = []
            self._keep(step, slot)
            ended.append((step, slot))
        return ended

    @property
    def newest(self) -> Slot | None:
        """The last slot of the shortest step."""
        ring = self._rings[RESOLUTIONS[0]]
        return ring[-1] if ring else None

    def read(self, since: float, resolution: int) -> list[Slot]:
        """Slots of one resolution that end after `since` (monotonic), the oldest first."""
        return list(takewhile(lambda slot: slot.at > since, reversed(self._rings[resolution])))[::-1]

    def _keep(self, step: int, slot: Slot) -> None:
        """Keep a slot of this step, and drop what is too old or too much."""
        ring, keep_s = self._rings[step], KEEP_S[step]
        ring.append(slot)
        self.nbytes += slot.nbytes
        while len(ring) > keep_s // step or ring[0].at < slot.at - keep_s:
            self.nbytes -= ring.popleft().nbytes


def resolution_for(seconds: float) -> int:
    """The finest resolution that reaches so far back."""
    return next((step for step, keep_s in KEEP_S.items() if keep_s >= seconds), RESOLUTIONS[-1])
