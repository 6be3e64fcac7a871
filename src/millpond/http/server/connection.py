"""One connection: uvicorn's protocol with limits on what a client may send, hold and make others wait for.

Before it is the `reading` of requests, after it the exchanges, one for each request. It decides in which order requests
are answered, what becomes of slow clients, and when the connection closes. Times are looked at by the sweep (`state`)
twice a second for all connections together: no timer is set or cancelled for a request.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from millpond.http.server import refusal
from millpond.http.server.exchange import Exchange
from millpond.http.server.reading import BODY, HEAD, IDLE, LEAVING, UNWELCOME, Reading
from millpond.http.server.refusal import Refusal

if TYPE_CHECKING:
    from millpond.http.server.state import State

logger = logging.getLogger("millpond.http")

LINGER_S = 2.0  # for a client to take a last answer before its unread bytes make the kernel reset the connection
MOST_PIPELINED = 8  # requests read ahead of the one that is answered


class Connection(Reading):
    """A client's connection."""

    cycle: Exchange | None  # type: ignore[assignment]  # that is answered
    pipeline: deque[Exchange]  # type: ignore[assignment] # that wait for it

    def __init__(
        self,
        config: Any,
        server_state: State,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.claims: Callable[[Any], bool] | None = getattr(self.app, "claims", None)
        self.access_log = server_state.access_log
        self.last_words: bytes | None = None  # sent when what was asked before is answered
        self.is_held = False  # until the client has read what it was answered
        self.written_left: int | None = None  # bytes the client had not taken when waiting for it began

    # Coming and going

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.server_state.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)
        self.phase = LEAVING
        self.flow.resume_writing()
        for exchange in (self.cycle, self.newest, *self.pipeline):
            if exchange is not None:
                exchange.cut()
        self.cycle = self.newest = None
        self.pipeline.clear()
        self.parser = None  # type: ignore[assignment]  # it refers to the connection

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request."""
        return self.phase is IDLE and self.cycle is None

    @property
    def is_asking(self) -> bool:
        """Whether a request may come, or has begun to come, whose answer is the next one."""
        if self.phase in (LEAVING, UNWELCOME):
            return False
        return self.cycle is None or self.cycle is self.newest

    # Requests

    def begin(self, scope: dict[str, Any], keeps_alive: bool) -> None:
        """Answer a request whose head is there, now or after those before it."""
        self.newest = exchange = Exchange(self, self.app, scope, keeps_alive, self.expect_100_continue)
        if self.claims is not None and self.is_short and self.claims(scope):
            exchange.is_direct = True
        if self.cycle is None and not self.is_held:
            self.cycle = exchange
            exchange.start()
        else:
            self.pipeline.append(exchange)
            if len(self.pipeline) >= MOST_PIPELINED:
                self.flow.pause_reading()

    def resume_body(self) -> None:
        """The application waits for more of the body."""
        if self.flow.read_paused and not self.is_held and len(self.pipeline) < MOST_PIPELINED:
            self.flow.resume_reading()

    # Answering

    def is_last(self, exchange: Exchange) -> bool:
        """Whether the connection closes after this answer."""
        if self.server_state.is_draining:
            return True
        if self.newest is not exchange or self.phase is not BODY:
            return False
        # The body is not wanted. What is little is read and dropped; for the rest the connection ends.
        left = self.announced_bytes
        return left is None or left - self.body_bytes > HIGH_WATER_LIMIT

    def answered(self, exchange: Exchange) -> None:
        """An answer is complete: the next request's turn, or the connection's end."""
        self.server_state.total_requests += 1
        self.cycle = None
        if self.transport.is_closing():
            return
        if not exchange.keeps_alive:
            self.leave()
        elif self.flow.write_paused:
            self.is_held = True
            self.flow.pause_reading()
        else:
            self._go_on()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.is_held:
            self.is_held = False
            self._go_on()

    def _go_on(self) -> None:
        """The next request's turn."""
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self.cycle = self.pipeline.popleft()
            self.cycle.start()
        elif self.last_words is not None:
            self.leave(self.last_words)
        elif self.phase is IDLE:
            self.since = self.server_state.now
            if self.server_state.is_draining:
                self.leave()

    def refuse(self, why: Refusal) -> None:
        """Answer the request that is being read with a refusal, in its turn, and close."""
        logger.debug("refused a request: %s", why.code)
        words = why.answer(self.server_state.date_line)
        broken, self.newest = self.newest, None
        if broken is not None and broken in self.pipeline:
            self.pipeline.remove(broken)
            broken = None
        if broken is None and self.cycle is not None:
            self.last_words = words
            self._enter(LEAVING)
        elif broken is None:
            self.leave(words)
        elif broken.is_complete:
            self.leave()
        else:
            self._break_off(broken, words)

    def _break_off(self, broken: Exchange, words: bytes) -> None:
        """End a request whose body is no good: with a refusal, or by the closing of a connection half answered."""
        self.cycle = None
        if broken.is_started:
            self.transport.abort()
        else:
            self.leave(words)
        broken.cut()

    def turn_away(self) -> None:
        """This connection is one too many: say so as soon as it asks, since an answer before that may be lost."""
        self._enter(UNWELCOME)

    def leave(self, words: bytes | None = None) -> None:
        """Close after the last words: what the client still sends is dropped for a while, or it could not read them."""
        if words is not None:
            self.transport.write(words)
        is_quiet = self.phase is IDLE
        self._enter(LEAVING)
        self.pipeline.clear()
        if is_quiet:
            self.transport.close()
            return
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def shutdown(self) -> None:
        """The server stops: leave if nothing is being asked or answered; else after the answer (`is_last`)."""
        if self.is_idle:
            self.leave()

    # Times

    def look(self, now: float, elapsed_s: float) -> None:
        """What time alone causes: slow clients are sent away, idle ones let go."""
        limits, waiting_s = self.limits, now - self.since
        if self.flow.write_paused or (self.phase is LEAVING and self.transport.get_write_buffer_size()):
            self._look_at_reader(elapsed_s)
        elif self.written_left is not None:
            self.written_left, self.waited_s = None, 0.0
        if self.phase is HEAD:
            if waiting_s > limits.timeout_headers:
                self.refuse(refusal.HEADERS_TOO_SLOW)
        elif self.phase is BODY:
            self._look_at_body(elapsed_s)
        elif self.phase is UNWELCOME:
            if waiting_s > LINGER_S:
                self.transport.abort()
        elif self.phase is LEAVING:
            if self.cycle is None and waiting_s > LINGER_S and self.written_left is None:
                self.transport.abort()
        elif self.cycle is None and waiting_s > limits.timeout_keep_alive:
            self.leave()

    def _look_at_body(self, elapsed_s: float) -> None:
        """A body that comes too slowly ends its request; time in which nobody wanted to read it does not count."""
        if self.flow.read_paused or self.flow.write_paused:
            return
        self.waited_s += elapsed_s
        if self.waited_s > self.limits.timeout_stalled and self.body_bytes < self.limits.min_rate * self.waited_s:
            self.refuse(refusal.BODY_TOO_SLOW)

    def _look_at_reader(self, elapsed_s: float) -> None:
        """A client that does not take its answer loses it: it holds memory here, and what a worker would do next."""
        left = self.transport.get_write_buffer_size()
        if self.written_left is None or left > self.written_left:
            self.written_left, self.waited_s = left, 0.0
            return
        self.waited_s += elapsed_s
        taken = self.written_left - left
        if self.waited_s > self.limits.timeout_stalled and taken < self.limits.min_rate * self.waited_s:
            logger.debug("cut a client off that does not read its answer")
            self.transport.abort()
