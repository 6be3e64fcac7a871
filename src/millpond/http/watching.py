"""What a pool does and has done, for whoever may view: statistics, history, the optimizer's journal, alerts.

Reads what the pool knows anyway; nothing here has arguments, results or texts of handlers. Events are in `feed`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from millpond.http.access.caller import MAY_VIEW
from millpond.http.figures import figures, large_figures
from millpond.http.formats import accepted
from millpond.http.headers import ANSWER
from millpond.http.problems import Problem
from millpond.http.routing import application_of, caller_of, number, pool_of, route
from millpond.http.steps import KNOWN, columns

if TYPE_CHECKING:
    from millpond.pool import Pool

MOST_SECONDS = 86_400.0
MOST_DECISIONS = 1000
HIDDEN = "an administrator can see why"


async def list_pools(request: Request) -> Response:
    """The pools that are served, with their states."""
    pools = application_of(request).pools
    return figures({"pools": [{"name": name, **_brief(pool)} for name, pool in pools.items()]})


def _brief(pool: Pool) -> dict[str, Any]:
    seen = pool.statistics()
    figures = pool.metrics.snapshot() if pool.settings.metrics else None
    return {
        "state": seen.state,
        "is_ready": seen.is_ready,
        "alive": seen.alive,
        "health": None if figures is None else {"score": figures.health.score, "state": figures.health.state},
        "firing": None if figures is None or figures.alerting is None else figures.alerting.firing,
        "operations": [one.name for one in pool.operations()],
    }


async def statistics(request: Request) -> Response:
    """The pool at this moment."""
    seen = pool_of(request).statistics()
    if seen.reason and caller_of(request).role != "admin":
        seen = replace(seen, reason=HIDDEN)  # it may repeat what a handler's code raised
    return figures(seen)


async def history(request: Request) -> Response:
    """The last `seconds` in steps of `resolution`, a list of figures for each name."""
    pool = pool_of(request)
    seconds = number(request, "seconds", 300.0, MOST_SECONDS)
    asked = request.query_params.get("resolution")
    names = {name for part in request.query_params.getlist("fields") for name in part.split(",") if name}
    metrics = _part(pool, "metrics")
    if unknown := names - KNOWN:
        raise Problem(400, "bad_argument", f"There is no figure {min(unknown)!r}.", field="fields")
    try:
        resolution = None if asked is None else int(asked)
        slots = await asyncio.to_thread(metrics.history, seconds, resolution)
    except ValueError as error:
        raise Problem(400, "bad_argument", str(error), field="resolution") from None
    return await large_figures(request, lambda: columns(slots, names))


async def journal(request: Request) -> Response:
    """The optimizer's decisions, the oldest first; as a text for people where that is accepted or asked for."""
    optimizer = _part(pool_of(request), "optimizer")
    limit = int(number(request, "limit", 100, MOST_DECISIONS, 1))
    ranges = [name for name, weight in accepted(request.headers.get("accept", "")) if weight > 0]
    if ranges and ranges[0] == "text/plain":
        return PlainTextResponse(optimizer.story(limit), headers=ANSWER)
    if request.query_params.get("format") == "text":
        return figures({"story": optimizer.story(limit)})
    since = int(number(request, "since", 0, 2**53))
    decisions = [one for one in optimizer.journal(MOST_DECISIONS) if one.number > since]
    decisions = decisions[:limit] if since else decisions[-limit:]
    return figures({"state": optimizer.state, "rule": pool_of(request).driver.view.rule, "decisions": decisions})


async def alerts(request: Request) -> Response:
    """What fires and what may, the rules, the silences, and the last changes."""
    pool = pool_of(request)
    found, now = _part(pool, "alerts"), pool.driver.now()
    return figures(
        {
            "firing": found.firing(),
            "pending": found.pending(),
            "rules": found.rules(),
            "silences": [
                {
                    "id": one.id,
                    "matchers": [f"{each.name}{each.op}{each.value}" for each in one.matchers],
                    "author": one.author,
                }
                | {"comment": one.comment, "seconds_left": one.until_s - now}
                for one in found.silences()
            ],
            "history": found.history(),
        }
    )


def _part(pool: Pool, name: str) -> Any:
    """The pool's metrics, alerts or optimizer. Raises `Problem` 404 for a pool that has none."""
    try:
        return getattr(pool, name)
    except RuntimeError as error:
        raise Problem(404, "not_found", str(error)) from None


_POOL = "/v1/pools/{pool}"
ROUTES = [
    route("/v1/pools", list_pools, roles=MAY_VIEW),
    route(f"{_POOL}/statistics", statistics, roles=MAY_VIEW),
    route(f"{_POOL}/history", history, roles=MAY_VIEW),
    route(f"{_POOL}/journal", journal, roles=MAY_VIEW),
    route(f"{_POOL}/alerts", alerts, roles=MAY_VIEW),
]
