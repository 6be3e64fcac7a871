"""Rows 34 (its last clause) and 36, leftovers: nothing stays of what a handler, or a pool that is gone, had started."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import subprocess
import time
import weakref
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import psutil
import pytest

import millpond
from tests.faults.handlers import Plain
from tests.faults.harness import eventually, is_alive, is_whole, only_pid, processes_of, zombies
from tests.faults.outside import program

HANDLER = "tests.faults.handlers:Plain"


class Careless(Plain):
    """Each worker keeps named memory and semaphores, has a helper that outlives its call, and daemons that do not."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = shared_memory.SharedMemory(create=True, size=1000)
        self.queue = multiprocessing.get_context("spawn").Queue()  # three semaphores with a name
        subprocess.run(["sh", "-c", "setsid sleep 300 &"], check=True)

    def names(self) -> list[str]:
        locks: Any = (self.queue._rlock, self.queue._wlock, self.queue._sem)  # type: ignore[attr-defined]
        return [self.memory.name, *("sem." + lock._semlock.name.lstrip("/") for lock in locks)]

    def daemonize(self, _: int) -> None:
        subprocess.run(["sh", "-c", "true &"], check=True)


class WithDaemon:
    """Starts what neither its group nor its environment gives away, and holds the interpreter's lock."""

    def daemon(self) -> int:
        time.sleep(0.2)  # so that each worker has one
        return subprocess.Popen(["sleep", "300"], start_new_session=True, env={}).pid

    def hold_lock(self) -> None:
        ctypes.PyDLL(None).sleep(60)  # which lets go of nothing


def warden_of(program: int) -> int:
    """The only child of a program."""
    (warden,) = psutil.Process(program).children()
    return int(warden.pid)


def status_of(pid: int) -> str:
    """What the system says a process does."""
    return str(psutil.Process(pid).status())


async def stop(pid: int) -> None:
    """Stop a process, and wait until it does nothing any more."""
    os.kill(pid, signal.SIGSTOP)
    await eventually(lambda: status_of(pid) == "stopped", 5.0, f"a stopped {pid}")


async def ended(daemons: list[int]) -> None:
    """Wait for the end of these; what has not ended by then is killed."""
    try:
        await eventually(lambda: not any(map(is_alive, daemons)), 5.0, "the end of the daemons")
    finally:
        for pid in filter(is_alive, daemons):
            os.kill(pid, signal.SIGKILL)


def left(names: list[str]) -> list[str]:
    """Those of the names that still stand for something."""
    return [name for name in names if os.path.exists(f"/dev/shm/{name}")]


async def test_36_leftovers(start_method: str) -> None:
    """Recycled, retired or killed: no zombie, no name in /dev/shm, and no process more than before."""
    names: list[str] = []
    async with millpond.Pool(Careless, max_workers=2, max_calls=400, start_method=start_method) as pool:
        for number in range(1000):  # recycled twice
            await pool.call("daemonize" if number % 10 == 0 else "echo", number)
            if number % 100 == 1:
                names += await pool.call("names")
        names += await pool.call("names")
        os.kill(only_pid(pool), signal.SIGKILL)
        await eventually(lambda: is_whole(pool, 1), 20.0, "another worker")
        await pool.resize(min_workers=2, max_workers=2)
        await pool.resize(min_workers=1, max_workers=1)
        await eventually(lambda: pool.statistics().alive == 1, 20.0, "a retired worker's end")
        mine = await pool.call("names")
        await eventually(lambda: set(left(names)) <= set(mine), 2.0, lambda: f"names gone: {left(names)}")
        # A warden; of the one worker it, its helper, and the trackers of its memory and semaphores.
        await eventually(lambda: not zombies(), 2.0, lambda: f"zombies gone: {zombies()}")
        await eventually(lambda: len(processes_of(pool.run_id)) == 4, 2.0, lambda: f"{processes_of(pool.run_id)}")
    assert not processes_of(pool.run_id)
    assert left(names + mine) == []


async def test_34_warden_stopped_program_killed(start_method: str, tmp_path: Path) -> None:
    """The warden goes on when the program dies, and ends everything, a grandchild in a session of its own included."""
    async with program("many_workers.py", HANDLER, start_method, tmp_path) as killed:
        facts = await killed.line()
        warden = warden_of(killed.pid)
        await stop(warden)
        os.kill(killed.pid, signal.SIGKILL)
        await eventually(lambda: not processes_of(facts["run_id"]), 5.0, lambda: f"{processes_of(facts['run_id'])}")
        assert not is_alive(facts["child"])


@pytest.mark.parametrize("how", ["idle", "lock"])
async def test_11_program_and_warden_killed_in_the_same_instant(start_method: str, how: str) -> None:
    """The workers end themselves and all they started; one that cannot run Python is ended by the system."""
    async with program("with_daemon.py", start_method, 2, how) as killed:
        facts = await killed.line()
        both = warden_of(killed.pid), killed.pid
        for pid in both:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not processes_of(facts["run_id"]), 5.0, lambda: f"{processes_of(facts['run_id'])}")
        if how == "idle":
            await ended(facts["daemons"])
        for pid in facts["daemons"]:  # a worker whose interpreter is locked cannot end what nothing gives away
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def test_11_a_worker_that_is_stopped_loses_nothing_it_started(start_method: str) -> None:
    """Whichever of the others kills it when program and warden are dead ends its daemons first."""
    async with program("with_daemon.py", start_method, 3, "idle") as killed:
        facts = await killed.line()
        both = warden_of(killed.pid), killed.pid
        await stop(facts["workers"][0])
        for pid in both:
            os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not processes_of(facts["run_id"]), 5.0, lambda: f"{processes_of(facts['run_id'])}")
        await ended(facts["daemons"])


async def test_11_the_program_ends_what_workers_without_a_warden_started(start_method: str) -> None:
    """Before it kills them: they may have had no time to do it themselves, here as they are stopped."""
    settings = {"start_method": start_method, "stopped_timeout": 60.0}
    async with millpond.Pool(WithDaemon, min_workers=2, max_workers=2, **settings) as pool:
        daemons = await asyncio.gather(pool.call("daemon"), pool.call("daemon"))
        workers = set(pool.statistics().pids.values())
        for pid in workers:
            await stop(pid)
        (warden,) = set(processes_of(pool.run_id)) - workers
        os.kill(warden, signal.SIGKILL)
        await eventually(lambda: not any(map(is_alive, workers)), 5.0, "the end of the workers")
        await ended(daemons)


async def test_36_a_closed_pool_is_freed(start_method: str) -> None:
    """Its loop keeps no timer of it: a program that opens pools one after another does not grow."""
    async with millpond.Pool(Plain, min_workers=1, max_workers=1, start_method=start_method) as pool:
        await pool.call("echo", 1)
    driver = weakref.ref(pool.driver)
    del pool

    def is_freed() -> bool:
        gc.collect()
        return driver() is None

    await eventually(is_freed, 5.0, "the pool is still there")
