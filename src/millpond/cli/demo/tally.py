"""What the callers of one pool saw, by how each call ended for the one who made it.

Nothing comes from the pool's own books.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from millpond.cli.demo.answer_key import Sheet

BIN_S = 1.0  # of the sparklines
BINS = 600  # kept
RECENT_S = 60.0  # answers whose times are kept
REFUSED = ("overloaded", "queue_full")  # codes of the calls that were not begun
TOLERATED = (*REFUSED, "deadline_exceeded")  # codes that the overload is there for


@dataclass(slots=True)
class Tally:
    """The counts, and the times of the answers of the last minute."""

    asked: int = 0
    answered: int = 0
    wrong: int = 0  # answers that differ from the key: to another question
    miscounted: int = 0  # answers with a session's score that its player cannot have
    died: int = 0  # WorkerDied: may have run
    told: int = 0  # SessionLost: refused, because the session died with its worker
    reopened: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # anything else, by code
    ended: array[float] = field(default_factory=lambda: array("d"))  # of each answer, in the order they came
    latencies: array[float] = field(default_factory=lambda: array("d"))
    all_times: Counter[int] = field(default_factory=Counter)  # answers by their milliseconds
    rates: list[float] = field(default_factory=list)  # answers a second in each finished bin, for the sparklines
    bin_end: float = inf  # of the bin that is open

    @property
    def mistakes(self) -> int:
        """What must be 0."""
        return self.wrong + self.miscounted

    @property
    def refused(self) -> int:
        """Calls that were told at once to come again."""
        return sum(self.failures[code] for code in REFUSED)

    @property
    def expired(self) -> int:
        """Calls whose deadline passed."""
        return self.failures["deadline_exceeded"]

    @property
    def other_failures(self) -> dict[str, int]:
        """Calls that failed for reasons that are no part of the demo."""
        return {code: number for code, number in self.failures.items() if code not in TOLERATED}

    def answer(self, sheet: Sheet, digits: list[Any], ended: float, seconds: float) -> None:
        """Check one answer and count it."""
        self.answered += 1
        self.wrong += digits != sheet.expected
        self.ended.append(ended)
        self.latencies.append(seconds)
        self.all_times[round(seconds * 1000)] += 1

    def since(self, moment: float) -> int:
        """Index of the first answer at or after a moment."""
        return bisect_left(self.ended, moment)

    def percentiles(self, since: float) -> tuple[float, float]:
        """p50 and p99 (seconds) of the answers since a moment of the last minute; 0 where there are none."""
        chosen = self.latencies[self.since(since) :]
        p50, p99 = np.percentile(chosen, (50, 99)) if chosen else (0.0, 0.0)
        return float(p50), float(p99)

    def percentile(self, share: float) -> float:
        """That of all answers, to the millisecond (seconds); 0 where there are none."""
        rank, seen = share * self.answered, 0
        for ms, number in sorted(self.all_times.items()):
            seen += number
            if seen >= rank:
                return ms / 1000
        return 0.0

    def start_bins(self, now: float) -> None:
        """From here on the sparklines grow."""
        self.bin_end = now + BIN_S

    def close_bins(self, now: float) -> None:
        """Add each finished bin to the sparklines, and forget the times of answers that are too old."""
        while now >= self.bin_end:
            answers = self.since(self.bin_end) - self.since(self.bin_end - BIN_S)
            self.rates.append(answers / BIN_S)
            self.bin_end += BIN_S
        del self.rates[:-BINS]
        old = self.since(now - RECENT_S)
        del self.ended[:old], self.latencies[:old]
