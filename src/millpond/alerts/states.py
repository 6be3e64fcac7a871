"""What an alert goes through: inactive, pending, firing, resolved.

A case is one alert of one rule, known by its labels, from the moment its condition holds until it is over. Who looks
from outside is given frozen alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from types import MappingProxyType

from millpond.alerts.expr.labels import Labels, fingerprint
from millpond.core import Table, move

INACTIVE, PENDING, FIRING, RESOLVED = "inactive", "pending", "firing", "resolved"

TRANSITIONS: Table = {
    (INACTIVE, PENDING): "the expression holds",
    (PENDING, FIRING): "it has held for the rule's `for`; at once if there is none",
    (PENDING, INACTIVE): "it stopped holding before that",
    (FIRING, RESOLVED): "it stopped holding, and `keep_firing_for` has passed",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert at one moment. Times are Unix seconds, 0 for what has not happened.

    `value` is what the expression gave last; `fingerprint` that of its labels, as Alertmanager computes it;
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
        return Alert(
            self.name,
            self.labels,
            self.annotations,
            self.state,
            self.value,
            self.fingerprint,
            self.active_at,
            self.fired_at,
            self.resolved_at,
            silenced_by,
        )
