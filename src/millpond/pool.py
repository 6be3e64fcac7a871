"""The pool: the asyncio face of Millpond, and the only part that knows all the others.

Puts settings, engine, driver and call factory together, opens and closes them, and answers questions about them. The
verbs of calling are in `calls`, the call factory makes the calls, the driver carries out what the core decides.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from millpond import call_listing, worker_listing
from millpond.call_factory import CallFactory
from millpond.call_listing import CallFilter
from millpond.calls import Calls
from millpond.clock import MonotonicClock
from millpond.core import refusals, states
from millpond.facts import (
    CallFacts,
    CallListing,
    GoneWorkerFacts,
    SessionFacts,
    SessionState,
    Show,
    Statistics,
    WorkerFacts,
    check_page,
    check_show,
)
from millpond.handles import SessionHandle
from millpond.labels import check_label
from millpond.leftovers import LEFT_OPEN
from millpond.loopthread import ask_on
from millpond.mapping import MAP_AHEAD
from millpond.monitors import Monitors
from millpond.options import DEFAULT
from millpond.profiles import chosen_settings
from millpond.runtime.door import Door
from millpond.runtime.driver import Driver
from millpond.runtime.forwarding import settled
from millpond.runtime.renewal import replace_workers, resize
from millpond.runtime.signals import ClosingOnSignals
from millpond.runtime.store_client import StoreClient
from millpond.seams import Clock, Engine, EngineSpec, NoStack, OperationFacts, TraceSource
from millpond.session_listing import facts_of, listed
from millpond.settings import BOUNDS, Affinity, OnRestore, Settings, check_choice, make_settings
from millpond.statistics import collect
from millpond.stub import PoolStub
from millpond.telemetry.bus import Bus
from millpond.telemetry.logging_listener import LoggingListener
from millpond.warming.commands import Warmup
from millpond.warming.outcomes import WarmReport
from millpond.warming.strategies import Strategy
from millpond.warming.warmer import PoolWarmer
from millpond.wire.codec import make_codec
from millpond.wire.definitions import Definitions
from millpond.wire.handlerspec import encode_handler

if TYPE_CHECKING:
    from millpond.alerts.alerts import Alerts
    from millpond.metrics.collector import MetricsCollector
    from millpond.optimizer.pool_optimizer import PoolOptimizer

# Programs that have set up no logging are not shown what the pool says there: errors reach their callers anyway.
for _name in ("millpond.events", "millpond.alerts"):
    logging.getLogger(_name).addHandler(logging.NullHandler())


class Pool(Calls):
    """A pool of warm, stateful worker processes for one handler, on the running asyncio loop.

    `handler` is a class, a `"module:Class"` string, or `None` for functions only; `args` and `kwargs` are its
    constructor's. `profile` names settings for a kind of use; what is set beside it stands. Nothing starts here: use
    `async with`, or `await open()` and `await close()`. Unknown settings raise `TypeError`, values out of range and
    unknown profiles `ValueError`.
    """

    def __init__(
        self,
        handler: type | str | None,
        *,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str = "default",
        profile: str = "balanced",
        settings: Settings | None = None,
        engine: str | Engine = "local",
        clock: Clock | None = None,
        random: Random | None = None,
        **overrides: Any,
    ) -> None:
        super().__init__(self, DEFAULT)
        self.name = check_label("a pool's name", name)
        settings = make_settings(settings, chosen_settings(profile, settings, overrides))
        self.run_id = uuid.uuid4().hex
        definitions = Definitions()
        self._spec = EngineSpec(
            check_handler(handler),
            tuple(args),
            dict(kwargs or {}),
            settings,
            self.run_id,
            clock,
            definitions,
        )
        clock = clock or MonotonicClock()
        self._bus = Bus()
        LoggingListener(pool=name).attach(self._bus)
        if isinstance(engine, str):
            from millpond.engine.local import make_engine  # only here: a pool with another engine needs none of it

            engine = make_engine(engine, settings.start_method)
        store_client = StoreClient(settings, name)
        self.driver = Driver(settings, engine, clock, random or Random(), self._bus, store_client)
        codec = make_codec(settings.codec, settings.buffer_threshold, definitions)
        self._monitors = Monitors(self.driver, clock, name, self.run_id)
        self.call_factory = CallFactory(self.driver, settings, codec, definitions, name)
        self.warmer = PoolWarmer(self.driver, settings.warmup, settings.warm_strategy, self.call_factory.warmup_command)
        self.driver.carriers.warmer = self.warmer
        self.map_window = 2 * settings.max_workers * settings.concurrency + MAP_AHEAD
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signals = ClosingOnSignals(self.close)
        self._door = Door(self.driver, self._spec, self._opened, self._ended)

    # Opening and closing

    async def open(self) -> Pool:
        """Start the pool and wait until `min_workers` are ready; returns itself. Calls made meanwhile wait for it.

        Raises `StartFailed` with the user's own traceback last, `PoolClosed` if it was closed before. Cancelling, like
        failing, leaves nothing running.
        """
        if self._door.is_untouched:
            self._loop = running_loop()
            LEFT_OPEN.add(self)
            self._signals.opener = asyncio.current_task()
            self._monitors.load(self._loop)
        else:
            self.factory_on_loop()
        await self._door.open()
        return self

    async def close(self, drain: float | None = None) -> None:
        """Close the pool: the queued are refused at once, the running have `drain` seconds (default: the setting).

        Then every process is ended, whatever it does. May be called any number of times, also while opening.
        """
        if self.driver.view.state not in (states.NEW, states.CLOSED):
            self.factory_on_loop()
        await self._door.close(self.settings.drain if drain is None else drain)
        await asyncio.gather(self._monitors.closed(), settled())

    def close_unopened(self) -> None:
        """What `close` does to a pool that was never opened."""
        self._door.close_unopened()

    def _opened(self) -> None:
        self.call_factory.set_operations(self.driver.engine.facts())
        self.call_factory.let_in_early()
        self._monitors.start(asyncio.get_running_loop())
        if self.settings.handle_signals:
            self._signals.install()

    def _ended(self) -> None:
        LEFT_OPEN.discard(self)
        self._monitors.stop()
        self._signals.remove()
        self._spec.let_go()

    async def drain(self) -> None:
        """Take no more calls, and wait until what is queued and running has ended."""
        view = self.driver.view
        self.factory_on_loop()
        await self._door.entered()
        self.driver.machine.drain_pool(self.driver.now())
        self.driver.carry_out()
        await self.driver.until(lambda: not view.unended)

    async def __aenter__(self) -> Pool:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Running it

    def session(
        self,
        session_id: str,
        *,
        reopen: bool = False,
        affinity: Affinity | None = None,
        on_restore: OnRestore | None = None,
    ) -> SessionHandle:
        """A handle that opens the session, or joins the open one, when it is entered or awaited.

        `reopen` starts a lost session anew, one generation higher; `affinity` and `on_restore` override the pool's
        settings. Raises `TypeError` or `ValueError` unless the id is a string of 1 to 256 bytes of UTF-8, and
        `ValueError` for an `affinity` or `on_restore` that the settings do not know.
        """
        session_id = check_label("a session id", session_id)
        how = None if affinity is None else check_choice("affinity", affinity)
        then = None if on_restore is None else check_choice("on_restore", on_restore)
        return SessionHandle(self, session_id, how, reopen, then)

    async def resize(self, *, min_workers: int | None = None, max_workers: int | None = None) -> None:
        """Set new bounds, and wait until the floor is ready. Busy workers and workers with sessions are never ended.

        Raises `StartFailed` when a worker cannot start before that; the bounds stay, and the pool goes on trying.
        """
        asked = {"min_workers": min_workers, "max_workers": max_workers}
        await self.configure(**{name: bound for name, bound in asked.items() if bound is not None})

    async def configure(self, **settings: Any) -> dict[str, Any]:
        """Change live settings while the pool runs; returns those whose value is another now, by name.

        Raises `TypeError` for an unknown setting and `ValueError` for one that is not live or out of bounds, and
        nothing is changed then; `StartFailed` as `resize`. Cancelling ends the wait for the floor, the settings stay.
        """
        await self.entered()
        before = self.settings
        after = before.reconfigured(settings)
        changed = {name: value for name, value in settings.items() if value != getattr(before, name)}
        if settings.keys() & BOUNDS:
            await resize(self.driver, after)
        else:
            self.driver.configure(after, "configure()")
        return changed

    async def warm(self, strategy: Strategy | None = None, *, commands: Sequence[Warmup] | None = None) -> WarmReport:
        """Warm the pool's workers again, each when it has a free slot: the pool stays in service.

        Gives the setting's commands (or these) at the setting's pace (or that of `strategy`). A worker whose required
        command fails is replaced. Raises `BadArgument` for a command that does not fit, and what the strategy raises.
        Cancelling interrupts the commands at work and gives no others; the workers go on serving.
        """
        await self.entered()
        return await self.warmer.warm(strategy, commands)

    async def replace_workers(self) -> None:
        """Load the handler's code anew and replace every worker there is now, one after another; sessions move.

        Raises `StartFailed` if the new code cannot be loaded or its first workers cannot start; then the code before
        goes on serving.
        """
        await self.entered()
        self.call_factory.set_operations(await replace_workers(self.driver))

    # Asking it

    @property
    def telemetry(self) -> Bus:
        """Where listeners attach."""
        return self._bus

    @property
    def metrics(self) -> MetricsCollector:
        """What the pool adds up, once a second. Raises `RuntimeError` with `metrics=False`."""
        return self._monitors.metrics

    @property
    def alerts(self) -> Alerts:
        """The rules over the metrics, and what they say. Raises `RuntimeError` with `alerts=False`."""
        return self._monitors.alerts

    @property
    def optimizer(self) -> PoolOptimizer:
        """Who chooses how the pool is sized, and can say why. Raises `RuntimeError` with `optimizer=False`."""
        return self._monitors.optimizer

    @property
    def trace_source(self) -> TraceSource | None:
        """Who traces the pool's calls, if anybody does; set before they are made."""
        return self.call_factory.trace_source

    @trace_source.setter
    def trace_source(self, source: TraceSource | None) -> None:
        self.call_factory.trace_source = source

    @property
    def settings(self) -> Settings:
        """The settings the pool goes by now; `configure` and `resize` change them."""
        return self.driver.view.settings

    def statistics(self) -> Statistics:
        """The pool at this moment; from any thread."""
        return ask_on(self._loop, lambda: collect(self.driver, self.name, self.run_id, self._monitors.percentiles()))

    def sessions(
        self,
        *,
        prefix: str = "",
        state: SessionState | None = None,
        worker: int | None = None,
        limit: int = 1000,
        after: int = 0,
    ) -> tuple[SessionFacts, ...]:
        """The pool's sessions at this moment, oldest first, at most `limit`; from any thread.

        Those whose id begins with `prefix`, in one `state`, bound to one `worker` (an id), and numbered above `after`:
        the `number` of the last one is where the next page begins. Lost ones are listed as long as they are remembered.
        Raises `ValueError` for an unknown state or a limit below 1.
        """
        check_page(state, limit)
        view, now = self.driver.view, self.driver.now
        return ask_on(self._loop, lambda: listed(view, now(), prefix, state, worker, limit, after))

    def session_facts(self, session_id: str) -> SessionFacts | None:
        """One session at this moment, `None` if there is none of that id; from any thread."""
        driver = self.driver

        def look() -> SessionFacts | None:
            found = driver.view.session(session_id)
            return None if found is None else facts_of(found, driver.now())

        return ask_on(self._loop, look)

    def calls(
        self,
        show: Show = "running",
        *,
        operation: str | None = None,
        worker: int | None = None,
        session: str | None = None,
        code: str | None = None,
        limit: int = 100,
    ) -> CallListing:
        """The pool's calls at this moment, at most `limit`, and how many there are; from any thread.

        `running` and `waiting`: the oldest first. `slowest` of those that ended in the last 15 minutes (of each minute
        the 50 slowest are remembered): the slowest first. `failed`: of the last 200 that were not answered, the newest
        first; those refused when they were made are none of them. Of one operation, worker (an id) or session, or
        with one error code. Raises `ValueError` for another `show` or a limit below 1.
        """
        check_show(show, limit)
        view, now, chosen = self.driver.view, self.driver.now, CallFilter(operation, worker, session, code)
        return ask_on(self._loop, lambda: call_listing.listed(view, now(), show, chosen, limit))

    def call_facts(self, call_id: int) -> CallFacts | None:
        """One call at this moment, or as it ended if that is remembered, else `None`; from any thread."""
        driver = self.driver
        return ask_on(self._loop, lambda: call_listing.facts_of(driver.view, call_id, driver.now()))

    def cancel_call(self, call_id: int) -> bool:
        """Give up a call that waits or runs, as its caller could; its caller gets `Cancelled`. From any thread.

        False if there is none of that id, or its answer came first. What becomes of the work is as the call's
        `on_cancel` says.
        """
        return ask_on(self._loop, lambda: self._cancel_call(call_id))

    def _cancel_call(self, call_id: int) -> bool:
        call = call_listing.found(self.driver.view, call_id)
        if call is None:
            return False
        self.driver.cancel(call)
        return call.ending in (None, "cancelled")

    def workers(self) -> tuple[WorkerFacts, ...]:
        """The workers that are there at this moment, by their ids; from any thread."""
        return ask_on(self._loop, lambda: worker_listing.listed(self.driver, self._monitors.processes()))

    def gone_workers(self) -> tuple[GoneWorkerFacts, ...]:
        """The last workers that are gone, the newest first: why, how, and the end of stderr; from any thread.

        At most 100 that were lost, and 50 that were retired or recycled.
        """
        return ask_on(self._loop, lambda: worker_listing.gone(self.driver.view, self.driver.now()))

    def operations(self) -> tuple[OperationFacts, ...]:
        """The handler's operations, with their parameters, docstrings and JSON Schemas; none before it opens."""
        facts = self.driver.engine.facts()
        if facts is None:
            return ()
        return tuple(one for one in facts.operations if one.name not in facts.removed)

    def logs(self, worker: int | None = None) -> str:
        """What workers wrote to stdout and stderr (the kept end of it): of one worker, or of all; from any thread."""
        return ask_on(self._loop, lambda: self._logs(worker))

    def _logs(self, worker: int | None) -> str:
        workers = self.driver.view.workers
        if worker is not None and worker not in workers:
            raise ValueError(f"no worker {worker} is there; there are {sorted(workers)}")
        return self.driver.engine.logs(None if worker is None else workers[worker])

    async def stack(self, worker: int) -> str:
        """The Python stacks of all threads of a worker at this moment, also while native code keeps its interpreter.

        Nothing the worker does is disturbed. Raises `NoStack`, a `RuntimeError` with the reason, within a second, where
        they cannot be had: the worker is stopped, gone or not started, or it does not answer.
        """
        self.factory_on_loop()
        there = self.driver.view.workers.get(worker)
        if there is None:
            raise NoStack(f"no worker {worker} is there")
        return await self.driver.engine.stack(there)

    def factory_on_loop(self) -> tuple[CallFactory, asyncio.AbstractEventLoop]:
        """The call factory, for a caller on the pool's loop; anyone else gets a `RuntimeError`."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            raise self._wrong_loop()
        return self.call_factory, loop

    def _wrong_loop(self) -> Exception:
        if self._loop is None:
            return refusals.closed(self.driver.view.state)
        return RuntimeError("this pool belongs to another event loop; use SyncPool to share one between threads")

    def check_open(self) -> None:
        """Raise `PoolClosed` unless the pool opens, serves or drains."""
        if not self.driver.view.is_staffed:
            raise refusals.closed(self.driver.view.state)

    async def entered(self) -> None:
        """Wait until an opening that is on its way is over. Raises `PoolClosed` unless the pool serves or drains."""
        self.factory_on_loop()
        await self._door.entered()
        self.check_open()

    def disown(self) -> None:
        """In a forked child: this pool is the parent's, and every verb raises `PoolClosed`."""
        self.driver.machine.forked()
        self._loop = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (PoolStub, (self.name,))

    def __repr__(self) -> str:
        m = self.driver.view  # of which plain numbers are read, on whatever thread this is
        state = states.DEGRADED if m.state == states.SERVING and m.fails else m.state
        return (
            f"<Pool {self.name!r} {state}: {len(m.workers)} of {m.wanted} workers, "
            f"{m.unended - m.queued} running, {m.queued} queued, {m.sessions_open} sessions>"
        )


def running_loop() -> asyncio.AbstractEventLoop:
    """The loop a pool is opened on. Raises `RuntimeError` where there is none, under trio for instance."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "Pool needs a running asyncio event loop (uvloop's will do, trio's will not); "
            "programs without one use SyncPool or Executor"
        ) from None


def check_handler(handler: Any) -> type | str | None:
    """Raise `TypeError` or `ValueError` for what can be no handler; strings are looked up in the workers only."""
    if isinstance(handler, type):
        return handler
    encode_handler(handler)
    return None if handler is None else str(handler)
