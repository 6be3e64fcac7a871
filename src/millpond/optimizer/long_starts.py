"""The sizing rule's parameters where a worker takes about as long to start as calls may wait, or longer.

What is kept ready decides there. Each look notes what came, sets the floors and timeouts of all experts by it, lets
their shadow pools have the calls whose service times are known by now, and has the evidence choose. Proposes;
`policies/rehearsal` asks. Nothing is done while nothing happens.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from millpond.core import SizingRule
from millpond.optimizer import experts
from millpond.optimizer.call_record import CallRecord
from millpond.optimizer.evidence import Evidence
from millpond.optimizer.experts import EXPERTS, PRICES_S, WINDOWS_S, Counts, Floats
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.policy import Candidate, Mode, Proposal
from millpond.optimizer.priced_timeouts import PricedTimeouts
from millpond.optimizer.rules import is_same
from millpond.optimizer.shadow_pools import ShadowPools
from millpond.slo import Slo

MOST_CALLS = 1_500  # rehearsed of those between two looks; the time of the others is left out
# After so many calls only every second run of looks is rehearsed, after twice as many every third, and so on
MANY_CALLS, LEAST_OFTEN, RUN_LOOKS = 50_000, 4, 16
FIRST_S, FIRST_STARTS = 60.0, 6.0  # after the first call, and starts: how a pool begins from nothing is no evidence
QUIET_S = 60.0  # without a call, after which there is a look; after twice that the next, and so on
SHOWN = 5  # candidates
PROMPT_DRAIN_S = 0.02  # in prompt a backlog is left to those at work only if they are through with it at once
KEPT_S = 60.0  # an expert, before another
HELD_LOOKS, REFUSED_S = 6, 300.0


@dataclass(frozen=True, slots=True)
class Look:
    """What the experts were set to at some time; `timeouts[j - 1]` are those of the j-th worker."""

    at: float
    most: int  # workers
    floors: Counts
    timeouts: Floats


class LongStarts:
    """One pool. `note` each observation, and `propose` where starts are long."""

    def __init__(self, slo: Slo, mode: Mode = "economy") -> None:
        self._slo = slo
        self._drain_s = PROMPT_DRAIN_S if mode == "prompt" else None
        self._record = CallRecord(max(WINDOWS_S))
        self._priced = PricedTimeouts(PRICES_S)
        self._looks: deque[Look] = deque()  # that the shadow pools have not come to
        self._shadows: ShadowPools | None = None
        self._noted: tuple[Floats, Counts, int, float]  # what the shadow pools had added up when it was noted last
        self._calls = self._looks_made = 0
        self._known: tuple[Floats, Floats] = np.empty(0), np.empty(0)  # calls since the last look that was made
        self._met_calls = self._met_late = 0  # since the last look
        self._evidence: Evidence | None = None
        self._first_at = math.inf
        self._last_at = self._again_at = -math.inf
        self._planned_at = -math.inf  # another expert was proposed
        self._unfollowed_looks = 0  # in a row
        self._refused: dict[int, float] = {}  # experts that the guard refused -> until when they are left out
        self._timeouts: Floats | None = None
        self._learned: Floats | None = None  # that they follow from
        rule = SizingRule(spares=1, idle_timeouts=(60.0,), drain_s=self._drain_s)
        self._proposal = Proposal(rule, "Until more is known one worker is ready beyond the load.")

    def note(self, seen: Observation) -> None:
        """What came and ended since the last observation."""
        self._record.note(seen)
        self._priced.note(seen)
        if len(seen.arrivals):
            self._first_at = min(self._first_at, float(seen.arrivals[0]))
            self._last_at = float(seen.arrivals[-1])
            self._calls += len(seen.arrivals)
        if len(seen.ended):
            self._met_calls += len(seen.ended)
            self._met_late += int((seen.ended[:, 2] > self._slo.wait_s(seen.service_s) + 1e-9).sum())

    def propose(self, seen: Observation) -> Proposal:
        """The best rule by now, with the floor and timeouts for the load of now."""
        if seen.start_s and self._is_due(seen):
            self._again_at = self._last_at + QUIET_S
            while self._again_at <= seen.now:
                self._again_at += self._again_at - self._last_at
            self._look(seen)
        return self._proposal

    def _is_due(self, seen: Observation) -> bool:
        """Whether calls came or are there, or the load of the windows is another by time alone."""
        if len(seen.arrivals) or seen.busy or seen.waiting:
            return True
        return self._again_at <= seen.now <= self._last_at + 2.0 * max(WINDOWS_S)

    def _look(self, seen: Observation) -> None:
        shadows = self._shadows
        if shadows is None or shadows.most != max(1, seen.high):
            shadows = self._begin(seen)
        shadows.starts_take(seen.start_s)
        load = self._record.means(seen, self._first_at, WINDOWS_S)
        floors = np.clip(experts.floors(load), seen.low, shadows.most)
        look = Look(seen.now, shadows.most, floors, self._timeouts_now(seen))
        self._looks.append(look)
        self._rehearse(shadows, seen)
        if self._evidence is not None and self._evidence.calls:
            self._evidence.note_met(seen.now, self._met_calls, self._met_late)
            self._note_refused(seen)
            if seen.now >= self._planned_at + KEPT_S:
                self._evidence.choose(self._refused)
            self._proposal = self._told(self._evidence, look)
        self._met_calls = self._met_late = 0

    def _begin(self, seen: Observation) -> ShadowPools:
        self._evidence, self._planned_at = None, -math.inf
        self._shadows = ShadowPools(
            experts.SPARES,
            experts.DRAINS,
            most=max(1, seen.high),
            wait_s=self._slo.wait_s(seen.service_s),
            drain_s=self._drain_s,
            now=min(seen.now, self._record.next_at, *self._known[0][:1]),
        )
        return self._shadows

    def _timeouts_now(self, seen: Observation) -> Floats:
        """The same array as before if nothing has changed: it need not be taken over then."""
        learned = self._priced.at(seen.now, seen.start_s)
        if self._timeouts is None or learned is not self._learned:
            self._learned, self._timeouts = learned, experts.timeouts(learned)
        return self._timeouts

    def _rehearse(self, shadows: ShadowPools, seen: Observation) -> None:
        """Let the shadow pools have the looks until the first call that is not known, and the calls between them."""
        known = self._record.known(seen.now, seen.service_s)
        came, took = (np.concatenate(pair) for pair in zip(self._known, known, strict=True))
        begin = 0
        while self._looks and self._looks[0].at <= self._record.next_at:
            look = self._looks.popleft()
            end = int(np.searchsorted(came, look.at, side="right"))
            is_left_out = self._is_left_out()
            last = begin if is_left_out else min(end, begin + MOST_CALLS)
            shadows.calls_came(came[begin:last], took[begin:last])
            if is_left_out or last < end:
                shadows.skip(max(0.0, look.at - shadows.now))
            shadows.set(look.at, look.floors, look.timeouts)
            self._note_shadows(shadows, look.at, seen.start_s)
            begin, self._looks_made = end, self._looks_made + 1
        self._known = came[begin:], took[begin:]

    def _is_left_out(self) -> bool:
        every = min(1 + self._calls // MANY_CALLS, LEAST_OFTEN)
        return self._looks_made // RUN_LOOKS % every != 0

    def _note_shadows(self, shadows: ShadowPools, at: float, start_s: float) -> None:
        """Take what the shadow pools added up since the last look as evidence."""
        if self._evidence is not None:
            worker_s, late, calls, lived_s = self._noted
            self._evidence.note(
                at,
                shadows.worker_s - worker_s,
                shadows.late - late,
                shadows.calls - calls,
                shadows.lived_s - lived_s,
            )
        elif at > self._first_at + FIRST_S + FIRST_STARTS * start_s:
            self._evidence = Evidence(len(EXPERTS), self._first_at, at, 1.0 - self._slo.share)
        self._noted = shadows.worker_s.copy(), shadows.late.copy(), shadows.calls, shadows.lived_s

    def _note_refused(self, seen: Observation) -> None:
        """A plan that is not followed is not proposed for a while: its numbers would be of no effect.

        For a few looks it may be held.
        """
        proposed = self._proposal
        is_followed = not proposed.plan or seen.rule == proposed.rule or is_same(seen.rule, proposed.rule)
        self._unfollowed_looks = 0 if is_followed else self._unfollowed_looks + 1
        if self._unfollowed_looks > HELD_LOOKS and self._evidence is not None:
            self._refused[self._evidence.chosen] = seen.now + REFUSED_S
            self._unfollowed_looks = 0
        if self._refused:
            self._refused = {number: until for number, until in self._refused.items() if until > seen.now}

    def _told(self, evidence: Evidence, look: Look) -> Proposal:
        """The chosen rule; if it is another than before, why, and the next best."""
        number, before = evidence.chosen, self._proposal
        floor, timeouts = int(look.floors[number]), look.timeouts[:, number]
        rule = experts.rule(number, floor, timeouts, look.most, self._drain_s)
        if before.plan == EXPERTS[number].name:
            return before if rule == before.rule else replace(before, rule=rule, candidates=())
        shown = [number, *(n for n in np.argsort(evidence.scores)[:SHOWN].tolist() if n != number)][:SHOWN]
        candidates = tuple(
            Candidate(
                EXPERTS[n].name,
                experts.rule(n, int(look.floors[n]), look.timeouts[:, n], look.most, self._drain_s),
                evidence.workers(n),
                evidence.attainment(n),
            )
            for n in shown
        )
        best = candidates[0]
        reason = (
            f"Rehearsed on the calls of late, {best.workers:.2f} workers on average would have met "
            f"{best.attainment:.2%}, where {1.0 - evidence.aim():.2%} are to be met: {best.name}."
        )
        self._planned_at = look.at
        return Proposal(rule, reason, candidates, plan=best.name)
