"""From an observation to a decision: the synchronous core of the optimizer, without I/O or a clock of its own.

`take` notes an observation and says why nothing may be decided from it, a policy proposes a rule, `decide` puts the
guard between that and a decision, and `adopt` makes it so: the next look checks what came of it. The simulator calls
`step`, which is all of these; the pool's optimizer asks a policy in another process between the first and the second.
"""

from __future__ import annotations

from dataclasses import replace

from millpond.core import SizingRule
from millpond.optimizer.analysis.analyze import analyze
from millpond.optimizer.analysis.finding import WorkloadAnalysis
from millpond.optimizer.checking import ChangeCheck
from millpond.optimizer.decision import UNENTERED, Decision, Kind, Verdict
from millpond.optimizer.guarding import Guard, Limits, absurdity
from millpond.optimizer.load_history import LoadHistory
from millpond.optimizer.observation import Observation
from millpond.optimizer.policies.policy import Policy, Proposal
from millpond.slo import Slo

MISSED_S = 120.0  # the objective is missed if it was not met in so many seconds
LEAST_CALLS = 5
PAUSE_S, LONGEST_PAUSE_S = 300.0, 7_200.0  # after a change was taken back; doubles with each
ANALYZE_S = 60.0  # between two analyses for decisions
PRESSED_SHARE = 0.5  # of what a call may wait, after which a look is due at once
PRESSED_AGAIN_S = 5.0


class Decider:
    """Decides for one pool. `analyzes=False` leaves the findings out of decisions: they cost milliseconds."""

    def __init__(
        self,
        slo: Slo,
        limits: Limits | None = None,
        *,
        interval_s: float = 15.0,
        policy: str = "",
        analyzes: bool = True,
    ) -> None:
        self.slo = slo
        self.interval_s = interval_s
        self.history = LoadHistory(slo)
        self.guard = Guard(limits or Limits())
        self._policy = policy
        self._analyzes = analyzes
        self._analysis: WorkloadAnalysis | None = None
        self._check: ChangeCheck | None = None
        self._pause_s = PAUSE_S
        self._number = 0
        self._plan = self._plan_before = ""  # that the rule in force comes from, and the one before the last change
        self._pressed_at = float("-inf")
        self.verdicts: list[Verdict] = []  # what came of earlier decisions, until somebody takes them

    def step(self, seen: Observation, policy: Policy) -> Decision:
        """All of it, with a policy that is at hand. The rule of the decision is to be adopted by the pool."""
        if why := self.take(seen):
            return self.held(seen, why)
        decision = self.taken_back(seen) or self.decide(seen, policy.propose(seen))
        self.adopt(decision, seen)
        return decision

    def take(self, seen: Observation) -> str:
        """Note an observation; why nothing may be decided from it, or nothing if all is well."""
        if wrong := absurdity(seen):
            return f"What was measured cannot be: {wrong}."
        if self.history.last is not None and seen.now < self.history.last.now:
            return f"What was measured cannot be: time went from {self.history.last.now:.3f} to {seen.now:.3f}."
        if seen.stalled_s:
            self.history.last = seen  # its times are those of the stall
            self._check = None
            return f"The program stood still for {seen.stalled_s:.1f} s: what was measured meanwhile says nothing."
        self.history.note(seen)
        return ""

    def held(self, seen: Observation, why: str) -> Decision:
        """A decision to leave all as it is."""
        return self._decision(seen, "hold", seen.rule, seen.rule, why)

    def taken_back(self, seen: Observation) -> Decision | None:
        """The rule before the last change, if that has turned out worse; what else came of it goes to `verdicts`."""
        check = self._check
        verdict = check.verdict(self.history, seen.now, self.slo) if check else None
        if check is None or verdict is None:
            return None
        self._check = None
        self.verdicts.append(verdict)
        if not verdict.is_worse:
            self._pause_s = PAUSE_S
            return None
        self.guard.refuse(Proposal(check.rule, "", plan=check.plan), seen.now, seen.now + self._pause_s)
        reason = f"Decision {check.number} is taken back for {self._pause_s:.0f} s. {verdict.sentence}"
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return self._decision(seen, "taken back", check.before, check.before, reason, self._plan_before)

    def decide(self, seen: Observation, proposal: Proposal) -> Decision:
        """What becomes of a proposal. Changes nothing: the same question has the same answer until one is adopted."""
        if proposal.rule == seen.rule and self.guard.is_content(seen):
            return self._decision(seen, "none", seen.rule, proposal.rule, proposal.reason, proposal.plan)
        if proposal.plan and proposal.plan == self._plan:
            rule = self.guard.refreshed(seen, proposal.rule)
            kind: Kind = "none" if rule == seen.rule else "refreshed"
            return self._decision(seen, kind, rule, proposal.rule, proposal.reason, proposal.plan)
        guarded = self.guard.check(seen, proposal, self.history.most_workers, self.is_missed(seen))
        is_change = guarded.rule != seen.rule
        kind = "change" if is_change else "hold" if guarded.changes else "none"
        made = self._decision(seen, kind, guarded.rule, proposal.rule, proposal.reason, proposal.plan)
        if kind == "none":
            return made
        return replace(
            made, guard=guarded.changes, candidates=proposal.candidates, findings=tuple(self._findings(seen))
        )

    def command(self, seen: Observation, rule: SizingRule, reason: str) -> Decision:
        """What a person asked for: within bounds it is done."""
        return self._decision(seen, "command", self.guard.bounded(rule, seen), rule, reason)

    def adopt(self, decision: Decision, seen: Observation) -> None:
        """The decision's rule is in force from now on, and is checked; the check of an earlier change is over."""
        self._number = max(self._number, decision.number)
        plan_before = self._plan
        if decision.rule == decision.proposed:
            self._plan = decision.plan
        if decision.kind == "refreshed":
            self.guard.was_refreshed(decision.before, decision.rule, decision.at)
            return
        if not decision.is_change:
            return
        self._plan_before, self._plan = plan_before, decision.plan
        if self._check is not None:
            self.verdicts.append(Verdict(self._check.number, f"Followed by decision {decision.number} before a check."))
        self.guard.adopted(decision.before, decision.rule, decision.at)
        is_checked = decision.kind == "change"
        self._check = ChangeCheck(decision, self.interval_s, seen.start_s, seen.service_s) if is_checked else None

    def is_pressed(self, now: float, oldest_wait_s: float, service_s: float) -> bool:
        """Whether a look is due at once: a call has waited for half of what it may. Asked again after five seconds."""
        if oldest_wait_s <= PRESSED_SHARE * self.slo.wait_s(service_s) or now < self._pressed_at + PRESSED_AGAIN_S:
            return False
        self._pressed_at = now
        return True

    def is_missed(self, seen: Observation) -> bool:
        """Whether the calls of the last two minutes missed the objective, or one that waits has."""
        allowed_s = self.slo.wait_s(seen.service_s)
        if seen.oldest_wait_s > allowed_s:
            return True
        rows = self.history.since(seen.now - MISSED_S)
        started, met = sum(row.started for row in rows), sum(row.met for row in rows)
        return started >= LEAST_CALLS and met < self.slo.share * started

    def analyze(self) -> WorkloadAnalysis:
        """What can be said of the load by now."""
        self._analysis = analyze(self.history, self.slo)
        return self._analysis

    def _findings(self, seen: Observation) -> WorkloadAnalysis:
        if not self._analyzes:
            return WorkloadAnalysis(seen.now, 0.0)
        last = self._analysis
        return last if last is not None and seen.now < last.at + ANALYZE_S else self.analyze()

    def _decision(
        self,
        seen: Observation,
        kind: Kind,
        rule: SizingRule,
        proposed: SizingRule,
        reason: str,
        plan: str = "",
    ) -> Decision:
        return Decision(
            number=self._number + (kind not in UNENTERED),
            at=seen.now,
            kind=kind,
            before=seen.rule,
            rule=rule,
            proposed=proposed,
            reason=reason,
            policy=self._policy,
            plan=plan,
            inputs={} if kind in UNENTERED else self._inputs(seen),
        )

    def _inputs(self, seen: Observation) -> dict[str, float]:
        """The numbers that a decision was made from, with their units in the names."""
        rows = self.history.since(seen.now - MISSED_S)
        seconds = sum(row.elapsed_s for row in rows)
        started = sum(row.started for row in rows)
        given = {
            "busy_workers": seen.busy,
            "waiting_calls": seen.waiting,
            "ready_workers": seen.ready,
            "starting_workers": seen.starting,
            "service_s": seen.service_s,
            "start_s": seen.start_s,
        }
        if seconds:
            given["calls_a_second"] = sum(row.arrivals for row in rows) / seconds
            given["calls_at_work_or_waiting"] = sum(row.in_system_s for row in rows) / seconds
        if started:
            given["share_met"] = sum(row.met for row in rows) / started
        return given
