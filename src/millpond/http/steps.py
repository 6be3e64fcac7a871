"""Steps of history as JSON: one list of figures a name for many, one figure a name for one.

The heat of a step is its histogram of latencies in few buckets, each half an octave wide, as a picture has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from millpond.metrics.columns import COUNTER_AT, GAUGE_AT
from millpond.metrics.histogram import PER_OCTAVE, upper_bound
from millpond.metrics.history import Slot

SHARES = (0.5, 0.9, 0.99)
KINDS = ("wait", "service", "latency")
HEAT = "heat"
KNOWN = frozenset({*COUNTER_AT, *GAUGE_AT, *KINDS, HEAT})
_HEAT_BUCKETS = np.arange(-14 * PER_OCTAVE, 7 * PER_OCTAVE + 1, PER_OCTAVE // 2) - 1  # from 61 us to 128 s
HEAT_BOUNDS: list[float | None] = [*(upper_bound(int(bucket)) for bucket in _HEAT_BUCKETS), None]


def columns(slots: Sequence[Slot], names: frozenset[str] | set[str]) -> dict[str, Any]:
    """One list a name, as long as there are slots; without `names` those of which there is anything to tell."""

    def of(known: Iterable[str], read: Callable[[Slot, str], float]) -> dict[str, list[float]]:
        wanted = [name for name in known if not names or name in names]
        found = {name: [read(slot, name) for slot in slots] for name in wanted}
        return {name: values for name, values in found.items() if names or any(values)}

    histograms = [slot.histograms for slot in slots] if not names or names & {*KINDS, HEAT} else []
    found = {
        "wall": [slot.wall for slot in slots],
        "seconds": [slot.seconds for slot in slots],
        "boot": [slot.boot for slot in slots],
        "counters": of(COUNTER_AT, Slot.counter),
        "gauges": of(GAUGE_AT, Slot.gauge),
        "peaks": of(GAUGE_AT, Slot.peak),
        "percentiles": {
            kind: _percentiles([one[kind].percentiles(SHARES) for one in histograms])
            for kind in KINDS
            if not names or kind in names
        },
    }
    if not names or HEAT in names:
        counts = [one["latency"].coarse(_HEAT_BUCKETS) for one in histograms]
        found[HEAT] = {"bounds": HEAT_BOUNDS, "counts": counts}
    return found


def step(slot: Slot) -> dict[str, Any]:
    """One step in the same shape, with figures in place of the lists; what is 0 is left out."""
    found = columns([slot], frozenset())
    heat = found.pop(HEAT)["counts"][0]
    return {name: _first(value) for name, value in found.items()} | {HEAT: heat}


def _first(value: Any) -> Any:
    return {name: _first(one) for name, one in value.items()} if isinstance(value, dict) else value[0]


def _percentiles(rows: list[list[float]]) -> dict[str, list[float]]:
    return {f"p{share * 100:g}": [row[at] for row in rows] for at, share in enumerate(SHARES)}
