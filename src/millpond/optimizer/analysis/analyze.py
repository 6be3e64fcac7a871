"""The analysis: every finding that the history allows, in a few milliseconds."""

from __future__ import annotations

from millpond.optimizer.analysis.costs import find_costs
from millpond.optimizer.analysis.error_causes import find_error_cause
from millpond.optimizer.analysis.finding import Finding, WorkloadAnalysis
from millpond.optimizer.analysis.throughput import find_throughput
from millpond.optimizer.analysis.utilization import find_utilization
from millpond.optimizer.analysis.waiting import find_waiting
from millpond.optimizer.load_history import LoadHistory
from millpond.slo import Slo


def analyze(history: LoadHistory, slo: Slo) -> WorkloadAnalysis:
    """What can be said of the load by now."""
    if history.last is None:
        return WorkloadAnalysis(0.0, 0.0)
    cause = find_error_cause(history)
    findings: list[Finding] = [
        *find_utilization(history),
        *find_waiting(history),
        *([cause] if cause else []),
        *find_throughput(history),
        *find_costs(history, slo),
    ]
    return WorkloadAnalysis(history.last.now, float(history.fine()["elapsed_s"].sum()), tuple(findings))
