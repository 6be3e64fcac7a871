"""A batch of calls in one request: each is answered on its own, in the order in which they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from millpond.documents import Document
from millpond.errors import PayloadTooLarge
from millpond.http.access.caller import MAY_CALL
from millpond.http.asking import (
    GENERATION,
    IDEMPOTENCY_KEY,
    SESSION,
    body_of,
    check_session,
    headers_of,
    options_of,
    owned,
    refuse_headers,
    trace_of,
)
from millpond.http.calls import Asked, called, with_options
from millpond.http.disconnect import answered_or_left
from millpond.http.formats import check_json, decoded, document
from millpond.http.problems import Problem, problem_of
from millpond.http.routing import application_of, caller_of, json_response, pool_of, route

if TYPE_CHECKING:
    from millpond.http.access.caller import Caller
    from millpond.pool import Pool

MOST_CALLS = 10_000


class One(msgspec.Struct, forbid_unknown_fields=True):
    """One call of a batch."""

    operation: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    session: str | None = None
    deadline: Annotated[float, msgspec.Meta(ge=0, le=1e8)] | None = None
    priority: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)] | None = None
    idempotent: bool | None = None


class Batch(msgspec.Struct, forbid_unknown_fields=True):
    """The body of the request."""

    calls: list[One]


async def batch(request: Request) -> Response:
    """Run several calls and answer each with its result or its problem."""
    application, pool, caller = application_of(request), pool_of(request), caller_of(request)
    headers = headers_of(request.scope)
    body = await body_of(request.receive, headers, application.most_bytes(pool))
    check_json(headers, body)
    refuse_headers(headers, IDEMPOTENCY_KEY, SESSION, GENERATION)
    document(body, "json")
    asked: Batch = decoded(body, Batch)
    if len(asked.calls) > MOST_CALLS:
        raise Problem(413, "payload_too_large", f"A batch has at most {MOST_CALLS} calls.", outcome="not_started")
    common, trace = options_of(headers), trace_of(headers)
    room = Room(application.most_bytes(pool))
    works = [_one(pool, one, caller, common, trace, room) for one in asked.calls]
    results = await answered_or_left(request.scope, request.receive, _all(works))
    return json_response(b'{"results":[%b]}' % b",".join(results))


async def _all(works: list[Coroutine[Any, Any, bytes]]) -> list[bytes]:
    """All results; who leaves cancels those that still run."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in reversed(tasks):  # those that wait first, so that none begins where another stops
            task.cancel()


class Room:
    """The bytes that are left for the results of a batch."""

    __slots__ = ("left_bytes",)

    def __init__(self, most_bytes: int) -> None:
        self.left_bytes = most_bytes

    def take(self, result: bytes) -> bytes:
        """The result, if it still fits. Raises `Problem` 413."""
        if len(result) > self.left_bytes:
            raise problem_of(PayloadTooLarge("the results of this batch are too large together", outcome="completed"))
        self.left_bytes -= len(result)
        return result


async def _one(pool: Pool, one: One, caller: Caller, common: dict[str, Any], trace: str, room: Room) -> bytes:
    try:
        got = await called(_asked(pool, one, caller, common, trace), caller.role == "admin")
        return b'{"result":%b}' % room.take(got.body)
    except Problem as problem:
        return b'{"problem":%b}' % problem.body()


def _asked(pool: Pool, one: One, caller: Caller, common: dict[str, Any], trace: str) -> Asked:
    own = {name: getattr(one, name) for name in ("deadline", "priority", "idempotent")}
    options = common | {name: value for name, value in own.items() if value is not None}
    if one.session is not None:
        options["session"] = owned(one.session, caller.owner)
        check_session(pool, options["session"])
    calls = with_options(pool, options) if options else pool
    return Asked(pool, one.operation, options.get("session"), Document(bytes(one.arguments)), "json", calls, trace)


ROUTES = [route("/v1/pools/{pool}/batch", batch, methods=["POST"], roles=MAY_CALL)]
