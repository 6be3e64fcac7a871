"""Carries out the core's orders on an asyncio loop and tells the core what the engine and the clock say.

One driver a pool; everything here happens on the loop's thread. It decides nothing: each stimulus goes to the machine,
each order in the outbox to `orders`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core import affinity, fleet, hearing, outage, staffing
from millpond.core.machine import Machine
from millpond.core.session import Session
from millpond.core.worker import GONE, START_FAILED, STARTING, WARMING, Worker
from millpond.logger.pool_logger import PoolLogger
from millpond.runtime.faults import INTERRUPTS
from millpond.runtime.forwarding import Forwarding
from millpond.runtime.orders import Orders
from millpond.runtime.stalls import Stalls
from millpond.wire.saved import restored

if TYPE_CHECKING:
    from random import Random

    from millpond.core.call import Call
    from millpond.runtime.store_client import StoreClient
    from millpond.seams import Clock, Death, Engine, Timer
    from millpond.settings import Settings
    from millpond.telemetry.bus import Bus

log = PoolLogger("millpond")


class Driver:
    """The ears of one machine, an `EngineEvents`, and its clock; its hands are `orders`."""

    def __init__(
        self, settings: Settings, engine: Engine, clock: Clock, random: Random, bus: Bus, store_client: StoreClient
    ) -> None:
        self.machine = Machine(settings, random)
        self.machine.has_listener = bus.has_listener
        self.answered = self.machine.answered  # see `EngineEvents`; each call is spared a step
        self.engine = engine
        self.store_client = store_client
        self.now = clock.now
        self._clock = clock
        self.bus = bus
        self.renewing = asyncio.Lock()  # held while the code is loaded anew and the workers are replaced
        self._watchers: set[Callable[[], None]] = set()  # called after anything happened, while somebody waits for it
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: Timer | None = None
        self._timer_at = math.inf
        self._is_carrying = False
        self._tells_depth = False  # whether anybody listens to `queue.depth`
        self._depth = 0  # bits of the number of waiting calls when it was last told
        self._explained: set[int] = set()  # workers that said why they cannot start, until they are gone
        self.forwarding = Forwarding()
        self.stalls = Stalls(bus)
        self.orders = Orders(self.machine, engine, bus, store_client, clock.now)
        store_client.batch_end = self.carry_out
        bus.on_change(self._listeners_changed)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to a loop: timers are set on it from now on."""
        self._loop = loop
        self.stalls.watch()

    def detach(self) -> None:
        """Set no more timers."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at, self._loop = None, math.inf, None
        self.stalls.close()

    # What callers do

    def cancel(self, call: Call) -> None:
        """The caller gives the call up; its ticket must be done already."""
        self.machine.cancel(call, self.now())
        self.carry_out()

    def resize(self, low: int, high: int) -> None:
        """New bounds for the number of workers."""
        staffing.set_bounds(self.machine, low, high, "resize()", self.now())
        self.carry_out()

    def replace(self, worker: Worker) -> None:
        """Let a new worker take this one's place, its sessions taken along."""
        staffing.replace(self.machine, worker, "replace_workers()", self.now())
        self.carry_out()

    def keep(self, worker: Worker) -> None:
        """Let a worker stay that was to be replaced."""
        staffing.keep(self.machine, worker, self.now())
        self.carry_out()

    def try_at_once(self) -> None:
        """The code is another: the next start need not wait."""
        staffing.try_at_once(self.machine, self.now())
        self.carry_out()

    def forgive(self) -> None:
        """What made starts fail is not there any more: the next need not wait."""
        staffing.forgive(self.machine, self.now())
        self.carry_out()

    async def open_session(
        self, session_id: str, affinity_mode: str | None, reopen: bool, on_restore: str | None
    ) -> Session:
        """Open or join a session; one that an earlier program left in the store goes on from there."""
        record = None
        if self.store_client.remembers and self.machine.book.find(session_id) is None:
            record = await self.store_client.find(session_id)
        session = affinity.open_session(self.machine, session_id, affinity_mode, reopen, self.now(), on_restore, record)
        self.carry_out()
        return session

    def close_session(self, session: Session) -> asyncio.Future[None]:
        """Begin to end a session; the future is done when it is closed or lost."""
        assert self._loop is not None
        closed: asyncio.Future[None] = self._loop.create_future()
        self.orders.await_closing(session, closed)
        affinity.close_session(self.machine, session, self.now())
        if session.state in ("closed", "lost"):
            self.orders.session_closed(session)
        self.carry_out()
        return closed

    # What the engine tells

    def warming(self, worker: Worker, pid: int) -> None:
        """See `EngineEvents`."""
        fleet.warming(self.machine, worker, pid, self.now())
        self.carry_out()

    def ready(self, worker: Worker, pid: int) -> None:
        """See `EngineEvents`."""
        if not self.machine.operations:
            facts = self.engine.facts()
            if facts is not None:
                self.machine.knows(facts)
        fleet.ready(self.machine, worker, pid, self.now())
        self.carry_out()

    def start_failed(self, worker: Worker, message: str, brief: str) -> None:
        """See `EngineEvents`."""
        log.warning("worker %d could not start: %s; `statistics().reason` has the text", worker.id, brief)
        self._explained.add(worker.id)
        fleet.start_failed(self.machine, worker, message)
        self.carry_out()

    def gone(self, worker: Worker, death: Death, started: Iterable[int]) -> None:
        """See `EngineEvents`."""
        if worker.state == GONE:  # its start failed while it was ordered, and that was told
            return
        has_failed = worker.state in (STARTING, WARMING) or worker.cause == START_FAILED
        if has_failed and worker.id not in self._explained:
            why = f" because it {worker.reason}" if worker.reason else ""
            told = "worker %d ended with %s%s before it was ready; `statistics().reason` has what it wrote"
            log.warning(told, worker.id, death, why)
        self._explained.discard(worker.id)
        self.machine.worker_gone(worker, death, set(started), self.now())
        self.carry_out()

    def stopped(self, worker: Worker, is_stopped: bool) -> None:
        """See `EngineEvents`."""
        fleet.stopped(self.machine, worker, is_stopped, self.now())
        self.carry_out()

    def saved(self, worker: Worker, call_id: int, lease: int, flags: int, body: bytes) -> None:
        """See `EngineEvents`. Raises `ProtocolError` for what cannot be the state of that session."""
        call = worker.inflight.get(call_id)
        session = call.session if call is not None else None
        if session is not None and session.lease == lease:
            state, reason = restored(session.baggage, flags, body)
            self.machine.saved(worker, call_id, lease, state, reason)

    def undelivered(self, error: BaseException) -> None:
        """See `EngineEvents`."""
        self.orders.faults.note("what a worker said", error, "it ends the call it was about at most")

    def item(self, worker: Worker, call_id: int, value: Any) -> None:
        """See `EngineEvents`. Items of a stream nobody reads any more are dropped."""
        call = worker.inflight.get(call_id)
        if call is not None and call.is_stream and call.ending is None:
            call.ticket.item(value)
        worker.last_progress = self.now()

    def ponged(self, worker: Worker, held: int) -> None:
        """See `EngineEvents`."""
        fleet.ponged(self.machine, worker, held, self.now())
        self.carry_out()

    def distrusted(self, worker: Worker, why: str) -> None:
        """See `EngineEvents`."""
        fleet.distrust(self.machine, worker, why, self.now())
        self.carry_out()

    def logged(self, worker: Worker, call_id: int, level: int, logger: str, message: str) -> None:
        """See `EngineEvents`."""
        self.forwarding.take(worker, call_id, level, logger, message)

    def emitted(
        self,
        worker: Worker,
        call_id: int,
        name: str,
        measurements: Mapping[str, Any],
        metadata: Mapping[str, Any],
        suppressed: int,
    ) -> None:
        """See `EngineEvents`."""
        if self.bus.has_listener(name):
            call = worker.inflight.get(call_id)
            operation = call.op.name if call is not None else None
            whose = worker.id, worker.pid, call_id or None, operation
            event = events.UserEvent(name, *whose, measurements, metadata, suppressed)
            self.machine.outbox.append(("say", event, None))

    def stood_still(self, since: float) -> float:
        """See `EngineEvents`."""
        return self.machine.stood_still(since, self.now())

    def engine_lost(self, message: str) -> None:
        """See `EngineEvents`."""
        log.error("no worker can be started, the pool tries again; `statistics().reason` says why")
        outage.engine_lost(self.machine, message, self.now())
        self.carry_out()

    def workers_lost(self, workers: Iterable[Worker], message: str) -> None:
        """See `EngineEvents`."""
        outage.workers_lost(self.machine, workers, message, self.now())
        self.carry_out()

    def engine_back(self) -> None:
        """See `EngineEvents`."""
        outage.engine_back(self.machine, self.now())
        self.carry_out()

    # What the core orders

    def carry_out(self) -> None:
        """Do what the machine ordered, and what comes of that, until nothing is left; then look at the clock."""
        machine = self.machine
        if self._is_carrying:  # an order's consequence: the loop below takes its orders too
            return
        self._is_carrying = True
        verbs, interrupt = self.orders.verbs, None
        for verb, subject, detail in machine.outbox:  # and what these put behind them
            try:
                verbs[verb](subject, detail)
            except BaseException as error:  # those behind it are carried out, too
                interrupt = self._failed(verb, subject, detail, error) or interrupt
        machine.outbox.clear()
        self._is_carrying = False
        if machine.wake_at < self._timer_at:
            self._set_timer(machine.wake_at)
        if self._tells_depth:
            self._tell_depth()
        if self._watchers:
            for look in list(self._watchers):
                look()
        if interrupt is not None:
            raise interrupt

    batch_end = carry_out  # see `EngineEvents`

    def _failed(self, verb: str, subject: Any, detail: Any, error: BaseException) -> BaseException | None:
        """An order raised; returns what raised if that was an interrupt, which is for the loop."""
        self.orders.failed(verb, subject, detail, error)
        return error if issubclass(type(error), INTERRUPTS) else None  # not `isinstance`, which runs its `__class__`

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that only what happens here can change."""
        if holds():
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def look() -> None:
            if not done.done() and holds():
                done.set_result(None)

        self._watchers.add(look)
        try:
            await done
        finally:
            self._watchers.discard(look)

    def sample(self, is_sampled: bool) -> None:
        """Let calls that end leave samples from now on, or no more."""
        self.machine.is_sampled = is_sampled

    def _listeners_changed(self) -> None:
        hearing.follow(self.machine)
        self._tells_depth = self.bus.has_listener(events.QueueDepth.name)

    def _tell_depth(self) -> None:
        depth = self.machine.queued.bit_length()
        if depth != self._depth:
            self._depth = depth
            self.bus.execute(events.QueueDepth(self.machine.queued, self.machine.queued_bytes))

    def _set_timer(self, at: float) -> None:
        if self._loop is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._clock.call_at(self._loop, at, self._tick)

    def _catch_up(self) -> None:
        """Nobody is judged before what they said meanwhile was read.

        What comes of it is carried out afterwards: workers that were sent more would answer that as well, for as long
        as calls wait, and this would not end before.
        """
        self._is_carrying = True
        try:
            self.engine.catch_up()
        except Exception as error:
            self.orders.faults.note("reading what came in meanwhile", error)
        finally:
            self._is_carrying = False

    def _tick(self) -> None:
        self._timer, self._timer_at = None, math.inf
        now = self.now()
        try:
            if self.machine.is_late(now):
                self.stalls.note(self.machine.wake_at, now)
                self._catch_up()
            self.machine.tick(self.now())
        finally:  # what it ordered until then is done, and there is a next time
            self.carry_out()
