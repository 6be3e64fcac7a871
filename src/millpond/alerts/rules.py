"""Alert rules as Prometheus has them: an expression, how long it must hold, labels, and what to tell.

A rule that is made has been read and checked in full; nothing is evaluated here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from millpond.alerts.expr.labels import NAME
from millpond.alerts.expr.parser import parse
from millpond.alerts.expr.tree import Node, selectors
from millpond.alerts.series import FAR_S
from millpond.alerts.templates import Template

ALERT_NAME = "alertname"
DEFAULT_INTERVAL_S = 15.0
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class RuleError(ValueError):
    """A rule that cannot be used; the message names it and says why."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One alert rule.

    `for_s`: seconds the expression must hold before the alert fires. `keep_firing_s`: seconds it goes on firing after
    the expression held last. `labels` and `annotations` may hold templates. Raises `RuleError`.
    """

    alert: str
    expr: str
    for_s: float = 0.0
    keep_firing_s: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    tree: Node = field(init=False, repr=False, compare=False)
    templates: Mapping[str, Template] = field(init=False, repr=False, compare=False)  # of the annotations
    label_templates: Mapping[str, Template] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.alert or self.for_s < 0 or self.keep_firing_s < 0:
            raise RuleError(f"rule {self.alert!r}: it needs a name, and durations of 0 or more")
        try:
            object.__setattr__(self, "tree", _checked(self.expr))
            object.__setattr__(self, "label_templates", _templates(self.labels))
            object.__setattr__(self, "templates", _templates(self.annotations))
        except ValueError as error:
            raise RuleError(f"rule {self.alert!r}: {error}") from error


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated together, every `interval_s` seconds."""

    name: str
    rules: tuple[Rule, ...]
    interval_s: float = DEFAULT_INTERVAL_S

    def __post_init__(self) -> None:
        if not self.name or self.interval_s <= 0:
            raise RuleError(f"group {self.name!r}: it needs a name and an interval above 0")


def _checked(expr: str) -> Node:
    tree = parse(expr)
    if tree.kind == "range":
        raise ValueError("the expression is a range; use a function such as rate()")
    reach_s = max((ms for _, ms in selectors(tree)), default=0) / 1000
    if reach_s > FAR_S:
        raise ValueError(f"it looks back {reach_s:g} s, and samples are kept for {FAR_S} s")
    return tree


def _templates(texts: Mapping[str, str]) -> dict[str, Template]:
    for name in texts:
        if name == NAME or not _LABEL.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a label or an annotation")
    return {name: Template(text) for name, text in texts.items()}
