"""The columns of history: every counter and gauge of a reading as one row of numbers, in a fixed order.

Rows make differences, sums and files of a reading simple. A file remembers the names it was written with, so the order
may change between versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from millpond.errors import TABLE
from millpond.metrics.source import CAUSES, ENDINGS, WORKER_STATES, Counted, Counts, Gauges, Reading

Row = npt.NDArray[np.float64]

OTHER_CODE = "other"  # error codes that are none of ours
PLAIN_GAUGES = tuple(one.name for one in fields(Gauges))
PLAIN_COUNTERS = tuple(one.name for one in fields(Counted) if one.name not in PLAIN_GAUGES)
FAMILIES: dict[str, tuple[str, ...]] = {  # counters with a label: prefix -> its values
    "endings": ENDINGS,
    "deaths": CAUSES,
    "codes": (*TABLE, OTHER_CODE),
}
# The collector's own, after the reading's: calls that waited no longer, as they were sent or had expired, and for how
# long they had
OWN_COUNTERS = ("waited", "waited_s")
COUNTERS = (
    *PLAIN_COUNTERS,
    *(f"{family}.{value}" for family, values in FAMILIES.items() for value in values),
    *OWN_COUNTERS,
)
GAUGES = (*PLAIN_GAUGES, "breakers_open", *(f"workers.{state}" for state in WORKER_STATES))
OWN_GAUGES = ("health", "cpu", "rss", "workers_cpu", "workers_rss")  # the collector's own again
ALL_GAUGES = (*GAUGES, *OWN_GAUGES)

COUNTER_AT = {name: at for at, name in enumerate(COUNTERS)}
GAUGE_AT = {name: at for at, name in enumerate(ALL_GAUGES)}


def counters_of(reading: Reading) -> Row:
    """The reading's counters, in the order of `COUNTERS` without the collector's own."""
    row = [float(getattr(reading, name)) for name in PLAIN_COUNTERS]
    row += labelled(reading.endings, ENDINGS)
    row += labelled(reading.deaths, CAUSES)
    codes = labelled(reading.codes, FAMILIES["codes"])
    codes[-1] += sum(reading.codes.values()) - sum(codes)
    return np.array(row + codes)


def labelled(counts: Counts, names: tuple[str, ...]) -> list[float]:
    """Counts in the order of their names, 0 where there is none."""
    return [float(counts.get(name, 0)) for name in names]


def gauges_of(reading: Reading, own: tuple[float, ...]) -> Row:
    """The reading's gauges and the collector's own, in the order of `ALL_GAUGES`."""
    row = [float(getattr(reading, name)) for name in PLAIN_GAUGES]
    return np.array([*row, len(reading.breakers_open), *labelled(reading.states, WORKER_STATES), *own])


def family(row: Row, name: str) -> Mapping[str, int]:
    """The counters of one family that are not 0, by their label's value."""
    first = COUNTER_AT[f"{name}.{FAMILIES[name][0]}"]
    found = zip(FAMILIES[name], row[first : first + len(FAMILIES[name])].tolist(), strict=True)
    return MappingProxyType({value: int(count) for value, count in found if count})


def rearranged(row: Row, names: list[str], wanted: tuple[str, ...]) -> Row:
    """A row that was written under other names, in today's order; what it does not have is 0."""
    there = dict(zip(names, row.tolist(), strict=True))
    return np.array([there.get(name, 0.0) for name in wanted])
