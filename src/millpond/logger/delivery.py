"""A thread that calls the program's log handlers, so that no pool's loop ever waits for one.

One for the whole program, because logging is the program's. It begins with the first record and ends when there was
nothing to do for a while. What finds no room is refused and counted; nobody waits for it but who
closes a pool or ends the program, and they only so long.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

MOST_WAITING = 10_000  # records
MOST_BYTES = 16 * 1024 * 1024  # of their texts
# What workers may not take: a flood of theirs must not hide what the pool itself has to say.
RESERVED = 1_000  # records
IDLE_S = 1.0  # then the thread ends
EXIT_S = 1.0  # for what is left when the program ends

Job = Callable[[], object]


class Delivery:
    """Jobs and their sizes in bytes, done one after another. `refused` and `failed` count those that were not done."""

    def __init__(self) -> None:
        self.reset()
        os.register_at_fork(after_in_child=self.reset)
        atexit.register(lambda: self.settle(EXIT_S))

    def reset(self) -> None:
        """Begin anew: in a forked child the thread is not there, and its jobs are the parent's."""
        self.refused = self.failed = 0
        self._waiting: deque[tuple[Job, int]] = deque()
        self._bytes = 0
        self._put = self._done = 0  # jobs, ever
        self._watchers: list[tuple[int, Job]] = []  # what to call back when so many are done
        self._changed = threading.Condition()  # held for all of the above, never while a job is done
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> int:
        """Jobs that found no room, or raised."""
        return self.refused + self.failed

    def put(self, job: Job, nbytes: int, spare: int = 0) -> bool:
        """Have a job done soon, unless that leaves room for less than `spare` others; whether it will be."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING - spare or self._bytes + nbytes > MOST_BYTES:
                self.refused += 1
                return False
            self._waiting.append((job, nbytes))
            self._bytes += nbytes
            self._put += 1
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="millpond-logging", daemon=True)
                with suppress(RuntimeError):  # no thread can be had: the job waits, and the next one tries again
                    thread.start()
                    self._thread = thread
            self._changed.notify_all()
            return True

    def settle(self, timeout: float) -> bool:
        """Wait until all that was put so far is done; whether that was so in time. Not on a busy loop."""
        with self._changed:
            until = self._put
            return self._changed.wait_for(lambda: self._done >= until, timeout)

    def when_settled(self, callback: Job) -> threading.Thread | None:
        """Call back when all that was put so far is done: on the thread that does it, which is returned, or at once.

        The thread ends then, unless there is more to do; what comes later begins another.
        """
        with self._changed:
            if self._thread is not None:
                self._watchers.append((self._put, callback))
                self._changed.notify_all()
                return self._thread
        callback()
        return None

    def has_ended(self, thread: threading.Thread) -> bool:
        """Whether a thread has done its last job."""
        return self._thread is not thread

    def _run(self) -> None:
        while True:
            job, due = self._turn()
            for callback in due:
                callback()
            if job is None:
                return
            try:
                job()
            except BaseException:  # a filter, or a record's factory; `logging` itself tells of a handler that raises
                self.failed += 1

    def _turn(self) -> tuple[Job | None, list[Job]]:
        """Note that what was taken is done, and wait for a job; `None`, and the thread is over, if none comes.

        With it, whom to call back.
        """
        with self._changed:
            self._done = self._put - len(self._waiting)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._watchers, IDLE_S)
            due = [callback for until, callback in self._watchers if until <= self._done]
            self._watchers = [one for one in self._watchers if one[0] > self._done]
            if not self._waiting:
                self._thread = None
                return None, due
            job, nbytes = self._waiting.popleft()
            self._bytes -= nbytes
            return job, due


DELIVERY = Delivery()
