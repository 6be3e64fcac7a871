"""Streams at a client: frames of any cut, an end that is one, and a connection that is given back."""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest

from tests.client.servers import answer, pack, problem, scripted
from tests.contract.sites import WAIT_S, check, failure, read, until

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.millpond.stream\r\n"
    b"Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n"
)
OVER = b"0\r\n\r\n"


def frame(kind, body=b""):
    return len(body).to_bytes(4, "big") + bytes([kind]) + body


def item(value):
    return frame(0, pack(value))


END = frame(1, pack({}))


def chunk(piece):
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def saying(*pieces, over=OVER):
    async def script(_asked, writer):
        writer.write(HEAD)
        for piece in pieces:
            writer.write(chunk(piece))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(over)
        return over != OVER

    return script


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_items_come_however_the_frames_are_cut(size):
    """In order, then the end; the connection serves the next one."""
    said = b"".join(map(item, [1, b"bytes", {"a": [None]}])) + END
    pieces = [said[start : start + size] for start in range(0, len(said), size)]
    async with scripted(saying(*pieces)) as server, server.client() as pool:
        for _ in range(2):
            assert [one async for one in pool.stream("count", 3)] == [1, b"bytes", {"a": [None]}]
        assert len(server.connections) == 1
        asked = server.asked[0]
        assert (asked.path, asked.headers["accept"]) == (
            "/v1/pools/default/stream/count",
            "application/vnd.millpond.stream",
        )


async def test_a_problem_comes_after_the_items_before_it():
    """It is the error that the pool raised; then the stream is over."""
    told = pack({"code": "worker_died", "status": 502, "detail": "it died", "outcome": "unknown", "signal": 9})
    async with scripted(saying(item(1) + item(2) + frame(2, told))) as server, server.client() as pool:
        seen, stream = [], pool.stream("count")
        assert check(await failure(read(stream, seen)), "worker_died", "unknown").signal == 9
        assert seen == [1, 2]
        assert [one async for one in stream] == []


@pytest.mark.parametrize(
    ("pieces", "over", "code"),
    [
        ([item(1)], OVER, "unreachable"),
        ([item(1), item(2)[:-1]], OVER, "unreachable"),
        ([item(1)], b"", "unreachable"),
        ([item(1), frame(9)], OVER, "internal_error"),
        ([item(1), frame(0, b"\xc1")], OVER, "internal_error"),
    ],
)
async def test_a_stream_that_breaks_off_is_no_stream_that_ended(pieces, over, code):
    """Its reader is told, after the items that came."""
    async with scripted(saying(*pieces, over=over)) as server, server.client() as pool:
        seen = []
        assert (await failure(read(pool.stream("count"), seen))).code == code
        assert seen == [1]


async def test_a_refusal_is_raised_at_the_first_item():
    """Entering asks, the first item tells; an answer that is no stream is none."""

    async def refuse(_asked, writer):
        writer.write(problem("400 Bad Request", "bad_argument", "count() is missing 'upto'"))

    async with scripted(refuse) as server, server.client() as pool:
        async with pool.stream("count") as stream:
            check(await failure(anext(stream)), "bad_argument", "not_started")
        check(await failure(anext(pool.stream(7))), "bad_argument", "not_started")
        assert len(server.connections) == 1

    async def no_stream(_asked, writer):
        writer.write(answer(b"<html>", "text/html"))

    async with scripted(no_stream) as server, server.client() as pool:
        assert "no stream" in str(await failure(anext(pool.stream("count"))))


async def endless(_asked, writer):
    writer.write(HEAD)
    for number in itertools.count():
        writer.write(chunk(item([number, "x" * 1000])))
        await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize("how", ["leave", "close", "cancel", "forget"])
async def test_leaving_early_leaves_the_server(how):
    """By `async with`, `aclose`, cancelling, or naming the stream no more."""
    async with scripted(endless) as server, server.client(deadline=WAIT_S) as pool:
        stream = pool.stream("count")
        assert (await anext(stream))[0] == 0
        if how == "leave":
            async with stream:
                pass
        elif how == "close":
            await stream.aclose()
            await stream.aclose()
        elif how == "cancel":
            task = asyncio.create_task(read(stream, []))
            await asyncio.sleep(0.02)
            task.cancel()
            assert isinstance(await failure(task), asyncio.CancelledError)
            await stream.aclose()  # it may have been cancelled between two items
        if how != "forget":
            assert [one async for one in stream] == []
        del stream
        await asyncio.wait_for(server.left.wait(), WAIT_S)


async def test_a_slow_reader_makes_the_server_wait():
    """What is not read yet is bounded, whatever the server has to say."""
    sent = 0

    async def script(_asked, writer):
        nonlocal sent
        writer.write(HEAD)
        while True:
            sent += 1
            writer.write(chunk(item("x" * 10_000)))
            await writer.drain()

    async with scripted(script) as server, server.client() as pool, pool.stream("count") as stream:
        await anext(stream)
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 5000
        await anext(stream)


async def test_one_deadline_covers_the_whole_stream():
    """A server that falls silent is given up, a moment later."""

    async def script(_asked, writer):
        writer.write(HEAD + chunk(item(1)))
        await asyncio.sleep(WAIT_S)

    async with scripted(script) as server, server.client(deadline=0.1) as pool:
        seen = []
        check(await failure(read(pool.stream("count"), seen)), "deadline_exceeded", "unknown")
        assert seen == [1]
        await asyncio.wait_for(server.left.wait(), WAIT_S)


async def test_a_stream_has_one_reader():
    """A second one is told so, and the first goes on."""
    let_go = asyncio.Event()

    async def script(_asked, writer):
        await let_go.wait()
        await saying(item(1) + END)(_asked, writer)

    async with scripted(script) as server, server.client() as pool:
        stream = pool.stream("count")
        first = asyncio.create_task(anext(stream))
        await until(lambda: server.asked)
        with pytest.raises(RuntimeError, match="has a reader already"):
            await anext(stream)
        let_go.set()
        assert await first == 1


async def test_an_item_larger_than_a_piece_comes_whole():
    """Whatever its size."""
    large = msgspec.Raw(pack(b"x" * 3_000_000))
    async with scripted(saying(item(large) + END)) as server, server.client() as pool:
        assert [len(one) async for one in pool.stream("count")] == [3_000_000]
