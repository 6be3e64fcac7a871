"""What is made of a worker's frames, whatever they say: facts, or a breach of the protocol, and never anything else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.engine.frame_handlers import FrameHandlers
from millpond.engine.image_set import OperationNumbers
from millpond.engine.link import Link
from millpond.settings import Settings
from millpond.wire import frames
from millpond.wire.codec import make_codec
from millpond.wire.definitions import Definitions
from millpond.wire.exceptions import describe
from millpond.wire.frames import FrameReader, ProtocolError

WORKER = 3
CALLS = (11, 12, 13, 14)
LIMIT = 1 << 20


class Events:
    """Engine events, noted: what was answered, and how much of the rest."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str, Any]] = []
        self.others: Counter[str] = Counter()

    def answered(self, _worker: Any, call_id: int, kind: str, value: Any, *_times: Any) -> None:
        self.answers.append((call_id, kind, value))

    def batch_end(self) -> None:
        """Nothing waits for it here."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.others.update([name])


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that never runs: links want to know one."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


class Rig:
    """One link that holds a few calls, and the events of it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, codec: str) -> None:
        self.worker = SimpleNamespace(id=WORKER)
        self.link = Link(self.worker, Settings(buffer_bytes=1 << 16), LIMIT, loop, Definitions())
        self.link.stage = "ready"
        for call_id in CALLS:
            position = self.link.free.pop()
            self.link.calls[position] = call_id
            assert position == CALLS.index(call_id)
        self.events = Events()
        self.answers = FrameHandlers(make_codec(codec, 1 << 16), self.events, OperationNumbers(), lambda *_: None)

    def hear(self, stream: bytes) -> None:
        """Read a stream to its end, or to the breach."""
        reader = FrameReader(LIMIT, WORKER)
        try:
            got, broken = reader.feed(stream), None
        except ProtocolError as error:
            got, broken = error.frames, error
        try:
            self.answers.handle(self.link, got)
        except ProtocolError as error:
            broken = error
        self.broken = broken

    def check(self) -> None:
        """Nobody was answered twice, and no position was lost or given out twice."""
        answered = [call_id for call_id, _, _ in self.events.answers if call_id]
        assert set(answered) <= set(CALLS)
        assert len(answered) == len(set(answered))
        free = self.link.free
        assert len(free) == len(set(free)) == sum(held is None for held in self.link.calls)


def frame(kind: int, call: int, body: bytes, flags: int = 0) -> bytes:
    """A frame of the worker's about one of its calls."""
    position = CALLS.index(call)
    return frames.pack(len(body), kind, flags, position, 1, 0, WORKER, call, 0, 1.0, 2.0) + body


def honest(call: int, codec: str) -> list[bytes]:
    """One frame of every kind about a call."""
    value = make_codec(codec, 1 << 16).encode(f"for {call}")
    fault = {"code": "bad_argument", "outcome": "not_started", "message": "no"}
    return [
        frame(frames.OK, call, value),
        frame(frames.RAISED, call, describe(ValueError(call), codec)),
        frame(frames.FAULT, call, msgspec.msgpack.encode(fault)),
        frame(frames.INTERRUPTED, call, b""),
        frame(frames.EXPIRED, call, b""),
        frame(frames.SKIPPED, call, b""),
        frame(frames.ITEM, call, value),
        frame(frames.PONG, call, b""),
        frame(frames.LOG, call, msgspec.msgpack.encode([20, "name", "text", call])),
        frame(frames.EVENT, call, msgspec.msgpack.encode(["mine.said", {"n": 1}, {}, 0])),
        frame(frames.SAVED, call, b"state"),
        frame(frames.OK, call, b"\x01\x00\x00\x00" + bytes(20), frames.SEGMENTED),
    ]


@given(numbers=st.lists(st.sampled_from(CALLS), max_size=16))
@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
def test_answers_twice_or_out_of_order_reach_their_own_calls_once(
    loop: asyncio.AbstractEventLoop, codec: str, numbers: list[int]
) -> None:
    """Each call gets its own first answer; every other one is counted, delivered as nobody's, and dropped."""
    rig = Rig(loop, codec)
    try:
        rig.hear(b"".join(honest(call, codec)[0] for call in numbers))
        rig.check()
        assert rig.broken is None
        first = list(dict.fromkeys(numbers))
        assert [answer for answer in rig.events.answers if answer[0]] == [(call, "ok", f"for {call}") for call in first]
        assert len([answer for answer in rig.events.answers if not answer[0]]) == len(numbers) - len(first)
    finally:
        rig.link.close()


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames of every kind, in any order and number, with bytes changed, put in, or cut off."""
    chosen = draw(st.lists(st.tuples(st.sampled_from(CALLS), st.integers(0, 11)), min_size=1, max_size=8))
    stream = bytearray(b"".join(honest(call, "msgpack")[which] for call, which in chosen))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(stream)))
        if draw(st.booleans()):
            stream[at : at + 1] = bytes([draw(st.integers(0, 255))])
        else:
            stream[at:at] = draw(st.binary(min_size=1, max_size=16))
    return bytes(stream[: draw(st.integers(0, len(stream)))]) if draw(st.booleans()) else bytes(stream)


@given(stream=streams())
def test_a_stream_of_any_bytes_is_facts_or_a_breach(loop: asyncio.AbstractEventLoop, stream: bytes) -> None:
    """Nothing but a `ProtocolError` is raised, nobody is answered twice, and the books stay right."""
    rig = Rig(loop, "msgpack")
    try:
        rig.hear(stream)
        rig.check()
    finally:
        rig.link.close()


class Failing(Events):
    """Events of a pool that raises at some calls' answers."""

    def __init__(self, raises: dict[int, BaseException]) -> None:
        super().__init__()
        self.raises = raises
        self.undelivered_errors: list[BaseException] = []

    def answered(self, worker: Any, call_id: int, kind: str, value: Any, *times: Any) -> None:
        if call_id in self.raises:
            raise self.raises.pop(call_id)
        super().answered(worker, call_id, kind, value, *times)

    def undelivered(self, error: BaseException) -> None:
        self.undelivered_errors.append(error)


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_answer_that_cannot_be_delivered_loses_none_behind_it(loop: asyncio.AbstractEventLoop, error: BaseException):
    """All that was read is delivered, what failed is noted, and a true interrupt goes on to the loop afterwards."""
    rig = Rig(loop, "pickle")
    events = rig.events = rig.answers._events = Failing({CALLS[1]: error})
    stream = b"".join(honest(call, "pickle")[0] for call in CALLS)
    if isinstance(error, Exception):
        rig.hear(stream)
    else:
        with pytest.raises(KeyboardInterrupt):
            rig.hear(stream)
    assert [call for call, *_ in events.answers] == [CALLS[0], *CALLS[2:]]
    assert events.undelivered_errors == [error]
    rig.check()
    rig.link.close()


def test_an_answer_whose_value_raises_an_interrupt_ends_its_call(loop: asyncio.AbstractEventLoop, monkeypatch):
    """Ctrl-C while a value is decoded: the worker has answered, so its slot is free and the caller gets an answer."""
    rig = Rig(loop, "pickle")
    decode, stop = rig.answers._codec.decode_result, [KeyboardInterrupt()]

    def interrupted(body):
        if stop:
            raise stop.pop()
        return decode(body)

    monkeypatch.setattr(rig.answers._codec, "decode_result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rig.hear(b"".join(honest(call, "pickle")[0] for call in CALLS))
    assert [(call, kind) for call, kind, _ in rig.events.answers] == [(CALLS[0], "failed")] + [
        (c, "ok") for c in CALLS[1:]
    ]
    assert rig.events.others["undelivered"] == 1
    assert len(rig.link.free) == len(rig.link.calls)
    rig.link.close()
