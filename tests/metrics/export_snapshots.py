"""Snapshots to export, made by hand: as large as a snapshot can become, or as a test wants them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from millpond.errors import TABLE
from millpond.metrics import source
from millpond.metrics.histogram import Histogram
from millpond.metrics.operations import NAMED
from millpond.metrics.snapshot import (
    KINDS,
    OPERATION_KINDS,
    OTHER,
    WINDOWS,
    Alerting,
    ChannelFigures,
    Component,
    Health,
    OperationFigures,
    ProcessFigures,
    Resources,
    Snapshot,
    Trend,
    Watch,
    Window,
)

NOTHING: Mapping[str, int] = {}
VALUES = {"request_bytes": (100.0, 5000.0), "answer_bytes": (0.0, 70_000.0)}
TIMES = (0.00001, 0.004, 0.25, 1.0, 3.0, 700.0)


def values(kind: str) -> tuple[float, ...]:
    return VALUES.get(kind, TIMES)


def operation(name: str, endings: Mapping[str, int] = NOTHING) -> OperationFigures:
    """An operation whose calls took what `values` says, with these endings."""
    totals = {kind: Histogram.of(array("d", values(kind))) for kind in OPERATION_KINDS}
    recent = {kind: counted.describe() for kind, counted in totals.items()}
    return OperationFigures(name, endings, NOTHING, totals, dict.fromkeys(WINDOWS, recent))


def window(seconds: int) -> Window:
    return Window(seconds, seconds, NOTHING, NOTHING, NOTHING, {}, {"utilization": 0.5})


def snapshot(*operations: OperationFigures, other: OperationFigures | None = None, **changes: Any) -> Snapshot:
    """A pool that is well; `changes` replace fields of its reading, or of the snapshot itself."""
    kept = {name: changes.pop(name) for name in list(changes) if name in Snapshot.__dataclass_fields__}
    reading = replace(
        source.Reading(
            at=100.0,
            states={"ready": 1, "busy": 2},
            wanted=3,
            asked_for=3,
            min_workers=1,
            max_workers=8,
            queued=4,
            running=2,
            submitted=20,
            endings={"ok": 12, "failed": 2},
            codes={"handler_error": 2},
            busy_s=30.0,
            available_s=60.0,
        ),
        **changes,
    )
    whole = Snapshot(
        pool="default",
        boot="a boot",
        at=100.0,
        wall=1_700_000_000.0,
        uptime_s=90.0,
        reading=reading,
        totals={kind: Histogram.of(array("d", values(kind))) for kind in KINDS},
        windows={seconds: window(seconds) for seconds in WINDOWS},
        operations=operations,
        other=other or operation(OTHER),
        workers=(),
        resources=Resources(
            parent=ProcessFigures(7, 0.5, 3.0, 10**8, 9 * 10**7, 33, 4),
            max_fds=1024,
            children=4,
            zombies=0,
            workers_cpu=1.5,
            workers_rss=3 * 10**8,
            workers_pss=10**8,
            steepest=Trend(1000.0, 0.9, 600.0),
        ),
        health=Health(
            96.0, "healthy", "", (Component("errors", 30, 26, "2 of 14 calls failed"), Component("queue", 70, 70))
        ),
        watch=Watch(folds=90, fold_total_s=0.1, memory_bytes=10**6),
        alerting=Alerting(1, 2, 3, 0.001, 18, 60, 0, (ChannelFigures("log", 5, 1, 0), ChannelFigures("mail"))),
    )
    return replace(whole, **kept)


def largest(random: Random) -> Snapshot:
    """All that the closed sets can hold at once, and strangers in each."""
    endings = {ending: random.randrange(1, 1000) for ending in source.ENDINGS}
    return snapshot(
        *(operation(f"operation {random.random()}", endings) for _ in range(NAMED)),
        other=operation(OTHER, endings),
        endings=endings,
        codes={**dict.fromkeys(TABLE, 5), **{f"error {random.random()}": 1 for _ in range(100)}},
        deaths={**dict.fromkeys(source.CAUSES, 3), "a cause nobody knew": 1},
        states=dict.fromkeys(source.WORKER_STATES, 2),
        max_queued=10_000,
        breakers_open=tuple(f"operation {n}" for n in range(500)),
        health=Health(50, "slow", "", tuple(Component(f"component {n}", 10, 5) for n in range(10))),
        alerting=Alerting(channels=tuple(ChannelFigures(f"channel {n}", n, 1, 2) for n in range(50))),
    )
