"""A `concurrent.futures.Executor` on a pool: what `ProcessPoolExecutor` does, but a dead worker costs only its call.

Starts at the first submit, admits without bound, and finishes pending work at `shutdown(wait=True)` and at the
interpreter's exit. Futures are made here and handed to the loop's thread in batches.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import suppress
from copy import copy
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, SupportsIndex, TypeVar

from millpond.errors import PoolClosed, PoolError, StartFailed
from millpond.executor.finishing import (
    ENDING,
    cancel_waiting,
    end_workers,
    finish_soon,
    interrupt_workers,
    withdraw_soon,
)
from millpond.executor.future import CallFuture
from millpond.executor.ordered import ordered_map
from millpond.executor.standard import (
    WorkerProcess,
    all_there,
    as_standard,
    check_given_once,
    pids_of,
    processes,
    standard_settings,
)
from millpond.facts import Statistics
from millpond.loopthread import LoopThread
from millpond.options import DEFAULT
from millpond.pool import Pool
from millpond.profiles import profile_named
from millpond.settings import MOST_PAYLOAD_BYTES
from millpond.telemetry.logging_listener import LoggingListener
from millpond.wire.remote import Initialized

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from millpond.core import Call

P = ParamSpec("P")
T = TypeVar("T")
UNBOUNDED: dict[str, Any] = {
    "metrics": False,  # only `statistics` could tell them
    "alerts": False,
    "deadline": None,
    "max_queued": None,
    "max_queued_bytes": None,
    "max_payload": MOST_PAYLOAD_BYTES,
    "output": "inherit",
    "breaker_faults": 2**31,  # work that was accepted is tried, however its like fared
}


class Executor(futures.Executor):
    """A drop-in for `ProcessPoolExecutor`; `**settings` are those of `Pool`.

    A call whose worker dies raises `WorkerDied` (a `BrokenExecutor`), and the executor lives on. Only if no worker can
    be started at all is everything pending failed with `StartFailed`.
    """

    def __init__(
        self,
        max_workers: SupportsIndex | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: SupportsIndex | None = None,
        **settings: Any,
    ) -> None:
        named = standard_settings(max_workers, mp_context, max_tasks_per_child)
        check_given_once(named, settings)
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        handler, args = (None, ()) if initializer is None else (Initialized, (initializer, tuple(initargs)))
        given = UNBOUNDED | {"name": "executor"} | named | settings
        # A fresh interpreter is dear: as there, one is started when a call needs it. Others are all there at once.
        grows = given.get("start_method") == "spawn" and "min_workers" not in given
        is_floor_chosen = "min_workers" in profile_named(given.get("profile", "balanced")).values
        if max_workers is not None and not grows and not is_floor_chosen:
            given = {"min_workers": given["max_workers"]} | given
        self._pool = Pool(handler, args=args, **given)
        self._pool.call_factory.checks_bounds_first = False
        _say_at_debug(self._pool)
        self._context = mp_context
        self._thread: LoopThread | None = None
        self._withdraw: Callable[[CallFuture[Any]], None]  # made with the thread; holds that and the pool, not this
        self._lock = threading.Lock()  # held while starting, submitting and beginning to shut down
        self._place = partial(_place, self._pool) if grows else self._pool.call_factory.submit_or_fail
        self._is_shut_down = False
        self._broken: PoolError | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[T]:
        """Have `fn(*args, **kwargs)` run in a worker.

        Raises `RuntimeError` after `shutdown`, `BrokenExecutor` if no worker could be started. What cannot be sent is
        told by the future.
        """
        future: CallFuture[T] = CallFuture()
        call: Call | None = None
        try:
            call = self._pool.call_factory.function_call(fn, args, kwargs, DEFAULT, future)
            if type(call.payload) is not bytes:
                call.own_payload()
        except PoolError as error:
            future.set_exception(error)
        with self._lock:
            if self._broken is not None:
                raise as_standard(copy(self._broken))
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if call is None:
                return future
            thread = self._thread or self._start()
            future.call, future.withdraw = call, self._withdraw
            thread.post(self._place, call)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Like the built-in `map`, in order; `chunksize` items travel and fail together.

        Everything is submitted at once or, with `buffersize`, so many calls (or chunks) ahead of the results taken.
        `timeout` is in seconds, from now.
        """
        return ordered_map(self, fn, iterables, timeout, chunksize, buffersize)

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
                thread.post(cancel_waiting, self._pool)
            if is_first and self._broken is None:
                finish_soon(self._pool, thread)
        if wait:
            thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._interrupt()
        self.shutdown(wait=True)

    def _interrupt(self) -> None:
        """Raise `KeyboardInterrupt` in what the workers run, as Ctrl-C at the terminal does to a standard pool's."""
        thread = self._thread
        if thread is not None and thread.is_running:
            thread.post(interrupt_workers, self._pool)

    def terminate_workers(self) -> None:
        """Shut down at once: cancel what waits, and send SIGTERM to the workers. What they run fails with `WorkerDied`.

        A worker that goes on all the same is killed after the setting `drain`.
        """
        self._end_workers(signal.SIGTERM)

    def kill_workers(self) -> None:
        """As `terminate_workers`, with SIGKILL."""
        self._end_workers(signal.SIGKILL)

    def _end_workers(self, signo: signal.Signals) -> None:
        thread = self._thread
        self.shutdown(wait=False, cancel_futures=True)
        if thread is not None and thread.is_running:
            thread.start_task(end_workers(self._pool, signo))

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

    # What programs read of `ProcessPoolExecutor` though its name says that it is private

    @property
    def _max_workers(self) -> int:
        """Workers alive at most."""
        return self._pool.settings.max_workers

    @property
    def _mp_context(self) -> BaseContext:
        """The context given, or else that whose locks and queues can be sent to the workers."""
        if self._context is None:
            import multiprocessing

            self._context = multiprocessing.get_context("spawn")
        return self._context

    @property
    def _processes(self) -> dict[int, WorkerProcess]:
        """The workers there are, by process id; waits for those that are starting."""
        thread = self._thread
        if thread is None:
            return {}
        if not thread.is_current:
            thread.ask(lambda: None)  # whoever is started for what was submitted before is among them
            with suppress(PoolClosed, futures.CancelledError):  # it ends at this moment
                thread.run(all_there(self._pool))
        return processes(thread.ask(lambda: pids_of(self._pool)))

    @property
    def _shutdown_thread(self) -> bool:
        """Whether it takes no more calls."""
        return self._is_shut_down

    def _start(self) -> LoopThread:
        """Begin to open the pool; what is submitted meanwhile is held back."""
        thread = self._thread = LoopThread("millpond-executor", self._pool.driver.carry_out)
        self._withdraw = partial(withdraw_soon, self._pool, thread)
        self._pool.driver.carriers.mark_futures()
        thread.hold()
        thread.start()
        _USED.add(self)
        # Collected without a shutdown: what is pending is finished all the same.
        weakref.finalize(self, finish_soon, self._pool, thread).atexit = False
        thread.start_task(self._open(thread))
        return thread

    async def _open(self, thread: LoopThread) -> None:
        try:
            await self._pool.open()
        except PoolError as error:  # it could not be opened, or was closed before it was
            self._broken = self._pool.call_factory.broken_by = self._pool.call_factory.broken_by or error
            thread.release()  # each is refused, and told what broke the executor
            thread.end_soon()
        else:
            thread.release()


_USED: weakref.WeakSet[Executor] = weakref.WeakSet()


def _say_at_debug(pool: Pool) -> None:
    """Who replaces a standard executor hears nothing new where the program's log is at INFO."""
    pool.telemetry.detach("logging")
    LoggingListener(pool=pool.name, at_most=logging.DEBUG).attach(pool)


def _place(pool: Pool, call: Call) -> None:
    """Have a call placed, and one more worker started if there are more calls than workers; on the loop's thread."""
    pool.call_factory.submit_or_fail(call)
    driver = pool.driver
    driver.machine.raise_floor("there are more calls than workers", driver.now())


def _finish_pending() -> None:
    """At the interpreter's exit, before threads are told to end: pending work is finished, as the stdlib's is."""
    for executor in list(_USED):
        if _ends_by_interrupt():
            executor._interrupt()
        executor.shutdown(wait=True)
    for thread in list(ENDING):
        thread.join()


def _ends_by_interrupt() -> bool:
    """Whether Ctrl-C ends the program; where people type, the last exception told may be an old one."""
    return not hasattr(sys, "ps1") and issubclass(getattr(sys, "last_type", None) or Exception, KeyboardInterrupt)


def _disown() -> None:
    """In a forked child: the workers and the thread are the parent's."""
    for executor in list(_USED):
        executor.disown()
    _USED.clear()
    ENDING.clear()


# What concurrent.futures itself uses: `atexit` would be too late, threads can no longer be started then.
threading._register_atexit(_finish_pending)  # type: ignore[attr-defined]
os.register_at_fork(after_in_child=_disown)
