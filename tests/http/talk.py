"""Requests to an application over a pool without processes: by httpx, and message by message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

import millpond
from millpond.http import app
from millpond.http.application import Application
from millpond.testing import FakeEngine
from tests.contract.documented import Shop

POOL = "/v1/pools/default"
LIMIT_S = 30.0


class Site:
    """An application, its pool, and a client of it."""

    def __init__(self, pool: millpond.Pool, application: Application, client: httpx.AsyncClient) -> None:
        self.pool = pool
        self.application = application
        self.client = client

    @property
    def engine(self) -> FakeEngine:
        """Where calls can be held."""
        found = self.pool.driver.engine
        assert isinstance(found, FakeEngine)
        return found

    async def post(self, path: str, value: Any = None, **headers: str) -> httpx.Response:
        """Send JSON to a path below the pool's; headers by name with `_` for `-`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        body = b"" if value is None else json.dumps(value).encode()
        return await self.client.post(POOL + path, content=body, headers={"content-type": "application/json", **named})

    async def call(self, operation: str, *args: Any, **headers: str) -> httpx.Response:
        """Call an operation with these arguments."""
        return await self.post(f"/call/{operation}", list(args), **headers)


@asynccontextmanager
async def site(
    handler: type = Shop, *, auth: Any = None, name: str = "default", **settings: Any
) -> AsyncIterator[Site]:
    """Serve one pool, open until the end of the block."""
    pool = millpond.Pool(handler, engine=FakeEngine(), **settings)
    async with pool:
        application = app(pool, auth=auth)
        async with client_of(application) as client:
            yield Site(pool, application, client)


def client_of(application: Any) -> httpx.AsyncClient:
    """A client of an ASGI application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://127.0.0.1:8000")


class Talk:
    """One request, message by message, as a server other than Millpond's own has it.

    `sent` are the answer's messages; while `is_reading` is clear the client takes none.
    """

    def __init__(
        self,
        application: Any,
        path: str,
        body: bytes = b"",
        *,
        raw_path: bytes = b"",
        is_whole: bool = True,
        **headers: str,
    ) -> None:
        named = {"content-type": "application/json", **{name.replace("_", "-"): v for name, v in headers.items()}}
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": raw_path or path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), text.encode()) for name, text in named.items()],
        }
        self.sent: list[Any] = []
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self._grown = asyncio.Event()
        self._asked: asyncio.Queue[Any] = asyncio.Queue()
        self._asked.put_nowait({"type": "http.request", "body": body, "more_body": not is_whole})
        self.task = asyncio.ensure_future(application(self.scope, self._asked.get, self._send))

    async def _send(self, message: Any) -> None:
        await self.is_reading.wait()
        self.sent.append(message)
        self._grown.set()

    def leave(self) -> None:
        """Close the connection."""
        self._asked.put_nowait({"type": "http.disconnect"})

    async def ended(self) -> None:
        """Wait until the application has returned, and raise what it raises."""
        async with asyncio.timeout(LIMIT_S):
            await self.task

    async def until(self, count: int) -> list[Any]:
        """Wait until so many messages were sent."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.sent) < count:
                self._grown.clear()
                await self._grown.wait()
        return self.sent

    @property
    def status(self) -> int:
        """That of the answer."""
        found: int = self.sent[0]["status"]
        return found

    @property
    def body(self) -> bytes:
        """What came of it so far."""
        return b"".join(message["body"] for message in self.sent[1:])
