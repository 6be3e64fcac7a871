"""A slot: what happened in one step of time, as small as it can be kept.

Counters are what was added in the slot, gauges its mean and its peak; histograms are packed and only unpacked when
somebody looks. Slots of one pool merge into a longer one. Made by the collector, kept by `history` and `store`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from millpond.metrics.columns import COUNTER_AT, GAUGE_AT, Row
from millpond.metrics.histogram import EMPTY, Histogram, merged, unpack
from millpond.metrics.snapshot import KINDS, OPERATION_KINDS
from millpond.metrics.source import ENDINGS

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
class Slot:
    """What happened in the `seconds` before `at` (monotonic) and `wall` (Unix time), in the pool's run `boot`.

    `counters` and `gauges` are rows in the order of `columns`; `gauges` are means over the slot, `peaks` the highest.
    """

    boot: str
    at: float
    wall: float
    seconds: float
    counters: Row
    gauges: Row
    peaks: Row
    packed: bytes = b""  # the pool's histograms, in the order of KINDS
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
    return Slot(
        boot=last.boot,
        at=last.at,
        wall=last.wall,
        seconds=sum(seconds),
        counters=np.sum([slot.counters for slot in slots], axis=0),
        gauges=np.average([slot.gauges for slot in slots], axis=0, weights=weights),
        peaks=np.max([slot.peaks for slot in slots], axis=0),
        packed=merge_packed([slot.packed for slot in slots], KINDS),
        packed_operations=packed_operations,
    )


def pack_all(histograms: Mapping[str, Histogram], kinds: Sequence[str]) -> bytes:
    """Histograms in the order of `kinds`; nothing at all if all are empty."""
    if not any(histograms[kind].count for kind in kinds):
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


def merge_packed(parts: Iterable[bytes], kinds: Sequence[str]) -> bytes:
    """Packed histograms of several slots, as those of one."""
    unpacked = [unpack_all(part, kinds) for part in parts if part]
    return pack_all({kind: merged(one[kind] for one in unpacked) for kind in kinds}, kinds)


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
