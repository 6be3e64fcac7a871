"""A pool without processes: the machine, simulated workers and a store, under a virtual clock.

Carries the machine's orders out as the driver and an engine do, and wakes it when it asks for that. Who calls, how long
a start and a call take and how they end is said by a subclass. Deterministic: what is due at one time happens in the
order in which it was planned, and what is due before what comes from outside.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal

from millpond.core import Call, Machine, Session, Worker, orders
from millpond.errors import PoolError
from millpond.seams import EXPORTS, AnswerKind, Death, HandlerFacts, OperationFacts, SessionRecord
from millpond.settings import Settings
from millpond.simulator.simulated_worker import LATE, RUNNING, WITHDRAWN, HeldCall, SimulatedWorker

ComesBack = Literal["ok", "failed", "died"]

EXPORT_S = 0.001  # to take a session's state out of its worker, or to run its closing hook
GOODBYE, KILLED, CRASHED = Death(None, 0), Death(9, None), Death(11, None)


class Process(SimulatedWorker):
    """A worker of the core, and the process it would be."""

    def __init__(self, record: Worker, concurrency: int, ordered_at: float) -> None:
        super().__init__(concurrency)
        self.record = record
        self.ordered_at = ordered_at


class SimulatedPool:
    """One pool. What happens in it is said by overriding `start_s`, `service_s`, `ending`, `began` and `ended`."""

    def __init__(self, settings: Settings, operations: Sequence[str], chance: Random) -> None:
        self.now = 0.0
        self.machine = Machine(settings, chance)
        self.machine.remember_no_slow_calls()
        self.processes: dict[int, Process] = {}
        self.store: dict[str, SessionRecord] = {}
        self.ticks = 0
        self.stays: list[tuple[float, float]] = []  # of the workers that are gone: ordered, gone
        self.busy_killed = 0  # workers that were ended while they ran a call
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []  # heap
        self._order = 0
        self._next_turn: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._carry_out: dict[type, Callable[[Any], None]] = {
            orders.Send: self._send,
            orders.Finish: lambda order: self.ended(order.call, order.value),
            orders.Start: self._start,
            orders.Stop: self._stop,
            orders.Kill: self._kill,
            orders.Ping: self._ping,
            orders.Withdraw: self._withdraw,
            orders.Interrupt: self._interrupt,
            orders.Weigh: lambda order: self.machine.weighed(order.worker, None, self.now),
            orders.Forget: self._forget,
            orders.Store: lambda order: self._next_turn.append((self._stored, (order.session, order.record))),
            orders.Recall: lambda order: self._next_turn.append((self._recalled, (order.session,))),
            orders.Erase: self._erase,
            orders.SessionEnded: lambda order: None,
        }
        self._open(operations)

    def _open(self, operations: Sequence[str]) -> None:
        machine = self.machine
        facts = [OperationFacts(name, "plain", False, (), 0, 0, (), (), True, True, True) for name in operations]
        machine.open_pool(0.0)
        machine.learn(HandlerFacts("Simulated", tuple(facts), ()))
        machine.start_workers(0.0)
        machine.serve(0.0)
        self.operations = [machine.view.operations[name] for name in operations]

    # What a subclass says

    def start_s(self) -> float:
        """Seconds from the order to start a worker until it is ready; infinite if it dies instead of becoming so."""
        raise NotImplementedError

    def service_s(self, call: Call) -> float:
        """Seconds that a call takes which begins now."""
        raise NotImplementedError

    def ending(self, call: Call) -> ComesBack:
        """How the call comes back that has run for its time: `died` takes its worker with it."""
        return "ok"

    def began(self, call: Call) -> None:
        """The call begins in its worker now."""

    def ended(self, call: Call, value: Any) -> None:
        """The call has ended, in whatever way; `value` is its result or its error."""

    # What its driver does

    def submit(self, call: Call) -> PoolError | None:
        """Give a call to the pool now; the error that refuses it."""
        refused = None
        try:
            self.machine.submit(call, self.now)
        except PoolError as error:
            refused = error
        self.work_off()
        return refused

    def later(self, seconds: float, act: Callable[..., None], *details: Any) -> None:
        """Do something in so many seconds."""
        self._order += 1
        heapq.heappush(self._due, (self.now + seconds, self._order, act, details))

    def run_until(self, end: float) -> None:
        """Let everything happen that is due before, in the order of time, and what workers do at that time.

        What the machine does by itself at `end` comes after what its caller does then: who calls as an idle worker's
        time runs out still finds it.
        """
        due, alarm = self._due, self.machine.alarm
        while (due and due[0][0] <= end) or alarm.at < end:
            self.step()
        self.now = end

    @property
    def next_at(self) -> float:
        """When the next thing happens by itself; infinite when nothing will."""
        return min(self._due[0][0], self.machine.alarm.at) if self._due else self.machine.alarm.at

    def step(self) -> None:
        """Let the one thing happen that is due next."""
        due, machine = self._due, self.machine
        at = machine.alarm.at
        if due and due[0][0] <= at:
            self.now, _, act, details = heapq.heappop(due)
            act(*details)
        else:
            self.now = max(self.now, at)
            self.ticks += 1
            machine.tick(self.now)
        self.work_off()

    def work_off(self) -> None:
        """Carry out what the machine has ordered."""
        outbox, carry_out = self.machine.outbox, self._carry_out
        while outbox:
            for order in outbox:  # those that come meanwhile as well
                carry_out[type(order)](order)
            outbox.clear()
            if self._next_turn:
                acts, self._next_turn = self._next_turn, []
                for act, details in acts:
                    act(*details)

    # What processes do

    def _start(self, order: orders.Start) -> None:
        worker = order.worker
        process = self.processes[worker.id] = Process(worker, self.machine.view.concurrency, self.now)
        seconds = self.start_s()
        if seconds < math.inf:
            self.later(seconds, self._ready, process)
        else:
            self.later(0.0, self._no_start, process)

    def _ready(self, process: Process) -> None:
        if process.is_alive:
            process.is_ready = True
            self.machine.ready(process.record, process.record.id, self.now)
            self._get_on(process)

    def _no_start(self, process: Process) -> None:
        if process.is_alive:
            self.machine.start_failed(process.record, "it was simulated to fail")
            self._die(process, Death(None, 1))

    def _send(self, order: orders.Send) -> None:
        process = self.processes[order.worker.id]
        process.take(order.call)
        self._get_on(process)

    def _get_on(self, process: Process) -> None:
        """Let a process begin what it can, or end if it is to and may."""
        while process.waiting and process.can_begin:
            self._come_to(process, process.begin(self.now))
        while process.exports and process.can_begin_export:
            self._come_to(process, process.begin_export(self.now))
        if process.is_stopping and process.is_done:
            process.is_alive = False
            self._next_turn.append((self._die, (process, GOODBYE)))

    def _come_to(self, process: Process, held: HeldCall) -> None:
        call = held.call
        is_internal = call.continuation is not None
        if held.state == RUNNING:
            if not is_internal:
                self.began(call)
            held.note = self.now
            self.later(EXPORT_S if is_internal else self.service_s(call), self._come_back, process, held)
        elif held.state != WITHDRAWN or call.operation not in EXPORTS:
            kind: AnswerKind = "expired" if held.state == LATE else "skipped"
            self.machine.answered(process.record, process.read(held), kind, None, self.now, self.now, 0, self.now)

    def _come_back(self, process: Process, held: HeldCall) -> None:
        """A call has run for its time, unless it was interrupted or its worker died meanwhile."""
        if held.state != RUNNING or not process.is_alive:
            return
        call = held.call
        ending = self.ending(call) if call.continuation is None else "ok"
        if ending == "died":
            self._die(process, CRASHED)
        else:
            self._answer(process, held, ending)

    def _answer(self, process: Process, held: HeldCall, kind: AnswerKind) -> None:
        process.end(held, kind)
        value: object = b"state" if held.call.operation in EXPORTS else None
        if kind != "ok":
            value = RuntimeError("it was simulated to fail")
        self.machine.answered(process.record, process.read(held), kind, value, held.note, self.now, 0, self.now)
        if process.waiting or process.exports or process.is_stopping:
            self._get_on(process)

    def _stop(self, order: orders.Stop) -> None:
        process = self.processes.get(order.worker.id)
        if process is not None:
            self.busy_killed += bool(process.running)
            process.stop()
            self._get_on(process)

    def _kill(self, order: orders.Kill) -> None:
        process = self.processes.get(order.worker.id)
        if process is not None and process.is_alive:
            self.busy_killed += bool(process.running)
            process.is_alive = False
            self._next_turn.append((self._die, (process, KILLED)))

    def _die(self, process: Process, death: Death) -> None:
        record = process.record
        del self.processes[record.id]
        self.stays.append((process.ordered_at, self.now))
        self.machine.worker_gone(record, death, process.die(), self.now)

    def _ping(self, order: orders.Ping) -> None:
        process = self.processes.get(order.worker.id)
        if process is not None and process.is_ready:
            self.machine.ponged(order.worker, process.ping(), self.now)

    def _withdraw(self, order: orders.Withdraw) -> None:
        process = self.processes.get(order.worker.id)
        is_proven = process is not None and process.withdraw(order.call.id)
        self.machine.withdrawn(order.worker, order.call, is_proven, self.now)

    def _interrupt(self, order: orders.Interrupt) -> None:
        """What runs comes back at once, as most of what is written in Python does."""
        process = self.processes.get(order.worker.id)
        held = process.interrupt(order.call.id) if process is not None else None
        if process is not None and held is not None:
            self._next_turn.append((self._interrupted, (process, held)))

    def _interrupted(self, process: Process, held: HeldCall) -> None:
        if held.state == RUNNING and process.is_alive:
            self._answer(process, held, "interrupted")

    def _forget(self, order: orders.Forget) -> None:
        process = self.processes.get(order.worker.id)
        if process is not None:
            process.forget_session(order.number)

    # The store

    def _erase(self, order: orders.Erase) -> None:
        self.store.pop(order.session.id, None)

    def _stored(self, session: Session, record: SessionRecord) -> None:
        self.store[session.id] = record
        self.machine.stored(session, record, None, self.now)

    def _recalled(self, session: Session) -> None:
        self.machine.recalled(session, self.store.get(session.id), None, self.now)
