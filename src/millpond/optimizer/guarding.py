"""The guard: what a proposal may not do, whatever policy made it. Numbers in, numbers and sentences out.

It holds on absurd input and across a stall, keeps rules within bounds, memory and cores, raises nothing while workers
cannot start, and lets the parameters change only so far and so often. Its steps and pauses are about parameters; how
many workers start by a rule is the core's.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from millpond.core import SizingRule
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.policy import Proposal
from millpond.optimizer.rules import is_same, lowered, raised, wanted

MEMORY_SHARE = 0.9  # of what is free may be used
LEAST_CORES = 0.5  # cores' worth of time of a worker at work from which the cores are what is scarce
LEVELS_AHEAD = 2  # beyond the workers that are there, whose timeouts matter
STEP_UP, LEAST_STEP = 2.0, 4  # a floor goes at most to so many times what was at work of late, or by so many
MOST_TIMEOUT_S = 86_400.0
MISSED_AGAIN_S = 150.0  # after a change was taken back, from which what is missed is missed for want of it
# Of an observation; one of time may be negative.
NUMBERS = (
    "now", "busy", "waiting", "ready", "starting", "in_system_s", "start_s", "service_s", "low", "high", "worker_bytes",
    "free_bytes", "worker_cores", "cores", "starts_failed", "stalled_s", "oldest_wait_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the user's settings and the pace of changes allow."""

    longest_idle_s: float = MOST_TIMEOUT_S  # the setting `idle_timeout`
    cool_down_s: float = 60.0  # after a raise, before anything is lowered; doubles while they alternate
    longest_cool_down_s: float = 1_800.0
    alternating_s: float = 600.0  # a raise so soon after a lowering alternates
    changes: int = 5  # in `changes_s` seconds at most, unless the objective is missed
    changes_s: float = 1_800.0


@dataclass(frozen=True, slots=True)
class Guarded:
    """The rule that may be adopted, and what the guard changed, one sentence each; the rule in force if it holds."""

    rule: SizingRule
    changes: tuple[str, ...] = ()


class Guard:
    """The guard of one pool. `check` changes nothing; whoever adopts a rule says so by `adopted`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._changed: deque[float] = deque()
        self._has_chosen = False
        self._raised_at = self._lowered_at = -math.inf
        self._refreshed_at = -math.inf  # a plan's numbers were raised
        self._cool_down_s = limits.cool_down_s
        self._refused: list[tuple[Proposal, float, float]] = []  # taken back: when, and until when not tried again

    def check(self, seen: Observation, proposal: Proposal, most_workers: float, is_missed: bool) -> Guarded:
        """What of a proposal may be done now. `most_workers` were at work at once of late; `is_missed`: so is the aim.

        The observation is one that `absurdity` finds nothing wrong with.
        """
        proposed = proposal.rule
        if wrong := absurd_rule(proposed):
            return Guarded(seen.rule, (f"The proposal was not followed: {wrong}.",))
        notes: list[str] = []
        rule = self._bounded(proposed, seen, notes)
        if self._has_chosen:  # the first choice has none before it to step from
            rule = self._within_step(rule, seen, most_workers, notes)
        rule = self._possible(rule, seen, notes)
        if is_same(self._bounded(seen.rule, seen, []), rule):
            return Guarded(seen.rule, tuple(notes))
        why = self._refusal(seen.now, rule, proposal.plan, is_missed)
        if why := why or self._too_soon(seen, rule, is_missed, has_plans=bool(proposal.plan)):
            return Guarded(seen.rule, (*notes, why))
        return Guarded(rule, tuple(notes))

    def refreshed(self, seen: Observation, proposed: SizingRule) -> SizingRule:
        """What of new numbers of the plan in force may be done: what bounds, resources and failing starts allow.

        Those that matter now: a timeout of workers that are not there does not. A raise is followed at once, and
        nothing is lowered for a while after it, so that a load that jumps to and fro is not followed in each jump.
        """
        if absurd_rule(proposed):
            return seen.rule
        rule = self._possible(self._bounded(proposed, seen, []), seen, [])
        levels = max(seen.ready + seen.starting, rule.floor) + LEVELS_AHEAD
        before, after = _of_levels(self._bounded(seen.rule, seen, []), levels), _of_levels(rule, levels)
        is_early = lowered(before, after) and seen.now < self._refreshed_at + self.limits.cool_down_s
        return seen.rule if is_early or is_same(before, after) else rule

    def was_refreshed(self, before: SizingRule, after: SizingRule, now: float) -> None:
        """New numbers of the plan in force were adopted."""
        if raised(before, after) and not lowered(before, after):
            self._refreshed_at = now

    def _possible(self, rule: SizingRule, seen: Observation, notes: list[str]) -> SizingRule:
        rule = self._within_resources(rule, seen, notes)
        return self._not_raised(rule, seen, notes) if seen.starts_failed else rule

    def is_content(self, seen: Observation) -> bool:
        """Whether the rule in force needs no look: it lies within the bounds, and nothing else limits it."""
        rule = seen.rule
        is_bounded = rule.floor <= rule.ceiling <= max(seen.high, 1) and rule.ceiling >= seen.low
        return is_bounded and not seen.worker_bytes and not seen.worker_cores

    def bounded(self, rule: SizingRule, seen: Observation) -> SizingRule:
        """A person's wish: only the bounds hold."""
        return self._bounded(rule, seen, [])

    def adopted(self, before: SizingRule, after: SizingRule, now: float) -> None:
        """A rule was changed."""
        self._changed.append(now)
        self._has_chosen = True
        up, down = raised(before, after), lowered(before, after)
        if up and not down:
            if now - self._lowered_at < self.limits.alternating_s:
                self._cool_down_s = min(2 * self._cool_down_s, self.limits.longest_cool_down_s)
            elif now - self._raised_at > self.limits.alternating_s:
                self._cool_down_s = self.limits.cool_down_s
            self._raised_at = now
        elif down:
            self._lowered_at = now

    def refuse(self, proposal: Proposal, now: float, until: float) -> None:
        """What was adopted is taken back, and neither it nor its plan with other numbers is tried again before that."""
        self._refused = [one for one in self._refused if one[2] > now]
        self._refused.append((proposal, now, until))

    def _bounded(self, rule: SizingRule, seen: Observation, notes: list[str]) -> SizingRule:
        high = max(1, seen.high)
        ceiling = min(max(rule.ceiling, seen.low, 1), high)
        # The bounds hold on top of the rule: only what goes beyond the most is put right, and told.
        floor = min(max(rule.floor, 0), ceiling)
        if rule.floor > high:
            notes.append(f"A floor of {rule.floor} workers is above max_workers ({seen.high}).")
        spares = min(rule.spares, high)
        longest_s = self.limits.longest_idle_s
        timeouts = tuple(min(timeout, longest_s) for timeout in rule.idle_timeouts)
        return replace(rule, floor=floor, ceiling=ceiling, spares=spares, idle_timeouts=timeouts)

    def _within_resources(self, rule: SizingRule, seen: Observation, notes: list[str]) -> SizingRule:
        """No more workers than fit into memory, none kept beyond what the cores can do; never fewer than there are."""
        there, least = seen.ready + seen.starting, max(seen.low, 1)
        if seen.cores and seen.worker_cores >= LEAST_CORES:
            most = max(there, math.ceil(seen.cores / seen.worker_cores) + 1, least)
            if rule.floor > most:
                notes.append(f"No more than {most} are kept: so many use all of {seen.cores} cores.")
                ceiling = most if rule.floor == rule.ceiling else rule.ceiling
                rule = replace(rule, floor=most, ceiling=ceiling)
        if seen.worker_bytes and seen.free_bytes is not None:
            left = MEMORY_SHARE * seen.free_bytes - seen.starting * seen.worker_bytes
            most = max(there + max(0, int(left / seen.worker_bytes)), least)
            if rule.ceiling > most:
                if rule.floor > most or wanted(rule, seen.busy + seen.waiting) > most:
                    notes.append(f"No more than {most} of {seen.worker_bytes >> 20} MiB fit into memory.")
                rule = replace(rule, ceiling=most, floor=min(rule.floor, most))
        return rule

    def _within_step(self, rule: SizingRule, seen: Observation, most_workers: float, notes: list[str]) -> SizingRule:
        """A floor goes up by so much at a time, and one that is the ceiling too goes down by half at most."""
        before = max(seen.rule.floor, seen.low, seen.ready + seen.starting)
        highest = max(before + LEAST_STEP, math.ceil(STEP_UP * max(most_workers, before)))
        lowest = math.ceil(min(seen.rule.floor, seen.high) / 2) if rule.floor == rule.ceiling else 0
        floor = min(max(rule.floor, lowest), highest)
        if floor == rule.floor:
            return rule
        notes.append(f"The floor goes to {floor} in this step, not to {rule.floor}.")
        is_fixed = rule.floor == rule.ceiling
        return replace(rule, floor=floor, ceiling=floor if is_fixed else max(rule.ceiling, floor))

    def _not_raised(self, rule: SizingRule, seen: Observation, notes: list[str]) -> SizingRule:
        """While workers cannot start nobody asks for more of them."""
        now = seen.rule
        kept = replace(
            rule,
            floor=min(rule.floor, now.floor),
            spares=min(rule.spares, now.spares),
            ceiling=max(1, seen.low, min(rule.ceiling, now.ceiling)),
        )
        if kept == rule:
            return rule
        needed = rule.needed(seen.busy, seen.waiting, seen.waiting, seen.service_s, seen.start_s)
        why = seen.start_error or f"{seen.starts_failed} starts failed in a row"
        notes.append(f"wanted {min(wanted(rule, needed), seen.high)}, have {seen.ready}, blocked: {why}")
        return kept

    def _refusal(self, now: float, rule: SizingRule, plan: str, is_missed: bool) -> str:
        """Why what was taken back is not tried again for now; empty if nothing of the kind was."""
        for refused, since, until in self._refused:
            is_again = refused.plan == plan if refused.plan else is_same(refused.rule, rule)
            # What is missed soon after it was taken back is missed for what was taken back.
            is_needed = is_missed and now > since + MISSED_AGAIN_S
            if now < until and is_again and not is_needed:
                return f"This was tried and taken back; it is not tried again for {until - now:.0f} s."
        return ""

    def _too_soon(self, seen: Observation, rule: SizingRule, is_missed: bool, has_plans: bool) -> str:
        """Why the rule in force stays for now; empty if it may change."""
        now, limits = seen.now, self.limits
        while self._changed and self._changed[0] <= now - limits.changes_s:
            self._changed.popleft()
        in_force = self._bounded(seen.rule, seen, [])
        down, up = lowered(in_force, rule), raised(in_force, rule)
        if up and not down and is_missed:
            return ""
        if has_plans:  # each is chosen by all that was seen: the pauses that grow are for those who go by the last look
            is_early = self._changed and now < self._changed[-1] + limits.cool_down_s
            return f"A plan is kept for {limits.cool_down_s:.0f} s." if is_early else ""
        if down and now < self._raised_at + self._cool_down_s:
            return f"Nothing is lowered within {self._cool_down_s:.0f} s of a raise."
        if len(self._changed) >= limits.changes:
            return f"{limits.changes} changes in {limits.changes_s / 60:.0f} min are enough."
        return ""


def _of_levels(rule: SizingRule, levels: int) -> SizingRule:
    """The rule as far as so many workers are concerned."""
    return replace(rule, idle_timeouts=rule.idle_timeouts[:levels])


def absurdity(seen: Observation) -> str:
    """What is wrong with an observation that cannot be true; empty if nothing is."""
    numbers = (
        seen.busy, seen.waiting, seen.ready, seen.starting, seen.in_system_s, seen.start_s, seen.service_s, seen.low,
        seen.high, seen.worker_bytes, seen.free_bytes or 0, seen.worker_cores, seen.cores, seen.starts_failed,
        seen.stalled_s, seen.oldest_wait_s,
    )  # fmt: skip
    # Any number that is none makes the sum none; looking at each by its name would take three times as long.
    if not math.isfinite(seen.now + sum(numbers)) or min(numbers) < 0:
        return next((wrong for name in NUMBERS if (wrong := _wrong(seen, name))), "a number is none")
    if seen.low > seen.high:
        return f"low is {seen.low} and high {seen.high}"
    for name, array in (("arrivals", seen.arrivals), ("ended", seen.ended), *seen.waits.items()):
        if len(array) and not bool(np.isfinite(array).all()):
            return f"{name or 'waits'} has numbers that are none"
    if len(seen.ended) and seen.ended[:, 1].min() < 0:
        return "a call took less than no time"
    return absurd_rule(seen.rule)


def _wrong(seen: Observation, name: str) -> str:
    value = getattr(seen, name) or 0
    is_wrong = not math.isfinite(value) or (value < 0 and name != "now")
    return f"{name} is {value}" if is_wrong else ""


def absurd_rule(rule: SizingRule) -> str:
    """What is wrong with a rule that cannot be meant; empty if nothing is."""
    numbers = {
        "floor": rule.floor, "ceiling": rule.ceiling, "spares": rule.spares, "patience_s": rule.patience_s,
        "window_s": rule.window_s, "drain_s": rule.drain_s or 0.0,
    }  # fmt: skip
    for name, value in numbers.items():
        if not math.isfinite(value) or value < 0:
            return f"its {name} is {value}"
    if not rule.idle_timeouts or any(math.isnan(one) or one < 0 for one in rule.idle_timeouts):
        return f"its idle_timeouts are {rule.idle_timeouts}"
    return ""
