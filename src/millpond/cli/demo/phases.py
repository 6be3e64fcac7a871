"""The traffic as a plan: phases that follow each other for ever, and the load of each pool in each of them.

A load is a share of what all workers of a pool can do, so that the plan is the same on every machine. Knows no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

DIGITS, PLAIN = "digits", "digits-plain"  # the pools: one whose sessions survive their worker, one whose do not
BETWEEN = 0.1  # load between two bursts, as a share of that in them


@dataclass(frozen=True, slots=True)
class Phase:
    """`share` of a cycle in which the pools have these loads, without a pause or in so many `bursts`."""

    name: str
    share: float
    loads: Mapping[str, float]
    bursts: int = 0


PHASES = (
    Phase("quiet", 0.2, {DIGITS: 0.12, PLAIN: 0.12}),
    Phase("bursts", 0.35, {DIGITS: 0.7, PLAIN: 0.25}, bursts=4),
    Phase("overload", 0.45, {DIGITS: 1.7, PLAIN: 0.12}),
)
CYCLE_S = 45.0
KILLS = {DIGITS: 0.35, PLAIN: 1.3}  # when a worker of each pool is killed, once, in cycles
WAITS = 0.1  # how much later at most, in cycles, while no worker has many sessions
LASTS = 1.5  # cycles of a demo that ends by itself


class Place(NamedTuple):
    """A place in the plan: the phase, which one it is since the beginning, its seconds so far, and all it has."""

    phase: Phase
    number: int
    elapsed_s: float
    length_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The phases with their lengths, `cycle_s` seconds for all of them."""

    cycle_s: float = CYCLE_S

    @classmethod
    def lasting(cls, seconds: float) -> Plan:
        """The plan of a demo of so many seconds: both kills are in it, and no phase is longer than it need be."""
        return cls(min(CYCLE_S, seconds / LASTS))

    def at(self, elapsed_s: float) -> Place:
        """Where one is after so many seconds."""
        cycles, left_s = divmod(elapsed_s, self.cycle_s)
        for number, phase in enumerate(PHASES):
            length_s = phase.share * self.cycle_s
            if left_s < length_s or phase is PHASES[-1]:
                return Place(phase, int(cycles) * len(PHASES) + number, left_s, length_s)
            left_s -= length_s
        raise AssertionError("there is a phase at every moment")

    def load(self, pool: str, elapsed_s: float) -> float:
        """The load of a pool then: 1 is as much as its workers can do."""
        phase, _, in_it_s, length_s = self.at(elapsed_s)
        load = phase.loads[pool]
        is_between = phase.bursts and int(in_it_s / length_s * 2 * phase.bursts) % 2
        return load * BETWEEN if is_between else load

    def kill_s(self, pool: str) -> float:
        """When a worker of a pool is killed."""
        return KILLS[pool] * self.cycle_s

    @property
    def wait_s(self) -> float:
        """How much later that may be."""
        return WAITS * self.cycle_s
