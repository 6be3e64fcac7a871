"""What the core orders, done: each order of its outbox goes to the engine, a caller's ticket, the bus or the store.

One table from the orders' types to functions. Comes after the machine has decided; decides nothing. What came of an
order that the machine must know (whether a call was still there, what a worker weighs) is a stimulus of the same turn;
so is that one failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent import futures
from typing import TYPE_CHECKING, Any, Protocol

from millpond.core import orders, worker_states
from millpond.runtime import traces
from millpond.runtime.faults import Faults

if TYPE_CHECKING:
    from millpond.core import Machine, Session, Worker
    from millpond.runtime.store_client import StoreClient
    from millpond.seams import Engine
    from millpond.telemetry.bus import Bus

_IS_DONE = (asyncio.InvalidStateError, futures.InvalidStateError)  # what a future raises that has its ending


class Warmer(Protocol):
    """Who warms the workers that have started, at the pace of a strategy."""

    def open_round(self) -> None:
        """The pool opens, and its first workers have been asked for."""

    def met(self, worker: Worker) -> None:
        """A worker answered its handshake."""

    def close(self) -> None:
        """The pool closes."""


class Carriers:
    """Who carries out the orders of one machine: `table[type(order)](order)`."""

    def __init__(
        self, machine: Machine, engine: Engine, bus: Bus, client: StoreClient, now: Callable[[], float]
    ) -> None:
        self._machine = machine
        self._engine = engine
        self._client = client
        self._now = now
        self.faults = Faults()
        self._closing_sessions: dict[Session, list[asyncio.Future[None]]] = {}
        self.warmer: Warmer | None = None  # who warms workers, if the pool has anything to warm them by
        send = engine.send
        self.table: dict[type, Callable[[Any], None]] = {
            orders.Send: lambda order: send(order.worker, order.call),
            orders.Finish: finish,
            orders.Withdraw: self._withdraw,
            orders.Interrupt: self._interrupt,
            orders.Start: lambda order: engine.start(order.worker),
            orders.Stop: lambda order: engine.stop(order.worker),
            orders.Kill: lambda order: engine.kill(order.worker),
            orders.Revive: lambda _: engine.revive(),
            orders.Ping: lambda order: engine.ping(order.worker),
            orders.Look: self._look,
            orders.Weigh: self._weigh,
            orders.Forget: lambda order: engine.forget_session(order.worker, order.number),
            orders.Emit: lambda order: bus.execute(order.event),
            orders.SessionEnded: lambda order: self.session_ended(order.session),
            orders.Warm: self._warm,
            orders.WarmStep: lambda order: order.run.ticket.step(order.run, order.step),
            orders.WarmEnd: lambda order: order.run.ticket.end(),
            orders.Store: self._store,
            orders.Recall: self._recall,
            orders.Erase: lambda order: client.erase(order.session.id, order.session.generation),
        }

    def mark_futures(self) -> None:
        """From now on tickets are `concurrent.futures` futures, to be told when their call begins."""
        self.table[orders.Send] = self._send_marked

    def failed(self, order: orders.Order, error: BaseException) -> None:
        """An order raised: note it, and have the core end what it was about. Raises nothing."""
        name, was_sent = order.verb, False
        self.faults.note(f"the order {name!r}", error, "it ends what it was about at most")
        try:
            if type(order) is orders.Start:
                self._clear_away(order.worker)
            elif type(order) is orders.Send:
                was_sent = self._engine.holds(order.worker, order.call)
            self._machine.order_failed(order, error, self._now(), was_sent)
        except Exception as another:
            self.faults.note(f"the failure of the order {name!r}", another)

    def _clear_away(self, worker: Worker) -> None:
        """Whatever was made of a worker whose start failed is of no use."""
        try:
            self._engine.kill(worker)
        except Exception as error:
            self.faults.note("the order 'kill'", error)

    def await_closing(self, session: Session, closed: asyncio.Future[None]) -> None:
        """Tell this future when the session is closed or lost."""
        self._closing_sessions.setdefault(session, []).append(closed)

    def session_ended(self, session: Session) -> None:
        """A session has ended: whoever waits for that is told."""
        for waiting in self._closing_sessions.pop(session, ()):
            if not waiting.done():
                waiting.set_result(None)

    def _send_marked(self, order: orders.Send) -> None:
        """A future that was cancelled before its call was sent keeps its word: the call never runs."""
        call = order.call
        if call.continuation is not None or call.ticket.may_begin():
            self._engine.send(order.worker, call)
        else:
            self._machine.unsent(order.worker, call, self._now())

    def _withdraw(self, order: orders.Withdraw) -> None:
        worker, call = order.worker, order.call
        is_proven = worker.state == worker_states.GONE or self._engine.withdraw(worker, call)
        self._machine.withdrawn(worker, call, is_proven, self._now())

    def _interrupt(self, order: orders.Interrupt) -> None:
        if order.worker.inflight.get(order.call.id) is order.call:
            self._engine.interrupt(order.worker, order.call)

    def _look(self, order: orders.Look) -> None:
        self._machine.looked(order.worker, self._engine.is_stopped(order.worker), self._now())

    def _weigh(self, order: orders.Weigh) -> None:
        self._machine.weighed(order.worker, self._engine.memory(order.worker), self._now())

    def _store(self, order: orders.Store) -> None:
        session, record = order.session, order.record
        self._client.store(record, lambda _, failure: self._machine.stored(session, record, failure, self._now()))

    def _recall(self, order: orders.Recall) -> None:
        session = order.session
        self._client.recall(
            session.id, lambda record, failure: self._machine.recalled(session, record, failure, self._now())
        )

    def _warm(self, order: orders.Warm) -> None:
        assert self.warmer is not None
        self.warmer.met(order.worker)


def finish(order: orders.Finish) -> None:
    """Give a call's result, or its error, to whoever waits for it, and then tell whoever traces it."""
    call, value = order.call, order.value
    ticket = call.ticket
    # An executor's future names its call: without this the two would be left to the garbage collector, which costs
    # an eighth of the rate.
    call.payload = call.ticket = None
    try:
        if ticket is None:
            pass
        elif call.ending == "ok":
            ticket.set_result(value)
        else:
            ticket.set_exception(value)
    except _IS_DONE:
        pass  # it was cancelled, or told before: asking first would cost every call what only these need
    finally:
        if call.trace is not None:
            traces.end(call, call.ending or "", value)
