"""Endpoints about pools for an application of one's own: it lives, it can serve, and its metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from millpond.http.headers import ANSWER
from millpond.http.health import first_unready
from millpond.metrics.prometheus import render
from millpond.pool import Pool

Endpoint = Callable[[Request], Awaitable[Response]]


async def healthz(request: Request) -> Response:
    """200 as long as the application answers at all: `app.add_route("/healthz", healthz)`."""
    return PlainTextResponse("ok\n", headers=ANSWER)


def readyz(*pools: Pool) -> Endpoint:
    """200 while all pools can serve calls, else 503 and the state of the first that cannot."""

    async def ready(request: Request) -> Response:
        word = first_unready(pools) or "ready"
        later = {} if word == "ready" else {"Retry-After": "1"}
        return PlainTextResponse(f"{word}\n", 200 if word == "ready" else 503, headers={**ANSWER, **later})

    return ready


def metrics(*pools: Pool) -> Endpoint:
    """The pools' metrics, for Prometheus. Who may read them is for the application to decide."""

    async def page(request: Request) -> Response:
        found = [pool.metrics.snapshot() for pool in pools if pool.settings.metrics]
        content_type, text = render(*found, accept=request.headers.get("accept", ""))
        return Response(text, headers={**ANSWER, "Content-Type": content_type})

    return page
