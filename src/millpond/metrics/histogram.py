"""Base-2 exponential histograms of scale 5: bucket `i` holds what lies above 2**(i/32), up to and with 2**((i+1)/32).

The layout of OpenTelemetry's exponential histograms, so that they merge by addition whatever they hold. A percentile is
given as the geometric middle of its bucket, at most 1.1 % off. Values up to 2**-35 count as zero; above 2**40 as that.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from millpond.facts import Distribution

SCALE = 5
PER_OCTAVE = 2**SCALE
LOWEST, HIGHEST = -35 * PER_OCTAVE, 40 * PER_OCTAVE - 1  # the buckets there are
FLOOR, CEILING = 2.0**-35, 2.0**40
ROUNDING = 1e-9  # of a bucket: logarithms are not exact, and a value so little above a bound counts as that bound
ZERO = LOWEST - 1  # stands for a value too small to have a bucket

Buckets = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

_MIDDLES = 2.0 ** ((np.arange(LOWEST, HIGHEST + 1) + 0.5) / PER_OCTAVE)
_HEAD = struct.Struct("<hHBBQd")  # low, buckets, bytes a count, is sparse, zeros, total
_WIDTHS = {width: np.dtype(f"<u{width}") for width in (1, 2, 4, 8)}
_PLACES = np.dtype("<u2")


def sane(values: Any) -> Values:
    """The values as far as they can be: from 0 up to the ceiling, and 0 for NaN, so that no sum is spoiled by one."""
    found: Values = np.clip(np.asarray(values, dtype=np.float64), 0.0, CEILING)
    if np.isnan(found).any():
        found[np.isnan(found)] = 0.0
    return found


def buckets_of(values: Values) -> Buckets:
    """The bucket of each of some sane values, `ZERO` where there is none; of a power of 2**(1/32), the bucket that it
    closes."""
    exact = np.maximum(values, FLOOR)
    np.log2(exact, out=exact)  # in place: fresh memory for each step costs more than the steps do
    exact *= PER_OCTAVE
    exact -= 1 + ROUNDING
    np.ceil(exact, out=exact)
    found: Buckets = exact.astype(np.int64)
    if values.size and values.min() <= FLOOR:
        found[values <= FLOOR] = ZERO
    return found


@cache
def upper_bound(bucket: int) -> float:
    """The largest value that belongs into a bucket."""
    return float(2.0 ** ((bucket + 1) / PER_OCTAVE))


def last_bucket(bound: float) -> int:
    """The last bucket that `bound` closes or lies in."""
    exact: float = math.log2(min(max(bound, FLOOR), CEILING)) * PER_OCTAVE
    return math.ceil(exact - ROUNDING) - 1


SHARES = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)  # as Distribution's fields have them
NOTHING = Distribution()


class Histogram:
    """How often values fell into each bucket; never changes.

    `counts[k]` (int64) are those of bucket `low + k`; neither end is 0. `zeros` had no bucket. `total` is the values'
    own sum, not one of buckets. An array that it is made of is given away.
    """

    __slots__ = ("counts", "low", "total", "zeros")

    def __init__(self, low: int = 0, counts: Any = (), zeros: int = 0, total: float = 0.0) -> None:
        found = np.asarray(counts, dtype=np.int64)
        if not (len(found) and found[0] and found[-1]):
            filled = found.nonzero()[0]
            low = low + int(filled[0]) if len(filled) else 0
            found = found[filled[0] : filled[-1] + 1].copy() if len(filled) else found[:0]
        found.flags.writeable = False
        self.counts = found
        self.low = low
        self.zeros = zeros
        self.total = total

    @classmethod
    def of(cls, values: Any) -> Histogram:
        """The histogram of some values."""
        return histograms_of([(values, ())])[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        mine, theirs = (self.low, self.zeros, self.total), (other.low, other.zeros, other.total)
        return mine == theirs and np.array_equal(self.counts, other.counts)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        found = self.describe()
        return f"<Histogram of {found.count}, p50 {found.p50:.3g}, p99 {found.p99:.3g}>"

    def __bool__(self) -> bool:
        return bool(len(self.counts) or self.zeros)

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(self.counts.sum()) + self.zeros

    @property
    def highest(self) -> float:
        """The upper bound of the last bucket that holds something; NaN if there are no values."""
        return upper_bound(self.low + len(self.counts) - 1) if len(self.counts) else 0.0 if self.zeros else math.nan

    def describe(self) -> Distribution:
        """Its figures."""
        count = self.count
        if not count:
            return NOTHING
        return Distribution(count, self.total, self.total / count, *self.percentiles(SHARES))

    def percentiles(self, shares: Sequence[float]) -> list[float]:
        """For each share (0 to 1) the value which at least that share does not exceed, within 1.1 %; NaN of nothing."""
        if not len(self.counts):
            return [0.0 if self.zeros else math.nan] * len(shares)
        upto = self.counts.cumsum()
        count = int(upto[-1]) + self.zeros
        ranks = [max(math.ceil(share * count), 1) - self.zeros for share in shares]
        found: list[float] = _MIDDLES[upto.searchsorted(ranks) + (self.low - LOWEST)].tolist()
        return [value if rank > 0 else 0.0 for value, rank in zip(found, ranks, strict=True)]

    def at_most(self, bound: float) -> int:
        """How many values lie at or below `bound`; exact if that is a power of 2**(1/32)."""
        if bound < FLOOR:
            return self.zeros if bound >= 0 else 0
        return self.zeros + int(self.counts[: max(0, last_bucket(bound) + 1 - self.low)].sum())

    def coarse(self, bounds: Buckets) -> list[tuple[int, int]]:
        """How many values are in each of some larger buckets, those that are empty left out.

        Place `k` stands for what is above the bound before and up to `bounds[k]` (a bucket, ascending), the place after
        the last for the rest.
        """
        places = bounds.searchsorted(np.arange(self.low, self.low + len(self.counts)))
        found = np.bincount(places, self.counts, len(bounds) + 1).astype(np.int64)
        found[0] += self.zeros
        return [(int(place), int(found[place])) for place in found.nonzero()[0]]

    def pack(self) -> bytes:
        """The histogram as bytes: the counts of all buckets from the first to the last, or places and counts of those
        that hold something, whichever is shorter."""
        most = int(self.counts.max()) if len(self.counts) else 0
        width = next(width for width in _WIDTHS if most < 256**width)
        places = np.flatnonzero(self.counts)
        is_sparse = len(places) * (2 + width) < len(self.counts) * width
        head = _HEAD.pack(
            self.low, len(places) if is_sparse else len(self.counts), width, is_sparse, self.zeros, self.total
        )
        if is_sparse:
            return head + places.astype(_PLACES).tobytes() + self.counts[places].astype(_WIDTHS[width]).tobytes()
        return head + self.counts.astype(_WIDTHS[width]).tobytes()


EMPTY = Histogram()


def histograms_of(samples: Sequence[tuple[Any, Any]]) -> list[Histogram]:
    """The histogram of each array of values.

    Beside an array stands how many values each of its first stands for (whole numbers); those beyond count once. All
    arrays are put into buckets together, which takes a fraction of the time.
    """
    values = sane(np.concatenate([(), *(np.asarray(one, np.float64) for one, _ in samples)]))
    buckets, found, at = buckets_of(values), [], 0
    for one, times in samples:
        after = at + len(one)
        found.append(_histogram_of(values[at:after], buckets[at:after], times) if len(one) else EMPTY)
        at = after
    return found


def _histogram_of(values: Values, buckets: Buckets, times: Any) -> Histogram:
    """The histogram of values whose buckets are known."""
    often = None
    if len(times):
        often = np.ones(len(values))
        often[: len(times)] = np.asarray(times)[: len(values)]
    low = int(buckets.min())
    counts = np.bincount(buckets - low, often)
    zeros = 0
    if low == ZERO:
        low, zeros, counts = LOWEST, int(counts[0]), counts[1:]
    return Histogram(low, counts, zeros, float(values.sum() if often is None else values @ often))


def unpack(data: bytes, start: int = 0) -> tuple[Histogram, int]:
    """A packed histogram that begins at `start`, and where it ends. Raises `ValueError` for anything else."""
    try:
        low, n, width, is_sparse, zeros, total = _HEAD.unpack_from(data, start)
        at = start + _HEAD.size
        if not is_sparse:
            return Histogram(low, np.frombuffer(data, _WIDTHS[width], n, at), zeros, total), at + n * width
        places = np.frombuffer(data, _PLACES, n, at)
        counts = np.zeros(int(places[-1]) + 1 if n else 0, np.int64)
        counts[places] = np.frombuffer(data, _WIDTHS[width], n, at + 2 * n)
    except (struct.error, KeyError, IndexError) as error:
        raise ValueError(f"no packed histogram at byte {start}: {error}") from error
    return Histogram(low, counts, zeros, total), at + n * (2 + width)


def merged(parts: Iterable[Histogram], less: Iterable[Histogram] = ()) -> Histogram:
    """The histogram of everything that is in any of the parts, without what is in `less`, which is in them too."""
    added, taken = [part for part in parts if part], [part for part in less if part]
    if len(added) <= 1 and not taken:
        return added[0] if added else EMPTY
    low = min([part.low for part in added])
    counts = np.zeros(max([part.low + len(part.counts) for part in added]) - low, np.int64)
    zeros, total = 0, 0.0
    for part in added:
        counts[part.low - low : part.low - low + len(part.counts)] += part.counts
        zeros, total = zeros + part.zeros, total + part.total
    for part in taken:
        counts[part.low - low : part.low - low + len(part.counts)] -= part.counts
        zeros, total = zeros - part.zeros, total - part.total
    # What rounding left of the sum goes with the last value
    return found if (found := Histogram(low, counts, zeros, max(total, 0.0))) else EMPTY
