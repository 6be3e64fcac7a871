"""The measuring side of the fault rows: a pool that is verified when its row is over, and waits with an upper bound.

Uses the pool's public verbs and the operating system's own view (/proc) only: processes are counted from outside, by
the run id in their environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import millpond
from tests.faults.handlers import Plain

# The ceilings of the rows, in seconds of a quiet machine. What is refused waits for nothing: see `refused`.
LATE_S = 0.25  # the error of a deadline, after it
LAG_S = 0.2  # between two turns of the loop, in its own processor time
DEATH_S = 1.0  # until a caller is told of a death, or of a loss
ORPHANS_S = 3.0
HUNG_S = 4.0  # until one that is hung or out of step is replaced
KILLED_S = 2.5  # from an interrupt on: the grace, and the kill
EXIT_S = 2.0  # of a program, after the drain
# What a busy machine may take for that, and how long it may leave a process alone: generous, for a test is about what
# happens. To measure what the ceilings say: FAULTS_SLACK=1 FAULTS_STALL_S=0.
SLACK = float(os.environ.get("FAULTS_SLACK", "2"))
STALL_S = float(os.environ.get("FAULTS_STALL_S", "4"))
POLL_S = 0.01


@asynccontextmanager
async def checked_pool(
    handler: type | str = Plain, *, min_workers: int = 1, max_workers: int | None = None, **settings: Any
) -> AsyncIterator[millpond.Pool]:
    """An open pool; after the body it must be whole again, answer 50 of 50, and leave nothing when closed."""
    before = open_files()
    pool = millpond.Pool(handler, min_workers=min_workers, max_workers=max_workers or max(1, min_workers), **settings)
    async with pool:
        yield pool
        await verify(pool, min_workers)
    await eventually(lambda: not processes_of(pool.run_id), 1.0, "every process gone after close")
    await eventually(lambda: not more_open(before), 0.5, lambda: f"the end of {more_open(before)}")


async def verify(pool: millpond.Pool, floor: int) -> None:
    """Check the invariant that holds after every row."""
    await eventually(lambda: is_whole(pool, floor), 5.0, lambda: f"a whole pool: {pool.statistics()}")
    facts = pool.statistics()
    assert facts.submitted == sum(facts.endings.values()), facts
    assert (facts.running, facts.queued, facts.queued_bytes) == (0, 0, 0)
    assert set(facts.endings) <= {"ok", "failed", "cancelled", "rejected", "expired", "lost"}
    await eventually(
        lambda: len(processes_of(pool.run_id)) == pool.statistics().alive + 1,
        2.0,
        lambda: f"{pool.statistics().alive} workers and a warden: {processes_of(pool.run_id)}",
    )
    tokens = [f"token-{number}" for number in range(50)]
    assert await asyncio.gather(*(pool.call("echo", token) for token in tokens)) == tokens


def is_whole(pool: millpond.Pool, floor: int) -> bool:
    """Whether nothing runs or waits and the floor (or, in a grown pool, more) is ready."""
    facts = pool.statistics()
    return not facts.running and not facts.queued and floor <= facts.workers.get("ready", 0) == facts.alive


def at_most(ceiling_s: float) -> float:
    """Seconds that this machine may take for what takes a quiet one so long."""
    return ceiling_s * SLACK + STALL_S


async def eventually(condition: Callable[[], Any], within: float, what: str | Callable[[], str]) -> float:
    """Wait until `condition()` is true, at most `within` seconds of a quiet machine; return how long it took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > at_most(within):
            pytest.fail(f"not within {at_most(within):g} s: {what if isinstance(what, str) else what()}")
        await asyncio.sleep(POLL_S)
    return time.monotonic() - start


async def failure(call: Awaitable[Any]) -> tuple[BaseException, float]:
    """The exception that ends `call`, and after how many seconds."""
    start = time.monotonic()
    try:
        answer = await call
    except (Exception, asyncio.CancelledError) as error:
        return error, time.monotonic() - start
    return pytest.fail(f"answered {answer!r} where an error is due")


async def refused(call: Awaitable[Any]) -> BaseException:
    """The exception that ends `call` in its first step, before the loop turns: it waits for nothing and nobody."""
    task = asyncio.ensure_future(call)
    await asyncio.sleep(0)
    assert task.done(), "it is being waited for"
    error = task.exception()
    assert error is not None, f"answered {task.result()!r} where an error is due"
    return error


def check_error(error: BaseException, code: str, outcome: str, **facts: Any) -> None:
    """Check that `error` is the pool's, with this code, this outcome and these attributes."""
    assert isinstance(error, millpond.PoolError), repr(error)
    assert (error.code, error.outcome) == (code, outcome), repr(error)
    assert {name: getattr(error, name) for name in facts} == facts


def check_late(took: float, deadline: float) -> None:
    """Check when the error of a deadline came: never early (but for the timer's grain), and soon."""
    assert deadline - 0.005 <= took <= deadline + at_most(LATE_S), f"took {took:.3f} s, of {deadline} s"


def processes_of(run_id: str) -> dict[int, str]:
    """Pid and command line of each living process that carries the run id; zombies have no environment."""
    mark = f"MILLPOND_RUN_ID={run_id}".encode()
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found[int(pid)] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:80]
    return found


def zombies() -> list[int]:
    """Unreaped children of this process and of everything below it."""
    me = psutil.Process()
    return [child.pid for child in me.children(recursive=True) if _status(child) == psutil.STATUS_ZOMBIE]


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return "gone"


def is_alive(pid: int) -> bool:
    """Whether a process lives, zombies excluded."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def open_files() -> dict[str, int]:
    """What this process holds open: kind of thing (numbers taken out) and how many."""
    held: dict[str, int] = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            kind = "".join(letter for letter in os.readlink(f"/proc/self/fd/{fd}") if not letter.isdigit())
            if not kind.startswith("/proc/"):  # the metrics' look at a process, which is over in a moment
                held[kind] = held.get(kind, 0) + 1
    return held


def more_open(before: dict[str, int]) -> dict[str, int]:
    """What is held open beyond `before`; what other tests left may go meanwhile."""
    return {kind: count for kind, count in open_files().items() if count > before.get(kind, 0)}


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(psutil.Process().memory_info().rss)


def only_pid(pool: millpond.Pool) -> int:
    """The pid of the only worker."""
    (pid,) = pool.statistics().pids.values()
    return int(pid)


class Mark:
    """Where an operation writes that it began (its pid, one line a start) and that it came to its end."""

    def __init__(self, folder: Path, name: str = "mark") -> None:
        self.path = str(folder / name)

    @property
    def starts(self) -> list[int]:
        """The pids of the workers that started it, in order."""
        path = Path(self.path + ".began")
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def is_done(self) -> bool:
        """Whether the operation went on to its end."""
        return Path(self.path + ".done").exists()

    @property
    def child(self) -> int:
        """The pid of the process that the operation started."""
        return int(Path(self.path + ".child").read_text())

    async def begun(self) -> int:
        """Wait for the first start and return the worker's pid."""
        await eventually(lambda: self.starts, 10.0, f"a start of {self.path}")
        return self.starts[0]


class Callers:
    """Callers who echo their own tokens without a pause, and the answers that were wrong."""

    def __init__(self, pool: millpond.Pool, count: int) -> None:
        self._pool, self._count = pool, count
        self.answered = 0
        self.wrong: list[str] = []
        self.codes: dict[str, int] = {}

    async def _echo(self, name: int) -> None:
        number = 0
        while True:
            number += 1
            try:
                answer = await self._pool.call("echo", f"{name}/{number}")
            except millpond.PoolError as error:
                self.codes[error.code] = self.codes.get(error.code, 0) + 1
                continue
            self.answered += 1
            if answer != f"{name}/{number}":
                self.wrong.append(f"{name}/{number} got {answer}")

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[Callers]:
        """Call all through the body; afterwards no answer may have gone to the wrong caller."""
        tasks = [asyncio.create_task(self._echo(name)) for name in range(self._count)]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks) if tasks else None
        assert not self.wrong
        assert set(self.codes) <= {"worker_died"}, self.codes


async def measure_cold(start_method: str) -> float:
    """Seconds from asking for a second worker until it is ready."""
    async with millpond.Pool(Plain, min_workers=1, max_workers=2, start_method=start_method) as pool:
        start = time.monotonic()
        await pool.resize(min_workers=2, max_workers=2)
        await eventually(lambda: is_whole(pool, 2), 30.0, "a second worker")
        return time.monotonic() - start
