"""The blocking face: the pool's verbs for programs without asyncio, safe to share between threads.

Owns a loop in a thread. Arguments are checked and serialized in the calling thread, so that the loop's thread only
carries them; the calls then go the way of all others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, cast

from millpond.calls import Calls
from millpond.core import states
from millpond.errors import PoolClosed, PoolError
from millpond.facts import (
    CallFacts,
    CallListing,
    GoneWorkerFacts,
    SessionFacts,
    SessionState,
    Show,
    Statistics,
    WorkerFacts,
)
from millpond.following import SyncWarmer
from millpond.loopthread import LoopThread
from millpond.options import DEFAULT, Options
from millpond.pool import Pool
from millpond.settings import Affinity, OnRestore
from millpond.warming.commands import Warmup
from millpond.warming.outcomes import WarmReport
from millpond.warming.strategies import Strategy

if TYPE_CHECKING:
    from millpond.alerts.alerts import Alerts
    from millpond.core import Call
    from millpond.handles import SessionHandle
    from millpond.metrics.collector import MetricsCollector
    from millpond.optimizer.pool_optimizer import PoolOptimizer
    from millpond.seams import OperationFacts, TraceSource
    from millpond.telemetry.bus import Bus


class SyncCalls:
    """A pool's operations under certain options, blocking."""

    def __init__(self, owner: SyncPool, options: Options) -> None:
        self._owner = owner
        self._options = options

    def call(self, operation: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run one operation and wait for its result.

        Raises what the operation raised, or a `PoolError`. An interrupt of the waiting thread (Ctrl-C) interrupts the
        operation too.
        """
        return self._wait(*self._begin("operation_call", operation, args, kwargs))

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run a plain function in a worker and wait for its result."""
        return self._wait(*self._begin("function_call", function, args, kwargs))

    def map(self, operation: str, items: Iterable[Any], /) -> Iterator[Any]:
        """Run one operation over many arguments; results in their order, a bounded number ahead."""
        ahead: deque[tuple[Future[Any], Call]] = deque()
        try:
            for item in items:
                ahead.append(self._begin("operation_call", operation, (item,), {}))
                if len(ahead) >= self._owner.pool.map_window:
                    yield self._wait(*ahead.popleft())
            while ahead:
                yield self._wait(*ahead.popleft())
        finally:
            for future, call in ahead:
                self._give_up(future, call)

    def stream(self, operation: str, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Run a generator operation and iterate over its items; closing the iterator ends it in the worker."""
        owner = self._owner
        owner.check_thread()
        stream = Calls(owner.pool, self._options).stream(operation, *args, **kwargs)
        try:
            while True:
                try:
                    item = owner.run_async(stream.__anext__)
                except StopAsyncIteration:
                    return
                yield item
        finally:
            # Not waited for: a generator nobody names any more may be collected on the pool's own thread.
            owner.thread.start_task(stream.aclose())

    def options(self, **changes: Any) -> SyncCalls:
        """The same operations under other options: deadline, session, idempotent, priority, on_cancel."""
        return SyncCalls(self._owner, self._options.changed(changes))

    def _begin(self, make: str, what: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Future[Any], Call]:
        owner = self._owner
        owner.check_thread()
        factory, future = owner.pool.call_factory, Future[Any]()
        try:
            call: Call = getattr(factory, make)(what, args, kwargs, self._options, future)
        except PoolError as error:
            owner.thread.post(factory.refuse, error)
            raise
        call.own_payload()
        owner.thread.post(factory.submit_or_fail, call)
        return future, call

    def _wait(self, future: Future[Any], call: Call) -> Any:
        try:
            return future.result()
        except BaseException:
            if not future.done():
                self._give_up(future, call)
            raise

    def _give_up(self, future: Future[Any], call: Call) -> None:
        driver = self._owner.pool.driver

        def on_thread() -> None:  # where nobody is just about to set its result
            if future.cancel():
                driver.cancel(call)

        self._owner.thread.post(on_thread)


class SyncSession(SyncCalls):
    """One session, blocking; see `SessionHandle`."""

    def __init__(self, owner: SyncPool, handle: SessionHandle) -> None:
        super().__init__(owner, handle.chosen)
        self._handle = handle

    def __enter__(self) -> SyncSession:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the handle; the session stays."""

    def close(self) -> None:
        """End the session: calls already made come first, then `close_session` runs in its worker."""
        if self._handle.state == "open":
            self._owner.run_async(self._handle.close)

    @property
    def id(self) -> str:
        """The session's id."""
        return self._handle.id

    @property
    def generation(self) -> int:
        """How often it was reopened after a loss, plus one."""
        return self._handle.generation

    @property
    def state(self) -> str:
        """open, closing, closed or lost."""
        return self._handle.state


class SyncPool(SyncCalls):
    """A `Pool` for programs without asyncio: the same arguments, the same verbs, blocking and thread-safe."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.pool = Pool(*args, **kwargs)
        self.pool.call_factory.checks_wait_first = False
        self.thread = LoopThread(f"millpond-{self.pool.name}", self.pool.driver.carry_out)
        self._lock = threading.RLock()  # held while the thread is started, and while it is ended
        super().__init__(self, DEFAULT)

    def open(self) -> SyncPool:
        """Start the pool and wait until `min_workers` are ready; returns itself. Raises as `Pool.open`."""
        self._check_other_thread()
        with self._lock:
            if self.pool.driver.view.state == states.CLOSED:
                raise PoolClosed("the pool is closed; make another")
            if not self.thread.is_running:
                self.thread.start()
        try:
            self.thread.run(self.pool.open())
        except BaseException:
            self.close()
            raise
        return self

    def close(self, drain: float | None = None) -> None:
        """Close the pool and end its thread; see `Pool.close`. Any number of times."""
        self._check_other_thread()
        with self._lock:
            if self.thread.is_running:
                self.thread.run(self.pool.close(drain))
                self.thread.stop()
            else:
                self.pool.close_unopened()

    def drain(self) -> None:
        """Take no more calls, and wait until what is queued and running has ended."""
        self.run_async(self.pool.drain)

    def __enter__(self) -> SyncPool:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def session(
        self,
        session_id: str,
        *,
        reopen: bool = False,
        affinity: Affinity | None = None,
        on_restore: OnRestore | None = None,
    ) -> SyncSession:
        """Open the session, or join the open one. Raises as `SessionHandle.open`."""
        handle = self.pool.session(session_id, reopen=reopen, affinity=affinity, on_restore=on_restore)
        return SyncSession(self, self.run_async(handle.open))

    def resize(self, *, min_workers: int | None = None, max_workers: int | None = None) -> None:
        """Set new bounds, and wait until the floor is ready."""
        self.run_async(lambda: self.pool.resize(min_workers=min_workers, max_workers=max_workers))

    def configure(self, **settings: Any) -> dict[str, Any]:
        """Change live settings while the pool runs; see `Pool.configure`."""
        changed: dict[str, Any] = self.run_async(lambda: self.pool.configure(**settings))
        return changed

    def warm(self, strategy: Strategy | None = None, *, commands: Sequence[Warmup] | None = None) -> WarmReport:
        """Warm the pool's workers again, in service; see `Pool.warm`."""
        report: WarmReport = self.run_async(lambda: self.pool.warm(strategy, commands=commands))
        return report

    def replace_workers(self) -> None:
        """Replace every worker there is now, one after another; sessions move to the new ones."""
        self.run_async(self.pool.replace_workers)

    def statistics(self) -> Statistics:
        """The pool at this moment."""
        return self.thread.ask(self.pool.statistics)

    def sessions(
        self,
        *,
        prefix: str = "",
        state: SessionState | None = None,
        worker: int | None = None,
        limit: int = 1000,
        after: int = 0,
    ) -> tuple[SessionFacts, ...]:
        """The pool's sessions at this moment, oldest first, at most `limit`; see `Pool.sessions`."""
        return self.pool.sessions(prefix=prefix, state=state, worker=worker, limit=limit, after=after)

    def session_facts(self, session_id: str) -> SessionFacts | None:
        """One session at this moment, `None` if there is none of that id."""
        return self.pool.session_facts(session_id)

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
        """The pool's calls at this moment, at most `limit`, and how many there are; see `Pool.calls`."""
        return self.pool.calls(show, operation=operation, worker=worker, session=session, code=code, limit=limit)

    def call_facts(self, call_id: int) -> CallFacts | None:
        """One call at this moment, or as it ended if that is remembered, else `None`."""
        return self.pool.call_facts(call_id)

    def cancel_call(self, call_id: int) -> bool:
        """Give up a call that waits or runs; its caller gets `Cancelled`. See `Pool.cancel_call`."""
        return self.pool.cancel_call(call_id)

    def workers(self) -> tuple[WorkerFacts, ...]:
        """The workers that are there at this moment, by their ids."""
        return self.pool.workers()

    def gone_workers(self) -> tuple[GoneWorkerFacts, ...]:
        """The last workers that are gone, the newest first; see `Pool.gone_workers`."""
        return self.pool.gone_workers()

    def operations(self) -> tuple[OperationFacts, ...]:
        """The handler's operations, with their parameters, docstrings and JSON Schemas; none before it opens."""
        return self.thread.ask(self.pool.operations)

    def logs(self, worker: int | None = None) -> str:
        """What workers wrote to stdout and stderr (the kept end of it)."""
        return self.thread.ask(lambda: self.pool.logs(worker))

    def stack(self, worker: int) -> str:
        """The Python stacks of all threads of a worker at this moment; see `Pool.stack`."""
        text: str = self.run_async(lambda: self.pool.stack(worker))
        return text

    @property
    def warmer(self) -> SyncWarmer:
        """The report of the last warm-up, and the progress of the next; from any thread but the pool's own."""
        return SyncWarmer(self.pool.warmer, self.thread)

    @property
    def telemetry(self) -> Bus:
        """Where listeners attach; they are called on the pool's thread."""
        return self.pool.telemetry

    @property
    def metrics(self) -> MetricsCollector:
        """What the pool adds up; safe to be asked from any thread. Raises `RuntimeError` with `metrics=False`."""
        return self.thread.ask(lambda: self.pool.metrics)

    @property
    def alerts(self) -> Alerts:
        """The pool's alerts, each of whose methods is run on the pool's thread; raises as `metrics`."""
        return cast("Alerts", _OnThread(self.thread, self.thread.ask(lambda: self.pool.alerts)))

    @property
    def optimizer(self) -> PoolOptimizer:
        """The pool's optimizer, each of whose methods is run on the pool's thread; raises as `metrics`.

        Coroutines are waited for.
        """
        return cast("PoolOptimizer", _OnThread(self.thread, self.thread.ask(lambda: self.pool.optimizer)))

    @property
    def trace_source(self) -> TraceSource | None:
        """Who traces the pool's calls, if anybody does; set before they are made."""
        return self.pool.trace_source

    @trace_source.setter
    def trace_source(self, source: TraceSource | None) -> None:
        self.pool.trace_source = source

    @property
    def run_id(self) -> str:
        """What the pool's processes carry in their environment as MILLPOND_RUN_ID."""
        return self.pool.run_id

    def check_thread(self) -> None:
        """Raise `RuntimeError` on the pool's own thread, which would wait for itself; `PoolClosed` if it has none."""
        self._check_other_thread()
        self.pool.check_open()

    def run_async(self, verb: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run one of the pool's own verbs on its thread and wait for it; raises as `check_thread`."""
        self.check_thread()
        return self.thread.run(verb())

    def _check_other_thread(self) -> None:
        if self.thread.is_current:
            raise RuntimeError("a SyncPool cannot be called from its own thread (a listener or a done-callback)")

    def __reduce__(self) -> tuple[Any, ...]:
        return self.pool.__reduce__()

    def __repr__(self) -> str:
        return f"<Sync{repr(self.pool)[1:]}"


class _OnThread:
    """Something whose methods belong on the pool's thread, for the others."""

    def __init__(self, thread: LoopThread, target: Any) -> None:
        self._thread = thread
        self._target = target

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not callable(method):
            return method
        if iscoroutinefunction(method):
            return lambda *args, **kwargs: self._thread.run(method(*args, **kwargs))
        return lambda *args, **kwargs: self._thread.ask(lambda: method(*args, **kwargs))
