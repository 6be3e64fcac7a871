"""Pipes, sockets, locks, queues, memory and managers between a program and its workers, and what is left of them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

import millpond
from tests.contract.sites import until
from tests.leftovers import Leftovers
from tests.start_methods import both

SPAWN = multiprocessing.get_context("spawn")


class Sharer:
    """Takes and gives what is shared."""

    def __init__(self, lock: Any = None) -> None:
        self.lock = lock

    def send(self, end: Connection, what: Any) -> str:
        end.send(what)
        return os.readlink(f"/proc/self/fd/{end.fileno()}")

    def wait(self, end: Connection) -> None:
        end.send("begun")
        end.recv()

    def die_with(self, end: Connection) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def connect(self, number: int) -> list[Any]:
        self.ours, theirs = socket.socketpair()
        self.ours.send(b"hello %d" % number)
        return [number, theirs]

    def is_held(self) -> bool:
        is_free = self.lock.acquire(block=False)
        if is_free:
            self.lock.release()
        return not is_free

    def keep(self, end: Connection, *, session: Any) -> int:
        session.state["end"] = end
        return os.getpid()

    def use(self, what: Any, *, session: Any) -> int:
        session.state["end"].send(what)
        return os.getpid()

    def manage(self) -> list[int]:
        with multiprocessing.Manager() as manager, multiprocessing.Pool(2) as pool:
            numbers = manager.list()
            pool.map(numbers.append, [1, 2, 3], chunksize=1)
            return sorted(numbers)

    def fork(self, end: Connection) -> int:
        child = SPAWN.Process(target=end.send, args=("from the child",))
        child.start()
        child.join()
        return child.exitcode or 0


@both
async def test_a_pipe_s_end_is_the_same_in_the_worker_and_nothing_stays(start_method: str) -> None:
    """Given to a call that ran, to one whose worker died, and to one that may be repeated."""
    before = Leftovers()
    async with millpond.Pool(Sharer, min_workers=1, max_workers=1, start_method=start_method) as pool:
        ours, theirs = SPAWN.Pipe()
        where = await pool.call("send", theirs, "hello")
        assert where == os.readlink(f"/proc/self/fd/{theirs.fileno()}")
        assert ours.recv() == "hello"
        with pytest.raises(millpond.WorkerDied):
            await pool.call("die_with", theirs)
        await pool.options(idempotent=True).call("send", theirs, "again")
        theirs.close()
        assert ours.recv() == "again"
        with pytest.raises(EOFError):  # neither the program nor the worker holds the other end
            ours.recv()
        ours.close()
    await before.gone()


async def test_calls_that_nobody_waits_for_leave_nothing() -> None:
    """Cancelled while they run or wait, and refused when the pool closes: each pipe's other end is closed then."""
    before = Leftovers()
    async with millpond.Pool(Sharer, min_workers=1, max_workers=1) as pool:
        for leave in ("cancel", "close"):
            pipes = [SPAWN.Pipe() for _ in range(4)]
            calls = [asyncio.create_task(pool.call("wait", theirs)) for _, theirs in pipes]
            await until(pipes[0][0].poll)
            assert pipes[0][0].recv() == "begun"
            if leave == "cancel":
                for call in calls:
                    call.cancel()
            else:
                await pool.close(drain=0)
            ended = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(error, BaseException) for error in ended)
            del calls, ended
            for ours, theirs in pipes:
                theirs.close()
                await until(ours.poll)
                with pytest.raises(EOFError):
                    ours.recv()
                ours.close()
    await before.gone()


async def test_results_bring_sockets_along() -> None:
    """They are fetched from the worker, which keeps its copy no longer than that."""
    before = Leftovers()
    async with millpond.Pool(Sharer, min_workers=1, max_workers=1) as pool:
        for number in range(3):
            told, theirs = await pool.call("connect", number)
            assert told == number
            assert theirs.recv(20) == b"hello %d" % number
            theirs.close()
    await before.gone()


@both
async def test_every_worker_gets_the_lock_of_the_constructor_s_arguments(start_method: str) -> None:
    """Also one that is started later, and what holds the lock here is held there."""
    lock = SPAWN.Lock()
    async with millpond.Pool(Sharer, args=(lock,), min_workers=2, max_workers=2, start_method=start_method) as pool:
        assert not await pool.call("is_held")
        with lock:
            assert await pool.call("is_held")
            await pool.replace_workers()
            assert await pool.call("is_held")


async def test_a_lock_of_the_fork_context_is_refused_before_anything_starts() -> None:
    """The message names the context to use."""
    with pytest.raises(millpond.StartFailed, match=r'multiprocessing\.get_context\("spawn"\)'):
        async with millpond.Pool(Sharer, args=(multiprocessing.get_context("fork").Lock(),)):
            pass


@both
async def test_managers_pools_and_children_work_inside_a_worker(start_method: str) -> None:
    """The worker knows the program's managers, and its own children know it."""
    with multiprocessing.Manager() as manager:
        shared = manager.dict()
        async with millpond.Pool(Sharer, min_workers=1, max_workers=1, start_method=start_method) as pool:
            await pool.run(put, shared, "key", 5)
            assert dict(shared) == {"key": 5}
            assert await pool.call("manage") == [1, 2, 3]
            ours, theirs = SPAWN.Pipe()
            assert await pool.call("fork", theirs) == 0
            assert ours.recv() == "from the child"


def handler_with(shared: Any, ours: Any) -> type:
    """A class that travels by value, with what is shared among its attributes."""

    class Handler:
        numbers = shared
        end = ours

        def add(self, number: int) -> None:
            self.numbers.append(number)
            self.end.send(number)

    return Handler


@both
async def test_a_class_that_travels_by_value_brings_what_is_shared_along(start_method: str) -> None:
    """It is loaded where workers are forked from, which knows the program's managers as well, or in each worker."""
    ours, theirs = SPAWN.Pipe(duplex=False)  # sockets are refused where workers are forked from
    with multiprocessing.Manager() as manager:
        numbers = manager.list()
        handler = handler_with(numbers, theirs)
        async with millpond.Pool(handler, min_workers=1, max_workers=1, start_method=start_method) as pool:
            await pool.call("add", 5)
            assert list(numbers) == [5]
            assert ours.recv() == 5


def put(shared: Any, key: str, value: int) -> None:
    """Change what a manager holds."""
    shared[key] = value


async def test_the_key_is_told_on_the_private_channel_only() -> None:
    """It is in no environment and on no command line."""
    key = bytes(multiprocessing.current_process().authkey)
    async with millpond.Pool(Sharer, min_workers=1, max_workers=1, start_method="spawn") as pool:
        (pid,) = pool.statistics().pids.values()
        warden = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert await pool.run(the_key) == key
        for process in (pid, warden):
            for place in ("environ", "cmdline"):
                told = Path(f"/proc/{process}/{place}").read_bytes()
                assert key not in told
                assert key.hex().encode() not in told


def the_key() -> bytes:
    """What this process's managers are known by."""
    return bytes(multiprocessing.current_process().authkey)


MEMORY = """
import os, sys, time
from multiprocessing import shared_memory
import millpond

def add(memory):
    if isinstance(memory, str):
        memory = shared_memory.SharedMemory(memory)
    memory.buf[0] += 1
    memory.close()

def make():
    memory = shared_memory.SharedMemory(create=True, size=10)
    memory.buf[0] = 5
    memory.close()
    return memory.name

if __name__ == "__main__":
    mine = shared_memory.SharedMemory(create=True, size=10)
    with millpond.Executor(1, start_method=sys.argv[1], output="inherit") as executor:
        for given in (mine, mine.name):
            executor.submit(add, given).result(20)
        theirs = shared_memory.SharedMemory(executor.submit(make).result(20))
        print(theirs.buf[0])
        theirs.unlink()
    shared_memory.SharedMemory(mine.name).close()
    print(mine.buf[0])
    mine.unlink()
"""


@both
def test_memory_that_a_worker_attached_to_outlives_it(start_method: str, tmp_path: Path) -> None:
    """It is the program's to remove; and nothing is told as left behind that was removed."""
    (tmp_path / "program.py").write_text(MEMORY)
    program = [sys.executable, str(tmp_path / "program.py"), start_method]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == ["5", "2"]
    assert not ended.stderr
