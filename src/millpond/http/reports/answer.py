"""`/report`: what a pool did in a span of time as one file of HTML, for whoever may view. Made on a thread."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

import millpond
from millpond.http.access.caller import MAY_VIEW
from millpond.http.figures import compressed
from millpond.http.headers import ANSWER
from millpond.http.problems import Problem
from millpond.http.reports.charts import chart_of_health, charts_of_calls, charts_of_workers
from millpond.http.reports.span import Span, Steps, look, with_history
from millpond.http.reports.tables import tables_of_calls, tables_of_decisions, tables_of_workers
from millpond.http.reports.verdict import judged
from millpond.http.reports.words import lasting
from millpond.http.routing import number, pool_of, route
from millpond.report import Chart, Report, Section, Table, html

if TYPE_CHECKING:
    from millpond.pool import Pool

DEFAULT_S, LEAST_S, MOST_S = 900.0, 1.0, 86_400.0
MOST_TIME = 2.0**53
ODD_IN_NAME = re.compile(r"[^A-Za-z0-9._-]+")
MOST_NAME = 60  # characters of a pool's name in a file's


async def report(request: Request) -> Response:
    """What the pool did in the `seconds` before `end` (Unix time; by default now), as one file of HTML.

    A verdict with its reasons, charts, and tables. It loads nothing and runs nothing.
    """
    pool, now = pool_of(request), time.time()
    seconds = number(request, "seconds", DEFAULT_S, MOST_S, LEAST_S)
    end = min(number(request, "end", now, MOST_TIME), now)
    if not pool.settings.metrics:
        raise Problem(404, "not_found", "This pool keeps no metrics: it was made with metrics=False.")
    span = look(pool, request.path_params["pool"], seconds, end, now)
    return await asyncio.to_thread(lambda: compressed(request, _answer(span, pool)))


def _answer(span: Span, pool: Pool) -> Response:
    page = html(report_of(with_history(span, pool.metrics)))
    name = f"millpond-{ODD_IN_NAME.sub('-', span.pool)[:MOST_NAME]}-{_utc(span.end):%Y-%m-%d-%H%M}.html"
    headers = ANSWER | {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(page, headers=headers, media_type="text/html")


def report_of(span: Span) -> Report:
    """The report: without steps of history only that there are none."""
    steps = Steps(span)
    sections = _sections(steps) if span.slots else []
    return Report(title=f"Pool {span.pool}", verdict=judged(steps), sections=sections, note=_note(span))


def _sections(steps: Steps) -> list[Section]:
    parts: dict[str, list[Chart | Table]] = {
        "Health": [chart_of_health(steps)],
        "Calls": [*charts_of_calls(steps), *tables_of_calls(steps)],
        "Queue and workers": [*charts_of_workers(steps), *tables_of_workers(steps)],
        "Decisions and alerts": [*tables_of_decisions(steps)],
    }
    return [Section(title=title, parts=found) for title, found in parts.items() if found]


def _note(span: Span) -> str:
    start, end = _utc(span.start), _utc(span.end)
    until = f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    told = f"{start:%Y-%m-%d %H:%M:%S} to {until} UTC, {lasting(span.end - span.start)}"
    covered = sum(slot.seconds for slot in span.slots)
    missing = span.end - span.start - covered
    part = f", of which {lasting(covered)} are known" if span.slots and missing > 2 * span.resolution else ""
    return f"{told}{part}; in steps of {span.resolution} s. Written by Millpond {millpond.__version__}."


def _utc(wall: float) -> datetime:
    return datetime.fromtimestamp(wall, UTC)


ROUTES = [route("/v1/pools/{pool}/report", report, roles=MAY_VIEW)]
