"""A `concurrent.futures.Executor` on a pool: what `ProcessPoolExecutor` does, but a dead worker costs only its call.

Starts at the first submit, admits without bound, and finishes pending work at `shutdown(wait=True)` and at the
interpreter's exit. Futures are made here and handed to the loop's thread in batches.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures._base import FINISHED
from typing import TYPE_CHECKING, Any

from millpond.chunks import Initialized, run_chunk
from millpond.desk import DEFAULT
from millpond.errors import PoolError, StartFailed
from millpond.loopthread import LoopThread
from millpond.pool import Pool
from millpond.runtime import shutdown
from millpond.statistics import Statistics

if TYPE_CHECKING:
    from millpond.core.call import Call

UNBOUNDED: dict[str, Any] = {
    "deadline": None,
    "max_queued": None,
    "max_queued_bytes": None,
    "breaker_faults": 2**31,  # work that was accepted is tried, however its like fared
}


class CallFuture(futures.Future[Any]):
    """A future whose `cancel` also takes the call out of the queue."""

    call: Call
    withdraw: Callable[[Call], None] | None = None
    has_begun = False  # its call was given to a worker

    def cancel(self) -> bool:
        """True if the call will never run; a call that was given to a worker cannot be cancelled."""
        was_cancelled = self.cancelled()
        is_cancelled = super().cancel()
        if is_cancelled and not was_cancelled and self.withdraw is not None:
            self.withdraw(self.call)
        return is_cancelled

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
                raise self._broken
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
                return
            if cancel_futures:
                thread.post(self._cancel_waiting)
            if is_first and self._broken is None:
                thread.post(lambda: thread.start_task(self._finish(thread)))
        if wait:
            thread.join()

    def statistics(self) -> Statistics:
        """The pool behind the executor, at this moment."""
        return self._pool.statistics()

    @property
    def run_id(self) -> str:
        """What the executor's processes carry in their environment as MILLPOND_RUN_ID."""
        return self._pool.run_id

    def _withdraw(self, call: Call) -> None:
        if self._thread is not None:
            self._thread.post(self._pool.desk.driver.cancel, call)

    def _start(self) -> LoopThread:
        """Begin to open the pool; what is submitted meanwhile is held back."""
        thread = self._thread = LoopThread("millpond-executor")
        self._pool.mark_futures()
        thread.hold()
        thread.start()
        _PENDING.add(self)
        thread.start_task(self._open(thread))
        return thread

    async def _open(self, thread: LoopThread) -> None:
        try:
            await self._pool.open()
        except StartFailed as error:
            self._broken = error
            thread.release()  # each is refused by the closed pool; the refusal is told as what broke it
            thread.end_soon()
        else:
            thread.release()

    async def _finish(self, thread: LoopThread) -> None:
        machine = self._pool.desk.driver.machine
        await shutdown.until(self._pool.desk.driver, lambda: not machine.unended)
        await self._pool.close()
        _PENDING.discard(self)
        thread.end_soon()

    def _cancel_waiting(self) -> None:
        machine = self._pool.desk.driver.machine
        for call in list(machine.queue):
            call.ticket.cancel()


_PENDING: weakref.WeakSet[Executor] = weakref.WeakSet()


def _finish_pending() -> None:
    """At the interpreter's exit, before threads are told to end: pending work is finished, as the stdlib's is."""
    for executor in list(_PENDING):
        executor.shutdown(wait=True)


# What concurrent.futures itself uses: `atexit` would be too late, threads can no longer be started then.
threading._register_atexit(_finish_pending)  # type: ignore[attr-defined]


def _chunks(items: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(itertools.islice(items, size)):
        yield chunk
