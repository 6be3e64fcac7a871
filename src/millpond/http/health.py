"""Whether the server lives, whether it can serve, and its metrics: what machines ask for.

The first two are open to all and say one word.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from millpond.http.access.caller import ANYONE, MAY_VIEW
from millpond.http.headers import ANSWER
from millpond.http.routing import application_of, route
from millpond.metrics.prometheus import render

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.http.application import Application
    from millpond.pool import Pool


async def healthz(request: Request) -> Response:
    """Whether the server lives: it does as long as it answers, also while it drains."""
    return PlainTextResponse("ok\n", headers=ANSWER)


async def readyz(request: Request) -> Response:
    """Whether a call would be served now."""
    word = readiness(application_of(request))
    headers = ANSWER if word == "ready" else {**ANSWER, "Retry-After": "1"}
    return PlainTextResponse(f"{word}\n", 200 if word == "ready" else 503, headers=headers)


def readiness(application: Application) -> str:
    """`ready`, or the state of the first pool that is not; `draining` as soon as the server is to stop."""
    if application.is_draining:
        return "draining"
    return first_unready(application.pools.values()) or "ready"


def first_unready(pools: Iterable[Pool]) -> str:
    """The state of the first pool that would serve no call, "" if each would."""
    for pool in pools:
        seen = pool.statistics()
        if not seen.is_ready:
            return "no_workers" if seen.state in ("ready", "degraded", "serving") else seen.state
    return ""


async def metrics(request: Request) -> Response:
    """The metrics of all pools and of the server, for Prometheus."""
    application = application_of(request)
    # By the names that they are served by: two pools may have one name of their own, and no page one series twice.
    served = application.pools.items()
    found = [replace(pool.metrics.snapshot(), pool=name) for name, pool in served if pool.settings.metrics]
    content_type, page = render(*found, accept=request.headers.get("accept", ""), more=application.traffic.families())
    return Response(page, headers={**ANSWER, "Content-Type": content_type})


ROUTES = [
    route("/healthz", healthz, roles=ANYONE),
    route("/readyz", readyz, roles=ANYONE),
    route("/metrics", metrics, roles=MAY_VIEW),
]
