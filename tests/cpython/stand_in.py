"""Puts `millpond.Executor` where `concurrent.futures` and its tests look for the standard process pool.

Imported by the process that runs one of CPython's tests, and by the programs that the test starts.
"""

from __future__ import annotations

from concurrent import futures
from concurrent.futures import process

import millpond
from millpond.logger import delivery
from millpond.loopthread import LoopThread
from millpond.wire.exceptions import RemoteTraceback


class Nothing:
    """What the standard pool waits for at its end, and we do not have."""

    def join_thread(self) -> None:
        """Nothing to wait for."""


class ProcessPoolExecutor(millpond.Executor):
    """Ours by the standard one's name, which the tests write into programs, and with the parts that they wait for."""

    _call_queue = Nothing()

    @property
    def _executor_manager_thread(self) -> LoopThread | None:
        return self._thread


ProcessPoolExecutor.__module__ = process.__name__
process.ProcessPoolExecutor = futures.ProcessPoolExecutor = ProcessPoolExecutor
process.BrokenProcessPool = futures.BrokenExecutor  # docs/executor.md: what to catch
process._RemoteTraceback = RemoteTraceback
delivery.IDLE_S = 0.1  # seconds: the tests give threads one second to end, which is what the log's thread idles
