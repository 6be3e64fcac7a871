"""A server on a thread of its own with an application that records and echoes, and raw sockets to speak to it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import uvloop

from millpond.http.server.limits import Limits
from millpond.http.server.listening import Listener, open_address
from millpond.http.server.server import Server
from millpond.http.server.state import State

LIMIT_S = 30.0  # for anything that should come at once


class Echo:
    """Answers `{"method", "path", "query", "length"}` when it has the whole body; notes what it saw."""

    is_draining = False

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.disconnects = 0
        self.changed = threading.Condition()
        self.release = threading.Event()  # what `/wait` waits for
        self.loop: asyncio.AbstractEventLoop | None = None

    def _note(self, change: Callable[[], None]) -> None:
        with self.changed:
            change()
            self.changed.notify_all()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what was noted, or of the server."""
        last = time.monotonic() + LIMIT_S
        with self.changed:
            while not holds():
                assert time.monotonic() < last
                self.changed.wait(0.02)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        self._note(lambda: self.scopes.append(scope))
        scope["millpond.connection"].on_disconnect = self._gone
        await getattr(self, scope["path"].strip("/").partition("/")[0], self.echo)(scope, receive, send)

    def _gone(self) -> None:
        def count() -> None:
            self.disconnects += 1

        self._note(count)

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        """The answer to everything that is not another method's."""
        body = await _body(receive)
        if body is None:
            return
        self._note(lambda: self.bodies.append(body))
        told = {"method": scope["method"], "path": scope["path"], "length": len(body)}
        told["query"] = scope["query_string"].decode()
        await _answer(send, json.dumps(told).encode())

    async def early(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers without a look at the body."""
        await _answer(send, b"{}")

    async def wait(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers when it is released."""
        while not self.release.is_set():
            await asyncio.sleep(0.01)
        await _answer(send, b"{}")

    async def parts(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers in parts of a length that is not announced."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/plain")]})
        for part in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    async def flood(self, scope: Any, receive: Any, send: Any) -> None:
        """Sends for as long as anybody reads."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not self.disconnects:
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})

    async def large(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers with more than a transport takes without waiting."""
        await _answer(send, bytes(1 << 18))

    async def injected(self, scope: Any, receive: Any, send: Any) -> None:
        """Tries to put a line break into a header."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nset-cookie: b")]})

    async def raises(self, scope: Any, receive: Any, send: Any) -> None:
        """Fails, with a text that nobody may see."""
        raise ValueError("".join(("can", "ary")))

    async def short(self, scope: Any, receive: Any, send: Any) -> None:
        """Announces more than it sends."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"abc"})


async def _lifespan(receive: Any, send: Any) -> None:
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


async def _body(receive: Any) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


async def _answer(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    """A running server, as a context manager."""

    def __init__(
        self, *, most_connections: int = 1000, tls: Any = None, listener: Listener | None = None, **limits: Any
    ):
        self.application = Echo()
        self.listener = listener or open_address("127.0.0.1", 0)[0]
        self.state = State(Limits(**limits), most_connections)
        self.server = Server(self.application, {}, [self.listener], self.state, tls=tls, handle_signals=False)
        self.address = self.listener.socket.getsockname()
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self.server.serve())

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask it to stop."""
        self._loop.call_soon_threadsafe(self.server.stop)

    def look(self, elapsed_s: float) -> None:
        """Let it believe that so much time went by, once it has read what was sent to it."""

        async def look() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            self.state._looked_at -= elapsed_s
            self.state.look()

        asyncio.run_coroutine_threadsafe(look(), self._loop).result(LIMIT_S)

    def __exit__(self, *_: object) -> None:
        self.application.release.set()
        with suppress(RuntimeError):  # it has stopped by itself
            self.stop()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()

    def connect(self) -> Client:
        """A raw connection to it."""
        return Client(socket.create_connection(self.address, timeout=LIMIT_S))


@dataclass
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends."""
        return self.headers.get("connection") == "close"


@dataclass
class Client:
    """A raw connection."""

    socket: socket.socket
    _held: bytes = field(default=b"")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, text: bytes) -> Client:
        """Send bytes as they are."""
        self.socket.sendall(text)
        return self

    def _more(self) -> bool:
        try:
            got = self.socket.recv(1 << 16)
        except ConnectionResetError:
            got = b""
        self._held += got
        return bool(got)

    def answer(self, *, to_head: bool = False) -> Answer | None:
        """The next response; `None` if the connection ends before it."""
        while b"\r\n\r\n" not in self._held:
            if not self._more():
                return None
        head, _, self._held = self._held.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        answer = Answer(int(first.split()[1]), headers)
        if headers.get("transfer-encoding") == "chunked":
            answer.body = self._chunks()
        elif not to_head and answer.status >= 200:
            answer.body = self._exactly(int(headers.get("content-length", 0)))
        return answer

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            assert self._more(), "the connection ended within a body"
        found, self._held = self._held[:size], self._held[size:]
        return found

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._held:
                assert self._more(), "the connection ended within a body"
            size, _, self._held = self._held.partition(b"\r\n")
            chunk = self._exactly(int(size, 16) + 2)[:-2]
            if not chunk:
                return body
            body += chunk

    def is_closed(self) -> bool:
        """Whether the server closes it, without another byte."""
        return not self._held and not self._more()
