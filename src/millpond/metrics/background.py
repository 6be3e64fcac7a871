"""One thread that works jobs off in their order, started with the first of them.

For what may not hold the pool's loop up: large folds, and looks at processes. A daemon: a program never waits for it
but in `close`, and there only so long.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from millpond.logger.pool_logger import PoolLogger

log = PoolLogger("millpond.metrics")

Job = Callable[[], None]


class Background:
    """A thread called `name` and the jobs that wait for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: deque[Job] = deque()  # the first is under way
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closing = False

    @property
    def waiting(self) -> int:
        """Jobs that are not done."""
        return len(self._jobs)

    def submit(self, job: Job) -> None:
        """Have a job done. One that raises is logged and over. Raises where no thread can be had: the job waits, and
        the next one submitted tries again.
        """
        with self._changed:
            self._jobs.append(job)
            self._changed.notify_all()
            if self._thread is None:
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def settle(self, timeout: float) -> bool:
        """Wait until nothing is left to do; whether that was so in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs, timeout)

    def close(self, timeout: float) -> None:
        """Do what is left and end, or be left alone after `timeout` seconds."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._is_closing)
                if not self._jobs:
                    return
                job = self._jobs[0]
            try:
                job()
            except Exception as error:
                log.raised(error, "%s: a job failed", self._name)
            with self._changed:
                self._jobs.popleft()
                self._changed.notify_all()
