"""A pool's workers: those that are there, and the last that are gone, for whoever may view.

What they wrote is for administrators alone.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from millpond.http.access.caller import MAY_VIEW
from millpond.http.figures import large_figures
from millpond.http.routing import caller_of, pool_of, route


async def list_workers(request: Request) -> Response:
    """The workers that are there, and the last 100 that are gone, newest first: why, how, and what that cost."""
    pool = pool_of(request)
    workers, gone = pool.workers(), pool.gone_workers()
    if caller_of(request).role != "admin":
        gone = tuple(replace(one, stderr_tail=None) for one in gone)
    return await large_figures(request, lambda: {"workers": workers, "gone": gone})


ROUTES = [route("/v1/pools/{pool}/workers", list_workers, roles=MAY_VIEW)]
