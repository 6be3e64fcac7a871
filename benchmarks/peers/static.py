"""A fixed number of workers, as most pools have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.peer import kept
from millpond.optimizer import Mode, Observation, Proposal, Slo


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticKnobs:
    workers: int = 1


class Static:
    """Never changes anything."""

    name: ClassVar[str] = "static"
    interval_s = 3600.0
    quiet_s = 0.0

    def __init__(self, slo: Slo, mode: Mode, low: int, high: int, knobs: StaticKnobs | None = None) -> None:
        self._size = min(max((knobs or StaticKnobs()).workers, low), high)

    def propose(self, seen: Observation) -> Proposal:
        return Proposal(kept(self._size), f"always {self._size}")
