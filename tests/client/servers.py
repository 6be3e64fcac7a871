"""A server that does what a test says, byte by byte: for what a good server would never do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

import millpond

pack = msgspec.msgpack.encode


@dataclass
class Asked:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def arguments(self) -> Any:
        return msgspec.msgpack.decode(self.body)


Script = Callable[[Asked, asyncio.StreamWriter], Awaitable[bool | None]]


@dataclass
class Scripted:
    """A server whose answers a test writes. What it was asked, and how many connections were made, is kept."""

    port: int = 0
    listening: Any = None
    asked: list[Asked] = field(default_factory=list)
    connections: list[asyncio.StreamWriter] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # a client left while it was answered

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> millpond.Client:
        return millpond.Client(self.url, token="mp_secret", **options)


@asynccontextmanager
async def scripted(script: Script, **listen: Any) -> AsyncIterator[Scripted]:
    """Serve by a script: called for each request, true to close the connection after it."""
    server = Scripted()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections.append(writer)
        try:
            while (asked := await read_request(reader)) is not None:
                server.asked.append(asked)
                if not await stays(script(asked, writer), reader, server.left):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if "path" in listen:
        listening = await asyncio.start_unix_server(begin, **listen)
    else:
        listening = await asyncio.start_server(begin, "127.0.0.1", 0, **listen)
        server.port = listening.sockets[0].getsockname()[1]
    server.listening = listening
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in server.connections:
            writer.transport.abort()
        await asyncio.sleep(0)


async def stays(answering: Awaitable[bool | None], reader: asyncio.StreamReader, left: asyncio.Event) -> bool:
    """Answer, and watch the client meanwhile; whether the connection goes on."""
    tasks = [asyncio.ensure_future(answering), asyncio.ensure_future(reader.read(1))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_answered = tasks[0].done()
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    if not is_answered or isinstance(ends[0], ConnectionError):
        left.set()
        return False
    if isinstance(ends[0], BaseException):
        raise ends[0]
    return not ends[0]


async def read_request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
    return Asked(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def answer(body: bytes, kind: str = "application/msgpack", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def problem(status: str, code: str, detail: str = "told", **members: Any) -> bytes:
    """A whole answer that is a problem."""
    said = {"type": "about:blank", "status": int(status[:3]), "detail": detail, "code": code} | members
    return answer(msgspec.json.encode(said), "application/problem+json", status)


async def echo(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """The arguments as they came are the result."""
    writer.write(answer(asked.body))
