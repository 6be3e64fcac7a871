"""What an alert goes through: inactive, pending, firing, resolved.

A case is one alert of one rule, known by its labels, from the moment its condition holds until it is over; a watched
rule has its cases. Who looks from outside is given frozen alerts. Given samples and the time; notifies nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import InitVar, dataclass, field, fields
from datetime import UTC, datetime
from types import MappingProxyType

from millpond.alerts.measures import Figures
from millpond.alerts.rules import Rule, RuleError
from millpond.alerts.samples import SampleStore
from millpond.core import Table, move
from millpond.logger.pool_logger import PoolLogger
from millpond.metrics.readers import Labels

log = PoolLogger("millpond.alerts")
MOST_CASES = 200  # of one rule: one that gives more has the wrong labels
ALERT_NAME = "alertname"

INACTIVE, PENDING, FIRING, RESOLVED = "inactive", "pending", "firing", "resolved"

TRANSITIONS: Table = {
    (INACTIVE, PENDING): "the condition holds",
    (PENDING, FIRING): "it has held for the rule's `for_s`; at once if that is 0",
    (PENDING, INACTIVE): "it stopped holding before that",
    (FIRING, RESOLVED): "it stopped holding, and `keep_firing_s` have passed",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert at one moment. Times are Unix seconds, 0 for what has not happened.

    `value` is the last figure of the rule's condition; `fingerprint` that of its labels, as Alertmanager computes it;
    `silenced_by` the id of a silence that covers it.
    """

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str
    value: float
    fingerprint: str
    active_at: float
    fired_at: float = 0.0
    resolved_at: float = 0.0
    silenced_by: str = ""

    @property
    def severity(self) -> str:
        """The label of that name, or nothing."""
        return self.labels.get("severity", "")

    @property
    def summary(self) -> str:
        """The annotation of that name, or the alert's name."""
        return self.annotations.get("summary", self.name)


@dataclass(slots=True, eq=False, repr=False)
class Case:
    """One alert of one rule while it lasts. `ms` are the store's, `wall` Unix seconds."""

    name: str
    of: InitVar[Labels]
    active_ms: int
    active_at: float
    labels: Mapping[str, str] = field(init=False)
    fingerprint: str = field(init=False)
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    state: str = INACTIVE
    value: float = 0.0
    gone_ms: int | None = None  # since when a firing one's condition no longer holds
    fired_at: float = 0.0
    resolved_at: float = 0.0

    def __post_init__(self, of: Labels) -> None:
        self.labels = MappingProxyType(dict(of))
        self.fingerprint = fingerprint(of)

    def holds(self, ms: int, wall: float, for_ms: int) -> bool:
        """The condition holds; whether it fires from now on."""
        self.gone_ms = None
        if self.state == INACTIVE:
            move(self, PENDING, TRANSITIONS)
        if self.state != PENDING or ms - self.active_ms < for_ms:
            return False
        move(self, FIRING, TRANSITIONS)
        self.fired_at = wall
        return True

    def fails(self, ms: int, wall: float, keep_ms: int) -> bool:
        """The condition does not hold; whether the case is over."""
        if self.state == PENDING:
            move(self, INACTIVE, TRANSITIONS)
            return True
        self.gone_ms = ms if self.gone_ms is None else self.gone_ms
        if keep_ms and ms - self.gone_ms < keep_ms:
            return False
        move(self, RESOLVED, TRANSITIONS)
        self.resolved_at = wall
        return True

    def seen(self, silenced_by: str = "") -> Alert:
        """The case as it is now, frozen."""
        known = {one.name: getattr(self, one.name) for one in fields(Alert) if one.name != "silenced_by"}
        return Alert(**known, silenced_by=silenced_by)


@dataclass(slots=True)
class Changes:
    """What an evaluation brought about."""

    fired: list[Alert] = field(default_factory=list)
    resolved: list[Alert] = field(default_factory=list)


class WatchedRule:
    """A rule and its cases. `problem` says why its last evaluation failed; then its cases stay as they were."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.problem = ""
        self.cases: dict[Labels, Case] = {}

    @property
    def names(self) -> set[str]:
        """The series it reads."""
        return {measure.name for comparison in self.rule.comparisons for measure in comparison.measures}

    @property
    def state(self) -> str:
        """The worst of its alerts' states."""
        states = {case.state for case in self.cases.values()}
        return next((state for state in (FIRING, PENDING) if state in states), INACTIVE)

    def evaluate(self, source: SampleStore, ms: int, wall: float, changes: Changes) -> None:
        """Look once; never raises."""
        try:
            holding = self._holding(source, ms)
            self.problem = ""
        except Exception as error:  # whatever it is, the other rules have a right to be evaluated
            if not isinstance(error, RuleError) and not self.problem:
                log.raised(error, "alert rule %r cannot be evaluated", self.rule.alert)
            self.problem = str(error) if isinstance(error, RuleError) else repr(error)
            return
        for labels, (own, value) in holding.items():
            case = self.cases.get(labels)
            if case is None:
                case = self.cases[labels] = Case(self.rule.alert, labels, ms, wall)
            case.value = value
            case.annotations = MappingProxyType(filled(self.rule.texts, own, value))
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

    def _holding(self, source: SampleStore, ms: int) -> dict[Labels, tuple[Labels, float]]:
        """For whom the rule holds: the labels of the alert, those of its figure, and the figure."""
        found = self._figures(source, ms)
        if len(found) > MOST_CASES:
            raise RuleError(f"{len(found)} alerts of one rule; at most {MOST_CASES} are kept apart")
        holding: dict[Labels, tuple[Labels, float]] = {}
        for own, value in found.items():
            labels = labels_of(dict(own) | self.rule.own_labels | {ALERT_NAME: self.rule.alert})
            if labels in holding:
                raise RuleError(f"several alerts would have the labels {text_of(labels)}")
            holding[labels] = own, value
        return holding

    def _figures(self, source: SampleStore, ms: int) -> Figures:
        rule, (first, *others) = self.rule, self.rule.comparisons
        found = first.holding(source, ms, rule.by_labels)
        for other in others:
            names = rule.by_of(other)
            missing = [label for label in rule.by_labels if label not in names]
            held = other.holding(source, ms, names)
            found = {own: value for own, value in found.items() if tuple(p for p in own if p[0] not in missing) in held}
        return found

    def _fail(self, labels: Labels, ms: int, wall: float, changes: Changes) -> None:
        case = self.cases[labels]
        if case.fails(ms, wall, round(self.rule.keep_firing_s * 1000)):
            del self.cases[labels]
            if case.state == RESOLVED:
                changes.resolved.append(case.seen())


class _Value(float):
    """An alert's value as texts ask for it."""

    def __format__(self, spec: str) -> str:
        if spec == "%":
            return f"{float(self) * 100:.4g}%"
        if spec != "bytes":
            return float(self).__format__(spec or ".6g")
        size, unit = float(self), ""
        for larger in ("ki", "Mi", "Gi", "Ti", "Pi"):
            if abs(size) < 1024:
                break
            size, unit = size / 1024, larger
        return f"{size:.4g}{unit}B"


class _Fields(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return ""  # a label that is not there is empty


def filled(texts: Mapping[str, str], labels: Labels, value: float) -> dict[str, str]:
    """The annotations of an alert, with its labels and its value in their places."""
    known = _Fields(labels, value=_Value(value))
    return {name: text.format_map(known) for name, text in texts.items()}


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Sorted, and without the empty ones: an empty label is one that is not there."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def text_of(labels: Labels) -> str:
    """As Prometheus writes them: `{label="value"}`."""
    return f"{{{', '.join(f'{name}={json.dumps(value, ensure_ascii=False)}' for name, value in labels)}}}"


def fingerprint(labels: Labels) -> str:
    """FNV-1a over names and values, 16 hexadecimal digits: the same that Prometheus and Alertmanager compute.

    Source of the function: Fowler, Noll and Vo, http://www.isthe.com/chongo/tech/comp/fnv/.
    """
    state = 0xCBF29CE484222325
    for pair in labels:
        for part in pair:
            for byte in part.encode() + b"\xff":
                state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{state:016x}"


def timestamp(wall: float) -> str:
    """Unix seconds as RFC 3339, in UTC."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
