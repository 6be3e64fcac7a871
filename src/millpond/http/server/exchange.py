"""One request and its answer: what the application is called with.

Does what uvicorn's cycle does with less for each message: no event, one write where the length is known, headers
checked together. The connection feeds it; it never reads from the socket, nor decides when a connection closes.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

if TYPE_CHECKING:
    from millpond.http.server.connection import Connection

logger = logging.getLogger("millpond.http")
access_logger = logging.getLogger("millpond.http.access")

# How the end of an answer's body is told.
COUNTED, CHUNKED, UNTIL_CLOSE, NONE = "counted", "chunked", "until close", "none"
BODILESS = frozenset({204, 304})
BROKEN = b"Internal Server Error"
BROKEN_HEADERS = [
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(BROKEN)).encode()),
    (b"connection", b"close"),
]


class Exchange:
    """One request and its answer; the application finds it in its scope as `millpond.connection`.

    `on_disconnect` is called once if the client leaves, or is cut off, before the answer is complete.
    """

    __slots__ = (
        "_body",
        "_chunks",
        "_connection",
        "_head",
        "_is_received",
        "_left_bytes",
        "_waiter",
        "app",
        "buffered_bytes",
        "expects_100",
        "has_turn",
        "is_complete",
        "is_cut",
        "is_direct",
        "is_started",
        "keeps_alive",
        "more_body",
        "on_disconnect",
        "scope",
        "task",
    )

    def __init__(
        self, connection: Connection, app: Any, scope: dict[str, Any], keeps_alive: bool, expects_100: bool
    ) -> None:
        self._connection = connection
        self.app = app
        self.scope = scope
        self.keeps_alive = keeps_alive
        self.expects_100 = expects_100
        self.on_disconnect: Callable[[], None] | None = None
        self.has_turn = False  # whether it is answered next
        # Whether the application may take it with its whole body, without a task (`http.direct`); nothing of the body
        # is given out before then.
        self.is_direct = False
        self.task: asyncio.Task[None] | None = None
        # The request's body
        self._chunks: list[bytes] = []
        self.buffered_bytes = 0
        self.more_body = True
        self._is_received = False  # its end, too, by the application
        self._waiter: asyncio.Future[None] | None = None  # of a `receive` that has nothing to give yet
        # The answer
        self.is_started = False
        self.is_complete = False
        self.is_cut = False  # nothing can be sent any more
        self._body = NONE  # how its end is told
        self._left_bytes = 0  # of a body whose length was announced
        self._head: bytes | None = None  # held back until the body comes

    # Fed by the connection

    def start(self) -> None:
        """It is its turn: hand it to the application, directly as soon as its body is there, or in a task."""
        self.has_turn = True
        if not self.is_direct:
            self._start_task()
        elif not self.more_body:
            self._start_directly()

    def _start_directly(self) -> None:
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        if not self.app.start_call(self.scope, body, self):
            self._start_task()

    def _start_task(self) -> None:
        connection = self._connection
        self.scope["millpond.connection"] = self
        self.task = connection.loop.create_task(self._run())
        connection.tasks.add(self.task)

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._chunks.append(chunk)
        self.buffered_bytes += len(chunk)
        if self._waiter is not None:
            self._wake()

    def end_body(self) -> None:
        """The body is complete."""
        self.more_body = False
        if self._waiter is not None:
            self._wake()
        elif self.is_direct and self.has_turn:
            self._start_directly()

    def cut(self) -> None:
        """The client is gone, or nothing more is sent to it: tell the application, once."""
        if self.is_cut or self.is_complete:
            return
        self.is_cut = True
        self._wake()
        told, self.on_disconnect = self.on_disconnect, None
        if told is not None:
            told()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Called by the application

    async def receive(self) -> dict[str, Any]:
        """ASGI's `receive`: the body as far as it is there, then `http.disconnect` once that is so."""
        if self.expects_100 and not self.is_started and not self.is_cut:
            self.expects_100 = False
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self._has_news():
            self._connection.resume_body()
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        if self.is_cut or self.is_complete:
            return {"type": "http.disconnect"}
        chunks, self._chunks, self.buffered_bytes = self._chunks, [], 0
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._is_received = not self.more_body
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def _has_news(self) -> bool:
        if self.is_cut or self.is_complete or self._chunks:
            return True
        return not self.more_body and not self._is_received

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's `send`; waits while the client reads slower than the application writes."""
        flow = self._connection.flow
        if flow.write_paused and not self.is_cut:
            await flow.drain()
        if self.is_cut:
            return
        if self.is_complete:
            raise RuntimeError(f"{message['type']!r} was sent after the end of the answer")
        if self.is_started:
            self._send_body(message)
        else:
            self._send_head(message)

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        """Send the whole answer of a direct request in one write: `head` is lines of headers with the body's length.

        Waits for nothing: a client that does not read holds one answer.
        """
        if self.is_cut:
            return
        connection = self._connection
        last = b"\r\n"
        if not self.keeps_alive or connection.is_last(self):
            self.keeps_alive = False
            last = b"connection: close\r\n\r\n"
        self.is_started = self.is_complete = True
        if connection.access_log:
            self._log(status)
        connection.transport.write(b"".join((STATUS_LINE[status], connection.server_state.date_line, head, last, body)))
        connection.answered(self)

    def break_off(self) -> None:
        """Close a connection whose answer cannot be completed, so that nobody takes a part for the whole."""
        if not (self.is_complete or self.is_cut):
            self._connection.transport.abort()
            self.cut()  # the connection's end is told later

    def _send_head(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] != "http.response.start":
            raise RuntimeError(f"'http.response.start' comes first, not {message['type']!r}")
        status = message["status"]
        connection = self._connection
        lines = [STATUS_LINE[status], connection.server_state.date_line]
        self._body = UNTIL_CLOSE if self.scope["http_version"] == "1.0" else CHUNKED
        for name, value in message.get("headers", ()):
            name = name.lower()
            if name == b"content-length":
                self._left_bytes = int(value)
                self._body = COUNTED
            elif name == b"connection":
                if b"close" in value.lower():
                    self.keeps_alive = False
                continue
            elif name == b"transfer-encoding":
                continue  # the server's to choose
            lines.append(b"%b: %b\r\n" % (name, value))
        if self.scope["method"] == "HEAD" or status in BODILESS:
            self._body = NONE
        elif self._body is CHUNKED:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keeps_alive or connection.is_last(self):
            self.keeps_alive = False
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        # One of each a line, or a value would end its header and begin another.
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            raise RuntimeError("a header of the answer has a line break in it")
        self.is_started = True
        self.expects_100 = False
        if connection.access_log:
            self._log(status)
        if self._body is COUNTED:
            self._head = head  # goes with the body, in one write
        else:
            connection.transport.write(head)

    def _send_body(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] != "http.response.body":
            raise RuntimeError(f"'http.response.body' comes after the start, not {message['type']!r}")
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if self._body is COUNTED:
            self._left_bytes -= len(body)
            if self._left_bytes < 0 or (is_last and self._left_bytes):
                raise RuntimeError("the answer's body is not as long as its content-length says")
            if self._head is not None:
                body = self._head + body
                self._head = None
        elif self._body is CHUNKED:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"0\r\n\r\n" if is_last else b"")
        elif self._body is NONE:
            body = b""
        if body:
            self._connection.transport.write(body)
        if is_last:
            self.is_complete = True
            self._wake()
            self._connection.answered(self)

    def _log(self, status: int) -> None:
        scope = self.scope
        client = scope["client"]
        access_logger.info("%s %s %s %d", client[0] if client else "-", scope["method"], quote(scope["path"]), status)

    async def _run(self) -> None:
        try:
            await self.app(self.scope, self.receive, self.send)
            if not (self.is_complete or self.is_cut):
                logger.error("the application ended without completing its answer")
                self.break_off()
        except asyncio.CancelledError:
            self.break_off()
        except Exception as error:
            # Its class and where it was raised: the text may hold what a client sent.
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("the application raised %s\n%s", type(error).__name__, where)
            await self._answer_500()
        finally:
            self._connection.tasks.discard(self.task)
            del self.scope["millpond.connection"]  # each holds the other: nothing is left to the garbage collector

    async def _answer_500(self) -> None:
        if self.is_started:
            self.break_off()
            return
        await self.send({"type": "http.response.start", "status": 500, "headers": BROKEN_HEADERS})
        await self.send({"type": "http.response.body", "body": BROKEN})
