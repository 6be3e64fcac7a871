"""A pool's workers: those that are there, and the last that are gone, for whoever may view.

What they wrote and what their threads are doing is for administrators alone; asking for the latter is told as an event.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from millpond.events import PoolAdministered
from millpond.http.access.caller import MAY_ADMINISTER, MAY_VIEW
from millpond.http.figures import figures, large_figures
from millpond.http.problems import Problem
from millpond.http.routing import caller_of, number_of, pool_of, route
from millpond.seams import NoStack


async def list_workers(request: Request) -> Response:
    """The workers that are there, and the last that are gone, newest first: why, how, and what that cost."""
    pool = pool_of(request)
    workers, gone = pool.workers(), pool.gone_workers()
    if caller_of(request).role != "admin":
        gone = tuple(replace(one, stderr_tail=None) for one in gone)
    return await large_figures(request, lambda: {"workers": workers, "gone": gone})


async def worker_logs(request: Request) -> Response:
    """What a worker wrote to stdout and stderr: the end of it."""
    worker = _worker(request)
    try:
        return figures({"worker": worker, "text": pool_of(request).logs(worker)})
    except ValueError:
        raise _unknown_worker() from None


async def worker_stack(request: Request) -> Response:
    """The Python stacks of a worker's threads at this moment."""
    pool, worker = pool_of(request), _worker(request)
    pool.telemetry.execute(PoolAdministered("stack", caller_of(request).owner or "the program"))
    try:
        return figures({"worker": worker, "text": await pool.stack(worker)})
    except NoStack as error:
        raise Problem(409, "no_stack", f"There is no stack of worker {worker}: {error}.") from None


def _worker(request: Request) -> int:
    worker = number_of(request.path_params["worker"])
    if worker is None:
        raise _unknown_worker()
    return worker


def _unknown_worker() -> Problem:
    return Problem(404, "unknown_worker", "There is no such worker, or it is gone.")


_WORKERS = "/v1/pools/{pool}/workers"
ROUTES = [
    route(_WORKERS, list_workers, roles=MAY_VIEW),
    route(f"{_WORKERS}/{{worker}}/logs", worker_logs, roles=MAY_ADMINISTER),
    route(f"{_WORKERS}/{{worker}}/stack", worker_stack, roles=MAY_ADMINISTER),
]
