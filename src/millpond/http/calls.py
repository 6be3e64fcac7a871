"""The way of nearly every request: a call of one operation, whose document goes to the worker and comes back unread.

Plain ASGI, with no more a request than it takes. Comes after `application`, which has let the request in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from millpond.errors import BadArgument, SessionLost
from millpond.http.access.caller import MAY_CALL
from millpond.http.asking import (
    GENERATION,
    IDEMPOTENCY_KEY,
    body_of,
    check_session,
    headers_of,
    options_of,
    owned,
    session_of,
    trace_of,
)
from millpond.http.disconnect import answered_or_left
from millpond.http.formats import CONTENT_TYPES, answer_format, document, format_of
from millpond.http.headers import ANSWER
from millpond.http.idempotency import REPLAYED, fingerprint, given_key
from millpond.http.problems import Problem, problem_of
from millpond.http.routing import application_of, caller_of, pool_of, route
from millpond.labels import is_label

if TYPE_CHECKING:
    from millpond.calls import Calls
    from millpond.documents import Document, Format
    from millpond.http.access.caller import Caller
    from millpond.http.application import Application
    from millpond.http.asking import Receive, Scope
    from millpond.pool import Pool

_HEADERS = [(name.lower().encode(), value.encode()) for name, value in ANSWER.items()]


class Asked(NamedTuple):
    """A call that a request asks for: made out, and not begun."""

    pool: Pool
    operation: str
    session: str | None  # as the pool knows it
    document: Document
    answer: Format
    calls: Calls
    trace: str


async def asked(
    application: Application,
    pool: Pool,
    operation: str,
    caller: Caller,
    headers: dict[bytes, bytes],
    receive: Receive,
    session: str | None = None,
) -> Asked:
    """Read what is asked for. Raises `Problem`. `session` is the id that the path has."""
    body = await body_of(receive, headers, application.most_bytes(pool))
    given = format_of(headers, body)
    named = session_for(pool, caller, headers, session)
    return Asked(
        pool,
        operation,
        named,
        document(body, given),
        answer_format(headers.get(b"accept"), given),
        calls_for(pool, headers, named),
        trace_of(headers) if b"traceparent" in headers else "",
    )


def session_for(pool: Pool, caller: Caller, headers: dict[bytes, bytes], in_path: str | None) -> str | None:
    """The session that the request names, as the pool knows it."""
    named = session_of(headers, caller)
    if in_path is not None:
        session = owned(in_path, caller.owner)
        if named is not None and named != session:
            raise Problem(400, "bad_header", "Millpond-Session names another session than the path.")
        named = session
    if named is not None:
        check_session(pool, named)
        check_generation(pool, named, headers)
    return named


def calls_for(pool: Pool, headers: dict[bytes, bytes], session: str | None) -> Calls:
    """The pool's operations under the options that the request sets."""
    options = options_of(headers)
    if session is not None:
        options["session"] = session
    return with_options(pool, options) if options else pool


def with_options(pool: Pool, options: dict[str, Any]) -> Calls:
    """The pool's operations under these options. Raises `Problem` 400 for those that no call can have."""
    if not is_label(options.get("session", "-")):
        raise Problem(400, "bad_argument", "There is no such session's id.", outcome="not_started")
    try:
        return pool.options(**options)
    except (TypeError, ValueError) as error:
        raise Problem(400, "bad_argument", str(error), outcome="not_started") from None


def check_generation(pool: Pool, session: str, headers: dict[bytes, bytes]) -> None:
    """Raise `SessionLost` if the request is of another generation than that of the session there is now."""
    if GENERATION in headers:
        found = pool.driver.view.session(session)
        if found is not None and headers[GENERATION] != b"%d" % found.generation:
            raise SessionLost("the session was lost and opened anew; this is a handle of the one before")


async def run(application: Application, what: Asked, caller: Caller, scope: Scope, receive: Receive, key: str) -> Any:
    """The call's answer, and whether it was kept from before. Raises what the call raises; `ClientLeft` cancels it.

    A call with an idempotency key goes on without its client, who may ask for the answer by the same key.
    """
    tells_all = caller.role == "admin"
    if not key:
        return await answered_or_left(scope, receive, called(what, tells_all)), False
    print_ = fingerprint(what.operation, what.session, what.document, what.answer)
    kept = application.kept.answer((caller.owner, what.pool, key), print_, called(what, True), tells_all)
    return await answered_or_left(scope, receive, kept)


async def called(what: Asked, tells_all: bool) -> Document:
    """The answer. Raises `Problem` for all that the call raises."""
    try:
        return await what.calls.call_document(what.operation, what.document, answer=what.answer, trace=what.trace)
    except Exception as error:
        raise told(what.pool, what.operation, error, tells_all) from None


def told(pool: Pool, operation: str, error: Exception, tells_all: bool) -> Problem:
    """The problem that a call's error is: 404 if there is no such operation."""
    problem = problem_of(error, tells_all=tells_all)
    is_misfit = isinstance(error, BadArgument) and error.field is None
    if is_misfit and operation not in {one.name for one in pool.operations()}:
        problem.status = 404
    return problem


async def answer_call(
    application: Application, pool: Pool, operation: str, caller: Caller, scope: Scope, receive: Receive, send: Any
) -> None:
    """Answer a request whose path is known to be that of an operation."""
    headers = headers_of(scope)
    what = await asked(application, pool, operation, caller, headers, receive)
    key = given_key(headers[IDEMPOTENCY_KEY]) if IDEMPOTENCY_KEY in headers else ""
    got, is_kept = await run(application, what, caller, scope, receive, key)
    said = [
        (b"content-type", CONTENT_TYPES[got.format]),
        (b"content-length", b"%d" % len(got.body)),
        *_HEADERS,
    ]
    if is_kept:
        said.append((REPLAYED.lower().encode(), b"true"))
    await send({"type": "http.response.start", "status": 200, "headers": said})
    await send({"type": "http.response.body", "body": got.body})


async def call(request: Request) -> Response:
    """Run one operation."""
    return await _call(request, None)


async def call_in_session(request: Request) -> Response:
    """Run one operation in an open session."""
    return await _call(request, request.path_params["session"])


async def _call(request: Request, session: str | None) -> Response:
    application, pool, caller = application_of(request), pool_of(request), caller_of(request)
    operation, headers = request.path_params["operation"], headers_of(request.scope)
    what = await asked(application, pool, operation, caller, headers, request.receive, session)
    key = given_key(headers[IDEMPOTENCY_KEY]) if IDEMPOTENCY_KEY in headers else ""
    got, is_kept = await run(application, what, caller, request.scope, request.receive, key)
    path: str = request.scope["path"]
    application.know_call(path if session is None else _without_session(path), pool, operation)
    said = {**ANSWER, "Content-Type": CONTENT_TYPES[got.format].decode()} | ({REPLAYED: "true"} if is_kept else {})
    return Response(got.body, headers=said)


def _without_session(path: str) -> str:
    before, _, after = path.partition("/sessions/")
    return f"{before}/call/{after.partition('/call/')[2]}"


ROUTES = [
    route("/v1/pools/{pool}/call/{operation}", call, methods=["POST"], roles=MAY_CALL),
    route("/v1/pools/{pool}/sessions/{session}/call/{operation}", call_in_session, methods=["POST"], roles=MAY_CALL),
]
