"""Streams over HTTP: server-sent events, lines of JSON, or frames of msgpack, one for each item.

A stream that fails before its first item is a problem with a status of its own; later the problem ends the stream. A
slow reader slows the generator, and one that leaves ends it. While server-sent events are quiet, comments show to what
is between that somebody is there.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from millpond.documents import Document
from millpond.http.access.caller import MAY_CALL
from millpond.http.asking import IDEMPOTENCY_KEY, ClientLeft, headers_of, refuse_headers
from millpond.http.calls import asked, told
from millpond.http.disconnect import answered_or_left, cancelled
from millpond.http.formats import liked
from millpond.http.headers import ANSWER
from millpond.http.problems import Problem, problem_of
from millpond.http.routing import application_of, caller_of, pool_of, route

if TYPE_CHECKING:
    from millpond.documents import Format
    from millpond.http.asking import Receive, Scope
    from millpond.streaming import Stream

_FRAME = struct.Struct(">IB")  # bytes that follow, and what they are
ITEM, END, PROBLEM = 0, 1, 2
QUIET_S = 15.0  # after which a comment is sent, at the latest


class Encoding(NamedTuple):
    """How a stream is written: the media type, the format of its items, and its parts."""

    media_type: str
    answer: Format
    item: Callable[[bytes], bytes]
    end: bytes
    problem: Callable[[Problem], bytes]
    comment: bytes = b""  # what says nothing, if there is such a thing


def _frame(kind: int, body: bytes) -> bytes:
    return _FRAME.pack(len(body), kind) + body


EVENTS = Encoding(
    "text/event-stream",
    "json",
    lambda item: b"data: %b\n\n" % item,
    b"event: end\ndata:\n\n",
    lambda problem: b"event: error\ndata: %b\n\n" % problem.body(),
    b":\n\n",
)
LINES = Encoding(
    "application/x-ndjson",
    "json",
    lambda item: b'{"item":%b}\n' % item,
    b'{"end":true}\n',
    lambda problem: b'{"problem":%b}\n' % problem.body(),
)
FRAMES = Encoding(
    "application/vnd.millpond.stream",
    "msgpack",
    lambda item: _frame(ITEM, item),
    _frame(END, b""),
    lambda problem: _frame(PROBLEM, msgspec.msgpack.encode(problem.content())),
)
ENCODINGS = (EVENTS, LINES, FRAMES)
_OF_TYPE = {one.media_type: one for one in ENCODINGS}


def encoding_of(accept: bytes | None) -> Encoding:
    """The encoding that `Accept` likes best, by default server-sent events. Raises `Problem` 406."""
    return _OF_TYPE[liked((accept or b"*/*").decode("latin-1"), list(_OF_TYPE), "Streams")]


class StreamResponse(Response):
    """Sends a stream whose first item, if it has one, is there already."""

    def __init__(self, encoding: Encoding, stream: Stream, first: Document | None, tells_all: bool) -> None:
        super().__init__(headers={**ANSWER, "X-Accel-Buffering": "no"}, media_type=encoding.media_type)
        del self.headers["content-length"]
        self._encoding = encoding
        self._stream = stream
        self._first = first
        self._tells_all = tells_all
        self._is_quiet = False  # nothing was sent since the last look

    async def __call__(self, scope: Scope, receive: Receive, send: Callable[[Any], Awaitable[None]]) -> None:
        """Send items as they come, each when the one before was taken."""
        try:
            await answered_or_left(scope, receive, self._send(send))
        finally:
            await self._stream.aclose()

    async def _send(self, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        commenting = asyncio.ensure_future(self._comment(send)) if self._encoding.comment else None
        try:
            async for part in self._parts():
                self._is_quiet = False
                await send({"type": "http.response.body", "body": part, "more_body": True})
        finally:
            if commenting is not None:
                await cancelled(commenting)
        await send({"type": "http.response.body", "body": b""})

    async def _comment(self, send: Callable[[Any], Awaitable[None]]) -> None:
        """Send a comment whenever nothing else was sent for a while."""
        while True:
            self._is_quiet = True
            await asyncio.sleep(QUIET_S / 2)
            if self._is_quiet:
                await send({"type": "http.response.body", "body": self._encoding.comment, "more_body": True})

    async def _parts(self) -> AsyncIterator[bytes]:
        encoding = self._encoding
        try:
            if self._first is not None:
                yield encoding.item(self._first.body)
                async for item in self._stream:
                    yield encoding.item(item.body)
        except Exception as error:
            yield encoding.problem(problem_of(error, tells_all=self._tells_all))
        else:
            yield encoding.end


async def stream(request: Request) -> Response:
    """Run a generator operation and send its items."""
    return await _stream(request, None)


async def stream_in_session(request: Request) -> Response:
    """Run a generator operation in an open session."""
    return await _stream(request, request.path_params["session"])


async def _stream(request: Request, session: str | None) -> Response:
    application, pool, caller = application_of(request), pool_of(request), caller_of(request)
    operation, headers = request.path_params["operation"], headers_of(request.scope)
    encoding = encoding_of(headers.pop(b"accept", None))
    refuse_headers(headers, IDEMPOTENCY_KEY)
    what = await asked(application, pool, operation, caller, headers, request.receive, session)
    items = what.calls.stream_documents(operation, what.document, answer=encoding.answer, trace=what.trace)
    tells_all = caller.role == "admin"
    try:
        first = await answered_or_left(request.scope, request.receive, _first(items))
    except ClientLeft:
        raise
    except Exception as error:
        raise told(pool, operation, error, tells_all) from None
    return StreamResponse(encoding, items, first, tells_all)


async def _first(items: Stream) -> Document | None:
    """The first item, `None` if there is none."""
    got: Document | None = await anext(items, None)
    return got


_POOL = "/v1/pools/{pool}"
ROUTES = [
    route(f"{_POOL}/stream/{{operation}}", stream, methods=["POST"], roles=MAY_CALL),
    route(f"{_POOL}/sessions/{{session}}/stream/{{operation}}", stream_in_session, methods=["POST"], roles=MAY_CALL),
]
