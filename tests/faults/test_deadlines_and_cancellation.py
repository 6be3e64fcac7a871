"""Rows 5 to 8, deadlines and cancellation: who gave up is told in time, the work stops, and no answer goes astray.

The HTTP client of row 6 that disconnects is not here: there is no HTTP face yet.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

import millpond
from tests.faults.handlers import AsyncPlain, Plain
from tests.faults.harness import (
    KILLED_S,
    SLACK,
    Callers,
    Mark,
    at_most,
    check_error,
    check_late,
    checked_pool,
    eventually,
    failure,
    is_alive,
    only_pid,
)

OPERATIONS = pytest.mark.parametrize(
    ("handler", "prefix"), [(Plain, ""), (AsyncPlain, ""), (AsyncPlain, "a")], ids=["blocking", "asyncio", "async"]
)


@OPERATIONS
async def test_05_a_deadline_frees_capacity(
    start_method: str, handler: type, prefix: str, cold: float, tmp_path: Path
) -> None:
    """A call that swallows every interrupt costs its worker, in time for the next caller."""
    mark = Mark(tmp_path)
    async with checked_pool(handler, start_method=start_method) as pool:
        old = only_pid(pool)
        first = asyncio.create_task(failure(pool.options(deadline=0.5).call(prefix + "stubborn", 60.0, mark.path)))
        await mark.begun()
        second = asyncio.create_task(pool.options(deadline=at_most(KILLED_S + cold)).call("echo", "second"))
        error, took = await first
        check_error(error, "deadline_exceeded", "unknown")
        check_late(took, 0.5)
        await eventually(lambda: not is_alive(old), KILLED_S, f"the end of worker {old}")
        assert await second == "second"
        # Its process is gone and no other began it: the marker cannot appear any more.
        assert mark.starts == [old]
        assert not mark.is_done


@OPERATIONS
async def test_05_an_interruptible_call_keeps_its_worker(
    start_method: str, handler: type, prefix: str, load: int, tmp_path: Path
) -> None:
    """A call that lets itself be interrupted gives its worker back, with the sessions in it."""
    mark = Mark(tmp_path)
    async with checked_pool(handler, start_method=start_method) as pool:
        old = only_pid(pool)
        async with pool.session("kept") as session, Callers(pool, load).calling():
            assert await session.call("say") == (1, session.generation, old)
            error, took = await failure(pool.options(deadline=0.5).call(prefix + "nap", 60.0, mark.path))
            check_error(error, "deadline_exceeded", "unknown")
            check_late(took, 0.5)
            assert await pool.options(deadline=at_most(1.0)).call("pid") == old
            assert await session.call("say") == (2, session.generation, old)
        assert pool.statistics().starts == 1
        assert not mark.is_done


@OPERATIONS
async def test_06_cancel_stops_the_work(
    start_method: str, handler: type, prefix: str, load: int, tmp_path: Path
) -> None:
    """Cancelling a running call frees its caller at once and its worker soon, and the work does not go on."""
    mark = Mark(tmp_path)
    async with checked_pool(handler, start_method=start_method) as pool, Callers(pool, load).calling():
        call = asyncio.create_task(pool.call(prefix + "nap", 10.0, mark.path))
        await mark.begun()
        call.cancel()
        assert isinstance((await failure(call))[0], asyncio.CancelledError)
        assert await pool.options(deadline=at_most(2.0)).call("echo", "next") == "next"
        assert not mark.is_done
        assert pool.statistics().endings["cancelled"] == 1


async def test_06_cancel_stops_threads_with_their_worker(start_method: str, tmp_path: Path) -> None:
    """Where calls run in threads, the one that cannot be interrupted ends with its worker."""
    mark = Mark(tmp_path)
    async with checked_pool(start_method=start_method, concurrency=2) as pool:
        call = asyncio.create_task(pool.call("stubborn", 10.0, mark.path))
        old = await mark.begun()
        call.cancel()
        assert isinstance((await failure(call))[0], asyncio.CancelledError)
        assert is_alive(old), "its caller is told before it is ended"
        await eventually(lambda: not is_alive(old), KILLED_S, f"the end of worker {old}")
        assert not mark.is_done


async def test_06_cancel_stops_a_stream(start_method: str, tmp_path: Path) -> None:
    """Cancelling the reader of a stream stops the generator."""
    mark = Mark(tmp_path)
    async with checked_pool(AsyncPlain, start_method=start_method) as pool:

        async def read() -> None:
            async for _ in pool.stream("acount", 1000, 0.01, mark.path):
                pass

        reader = asyncio.create_task(read())
        await mark.begun()
        reader.cancel()
        assert isinstance((await failure(reader))[0], asyncio.CancelledError)
        assert await pool.options(deadline=at_most(2.0)).call("echo", "next") == "next"
        assert not mark.is_done


@pytest.mark.parametrize("handler", [Plain, AsyncPlain], ids=["blocking", "asyncio"])
async def test_06_a_cancelled_queued_call_never_starts(start_method: str, handler: type, tmp_path: Path) -> None:
    """What is cancelled while it waits never reaches the handler."""
    running, waiting = Mark(tmp_path, "running"), Mark(tmp_path, "waiting")
    async with checked_pool(handler, start_method=start_method) as pool:
        first = asyncio.create_task(pool.call("nap", 0.5, running.path, "first"))
        await running.begun()
        queued = [asyncio.create_task(pool.call("nap", 0.0, waiting.path)) for _ in range(20)]
        await asyncio.sleep(0)
        for call in queued:
            call.cancel()
        errors = [(await failure(call))[0] for call in queued]
        assert all(isinstance(error, asyncio.CancelledError) for error in errors)
        assert pool.statistics().queued == 0
        assert await first == "first"
        assert await pool.call("echo", "after") == "after"
        assert waiting.starts == []


CALLS = 2_000
IN_FLIGHT = 48


# Once they run, workers of either start method are alike: spawn is tried with one operation of each loop.
ROADS = [
    pytest.param("fork", Plain, "nap", id="fork-blocking"),
    pytest.param("fork", Plain, "late", id="fork-blocking-late"),
    pytest.param("fork", AsyncPlain, "nap", id="fork-asyncio"),
    pytest.param("fork", AsyncPlain, "anap", id="fork-async"),
    pytest.param("fork", AsyncPlain, "alate", id="fork-async-late"),
    pytest.param("spawn", Plain, "late", id="spawn-blocking-late", marks=pytest.mark.spawn),
    pytest.param("spawn", AsyncPlain, "anap", id="spawn-async", marks=pytest.mark.spawn),
]


@pytest.mark.parametrize(("start_method", "handler", "operation"), ROADS)
async def test_07_no_answer_to_the_wrong_caller(
    start_method: str, handler: type, operation: str, chance: random.Random
) -> None:
    """Of two thousand calls, half of them given up at random instants, each gets its own answer or none."""
    gate = asyncio.Semaphore(IN_FLIGHT)
    async with checked_pool(handler, min_workers=2, start_method=start_method) as pool:

        async def call(token: str) -> None:
            async with gate:
                endings.append(await _one(pool, operation, token, chance))

        endings: list[str] = []
        await asyncio.gather(*(call(f"token {number}") for number in range(CALLS)))
        counts = {ending: endings.count(ending) for ending in set(endings)}
        print(counts, pool.statistics())
        assert "foreign" not in counts
        assert min(counts[ending] for ending in ("sure", "deadline", "cancel")) > CALLS // 20
        assert pool.statistics().endings.get("lost", 0) == 0


async def _one(pool: millpond.Pool, operation: str, token: str, chance: random.Random) -> str:
    """One call with 1 to 30 ms of work; every second one has a deadline or is cancelled within 60 ms."""
    fate, limit = chance.random(), chance.uniform(0.001, 0.06)
    arguments = (0.001 + 0.029 * chance.random() ** 4, None, token)
    if fate < 0.5:
        return "sure" if await pool.call(operation, *arguments) == token else "foreign"
    if fate < 0.75:
        call = pool.options(deadline=limit, on_cancel=chance.choice(["interrupt", "abandon"])).call
        try:
            return "in time" if await call(operation, *arguments) == token else "foreign"
        except (millpond.DeadlineExceeded, millpond.Overloaded):  # in time neither way
            return "deadline"
    task = asyncio.create_task(
        pool.options(on_cancel=chance.choice(["interrupt", "abandon"])).call(operation, *arguments)
    )
    await asyncio.wait([task], timeout=limit)
    task.cancel()
    try:
        return "in time" if await task == token else "foreign"
    except asyncio.CancelledError:
        return "cancel"


@pytest.mark.parametrize("handler", [Plain, AsyncPlain], ids=["blocking", "asyncio"])
async def test_08_expired_work_never_runs(start_method: str, handler: type, tmp_path: Path) -> None:
    """Calls that expire while they wait are told so in time and never run, though the worker is still busy."""
    running, waiting = Mark(tmp_path, "running"), Mark(tmp_path, "waiting")
    async with checked_pool(handler, start_method=start_method) as pool:
        busy = asyncio.create_task(pool.call("nap", 2.0 * SLACK, running.path, "busy"))
        await running.begun()
        options = pool.options(deadline=0.5)
        ends = await asyncio.gather(*(failure(options.call("nap", 0.0, waiting.path)) for _ in range(50)))
        assert not busy.done()
        assert (pool.statistics().queued, pool.statistics().running) == (0, 1)
        for error, took in ends:
            check_error(error, "deadline_exceeded", "not_started")
            check_late(took, 0.5)
        busy.cancel()
        await asyncio.wait([busy])
        assert await pool.call("echo", "after") == "after"
        assert waiting.starts == []
