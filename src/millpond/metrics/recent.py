"""The last seconds in plain numbers: what a controller or a simulation reads many times and quickly.

Read from the slots of history; no histogram is unpacked or merged. For percentiles and all shares see the snapshot.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add

import numpy as np

from millpond.metrics.columns import ALL_GAUGES, COUNTER_AT, COUNTERS, GAUGE_AT
from millpond.metrics.derived import share
from millpond.metrics.history import Slot
from millpond.metrics.source import ENDINGS


@dataclass(frozen=True, slots=True)
class Recent:
    """In every `array("d")` one number a step, the oldest first; `seconds` are the steps' lengths.

    Counted in each step: calls `submitted`; calls that ended, by `endings`; calls that `waited` no longer, as they were
    sent or had expired, and for how long they had (`waited_s`); worker `starts`; seconds in which workers were busy
    (`busy_s`) and in which they were ready (`available_s`). As of each step's end, or its mean if it is longer than a
    second: calls `queued` and `running`, how long the oldest of the queue waits (`oldest_wait_s`), workers that are
    `wanted` and that are `ready` or at work, and how many calls these can run at a time (`places`).
    """

    seconds: array[float]
    submitted: array[float]
    endings: Mapping[str, array[float]]
    waited: array[float]
    waited_s: array[float]
    starts: array[float]
    busy_s: array[float]
    available_s: array[float]
    queued: array[float]
    running: array[float]
    oldest_wait_s: array[float]
    wanted: array[float]
    ready: array[float]
    places: array[float]

    @classmethod
    def of(cls, slots: Sequence[Slot]) -> Recent:
        """The numbers in slots of history, the oldest first."""
        counters = np.reshape([slot.counters for slot in slots], (len(slots), len(COUNTERS))).T
        gauges = np.reshape([slot.gauges for slot in slots], (len(slots), len(ALL_GAUGES))).T
        counted = {name: array("d", counters[at].tobytes()) for name, at in COUNTER_AT.items()}
        gauged = {name: array("d", gauges[at].tobytes()) for name, at in GAUGE_AT.items()}
        both = counted | gauged
        return cls(
            seconds=array("d", [slot.seconds for slot in slots]),
            endings={ending: counted[f"endings.{ending}"] for ending in ENDINGS},
            ready=array("d", map(add, gauged["workers.ready"], gauged["workers.busy"])),
            **{name: both[name] for name in cls.__slots__ if name in both},
        )

    @property
    def covered_s(self) -> float:
        """Seconds of all steps: fewer than asked for if the pool is younger."""
        return sum(self.seconds)

    @property
    def utilization(self) -> float:
        """The share of the ready workers' time in which they were busy; NaN if none was ready."""
        return share(sum(self.busy_s), sum(self.available_s))

    @property
    def mean_wait_s(self) -> float:
        """How long the calls waited that were sent or expired; NaN if none was."""
        return share(sum(self.waited_s), sum(self.waited))

    def per_s(self, counted: array[float]) -> float:
        """How often a second something was counted, such as `submitted`; NaN of no time."""
        return share(sum(counted), self.covered_s)
