"""An event loop in a thread of its own, for the faces that are not asyncio.

Work is handed over in batches: however many threads post, the loop is woken once until it has looked. Started and
stopped by `SyncPool` and `Executor`; decides nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from millpond.errors import PoolClosed
from millpond.logger.pool_logger import PoolLogger

Answer = TypeVar("Answer")
ASK_S = 10.0  # seconds a loop has to answer a question from another thread
log = PoolLogger("millpond")


def ask_on(loop: asyncio.AbstractEventLoop | None, question: Callable[[], Answer]) -> Answer:
    """What a function returns or raises, called on that loop's thread so that nothing changes meanwhile.

    It is called here where that is this thread, or while the loop does not run. Raises `RuntimeError` if the loop is
    blocked for ten seconds.
    """
    if loop is None or not loop.is_running() or asyncio._get_running_loop() is loop:
        return question()
    answer: Future[Answer] = Future()
    try:
        loop.call_soon_threadsafe(_reply, question, answer)
    except RuntimeError:  # it was closed this very moment
        return question()
    try:
        return answer.result(ASK_S)
    except TimeoutError:
        if answer.done():  # the question's own
            raise
        raise RuntimeError(f"the pool's loop is blocked: it did not answer within {ASK_S:g} s") from None


def _reply(question: Callable[[], Answer], answer: Future[Answer]) -> None:
    try:
        answer.set_result(question())
    except BaseException as error:  # an interrupt that the question raised is its asker's
        answer.set_exception(error)


class LoopThread:
    """A daemon thread that runs one asyncio loop. What reaches it too late is answered all the same, by nobody left."""

    def __init__(self, name: str, after_work: Callable[[], None]) -> None:
        self._after_work = after_work  # called when a batch of posted work is done
        self._loop: asyncio.AbstractEventLoop  # made by `start`: before, there is nothing to give back
        self._posted: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._is_woken = False
        self._is_holding = False
        self._is_stopping = False
        self._is_over = False
        self._gate = threading.Lock()  # held while a coroutine is handed over, and while the end is declared
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._loop = asyncio.new_event_loop()
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on the loop's thread."""
        return threading.current_thread() is self._thread  # not by ident, which the next thread may have after its end

    @property
    def is_running(self) -> bool:
        """Whether the thread is there."""
        return self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and wait for its result; an interrupt of the waiting thread cancels it.

        Raises `PoolClosed` when the loop has ended.
        """
        running = self.begin(work)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    def begin(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop; its result comes later. Raises `PoolClosed` when the loop has ended."""
        running = self._hand_over(work)
        if running is None:
            raise PoolClosed("the pool is closed")
        return running

    def start_task(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Run a coroutine on the loop without waiting for it; whether it will be: not if the loop has ended."""
        return self._hand_over(work) is not None

    def post(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function on the loop's thread, in the order of posting; here, if the loop has ended."""
        self._posted.append((function, args))
        if self._is_over:
            # What was posted before the end was declared is worked off by the thread itself.
            self._work_off_rest()
        elif not self._is_woken and not self._is_holding:
            # Two threads may both come here: one wake-up too many does no harm. None is lost, because the loop clears
            # the flag before it looks.
            self._is_woken = True
            if self.is_current:  # a done-callback, say: the loop is awake
                self._loop.call_soon(self._work_off)
            else:
                self._loop.call_soon_threadsafe(self._work_off)

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """What a function returns or raises, called on the loop's thread so that nothing changes meanwhile; without one
        it is called here.
        """
        if self.is_current or not self.is_running:
            return question()
        answer: Future[Answer] = Future()
        self.post(_reply, question, answer)
        return answer.result()

    def hold(self) -> None:
        """Keep what is posted until `release`."""
        self._is_holding = True

    def release(self) -> None:
        """Work off what was kept, and go on as usual; on the loop's thread."""
        self._is_holding = False
        self._work_off()

    def stop(self) -> None:
        """End the loop and its thread; not from that thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def end_soon(self) -> None:
        """End the loop when this turn is over; on the loop's thread."""
        self._loop.call_soon(self._stop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._run_to_stop()
            with self._gate:
                self._is_over = True
            self._work_off_rest()
            self._loop.run_until_complete(self._end_tasks())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def _run_to_stop(self) -> None:
        """Run until `stop`. No signal reaches this thread: an interrupt comes from a callback, and ends only that."""
        while not self._is_stopping:
            try:
                self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit) as error:
                log.raised(error, "a callback of the program raised on the thread %s, which goes on", self._thread.name)

    def _stop(self) -> None:
        if not self._is_stopping:  # a second time it would stop what runs the loop to its end
            self._is_stopping = True
            self._loop.stop()

    async def _end_tasks(self) -> None:
        """Cancel what still runs or was handed over last, so that nobody waits for it for ever."""
        await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hand_over(self, work: Coroutine[Any, Any, Any]) -> Future[Any] | None:
        with self._gate:
            if not self._is_over:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        return None

    def _work_off(self) -> None:
        self._is_woken = False
        posted = self._posted
        try:
            while posted and not self._is_holding:
                function, args = posted.popleft()
                function(*args)
        finally:  # one that raises is logged by the loop, and costs nobody else
            if posted and not self._is_holding:
                self._loop.call_soon(self._work_off)
            self._after_work()

    def _work_off_rest(self) -> None:
        while True:
            try:
                function, args = self._posted.popleft()
            except IndexError:
                self._after_work()
                return
            try:
                function(*args)
            except BaseException as error:  # those behind it are waited for as well
                log.raised(error, "what was posted to the thread %s raised", self._thread.name)
