"""Threads for plain operations when a worker runs several calls at once. Daemons: none of them delays the exit."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Threads:
    """As many threads as jobs were ever under way at once; jobs see to their own errors."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._idle = threading.Semaphore(0)  # counts threads that wait for a job nobody has claimed

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` in an idle thread, or in a new one."""
        # The semaphore counts threads that wait, less the jobs put for them. Any of them may take the job, also one
        # that has just finished another and has not been counted: then its count stands for the thread that got
        # nothing.
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._work, name="millpond-call", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            self._idle.release()
