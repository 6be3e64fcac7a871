"""What the core orders, done: each verb of its outbox goes to the engine, to a caller's ticket, the bus or the store.

One table, one function a verb. Comes after the machine has decided; decides nothing. What came of an order that the
machine must know (whether a call was still there, what a worker weighs) is told to it at once; so is that one failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent import futures
from typing import TYPE_CHECKING, Any, Protocol

from millpond.core import fleet
from millpond.core.failures import SENT
from millpond.runtime import traces
from millpond.runtime.faults import Faults
from millpond.runtime.tickets import Ticket

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.session import Session
    from millpond.core.worker import Worker
    from millpond.runtime.store_client import StoreClient
    from millpond.seams import Engine, SessionRecord
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


class Orders:
    """The order book of one machine; `verbs` carries out an order: `verbs[verb](subject, detail)`."""

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
        self.verbs: dict[str, Callable[[Any, Any], None]] = {
            "send": engine.send,
            "withdraw": self._withdraw,
            "interrupt": self._while_there(engine.interrupt),
            "finish": finish,
            "start": lambda worker, _: engine.start(worker),
            "stop": lambda worker, _: engine.stop(worker),
            "kill": lambda worker, _: engine.kill(worker),
            "revive": lambda _, __: engine.revive(),
            "ping": lambda worker, _: engine.ping(worker),
            "look": self._look,
            "check": lambda _, __: engine.check(),
            "forget": engine.forget_session,
            "weigh": self._weigh,
            "say": lambda event, _: bus.execute(event),
            "session_closed": lambda session, _: self.session_closed(session),
            "warm": lambda worker, _: self._warm(worker),
            "warm_step": lambda run, step: run.ticket.step(run, step),
            "warm_end": lambda run, _: run.ticket.end(),
            "store": self._store,
            "recall": self._recall,
            "erase": lambda session, _: client.erase(session.id, session.generation),
        }

    def mark_futures(self) -> None:
        """From now on tickets are `concurrent.futures` futures, to be told when their call begins."""
        self.verbs["send"] = self._send_marked

    def failed(self, verb: str, subject: Any, detail: Any, error: BaseException) -> None:
        """An order raised: note it, and have the core end what it was about (`core.failures`). Raises nothing."""
        self.faults.note(f"the order {verb!r}", error, "it ends what it was about at most")
        try:
            if verb == "start":
                self._clear_away(subject)
            elif verb == "send" and self._engine.holds(subject, detail):
                verb = SENT
            self._machine.order_failed(verb, subject, detail, error, self._now())
        except Exception as another:
            self.faults.note(f"the failure of the order {verb!r}", another)

    def _clear_away(self, worker: Worker) -> None:
        """Whatever was made of a worker whose start failed is of no use."""
        try:
            self._engine.kill(worker)
        except Exception as error:
            self.faults.note("the order 'kill'", error)

    def await_closing(self, session: Session, closed: asyncio.Future[None]) -> None:
        """Tell this future when the session is closed or lost."""
        self._closing_sessions.setdefault(session, []).append(closed)

    def session_closed(self, session: Session) -> None:
        """A session has ended: whoever waits for that is told."""
        for waiting in self._closing_sessions.pop(session, ()):
            if not waiting.done():
                waiting.set_result(None)

    def _send_marked(self, worker: Worker, call: Call) -> None:
        """A future that was cancelled before its call was sent keeps its word: the call never runs."""
        if call.is_chore or call.ticket.may_begin():
            self._engine.send(worker, call)
            return
        now = self._now()
        call.leaving = "cancelled"
        self._machine.withdrawn(worker, call, True, now)
        self._machine.answered(worker, 0, "skipped", None, now, now, 0, now)

    def _withdraw(self, worker: Worker, call: Call) -> None:
        is_proven = worker.state == "gone" or self._engine.withdraw(worker, call)
        self._machine.withdrawn(worker, call, is_proven, self._now())

    def _while_there(self, order: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def carry(worker: Worker, call: Call) -> None:
            if worker.inflight.get(call.id) is call:
                order(worker, call)

        return carry

    def _look(self, worker: Worker, _detail: None) -> None:
        fleet.looked(self._machine, worker, self._engine.is_stopped(worker), self._now())

    def _weigh(self, worker: Worker, _detail: None) -> None:
        fleet.weighed(self._machine, worker, self._engine.memory(worker), self._now())

    def _store(self, session: Session, record: SessionRecord) -> None:
        self._client.store(record, lambda _, failure: self._machine.stored(session, record, failure, self._now()))

    def _recall(self, session: Session, _detail: None) -> None:
        self._client.recall(
            session.id, lambda record, failure: self._machine.recalled(session, record, failure, self._now())
        )

    def _warm(self, worker: Worker) -> None:
        assert self.warmer is not None
        self.warmer.met(worker)


def finish(call: Call, value: Any) -> None:
    """Give a call's result, or its error, to whoever waits for it, and then tell whoever traces it."""
    ticket: Ticket | None = call.ticket
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
