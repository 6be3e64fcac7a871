"""A look at a pool's calls: listed, and one by its id, for whoever may view.

Nothing here has arguments, results or texts of errors. What a dead worker wrote is for administrators alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from millpond.http.access.caller import MAY_VIEW
from millpond.http.figures import figures
from millpond.http.problems import Problem
from millpond.http.routing import caller_of, number_of, pool_of, route, whole

if TYPE_CHECKING:
    from millpond.facts import CallFacts

MOST_LISTED = 1000


async def list_calls(request: Request) -> Response:
    """The calls that run, wait, were slowest in the last 15 minutes or failed last, and how many there are."""
    asked = request.query_params
    try:
        found = pool_of(request).calls(
            asked.get("show", "running"),  # type: ignore[arg-type]
            operation=asked.get("operation") or None,
            worker=whole(request, "worker", None),
            session=asked.get("session") or None,
            code=asked.get("code") or None,
            limit=min(whole(request, "limit", 100), MOST_LISTED),
        )
    except ValueError as error:
        name = "show" if "show" in str(error) else "limit"
        raise Problem(400, "bad_argument", str(error), field=name) from None
    return figures({"calls": [_told(request, one) for one in found.calls], "of": found.of})


async def get_call(request: Request) -> Response:
    """One call that waits or runs, or one that ended and is remembered."""
    pool, call_id = pool_of(request), number_of(request.path_params["call_id"])
    found = None if call_id is None else pool.call_facts(call_id)
    if found is None:
        raise Problem(404, "unknown_call", "There is no such call, or it ended and is not remembered.")
    return figures(_told(request, found))


def _told(request: Request, facts: CallFacts) -> CallFacts:
    return facts if caller_of(request).role == "admin" else replace(facts, stderr_tail=None)


_POOL = "/v1/pools/{pool}"
ROUTES = [
    route(f"{_POOL}/calls", list_calls, roles=MAY_VIEW),
    route(f"{_POOL}/calls/{{call_id}}", get_call, roles=MAY_VIEW),
]
