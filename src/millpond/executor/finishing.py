"""How an executor's calls end other than by their answers: withdrawn, cancelled, finished before the end, or cut short.

Works on the pool and its thread: the executor itself may have been collected. Whatever is called here from other
threads only posts.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from millpond.core import states
from millpond.errors import WorkerDied
from millpond.executor.future import CallFuture
from millpond.loopthread import LoopThread

if TYPE_CHECKING:
    from millpond.core import Call, Worker
    from millpond.pool import Pool

ENDING: set[LoopThread] = set()  # that finish what is pending; their executors may be collected


def finish_soon(pool: Pool, thread: LoopThread) -> None:
    """Have everything pending finished, then the workers and the thread ended; from any thread, and again for nothing.

    Called by the garbage collector as well, in the midst of anything: it only posts.
    """
    if thread.is_running:
        ENDING.add(thread)
        thread.post(_begin_to_finish, pool, thread)


def _begin_to_finish(pool: Pool, thread: LoopThread) -> None:
    if not thread.start_task(_finish(pool, thread)):
        ENDING.discard(thread)


async def _finish(pool: Pool, thread: LoopThread) -> None:
    try:
        view = pool.driver.view
        await pool.driver.until(lambda: not view.unended)
        await pool.close()
    finally:
        ENDING.discard(thread)
        thread.end_soon()


def withdraw_soon(pool: Pool, thread: LoopThread, future: CallFuture[Any]) -> None:
    """A future was cancelled, on any thread; where there is no loop, as in a forked child, it only is told."""
    if thread.is_running:
        thread.post(_withdraw, pool, future)
    else:
        future.notify_cancelled()


def _withdraw(pool: Pool, future: CallFuture[Any]) -> None:
    """A future was cancelled: its call goes, and those who wait for the future are told; on the loop's thread."""
    call = future.withdrawn()
    if call is not None:
        pool.driver.cancel(call)
    future.notify_cancelled()


def cancel_waiting(pool: Pool) -> None:
    """Cancel what was given to no worker; on the loop's thread."""
    for call in pool.driver.view.waiting():
        try:
            call.ticket.cancel()
        except BaseException as error:  # a done-callback's; it was cancelled before that ran
            pool.driver.carriers.faults.note("a done-callback", error)


def interrupt_workers(pool: Pool) -> None:
    """Raise `KeyboardInterrupt` in what runs: Ctrl-C, which the terminal sends to the program's process group only."""
    for worker in list(pool.driver.view.workers.values()):
        if worker.inflight:
            _signal(worker, signal.SIGINT)


async def end_workers(pool: Pool, signo: signal.Signals) -> None:
    """Fail what runs, send a signal to each worker, and close the pool; one that lives on is killed after its drain.

    The pool closes first: what a worker had not begun when it died is given to no other.
    """
    driver, broken = pool.driver, WorkerDied(f"{signo.name} was sent to the executor's workers", signal=signo)
    view = driver.view
    pool.call_factory.broken_by = broken  # for what is still on its way to the pool
    closing = asyncio.ensure_future(pool.close())
    await driver.until(lambda: view.state in (states.CLOSING, states.CLOSED))
    for worker in list(view.workers.values()):
        for call in list(worker.inflight.values()):
            _fail(pool, call, broken)
        _signal(worker, signo)
    await closing


def _signal(worker: Worker, signo: signal.Signals) -> None:
    if worker.pid:
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signo)


def _fail(pool: Pool, call: Call, broken: WorkerDied) -> None:
    if call.continuation is not None or call.ticket is None:
        return
    error = WorkerDied(f"{broken} while it ran {call.op.name!r}", signal=broken.signal, call_id=call.id)
    try:
        call.ticket.set_exception(error)
    except BaseException as fault:  # a done-callback's
        pool.driver.carriers.faults.note("a done-callback", fault)
