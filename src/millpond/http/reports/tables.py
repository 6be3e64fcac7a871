"""The tables of a report: what became of calls, the slowest minutes, workers that went, decisions and alerts.

Names, numbers and Millpond's own words: no text of a handler, and nothing that a worker wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from millpond.http.reports.span import changed_at
from millpond.http.reports.words import percent
from millpond.metrics.columns import family
from millpond.metrics.derived import BLAME, share
from millpond.metrics.source import UNPLANNED
from millpond.report import Table

if TYPE_CHECKING:
    from millpond.facts import GoneWorkerFacts
    from millpond.http.reports.span import Minute, Steps
    from millpond.report.contents import Cell

SLOWEST = 5
MOST_ROWS = 100
WHOSE = {"ours": "the pool's", "handler": "the handler's", "caller": "the caller's"}


def tables_of_calls(steps: Steps) -> list[Table]:
    """What became of calls, why, and when they took longest."""
    total = steps.total()
    endings = family(total.counters, "endings")
    codes = sorted(family(total.counters, "codes").items(), key=lambda one: -one[1])
    shares: list[Sequence[Cell]] = [(ending, n, percent(n / total.ended)) for ending, n in endings.items()]
    found = [Table(title="How calls ended", head=("ending", "calls", "share"), rows=shares)]
    if codes:
        rows: list[list[Cell]] = []
        for code, n in codes:
            rows.append([code, n, percent(share(n, total.ended)), WHOSE[BLAME.get(code, "ours")]])
        head = ("code", "calls", "share of all", "whose fault")
        found.append(Table(title="Why calls were not answered", head=head, rows=rows))
    slowest = sorted((one for one in steps.minutes() if one.latency), key=lambda one: -one.latency.describe().p99)
    if slowest:
        found.append(_slowest(steps, slowest[:SLOWEST]))
    return found


def _slowest(steps: Steps, minutes: Sequence[Minute]) -> Table:
    rows: list[list[Cell]] = []
    for one in minutes:
        took, counts = one.latency.describe(), one.counted
        used = min(1.0, share(counts["busy_s"], counts["available_s"]))
        waited = one.wait.describe().p99
        busy = percent(used) if used == used else None
        rows.append([steps.span.told(one.wall), counts.ended, took.p50, took.p99, waited, busy, one.most_queued])
    head = ("from, UTC", "calls", "p50, s", "p99, s", "p99 of the wait, s", "workers busy", "most waiting")
    return Table(title="The slowest minutes", head=head, rows=rows, note="By the p99 of their calls.")


def tables_of_workers(steps: Steps) -> list[Table]:
    """Which workers went, and the runs of the pool in the span."""
    span = steps.span
    deaths = family(steps.total().counters, "deaths")
    found = []
    if deaths:
        rows: list[list[Cell]] = [[cause.replace("_", " "), number] for cause, number in deaths.items()]
        note = "Retired and recycled are the pool's own wish; the others are losses."
        found.append(Table(title="Workers that went", head=("cause", "workers"), rows=rows, note=note))
    if lost := [one for one in span.gone if one.cause in UNPLANNED]:
        found.append(_lost(steps, lost))
    if runs := _runs(steps):
        found.append(runs)
    return found


def _lost(steps: Steps, lost: Sequence[GoneWorkerFacts]) -> Table:
    span = steps.span
    rows: list[list[Cell]] = []
    for one in lost:
        why = one.cause.replace("_", " "), f"{one.reason}{_how(one)}"
        rows.append([span.told(one.wall), one.worker, *why, one.lost, one.sessions, one.seconds])
    head = ("at, UTC", "worker", "cause", "reason", "calls lost", "sessions there", "lived, s")
    return Table(
        title="Workers that were lost",
        head=head,
        rows=rows,
        note="Newest first, as far as this run of the pool remembers them.",
    )


def _how(one: GoneWorkerFacts) -> str:
    if one.signal:
        return f" (signal {one.signal})"
    return f" (exit code {one.exit_code})" if one.exit_code else ""


def _runs(steps: Steps) -> Table | None:
    """The runs of the pool, where there are several: between them it was not there."""
    runs = [list(slots) for _, slots in groupby(steps.slots, key=lambda slot: slot.boot)]
    if len(runs) < 2:
        return None
    span = steps.span
    rows: list[list[Cell]] = [
        [one[0].boot[:8], span.told(one[0].wall - one[0].seconds), span.told(one[-1].wall)] for one in runs
    ]
    note = "The pool was opened anew between them."
    return Table(title="Runs of the pool", head=("run", "from, UTC", "to, UTC"), rows=rows, note=note)


def tables_of_decisions(steps: Steps) -> list[Table]:
    """What the optimizer decided, with its reasons, and which alerts changed."""
    span = steps.span
    found = []
    if span.decisions:
        rows: list[list[Cell]] = [
            [span.told(one.wall), one.kind, one.change if one.is_change else "kept", one.reason, one.outcome or None]
            for one in span.decisions[-MOST_ROWS:]
        ]
        head = ("at, UTC", "kind", "change", "why", "what came of it")
        found.append(Table(title="The optimizer", head=head, rows=rows, note=_of_all(len(span.decisions))))
    if span.changes:
        rows = [
            [span.told(changed_at(one)), one.name, one.severity or None, one.state, one.summary]
            for one in span.changes[-MOST_ROWS:]
        ]
        head = ("at, UTC", "alert", "severity", "then", "what it says")
        found.append(Table(title="Alerts that changed", head=head, rows=rows, note=_of_all(len(span.changes))))
    return found


def _of_all(number: int) -> str:
    return f"The last {MOST_ROWS} of {number}." if number > MOST_ROWS else ""
