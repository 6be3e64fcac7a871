"""The sizing rule's parameters where a worker starts well within the time that calls may wait.

Workers start on demand there, and nothing need be kept ready. In economy a worker starts for a call only when that
call could not begin in time without it; one that frees itself meanwhile saves the start, and an idle one goes at once.
In prompt nobody waits on purpose, and workers idle as long as saves most starts for a few percent of the least cost
possible. Proposes; `policies/rehearsal` asks, and has other means where a start takes longer.
"""

from __future__ import annotations

import math

import numpy as np

from millpond.core import SizingRule
from millpond.optimizer.learned_timeouts import Choice, Costs, costs_of, in_levels, in_seconds
from millpond.optimizer.level_gaps import Floats, LevelGaps
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.policy import Candidate, Mode, Proposal
from millpond.optimizer.reserve import Reserve
from millpond.optimizer.rules import is_same
from millpond.optimizer.start_time import StartTime
from millpond.slo import Slo

IN_TIME = 0.8  # of the time that calls may wait: a start that takes no longer is short
RECENT_CALLS = 500
# Economy. Of the time left to wait so much is kept to drain in, if so many calls fit in one after another.
BATCH, BATCH_CALLS = 0.25, 5
# Prompt
EXTRA = 0.0375  # of the least cost possible: what saving starts may cost
WORTH = 2.0  # calls' time: what saving one start may cost
NOTED_CALLS = 64  # at once: a few cost as much as these
LEAST_CALLS, MORE = 40, 0.5  # calls before the first choice, and share by which they grow until the next
DEARER, FEWER = 0.005, 0.03  # beyond the budget, of the calls a start less: worth other timeouts
LONGEST_CALL = 0.98  # quantile
OTHER_WINDOW = 1.5  # times


class ShortStarts:
    """One pool. `note` each observation, and `propose` where it `fits`."""

    def __init__(self, slo: Slo, mode: Mode) -> None:
        self._slo, self._mode = slo, mode
        self._gaps = LevelGaps()
        self._unnoted: list[tuple[Floats, Floats]] = []  # arrivals and ended calls that are to be noted together
        self._noted_at, self._in_pool_s = 0, 0.0
        self._services: Floats = np.empty(0)  # of recent calls
        self._start = StartTime()
        self._reserve = Reserve(1.0 - slo.share)
        self._calls = self._chosen_at = 0  # that came, and those of them before the last choice
        self._choice: Choice | None = None
        self._window_s = 0.0
        self._proposal: Proposal | None = None

    def note(self, seen: Observation) -> None:
        """What came and ended since the last observation."""
        ended = seen.ended
        self._calls += len(seen.arrivals)
        self._start.note(seen.start_s)
        self._in_pool_s += seen.in_system_s
        if self._mode == "prompt" and len(seen.arrivals) + len(ended):
            self._unnoted.append((seen.arrivals, ended))
            if self._calls - self._noted_at >= NOTED_CALLS:
                self._note_gaps(seen.now)
        if len(ended):
            self._services = np.concatenate([self._services, ended[:, 1]])[-RECENT_CALLS:]
            self._reserve.note(len(ended), int((ended[:, 2] > self._wait_s(seen)).sum()))

    def _note_gaps(self, now: float) -> None:
        if self._unnoted:
            arrivals, ended = (np.concatenate(column) for column in zip(*self._unnoted, strict=True))
            left = np.minimum(ended.sum(axis=1), now)  # arrival, service and wait
            self._gaps.note(now, arrivals, left, float(ended[:, 1].sum()), self._in_pool_s)
        self._unnoted, self._in_pool_s = [], 0.0
        self._noted_at = self._calls

    def fits(self, seen: Observation) -> bool:
        """Whether starts are short, as far as is known."""
        return 0.0 < self._start.seconds <= IN_TIME * self._wait_s(seen)

    def propose(self, seen: Observation) -> Proposal:
        """The rule for what was noted; the last one while nothing differs enough to matter."""
        if self._mode == "prompt":
            return self._prompt(seen)
        proposal = self._economy(seen)
        if self._proposal is None or not is_same(self._proposal.rule, proposal.rule):
            self._proposal = proposal
        return self._proposal

    def _wait_s(self, seen: Observation) -> float:
        return self._slo.wait_s(seen.service_s) + 1e-9

    def _economy(self, seen: Observation) -> Proposal:
        start_s = self._start.seconds
        left_s = self._wait_s(seen) - start_s
        spread = self._spread()
        drain_s = self._reserve.share * left_s
        reserved_s = drain_s
        # Where calls are short one worker serves many; where they differ much the few long ones hold up the others.
        if len(self._services) and BATCH_CALLS * self._services.mean() * spread <= BATCH * left_s:
            reserved_s = max(drain_s, BATCH * left_s)
            drain_s = reserved_s / spread
        patience_s = left_s - reserved_s
        rule = SizingRule(idle_timeouts=(0.0,), patience_s=patience_s, drain_s=drain_s)
        return Proposal(
            rule,
            f"A start takes {start_s:.3g} s, and calls may wait {left_s + start_s:.3g} s: a worker starts "
            f"for a call that has waited {patience_s:.3g} s, and goes when nobody waits.",
        )

    def _spread(self) -> float:
        """The mean square of the service times over the square of their mean: 1 where all are alike."""
        mean_s = float(self._services.mean()) if len(self._services) else 0.0
        return 1.0 + float(self._services.var()) / mean_s**2 if mean_s else 1.0

    def _prompt(self, seen: Observation) -> Proposal:
        if self._calls - self._chosen_at >= max(LEAST_CALLS, MORE * self._gaps.calls) and len(self._services):
            self._chosen_at = self._calls
            self._note_gaps(seen.now)
            self._choose(costs_of(self._gaps, seen.now, self._start.seconds))
        if self._proposal is None:
            rule = SizingRule(idle_timeouts=(self._start.seconds,))
            self._proposal = Proposal(rule, "Until more is known a worker idles as long as a start takes.")
        return self._proposal

    def _choose(self, costs: Costs) -> None:
        """Other timeouts if they cost clearly less, or save clearly more starts; another window if it is another."""
        budget_s = (1.0 + EXTRA) * costs.least_s
        found = costs.least_starts(budget_s, WORTH * float(self._services.mean()))
        window_s = self._window(costs.start_s)
        if self._choice is not None:
            now = in_levels(self._choice, len(found), costs.start_s)
            is_dearer = costs.of(now) > (1.0 + DEARER) * max(budget_s, costs.of(found))
            is_better = costs.of(found) <= budget_s and costs.starts(now) - costs.starts(found) > FEWER * costs.calls
            if not is_dearer and not is_better:
                found = now
        if self._choice is not None and np.array_equal(found, self._choice) and window_s == self._window_s:
            return
        self._choice, self._window_s = found, window_s
        self._proposal = self._told(costs, found)

    def _window(self, start_s: float) -> float:
        """How long a call is worth a worker of its own: until one that was started for it has served it for sure.

        Calls that take as long as a start are worth one for as long as they wait.
        """
        longest_s = float(np.quantile(self._services, LONGEST_CALL))
        if not 0.0 < longest_s < start_s / 2:
            return 0.0
        is_other = not self._window_s or abs(math.log(longest_s / self._window_s)) > math.log(OTHER_WINDOW)
        return longest_s if is_other else self._window_s

    def _rule(self, choice: Choice, start_s: float) -> SizingRule:
        # What those at work surely finish while a worker starts is worth none: a fifth of what they do on average, and
        # less where calls differ much.
        drain_s = start_s / (3.0 + 2.0 * self._spread()) if self._window_s else 0.0
        return SizingRule(idle_timeouts=in_seconds(choice), drain_s=drain_s, window_s=self._window_s)

    def _told(self, costs: Costs, found: Choice) -> Proposal:
        at_once = np.zeros_like(found)
        candidates = tuple(
            Candidate(name, self._rule(choice, costs.start_s), costs.of(choice) / max(costs.elapsed_s, 1e-9), 1.0)
            for name, choice in (("learned timeouts", found), ("no idling", at_once))
        )
        saved = 1.0 - costs.starts(found) / max(costs.starts(at_once), 1e-9)
        return Proposal(
            candidates[0].rule, _reason(in_seconds(found), saved, costs.of(found) / costs.least_s), candidates
        )


def _reason(timeouts: tuple[float, ...], saved: float, cost: float) -> str:
    """Why workers are kept so long; `saved` is the share of the starts, `cost` over the least possible."""
    if not any(timeouts):
        return "Workers stop as soon as they are idle: starting them again costs less than keeping them."
    return (
        f"Idle workers are kept, the first for {timeouts[0]:.2g} s and the last for {timeouts[-1]:.2g} s: that saves "
        f"{saved:.0%} of the starts, and costs {max(0.0, cost - 1.0):.0%} more worker time than the least possible."
    )
