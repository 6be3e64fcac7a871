"""Spans of a pool whose figures are told by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from millpond.http.reports.span import Span, Steps, with_history
from tests.metrics.pond import Pond, Watched

Each = Callable[[Pond, int], None]


def span_of(watched: Watched, seconds: float, **rest: Any) -> Span:
    """The last seconds of it, in the clock's Unix time."""
    now = watched.time.wall()
    return replace(with_history(Span("demo", now - seconds, now, now), watched.collector), **rest)


def steps_of(each: Each, seconds: int = 120) -> Steps:
    """So many seconds, in each of which something happened."""
    watched = Watched()
    watched.seconds(seconds, each)
    return Steps(span_of(watched, seconds))


def calm(pond: Pond, second: int) -> None:
    """A second of a pool that is well."""
    pond.call(n=50)
    pond.facts["busy_s"] = pond.facts.get("busy_s", 0.0) + 0.5
    pond.facts["available_s"] = pond.facts.get("available_s", 0.0) + 2.0
