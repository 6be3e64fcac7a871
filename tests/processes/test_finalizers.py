"""The end of a worker: what Python runs at the end of a program is run, and named memory is given back after a kill."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import uuid
import weakref
from collections.abc import Callable
from multiprocessing import resource_tracker, shared_memory, util
from pathlib import Path

import pytest

import millpond
from millpond.worker.main import GOODBYE
from tests.processes.engine_rig import engine_for, on_a_loop, until
from tests.start_methods import both

WORKER = "millpond.worker.main"


class Careful:
    """Registers what is to be done at the end: in the image, and in each worker."""

    @classmethod
    def preload(cls) -> None:
        path = os.environ["MARK"]
        cls.image = _register(path, "image")

    def register(self, path: str) -> None:
        self.mine = _register(path, "worker")

    def hang_at_exit(self) -> None:
        atexit.register(threading.Event().wait)

    def fork(self) -> int:
        child = os.fork()
        if not child:
            raise SystemExit(3)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Preloading:
    """Makes named memory in the image, which each worker opens by its name."""

    @classmethod
    def preload(cls) -> None:
        cls.memory = shared_memory.SharedMemory(os.environ["MARK"], create=True, size=100)

    def opened(self) -> int:
        shared_memory.SharedMemory(os.environ["MARK"]).close()
        return os.getpid()


class Naming:
    """Makes named memory and never gives it back."""

    def make(self, name: str) -> int:
        self.memory = shared_memory.SharedMemory(name, create=True, size=100)
        tracker: int = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
        return tracker


class _Thing:
    """Something to be finalized."""


def _register(path: str, who: str) -> object:
    thing = _Thing()
    atexit.register(_write, path, f"{who} atexit")
    weakref.finalize(thing, _write, path, f"{who} weakref")
    util.Finalize(None, _write, (path, f"{who} multiprocessing"), exitpriority=5)
    return thing


def _write(path: str, line: str) -> None:
    with open(path, "a") as file:
        file.write(line + "\n")


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that finalizers write to."""
    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    return tmp_path / "mark"


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a piece of memory that is no other test's."""
    chosen = f"millpond-test-{uuid.uuid4()}"
    monkeypatch.setenv("MARK", chosen)
    return chosen


def is_there(name: str) -> Callable[[], bool]:
    """Asks whether a piece of named memory exists."""
    return lambda: os.path.exists(f"/dev/shm/{name}")


@both
@on_a_loop
async def test_a_worker_that_is_let_go_runs_the_finalizers_registered_in_it(start_method: str, mark: Path) -> None:
    """Those of atexit, weakref and multiprocessing; not the image's, and not in a child that an operation forked."""
    async with millpond.Pool(Careful, max_workers=1, start_method=start_method) as pool:
        await pool.call("register", str(mark))
        assert await pool.call("fork") == 3
        assert not mark.exists()
    assert sorted(mark.read_text().splitlines()) == ["worker atexit", "worker multiprocessing", "worker weakref"]


@on_a_loop
async def test_finalizers_that_hang_are_left_and_the_worker_goes(mark: Path) -> None:
    """Before the pool has to kill it, with the exit code of one that said goodbye, and a line in its output."""
    async with engine_for(Careful, program=WORKER) as rig:
        worker = await rig.start()
        assert (await rig.ask(worker, "hang_at_exit"))[0] == "ok"
        rig.engine.stop(worker)
        assert (await rig.events.wait("gone", worker))[2].exit_code == GOODBYE
        assert "finalizers took more than" in rig.engine.logs()


@both
@on_a_loop
async def test_a_killed_workers_resource_tracker_does_its_work(start_method: str, name: str) -> None:
    """It is spared until everything else of the worker is dead, removes what is registered with it, and ends."""
    async with engine_for(Naming, program=WORKER, start_method=start_method) as rig:
        worker = await rig.start()
        await rig.ask(worker, "make", name)
        assert is_there(name)()
        rig.engine.kill(worker)
        await rig.events.wait("gone", worker)
        await until(lambda: not is_there(name)())


@on_a_loop
async def test_a_resource_tracker_that_does_not_end_is_killed(name: str) -> None:
    """Its grace is bounded."""
    async with engine_for(Naming, program=WORKER) as rig:
        worker = await rig.start()
        _, tracker = await rig.ask(worker, "make", name)
        os.kill(tracker, signal.SIGSTOP)
        rig.engine.kill(worker)
        await rig.events.wait("gone", worker)
        await until(lambda: not os.path.exists(f"/proc/{tracker}"))
    os.unlink(f"/dev/shm/{name}")


@on_a_loop
async def test_a_lost_wardens_trackers_do_their_work(name: str) -> None:
    """The workers end themselves, the program kills what is left, and trackers come last."""
    async with engine_for(Naming, program=WORKER) as rig:
        worker = await rig.start()
        await rig.ask(worker, "make", name)
        os.kill(rig.warden, signal.SIGKILL)
        await rig.events.wait("engine_lost")
        rig.engine.revive()
        await rig.events.wait("gone", worker)
        await until(lambda: not is_there(name)())


@on_a_loop
async def test_what_preload_named_lasts_as_long_as_the_image(name: str) -> None:
    """No worker's end takes it from the others; the pool's end removes it."""
    async with millpond.Pool(Preloading, max_workers=1, max_calls=1) as pool:
        first, second = [await pool.call("opened") for _ in range(2)]
        assert first != second
        assert is_there(name)()
    assert not is_there(name)()
