"""Evaluates rules and keeps their cases: what began to fire, what is over, and which rules have no answer.

Given samples and the time by whoever owns the clock; tells nobody. The states follow Prometheus's to the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import MappingProxyType

from millpond.alerts.expr.errors import EvaluationError
from millpond.alerts.expr.evaluation import Source, evaluate
from millpond.alerts.expr.labels import Labels, Sample, Vector, labels_of, text_of, unnamed
from millpond.alerts.rules import ALERT_NAME, Group, Rule
from millpond.alerts.states import FIRING, INACTIVE, PENDING, RESOLVED, Alert, Case
from millpond.logger.pool_logger import PoolLogger

log = PoolLogger("millpond.alerts")
MOST_CASES = 200  # of one rule: an expression that gives more has the wrong labels

SLACK_MS = 250  # a timer that comes early by so much must not cost a whole round


@dataclass(slots=True)
class Changes:
    """What an evaluation brought about."""

    fired: list[Alert] = field(default_factory=list)
    resolved: list[Alert] = field(default_factory=list)


class Watched:
    """A rule and its cases. `problem` says why its last evaluation had no answer; then its cases stay as they were."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.problem = ""
        self.cases: dict[Labels, Case] = {}

    @property
    def state(self) -> str:
        """The worst of its alerts' states."""
        states = {case.state for case in self.cases.values()}
        return next((state for state in (FIRING, PENDING) if state in states), INACTIVE)

    def evaluate(self, source: Source, ms: int, wall: float, changes: Changes) -> None:
        """Look once; never raises for what an expression finds."""
        try:
            holding = self._holding(source, ms)
            self.problem = ""
        except Exception as error:  # whatever it is, the other rules have a right to be evaluated
            if not isinstance(error, EvaluationError) and not self.problem:
                log.raised(error, "alert rule %r cannot be evaluated", self.rule.alert)
            self.problem = str(error) if isinstance(error, EvaluationError) else repr(error)
            return
        for labels, sample in holding.items():
            case = self.cases.get(labels)
            if case is None:
                case = self.cases[labels] = Case(self.rule.alert, labels, ms, wall)
            self._renew(case, sample)
            if case.holds(ms, wall, round(self.rule.for_s * 1000)):
                changes.fired.append(case.seen())
        for labels in [labels for labels in self.cases if labels not in holding]:
            self._fail(labels, ms, wall, changes)

    def over(self, wall: float) -> Iterator[Alert]:
        """The rule is no more: what fires is resolved."""
        for case in self.cases.values():
            if case.state == FIRING:
                case.fails(0, wall, 0)
                yield case.seen()
        self.cases.clear()

    def _holding(self, source: Source, ms: int) -> dict[Labels, Sample]:
        """For whom the expression holds: the labels of the alert, and what the expression gave."""
        found = evaluate(self.rule.tree, source, ms)
        vector: Vector = [Sample((), found)] if isinstance(found, float) else found
        if len(vector) > MOST_CASES:
            raise EvaluationError(f"{len(vector)} alerts of one rule; at most {MOST_CASES} are kept apart")
        holding: dict[Labels, Sample] = {}
        for sample in vector:
            labels = self._labels_of(sample)
            if labels in holding:
                raise EvaluationError(f"several alerts would have the labels {text_of(labels)}")
            holding[labels] = sample
        return holding

    def _labels_of(self, sample: Sample) -> Labels:
        own = dict(unnamed(sample.labels))
        given = {name: template.fill(own, sample.value) for name, template in self.rule.label_templates.items()}
        return labels_of(own | given | {ALERT_NAME: self.rule.alert})

    def _renew(self, case: Case, sample: Sample) -> None:
        own = dict(unnamed(sample.labels))
        case.value = sample.value
        texts = {name: template.fill(own, sample.value) for name, template in self.rule.templates.items()}
        case.annotations = MappingProxyType(texts)

    def _fail(self, labels: Labels, ms: int, wall: float, changes: Changes) -> None:
        case = self.cases[labels]
        if case.fails(ms, wall, round(self.rule.keep_firing_s * 1000)):
            del self.cases[labels]
            if case.state == RESOLVED:
                changes.resolved.append(case.seen())


class WatchedGroup:
    """A group of rules with its pace."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.rules = [Watched(rule) for rule in group.rules]
        self._due_ms: int | None = None  # when to look next; unknown until somebody asks

    def overdue_ms(self, ms: int) -> int:
        """For how long its next evaluation has been due; negative before that."""
        if self._due_ms is None:
            self._due_ms = ms
        return ms - self._due_ms

    def evaluate(self, source: Source, ms: int, wall: float, changes: Changes) -> None:
        """Look at every rule once."""
        self._due_ms = ms + round(self.group.interval_s * 1000) - SLACK_MS
        for rule in self.rules:
            rule.evaluate(source, ms, wall, changes)


def due(groups: Iterable[WatchedGroup], ms: int, late_ms: float) -> list[WatchedGroup]:
    """What to evaluate in this turn of the loop: one group that is due, the first of them, so that no turn is long; or
    all that are late by so much.
    """
    waiting = [(group.overdue_ms(ms), group) for group in groups]
    late = [group for overdue, group in waiting if overdue >= late_ms]
    return late or [group for overdue, group in sorted(waiting, key=lambda one: -one[0]) if overdue >= 0][:1]
