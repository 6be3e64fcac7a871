"""Row 31, time stood still: nobody is lost, told wrongly or blamed for what the pool was not there to see."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from tests.faults.handlers import Plain
from tests.faults.harness import checked_pool, processes_of
from tests.faults.outside import program

STILL_S = 4.0  # longer than `stopped_timeout`, `cancel_grace` and a goodbye, and together
UNHARMED = {"killed": [], "breakers": [], "long": ["done"], "late": ["deadline_exceeded not_started"]}
WELL = {"is_marked": False, "is_same": True, "is_well": True}
# Who is stopped and who goes on, one after another: program, workers, warden.
ORDERS = {
    "program-alone": ("p", "p"),
    "program-first": ("pwa", "pwa"),
    "program-last": ("awp", "awp"),
    "workers-a-moment-longer": ("wpa", "paw"),
}


@pytest.mark.slow
async def test_31_blocked() -> None:
    """A loop that was blocked: what ended in time was in time, what waited too long did not start."""
    async with program("stood_still.py", "fork", STILL_S) as there:
        await there.line()
        assert await there.line() == UNHARMED | WELL | {"short": ["done"], "stalled": ["loop"]}


class Large(Plain):
    """Answers with more than a socket holds."""

    def large(self) -> list[int]:
        time.sleep(0.2)
        return list(range(1_000_000))


async def test_31_blocked_with_a_large_answer(start_method: str) -> None:
    """The part of it that nobody took until then is read before it is judged to be late."""
    async with checked_pool(Large, start_method=start_method, buffer_bytes=0) as pool:
        call = asyncio.create_task(pool.options(deadline=1.5).call("large"))
        await asyncio.sleep(0.05)
        time.sleep(2.0)
        assert len(await call) == 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start_method", "order"), [*(("fork", order) for order in ORDERS), ("spawn", "workers-a-moment-longer")]
)
async def test_31_stopped(start_method: str, order: str) -> None:
    """A program that was stopped, alone or with its workers and warden, in whatever order."""
    stops, continues = ORDERS[order]
    async with program("stood_still.py", start_method, 0.0) as there:
        first = await there.line()
        workers = first["workers"]
        wardens = [pid for pid in processes_of(first["run_id"]) if pid not in workers]
        pids = {"p": [there.pid], "w": workers, "a": wardens}
        for who in stops:
            _signal(pids[who], signal.SIGSTOP)
            await asyncio.sleep(0.05)
        await asyncio.sleep(STILL_S)
        for who in continues:
            _signal(pids[who], signal.SIGCONT)
            await asyncio.sleep(0.1)
        last = await there.line()
        (short,) = last.pop("short")
        # Workers that go on before the program may say that they are through, too late.
        assert short in (["done"] if stops == "p" else ["deadline_exceeded unknown", "deadline_exceeded completed"])
        assert last == UNHARMED | WELL | {"stalled": ["program"]}


def _signal(pids: list[int], signo: int) -> None:
    for pid in pids:
        os.kill(pid, signo)
