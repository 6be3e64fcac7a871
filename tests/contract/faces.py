"""The four faces of a pool: one's own or a served one, for asyncio or blocking. The same tests run over each.

Whatever the face is, a test awaits its verbs: a blocking one is called in threads, its streams are read there.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import millpond
from millpond.http.application import app
from millpond.http.server.limits import Limits
from millpond.http.server.listening import open_address
from millpond.http.server.server import Server
from millpond.http.server.state import State
from tests.contract.handlers import Plain
from tests.contract.sites import Gate, Site

NAMES = ("pool", "client", "blocking pool", "blocking client")
_END = object()


@dataclass
class Opened:
    """A pool that is open, and the face through which a test calls it."""

    verbs: Any
    pool: millpond.Pool
    site: Site

    def gate(self, operation: str = "stay") -> Gate:
        """A closed gate."""
        return self.site.gate(self.pool, operation)

    def path(self) -> str:
        """A file name of its own."""
        return self.site.path()

    def kill(self) -> None:
        """End the only worker."""
        self.site.kill(self.pool)


class Face:
    """One of the four. Those of asyncio have fake workers, the blocking ones real processes."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.is_served = name.endswith("client")
        self.is_blocking = name.startswith("blocking")
        self._site = Site("fork" if self.is_blocking else "fake", folder)

    @asynccontextmanager
    async def open(self, handler: Any = Plain, **settings: Any) -> AsyncIterator[Opened]:
        """A pool that carries data only, as every face can."""
        settings = {"codec": "msgpack", **settings}
        if self.name == "blocking pool":
            own = millpond.SyncPool(handler, start_method="fork", **self._site.settings(settings))
            await asyncio.to_thread(own.open)
            try:
                yield Opened(Awaited(own), own.pool, self._site)
            finally:
                await asyncio.to_thread(own.close)
            return
        async with self._site.pool(handler, **settings) as pool:
            if not self.is_served:
                yield Opened(pool, pool, self._site)
                return
            async with serving(pool) as url, self._client(url) as verbs:
                yield Opened(verbs, pool, self._site)

    @asynccontextmanager
    async def _client(self, url: str) -> AsyncIterator[Any]:
        if not self.is_blocking:
            async with millpond.Client(url) as client:
                yield client
            return
        blocking = millpond.SyncClient(url)
        await asyncio.to_thread(blocking.open)
        try:
            yield Awaited(blocking)
        finally:
            await asyncio.to_thread(blocking.close)


@asynccontextmanager
async def serving(pool: millpond.Pool) -> AsyncIterator[str]:
    """Millpond's own server in front of a pool, on this loop."""
    (listener,) = open_address("127.0.0.1", 0)
    server = Server(app(pool, auth=None), {}, [listener], State(Limits(), 1000), handle_signals=False)
    task = asyncio.create_task(server.serve())
    try:
        yield listener.address("http")
    finally:
        server.stop()
        server.stop()
        await task


class Awaited:
    """A blocking face, for tests that await."""

    def __init__(self, blocking: Any) -> None:
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._blocking, name)
        if not callable(found):
            return found
        if name in ("stream", "map"):
            return lambda *args: AwaitedItems(found(*args))
        if name == "options":
            return lambda **changes: Awaited(found(**changes))
        if name == "session":
            return lambda *args, **kwargs: AwaitedSession(lambda: found(*args, **kwargs))
        return lambda *args, **kwargs: asyncio.to_thread(found, *args, **kwargs)


class AwaitedSession(Awaited):
    """A session of a blocking face, which is opened when it is made."""

    def __init__(self, make: Any) -> None:
        super().__init__(None)
        self._make = make

    async def open(self) -> AwaitedSession:
        if self._blocking is None:
            self._blocking = await asyncio.to_thread(self._make)
        return self

    def __await__(self) -> Any:
        return self.open().__await__()

    async def __aenter__(self) -> AwaitedSession:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        """It stays."""


class AwaitedItems:
    """What a blocking iterator gives."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> AwaitedItems:
        return self

    async def __anext__(self) -> Any:
        item = await asyncio.to_thread(next, self._items, _END)
        if item is _END:
            raise StopAsyncIteration
        return item

    async def aclose(self) -> None:
        await asyncio.to_thread(self._items.close)  # type: ignore[attr-defined]

    async def __aenter__(self) -> AwaitedItems:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def told(answer: Any) -> Any:
    """An answer that one face gives at once and another has to be waited for."""
    return await answer if inspect.isawaitable(answer) else answer
