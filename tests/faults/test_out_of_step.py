"""Row 30, out of step: what a worker wrote between two frames, or of half a frame, costs it its life within seconds."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time

import pytest

from millpond.testing import EventRecorder
from millpond.wire import frames
from millpond.worker.channel import FrameChannel
from tests.faults.forger import Forger
from tests.faults.handlers import Plain
from tests.faults.harness import (
    HUNG_S,
    Callers,
    at_most,
    check_error,
    checked_pool,
    eventually,
    failure,
    is_alive,
    only_pid,
)

STRAY = {
    "one-byte": b"\x07",
    "zeros": bytes(13),
    "like-a-header": b"\x80\x00\x00\x00" + bytes([frames.OK]) + bytes(11),
    "half-a-frame": frames.pack(100_000, frames.OK, 0, 0, 1, 0, 1, 1, 0, 0.0, 0.0) + b"x" * 50_000,
}


class Stray(Plain):
    """Writes where only its worker may."""

    def stray(self, data: bytes, then_s: float) -> str:
        (channel,) = (found for found in gc.get_objects() if type(found) is FrameChannel)
        channel.socket.sendall(data)
        time.sleep(then_s)
        return "returned"


class AsyncStray(Stray):
    """The same beside tasks."""

    async def wait(self) -> None:
        await asyncio.sleep(0)


@pytest.mark.parametrize("handler", [Stray, AsyncStray], ids=["blocking", "asyncio"])
async def test_30_stray_bytes(start_method: str, handler: type) -> None:
    """Whatever was written, and without a deadline: the call is lost, says why, and the worker is replaced.

    Whether its operation returns or hangs.
    """
    ways = list(itertools.product(STRAY.values(), (0.0, 60.0)))
    async with checked_pool(handler, min_workers=len(ways), start_method=start_method) as pool:
        pids = set(pool.statistics().pids.values())
        with EventRecorder(pool, "worker") as recorder:
            lost = await asyncio.gather(
                *(failure(pool.options(deadline=None).call("stray", data, then_s)) for data, then_s in ways)
            )
            killed = recorder.of("worker.killed")
        for error, took in lost:
            check_error(error, "worker_died", "unknown")
            assert "broke the protocol" in str(error)
            assert "idempotent" not in str(error)
            assert took <= at_most(HUNG_S)
        assert [event.reason for event in killed] == ["protocol"] * len(ways)
        await eventually(lambda: not any(map(is_alive, pids)), 2.0, "the end of all")


async def test_30_an_answer_that_never_came(start_method: str) -> None:
    """A worker that has nothing to do, and says so when it is asked, has lost what it was given."""
    async with checked_pool(Forger, start_method=start_method) as pool:
        hostile = await pool.call("tamper", "nothing")
        error, took = await failure(pool.options(deadline=None).call("echo", "token"))
        check_error(error, "worker_died", "unknown")
        assert "broke the protocol" in str(error)
        assert took <= at_most(HUNG_S)
        await eventually(lambda: not is_alive(hostile), 2.0, "the end of the worker")


async def test_30_the_same_answer_twice(start_method: str) -> None:
    """It is counted and dropped, and its worker stays."""
    async with checked_pool(Forger, start_method=start_method) as pool, Callers(pool, 4).calling():
        old = only_pid(pool)
        await pool.call("tamper", "twice")
        assert await pool.call("echo", "token") == "token"
        await eventually(lambda: pool.statistics().late_answers == 1, 2.0, "the second of them")
        assert (await pool.call("pid"), pool.statistics().starts) == (old, 1)
