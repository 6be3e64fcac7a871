"""The check of a change: what it was to bring, against what was measured in a window before and after.

Only like is compared with like: where the load changed meanwhile nothing is concluded, and nothing from fewer calls
than chance needs. A change is worse if the objective is missed where it was not, or if it costs more than predicted
without meeting more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from millpond.core import SizingRule
from millpond.optimizer.decision import Decision, Verdict
from millpond.optimizer.load_history import LoadHistory
from millpond.slo import Slo

LEAST_S, LOOKS = 120.0, 8  # a window lasts so long at least, and so many looks
LEAST_CALLS = 20
LIKE = 1.5  # loads that differ by no more than this factor are compared
DEARER = 1.25  # times the workers before, or predicted
SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A window of time: calls a second, the mean number at work or waiting, of workers, and what met the objective."""

    rate: float
    load: float
    workers: float
    started: float
    met: float

    @property
    def attainment(self) -> float:
        """The share that met the objective."""
        return self.met / self.started if self.started else 1.0


def measure(history: LoadHistory, since: float, until: float) -> Measured | None:
    """The looks between two times; nothing if there were none."""
    rows = [row for row in history.since(since) if row.at <= until + 1e-9]
    seconds = sum(row.elapsed_s for row in rows)
    if not seconds:
        return None
    return Measured(
        rate=sum(row.arrivals for row in rows) / seconds,
        load=sum(row.in_system_s for row in rows) / seconds,
        workers=sum((row.ready + row.starting) * row.elapsed_s for row in rows) / seconds,
        started=sum(row.started for row in rows),
        met=sum(row.met for row in rows),
    )


class ChangeCheck:
    """The check of one decision that changed the rule."""

    def __init__(self, decision: Decision, interval_s: float, start_s: float, service_s: float) -> None:
        self.number = decision.number
        self.before: SizingRule = decision.before
        self.rule: SizingRule = decision.rule
        self.plan = decision.plan
        self._at = decision.at
        # What began before the change ends after it: workers that start, calls that run.
        self._settle_s = start_s + service_s
        self._window_s = max(LEAST_S, LOOKS * interval_s)
        chosen = next((one for one in decision.candidates if one.rule == decision.proposed), None)
        self._predicted_workers = chosen.workers if chosen else None

    def verdict(self, history: LoadHistory, now: float, slo: Slo) -> Verdict | None:
        """What came of it; nothing while the window lasts."""
        since = self._at + self._settle_s
        if now < since + self._window_s:
            return None
        before = measure(history, self._at - self._window_s, self._at)
        after = measure(history, since, now)
        if before is None or after is None or min(before.started, after.started) < LEAST_CALLS:
            return Verdict(self.number, "Too few calls came to judge it.")
        if not _alike(before, after):
            return Verdict(self.number, f"Not judged: the load went from {before.load:.2f} to {after.load:.2f} calls.")
        return self._compared(before, after, slo)

    def _compared(self, before: Measured, after: Measured, slo: Slo) -> Verdict:
        told = (
            f"{after.attainment:.1%} of the calls met the objective, {before.attainment:.1%} before; "
            f"{after.workers:.2f} workers on average, {before.workers:.2f} before"
        )
        if self._predicted_workers is not None:
            told += f", {self._predicted_workers:.2f} predicted"
        spread = math.sqrt(slo.share * (1.0 - slo.share) / after.started + 1e-9)
        if after.attainment < slo.share - SIGMAS * spread and after.attainment < before.attainment - SIGMAS * spread:
            return Verdict(self.number, f"Worse: {told}.", is_worse=True)
        if self._is_dearer(before, after) and before.attainment >= slo.share:
            return Verdict(self.number, f"Worse, dearer for nothing: {told}.", is_worse=True)
        return Verdict(self.number, f"As expected: {told}.")

    def _is_dearer(self, before: Measured, after: Measured) -> bool:
        """Whether it costs more than was predicted, and than before."""
        if self._predicted_workers is None or after.load > before.load:
            return False
        return after.workers > DEARER * max(before.workers, self._predicted_workers) + 1.0


def _alike(before: Measured, after: Measured) -> bool:
    """Whether about as many calls came, and they were about as much work."""
    rates = sorted((before.rate, after.rate))
    return rates[1] <= LIKE * rates[0]
