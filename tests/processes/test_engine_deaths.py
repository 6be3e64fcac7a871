"""What the local engine tells of a worker's end: how, after which answers, which calls had begun, and that is all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.processes.engine_handlers import Forger, Helped, Plain
from tests.processes.engine_rig import engine_for, lives, on_a_loop, until
from tests.start_methods import METHODS


@on_a_loop
async def test_what_was_answered_before_a_death_is_delivered_before_it() -> None:
    """Calls done, the call that killed, and calls never begun are told apart."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        done = [rig.call("echo", n) for n in range(100)]
        deadly = rig.call("exit", 1)
        behind = [rig.call("echo", n) for n in range(20)]
        for call in (*done, deadly, *behind):
            rig.engine.send(worker, call)
        assert (await rig.events.wait("gone", worker))[3] == [deadly.id]
        kinds = [fact[0] for fact in rig.events.seen]
        assert kinds == ["warming", "ready"] + ["answered"] * 100 + ["gone"]


@on_a_loop
async def test_an_answer_outlives_its_worker() -> None:
    """A large answer written just before SIGKILL is read to its end."""
    async with engine_for(Forger) as rig:
        for _ in range(10):
            worker = await rig.start()
            call = rig.call("last_words", b"\x80\x05C\x05hello.")
            rig.engine.send(worker, call)
            assert (await rig.events.wait("gone", worker))[2].signal == signal.SIGKILL
            assert await rig.answer(call) == ("ok", b"hello")


@on_a_loop
async def test_a_call_taken_back_does_not_count_as_begun(tmp_path: Path) -> None:
    """It runs elsewhere by now, whatever the dead worker did with it."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        first, second = rig.call("wait_for", str(tmp_path / "go")), rig.call("echo", 2)
        rig.engine.send(worker, first)
        rig.engine.send(worker, second)
        await until((tmp_path / "go.begun").exists)
        assert rig.engine.withdraw(worker, second)
        rig.engine.kill(worker)
        assert (await rig.events.wait("gone", worker))[3] == [first.id]
        assert rig.engine.withdraw(worker, first) is False
        rig.engine.send(worker, first)  # what is still on its way to a worker that was told of as dead, goes nowhere


@on_a_loop
async def test_a_worker_that_stops_is_noticed_and_so_is_its_going_on() -> None:
    """SIGSTOP and SIGCONT from anybody are told."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        os.kill(worker.pid, signal.SIGSTOP)
        assert (await rig.events.wait("stopped", worker))[2] is True
        os.kill(worker.pid, signal.SIGCONT)
        assert (await rig.events.wait("stopped", worker, count=2))[2] is False
        assert await rig.ask(worker, "echo", 1) == ("ok", 1)
        os.kill(worker.pid, signal.SIGSTOP)
        rig.engine.kill(worker)
        assert (await rig.events.wait("gone", worker))[2].signal == signal.SIGKILL


@pytest.mark.parametrize("method", METHODS)
@on_a_loop
async def test_what_a_worker_started_dies_with_it(method: str) -> None:
    """Even what left its session, and only what that worker started."""
    async with engine_for(Plain, start_method=method) as rig:
        dying, staying = await rig.start(), await rig.start()
        lost, kept = (await rig.ask(dying, "grandchild"))[1], (await rig.ask(staying, "grandchild"))[1]
        assert lives(lost)
        os.kill(dying.pid, signal.SIGKILL)
        await rig.events.wait("gone", dying)
        await until(lambda: not lives(lost))
        assert lives(kept)
        assert await rig.ask(staying, "echo", 1) == ("ok", 1)
    await until(lambda: not lives(kept))


@on_a_loop
async def test_what_preload_started_outlives_workers() -> None:
    """A helper of the image is no dead worker's orphan; it ends with the engine."""
    async with engine_for(Helped) as rig:
        worker = await rig.start()
        helper = (await rig.ask(worker, "helper_pid"))[1]
        rig.engine.kill(worker)
        await rig.events.wait("gone", worker)
        assert (await rig.ask(await rig.start(), "helper_pid")) == ("ok", helper)
        assert lives(helper)
    await until(lambda: not lives(helper))


@on_a_loop
async def test_a_worker_that_closed_its_socket_is_ended() -> None:
    """It lives but will never answer; after a second it is killed."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        call = rig.call("close_everything")
        rig.engine.send(worker, call)
        _, _, death, started = await rig.events.wait("gone", worker)
        assert (death.signal, started) == (signal.SIGKILL, [call.id])


@pytest.mark.parametrize("method", METHODS)
@on_a_loop
async def test_descriptors_stay_where_they_belong(method: str) -> None:
    """A program started by a handler gets no socket of ours, and a later worker none of an earlier one's."""
    async with engine_for(Plain, start_method=method) as rig:
        first, second = await rig.start(), await rig.start()
        inherited = (await rig.ask(first, "child_descriptors"))[1]
        assert set(inherited) == {"0", "1", "2"}
        assert inherited["0"] == "/dev/null"
        ours = [set((await rig.ask(worker, "descriptors"))[1].values()) for worker in (first, second)]
        shared = {target for target in ours[0] & ours[1] if target.startswith(("socket", "pipe"))}
        assert not shared


@pytest.mark.parametrize("method", METHODS)
@on_a_loop
async def test_a_worker_starts_as_a_process_of_its_own(method: str) -> None:
    """Leader of its session, child of the warden, empty stdin, and signals as in a fresh interpreter."""
    async with engine_for(Plain, start_method=method) as rig:
        worker = await rig.start()
        assert (await rig.ask(worker, "surroundings"))[1] == (worker.pid, rig.warden, "/dev/null")
        assert (await rig.ask(worker, "signals"))[1] == [
            str(signal.SIG_DFL),
            str(signal.default_int_handler),
            str(signal.SIG_DFL),
        ]
