"""A pool behind a real server on a port of its own, and raw requests to it, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import millpond
import millpond.http
from millpond.http.access.access import Access
from millpond.http.application import Application
from millpond.http.server.limits import Limits
from millpond.http.server.listening import open_address
from millpond.http.server.server import Server
from millpond.http.server.state import State

LIMIT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    application: Application
    access: Access
    port: int
    token: str

    @property
    def host(self) -> str:
        """What belongs into the Host header."""
        return f"127.0.0.1:{self.port}"

    @property
    def bearer(self) -> str:
        """What belongs into the Authorization header."""
        return f"Bearer {self.token}"

    async def send(self, request: bytes) -> Answer | None:
        """Send these bytes on a connection of their own; the first response, or `None` if there is none."""
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(request)
                return await _answer(reader, to_head=request.startswith(b"HEAD "))
            finally:
                writer.close()

    async def ask(self, method: str, target: str, *headers: str, body: bytes = b"", host: str | None = None) -> Answer:
        """A well-formed request; `headers` as they stand in it."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host if host is None else host}", *headers]
        lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
        answer = await self.send("\r\n".join(lines).encode("latin-1") + body)
        assert answer is not None
        return answer


async def _answer(reader: asyncio.StreamReader, *, to_head: bool) -> Answer | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in lines if line]
    headers = {name.lower(): value for name, _, value in pairs}
    size = 0 if to_head else int(headers.get("content-length", 0))
    return Answer(int(first.split()[1]), headers, await reader.readexactly(size))


@asynccontextmanager
async def served(
    pools: millpond.Pool | Mapping[str, millpond.Pool], access: Access, *, access_log: bool = False, port: int = 0
) -> AsyncIterator[Served]:
    """Serve an open pool under the name `p`, or several under theirs; at a free port, or at this one."""
    named = {"p": pools} if isinstance(pools, millpond.Pool) else pools
    application = millpond.http.app(named, auth=access)
    (listener,) = open_address("127.0.0.1", port)
    server = Server(application, {}, [listener], State(Limits(), 1000, access_log=access_log), handle_signals=False)
    port = listener.socket.getsockname()[1]
    serving = asyncio.create_task(server.serve())
    try:
        while not server.accepting and not serving.done():
            await asyncio.sleep(0.01)
        yield Served(application, access, port, access.state.own_token() or "")
    finally:
        server.stop()
        await serving
