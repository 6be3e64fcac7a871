"""Sessions over HTTP: opened, listed, closed; each is its owner's, and nobody else finds it.

Calls of a session are in `calls` and `streams`.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from millpond.http.access.caller import LOGGED_IN, MAY_CALL
from millpond.http.asking import (
    GENERATION,
    IDEMPOTENCY_KEY,
    SESSION,
    body_of,
    headers_of,
    owned,
    prefix_of,
    refuse_headers,
)
from millpond.http.figures import figures
from millpond.http.formats import check_json, decoded
from millpond.http.headers import ANSWER
from millpond.http.problems import Problem
from millpond.http.routing import answer, application_of, caller_of, pool_of, route, whole
from millpond.labels import is_label

if TYPE_CHECKING:
    from millpond.facts import SessionFacts

_MOST_BYTES = 64 * 1024
MOST_LISTED = 1000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Opening(msgspec.Struct, forbid_unknown_fields=True):
    """What opens a session."""

    id: str | None = None
    reopen: bool = False
    affinity: Literal["strict", "fail_fast", "hint"] | None = None
    on_restore: Literal["raise", "continue"] | None = None


async def open_session(request: Request) -> Response:
    """Open a session, or join the open one: 201 if it is new, else 200."""
    pool, caller = pool_of(request), caller_of(request)
    headers = headers_of(request.scope)
    refuse_headers(headers, IDEMPOTENCY_KEY, SESSION, GENERATION)
    body = await body_of(request.receive, headers, _MOST_BYTES)
    check_json(headers, body)
    asked: Opening = decoded(body, Opening)
    session_id = asked.id if asked.id is not None else secrets.token_urlsafe(16)
    check_id(session_id, inside := owned(session_id, caller.owner))
    handle = pool.session(inside, reopen=asked.reopen, affinity=asked.affinity, on_restore=asked.on_restore)
    # One at a time, so that of requests that open the same one exactly one did.
    async with application_of(request).openings.setdefault((pool, inside), asyncio.Lock()):
        before = pool.session_facts(inside)
        was_there = before is not None and before.state != "lost"
        await handle.open()
    said = {"id": session_id, "state": handle.state, "generation": handle.generation}
    return answer(said, 200 if was_there else 201)


def check_id(session_id: str, inside: str) -> None:
    """Raise `Problem` 400 for an id that no session can have, or that no request could name."""
    if not is_label(session_id) or not is_label(inside) or _CONTROL.search(session_id):
        detail = "A session's id is 1 to 256 bytes of UTF-8, its owner's name included, without control characters."
        raise Problem(400, "bad_argument", detail, field="$.id", outcome="not_started")


async def list_sessions(request: Request) -> Response:
    """The caller's own sessions; all, with their owners' names before their ids, for who may view or administer."""
    pool, caller, asked = pool_of(request), caller_of(request), request.query_params
    prefix = prefix_of(caller.owner) if caller.role == "call" else ""
    try:
        found = pool.sessions(
            prefix=prefix + asked.get("prefix", ""),
            state=asked.get("state"),  # type: ignore[arg-type]
            worker=whole(request, "worker", None),
            limit=min(whole(request, "limit", 100), MOST_LISTED),
            after=whole(request, "after", 0),
        )
    except ValueError as error:
        name = "state" if "state" in str(error) else "limit"
        raise Problem(400, "bad_argument", str(error), field=name) from None
    return figures({"sessions": [told(one, prefix) for one in found]})


def told(facts: SessionFacts, prefix: str) -> SessionFacts:
    """What is told of a session, to the owner of that prefix with its id as that one knows it."""
    return replace(facts, id=facts.id.removeprefix(prefix)) if prefix else facts


async def get_session(request: Request) -> Response:
    """One session."""
    found, prefix = _named(request)
    return figures(told(found, prefix))


async def close_session(request: Request) -> Response:
    """End a session: calls already made come first, then its closing hook runs."""
    found, _ = _named(request)
    handle = await pool_of(request).session(found.id).open()
    await handle.close()
    return Response(status_code=204, headers=ANSWER)


def _named(request: Request) -> tuple[SessionFacts, str]:
    """The session in the path, which is the caller's (an administrator's by the query `owner` another's), else 404."""
    caller = caller_of(request)
    owner = request.query_params.get("owner", caller.owner) if caller.role == "admin" else caller.owner
    found = pool_of(request).session_facts(owned(request.path_params["session"], owner))
    if found is None:
        raise Problem(404, "session_lost", "There is no such session.", outcome="not_started")
    return found, prefix_of(owner)


_SESSIONS = "/v1/pools/{pool}/sessions"
ROUTES = [
    route(_SESSIONS, open_session, methods=["POST"], roles=MAY_CALL),
    route(_SESSIONS, list_sessions, roles=LOGGED_IN),
    route(f"{_SESSIONS}/{{session}}", get_session, roles=MAY_CALL),
    route(f"{_SESSIONS}/{{session}}", close_session, methods=["DELETE"], roles=MAY_CALL),
]
