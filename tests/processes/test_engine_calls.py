"""What the local engine carries: calls, payloads of every size, sessions, requests about calls, and output."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from millpond.wire import buffers, frames
from millpond.wire.codec import PickleCodec
from tests.processes.engine_handlers import BornWhere, Plain
from tests.processes.engine_rig import Session, engine_for, on_a_loop, until
from tests.start_methods import METHODS


@pytest.mark.parametrize("method", METHODS)
@on_a_loop
async def test_a_worker_warms_is_ready_and_answers(method: str) -> None:
    """The stages come in order, with the pid of the process that answers."""
    async with engine_for(Plain, start_method=method) as rig:
        worker = await rig.start()
        assert [fact[0] for fact in rig.events.seen] == ["warming", "ready"]
        assert await rig.ask(worker, "echo", {"a": [1, 2]}) == ("ok", {"a": [1, 2]})
        assert await rig.ask(worker, "pid") == ("ok", worker.pid)


@pytest.mark.parametrize("method", METHODS)
@on_a_loop
async def test_each_worker_unpickles_its_own_arguments(method: str) -> None:
    """Constructor arguments are made anew in each worker, never shared through the image."""
    async with engine_for(Plain, BornWhere(), start_method=method) as rig:
        for worker in [await rig.start(), await rig.start()]:
            assert await rig.ask(worker, "born_in") == ("ok", worker.pid)


@on_a_loop
async def test_calls_of_one_turn_are_answered_in_order() -> None:
    """Many calls sent in one turn of the loop come back one by one, each with its own value."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        calls = [rig.call("echo", n) for n in range(200)]
        for call in calls:
            rig.engine.send(worker, call)
        assert [await rig.answer(call) for call in calls] == [("ok", n) for n in range(200)]
        assert [fact[2] for fact in rig.events.of("answered")] == [call.id for call in calls]


@on_a_loop
async def test_positions_are_used_again() -> None:
    """More calls than the logbook has positions pass through one worker."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        for n in range(600):
            assert await rig.ask(worker, "echo", n) == ("ok", n)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1 << 20, 5 << 20])
@pytest.mark.parametrize("kind", [bytes, bytearray])
@on_a_loop
async def test_payloads_of_every_size_arrive_equal(size: int, kind: type) -> None:
    """Also those that find no room in the shared memory and take the socket, in one piece or many."""
    value = kind(os.urandom(size))
    async with engine_for(Plain, buffer_bytes=1 << 20) as rig:
        worker = await rig.start()
        assert await rig.ask(worker, "echo", value) == ("ok", value)
        assert await rig.ask(worker, "echo", [value, value]) == ("ok", [value, value])


@on_a_loop
async def test_what_the_caller_changes_after_sending_does_not_travel() -> None:
    """Buffers are copied out before `send` returns, even if the socket takes them later."""
    async with engine_for(Plain, buffer_bytes=1 << 20) as rig:
        worker = await rig.start()
        small, large = bytearray(b"a" * 200_000), bytearray(b"a" * (8 << 20))
        calls = [rig.call("echo", small), rig.call("echo", large)]
        for call in calls:
            rig.engine.send(worker, call)
        small[:], large[:] = b"b" * len(small), b"b" * len(large)
        assert [set((await rig.answer(call))[1]) for call in calls] == [set(b"a"), set(b"a")]


@on_a_loop
async def test_a_session_is_introduced_once_and_with_its_state() -> None:
    """OPEN_SESSION goes ahead of the session's first call, with the snapshot it brings."""
    snapshot = PickleCodec().encode({"n": 1})
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        plain, moved = Session("a", 1), Session("b", 2, snapshot)
        for session in (plain, moved, plain):
            await rig.ask(worker, "echo", 1, session=session)
        kinds, sessions = (await rig.ask(worker, "heard"))[1]
        assert rig.link(worker).sessions == {1: 1, 2: 1}
        assert kinds.count(frames.OPEN_SESSION) == 2
        assert [(number, flags) for number, flags, _ in sessions] == [(1, 0), (2, frames.HAS_SNAPSHOT)]
        assert sessions[1][2].endswith(snapshot)


@on_a_loop
async def test_a_call_behind_a_busy_one_can_be_taken_back(tmp_path: Path) -> None:
    """It is proven not to have started; that the worker passed over it is told of no call, for it may run elsewhere."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        first, second = rig.call("wait_for", str(tmp_path / "go")), rig.call("echo", 2)
        rig.engine.send(worker, first)
        rig.engine.send(worker, second)
        await until((tmp_path / "go.begun").exists)
        assert rig.engine.withdraw(worker, second) is True
        assert rig.engine.withdraw(worker, first) is False
        (tmp_path / "go").touch()
        assert (await rig.events.wait("answered", worker, count=2))[2:] == (0, "skipped", None)
        assert await rig.ask(worker, "echo", 3) == ("ok", 3)


@on_a_loop
async def test_an_interrupt_marks_the_call_and_sends_a_signal() -> None:
    """The logbook asks for it and SIGURG arrives."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        for operation, answer in (("note_urgent", True), ("request", 2)):
            call = rig.call(operation)
            rig.engine.send(worker, call)
            await until(lambda: rig.has_begun(worker, call))  # noqa: B023
            while not [fact for fact in rig.events.of("answered") if fact[2] == call.id]:
                rig.engine.interrupt(worker, call)
                await asyncio.sleep(0.02)
            assert await rig.answer(call) == ("ok", answer)


@on_a_loop
async def test_small_requests_reach_the_worker() -> None:
    """Ping is answered; credit, cancel and forgetting arrive as frames; stop lets it exit with 0."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        await rig.ask(worker, "echo", 1, session=Session("a", 9))
        rig.engine.ping(worker)
        await rig.events.wait("ponged", worker)
        rig.engine.credit(worker, 5, 3)
        for number in (8, 9, 9):  # the one it was told of, once
            rig.engine.forget_session(worker, number)
        heard = (await rig.ask(worker, "heard"))[1][0]
        opened = [frames.OPEN_SESSION, frames.CALL]
        assert heard == [*opened, frames.PING, frames.CREDIT, frames.FORGET_SESSION, frames.CALL]
        rig.engine.stop(worker)
        assert (await rig.events.wait("gone", worker))[2].exit_code == 0


@on_a_loop
async def test_output_is_kept_bounded_with_a_count_of_the_rest(capfd: Any) -> None:
    """A megabyte of noise stalls nothing, the end of it stays, and the parent's own output is silent."""
    async with engine_for(Plain, log_ring_bytes=64 * 1024) as rig:
        worker = await rig.start()
        await rig.ask(worker, "write", 1, b"x" * 1024, 1024)
        await rig.ask(worker, "write", 2, b"the end")
        await until(lambda: rig.engine.logs(worker).endswith("the end"))
        kept = rig.engine.logs(worker)
        assert f"[{1024 * 1024 + 7 - 64 * 1024} bytes dropped]" in kept
        assert len(kept) < 65 * 1024
        assert rig.engine.logs().endswith("the end")
    assert capfd.readouterr() == ("", "")


@on_a_loop
async def test_memory_and_heartbeat_are_read_without_asking_the_worker() -> None:
    """Private memory is some megabytes; a worker that never wrote a heartbeat has none."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        await until(lambda: bool(rig.engine.memory(worker)))
        assert rig.engine.memory(worker) > 100_000  # type: ignore[operator]
        assert rig.engine.heartbeat(worker) == 0.0


@on_a_loop
async def test_shared_memory_of_a_burst_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What large arguments touched is given back when the engine looks after its channels."""
    monkeypatch.setattr(buffers, "UNUSED_S", 0.0)
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        before = shared_memory_kib()
        assert await rig.ask(worker, "echo", bytearray(800_000)) == ("ok", bytearray(800_000))
        touched = shared_memory_kib()
        for _ in range(3):
            rig.engine.check()
        assert touched - before >= 1500  # each way
        assert touched - shared_memory_kib() >= 750


def shared_memory_kib() -> int:
    """What this process has mapped and touched of it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssShmem:"))
