"""Families, alerts and rules for tests, in a line."""

from __future__ import annotations

from collections.abc import Mapping

from millpond.alerts.rules import Group, Rule
from millpond.alerts.states import Alert, fingerprint, labels_of
from millpond.metrics.catalogue import Family

Values = Mapping[str, float]  # of a label's values


def gauge(name: str, value: float, **labels: str) -> Family:
    """A gauge with one sample."""
    return Family(name, "gauge", "", "", [("", tuple(labels.items()), value)])


def gauges(name: str, label: str, values: Values) -> Family:
    """A gauge with a sample for each value of a label."""
    return Family(name, "gauge", "", "", [("", ((label, text),), value) for text, value in values.items()])


def group(*rules: Rule, name: str = "g") -> Group:
    """A group of rules."""
    return Group(name, rules)


def alert(name: str = "A", state: str = "firing", **labels: str) -> Alert:
    """An alert of pool "a" that has fired since moment 1000."""
    known = {"alertname": name, "pool": "a", **labels}
    resolved_at = 1060.0 if state == "resolved" else 0.0
    annotations = {"summary": f"{name} is up"}
    mark = fingerprint(labels_of(known))
    return Alert(name, known, annotations, state, 1.5, mark, 990.0, 1000.0, resolved_at)
