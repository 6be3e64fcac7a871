"""Takes the scene of a moment: from the pool's statistics and metrics, the roster and the callers' tally."""

from __future__ import annotations

from dataclasses import dataclass

from millpond.cli.demo.crowd import Venue
from millpond.cli.demo.history import History
from millpond.cli.demo.scene import Scene
from millpond.cli.demo.vitals import vitals_of

RATE_OVER_S = 2.0  # what "calls/s" looks back on
LATENCY_OVER_S = 5.0  # and what the percentiles do


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the story: when it began, and how long it takes (seconds) or which share is done, if that is known."""

    name: str
    began: float
    length_s: float | None = None
    share: float | None = None


class Camera:
    """Looks at one venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._history: History | None = None

    def start_history(self) -> None:
        """From here on the sparklines grow."""
        self._history = History(self._venue.tally, self._venue.clock())

    def take(self, phase: Phase) -> Scene:
        """How it looks now."""
        venue, now = self._venue, self._venue.clock()
        tally, said = venue.tally, venue.pool.statistics()
        if self._history:
            self._history.advance(now)
        p50, p99 = tally.percentiles(tally.since(now - LATENCY_OVER_S))
        return Scene(
            phase=phase.name,
            elapsed_s=now - phase.began,
            length_s=phase.length_s,
            share=phase.share,
            workers=venue.roster.rows({busy.worker for busy in said.busy}),
            queued=said.queued,
            running=said.running,
            sessions=said.sessions_open,
            rate=(len(tally.ended) - tally.since(now - RATE_OVER_S)) / min(RATE_OVER_S, max(now - phase.began, 0.1)),
            p50_s=p50,
            p99_s=p99,
            rates=tuple(self._history.rates) if self._history else (),
            p99s=tuple(self._history.p99s) if self._history else (),
            answered=tally.answered,
            right=tally.right,
            mistakes=tally.mistakes,
            lost=tally.lost,
            told=tally.told,
            reopened=tally.reopened,
            vitals=vitals_of(venue.pool) if self._history else None,
            pictures=venue.gallery.pictures(),
        )
