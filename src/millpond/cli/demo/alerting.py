"""The alert of the demo: a rule beside the built-in ones, which fires while calls are refused and clears soon after."""

from __future__ import annotations

from millpond.alerts.rules import Group, Rule

OVERLOAD = Rule(
    "DemoOverload",
    of="call_errors_total",
    where={"code": ("overloaded", "queue_full", "deadline_exceeded")},
    per="calls_total",
    over_s=10,
    above=0.15,
    severity="warning",
    summary="Pool {pool} leaves {value:%} of its calls undone: there are more than its workers can do in time.",
    answer="Nothing: it is the overload of the demo, and the next phase is quiet.",
)
ALERTS = Group("demo", (OVERLOAD,))
