"""Rows 17 and 18, overload: what is too much is refused at once, and a pool that calls itself is told.

Status and headers of the refusal over HTTP are in `test_over_http`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest

import millpond
from tests.faults.handlers import AsyncPlain, Plain
from tests.faults.harness import LAG_S, Mark, at_most, check_error, checked_pool, failure, refused, resident_bytes

MIB = 2**20


Ends = list[tuple[str, BaseException | None]]


async def end(call: Awaitable[Any], ends: Ends) -> None:
    """Add the code `call` ends with ("ok" if none) and its error, when it does."""
    try:
        await call
    except millpond.PoolError as error:
        ends.append((error.code, error))
    else:
        ends.append(("ok", None))


async def longest_lag(lags: list[float]) -> None:
    """Keep how long the loop was kept from its next turn: in its own processor time, a busy neighbour's left out."""
    while True:
        start = time.thread_time()
        await asyncio.sleep(0.001)
        lags.append(time.thread_time() - start)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector out: over this test's own 10,000 tasks and errors it stops the loop for 0.2 s."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("handler", [Plain, AsyncPlain], ids=["blocking", "asyncio"])
async def test_17_bounded_queue(start_method: str, handler: type, tmp_path: Path) -> None:
    """Of ten thousand calls in one turn of the loop, as many are accepted as the bound says."""
    mark = Mark(tmp_path)
    async with checked_pool(handler, max_queued=100, start_method=start_method) as pool:
        memory, lags, ends = resident_bytes(), list[float](), Ends()
        with uncollected():
            ticking = asyncio.create_task(longest_lag(lags))
            await asyncio.sleep(0.01)
            await asyncio.gather(*(end(pool.call("nap", 0.005, mark.path), ends) for _ in range(10_000)))
            ticking.cancel()
        accepted = len(mark.starts)
        assert 100 <= accepted <= 101
        codes = [code for code, _ in ends]
        assert codes == ["queue_full"] * (10_000 - accepted) + ["ok"] * accepted, "who is refused is told first"
        assert all(error.outcome == "not_started" and error.retry_after > 0 for _, error in ends[:-accepted])
        assert resident_bytes() - memory <= 50 * MIB
        assert max(lags) <= at_most(LAG_S)


async def test_17_bounded_bytes(start_method: str, tmp_path: Path) -> None:
    """The bytes that wait are bounded as well, whoever they belong to."""
    mark = Mark(tmp_path)
    async with checked_pool(max_queued_bytes=16 * MIB, start_method=start_method) as pool:
        running = asyncio.create_task(pool.call("nap", 0.5, mark.path))
        await mark.begun()
        data, memory, ends = b"x" * MIB, resident_bytes(), Ends()
        await asyncio.gather(*(end(pool.call("size_of", data), ends) for _ in range(200)))
        assert 15 <= sum(code == "ok" for code, _ in ends) <= 17
        assert {code for code, _ in ends} == {"ok", "queue_full"}
        assert all(error is None or error.outcome == "not_started" for _, error in ends)
        assert resident_bytes() - memory <= 50 * MIB
        await running


class Reentrant(AsyncPlain):
    """Calls the pool that runs it."""

    async def relay(self, pool: Any, token: str) -> Any:
        return await pool.call("echo", token)

    async def relay_and_tell(self, pool: Any, token: str) -> tuple[str, str]:
        try:
            return "answered", await pool.call("echo", token)
        except millpond.PoolError as error:
            return "refused", error.code


async def test_18_reentrancy(start_method: str) -> None:
    """A pool that arrives in its own worker refuses to be called, in every worker at once, and nothing hangs."""
    async with checked_pool(Reentrant, min_workers=2, start_method=start_method) as pool:
        ends = await asyncio.gather(*(pool.call("relay_and_tell", pool, "token") for _ in range(8)))
        assert ends == [("refused", "reentrant_call")] * 8
        for error, _ in await asyncio.gather(*(failure(pool.call("relay", pool, "token")) for _ in range(8))):
            # An error of the pool raised inside a worker is the handler's there, and says so.
            check_error(error, "handler_error", "completed")
            assert "ReentrantCall" in error.type_name


async def test_32_what_cannot_be_answered_in_time_is_refused(start_method: str, tmp_path: Path) -> None:
    """Row 32: twenty naps ahead of half a second's deadline; the refused call never runs, a batch without one does."""
    mark = Mark(tmp_path)
    async with checked_pool(Plain, start_method=start_method) as pool:
        for _ in range(10):
            await pool.call("nap", 0.05)
        waiting = [asyncio.create_task(pool.options(deadline=None).call("nap", 0.05)) for _ in range(20)]
        await asyncio.sleep(0)
        error = await refused(pool.options(deadline=0.5).call("nap", 0.05, mark.path))
        check_error(error, "overloaded", "not_started")
        assert error.retry_after > 0.5
        await pool.configure(overload_control=False)
        error, _ = await failure(pool.options(deadline=0.2).call("nap", 0.05, mark.path))
        check_error(error, "deadline_exceeded", "not_started")
        await asyncio.gather(*waiting)
        assert not mark.starts
        assert pool.statistics().codes == {"overloaded": 1, "deadline_exceeded": 1}
