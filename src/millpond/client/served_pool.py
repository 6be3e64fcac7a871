"""One pool of one server, as a client's requests see it: their headers, their deadlines, and what their failures mean.

The deadline is the client's: the server is told what is left of it, and if it says nothing, the wait ends here. Shared
by `remote_calls`, `remote_stream`, `remote_session` and the faces; before `round_trip`.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from dataclasses import dataclass, replace
from random import Random
from ssl import SSLContext
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote

import msgspec

from millpond.client import values
from millpond.client.address import Address
from millpond.client.http1 import Broken, Header
from millpond.client.remote_errors import StillRunning, error_of
from millpond.client.round_trip import KeptConnections, NotConnected, RoundTrip
from millpond.errors import BadArgument, DeadlineExceeded, PoolClosed, PoolClosing, PoolError, SessionLost, Unreachable
from millpond.options import DEFAULT, UNSET, Options

LATE_S = 0.2  # after the deadline, for the server to say itself that it has passed
ATTEMPTS = 4  # of a call that may be repeated
BACKOFF_S = 0.1  # before the first repetition; fourfold each time, with jitter
AGENT = b"millpond-client"
JSON = b"application/json"
STREAM = b"application/vnd.millpond.stream"
OPEN, CLOSED, LOST = "open", "closed", "lost"  # states of a session


@dataclass(frozen=True, slots=True)
class Request:
    """One request before it is sent: made in its caller's thread and context."""

    target: bytes
    body: bytes
    options: Options = DEFAULT
    accept: bytes = values.TYPE
    method: bytes = b"POST"
    content_type: bytes = values.TYPE
    trace: tuple[Header, ...] = ()


class Answer(NamedTuple):
    """What came for a request."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(slots=True)
class KnownSession:
    """A session that a handle opened, as far as the server's answers tell. Options of its calls name it."""

    id: str
    generation: int = 0
    state: str = ""  # empty before it was opened

    def check(self) -> None:
        """Raise `SessionLost` if it is known to have ended."""
        if self.state in (CLOSED, LOST):
            raise SessionLost(f"the session is {self.state}; this handle is of no use any more")


class ServedPool:
    """The pool at the other end of a client. Bound to the loop it was opened on; `None` for none."""

    def __init__(
        self,
        address: Address,
        name: str,
        context: SSLContext | None,
        deadline_s: float,
        most_connections: int,
        random: Random,
    ) -> None:
        self.address = address
        self.name = name
        self.most_connections = most_connections
        self.loop: asyncio.AbstractEventLoop | None = None
        self._context = context
        self._deadline_s = deadline_s
        self._random = random
        self._root = address.prefix + "/v1/pools/" + quote(name, safe="")
        self._always: list[Header] = []
        self._connections: KeptConnections | None = None
        self._is_closed = False
        self._is_inherited = False
        self._is_users_own = False

    # Opening and closing

    def open(self, token: str | None, *, is_users_own: bool = False) -> None:
        """Be ready to be asked, on the running loop. Nothing is sent. Raises `PoolClosed` after `close`.

        `is_users_own`: the token is for servers of this user, and of nobody else.
        """
        if self._is_closed:
            raise PoolClosed("the client is closed; make another")
        self._always = [(b"Host", self.address.host_header.encode()), (b"User-Agent", AGENT)]
        if token is not None:
            self._always.append((b"Authorization", b"Bearer " + token.encode()))
        self.loop = running_loop()
        self._is_inherited = False
        self._is_users_own = is_users_own
        self._connections = self._new_connections()

    def _new_connections(self) -> KeptConnections:
        return KeptConnections(self.address, self._context, self.most_connections, own_user_only=self._is_users_own)

    async def close(self, drain: float) -> None:
        """Take no more requests, and end the connections; requests that are under way have `drain` seconds."""
        self._is_closed = True
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close(drain)

    def close_unopened(self) -> None:
        """What `close` does where there is nothing to end."""
        self._is_closed = True

    def disown(self) -> None:
        """In a forked child: the connections are the parent's, others are made when the first request needs one."""
        connections, self._connections = self._connections, None
        if connections is not None:
            connections.disown()
            self._is_inherited = True

    @property
    def state(self) -> str:
        """new, open or closed."""
        if self._is_closed:
            return "closed"
        return "new" if self._connections is None and not self._is_inherited else "open"

    def check_loop(self) -> KeptConnections:
        """The connections, for who is on their loop. Raises `PoolClosed`, or `RuntimeError` on any other loop."""
        loop = running_loop()
        if self._is_inherited and not self._is_closed:
            self.loop, self._is_inherited = loop, False
            self._connections = self._new_connections()
        if self._connections is None:
            raise PoolClosed("the client is closed" if self._is_closed else "the client was not opened")
        if loop is not self.loop:
            raise RuntimeError("this client belongs to another event loop; use SyncClient to share one between threads")
        return self._connections

    # Requests

    def target(self, *path: str) -> bytes:
        """The path of one of the pool's routes."""
        return "/".join([self._root, *(quote(part, safe="") for part in path)]).encode()

    def ends_at(self, options: Options) -> float:
        """When the deadline of a request made now passes, by the loop's clock."""
        assert self.loop is not None
        return self.loop.time() + (self._deadline_s if options.deadline == UNSET else options.deadline)

    async def call(self, request: Request) -> Any:
        """The result of an operation, whose request is repeated where that is safe and its options let it."""
        self.check_loop()
        if not request.options.idempotent:
            return self._result(await self.ask(request, self.ends_at(request.options)))
        ends_at, key = self.ends_at(request.options), uuid.uuid4().hex.encode()
        failures, is_in_doubt = 0, False
        while True:
            try:
                return self._result(await self.ask(request, ends_at, key))
            except PoolError as error:
                is_in_doubt = is_in_doubt or error.outcome == "unknown"
                failures += not isinstance(error, StillRunning)
                pause = self._pause(error, failures, ends_at)
                if pause is None:
                    if is_in_doubt and error.outcome == "not_started":  # this attempt did not
                        error.outcome = "unknown"
                    raise
            await asyncio.sleep(pause)

    async def ask(self, request: Request, ends_at: float, key: bytes = b"") -> Answer:
        """The answer to a request that is sent once. Raises the `PoolError` of what failed."""
        answer = await self.exchange(request, ends_at, key)
        if not 200 <= answer.status < 300:
            raise self.refused(request, error_of(*answer))
        return answer

    async def exchange(self, request: Request, ends_at: float, key: bytes = b"") -> Answer:
        """The answer to a request that is sent once, whatever its status. Raises if there is none."""
        trip = RoundTrip(self.check_loop())
        try:
            async with asyncio.timeout_at(late(ends_at)):
                await self.send(trip, request, ends_at, key)
                await trip.head()
                return Answer(trip.status, trip.headers, await trip.body())
        except (TimeoutError, NotConnected, Broken) as error:
            self.fail(trip, error)
        finally:
            trip.close()

    def refused(self, request: Request, error: PoolError) -> PoolError:
        """The error that the server answered, of which the session of the request takes note; returns it."""
        session = request.options.session
        if isinstance(error, SessionLost) and isinstance(session, KnownSession) and session.state != CLOSED:
            session.state = LOST
        return error

    async def send(self, trip: RoundTrip, request: Request, ends_at: float, key: bytes = b"") -> None:
        """Send a request on a connection to be waited for. Raises `DeadlineExceeded`, `NotConnected`."""
        await trip.send(request.method, request.target, lambda: self._headers(request, ends_at, key), request.body)

    def fail(self, trip: RoundTrip, error: Exception) -> NoReturn:
        """Raise what it means that a round trip failed so, as far as it had come."""
        outcome: Any = "unknown" if trip.has_sent else "not_started"
        if isinstance(error, PoolError):  # a `TimeoutError` too
            raise error
        if isinstance(error, TimeoutError):
            waited = "and the server did not answer" if trip.has_sent else "while the call waited for a connection"
            raise DeadlineExceeded(f"the deadline passed, {waited}", outcome=outcome) from None
        if self._is_closed:
            raise PoolClosed("the client was closed", outcome=outcome) from None
        verb = "broke" if trip.has_sent else "cannot be made"
        raise Unreachable(f"the connection to {self.address.text} {verb}: {error}", outcome=outcome) from error

    async def question(
        self, method: bytes, *path: str, asked: Any = None, query: str = "", deadline: float = UNSET
    ) -> Any:
        """What another route than a call's answers, as plain data. Raises as `ask`."""
        self.check_loop()
        request = self.question_request(method, *path, asked=asked, query=query, options=Options(deadline=deadline))
        answer = await self.ask(request, self.ends_at(request.options))
        return self._result(answer) if answer.body else None

    async def pools(self) -> Any:
        """What the server tells of all its pools, as plain data. Raises as `ask`."""
        self.check_loop()
        request = Request(self._root.rpartition("/")[0].encode(), b"", DEFAULT, JSON, b"GET", JSON)
        return self._result(await self.ask(request, self.ends_at(request.options)))

    async def page(self, *path: str, query: str = "") -> str:
        """A page that another route answers. Raises as `ask`, and `InternalError` for an answer that is none."""
        self.check_loop()
        request = replace(self.question_request(b"GET", *path, query=query), accept=b"text/html")
        answer = await self.ask(request, self.ends_at(request.options))
        return values.decode_page(answer.headers.get(b"content-type", b""), answer.body)

    def question_request(
        self, method: bytes, *path: str, asked: Any = None, query: str = "", options: Options = DEFAULT
    ) -> Request:
        """A request of JSON to another route than a call's."""
        body = b"" if asked is None else msgspec.json.encode(asked)
        target = self.target(*path) + (b"?" + query.encode() if query else b"")
        return Request(target, body, options, JSON, method, JSON)

    def _headers(self, request: Request, ends_at: float, key: bytes) -> list[Header]:
        assert self.loop is not None
        headers, options = [*self._always, (b"Accept", request.accept), *request.trace], request.options
        headers += [(b"Content-Type", request.content_type), (b"Content-Length", b"%d" % len(request.body))]
        left = ends_at - self.loop.time()
        if left <= 0:
            raise DeadlineExceeded("the deadline passed before the call was sent", outcome="not_started")
        headers.append((b"Millpond-Deadline", b"%.4f" % left))  # "inf" for none
        if options.session is not None:
            headers += session_headers(options.session)
        if options.priority:
            headers.append((b"Millpond-Priority", b"%d" % options.priority))
        if options.on_cancel != "interrupt":
            headers.append((b"Millpond-On-Cancel", options.on_cancel.encode()))
        if options.idempotent:
            headers.append((b"Millpond-Idempotent", b"true"))
        if key:
            headers.append((b"Idempotency-Key", key))
        return headers

    def _result(self, answer: Answer) -> Any:
        return values.decode_result(answer.headers.get(b"content-type", b""), answer.body)

    def _pause(self, error: PoolError, failures: int, ends_at: float) -> float | None:
        """How long to wait before the request is sent again; `None` if it is not to be."""
        assert self.loop is not None
        is_passing = isinstance(error, Unreachable | PoolClosing | PoolClosed) or error.retry_after is not None
        if not is_passing or self._is_closed or failures == ATTEMPTS:
            return None
        backoff = BACKOFF_S * 4 ** max(0, failures - 1) * self._random.uniform(0.5, 1.5)
        pause = max(backoff, error.retry_after or 0.0)
        return pause if self.loop.time() + pause < ends_at else None


def session_headers(session: KnownSession | str) -> list[Header]:
    """How a request names its session. Raises `BadArgument` for an id that no header can have."""
    name = session if isinstance(session, str) else session.id
    if not name.isprintable() or name != name.strip():
        raise BadArgument(f"a session's id over HTTP has no control characters, no space at its ends: {name!r}")
    headers = [(b"Millpond-Session", name.encode())]
    if not isinstance(session, str):
        headers.append((b"Millpond-Session-Generation", b"%d" % session.generation))
    return headers


def late(ends_at: float) -> float | None:
    """When the client itself gives up a wait for the server; `None` for never."""
    return None if ends_at == math.inf else ends_at + LATE_S


def running_loop() -> asyncio.AbstractEventLoop:
    """The running loop. Raises `RuntimeError` where there is none, under trio for instance."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "Client needs a running asyncio event loop (uvloop's will do, trio's will not); "
            "programs without one use SyncClient"
        ) from None
