"""Results whose classes the program has not imported: decoded on another thread, delivered in order, and given up."""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from millpond.engine.frame_handlers import FrameHandlers
from millpond.engine.image_set import OperationNumbers
from millpond.engine.link import Link
from millpond.errors import ResultNotSerializable
from millpond.settings import Settings
from millpond.wire import frames
from millpond.wire.codec import make_codec
from millpond.wire.definitions import Definitions
from millpond.wire.frames import ProtocolError

WORKER, FIRST, SECOND = 3, 11, 12
BOUND_S = 60.0
SLOW = """
import pickle, threading
from tests.engine import test_decoder_thread
test_decoder_thread.GATE.begun.set()
assert test_decoder_thread.GATE.go_on.wait(20.0)
class Made:
    pass
"""


class Gate:
    """An import that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()


GATE = Gate()


class Rig:
    """A link with two calls, and the events of it, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.worker = SimpleNamespace(id=WORKER)
        self.link = Link(self.worker, Settings(buffer_bytes=1 << 16), 1 << 20, loop, Definitions())
        self.link.stage = "ready"
        for call_id in (FIRST, SECOND):
            self.link.calls[self.link.free.pop()] = call_id
        self.events: list[Any] = []
        self.broken: list[ProtocolError] = []
        self.answers = FrameHandlers(
            make_codec("pickle", 1 << 16), self, OperationNumbers(), lambda _link, error: self.broken.append(error)
        )

    def answered(self, _worker: Any, call_id: int, kind: str, value: Any, *_times: Any) -> None:
        self.events.append((call_id, kind, value if isinstance(value, int | Exception) else type(value).__name__))

    def item(self, _worker: Any, call_id: int, value: Any) -> None:
        self.events.append((call_id, "item", value if isinstance(value, int) else type(value).__name__))

    def ponged(self, _worker: Any, held: int) -> None:
        self.events.append(("held", held))

    def batch_end(self) -> None:
        """Nothing waits for it here."""

    def hear(self, kind: int, call: int, body: bytes, ended: float = 2.0) -> None:
        """One frame of the worker's."""
        position = call - FIRST
        fields = (len(body), kind, 0, position, 1, 0, WORKER, call, 0, float(ended), 2.0)
        self.answers.handle(self.link, [(fields, body)])  # type: ignore[list-item]

    async def until_read(self) -> None:
        """Let the import end, and wait until nothing is being decoded."""
        GATE.go_on.set()
        async with asyncio.timeout(BOUND_S):
            while self.link.reading:
                await asyncio.sleep(0)


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A value of a class whose module takes as long to import as the test wants."""
    global GATE
    GATE = Gate()
    monkeypatch.setattr("tests.engine.test_decoder_thread.GATE", GATE, raising=False)
    name = f"slow_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    module = type(sys)(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec("class Made: pass", vars(module))
    made = pickle.dumps(module.Made(), 5)
    del sys.modules[name]
    return made


@pytest.fixture
def rig() -> Iterator[Rig]:
    loop = asyncio.new_event_loop()  # that never runs: links want to know one
    made = Rig(loop)
    yield made
    GATE.go_on.set()
    made.link.close()
    loop.close()


def plain(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


async def test_others_are_answered_while_a_result_is_decoded(rig: Rig, stream: bytes) -> None:
    """An import of half a second is no reason to let a stranger wait, and neither is a second result of its kind."""
    rig.hear(frames.OK, FIRST, stream)
    assert await asyncio.to_thread(GATE.begun.wait, BOUND_S)
    rig.hear(frames.OK, SECOND, plain(7))
    assert rig.events == [(SECOND, "ok", 7)]
    await rig.until_read()
    assert rig.events[1:] == [(FIRST, "ok", "Made")]
    assert rig.link.answer_bytes == len(stream)
    assert rig.link.is_plain
    assert rig.link.calls.count(None) == len(rig.link.calls)


async def test_a_result_of_a_module_on_its_way_is_decoded_apart_too(rig: Rig, stream: bytes) -> None:
    """Else the loop would wait for the import's lock."""
    rig.hear(frames.OK, FIRST, stream)
    assert await asyncio.to_thread(GATE.begun.wait, BOUND_S)
    rig.hear(frames.OK, SECOND, stream)
    assert rig.events == []
    await rig.until_read()
    assert rig.events == [(FIRST, "ok", "Made"), (SECOND, "ok", "Made")]


async def test_a_streams_items_keep_their_order(rig: Rig, stream: bytes) -> None:
    """What comes behind an item that is being decoded waits for it, and its end too; a duplicate is dropped."""
    rig.hear(frames.ITEM, FIRST, stream)
    for number in (1, 2):
        rig.hear(frames.ITEM, FIRST, plain(number))
    rig.hear(frames.OK, FIRST, plain(0))
    rig.hear(frames.OK, FIRST, plain(0))
    assert rig.events == []
    await rig.until_read()
    assert rig.events == [
        (FIRST, "item", "Made"),
        (FIRST, "item", 1),
        (FIRST, "item", 2),
        (FIRST, "ok", 0),
        (0, "ok", "NoneType"),
    ]


async def test_a_worker_is_not_called_out_of_step_meanwhile(rig: Rig, stream: bytes) -> None:
    """It has answered, says that it holds nothing, and is right."""
    rig.hear(frames.OK, FIRST, stream)
    rig.hear(frames.PONG, FIRST, b"", ended=0.0)
    assert rig.events == [("held", 1)]
    await rig.until_read()


async def test_who_waits_no_more_is_rid_of_it_at_once(rig: Rig, stream: bytes) -> None:
    """At a deadline the place is free, though the import goes on; what it brings reaches nobody."""
    rig.hear(frames.OK, FIRST, stream)
    assert rig.answers.give_up(rig.link, FIRST)
    ((call, kind, error),) = rig.events
    assert (call, kind, type(error)) == (FIRST, "failed", ResultNotSerializable)
    assert not rig.answers.give_up(rig.link, FIRST)
    assert not rig.answers.give_up(rig.link, SECOND)
    rig.hear(frames.OK, SECOND, stream)
    await rig.until_read()
    assert rig.events[1:] == [(SECOND, "ok", "Made")]


async def test_a_stream_that_is_given_up_goes_on_to_its_end(rig: Rig, stream: bytes) -> None:
    """The worker is still at it, and has to be interrupted; its last answer is delivered when it comes."""
    rig.hear(frames.ITEM, FIRST, stream)
    rig.hear(frames.ITEM, FIRST, plain(1))
    assert not rig.answers.give_up(rig.link, FIRST)
    rig.hear(frames.INTERRUPTED, FIRST, b"")
    assert rig.events == [(FIRST, "item", 1), (FIRST, "interrupted", "NoneType")]


async def test_a_module_that_cannot_be_imported_fails_the_call(rig: Rig) -> None:
    """Each time anew: it may be there the next time."""
    stream = pickle.dumps(Rig, 5).replace(__name__.encode(), b"x" * len(__name__))
    for call in (FIRST, SECOND):
        rig.hear(frames.OK, call, stream)
        await rig.until_read()
        assert rig.events[-1][:2] == (call, "failed")
        assert "ModuleNotFoundError" in str(rig.events[-1][2])


async def test_what_waits_for_the_last_answer_is_called_then(rig: Rig, stream: bytes) -> None:
    """A death is reported after everything its worker had answered."""
    rig.hear(frames.OK, FIRST, stream)
    rig.hear(frames.OK, SECOND, stream)
    rig.link.when_read = lambda: rig.events.append("reported dead")
    await rig.until_read()
    assert rig.events == [(FIRST, "ok", "Made"), (SECOND, "ok", "Made"), "reported dead"]


async def test_a_breach_behind_a_result_is_one_all_the_same(rig: Rig, stream: bytes) -> None:
    """It is noticed when it is its turn."""
    rig.hear(frames.ITEM, FIRST, stream)
    rig.hear(frames.RAISED, FIRST, b"\xc1")
    assert rig.broken == []
    await rig.until_read()
    assert len(rig.broken) == 1


class Evil:
    """Raises what it was made with when it is decoded."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return raise_it, (self.error,)


def raise_it(error: type[BaseException]) -> None:
    raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, ValueError])
async def test_what_a_result_raises_ends_its_own_call_and_nothing_else(rig: Rig, error: type[BaseException]) -> None:
    """Not the loop, not the program, not the answers that came with it."""
    rig.hear(frames.OK, FIRST, pickle.dumps(Evil(error), 5))
    rig.hear(frames.OK, SECOND, plain(7))
    (first, second) = rig.events
    assert first[:2] == (FIRST, "failed")
    assert error.__name__ in str(first[2])
    assert second == (SECOND, "ok", 7)


async def test_a_workers_interrupt_is_none_of_the_programs(rig: Rig) -> None:
    """`millpond.Interrupted` means something in a worker only; as an item it ends its stream."""
    from millpond.errors import Interrupted

    rig.hear(frames.ITEM, FIRST, pickle.dumps(Evil(Interrupted), 5))
    assert rig.events[0][:2] == (FIRST, "failed")
