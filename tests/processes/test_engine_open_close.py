"""How the local engine begins and ends: what stops it from opening, and that nothing outlives it however it is left."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import resource
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from millpond.engine import kernel
from millpond.engine.local import LocalEngine
from millpond.errors import StartFailed
from tests.leftovers import Leftovers
from tests.processes import engine_handlers
from tests.processes.engine_handlers import Plain
from tests.processes.engine_rig import STANDIN, Recorder, Rig, Worker, engine_for, make_spec, on_a_loop

REFUSALS: dict[str, tuple[Any, list[str]]] = {
    "a module that is missing": ("no_such_module:Handler", ["ModuleNotFoundError: No module named 'no_such_module'"]),
    "a class that is missing": ("tests.processes.engine_handlers:Absent", ["AttributeError", "Absent"]),
    "a preload that raises": (engine_handlers.Failing, ["LookupError: no model here"]),
    "a preload that crashes": (engine_handlers.Crashing, ["signal 11", "about to crash"]),
    "a preload that does not end": (engine_handlers.Stuck, ["start_timeout", "loading for ever"]),
    "a preload that leaves a thread": (
        engine_handlers.Threaded,
        ["running (sleeper", "start_method='spawn'"],
    ),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@on_a_loop
async def test_an_image_that_cannot_be_made_is_reported_at_opening(refusal: str) -> None:
    """`StartFailed` with the user's own words, and nothing left running or open."""
    handler, words = REFUSALS[refusal]
    before = Leftovers()
    timeout = 2.5 if handler is engine_handlers.Stuck else 20.0
    engine, spec = LocalEngine(STANDIN), make_spec(handler, start_timeout=timeout)
    with pytest.raises(StartFailed) as caught:
        await engine.open(spec, Recorder())
    assert all(word in str(caught.value) for word in words)
    assert str(caught.value).endswith(words[0]) or not words[0].startswith(("ModuleNotFound", "LookupError"))
    assert not kernel.carriers(spec.run_id)
    await before.gone()
    await engine.close()


def test_before_it_is_opened_an_engine_has_nothing_to_read() -> None:
    """The pool asks whenever it stood still, also while its session store is being opened."""
    LocalEngine(STANDIN).catch_up()


@on_a_loop
async def test_arguments_that_cannot_be_sent_are_reported_at_opening() -> None:
    """Nothing is started for them."""
    engine = LocalEngine(STANDIN)
    with pytest.raises(StartFailed, match="cannot be sent"):
        await engine.open(make_spec(Plain, (n for n in range(3))), Recorder())


@on_a_loop
async def test_spawn_opens_without_an_image_and_the_first_worker_reports_the_facts() -> None:
    """A handler that must not be loaded in the warden is not."""
    async with engine_for(engine_handlers.Threaded, start_method="spawn") as rig:
        assert rig.engine.facts() is None
        await rig.start()
        facts = rig.engine.facts()
        assert facts is not None
        assert "echo" in [operation.name for operation in facts.operations]


@on_a_loop
async def test_cancelling_open_leaves_nothing() -> None:
    """Neither process nor descriptor, though user code is being imported."""
    before = Leftovers()
    engine, spec = LocalEngine(STANDIN), make_spec(engine_handlers.Stuck)
    opening = asyncio.ensure_future(engine.open(spec, Recorder()))
    await asyncio.sleep(0.1)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not kernel.carriers(spec.run_id)
    await before.gone()


@on_a_loop
async def test_close_during_open_ends_both() -> None:
    """The opening fails with a sentence, the closing does not fail."""
    engine, spec = LocalEngine(STANDIN), make_spec(engine_handlers.Stuck)
    opening = asyncio.ensure_future(engine.open(spec, Recorder()))
    await asyncio.sleep(0.1)
    await asyncio.gather(engine.close(), engine.close())
    with pytest.raises(StartFailed):
        await opening
    assert not kernel.carriers(spec.run_id)


@on_a_loop
async def test_closing_reports_every_death_and_frees_everything() -> None:
    """Idle, running and starting workers are all told of as gone; a second close finds nothing to do."""
    before = Leftovers()
    async with engine_for(Plain) as rig:
        idle, running, starting = await rig.start(), await rig.start(), Worker()
        rig.engine.send(running, rig.call("sleep", 60))
        rig.engine.start(starting)
        await asyncio.gather(rig.engine.close(), rig.engine.close())
        assert {fact[1] for fact in rig.events.of("gone")} == {idle, running, starting}
        await rig.engine.close()
    await before.gone()


@on_a_loop
async def test_a_cancelled_close_still_ends_everything() -> None:
    """Also when its own task is cancelled with all others, as at the end of `asyncio.run`."""
    before = Leftovers()
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        closing = asyncio.ensure_future(rig.engine.close())
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        assert not kernel.carriers(rig.run_id)
        assert rig.events.of("gone", worker)
    await before.gone()


@on_a_loop
async def test_a_closed_engine_refuses() -> None:
    """It does not open again, and starts end at once."""
    engine, events = LocalEngine(STANDIN), Recorder()
    await engine.close()
    with pytest.raises(RuntimeError, match="opened once"):
        await engine.open(make_spec(Plain), events)
    async with engine_for(Plain) as rig:
        await rig.engine.close()
        worker = Worker()
        rig.engine.start(worker)
        await rig.events.wait("gone", worker)
        assert rig.events.of("start_failed", worker)


@on_a_loop
async def test_a_start_without_descriptors_fails_alone() -> None:
    """Where this process has none left, the start is told as failed, nothing leaks, and the others go on."""
    async with engine_for(Plain) as rig:
        worker = await rig.start()
        before = Leftovers()
        for room in range(12):
            starved = Worker()
            with _room_for(room):
                rig.engine.start(starved)
            await _settled(rig, starved)
        assert rig.events.of("start_failed")
        assert await rig.ask(worker, "echo", 1) == ("ok", 1)
        for fact in rig.events.of("ready")[1:]:
            rig.engine.kill(fact[1])
            await rig.events.wait("gone", fact[1])
        await before.gone()


async def _settled(rig: Rig, worker: Worker) -> None:
    while not (rig.events.of("ready", worker) or rig.events.of("gone", worker)):
        await rig.events.news()


@contextlib.contextmanager
def _room_for(more: int) -> Iterator[None]:
    """Let this process open only so many more descriptors."""
    used = set(map(int, os.listdir("/proc/self/fd")))
    limit = next(n for n in itertools.count() if n - len([fd for fd in used if fd < n]) > more)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


SCRIPT = f"""
import asyncio, os, sys
sys.path[:0] = {[os.getcwd(), os.path.join(os.getcwd(), "src")]!r}
from tests.processes.engine_rig import engine_for

print("running", flush=True)

class Main:
    def name(self):
        return "hello", type(self).__name__

async def main():
    async with engine_for(Main) as rig:
        print(*(await rig.ask(await rig.start(), "name"))[1])

asyncio.run(main())
"""


@on_a_loop
async def test_signals_that_the_program_blocks_reach_warden_and_workers() -> None:
    """A thread may have blocked them all; deaths are noticed and calls interrupted nevertheless."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGURG, signal.SIGTERM})
    try:
        async with engine_for(Plain) as rig:
            worker = await rig.start()
            assert await rig.ask(worker, "blocked") == ("ok", 0)
            os.kill(worker.pid, signal.SIGTERM)
            assert (await rig.events.wait("gone", worker))[2].signal == signal.SIGTERM
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
