"""A client that leaves before anything was begun for it."""

from __future__ import annotations

import asyncio
from typing import Any

import millpond
from millpond.http import app
from millpond.http.access.caller import Caller
from millpond.http.server.limits import Limits
from millpond.http.server.listening import open_address
from millpond.http.server.server import Server
from millpond.http.server.state import State
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.contract.sites import until


async def test_nothing_is_sent_for_ever_to_who_left_while_it_was_let_in():
    """An event stream ends, though its client was gone before it began."""
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def let_in(_: Any) -> Caller:
        asked.set()
        await go_on.wait()
        return Caller("x", "admin", "program")

    async with millpond.Pool(Shop, engine=FakeEngine(), name="p") as pool:
        application = app({"p": pool}, auth=let_in)
        (listener,) = open_address("127.0.0.1", 0)
        state = State(Limits(), 100)
        server = Server(application, {}, [listener], state, handle_signals=False)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.accepting)
        _, writer = await asyncio.open_connection(*listener.socket.getsockname())
        writer.write(b"GET /v1/pools/p/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(asked.wait(), 10)
        writer.transport.abort()
        await until(lambda: not state.connections)
        go_on.set()
        await until(lambda: application.traffic.running == 0)
        server.stop()
        await serving
