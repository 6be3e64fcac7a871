"""A `concurrent.futures.Executor` on a pool: what `ProcessPoolExecutor` does, but a dead worker costs only its call.

Starts at the first submit, admits without bound, and finishes pending work at `shutdown(wait=True)` and at the
interpreter's exit. Futures are made here and handed to the loop's thread in batches.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures._base import CANCELLED, FINISHED
from copy import copy
from typing import TYPE_CHECKING, Any

from millpond.chunks import Initialized, run_chunk
from millpond.desk import DEFAULT
from millpond.errors import PoolError, StartFailed
from millpond.loopthread import LoopThread
from millpond.pool import Pool
from millpond.statistics import Statistics

if TYPE_CHECKING:
    from millpond.core.call import Call

UNBOUNDED: dict[str, Any] = {
    "metrics": False,  # only `statistics` could tell them
    "alerts": False,
    "deadline": None,
    "max_queued": None,
    "max_queued_bytes": None,
    "output": "inherit",
    "breaker_faults": 2**31,  # work that was accepted is tried, however its like fared
}


class CallFuture(futures.Future[Any]):
    """A future whose `cancel` also takes the call out of the queue."""

    call: Call
    withdraw: Callable[[CallFuture], None] | None = None
    has_begun = False  # its call was given to a worker

    def cancel(self) -> bool:
        """True if the call will never run; a call that was given to a worker cannot be cancelled."""
        was_cancelled = self.cancelled()
        is_cancelled = super().cancel()
        if is_cancelled and not was_cancelled and self.withdraw is not None:
            self.withdraw(self)
        return is_cancelled

    def tell_cancelled(self) -> None:
        """Wake who waits for it, unless that was done; on the loop's thread."""
        if self._state == CANCELLED:
            self.set_running_or_notify_cancel()

    def may_begin(self) -> bool:
        """Asked when its call is about to be sent: false if it was cancelled. From now on it cannot be."""
        if not self.has_begun:
            self.has_begun = self.set_running_or_notify_cancel()
        return self.has_begun

    def done(self) -> bool:
        """Whether it was cancelled, or has a result or an exception."""
        # While its call is with a worker only the thread that asks here can end it: no lock is needed to know.
        return super().done() if not self.has_begun else self._state == FINISHED


class Executor(futures.Executor):
    """A drop-in for `ProcessPoolExecutor`; `**settings` are those of `Pool`.

    A call whose worker dies raises `WorkerDied` (a `BrokenExecutor`), and the executor lives on. Only if no worker can
    be started at all is everything pending failed with `StartFailed`.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        initializer: Callable[..., Any] | None = None,
        initargs: tuple[Any, ...] = (),
        **settings: Any,
    ) -> None:
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_workers is not None:
            settings = {"max_workers": max_workers, "min_workers": max_workers} | settings
        handler, args = (None, ()) if initializer is None else (Initialized, (initializer, initargs))
        self._pool = Pool(handler, args=args, **(UNBOUNDED | {"name": "executor"} | settings))
        self._pool.desk.looks_first = False
        self._thread: LoopThread | None = None
        self._lock = threading.Lock()  # held while starting, submitting and beginning to shut down
        self._is_shut_down = False
        self._broken: StartFailed | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> CallFuture:
        """Have `fn(*args, **kwargs)` run in a worker.

        Raises `RuntimeError` after `shutdown`, `BrokenExecutor` if no worker could be started. What cannot be sent is
        told by the future.
        """
        future = CallFuture()
        desk = self._pool.desk
        try:
            call = desk.function_call(fn, args, kwargs, DEFAULT, future)
        except PoolError as error:
            future.set_exception(error)
            return future
        call.own_payload()
        with self._lock:
            if self._broken is not None:
                raise copy(self._broken)
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            thread = self._thread or self._start()
            future.call, future.withdraw = call, self._withdraw
            thread.post(desk.submit_or_fail, call)
        return future

    def map(
        self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> Iterator[Any]:
        """Like the built-in `map`, in order; `chunksize` items travel and fail together."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        chunks = _chunks(zip(*iterables, strict=False), chunksize)
        results = super().map(run_chunk, itertools.repeat(fn), chunks, timeout=timeout)
        return itertools.chain.from_iterable(results)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; finish what is pending (or cancel what has not begun), then end the workers.

        With `wait=False` that happens behind the caller's back, at the latest before the interpreter exits.
        """
        with self._lock:
            is_first, self._is_shut_down = not self._is_shut_down, True
            thread = self._thread
            if thread is None:
                self._pool.close_unopened()
                return
            if cancel_futures:
                thread.post(_cancel_waiting, self._pool)
            if is_first and self._broken is None:
                _finish_soon(self._pool, thread)
        if wait:
            thread.join()

    def statistics(self) -> Statistics:
        """The pool behind the executor, at this moment."""
        thread = self._thread
        return self._pool.statistics() if thread is None else thread.ask(self._pool.statistics)

    def disown(self) -> None:
        """In a forked child: `submit` raises, and there is nothing to shut down."""
        self._lock = threading.Lock()  # whoever held it is not in this process
        self._thread = None
        self._broken = StartFailed(
            "the executor belongs to the process that this one was forked from; make another here"
        )

    @property
    def run_id(self) -> str:
        """What the executor's processes carry in their environment as MILLPOND_RUN_ID."""
        return self._pool.run_id

    def _withdraw(self, future: CallFuture) -> None:
        if self._thread is not None:
            self._thread.post(_withdraw, self._pool, future)

    def _start(self) -> LoopThread:
        """Begin to open the pool; what is submitted meanwhile is held back."""
        thread = self._thread = LoopThread("millpond-executor", self._pool.desk.driver.carry_out)
        self._pool.mark_futures()
        thread.hold()
        thread.start()
        _USED.add(self)
        # Collected without a shutdown: then nothing is pending, as calls hold their futures, and those the executor.
        weakref.finalize(self, _finish_soon, self._pool, thread).atexit = False
        thread.start_task(self._open(thread))
        return thread

    async def _open(self, thread: LoopThread) -> None:
        try:
            await self._pool.open()
        except StartFailed as error:
            self._broken = self._pool.desk.broken_by = error
            thread.release()  # each is refused, and told what broke the executor
            thread.end_soon()
        else:
            thread.release()


_USED: weakref.WeakSet[Executor] = weakref.WeakSet()
_ENDING: set[LoopThread] = set()


def _finish_soon(pool: Pool, thread: LoopThread) -> None:
    """Have everything pending finished, then the workers and the thread ended; from any thread, and again for nothing.

    Called by the garbage collector as well, in the midst of anything: it only posts.
    """
    if thread.is_running:
        thread.post(lambda: thread.start_task(_finish(pool, thread)))


async def _finish(pool: Pool, thread: LoopThread) -> None:
    _ENDING.add(thread)
    try:
        machine = pool.desk.driver.machine
        await pool.desk.driver.until(lambda: not machine.unended)
        await pool.close()
    finally:
        _ENDING.discard(thread)
        thread.end_soon()


def _withdraw(pool: Pool, future: CallFuture) -> None:
    """A future was cancelled: its call goes, and those who wait for the future are told; on the loop's thread."""
    pool.desk.driver.cancel(future.call)
    future.tell_cancelled()


def _cancel_waiting(pool: Pool) -> None:
    for call in list(pool.desk.driver.machine.queue):
        try:
            call.ticket.cancel()
        except BaseException as error:  # a done-callback's; it was cancelled before that ran
            pool.desk.driver.orders.faults.note("a done-callback", error)


def _finish_pending() -> None:
    """At the interpreter's exit, before threads are told to end: pending work is finished, as the stdlib's is."""
    for executor in list(_USED):
        executor.shutdown(wait=True)
    for thread in list(_ENDING):
        thread.join()


def _disown() -> None:
    """In a forked child: the workers and the thread are the parent's."""
    for executor in list(_USED):
        executor.disown()
    _USED.clear()
    _ENDING.clear()


# What concurrent.futures itself uses: `atexit` would be too late, threads can no longer be started then.
threading._register_atexit(_finish_pending)  # type: ignore[attr-defined]
os.register_at_fork(after_in_child=_disown)


def _chunks(items: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(itertools.islice(items, size)):
        yield chunk
