"""Events over HTTP as they happen, and the pool's figures once a second: server-sent events.

One ring of encoded events for all readers of a pool that ask for the same names: each reader has a place in it, so a
slow one costs no memory and is told how many it missed. Nobody listens to the pool while nobody reads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from millpond.events import EVENTS, HOT
from millpond.http.access.caller import MAY_VIEW
from millpond.http.disconnect import answered_or_left
from millpond.http.figures import encoded
from millpond.http.headers import ANSWER
from millpond.http.problems import Problem
from millpond.http.routing import application_of, pool_of, route
from millpond.http.snapshot import snapshot_of
from millpond.telemetry.lines import facts

if TYPE_CHECKING:
    from millpond.events import Event
    from millpond.http.asking import Receive, Scope
    from millpond.pool import Pool

KEPT = 1000  # events in a ring
KEPT_S = 30.0  # after its last reader left: who comes back in time misses nothing
HEARTBEAT_S = 15.0
MOST_FEEDS = 16  # of one pool, each for other names
SNAPSHOT = "snapshot"
REGULAR = frozenset({"pool.utilization"})  # each second; the snapshot says more
CALM = tuple(name for name in EVENTS if name not in HOT | REGULAR)  # what happens now and then
Names = tuple[str, ...]


class Feed:
    """The events of some names of one pool, encoded once for all readers."""

    def __init__(self, pool: Pool, names: Names, ended: Callable[[], None]) -> None:
        self._pool = pool
        self._ended = ended
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._ring: deque[bytes] = deque(maxlen=KEPT)
        # Events are numbered from the microsecond in which this began, so that a reader who comes back with a number
        # of an earlier feed, or of another server, is known to have missed some.
        self._first = self.newest = int(time.time() * 1e6)
        self._readers = 0
        self._news = asyncio.Event()
        self._end = self._loop.call_later(KEPT_S, self.close)
        heard = [name for name in names if name != SNAPSHOT]
        self._listener = pool.telemetry.attach_beside("http-feed", heard, self.hear) if heard else ""

    def hear(self, event: Event) -> None:
        """An event of the pool, or of the program, which may be on any thread."""
        said = {"wall": time.time(), "event": event.name, **facts(event)}
        if threading.get_ident() == self._thread:
            self.put(event.name, said)
        else:
            self._loop.call_soon_threadsafe(self.put, event.name, said)

    def put(self, name: str, said: dict[str, Any]) -> None:
        """Keep one more, and wake whoever waits."""
        self.newest += 1
        self._ring.append(b"id: %d\nevent: %b\ndata: %b\n\n" % (self.newest, name.encode(), encoded(said)))
        self._news.set()
        self._news = asyncio.Event()

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Somebody reads: this stays as long, and for a while in which that one may come back."""
        self._end.cancel()
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1
            if not self._readers:
                self._end = self._loop.call_later(KEPT_S, self.close)

    def expect_reader(self) -> None:
        """Somebody is about to read."""
        if not self._readers:
            self._end.cancel()
            self._end = self._loop.call_later(KEPT_S, self.close)

    async def read(self, after: int | None) -> AsyncGenerator[bytes, None]:
        """What comes after an event, or from now on, for ever, with a sign of life where nothing comes."""
        at = self.newest if after is None else after
        if not self._first <= at <= self.newest:
            yield b'event: missed\ndata: {"count":null}\n\n'  # nobody knows how many
            at = self.newest - len(self._ring)
        while True:
            oldest = self.newest - len(self._ring)
            if at < oldest:
                yield b'event: missed\ndata: {"count":%d}\n\n' % (oldest - at)
                at = self.newest - len(self._ring)
            elif at < self.newest:
                news = [self._ring[place] for place in range(at - oldest, len(self._ring))]
                at = self.newest
                yield b"".join(news)
            else:
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        await self._news.wait()
                except TimeoutError:
                    yield b": still here\n\n"

    @property
    def has_readers(self) -> bool:
        """Whether anybody reads."""
        return self._readers > 0

    def close(self) -> None:
        """Listen no more."""
        self._pool.telemetry.detach(self._listener)
        self._ended()


class Feeds:
    """The feeds of one application."""

    def __init__(self) -> None:
        self._feeds: dict[tuple[Pool, Names], Feed] = {}
        self._watched: set[Pool] = set()

    def get(self, pool: Pool, names: Names) -> Feed:
        """The feed of these names. Raises `ValueError` for what can be no event's name, `Problem` 503 for too many.

        `RuntimeError` for snapshots of a pool without metrics.
        """
        if SNAPSHOT in names and pool not in self._watched:
            pool.metrics.on_fold(lambda _: self._folded(pool))
            self._watched.add(pool)
        found = self._feeds.get((pool, names))
        if found is None:
            if sum(whose is pool for whose, _ in self._feeds) >= MOST_FEEDS:
                later = {"Retry-After": "30"}
                raise Problem(503, "too_many_feeds", "Too many choices of events are followed.", headers=later)
            found = self._feeds[pool, names] = Feed(pool, names, lambda: self._forget(pool, names))
        found.expect_reader()
        return found

    def all(self) -> tuple[Feed, ...]:
        """Those there are."""
        return tuple(self._feeds.values())

    def _forget(self, pool: Pool, names: Names) -> None:
        self._feeds.pop((pool, names), None)

    def _folded(self, pool: Pool) -> None:
        """A second is over: the figures are encoded once, if anybody reads."""
        reading = [one for (whose, names), one in self._feeds.items() if whose is pool and SNAPSHOT in names]
        if any(one.has_readers for one in reading):
            said = {"wall": time.time(), "event": SNAPSHOT, "snapshot": snapshot_of(pool)}
            for one in reading:
                one.put(SNAPSHOT, said)


class EventStream(Response):
    """Sends a feed to one reader."""

    def __init__(self, feed: Feed, after: int | None) -> None:
        super().__init__(headers={**ANSWER, "X-Accel-Buffering": "no"}, media_type="text/event-stream")
        del self.headers["content-length"]
        self._feed = feed
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Callable[[Any], Awaitable[None]]) -> None:
        """Send what comes until the client leaves."""
        await answered_or_left(scope, receive, self._send(send))

    async def _send(self, send: Callable[[Any], Awaitable[None]]) -> None:
        with self._feed.reader():
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
            async with aclosing(self._feed.read(self._after)) as reading:
                async for part in reading:
                    await send({"type": "http.response.body", "body": part, "more_body": True})


async def events(request: Request) -> Response:
    """Events as they happen: of the names asked for (`name`), by default all but those of each call, and `snapshot`."""
    pool, application = pool_of(request), application_of(request)
    asked = [name for part in request.query_params.getlist("name") for name in part.split(",") if name]
    names = tuple(sorted(set(asked))) or ((*CALM, SNAPSHOT) if pool.settings.metrics else CALM)
    text = request.headers.get("last-event-id", "")
    after = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
    try:
        feed = application.feeds.get(pool, names)
    except ValueError as error:
        raise Problem(400, "bad_argument", str(error), field="name") from None
    except RuntimeError as error:
        raise Problem(404, "not_found", str(error)) from None
    return EventStream(feed, after)


ROUTES = [route("/v1/pools/{pool}/events", events, roles=MAY_VIEW)]
