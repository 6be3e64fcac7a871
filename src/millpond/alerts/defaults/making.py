"""How default rules are written: a name, how grave it is, the expression, what it says and what to do."""

from __future__ import annotations

from typing import Literal

from millpond.alerts.rules import Rule

Severity = Literal["critical", "warning", "info"]
CRITICAL: Severity = "critical"  # calls are not done
WARNING: Severity = "warning"  # they will not be, or some are not
INFO: Severity = "info"  # worth a look


def rule(
    alert: str, severity: Severity, expr: str, summary: str, answer: str, for_s: float = 0.0, keep_firing_s: float = 0.0
) -> Rule:
    """A rule with the annotations `summary` and `answer`."""
    annotations = {"summary": summary, "answer": answer}
    return Rule(
        alert=alert,
        expr=expr,
        for_s=for_s,
        keep_firing_s=keep_firing_s,
        labels={"severity": severity},
        annotations=annotations,
    )
