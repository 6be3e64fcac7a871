"""Rows 14 to 16, sessions: state is never lost in silence, never holds up others, never leaks into another.

The dashboard viewer of row 16 is not here: there is no dashboard yet.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import millpond
from tests.faults.handlers import AsyncPlain, Plain
from tests.faults.harness import (
    DEATH_S,
    Callers,
    Mark,
    at_most,
    check_error,
    checked_pool,
    eventually,
    failure,
    refused,
)
from tests.faults.isolated import Isolated

LOOPS = pytest.mark.parametrize("handler", [Plain, AsyncPlain], ids=["blocking", "asyncio"])


async def sessions_by_pid(pool: millpond.Pool, count: int) -> dict[int, list[Any]]:
    """Open `count` sessions, call each once, and sort them by the worker they are bound to."""
    bound: dict[int, list[Any]] = {}
    for number in range(count):
        session = await pool.session(f"session {number}").__aenter__()
        _, _, pid = await session.call("say")
        bound.setdefault(pid, []).append(session)
    assert len(bound) > 1, "sessions spread over workers"
    return bound


@LOOPS
async def test_14_loss_is_loud(start_method: str, handler: type, load: int) -> None:
    """The sessions of a dead worker say so at once and until reopened; all others go on counting."""
    checked = checked_pool(handler, min_workers=2, start_method=start_method)
    async with checked as pool:
        bound = await sessions_by_pid(pool, 8)
        async with Callers(pool, load).calling():
            for _ in range(4):
                await asyncio.gather(*(session.call("say") for group in bound.values() for session in group))
            victim, survivor = bound
            os.kill(victim, signal.SIGKILL)
            for session in bound[victim]:
                error, took = await failure(session.call("say"))
                check_error(error, "session_lost", "not_started")
                assert took <= at_most(DEATH_S)
                error, _ = await failure(pool.options(session=session.id).call("say"))
                check_error(error, "session_lost", "not_started")
            for session in bound[survivor]:
                assert await session.call("say") == (6, session.generation, survivor)
            for session in bound[victim]:
                async with pool.session(session.id, reopen=True) as again:
                    count, generation, pid = await again.call("say")
                    assert (count, generation) == (1, again.generation)
                    assert generation > session.generation
                    assert pid != victim
                    error, _ = await failure(session.call("say"))
                    check_error(error, "session_lost", "not_started")
                    assert (await again.call("say"))[0] == 2


@LOOPS
async def test_15_strict_affinity_blocks_nobody_else(start_method: str, handler: type, tmp_path: Path) -> None:
    """A session waits for its own busy worker, in order, while everybody else is served."""
    mark = Mark(tmp_path)
    async with checked_pool(handler, min_workers=3, start_method=start_method) as pool:
        bound = await sessions_by_pid(pool, 12)
        home, *_ = bound
        busy = bound[home][0]
        others = [session for pid, group in bound.items() if pid != home for session in group]
        gate = tmp_path / "gate"
        first = asyncio.create_task(busy.call("stay_in_session", str(gate), mark.path))
        await mark.begun()
        following = [asyncio.create_task(busy.call("say")) for _ in range(3)]
        for number in range(200):
            await (others[number % len(others)].call("say") if number % 2 else pool.call("echo", number))
        assert not first.done()
        gate.touch()
        ends = [await call for call in (first, *following)]
        assert ends == [(count, busy.generation, home) for count in (2, 3, 4, 5)]


async def test_15_fail_fast_affinity(start_method: str, tmp_path: Path) -> None:
    """With fail-fast affinity a session whose worker is busy is refused at once."""
    mark = Mark(tmp_path)
    checked = checked_pool(min_workers=2, affinity="fail_fast", start_method=start_method)
    async with checked as pool, pool.session("busy") as session:
        first = asyncio.create_task(session.call("nap_in_session", 0.2, mark.path))
        home = await mark.begun()
        check_error(await refused(session.call("say")), "session_busy", "not_started")
        assert await first == (1, session.generation, home)
        assert await session.call("say") == (2, session.generation, home)


async def test_16_isolation(start_method: str) -> None:
    """With a process to itself, a session finds nothing of the one that had the slot before."""
    async with checked_pool(Isolated, isolation="process", max_workers=1, start_method=start_method) as pool:
        async with pool.session("first") as first:
            soiled = await first.call("soil")
            assert (await first.call("look"))["pid"] == soiled
            assert (await first.call("look"))["global"] == "soiled"
            await first.close()
        async with pool.session("second") as second:
            found = await second.call("look")
            assert found.pop("pid") != soiled
            assert found == {
                "global": "clean",
                "environment": None,
                "cwd": os.getcwd(),
                "umask": found["umask"],
                "handler": True,
                "threads": [],
                "files": 0,
            }
            assert found["umask"] != 0o077
            await second.close()


async def test_16_abandoned_sessions_expire(start_method: str) -> None:
    """A thousand sessions nobody comes back to are gone two seconds after their time."""
    async with checked_pool(min_workers=2, session_ttl=1.0, start_method=start_method) as pool:

        async def abandon(number: int) -> None:
            async with pool.session(f"abandoned {number}") as session:
                await session.call("say")

        await asyncio.gather(*(abandon(number) for number in range(1000)))
        assert pool.statistics().sessions_open > 0
        await eventually(lambda: pool.statistics().sessions_open == 0, 3.0, "no session left")
        error, _ = await failure(pool.options(session="abandoned 7").call("say"))
        check_error(error, "session_lost", "not_started")


async def test_16_cap_of_sessions(start_method: str) -> None:
    """Beyond the cap a session is refused at once; closing one makes room."""
    async with checked_pool(max_sessions=10, start_method=start_method) as pool:
        handles = [await pool.session(f"session {number}").__aenter__() for number in range(10)]
        for handle in handles:
            await handle.call("say")

        async def one_more() -> Any:
            async with pool.session("one more") as session:
                return await session.call("say")

        check_error(await refused(one_more()), "too_many_sessions", "not_started")
        assert (await handles[0].call("say"))[0] == 2
        await handles[0].close()
        assert (await one_more())[0] == 1


async def test_16_a_session_in_flight_is_not_evicted(start_method: str, tmp_path: Path) -> None:
    """Idle time does not count while a call runs or waits."""
    mark = Mark(tmp_path)
    async with checked_pool(session_ttl=0.2, start_method=start_method) as pool, pool.session("long") as session:
        first = asyncio.create_task(session.call("nap_in_session", 0.5, mark.path))
        await mark.begun()
        second = asyncio.create_task(session.call("nap_in_session", 0.3))
        third = asyncio.create_task(session.call("say"))
        assert [count for count, _, _ in (await first, await second, await third)] == [1, 2, 3]
