"""Rows 33 and 34, the pool's life: replacement that fails, and a warden that dies again and again."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import millpond
from millpond.testing import EventRecorder
from tests.faults.harness import check_error, checked_pool, eventually, failure, processes_of

CODE = """
import os, time
{at_import}
class Cook:
    def __init__(self):
        {at_start}
    def echo(self, value):
        return value
    def version(self):
        return {version}
"""


def code(version: int, at_start: str = "pass", at_import: str = "") -> str:
    """A handler of this version, and what it does when it is imported and made."""
    return CODE.format(version=version, at_start=at_start, at_import=at_import)


WRONG = {
    "import": code(2, at_import="raise ImportError('no such spice')"),
    "raises": code(2, at_start="raise RuntimeError('no kitchen')"),
    "dies": code(2, at_start="os._exit(7)"),
    "hangs": code(2, at_start="time.sleep(1000)"),
}


class Customers:
    """Callers without a pause, the versions that answered them, and who served when a worker left."""

    def __init__(self, pool: millpond.Pool) -> None:
        self.pool = pool
        self.versions: set[int] = set()
        self.serving: list[int] = []
        pool.telemetry.attach("customers", "worker.draining", lambda _: self.serving.append(self._ready()))

    def _ready(self) -> int:
        workers = self.pool.statistics().workers
        return workers["ready"] + workers["busy"]

    async def during(self, replacing: asyncio.Task[None]) -> None:
        """Call until the replacement is over: each call is answered."""
        while not replacing.done():
            self.versions |= set(await asyncio.gather(*(self.pool.call("version") for _ in range(4))))


@pytest.mark.parametrize("workers", [1, 2])
async def test_33_a_replacement_that_fails(
    start_method: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with the new code, that of before serves on; no worker leaves before another serves."""
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / f"cook_{start_method}_{workers}.py"
    module.write_text(code(1))
    settings = {"start_timeout": 2.5, "start_method": start_method, "worker_env": {"PYTHONDONTWRITEBYTECODE": "1"}}
    async with checked_pool(f"{module.stem}:Cook", min_workers=workers, **settings) as pool:
        customers, before = Customers(pool), set(pool.statistics().pids)
        for wrong in WRONG.values():
            module.write_text(wrong)
            replacing = asyncio.create_task(pool.replace_workers())
            await customers.during(replacing)
            error, _ = await failure(replacing)
            check_error(error, "start_failed", "not_started")
            assert (pool.statistics().state, customers.versions) == ("ready", {1})
        assert set(pool.statistics().pids) == before
        module.write_text(code(3, at_start="time.sleep(0.5)"))
        replacing = asyncio.create_task(pool.replace_workers())
        await customers.during(replacing)
        await replacing
        assert customers.versions == {1, 3}
        assert await pool.call("version") == 3
        assert customers.serving == [workers] * workers


def warden_of(pool: millpond.Pool) -> int:
    """The pid of the pool's warden, once there is none but it and the workers."""
    others = set(processes_of(pool.run_id)) - set(pool.statistics().pids.values())
    return others.pop() if len(others) == 1 else 0


@contextmanager
def no_descriptor() -> Iterator[None]:
    """This process may open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


PAUSES = {"restart_backoff": 0.2, "restart_backoff_max": 0.4}


async def test_34_a_warden_that_dies_three_times(start_method: str) -> None:
    """Each time the pool says that it is not ready and why, and is back when its pause is over."""
    async with checked_pool(min_workers=2, start_method=start_method, **PAUSES) as pool:
        for _ in range(3):
            await eventually(lambda: warden_of(pool), 5.0, "one warden")
            with EventRecorder(pool) as events:
                os.kill(warden_of(pool), signal.SIGKILL)
                await events.wait("pool.degraded")
                assert not pool.statistics().is_ready
                assert "the warden ended with signal 9" in pool.statistics().reason
                await events.wait("pool.restored")
            assert await pool.options(deadline=10.0).call("echo", 1) == 1
        assert (pool.statistics().state, pool.statistics().reason) == ("ready", "")


async def test_34_a_warden_that_dies_without_descriptors(start_method: str) -> None:
    """A call that would end before the next try is refused and told when that is; others wait, and are answered."""
    async with checked_pool(min_workers=2, start_method=start_method, **PAUSES) as pool:
        warden = warden_of(pool)
        with EventRecorder(pool) as events, no_descriptor():
            os.kill(warden, signal.SIGKILL)
            await events.wait("pool.error", count=2)
            waiting = asyncio.create_task(pool.options(deadline=30.0).call("echo", "patient"))
            error, _ = await failure(pool.options(deadline=0.001).call("echo", 1))
            check_error(error, "start_failed", "not_started")
            assert isinstance(error, millpond.PoolError)
            assert error.retry_after is not None
            assert 0 <= error.retry_after <= 0.4
            assert (pool.statistics().is_ready, pool.statistics().state) == (False, "degraded")
            assert "Too many open files" in pool.statistics().reason
        assert await waiting == "patient"
