"""What `ProcessPoolExecutor` takes and shows, in terms of a pool: its arguments, its processes, and what breaks it.

Refuses what that refuses, with its exceptions. `Executor` puts it together; nothing is kept here.
"""

from __future__ import annotations

import operator
import sys
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar

import psutil

from millpond.settings import FIELDS

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from millpond.pool import Pool

E = TypeVar("E", bound=BaseException | None)

# A warden is what multiprocessing calls a fork server; workers are never forked from the program itself.
START_METHODS = {"fork": "fork", "forkserver": "fork", "spawn": "spawn"}

MOST_WORKERS = FIELDS["max_workers"].metadata["high"]


def standard_settings(
    max_workers: SupportsIndex | None, mp_context: BaseContext | None, max_tasks_per_child: SupportsIndex | None
) -> dict[str, Any]:
    """The settings that these arguments mean. Raises `TypeError` or `ValueError` where `ProcessPoolExecutor` does."""
    settings: dict[str, Any] = {}
    if max_workers is not None:
        if max_workers <= 0:  # type: ignore[operator]
            raise ValueError("max_workers must be greater than 0")
        settings["max_workers"] = number = int(operator.index(max_workers))
        if number > MOST_WORKERS:  # here, because the settings would name `min_workers`, which the caller did not give
            raise ValueError(f"max_workers must be from 1 to {MOST_WORKERS}, not {number}")
    start_method = None
    if mp_context is not None:
        start_method = mp_context.get_start_method(allow_none=False)
        if start_method not in START_METHODS:
            raise ValueError(f"mp_context must be one of {', '.join(START_METHODS)}, not {start_method!r}")
        settings["start_method"] = START_METHODS[start_method]
    if max_tasks_per_child is not None:
        settings["max_calls"] = _max_calls(max_tasks_per_child)
        if start_method == "fork":
            raise ValueError("max_tasks_per_child is incompatible with the 'fork' context; supply another mp_context")
    return settings


def _max_calls(max_tasks_per_child: SupportsIndex) -> int:
    try:
        number = int(operator.index(max_tasks_per_child))
    except TypeError:
        raise TypeError("max_tasks_per_child must be an integer") from None
    if number <= 0:
        raise ValueError("max_tasks_per_child must be >= 1")
    return number


def check_given_once(named: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raise `TypeError` if a setting was given by its own name and by the standard library's as well."""
    for standard, name in (("mp_context", "start_method"), ("max_tasks_per_child", "max_calls")):
        if name in named and name in settings:
            raise TypeError(f"{standard} and {name} are the same; give one of them")


def as_standard(error: E) -> E:
    """The error itself, a `BrokenProcessPool` too from now on if it means that and the program knows that class.

    Who has not imported it cannot catch it.
    """
    if isinstance(error, BrokenExecutor) and "concurrent.futures.process" in sys.modules:
        from millpond.executor.brokenpool import STANDARD

        error.__class__ = STANDARD.get(type(error), type(error))
    return error


class WorkerProcess:
    """A worker, as `multiprocessing.Process` shows one. Raises `psutil.NoSuchProcess` if it is not there any more."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)  # knows another process of the same number
        self.pid = self.ident = pid

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        with suppress(psutil.NoSuchProcess):
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        return False

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        with suppress(psutil.NoSuchProcess):
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        with suppress(psutil.NoSuchProcess):
            self._process.kill()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, for so many seconds at most."""
        with suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
            self._process.wait(timeout)

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.pid} {'alive' if self.is_alive() else 'ended'}>"


def processes(pids: list[int]) -> dict[int, WorkerProcess]:
    """Those of the processes that are there."""
    found = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            found[pid] = WorkerProcess(pid)
    return found


async def all_there(pool: Pool) -> None:
    """Wait until no worker is on its way."""
    driver = pool.driver
    await driver.until(lambda: all(worker.pid for worker in driver.view.workers.values()))


def pids_of(pool: Pool) -> list[int]:
    """The processes of the workers that are there; on the loop's thread."""
    return [worker.pid for worker in pool.driver.view.workers.values() if worker.pid]
