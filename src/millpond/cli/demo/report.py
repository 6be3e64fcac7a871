"""What came of the demo: the figures of the summary, and whether it went well. `summary` draws it."""

from __future__ import annotations

from dataclasses import dataclass

from millpond.cli.demo.mishap import Mishap
from millpond.cli.demo.reader import ColdStart
from millpond.cli.demo.tally import Tally
from millpond.cli.demo.vitals import Vitals


@dataclass(slots=True, kw_only=True)
class Report:
    """Filled while the story goes on, so that an early end has figures too; times in seconds."""

    tally: Tally
    mishap: Mishap
    sessions: int
    opened_s: float | None = None  # from nothing to all workers ready
    cold: ColdStart | None = None
    started_s: float | None = None  # the fastest start of a worker, from asked for to ready
    served_s: float = 0.0
    calls_per_s: float = 0.0
    vitals: Vitals | None = None  # what the pool's own metrics say of the end of it
    is_cut_short: bool = False

    def close_books(self, served_s: float, vitals: Vitals) -> None:
        """The serving ends here; what players in mid-call still get is counted, but in no rate."""
        self.served_s = served_s
        self.vitals = vitals
        self.calls_per_s = self.tally.answered / served_s

    @property
    def exit_code(self) -> int:
        """1 if an answer was wrong."""
        return 1 if self.tally.mistakes else 0
