"""What is read from a connection: requests, as the parser (httptools) tells of their parts, within limits.

Decides which requests are refused for how they are written or how much they are. Each that is not becomes an exchange,
whose turn to be answered is the `connection`'s to decide.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from millpond.http.server import refusal
from millpond.http.server.refusal import Refusal, Refused

if TYPE_CHECKING:
    from millpond.http.server.exchange import Exchange
    from millpond.http.server.state import State

# What is being read: nothing yet, headers, a body, what a client still sends that was sent away, or the first bytes of
# one that is one too many.
IDLE, HEAD, BODY, LEAVING, UNWELCOME = "idle", "head", "body", "leaving", "unwelcome"
FRAMED = 8  # bytes of a chunk and of what tells its length, at most, to each of its own
SPECIAL = frozenset({b"content-length", b"transfer-encoding", b"expect"})
ASGI = {"version": "3.0", "spec_version": "2.3"}


class Reading(HttpToolsProtocol):
    """The reading half of a connection."""

    server_state: State

    def __init__(
        self,
        config: Any,
        server_state: State,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = server_state.limits
        self.phase = IDLE
        self.since = server_state.now  # the phase began, or the connection's last answer ended
        self.head_bytes = 0
        self.is_head_long = False  # perhaps: then it is counted exactly
        self.newest: Exchange | None = None  # whose body is being read
        self.is_chunked = False
        self.is_body_to_come = False  # though the parser says that the request is complete
        self.announced_bytes: int | None = None  # of the body
        self.body_bytes = 0
        self.waited_s = 0.0  # for a slow body, or a slow reader

    def begin(self, scope: dict[str, Any], keeps_alive: bool) -> None:
        """A request whose head is there becomes the newest exchange, which is fed its body."""
        raise NotImplementedError

    def refuse(self, why: Refusal) -> None:
        """Answer the request that is being read with a refusal, in its turn, and close."""
        raise NotImplementedError

    def leave(self, words: bytes | None = None) -> None:
        """Close after the last words."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        if self.phase is LEAVING:
            return
        if self.phase is UNWELCOME:
            self.leave(refusal.TOO_MANY_CONNECTIONS.answer(self.server_state.date_line))
            return
        was, body_bytes = self.phase, self.body_bytes
        if was is IDLE:
            self._enter(HEAD)
        if len(data) + self.head_bytes > self.limits.limit_header_bytes:
            self.is_head_long = True
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            refused = error.__context__
            self.refuse(refused.refusal if isinstance(refused, Refused) else refusal.MALFORMED)
            return
        if self.phase is was and (was is HEAD or (was is BODY and self.is_chunked)):
            self._count(len(data), self.body_bytes - body_bytes)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            # Answered as if it did not ask for another protocol; nothing is read after it.
            if self.is_body_to_come:
                self._parse_body(data[error.args[0] :])

    def _parse_body(self, data: bytes) -> None:
        """The parser takes a request for another protocol to have no body, so another one reads it."""
        self.is_body_to_come = False
        announced = b"Content-Length: %d" % (self.announced_bytes or 0)
        framing = b"Transfer-Encoding: chunked" if self.is_chunked else announced
        heard = SimpleNamespace(
            on_header=self.on_header, on_body=self.on_body, on_message_complete=self.on_message_complete
        )
        self.parser = httptools.HttpRequestParser(heard)
        self.parser.feed_data(b"POST / HTTP/1.1\r\nConnection: close\r\n" + framing + b"\r\n\r\n")
        self.parser.feed_data(data)

    def _count(self, fed_bytes: int, body_bytes: int) -> None:
        """Count what the parser holds back: headers, or trailers. A little is allowed for the ends of each chunk."""
        self.head_bytes = max(0, self.head_bytes + fed_bytes - FRAMED * body_bytes)
        if self.head_bytes > self.limits.limit_header_bytes:
            self.refuse(refusal.HEADERS_TOO_LARGE)

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self.since = self.server_state.now

    def on_message_begin(self) -> None:
        if self.phase is not HEAD:
            self._enter(HEAD)
        self.url = b""
        self.headers = []
        self.head_bytes = 0
        self.expect_100_continue = self.is_chunked = False
        self.announced_bytes = None

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.limits.limit_target:
            raise Refused(refusal.TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase is not HEAD:
            self._drop_trailer(name, value)
            return
        name = name.lower()
        self.headers.append((name, value))
        if name in SPECIAL:
            self._note(name, value)

    def _drop_trailer(self, name: bytes, value: bytes) -> None:
        """What comes after the body was not there when the request was judged."""
        self.head_bytes += len(name) + len(value) + 4
        if self.head_bytes > self.limits.limit_header_bytes:
            raise Refused(refusal.HEADERS_TOO_LARGE)

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self.announced_bytes = int(value)
            if self.announced_bytes > self.limits.limit_body:
                raise Refused(refusal.BODY_TOO_LARGE)
        elif name == b"transfer-encoding":
            if value.lower() != b"chunked":
                raise Refused(refusal.BAD_ENCODING)
            self.is_chunked = True
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        version = self.parser.get_http_version()
        self._check_head(version)
        scope = self._scope(version)
        is_upgrade = self.parser.should_upgrade()
        self.is_body_to_come = is_upgrade and bool(self.is_chunked or self.announced_bytes)
        keeps_alive = version == "1.1" and self.parser.should_keep_alive() and not is_upgrade
        self._enter(BODY)
        self.head_bytes = self.body_bytes = 0
        self.waited_s = 0.0
        self.begin(scope, keeps_alive)

    def _scope(self, version: str) -> dict[str, Any]:
        path, _, query = self.url.partition(b"?")
        text = path.decode("ascii")
        return {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "method": self.parser.get_method().decode("ascii"),
            "scheme": self.scheme,
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self.headers,
            "server": self.server,
            "client": self.client,
            "state": self.app_state.copy(),
        }

    @property
    def is_short(self) -> bool:
        """Whether the body is known to be so small that it can be waited for before anything is done with it."""
        return not (self.is_chunked or self.expect_100_continue) and (self.announced_bytes or 0) <= HIGH_WATER_LIMIT

    def _check_head(self, version: str) -> None:
        limits = self.limits
        if len(self.headers) > limits.limit_header_count:
            raise Refused(refusal.HEADERS_TOO_LARGE)
        if self.is_head_long:
            self.is_head_long = False
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.limit_header_bytes:
                raise Refused(refusal.HEADERS_TOO_LARGE)
        if version != "1.1":
            if version != "1.0":
                raise Refused(refusal.BAD_VERSION)
            if self.is_chunked:
                raise Refused(refusal.BAD_ENCODING)
        if self.url[:1] != b"/" or b"#" in self.url:
            raise Refused(refusal.BAD_TARGET)

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        exchange = self.newest
        if exchange is None or exchange.is_complete:
            return
        if self.is_chunked and self.body_bytes > self.limits.limit_body:
            raise Refused(refusal.BODY_TOO_LARGE)
        exchange.feed(body)
        if exchange.buffered_bytes > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        if self.is_body_to_come:
            return
        self._enter(IDLE)
        exchange, self.newest = self.newest, None
        if exchange is not None:
            exchange.end_body()
