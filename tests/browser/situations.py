"""What pools come to, good and bad: each is reached for real, within a few seconds, and the same in each run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import millpond
from millpond.alerts.rules import Group, Rule
from millpond.testing import ManualClock
from tests.browser.timed_pool import TimedPool, handler_of, timed_pool
from tests.faults.handlers import Plain

Pools = dict[str, millpond.Pool]
Situation = Callable[[], AbstractAsyncContextManager[Pools]]
LONG = 256  # bytes of the longest name
ALWAYS = Group("tests", (Rule("CallsRun", of="calls_submitted_total", over_s=60, above=0, summary="Calls were made."),))
HTML = "<img src=x onerror=alert(1)>"
FIXED = {"optimizer": False, "max_queued": None}
SEGFAULT = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f3a (most recent call first):\n" + (
    '  File "documents/reader.py", line 42 in classify\n'
)


async def open_sessions(timed: TimedPool, count: int, name: str = "reader-{}") -> None:
    """Open so many sessions, and have each annotate something."""
    for number in range(count):
        handle = await timed.pool.session(name.format(number))
        timed.start(handle.call("annotate", 0.0))
        if not number % 50:
            await timed.clock.settle()
    await timed.clock.settle()


def _in_sessions(timed: TimedPool, count: int, rate: float, seconds: float, name: str = "reader-{}") -> None:
    async def annotate() -> None:
        session = timed.pool.session(name.format(timed.random.randrange(count)), reopen=True)
        await (await session).call("annotate", seconds)

    timed.each(lambda _: timed.random.expovariate(rate), lambda: timed.start(annotate()))


def _usual(timed: TimedPool) -> None:
    timed.traffic(lambda at: 25 + 10 * (at % 60 > 40), lambda _: 0.12)
    timed.traffic(lambda _: 4, lambda _: 0.35, "extract_tables")
    _in_sessions(timed, 40, 5, 0.05)


@asynccontextmanager
async def healthy() -> AsyncIterator[Pools]:
    """Under a load that it bears well, with two hands full of sessions."""
    async with timed_pool(past_s=90, begin=_usual, min_workers=8, max_workers=8, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def idle() -> AsyncIterator[Pools]:
    """Workers are ready, and nobody calls any more."""

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda at: 20 if at < -80 else 0, lambda _: 0.1)

    async with timed_pool(past_s=110, begin=begin, min_workers=4, max_workers=8, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def saturated() -> AsyncIterator[Pools]:
    """A third more calls than all the workers that are allowed can do."""

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda at: 20 if at < -45 else 53, lambda _: 0.1)

    async with timed_pool(past_s=90, begin=begin, min_workers=4, max_workers=4, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def no_workers() -> AsyncIterator[Pools]:
    """The workers were lost some minutes ago, and no new one starts; calls wait."""

    def fail(timed: TimedPool) -> None:
        timed.engine.fail_starts("FileNotFoundError: /models/reader.onnx", 1000)
        for _ in range(2):
            timed.kill(signal=9)

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda at: 12 if at < -30 else 4, lambda _: 0.1, deadline=60.0)
        timed.when(-100, partial(fail, timed))

    settings = {"restart_backoff": 25.0, "restart_backoff_max": 45.0}
    async with timed_pool(past_s=130, begin=begin, min_workers=2, max_workers=2, **settings, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def slow() -> AsyncIterator[Pools]:
    """Calls have taken eight times as long for most of a minute, though workers are free."""

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda _: 12, lambda at: 0.06 if at < -50 else 0.5)

    async with timed_pool(past_s=150, begin=begin, min_workers=16, max_workers=16, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def crash_looping() -> AsyncIterator[Pools]:
    """A call that kills its worker comes again and again."""

    def begin(timed: TimedPool) -> None:
        _usual(timed)
        timed.each(lambda at: 4.0, lambda: timed.at > -45 and timed.kill(signal=11, stderr_tail=SEGFAULT))

    async with timed_pool(past_s=90, begin=begin, min_workers=4, max_workers=4, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def failing() -> AsyncIterator[Pools]:
    """One call in five fails by the handler's fault, long enough for an alert to fire."""

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda _: 8, lambda _: 0.1)
        timed.traffic(lambda at: 0 if at < -200 else 3, lambda _: 0.1, "parse")

    async with timed_pool(past_s=240, begin=begin, min_workers=4, max_workers=4, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def troubled() -> AsyncIterator[Pools]:
    """A bit of everything: calls that fail and wait, a worker and sessions that were lost, an alert."""

    async def begin(timed: TimedPool) -> None:
        timed.pool.alerts.add_rules(ALWAYS)
        await open_sessions(timed, 10)
        timed.traffic(lambda _: 8, lambda _: 0.3)
        timed.traffic(lambda _: 2, lambda _: 0.1, "parse")
        timed.when(-5, partial(timed.kill, signal=11, stderr_tail=SEGFAULT))

    async with timed_pool(past_s=15, begin=begin, min_workers=2, max_workers=2) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def recovering() -> AsyncIterator[Pools]:
    """It lost workers in a row; that is over, and the alert of it has cleared or is about to."""

    def begin(timed: TimedPool) -> None:
        _usual(timed)
        timed.each(lambda at: 2.0, lambda: -150 < timed.at < -140 and timed.kill(signal=11, stderr_tail=SEGFAULT))

    async with timed_pool(past_s=160, begin=begin, min_workers=8, max_workers=8, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def empty() -> AsyncIterator[Pools]:
    """Opened this moment; nobody has called yet."""
    async with timed_pool(min_workers=2, max_workers=4) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def starting() -> AsyncIterator[Pools]:
    """It opens, and its workers take long to get ready, while a call waits."""
    async with timed_pool(past_s=20, min_workers=0, max_workers=4, **FIXED) as timed:
        timed.engine.hold_starts()
        for _ in range(5):
            timed.start(timed.pool.call("classify", 0.1))
        yield {"documents": timed.pool}
        timed.engine.release_starts()


@asynccontextmanager
async def many_workers() -> AsyncIterator[Pools]:
    """64 workers, most of them busy for some seconds."""

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda _: 20, lambda _: 2.0)
        _in_sessions(timed, 300, 4, 0.5)

    async with timed_pool(past_s=75, begin=begin, min_workers=64, max_workers=64, **FIXED) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def many_sessions() -> AsyncIterator[Pools]:
    """10,000 sessions are open."""

    async def begin(timed: TimedPool) -> None:
        await open_sessions(timed, 10_000)
        _in_sessions(timed, 10_000, 10, 0.05)

    settings = {"min_workers": 8, "max_workers": 8, "sleep_after": None}
    async with timed_pool(past_s=15, begin=begin, **settings, **FIXED) as timed:
        yield {"documents": timed.pool}


def named_handler(clock: ManualClock) -> type:
    """A handler one of whose operations has a name that is long and HTML."""
    made = handler_of(clock)
    long = (HTML + "_and_what_else_there_is_to_be_read_of_a_document" * 6)[:LONG]
    setattr(made, long, made.classify)
    return made


@asynccontextmanager
async def long_names() -> AsyncIterator[Pools]:
    """The pool, an operation and sessions have the longest names there can be, of HTML."""
    pool = (HTML + "documents-of-the-third-department" * 8)[:LONG]
    session = (HTML + "{}" + "-reader-of-the-third-department" * 8)[: LONG - 10]

    async def begin(timed: TimedPool) -> None:
        await open_sessions(timed, 5, session)
        operation = next(name for name in dir(timed.engine.handler) if HTML in name)
        timed.traffic(lambda _: 4, lambda _: 1.0, operation)
        timed.traffic(lambda _: 1, lambda _: 0.1, "parse")
        _in_sessions(timed, 5, 2, 0.8, session)

    settings = {"min_workers": 6, "max_workers": 6}
    async with timed_pool(pool, past_s=45, begin=begin, handler=named_handler, **settings, **FIXED) as timed:
        yield {pool: timed.pool}


@asynccontextmanager
async def lost_sessions() -> AsyncIterator[Pools]:
    """Two pools whose workers were killed: the sessions of one are kept and go on, those of the other are lost."""

    async def begin(timed: TimedPool) -> None:
        await open_sessions(timed, 60)
        _in_sessions(timed, 60, 15, 0.05)
        for at in (-40, -12):
            timed.when(at, partial(timed.kill, signal=9))

    size = {"min_workers": 3, "max_workers": 3}
    async with (
        timed_pool("kept", 60, begin, durability="reply", session_store="memory", **size, **FIXED) as kept,
        timed_pool("not-kept", 60, begin, **size, **FIXED) as lost,
    ):
        yield {"not-kept": lost.pool, "kept": kept.pool}


@asynccontextmanager
async def plain() -> AsyncIterator[Pools]:
    """Pools without an optimizer, without alerts, and without any metrics."""

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda _: 10, lambda _: 0.1)

    size = {"min_workers": 2, "max_workers": 2}
    async with (
        timed_pool("no-metrics", 20, begin, metrics=False, **size) as bare,
        timed_pool("no-alerts", 20, begin, alerts=False, **size) as unwatched,
        timed_pool("no-optimizer", 20, begin, optimizer=False, **size) as unsized,
    ):
        yield {timed.pool.name: timed.pool for timed in (bare, unwatched, unsized)}


@asynccontextmanager
async def draining() -> AsyncIterator[Pools]:
    """It takes no more calls and finishes those it has; the other one is closed."""

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda at: 20 if at < 0 else 0, lambda at: 0.1 if at < -2 else 300)

    size = {"min_workers": 4, "max_workers": 4}
    async with timed_pool("draining", 30, begin, **size, **FIXED) as timed, timed_pool("closed", 1) as closed:
        await closed.pool.close()
        drain = asyncio.create_task(timed.pool.drain())
        yield {"draining": timed.pool, "closed": closed.pool}
        drain.cancel()


@asynccontextmanager
async def sized() -> AsyncIterator[Pools]:
    """The optimizer sizes the pool under a load that comes and goes."""

    def begin(timed: TimedPool) -> None:
        timed.traffic(lambda at: 3 + 30 * (at % 100 > 60), lambda _: 0.2)

    async with timed_pool(past_s=180, begin=begin, min_workers=1, max_workers=12) as timed:
        yield {"documents": timed.pool}


@asynccontextmanager
async def real() -> AsyncIterator[Pools]:
    """Two real processes, with memory, processor time, stacks and logs; two callers that never stop."""

    async def call(pool: millpond.Pool) -> None:
        while True:
            await pool.call("nap", 0.05)

    with tempfile.TemporaryDirectory() as folder:
        history = f"{folder}/history.sqlite"
        async with millpond.Pool(Plain, name="real", min_workers=2, max_workers=2, history_path=history) as pool:
            calls = [asyncio.create_task(call(pool)) for _ in range(2)]
            yield {"real": pool}
            for one in calls:
                one.cancel()
            await asyncio.gather(*calls, return_exceptions=True)


SITUATIONS: dict[str, Situation] = {
    one.__name__: one
    for one in (
        healthy,
        idle,
        saturated,
        no_workers,
        slow,
        crash_looping,
        failing,
        troubled,
        recovering,
        empty,
        starting,
        many_workers,
        many_sessions,
        long_names,
        lost_sessions,
        plain,
        draining,
        sized,
        real,
    )
}
