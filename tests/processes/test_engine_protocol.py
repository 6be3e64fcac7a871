"""What the local engine does with frames that no correct worker sends: count, log, kill, and believe nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Any

import msgspec
import pytest

from millpond.errors import ResultNotSerializable
from millpond.logger.delivery import DELIVERY
from millpond.wire import frames
from tests.processes.engine_handlers import Forger
from tests.processes.engine_rig import engine_for, on_a_loop, until

BREACHES: dict[str, tuple[Any, ...]] = {
    "unknown kind": ("forge", 99),
    "a parent's kind": ("forge", frames.CALL),
    "another worker's incarnation": ("forge", frames.OK, b"\x80\x05N.", 0, 999_999),
    "a log record that is none": ("forge", frames.LOG, b"\xc1"),
    "an event that is none": ("forge", frames.EVENT, b"\xc1"),
    "an event under the pool's name": ("forge", frames.EVENT, msgspec.msgpack.encode(["call.stop", {}, {}, 0])),
    "facts that are none": ("forge", frames.READY, b"\x01"),
    "ready a second time": ("forge", frames.READY, msgspec.msgpack.encode({"pid": 1})),
    "a failed start of what is ready": (
        "forge",
        frames.START_FAILED,
        msgspec.msgpack.encode({"type": "", "text": "", "traceback": ""}),
    ),
    "a failure of unknown code": (
        "forge",
        frames.FAULT,
        msgspec.msgpack.encode({"code": "made_up", "outcome": "completed", "message": ""}),
    ),
    "text that is none": ("forge", frames.LOG, b"\x94\x14\xa4\x80namexx"),
    "an exception that is none": ("forge", frames.RAISED, b"\x93\x01"),
    "segments that lie nowhere": ("forge", frames.OK, b"\xff" * 64, frames.SEGMENTED),
    "a body over the limit": ("forge_size", 2**32 - 1),
}


@pytest.mark.parametrize("breach", BREACHES)
@on_a_loop
async def test_a_worker_that_breaks_the_protocol_is_killed(breach: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line in the log, one report of it, and its calls end with it; another worker is not touched."""
    operation, *arguments = BREACHES[breach]
    async with engine_for(Forger, max_payload=1 << 20) as rig:
        worker, other = await rig.start(), await rig.start()
        call = rig.call(operation, *arguments)
        with caplog.at_level(logging.ERROR, "millpond.engine"):
            rig.engine.send(worker, call)
            assert (await rig.events.wait("gone", worker))[2].signal == 9
        assert len(rig.events.of("distrusted")) == 1
        assert await asyncio.to_thread(DELIVERY.settle, 20.0)
        assert "broke the protocol" in caplog.text
        assert not rig.events.of("answered", worker)
        assert await rig.ask(other, "echo", 1) == ("ok", 1)


@on_a_loop
async def test_answers_nobody_waits_for_are_dropped_and_counted() -> None:
    """An answer to another call than the one at its position reaches nobody, and is told as nobody's."""
    async with engine_for(Forger) as rig:
        worker = await rig.start()
        assert await rig.ask(worker, "forge", frames.OK, b"\x80\x05N.", 0, None, 12345) == ("ok", None)
        assert await rig.ask(worker, "forge", frames.OK, b"\x80\x05K\x07.") == ("ok", 7)  # then its own: a second one
        assert await rig.ask(worker, "echo", 2) == ("ok", 2)
        told = [fact[2] for fact in rig.events.of("answered")]
        assert len([call_id for call_id in told if call_id]) == 3
        assert told.count(0) == 2  # told as the answers of no call


@pytest.mark.parametrize("part", [1, 16, 47, 48, 5000])
@on_a_loop
async def test_a_frame_that_does_not_go_on_is_a_breach(part: int) -> None:
    """Found by the fifth look; the time between the looks is the pool's to count."""
    async with engine_for(Forger, max_payload=1 << 20) as rig:
        worker = await rig.start()
        rig.engine.send(worker, rig.call("forge_part", 10_000, part))
        await until(lambda: not rig.link(worker).reader.is_between_frames())
        for _ in range(4):
            rig.engine.check()
        assert not rig.events.of("distrusted")
        rig.engine.check()
        rig.engine.check()
        ((_, told, why),) = rig.events.of("distrusted")
        assert (told, "the rest of it did not" in why) == (worker, True)
        assert (await rig.events.wait("gone", worker))[2].signal == 9


@on_a_loop
async def test_a_stopped_worker_is_not_judged_by_half_a_frame() -> None:
    """Its frame goes on when it does; how long it may be stopped is another setting."""
    async with engine_for(Forger, max_payload=1 << 20) as rig:
        worker = await rig.start()
        rig.engine.send(worker, rig.call("forge_part", 10_000, 100))
        await until(lambda: not rig.link(worker).reader.is_between_frames())
        os.kill(worker.pid, signal.SIGSTOP)
        await rig.events.wait("stopped", worker)
        for _ in range(20):
            rig.engine.check()
        assert not rig.events.of("distrusted")
        os.kill(worker.pid, signal.SIGCONT)
        await rig.events.wait("stopped", worker, 2)
        for _ in range(5):
            rig.engine.check()
        assert rig.events.of("distrusted")
        await rig.events.wait("gone", worker)


@on_a_loop
async def test_frames_before_a_breach_count() -> None:
    """What came complete before the breach is believed."""
    async with engine_for(Forger, max_payload=1 << 20) as rig:
        worker = await rig.start()
        calls = [rig.call("echo", 1), rig.call("echo", 2), rig.call("forge_size", 2**32 - 1)]
        for call in calls:
            rig.engine.send(worker, call)
        assert (await rig.events.wait("gone", worker))[3] == [calls[2].id]
        assert [fact[4] for fact in rig.events.of("answered")] == [1, 2]


@on_a_loop
async def test_a_result_the_parent_cannot_decode_fails_its_call_only() -> None:
    """Under pickle: the class may be known to the worker alone."""
    async with engine_for(Forger) as rig:
        worker = await rig.start()
        kind, error = await rig.ask(worker, "forge", frames.OK, b"\x80\x05cno_such_module\nThing\n.")
        assert kind == "failed"
        assert isinstance(error, ResultNotSerializable)
        assert error.outcome == "completed"
        assert await rig.ask(worker, "echo", 1) == ("ok", 1)
