"""All there is to show of a demo, filled while it goes on, so that an early end has figures too.

`hear` keeps what the pools' events say and gives back what is worth a line; `look` reads the pools. Times in seconds.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millpond import Pool
from millpond.cli.demo.tally import Tally
from millpond.events import (
    AlertFiring,
    AlertResolved,
    Event,
    OptimizerDecided,
    PoolResized,
    SessionLostEvent,
    SessionRestoredEvent,
    WorkerGone,
    WorkerReady,
)

if TYPE_CHECKING:
    from millpond.cli.demo.reader import ColdStart
    from millpond.facts import Statistics

HEARD = tuple(
    kind.name
    for kind in (
        *(AlertFiring, AlertResolved, OptimizerDecided, PoolResized),
        *(SessionLostEvent, SessionRestoredEvent, WorkerGone, WorkerReady),
    )
)
RATE_OVER_S = 2.0  # what "calls/s" looks back on
LATENCY_OVER_S = 5.0  # and what the percentiles do


@dataclass(slots=True)
class PoolRecord:
    """One pool."""

    name: str
    limit: int = 1  # workers at most
    tally: Tally = field(default_factory=Tally)
    now: Statistics | None = None
    health: Any = None  # of the pool's own metrics
    rate: float = 0.0
    p50_s: float = 0.0
    p99_s: float = 0.0
    most_wanted: int = 1
    decisions: int = 0
    victim: int = 0  # the worker that was killed
    killed_at: float = 0.0
    gone: WorkerGone | None = None
    replaced_s: float | None = None  # from the kill to the next worker's being ready
    lost: int = 0  # sessions
    restored: int = 0
    firing: tuple[str, ...] = ()
    fired: int = 0  # alerts

    def kill(self, worker: int, now: float) -> None:
        """A worker was sent SIGKILL."""
        self.victim, self.killed_at = worker, now

    def hear(self, event: Event, now: float) -> str | None:
        """Keep what an event says; what is worth telling of it."""
        match event:
            case SessionLostEvent():
                self.lost += 1
            case SessionRestoredEvent():
                self.restored += 1
            case WorkerGone():
                return self._gone(event)
            case WorkerReady() if self.victim and self.replaced_s is None:
                self.replaced_s = now - self.killed_at
                return f"worker {event.worker} ready {self.replaced_s * 1000:.0f} ms after the kill"
            case PoolResized() if event.after > self.most_wanted:
                self.most_wanted = event.after
                return f"from {event.before} to {count(event.after, 'worker')}: {event.reason}"
            case OptimizerDecided():
                self.decisions += 1
                return f"the optimizer decided: {event.reason}" if event.change else None
            case AlertFiring():
                self.fired += 1
                return f"alert {event.alert} fires: {event.summary}"
            case AlertResolved():
                return f"alert {event.alert} is over, after {event.seconds:.0f} s"
        return None

    def _gone(self, event: WorkerGone) -> str | None:
        if event.worker == self.victim and self.gone is None:
            self.gone = event
        elif event.cause in ("retired", "recycled"):
            return None
        how = signal.Signals(event.signal).name if event.signal else event.reason
        return f"worker {event.worker} is gone ({how}): {count(event.lost, 'call')} had begun there"

    def look(self, pool: Pool, now: float, serving_s: float) -> None:
        """Bring it up to this moment; `serving_s` is for how long there has been traffic."""
        tally = self.tally
        tally.close_bins(now)
        self.now = pool.statistics()
        over_s = min(RATE_OVER_S, max(serving_s, 0.1))
        self.rate = (len(tally.ended) - tally.since(now - over_s)) / over_s
        self.p50_s, self.p99_s = tally.percentiles(now - LATENCY_OVER_S)
        if serving_s:
            self.health = pool.metrics.snapshot().health
            self.firing = tuple(alert.name for alert in pool.alerts.firing())


@dataclass(slots=True, kw_only=True)
class Record:
    """The whole demo."""

    pools: tuple[PoolRecord, ...]
    sessions: int  # of each pool
    link: str = ""
    phase: str = "start"
    elapsed_s: float = 0.0  # of the phase
    length_s: float | None = None  # None where nobody knows how long the phase takes
    opened_s: float | None = None  # from nothing to the first worker of each pool
    cold: ColdStart | None = None
    served_s: float = 0.0
    phases: int = 0  # that there have been
    is_cut_short: bool = False

    @property
    def mistakes(self) -> int:
        """Wrong answers and scores, which must be 0."""
        return sum(one.tally.mistakes for one in self.pools)

    @property
    def answered(self) -> int:
        """Answers of both pools."""
        return sum(one.tally.answered for one in self.pools)

    @property
    def exit_code(self) -> int:
        """1 if an answer was wrong."""
        return 1 if self.mistakes else 0


def count(number: int, noun: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
