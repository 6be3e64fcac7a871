"""Rows 11 to 13, parent death, signals, shutdown: however the program ends, nothing of it stays behind.

What a restarted server does with stale sockets is not here: there is no HTTP face yet. The pool is grown by `resize`,
the door the optimizer will use.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import millpond
from tests.faults.handlers import Plain
from tests.faults.harness import (
    EXIT_S,
    ORPHANS_S,
    Mark,
    at_most,
    check_error,
    checked_pool,
    eventually,
    failure,
    is_alive,
    more_open,
    open_files,
    processes_of,
    refused,
)
from tests.faults.outside import program
from tests.leftovers import Leftovers

HANDLER = "tests.faults.handlers:Plain"


async def test_11_parent_killed(start_method: str, tmp_path: Path) -> None:
    """When the program is killed its workers, whatever they do, and their children are gone, and nobody else's."""
    async with checked_pool(min_workers=2, start_method=start_method) as bystander:
        pids = bystander.statistics().pids
        async with program("many_workers.py", HANDLER, start_method, tmp_path) as killed:
            facts = await killed.line()
            assert len(processes_of(facts["run_id"])) == 6, "a warden, four workers and a grandchild"
            os.kill(killed.pid, signal.SIGKILL)
            await eventually(
                lambda: not processes_of(facts["run_id"]),
                ORPHANS_S,
                lambda: f"the end of {processes_of(facts['run_id'])}",
            )
            assert not is_alive(facts["child"])
        async with checked_pool(start_method=start_method) as following:
            assert await following.call("echo", "next") == "next"
        assert bystander.statistics().pids == pids


async def test_11_ended_threads_take_no_worker_along(start_method: str) -> None:
    """Workers do not hang on the thread that happened to ask for them."""
    pool = millpond.SyncPool(Plain, min_workers=1, max_workers=8, start_method=start_method)
    try:
        _in_a_thread(pool.open)
        _in_a_thread(lambda: pool.resize(min_workers=8, max_workers=8))
        await eventually(lambda: pool.statistics().workers.get("ready", 0) == 8, 20.0, "eight workers")
        pids = pool.statistics().pids
        # A parent-death signal would arrive with the end of the thread: half a second is hundreds of times as long.
        await asyncio.sleep(0.5)
        assert pool.statistics().pids == pids
        assert all(map(is_alive, pids.values()))
    finally:
        pool.close()
    assert not processes_of(pool.run_id)


async def test_11_no_helper_thread_is_needed(start_method: str) -> None:
    """A pool grown from one to eight workers outlives the loop's helper threads."""
    before = Leftovers()
    async with checked_pool(max_workers=8, start_method=start_method) as pool:
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.01) for _ in range(4)))
        await pool.resize(min_workers=8, max_workers=8)
        await eventually(lambda: pool.statistics().workers.get("ready", 0) == 8, 20.0, "eight workers")
        pids = pool.statistics().pids
        await asyncio.get_running_loop().shutdown_default_executor()
        assert all(name.startswith("millpond-") for name in before.threads())  # metrics'
        await asyncio.sleep(0.5)
        assert pool.statistics().pids == pids
        await pool.resize(min_workers=1, max_workers=8)


def _in_a_thread(work: Any) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30.0)
    assert not thread.is_alive()


def check_complaints(complaints: str) -> None:
    """Check that a signalled program wrote nothing but, for Ctrl-C, Python's own end: no worker wrote a traceback."""
    assert "in nap" not in complaints
    assert complaints.count("Traceback") <= 2
    assert not complaints or complaints.strip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
async def test_12_signals_drain(start_method: str, signo: int, tmp_path: Path) -> None:
    """A signal to the whole group lets what runs finish within the drain; readiness goes at once, liveness stays."""
    async with program("signalled.py", HANDLER, start_method, tmp_path, 1.0, 5.0, "pool") as served:
        facts = await served.line()
        os.killpg(served.pid, signo)
        report = await served.line()
        took, complaints = await served.end()
        assert report["ends"] == ["done"] * 3
        assert report["seen"][:2] == [[True, True], [False, True]]
        assert took <= at_most(EXIT_S)
        check_complaints(complaints)
        assert not processes_of(facts["run_id"])


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
async def test_12_signals_end_what_outlasts_the_drain(start_method: str, signo: int, tmp_path: Path) -> None:
    """What does not finish within the drain fails, and the program is gone two seconds later."""
    async with program("signalled.py", HANDLER, start_method, tmp_path, 600.0, 0.5, "pool") as served:
        facts, start = await served.line(), time.monotonic()
        os.killpg(served.pid, signo)
        report = await served.line()
        _, complaints = await served.end()
        assert time.monotonic() - start <= at_most(0.5 + EXIT_S)
        assert report["ends"] == ["pool_closing"] * 3
        check_complaints(complaints)
        assert not processes_of(facts["run_id"])


@pytest.mark.parametrize("how", ["well", "fails"])
async def test_12_signals_let_the_program_finish(start_method: str, how: str) -> None:
    """SIGTERM unwinds as Ctrl-C does, every `finally` and exit handler runs, and the program dies by the signal.

    What fails on the way is seen.
    """
    async with program("unwinding.py", start_method, how) as served:
        run_id = await served.line()
        os.kill(served.pid, signal.SIGTERM)
        finished = [await served.line() for _ in range(4)]
        _, complaints = await served.end()
        assert finished == ["a task of the main one", "the main task", "around the loop", "at exit"]
        assert complaints == "" if how == "well" else "ValueError: this cannot be finished" in complaints
        assert served.process.returncode == -signal.SIGTERM
        assert not processes_of(run_id)


async def test_12_signals_twice(start_method: str, tmp_path: Path) -> None:
    """A second interrupt does not wait for the drain."""
    async with program("signalled.py", HANDLER, start_method, tmp_path, 600.0, 30.0, "pool") as served:
        facts = await served.line()
        os.killpg(served.pid, signal.SIGINT)
        await asyncio.sleep(0.3)
        assert is_alive(served.pid)
        os.killpg(served.pid, signal.SIGINT)
        took, _ = await served.end()
        assert took <= at_most(1.0)
        await eventually(lambda: not processes_of(facts["run_id"]), 1.0, "the end of its workers")


async def test_12_signals_are_the_programs(start_method: str, tmp_path: Path) -> None:
    """Where nobody asked the pool to handle signals, Ctrl-C ends the program as asyncio does, workers and all."""
    async with program("signalled.py", HANDLER, start_method, tmp_path, 600.0, 0.5, "none") as served:
        facts = await served.line()
        os.killpg(served.pid, signal.SIGINT)
        took, complaints = await served.end()
        assert took <= at_most(0.5 + EXIT_S)
        check_complaints(complaints)
        assert not processes_of(facts["run_id"])


async def test_13_close_with_calls(start_method: str, tmp_path: Path) -> None:
    """Closing refuses what waits at once, and ends what runs when the drain is over."""
    marks = [Mark(tmp_path, str(number)) for number in range(2)]
    queued_mark = Mark(tmp_path, "queued")
    async with millpond.Pool(Plain, min_workers=2, max_workers=2, start_method=start_method, drain=1.0) as pool:
        running = [asyncio.create_task(failure(pool.call("nap", 600.0, mark.path))) for mark in marks]
        for mark in marks:
            await mark.begun()
        queued = [asyncio.create_task(failure(pool.call("nap", 0.0, queued_mark.path))) for _ in range(5)]
        await asyncio.sleep(0.05)
        told = asyncio.gather(*queued)
        told.add_done_callback(lambda _: ran_on.append([not call.done() for call in running]))
        ran_on: list[list[bool]] = []
    for error, _ in await told:
        check_error(error, "pool_closed", "not_started")
    assert ran_on == [[True, True]]  # those that waited were told first
    for error, _ in await asyncio.gather(*running):
        assert isinstance(error, millpond.PoolError)
        assert (error.code, error.outcome) in {("pool_closing", "unknown"), ("pool_closed", "unknown")}
    assert queued_mark.starts == []
    assert not processes_of(pool.run_id)
    facts = pool.statistics()
    assert (facts.submitted, facts.running, facts.queued) == (sum(facts.endings.values()), 0, 0)


@pytest.mark.parametrize("face", ["async", "sync"])
async def test_13_never_closed(start_method: str, face: str) -> None:
    """A program that forgets to close exits all the same, with one warning, and leaves nothing."""
    async with program("left_open.py", HANDLER, start_method, face) as left:
        facts = await left.line()
        took, complaints = await left.end()
        assert took <= at_most(5.0)
        assert left.process.returncode == 0
        assert complaints.count("\n") == 1, complaints
        assert "not closed" in complaints
        await eventually(lambda: not processes_of(facts["run_id"]), 1.0, "the end of its workers")


async def test_13_close_twice(start_method: str) -> None:
    """Closing again, and from two tasks, is no error."""
    before = open_files()
    pool = millpond.Pool(Plain, start_method=start_method)
    await pool.open()
    await asyncio.gather(pool.close(), pool.close())
    await pool.close()
    assert not processes_of(pool.run_id)
    await eventually(lambda: not more_open(before), 1.0, "descriptors back")


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.3])
async def test_13_close_during_open(start_method: str, pause: float) -> None:
    """Closing a pool that is being opened leaves nothing, however far it had come."""
    before = open_files()
    pool = millpond.Pool(Plain, start_method=start_method)
    opening = asyncio.create_task(pool.open())
    await asyncio.sleep(pause)
    await pool.close()
    ends = await asyncio.gather(opening, return_exceptions=True)
    assert all(end is pool or isinstance(end, millpond.PoolClosed) for end in ends), ends
    await eventually(lambda: not processes_of(pool.run_id), 1.0, "the end of its workers")
    await eventually(lambda: not more_open(before), 1.0, "descriptors back")


async def test_13_call_after_close(start_method: str) -> None:
    """A closed pool says so at once."""
    async with millpond.Pool(Plain, start_method=start_method) as pool:
        assert await pool.call("echo", 1) == 1
    check_error(await refused(pool.call("echo", 2)), "pool_closed", "not_started")
