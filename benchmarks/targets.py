"""The figures Millpond means to reach, ratios within one run or plain limits, and whether a result reaches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.scenarios import (
    COPIED,
    EXECUTOR,
    MEASURES,
    MULTIPROCESSING,
    PING_PONG_APART,
    POOL,
    STDLIB,
)


@dataclass(frozen=True)
class Target:
    """`who`'s figure is to be at least, or at most, `factor` times that of `against` (a limit if nobody is named)."""

    measure: str
    who: str
    factor: float
    against: str | None = None
    against_measure: str | None = None

    @property
    def reference(self) -> str:
        return self.against_measure or self.measure

    def __str__(self) -> str:
        facts = MEASURES[self.measure]
        bound = "at least" if facts.more_is_better else "at most"
        if self.against is None:
            return f"{bound} {self.factor:g} {facts.unit}"
        return f"{bound} {self.factor:g} x {self.against if self.against != self.who else self.reference}"


TARGETS = (
    Target("64 in flight", POOL, 6, STDLIB),
    Target("64 in flight", POOL, 3, MULTIPROCESSING),
    Target("round trip p50", POOL, 0.6, STDLIB),
    Target("round trip p50", POOL, 2, PING_PONG_APART),
    Target("10,000 sessions", POOL, 0.8, POOL, "10,000 stateless callers"),
    Target("1 MB array", POOL, 8, STDLIB),
    Target("1 MB array", POOL, 0.5, COPIED),
    Target("64 in flight", EXECUTOR, 4, STDLIB),
    Target("one more worker ready", POOL, 50),
    Target("idle", POOL, 0.5),
    Target("one more worker's memory", POOL, 5),
)


def ratio(mine: list[float], theirs: list[float]) -> float:
    """The median of the ratios of each round: what drifts between rounds cancels out."""
    return median(a / b for a, b in zip(mine, theirs, strict=False))


def reached(target: Target, raw: dict[str, Any]) -> tuple[float, bool] | None:
    """The figure (a ratio, or the median itself) and whether it meets the target; `None` where nothing was measured."""
    mine = raw.get(target.measure, {}).get(target.who)
    theirs = raw.get(target.reference, {}).get(target.against)
    if not mine or (target.against and not theirs):
        return None
    figure = ratio(mine, theirs) if theirs else median(mine)
    meets: Callable[[float, float], bool] = float.__ge__ if MEASURES[target.measure].more_is_better else float.__le__
    return figure, meets(float(figure), float(target.factor))
