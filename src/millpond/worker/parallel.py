"""The loop of tasks: for handlers with async code, and for `concurrency` above 1.

The main thread runs an asyncio loop and always reads the socket; at most `concurrency` calls run at once, the others
wait here unclaimed. Async code runs in tasks; plain code in the main thread if one call runs at a time (so that
signals can interrupt it), else in threads (which nothing can).
"""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from millpond.wire import mainglobals
from millpond.wire.frames import BYE, CALL, CANCEL
from millpond.worker.loop import Running, hear, note
from millpond.worker.overlap import OverlappedNamespace
from millpond.worker.stack import TASK_CALL
from millpond.worker.steps import drive, perform, plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from millpond.wire.frames import Body, Fields
    from millpond.worker.channel import FrameChannel
    from millpond.worker.interrupts import Interrupts
    from millpond.worker.runner import Runner
    from millpond.worker.steps import HandlerStep, Outcome, Plan


class ParallelLoop:
    """Serves one worker until it is told goodbye; `Disconnected` if the parent goes without a word."""

    def __init__(self, channel: FrameChannel, interrupts: Interrupts, window: int, concurrency: int) -> None:
        self._channel = channel
        self._interrupts = interrupts
        self._window = window
        self._concurrency = concurrency
        self._threads = Threads() if concurrency > 1 else None
        self._waiting: deque[tuple[Fields, Body]] = deque()
        self._running: dict[int, Running] = {}  # call id -> call
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_leaving = False
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

    def run_hook(self, hook: Callable[[], Any]) -> None:
        """Run `setup`, `warmup` or `teardown`, on the loop if it is async."""
        if inspect.iscoroutinefunction(hook):
            self._loop.run_until_complete(hook())
        else:
            hook()

    def serve(self, runner: Runner) -> None:
        """Run calls until BYE and until those that run have ended."""
        self._runner = runner
        runner.interruptions += (asyncio.CancelledError,)
        if self._threads is not None and mainglobals.here is not None:
            overlapped = OverlappedNamespace(mainglobals.here, _caller)
            mainglobals.share(overlapped)
            runner.before_end(overlapped.leave)
        self._loop.add_reader(self._channel.socket, self._safely, self._read)
        try:
            self._loop.run_forever()
        finally:
            self._loop.remove_reader(self._channel.socket)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Give the event loop's descriptors back."""
        self._loop.close()

    # Frames come in

    def _read(self) -> None:
        frames = self._channel.receive(socket.MSG_DONTWAIT)
        self._interrupts.reinstall()
        for fields, body in frames:
            self._take(fields, body)
        self._start_waiting()

    def _take(self, fields: Fields, body: Body) -> None:
        if fields[1] == CALL:
            self._waiting.append((fields, body))
        elif fields[1] == BYE:
            self._is_leaving = True
        elif fields[7] in self._running and hear(self._running[fields[7]], fields):
            pass
        elif fields[1] == CANCEL:
            self._skip_waiting(fields[7])
        else:
            note(self._runner, fields, body, len(self._running) + len(self._waiting))

    def _skip_waiting(self, call_id: int) -> None:
        """A call that still waits here is given up; any other has ended."""
        # A call is in `_waiting`, in `_running`, or answered, and only this thread moves it from one to the next: a
        # CANCEL finds it in one of the two or is late.
        for frame in self._waiting:
            if frame[0][7] == call_id:
                self._waiting.remove(frame)
                self._runner.skip(*frame)
                return

    # Calls are run

    def _start_waiting(self) -> None:
        """Start what waits while there are slots; leave, if that was asked for and nothing is left."""
        while self._waiting and len(self._running) < self._concurrency:
            self._start(*self._waiting.popleft())
        if self._is_leaving and not self._running and not self._waiting:
            self._loop.stop()

    def _start(self, fields: Fields, body: Body) -> None:
        # Known before it is started: credit and a CANCEL that are read while a thread begins with it find it.
        running = self._running[fields[7]] = Running(fields, self._window)
        if self._needs_loop(fields):
            self._start_task(running, body)
        elif self._threads is not None:
            running.bell = threading.Event()
            self._threads.submit(lambda: self._run_in_thread(running, body))
        else:
            started = self._runner.run(fields, body)
            if started is None:
                del self._running[fields[7]]
            else:
                self._start_task(running, body, started)

    def _needs_loop(self, fields: Fields) -> bool:
        """Whether async code may have a part in the call."""
        runner, index = self._runner, fields[4]
        is_internal = index >= len(runner.operations)
        if not is_internal and runner.operations[index].kind.startswith("async"):
            return True
        slot = runner.session_slots.get(fields[8])
        runs_hooks = slot is not None and (is_internal or not slot.is_open)
        return runs_hooks and any(inspect.iscoroutinefunction(hook) for hook in runner.hooks.values())

    def _finished(self, running: Running) -> None:
        # After its answer was sent. A PING that is read in between counts the call as held, though its answer is out:
        # one too many is harmless. One too few would have the parent believe that the worker lost it.
        del self._running[running.fields[7]]
        self._start_waiting()

    # In a thread

    def _run_in_thread(self, running: Running, body: Body) -> None:
        try:
            started = self._runner.run(running.fields, body)
            if started is not None:
                drive(plan(self._runner, running, body, started), running, _wait_in_thread)
        except BaseException as error:
            self._notify(self._fail, error)
        else:
            self._notify(self._safely, self._finished, running)

    def _notify(self, callback: Callable[..., None], *args: Any) -> None:
        """From a thread: have the loop's thread do something, if the loop is still there."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    # In a task

    def _start_task(self, running: Running, body: Body, started: float | None = None) -> None:
        running.bell = asyncio.Event()
        task = self._loop.create_task(self._run_in_task(running, body, started))
        self._tasks.add(task)  # the loop itself holds tasks weakly

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled():  # a handler cancelled every task it found, this one before its first step
                self._start_task(running, body, started)

        task.add_done_callback(done)

    async def _run_in_task(self, running: Running, body: Body, started: float | None) -> None:
        """Run a call; `started` if it was claimed already. One that is given up before it gets here never runs."""
        TASK_CALL.set(running.fields[7])
        try:
            if started is None and running.is_stopped:
                self._runner.skip(running.fields, body)
            else:
                started = started or self._runner.admit(running.fields, body)
                if started is not None:
                    in_thread = None if self._threads is None else self._perform_in_thread
                    await carry_out(plan(self._runner, running, body, started), running, _wait_in_task, in_thread)
            self._finished(running)
        except BaseException as error:
            self._fail(error)

    async def _perform_in_thread(self, running: Running, step: HandlerStep) -> Outcome:
        future: asyncio.Future[Outcome] = self._loop.create_future()
        assert self._threads is not None

        def work() -> None:
            self._notify(future.set_result, perform(running.fields, step))

        self._threads.submit(work)
        while not future.done():
            with suppress(asyncio.CancelledError):  # a handler that cancels every task it finds
                await asyncio.wait([future])
        return future.result()

    # Something is wrong

    def _safely(self, function: Callable[..., None], *args: Any) -> None:
        """Run one of our own callbacks: an event loop would log what it raises and go on."""
        try:
            function(*args)
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._loop.stop()


def _caller() -> int:
    """What tells calls apart that run at once: a task's call, or else the thread."""
    return TASK_CALL.get() or threading.get_ident()


def _wait_in_thread(running: Running) -> None:
    bell = running.bell
    assert isinstance(bell, threading.Event)
    while True:
        bell.clear()  # before the look: a ring after it is not missed
        if running.may_go_on():
            return
        bell.wait()


async def carry_out(
    steps: Plan,
    running: Running,
    wait: Callable[[Running], Awaitable[None]],
    in_thread: Callable[[Running, HandlerStep], Awaitable[Outcome]] | None = None,
) -> None:
    """Carry out a plan in this task; `wait` until the call's stream may go on, plain code runs here or `in_thread`."""
    outcome: Outcome | None = None
    while True:
        try:
            step = next(steps) if outcome is None else steps.send(outcome)
        except StopIteration:
            return
        if step is None:
            await wait(running)
            outcome = (None, None)
        elif step.is_async:
            outcome = await _perform_async(running, step)
        elif in_thread is None:
            outcome = perform(running.fields, step)
        else:
            outcome = await in_thread(running, step)


async def _wait_in_task(running: Running) -> None:
    bell = running.bell
    assert isinstance(bell, asyncio.Event)
    # Whoever rings does so on this thread, and not between the look and the wait: no ring is missed.
    while not running.may_go_on():
        bell.clear()
        with suppress(asyncio.CancelledError):  # a handler that cancels every task it finds
            await bell.wait()


async def _perform_async(running: Running, step: HandlerStep) -> Outcome:
    """Run one step on the loop. Only here can a CANCEL reach the task, so that it never hits our own code.

    It cannot come too late either: it is read by a callback, so the task is suspended in this await or not at all, and
    asyncio raises it there even if what was awaited is done by then.
    """
    running.task = asyncio.current_task()
    try:
        return await step.function(*step.args, **step.kwargs), None
    except BaseException as error:
        return None, error
    finally:
        running.task = None


class Threads:
    """As many threads as jobs were ever under way at once; jobs see to their own errors. No thread delays the exit."""

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
