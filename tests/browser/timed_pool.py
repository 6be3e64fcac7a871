"""A pool without processes whose past was lived through in a second or two, and which goes on in the machine's time.

Everything but the workers' processes is real. What is due happens at its own time, in its order; traffic is random
with a seed: minutes of history, and the health that follows from them, are the same in each run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import millpond
from millpond.testing import FakeEngine, ManualClock

STEP_S = 0.02  # between two looks at the machine's clock
Timely = Callable[[float], float]  # of the seconds since the present began, which are negative before


def handler_of(clock: ManualClock) -> type:
    """A handler whose calls take as long as they are told, by this clock."""

    async def work(seconds: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = clock.call_at(done.get_loop(), clock.now() + seconds, lambda: done.done() or done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()

    class Documents:
        async def classify(self, seconds: float = 0.1) -> str:
            await work(seconds)
            return "invoice"

        async def extract_tables(self, seconds: float = 0.1) -> int:
            await work(seconds)
            return 3

        async def annotate(self, seconds: float = 0.1, *, session: millpond.Session) -> str:
            await work(seconds)
            return session.id

        async def parse(self, seconds: float = 0.1) -> None:
            await work(seconds)
            raise ValueError("<img src=x onerror=alert(1)> is no document")

        def session_open(self, session: millpond.Session) -> None:
            pass

        def session_save(self, session: millpond.Session) -> dict[str, Any]:
            return {}

        def session_restore(self, session: millpond.Session, saved: dict[str, Any]) -> None:
            pass

    return Documents


class TimedPool:
    """The pool, its clock and its engine; `random` has a seed."""

    def __init__(self, name: str, past_s: float, handler: Callable[[ManualClock], type], settings: Mapping[str, Any]):
        self.clock, self.engine, self.random = ManualClock(), FakeEngine(), Random(14)
        made = handler(self.clock)
        self.pool = millpond.Pool(
            made,
            name=name,
            clock=self.clock,
            engine=self.engine,
            random=Random(14),
            drain=0.0,
            **settings,
        )
        self._present = self.clock.now() + past_s
        self._present_wall = time.time()
        self._tasks: set[asyncio.Task[None]] = set()
        if self.pool.settings.metrics:
            # The past is as long ago as the page is to show it.
            self.pool.metrics._wall_clock = lambda: self._present_wall + self.at

    @property
    def at(self) -> float:
        """Seconds since the present began."""
        return self.clock.now() - self._present

    async def live(self) -> None:
        """Live through the past, and then go on in the machine's time, for ever."""
        await self.clock.advance(max(0.0, -self.at))

    async def go_on(self) -> None:
        """Go on in the machine's time, for ever."""
        while True:
            await self.clock.advance(max(0.0, time.time() - self._present_wall - self.at))
            await asyncio.sleep(STEP_S)

    def each(self, pause: Timely, do: Callable[[], object]) -> None:
        """Do something again and again, after pauses."""
        self._after(pause(self.at), lambda: (do(), self.each(pause, do)))

    def when(self, at: float, do: Callable[[], object]) -> None:
        """Do something at a moment."""
        self._after(at - self.at, do)

    def _after(self, seconds: float, do: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        self.clock.call_at(loop, self.clock.now() + seconds, lambda: do() and None)

    def traffic(self, rate: Timely, seconds: Timely, operation: str = "classify", **options: Any) -> None:
        """Calls at random moments, so many a second, which take as long, more or less; `options` as for a call."""

        def call() -> None:
            if rate(self.at) > 0.01:
                took = seconds(self.at) * self.random.lognormvariate(0.0, 0.4)
                self.start(self.pool.options(**options).call(operation, took))

        self.each(lambda at: self.random.expovariate(max(rate(at), 0.01)), call)

    def start(self, call: Any) -> None:
        """Make a call whose end is of interest to nobody."""

        async def attended() -> None:
            try:
                await call
            except Exception:
                pass

        task = asyncio.ensure_future(attended())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def kill(self, **how: Any) -> None:
        """End the oldest worker, as `FakeWorker.die` says."""
        for worker in list(self.engine.workers.values())[:1]:
            worker.die(**how)


@asynccontextmanager
async def timed_pool(
    name: str = "documents",
    past_s: float = 0.0,
    begin: Callable[[TimedPool], object] = lambda _: None,
    handler: Callable[[ManualClock], type] = handler_of,
    **settings: Any,
) -> AsyncIterator[TimedPool]:
    """An open pool that has lived for so long; `begin` is called when it has just opened, and may be a coroutine."""
    timed = TimedPool(name, past_s, handler, settings)
    await timed.pool.open()
    going = None
    try:
        made = begin(timed)
        if asyncio.iscoroutine(made):
            await made
        await timed.live()
        going = asyncio.create_task(timed.go_on())
        yield timed
    finally:
        await timed.pool.close()
        if going is not None:
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
