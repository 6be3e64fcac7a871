"""Streams over HTTP: three encodings, problems before and after the first item, readers that are slow or leave."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

import millpond
from millpond.http import streams
from millpond.http.problems import Problem
from tests.contract.sites import until
from tests.http.talk import POOL, Talk, site

EVENTS, LINES, FRAMES = "text/event-stream", "application/x-ndjson", "application/vnd.millpond.stream"


class Tap:
    """Streams whose ends are noted."""

    def __init__(self) -> None:
        self.given = 0
        self.bell = asyncio.Event()

    async def flow(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            self.given += 1
            yield number

    async def stuck(self) -> AsyncIterator[int]:
        yield 1
        await self.bell.wait()
        yield 2

    async def ring(self) -> None:
        self.bell.set()

    async def so_far(self) -> int:
        return self.given

    async def whose(self, *, session: millpond.Session) -> AsyncIterator[str]:
        yield session.id


def frames(body: bytes) -> list[tuple[int, Any]]:
    """The frames of a body, with what is in them."""
    found = []
    while body:
        size, kind = struct.unpack_from(">IB", body)
        found.append((kind, msgspec.msgpack.decode(body[5 : 5 + size]) if size else None))
        body = body[5 + size :]
    return found


async def test_items_come_as_events_lines_or_frames():
    """By what the client accepts; events if it does not say."""
    async with site() as at:
        for accept in ({}, {"accept": ""}, {"accept": "*/*"}, {"accept": EVENTS}):
            answer = await at.post("/stream/letters", ["ab"], **accept)
            assert answer.headers["content-type"].partition(";")[0] == EVENTS
            assert answer.text == 'data: "a"\n\ndata: "b"\n\nevent: end\ndata:\n\n'
        answer = await at.post("/stream/numbers", {"count": 2}, accept=LINES)
        assert answer.headers["content-type"] == LINES
        assert [json.loads(line) for line in answer.text.splitlines()] == [{"item": 0}, {"item": 1}, {"end": True}]
        answer = await at.post("/stream/numbers", {"count": 2}, accept=f"{EVENTS};q=0.1, {FRAMES}")
        assert answer.headers["content-type"] == FRAMES
        assert frames(answer.content) == [(0, 0), (0, 1), (1, None)]
        assert (await at.post("/stream/numbers", [1], accept="text/html")).status_code == 406
        assert (await at.post("/stream/numbers", [1], accept=f"{EVENTS};q=0")).status_code == 406


async def test_a_stream_without_items_ends_at_once():
    """And is no problem."""
    async with site() as at:
        assert (await at.post("/stream/numbers", [0], accept=LINES)).text == '{"end":true}\n'


@pytest.mark.parametrize(
    ("operation", "arguments", "status", "code"),
    [
        ("nix", [], 404, "bad_argument"),
        ("later", [1], 400, "bad_argument"),
        ("numbers", ["x"], 400, "bad_argument"),
        ("broken", [0], 500, "handler_error"),
    ],
)
async def test_what_fails_before_the_first_item_has_a_status_of_its_own(operation, arguments, status, code):
    """As a call that fails has."""
    async with site() as at:
        answer = await at.post(f"/stream/{operation}", arguments)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_what_fails_after_the_first_item_ends_the_stream():
    """With the problem, after all items that came before it."""
    async with site() as at:
        answer = await at.post("/stream/broken", [1], accept=LINES)
        first, last = [json.loads(line) for line in answer.text.splitlines()]
        assert (answer.status_code, first) == (200, {"item": 0})
        assert (last["problem"]["code"], last["problem"]["text"]) == ("handler_error", "no more")
        answer = await at.post("/stream/broken", [1])
        item, error, rest = answer.text.split("\n\n")
        assert (item, rest) == ("data: 0", "")
        assert error.startswith('event: error\ndata: {"type":"urn:millpond:handler_error"')
        (_, item), (kind, told) = frames((await at.post("/stream/broken", [1], accept=FRAMES)).content)
        assert (item, kind, told["status"]) == (0, streams.PROBLEM, 500)


async def test_a_session_can_stream():
    """Named by path or header."""
    async with site(Tap) as at:
        await at.post("/sessions", {"id": "s"})
        for answer in (
            await at.post("/sessions/s/stream/whose", accept=LINES),
            await at.post("/stream/whose", accept=LINES, millpond_session="s"),
        ):
            assert answer.text == '{"item":"s"}\n{"end":true}\n'
        assert (await at.post("/sessions/t/stream/whose")).status_code == 404


async def test_a_slow_reader_slows_the_generator():
    """No more items are made ahead of it than the window holds."""
    async with site(Tap, max_workers=1, concurrency=2, stream_window=8) as at:
        talk = Talk(at.application, f"{POOL}/stream/flow", b"[1000]", accept=LINES)
        await talk.until(3)
        talk.is_reading.clear()
        before = -1
        while (given := (await at.call("so_far")).json()) != before:
            before = given
        assert given <= len(talk.sent) + 1 + 8
        talk.is_reading.set()
        await talk.ended()
        assert (await at.call("so_far")).json() == 1000
        assert talk.body.endswith(b'{"item":999}\n{"end":true}\n')


@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_reader_that_leaves_ends_the_stream(has_begun):
    """Before its first item or after: the generator is closed, and its slot is free."""
    async with site(Tap, max_workers=1) as at:
        if not has_begun:
            at.engine.hold("stuck")
        talk = Talk(at.application, f"{POOL}/stream/stuck")
        if has_begun:
            await talk.until(2)
        else:
            await at.engine.wait_held()
        talk.leave()
        await talk.ended()
        await until(lambda: at.pool.statistics().endings["cancelled"] == 1)
        assert (await at.call("so_far")).json() == 0


async def test_one_deadline_covers_the_whole_stream():
    """What is there when it passes has come; then the problem."""
    async with site(Tap, max_workers=1) as at:
        answer = await at.post("/stream/stuck", accept=LINES, millpond_deadline="0.2")
        first, last = [json.loads(line) for line in answer.text.splitlines()]
        assert (first, last["problem"]["code"]) == ({"item": 1}, "deadline_exceeded")


async def test_while_events_are_quiet_comments_are_sent(monkeypatch):
    """So that no proxy takes the connection for dead; lines and frames have none."""
    monkeypatch.setattr(streams, "QUIET_S", 0.02)
    async with site(Tap, max_workers=1, concurrency=4) as at:
        lines = Talk(at.application, f"{POOL}/stream/stuck", accept=LINES)
        events = Talk(at.application, f"{POOL}/stream/stuck")
        await events.until(5)
        assert [one["body"] for one in events.sent[1:5]] == [b"data: 1\n\n", b":\n\n", b":\n\n", b":\n\n"]
        assert len(lines.sent) == 2
        await at.call("ring")
        await events.ended()
        await lines.ended()
        assert events.body.endswith(b"data: 2\n\nevent: end\ndata:\n\n")
        assert lines.body == b'{"item":1}\n{"item":2}\n{"end":true}\n'


async def test_a_token_that_ends_ends_the_stream():
    """The answer is broken off, not completed: nobody takes a part for the whole."""
    async with site(Tap, max_workers=1, concurrency=2) as at:
        holds = [True]
        at.application.access.holds = lambda _: holds[0]  # type: ignore[method-assign]
        talk = Talk(at.application, f"{POOL}/stream/stuck", accept=LINES)
        await talk.until(2)
        holds[0] = False
        await at.call("ring")
        with pytest.raises(Problem):
            await talk.ended()
        assert len(talk.sent) == 2
