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
from millpond.core import UNKEPT, Machine, Session, Worker, orders, worker_states
from millpond.logger.pool_logger import PoolLogger
from millpond.runtime.carriers import Carriers
from millpond.runtime.faults import INTERRUPTS
from millpond.runtime.forwarding import Forwarding
from millpond.runtime.stalls import Stalls
from millpond.wire.saved import restored

if TYPE_CHECKING:
    from random import Random

    from millpond.core import Call, SizingRule
    from millpond.runtime.store_client import StoreClient
    from millpond.seams import Clock, Death, Engine, Timer
    from millpond.settings import Settings
    from millpond.telemetry.bus import Bus

log = PoolLogger("millpond")

BEAT_S = 0.5  # seconds between looks of the engine at its channels, and at the clock


class Driver:
    """The ears of one machine, an `EngineEvents`, and its clock; its hands are `orders`."""

    def __init__(
        self, settings: Settings, engine: Engine, clock: Clock, random: Random, bus: Bus, store_client: StoreClient
    ) -> None:
        self.machine = Machine(settings, random)
        self.machine.listen(bus.has_listener)
        self.view = self.machine.view
        self._alarm = self.machine.alarm
        self._outbox = self.machine.outbox
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
        self._beat_timer: Timer | None = None
        self._is_carrying = False
        self._is_due = False  # whether the end of this turn carries out what is ordered until then
        self._tells_depth = False  # whether anybody listens to `queue.depth`
        self._depth = 0  # bits of the number of waiting calls when it was last told
        self._explained: set[int] = set()  # workers that said why they cannot start, until they are gone
        self.forwarding = Forwarding()
        self.stalls = Stalls(bus)
        self.carriers = Carriers(self.machine, engine, bus, store_client, clock.now)
        store_client.batch_end = self.carry_out
        bus.on_change(self._listeners_changed)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Belong to a loop: timers are set on it from now on."""
        self._loop = loop
        self.stalls.watch()
        self._set_beat()

    def detach(self) -> None:
        """Set no more timers."""
        if self._timer is not None:
            self._timer.cancel()
        if self._beat_timer is not None:
            self._beat_timer.cancel()
        self._timer, self._timer_at, self._loop, self._beat_timer = None, math.inf, None, None
        self._alarm.beat_at = math.inf
        self.stalls.close()

    # What callers do

    def cancel(self, call: Call) -> None:
        """The caller gives the call up; its ticket must be done already."""
        self.machine.cancel(call, self.now())
        self.carry_out()

    def configure(self, settings: Settings, reason: str) -> None:
        """Go on with other settings."""
        self.machine.configure(settings, reason, self.now())
        self.carry_out()

    def size_by(self, rule: SizingRule, reason: str) -> None:
        """Size the pool by another rule."""
        self.machine.size_by(rule, reason, self.now())
        self.carry_out()

    def replace(self, worker: Worker) -> None:
        """Let a new worker take this one's place, its sessions taken along."""
        self.machine.replace(worker, self.now())
        self.carry_out()

    def keep(self, worker: Worker) -> None:
        """Let a worker stay that was to be replaced."""
        self.machine.keep(worker, self.now())
        self.carry_out()

    def try_at_once(self) -> None:
        """The code is another: the next start need not wait."""
        self.machine.try_at_once(self.now())
        self.carry_out()

    def forgive(self) -> None:
        """What made starts fail is not there any more: the next need not wait."""
        self.machine.forgive(self.now())
        self.carry_out()

    async def open_session(
        self, session_id: str, affinity_mode: str | None, reopen: bool, on_restore: str | None
    ) -> Session:
        """Open or join a session; one that an earlier program left in the store goes on from there."""
        record = None
        if self.store_client.remembers and self.view.session(session_id) is None:
            record = await self.store_client.find(session_id)
        session = self.machine.open_session(session_id, affinity_mode, reopen, self.now(), on_restore, record)
        self.carry_out()
        return session

    def close_session(self, session: Session) -> asyncio.Future[None]:
        """Begin to end a session; the future is done when it is closed or lost."""
        assert self._loop is not None
        closed: asyncio.Future[None] = self._loop.create_future()
        self.carriers.await_closing(session, closed)
        self.machine.close_session(session, self.now())
        if session.state in ("closed", "lost"):
            self.carriers.session_ended(session)
        self.carry_out()
        return closed

    # What the engine tells

    def warming(self, worker: Worker, pid: int) -> None:
        """See `EngineEvents`."""
        self.machine.warming(worker, pid, self.now())
        self.carry_out()

    def ready(self, worker: Worker, pid: int) -> None:
        """See `EngineEvents`."""
        if not self.view.operations:
            facts = self.engine.facts()
            if facts is not None:
                self.machine.learn(facts)
        self.machine.ready(worker, pid, self.now())
        self.carry_out()

    def start_failed(self, worker: Worker, message: str, brief: str) -> None:
        """See `EngineEvents`."""
        log.warning("worker %d could not start: %s; `statistics().reason` has the text", worker.id, brief)
        self._explained.add(worker.id)
        self.machine.start_failed(worker, message)
        self.carry_out()

    def gone(self, worker: Worker, death: Death, started: Iterable[int]) -> None:
        """See `EngineEvents`."""
        if worker.state == worker_states.GONE:  # its start failed while it was ordered, and that was told
            return
        is_starting = worker.state in (worker_states.STARTING, worker_states.WARMING)
        has_failed = is_starting or worker.cause == worker_states.START_FAILED
        if has_failed and worker.id not in self._explained:
            why = f" because it {worker.reason}" if worker.reason else ""
            message = "worker %d ended with %s%s before it was ready; `statistics().reason` has what it wrote"
            log.warning(message, worker.id, death, why)
        self._explained.discard(worker.id)
        self.machine.worker_gone(worker, death, set(started), self.now())
        self.carry_out()

    def stopped(self, worker: Worker, is_stopped: bool) -> None:
        """See `EngineEvents`."""
        self.machine.stopped(worker, is_stopped, self.now())
        self.carry_out()

    def saved(self, worker: Worker, call_id: int, lease: int, flags: int, body: bytes) -> None:
        """See `EngineEvents`. Raises `ProtocolError` for what cannot be the state of that session."""
        call = worker.inflight.get(call_id)
        session = call.session if call is not None else None
        if session is not None and session.lease == lease:
            kept = None if session.snapshot is UNKEPT else session.snapshot
            state, reason = restored(kept, flags, body)
            self.machine.saved(worker, call_id, lease, state, reason)

    def undelivered(self, error: BaseException) -> None:
        """See `EngineEvents`."""
        self.carriers.faults.note("what a worker said", error, "it ends the call it was about at most")

    def item(self, worker: Worker, call_id: int, value: Any) -> None:
        """See `EngineEvents`. Items of a stream nobody reads any more are dropped."""
        call = worker.inflight.get(call_id)
        if call is not None and call.is_stream and call.ending is None:
            call.ticket.item(value)
        self.machine.progressed(worker, self.now())

    def ponged(self, worker: Worker, held: int) -> None:
        """See `EngineEvents`."""
        self.machine.ponged(worker, held, self.now())
        self.carry_out()

    def distrusted(self, worker: Worker, why: str) -> None:
        """See `EngineEvents`."""
        self.machine.distrusted(worker, why, self.now())
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
            self._outbox.append(orders.Emit(event))

    def stood_still(self, since: float) -> float:
        """See `EngineEvents`."""
        return self.view.stood_still(since, self.now())

    def engine_lost(self, message: str) -> None:
        """See `EngineEvents`."""
        log.error("no worker can be started, the pool tries again; `statistics().reason` says why")
        self.machine.engine_lost(message, self.now())
        self.carry_out()

    def workers_lost(self, workers: Iterable[Worker], message: str) -> None:
        """See `EngineEvents`."""
        self.machine.workers_lost(workers, message, self.now())
        self.carry_out()

    def engine_back(self) -> None:
        """See `EngineEvents`."""
        self.machine.engine_back(self.now())
        self.carry_out()

    # What the core orders

    def carry_out(self) -> None:
        """Do what the machine ordered, and what comes of that, until nothing is left; then look at the clock."""
        if self._is_carrying:  # an order's consequence: the loop below takes its orders too
            return
        self._is_carrying = True
        outbox, carriers, interrupt = self._outbox, self.carriers.table, None
        for order in outbox:  # and what these put behind them
            try:
                carriers[type(order)](order)
            except BaseException as error:  # those behind it are carried out, too
                interrupt = self._failed(order, error) or interrupt
        outbox.clear()
        self._is_carrying = False
        if self._alarm.at < self._timer_at:
            self._set_timer(self._alarm.at)
        if self._tells_depth:
            self._tell_depth()
        if self._watchers:
            for look in list(self._watchers):
                look()
        if interrupt is not None:
            raise interrupt

    batch_end = carry_out  # see `EngineEvents`

    def carry_out_soon(self) -> None:
        """Carry out when this turn of the loop ends what its callers have brought by then."""
        if not self._is_due and self._loop is not None:
            self._is_due = True
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._is_due = False
        self.carry_out()

    def _failed(self, order: orders.Order, error: BaseException) -> BaseException | None:
        """An order raised; returns what raised if that was an interrupt, which is for the loop."""
        self.carriers.failed(order, error)
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
        self.machine.sample(is_sampled)

    def _listeners_changed(self) -> None:
        self.machine.listen(self.bus.has_listener)
        self._tells_depth = self.bus.has_listener(events.QueueDepth.name)

    def _tell_depth(self) -> None:
        depth = self.view.queued.bit_length()
        if depth != self._depth:
            self._depth = depth
            self.bus.execute(events.QueueDepth(self.view.queued, self.view.queued_bytes))

    def _set_timer(self, at: float) -> None:
        if self._loop is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._clock.call_at(self._loop, at, self._tick)

    def _set_beat(self) -> None:
        if self._loop is not None:
            self._alarm.beat_at = self.now() + BEAT_S
            self._beat_timer = self._clock.call_at(self._loop, self._alarm.beat_at, self._beat)

    def _beat(self) -> None:
        """Have the engine look at its channels, after each half of a second in which the pool ran."""
        now = self.now()
        try:
            if self.view.is_late(now):
                self._tick()
            elif not self.view.stood_still(now - BEAT_S, now):
                self.engine.check()
        except Exception as error:
            self.carriers.faults.note("the engine's check", error, "it is made again")
        finally:
            self._set_beat()

    def _catch_up(self) -> None:
        """Nobody is judged before what they said meanwhile was read.

        What comes of it is carried out afterwards: workers that were sent more would answer that as well, for as long
        as calls wait, and this would not end before.
        """
        self._is_carrying = True
        try:
            self.engine.catch_up()
        except Exception as error:
            self.carriers.faults.note("reading what came in meanwhile", error)
        finally:
            self._is_carrying = False

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()  # a late beat came before it
        self._timer, self._timer_at = None, math.inf
        now = self.now()
        try:
            if self.view.is_late(now):
                self.stalls.note(self._alarm.wake_at, now)
                self._catch_up()
            self.machine.tick(self.now())
        finally:  # what it ordered until then is done, and there is a next time
            self.carry_out()
