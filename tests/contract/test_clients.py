"""What only clients of a served pool have: connections that break on the way, and what a server makes of that."""

from __future__ import annotations

import asyncio
import enum
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import UUID

import numpy as np
import pytest

import millpond
from tests.contract.faces import serving
from tests.contract.sites import WAIT_S, Site, check, failure, until


@pytest.fixture
def fake(tmp_path):
    return Site("fake", tmp_path)


@asynccontextmanager
async def cutting(url, cuts):
    """A way to a server on which the first answers, `cuts` of them, are lost with their connection."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    left, writers, tasks = cuts, [], set()

    async def carry(reader, writer):
        nonlocal left
        there, out = await asyncio.open_connection(host, port)
        writers.extend((writer, out))
        asking = asyncio.create_task(pump(reader, out))
        tasks.add(asking)
        try:
            while piece := await there.read(65536):
                if left:
                    left -= 1
                    break
                writer.write(piece)
        except ConnectionError:
            pass
        finally:
            asking.cancel()
            writer.close()
            out.close()

    def begin(reader, writer):
        tasks.add(asyncio.create_task(carry(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)


async def pump(reader, writer):
    while piece := await reader.read(65536):
        writer.write(piece)
    writer.close()


async def test_a_repeated_call_runs_once(fake):
    """Its answer was lost on the way: the server gives the same one again, by the key."""
    async with fake.pool() as pool, serving(pool) as url, cutting(url, cuts=1) as way, millpond.Client(way) as client:
        gate = fake.gate(pool)
        gate.open()
        assert await client.options(idempotent=True).call("stay", gate.path, "token") == "token"
        assert gate.ran() == ["token"]
        assert await client.call("echo", 1) == 1


async def test_a_call_that_may_not_be_repeated_is_left_in_doubt(fake):
    """It ran, but nobody can know."""
    async with fake.pool() as pool, serving(pool) as url, cutting(url, cuts=1) as way, millpond.Client(way) as client:
        gate = fake.gate(pool)
        gate.open()
        check(await failure(client.call("stay", gate.path, "token")), "unreachable", "unknown")
        assert gate.ran() == ["token"]


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int


VALUES = [
    *(math.inf, 2**64 - 1, 2**64, -(2**63), 1.5, True, None, "\0ü", "\ud800", b"\0", bytearray(b"b"), memoryview(b"m")),
    *({1: 2, "a": 3}, {b"key": None}, {(1, 2): 3}, {"*": [1]}, {1}, (1, (2,)), [], {}, range(3), object(), len, 1j),
    *(Decimal("1.5"), UUID(int=5), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1), date(2026, 1, 1)),
    *(timedelta(seconds=5), Point(1), Colour.RED, np.arange(3), np.float64(2.5)),
]


async def test_values_are_those_of_the_codec_msgpack(fake):
    """What it carries arrives as there, what it refuses is refused as there."""
    async with fake.pool(codec="msgpack") as pool, serving(pool) as url, millpond.Client(url) as client:
        for value in VALUES:
            own = await answered(pool.call("echo", value))
            assert await answered(client.call("echo", value)) == own
            assert await answered(client.call("echo", value=value)) == own


async def answered(call):
    """What comes of a call, comparable."""
    try:
        answer = await call
        return type(answer), answer
    except millpond.PoolError as error:
        return error.code, error.outcome


async def test_a_handlers_failure_is_not_repeated(fake):
    """Not even where it does no harm: it is an answer."""
    async with fake.pool() as pool, serving(pool) as url, millpond.Client(url) as client:
        check(await failure(client.options(idempotent=True).call("fail", "no")), "handler_error", "completed")
        assert pool.statistics().submitted == 1


async def test_a_cancelled_call_that_may_be_repeated_runs_on(fake):
    """In the server, for whoever asks by its key; one that may not is ended."""
    async with fake.pool(min_workers=2) as pool, serving(pool) as url, millpond.Client(url) as client:
        gate = fake.gate(pool)
        calls = [
            asyncio.create_task(client.options(idempotent=idempotent).call("stay", gate.path))
            for idempotent in (True, False)
        ]
        await gate.entered(2)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: pool.statistics().endings["cancelled"] == 1)
        assert pool.statistics().running == 1
        gate.open()
        await until(lambda: pool.statistics().running == 0)


async def test_an_overloaded_pool_is_waited_for_where_that_is_safe(fake):
    """By a call that may be repeated, as long as the server asks for; others are refused."""
    async with fake.pool(max_queued=0) as pool, serving(pool) as url, millpond.Client(url) as client:
        gate = fake.gate(pool)
        busy = asyncio.create_task(client.call("stay", gate.path))
        await gate.entered()
        check(await failure(client.call("echo", 1)), "queue_full", "not_started")
        patient = asyncio.create_task(client.options(idempotent=True).call("echo", 1))
        await until(lambda: pool.statistics().codes["queue_full"] == 2)
        gate.open()
        await busy
        assert await asyncio.wait_for(patient, WAIT_S) == 1


def test_a_client_works_on_uvloop(tmp_path):
    """As on the loop of asyncio's own: calls, streams, cancelling, and connections that ended."""
    uvloop = pytest.importorskip("uvloop")

    async def use():
        fake = Site("fake", tmp_path)
        async with fake.pool() as pool, serving(pool) as url:
            async with cutting(url, cuts=1) as way, millpond.Client(way) as client:
                check(await failure(client.call("echo", 0)), "unreachable", "unknown")
                assert [number async for number in client.map("echo", range(200))] == list(range(200))
            async with millpond.Client(url) as client:
                async with client.stream("count", 100_000) as items:
                    assert [await anext(items) for _ in range(10)] == list(range(10))
                call = asyncio.create_task(client.call("echo", 1))
                await asyncio.sleep(0)
                call.cancel()
                assert isinstance(await failure(call), asyncio.CancelledError)
                assert await client.call("echo", b"x" * 1_000_000) == b"x" * 1_000_000

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(use())
