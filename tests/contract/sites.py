"""Where the contract is tested: on the fake engine, and on processes that were forked or spawned.

A site makes pools, and gates at which calls stay while a test looks at them; each knows how to kill a worker.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import millpond
from millpond.testing import FakeEngine
from tests.contract.handlers import Plain

WAIT_S = 60.0  # upper bound of every wait
BEGUN_S = 1.0  # a deadline that a call in a process passes while it runs: it is begun by then
_FRAME_S = 0.003


async def until(holds: Callable[[], Any], what: str = "") -> None:
    """Wait until something holds."""
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(_FRAME_S)


async def failure(call: Any) -> BaseException:
    """The exception that a call ends with."""
    try:
        answer = await call
    except (Exception, asyncio.CancelledError) as error:
        return error
    raise AssertionError(f"answered {answer!r} where an error is due")


async def read(items: Any, seen: list[Any], pause: float = 0.0) -> None:
    """Put what an async iterator gives into `seen`, until it ends."""
    async for item in items:
        seen.append(item)
        await asyncio.sleep(pause)


def check(error: BaseException, code: str, outcome: str) -> millpond.PoolError:
    """Check code and outcome, and give the error back."""
    assert isinstance(error, millpond.PoolError), repr(error)
    assert (error.code, error.outcome) == (code, outcome), repr(error)
    return error


class Gate:
    """Where calls of an operation stay until it is opened; `path` is the operation's first argument."""

    def __init__(self, path: str) -> None:
        self.path = path

    def ran(self) -> list[str]:
        """The tokens of the calls whose operation began, in order."""
        file = Path(self.path + ".ran")
        return file.read_text().splitlines() if file.exists() else []

    async def entered(self, count: int = 1) -> None:
        """Wait until so many calls are under way."""
        await until(lambda: len(self.ran()) >= count)

    def open(self) -> None:
        """Let go who stays, and whoever comes."""
        Path(self.path + ".open").touch()


class FakeGate(Gate):
    """The same for plain operations of a fake worker, which would block the test: they are held before they begin."""

    def __init__(self, path: str, engine: FakeEngine, operation: str) -> None:
        super().__init__(path)
        self._engine = engine
        self._operation = operation
        engine.hold(operation, is_stubborn=operation == "stubborn")

    async def entered(self, count: int = 1) -> None:
        """Wait until so many calls are under way."""
        await self._engine.wait_held(count, self._operation)

    def open(self) -> None:
        """Let go who stays, and whoever comes."""
        super().open()
        self._engine.release(self._operation)


class Site:
    """One way to have workers."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._numbers = itertools.count(1)
        self._engines: dict[millpond.Pool, FakeEngine] = {}

    @property
    def is_fake(self) -> bool:
        """Whether there are no processes."""
        return self.name == "fake"

    def pool(self, handler: Any = Plain, **settings: Any) -> millpond.Pool:
        """A pool of one worker, unless the settings say otherwise; one that dies young is replaced without a pause."""
        settings = self.settings(settings)
        if not self.is_fake:
            return millpond.Pool(handler, start_method=self.name, **settings)
        engine = FakeEngine()
        pool = millpond.Pool(handler, engine=engine, **settings)
        self._engines[pool] = engine
        return pool

    def settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """These, and what they leave open."""
        size = {"min_workers": 1, "max_workers": given.get("min_workers", 1)}
        return {"restart_backoff": 0.01, **size, **given}

    def path(self) -> str:
        """A file name of its own."""
        return str(self._folder / f"path-{next(self._numbers)}")

    def gate(self, pool: millpond.Pool, operation: str = "stay") -> Gate:
        """A closed gate."""
        if self.is_fake and not operation.startswith("a"):
            return FakeGate(self.path(), self._engines[pool], operation)
        return Gate(self.path())

    def kill(self, pool: millpond.Pool, worker: int | None = None) -> None:
        """End a worker (the only one) with SIGKILL."""
        pids = pool.statistics().pids
        if worker is None:
            (worker,) = pids
        if self.is_fake:
            self._engines[pool].workers[worker].die(signal.SIGKILL)
        else:
            os.kill(pids[worker], signal.SIGKILL)
