"""The charts of a report: calls, how long they took, the queue, and the workers, over the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from millpond.http.reports.verdict import UNANSWERED, utilization
from millpond.report import Chart, Series

if TYPE_CHECKING:
    from millpond.http.reports.span import Steps

SHARES = (0.5, 0.9, 0.99)
SHARE_NAMES = ("half took at most (p50)", "90 % (p90)", "99 % (p99)")


def chart_of_health(steps: Steps) -> Chart:
    """The score over time."""
    note = "Points for calls in time and without errors, room for more, workers that live, and a short queue."
    return _chart(steps, "Health score", "of 100", [steps.series("score", steps.gauge("health"))], note=note, top=100.0)


def charts_of_calls(steps: Steps) -> list[Chart]:
    """How many calls ended, how, and how long they took."""
    return [_calls(steps), _latency(steps)]


def charts_of_workers(steps: Steps) -> list[Chart]:
    """How many calls waited for how long, and how many workers there were."""
    return [_queue(steps), _wait(steps), _utilization(steps), _workers(steps)]


def _chart(steps: Steps, title: str, unit: str, series: list[Series], **rest: Any) -> Chart:
    span = steps.span
    return Chart(title=title, unit=unit, series=series, start=0.0, end=span.end - span.start, epoch=span.start, **rest)


def _calls(steps: Steps) -> Chart:
    ended = {ending: steps.counter(f"endings.{ending}") for ending in ("ok", *UNANSWERED, "cancelled")}
    shown = {ending: values for ending, values in ended.items() if ending == "ok" or values.any()}
    series = [steps.series(ending, values / steps.seconds) for ending, values in shown.items()]
    note = "Calls that ended; endings that no call had are left out."
    return _chart(steps, "Throughput", "calls a second", series, note=note)


def _latency(steps: Steps) -> Chart:
    note = "From a call's submission to its end; those that were refused or given up are left out."
    return _chart(steps, "Latency", "seconds", _percentiles(steps, "latency"), note=note)


def _wait(steps: Steps) -> Chart:
    note = "From a call's submission until a worker had it."
    return _chart(steps, "Wait", "seconds", _percentiles(steps, "wait"), note=note)


def _percentiles(steps: Steps, kind: str) -> list[Series]:
    rows = steps.percentiles(kind, SHARES)
    return [steps.series(name, values) for name, values in zip(SHARE_NAMES, rows, strict=True)]


def _queue(steps: Steps) -> Chart:
    series = [
        steps.series("waiting", steps.gauge("queued")),
        steps.series("running", steps.gauge("running")),
    ]
    return _chart(steps, "Calls in the pool", "calls", series)


def _utilization(steps: Steps) -> Chart:
    note = "The share of the ready workers' time in which they held a call."
    return _chart(
        steps, "Utilization", "% busy", [steps.series("busy", 100 * utilization(steps))], note=note, top=100.0
    )


def _workers(steps: Steps) -> Chart:
    alive = steps.gauge("asked_for") - steps.gauge("workers.starting")
    series = [
        steps.series("wanted", steps.gauge("wanted"), "step"),
        steps.series("asked for", steps.gauge("asked_for"), "step"),
        steps.series("alive", alive, "step"),
    ]
    room = float(max(np.nanmax(one.values) for one in series)) + 1.0  # no line lies on the edge
    return _chart(steps, "Workers", "workers", series, note="Alive are those that have started.", top=room)
