"""Sessions over HTTP: opened, listed, closed; each is its owner's, and nobody else finds it.

Calls of a session are in `calls` and `streams`.
"""

from __future__ import annotations

import secrets
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from millpond.http.access.caller import MAY_CALL
from millpond.http.asking import body_of, headers_of, owned
from millpond.http.formats import decoded
from millpond.http.problems import Problem
from millpond.http.routing import answer, caller_of, pool_of, route

_MOST_BYTES = 64 * 1024


class Opening(msgspec.Struct, forbid_unknown_fields=True):
    """What opens a session."""

    id: str | None = None
    reopen: bool = False
    affinity: Literal["strict", "fail_fast", "hint"] | None = None
    on_restore: Literal["raise", "continue"] | None = None


async def open_session(request: Request) -> Response:
    """Open a session, or join the open one: 201 if it is new, else 200."""
    pool, caller = pool_of(request), caller_of(request)
    body = await body_of(request.receive, headers_of(request.scope), _MOST_BYTES)
    asked: Opening = decoded(body, Opening)
    session_id = asked.id if asked.id is not None else secrets.token_urlsafe(16)
    try:
        handle = pool.session(
            owned(session_id, caller.owner),
            reopen=asked.reopen,
            affinity=asked.affinity,
            on_restore=asked.on_restore,
        )
    except (TypeError, ValueError) as error:
        raise Problem(400, "bad_argument", str(error), field="$.id", outcome="not_started") from None
    was_there = pool.driver.view.session(handle.id) is not None
    await handle.open()
    said = {"id": session_id, "state": handle.state, "generation": handle.generation}
    return answer(said, 200 if was_there else 201)


ROUTES = [
    route("/v1/pools/{pool}/sessions", open_session, methods=["POST"], roles=MAY_CALL),
]
