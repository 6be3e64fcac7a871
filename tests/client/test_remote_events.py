"""Events at a client: of any cut, until the server stops, and gone on with where a connection broke."""

from __future__ import annotations

import asyncio

import pytest

from millpond.errors import InternalError
from tests.client.servers import answer, problem, scripted
from tests.client.test_blocking import client_of, serving
from tests.contract.sites import WAIT_S, check, failure, read

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n"
TOLD = (
    b': hello\n\nid: 7\nevent: worker.ready\ndata: {"event":"worker.ready","worker":1}\n\n'
    b'event: missed\ndata: {"count":3}\n\nid: 11\nevent: worker.gone\ndata: {"event":"worker.gone"}\n\n'
)
EVENTS = [
    {"event": "worker.ready", "worker": 1},
    {"event": "missed", "count": 3},
    {"event": "worker.gone"},
]


def saying(said, size=1000, ends=True):
    async def script(_asked, writer):
        writer.write(HEAD)
        for start in range(0, len(said), size):
            writer.write(said[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)
        if not ends:
            await asyncio.sleep(WAIT_S)
        return True

    return script


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_events_come_however_they_are_cut(size):
    """Each once, in order, until the server stops; the number of the newest is known."""
    async with scripted(saying(TOLD, size)) as server, server.client() as pool:
        events = pool.events("worker", "pool.state")
        assert [event async for event in events] == EVENTS
        assert (events.last, [event async for event in events]) == (11, [])
        (asked,) = server.asked
        assert (asked.method, asked.path) == ("GET", "/v1/pools/default/events?name=worker&name=pool.state")
        assert "last-event-id" not in asked.headers
        assert [event async for event in pool.events(last=events.last)] == EVENTS
        assert server.asked[1].headers["last-event-id"] == "11"


async def test_leaving_and_cancelling_end_the_following():
    """The server sees that its reader left."""
    async with scripted(saying(TOLD, ends=False)) as server, server.client() as pool:
        events = pool.events()
        assert await anext(events) == EVENTS[0]
        await events.aclose()
        await events.aclose()
        await asyncio.wait_for(server.left.wait(), WAIT_S)
        server.left.clear()
        following = asyncio.create_task(read(pool.events(), seen := []))
        while len(seen) < len(EVENTS):
            await asyncio.sleep(0.005)
        following.cancel()
        assert isinstance(await failure(following), asyncio.CancelledError)
        await asyncio.wait_for(server.left.wait(), WAIT_S)


@pytest.mark.parametrize(
    "said", [b"id: seven\ndata: {}\n\n", b"data: {\n\n", b"data: []\n\n", b"event: \xff\ndata: {}\n\n"]
)
async def test_what_is_no_event_is_told(said):
    """And the connection is given back."""
    async with scripted(saying(said)) as server, server.client() as pool:
        events = pool.events()
        assert (await failure(anext(events))).code == "internal_error"
        assert [event async for event in events] == []


async def test_a_refusal_is_the_servers():
    """As is an answer that has no events."""

    async def refuse(_asked, writer):
        writer.write(problem("403 Forbidden", "forbidden"))

    async with scripted(refuse) as server, server.client() as pool:
        check(await failure(anext(pool.events())), "access_denied", "not_started")

    async def page(_asked, writer):
        writer.write(answer(b"<html>", "text/html"))

    async with scripted(page) as server, server.client() as pool:
        assert (await failure(anext(pool.events()))).code == "internal_error"


def test_events_come_to_blocking_programs_too():
    """As an iterator; the other routes and commands are there as well."""
    with serving(saying(TOLD)) as server, client_of(server) as pool:
        assert list(pool.events()) == EVENTS

    async def tell(asked, writer):
        writer.write(answer(b'{"path": "%b"}' % asked.path.encode(), "application/json"))

    async def show(asked, writer):
        writer.write(answer(asked.path.encode(), "text/html; charset=utf-8"))

    with serving(show) as server, client_of(server) as pool:
        assert pool.report(60) == "/v1/pools/default/report?seconds=60"
        assert pool.report(60, 1.5) == "/v1/pools/default/report?seconds=60&end=1.5"

    with serving(tell) as server, client_of(server) as pool:
        with pytest.raises(InternalError, match="no page"):
            pool.report()
        assert pool.get("history", seconds=60) == {"path": "/v1/pools/default/history?seconds=60"}
        assert pool.get("calls/77") == {"path": "/v1/pools/default/calls/77"}
        assert pool.command("pause", reason="x") == {"path": "/v1/pools/default/admin/pause"}
