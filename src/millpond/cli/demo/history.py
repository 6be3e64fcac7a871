"""Throughput and latency over time, one value a bin, for the sparklines. Each answer is looked at once."""

from __future__ import annotations

from millpond.cli.demo.tally import Tally

BIN_S = 0.5  # two values a second: half a minute fits on a line of 60 characters


class History:
    """Finished bins since the serving began."""

    def __init__(self, tally: Tally, began: float) -> None:
        self._tally = tally
        self._end = began + BIN_S
        self._first = tally.since(began)
        self.rates: list[float] = []
        self.p99s: list[float] = []

    def advance(self, now: float) -> None:
        """Close every bin that has ended."""
        while now >= self._end:
            last = self._tally.since(self._end)
            self.rates.append((last - self._first) / BIN_S)
            self.p99s.append(self._tally.percentiles(self._first, last)[1])
            self._first = last
            self._end += BIN_S
