"""A thread and the queue it works off: bounded, in order and in batches, with a flush and a close that take so long.

For what may not hold the pool's loop up, or must not wait for it. A daemon: a program never waits for it but in
`settle` and `close`, and there only so long. What is done with a batch, and what with things that find no room, is
decided by who uses it.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class QueueThread(Generic[T]):
    """Calls `work` with lists of up to `batch` things, on a thread called `name`; `work` must not raise.

    At most `limit` wait. A batch that is not full waits for more until `interval_s` after the thread saw its first. The
    thread starts with the first thing, or, with `starts_by_itself=False`, with `start`; it ends after `close`, or when
    there was nothing to do for `idle_s`.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[T]], object],
        *,
        limit: int = sys.maxsize,
        batch: int = 1,
        interval_s: float = 0.0,
        idle_s: float | None = None,
        starts_by_itself: bool = True,
    ) -> None:
        self._name, self._work = name, work
        self._limit, self._batch, self._interval_s, self._idle_s = limit, batch, interval_s, idle_s
        self._starts_by_itself = starts_by_itself
        self._queue: deque[T] = deque()
        self._in_hand = 0  # things in the batch that is worked on
        self._is_closing = False
        self._changed = threading.Condition()  # held for all of the above, never while working
        self._thread: threading.Thread | None = None

    @property
    def queued(self) -> int:
        """Things that wait."""
        return len(self._queue)

    @property
    def waiting(self) -> int:
        """Things that are not done: those that wait, and those that are worked on."""
        return len(self._queue) + self._in_hand

    @property
    def is_running(self) -> bool:
        """Whether the thread has begun and not ended."""
        return self._thread is not None and self._thread.is_alive()

    def put(self, thing: T) -> bool:
        """Have a thing done soon, unless too many wait, or it is closed; whether it will be. Never waits.

        Raises `RuntimeError` where no thread can be had: the thing waits, and the next one that is put tries again.
        """
        with self._changed:
            before = len(self._queue)
            if before >= self._limit or self._is_closing:
                return False
            self._queue.append(thing)
            # The thread waits for the first, or for a full batch; whoever settles waits for the thread.
            if not before or before + 1 == self._batch:
                self._changed.notify_all()
            if self._thread is None and self._starts_by_itself:
                self.start()
            return True

    def start(self) -> None:
        """Start the thread, unless it runs. Raises `RuntimeError` where none can be had."""
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def settle(self, timeout: float) -> bool:
        """Wait until nothing is left to do; whether that was so in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.waiting, timeout)

    def finish(self) -> None:
        """Take nothing more; the thread ends when what waits is done."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def close(self, timeout: float) -> int:
        """Take nothing more, do what waits within `timeout` seconds, drop the rest; how many things that were.

        What is worked on then is left alone. Idempotent; from `work` itself it waits for nothing.
        """
        self.finish()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        return self.clear()

    def clear(self) -> int:
        """Drop what waits; how many things that were."""
        with self._changed:
            dropped = len(self._queue)
            self._queue.clear()
            self._changed.notify_all()
            return dropped

    def _run(self) -> None:
        while batch := self._next_batch():
            self._work(batch)
            del batch  # what is done is not kept alive while the thread waits

    def _next_batch(self) -> list[T]:
        """Note that the last batch is done, and wait for the next; an empty one ends the thread."""
        with self._changed:
            self._in_hand = 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue or self._is_closing, self._idle_s)
            if self._interval_s:
                self._changed.wait_for(lambda: len(self._queue) >= self._batch or self._is_closing, self._interval_s)
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            self._in_hand = len(batch)
            # An idle thread is forgotten under the lock, so that a thing put from now on starts another. One that is
            # closed stays known: whoever closes waits until it has truly ended.
            if not batch and not self._is_closing:
                self._thread = None
            return batch
