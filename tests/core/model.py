"""A world for the machine: callers, processes that hold frames, run calls and die, and a clock the test moves.

Carries out the machine's orders as faithfully as the driver and an engine do, and no faster: what a process has
answered waits until it is delivered. Whatever no pool may do raises at the step that does it.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import hypothesis.strategies as st

from millpond import events
from millpond.core import Call, Command, Machine, Operation, Run, Session, SizingRule, Worker, orders
from millpond.core.records.states import AVAILABLE
from millpond.core.settling import settle
from millpond.core.workers import fleet
from millpond.errors import PoolError
from millpond.runtime.driver import BEAT_S
from millpond.seams import Death, HandlerFacts, OperationFacts
from millpond.settings import Settings
from millpond.simulator.simulated_worker import SKIPPED, HeldCall
from tests.core import invariants
from tests.core.ledger import Ledger, Promise
from tests.core.process import Process, number_of
from tests.core.store import Store

# Orders to tell somebody something: who raises was told. Of `Send` every other one comes to nothing.
DONE_ALL_THE_SAME = (orders.Finish, orders.Emit, orders.SessionEnded, orders.WarmStep, orders.WarmEnd)
OPERATIONS = ("work", "tokens", "say")  # plain, stream, and one that is called in sessions
# Of a sizing rule, drawn by the model tests; the ceiling is so many more than the floor.
SIZING_RULES: dict[str, Any] = {
    "floor": st.integers(0, 3),
    "more": st.integers(0, 2),
    "spares": st.integers(0, 2),
    "patience_s": st.sampled_from([0.0, 0.2, 3.0]),
    "drain_s": st.sampled_from([None, 0.0, 0.5]),
    "window_s": st.sampled_from([0.0, 0.1]),
    "idle_timeouts": st.sampled_from([(0.0,), (1.0, 0.1), (60.0,)]),
}
KILLED = Death(9, None, "the end of stderr")
EXITED = Death(None, 0)


def facts(close_hook: bool = True) -> HandlerFacts:
    """What a handler with `OPERATIONS` would report."""
    kinds = {"tokens": "stream"}
    made = [
        OperationFacts(name, kinds.get(name, "plain"), name == "say", (), 0, 0, (), (), True, True)  # type: ignore[arg-type]
        for name in OPERATIONS
    ]
    return HandlerFacts("Model", tuple(made), ("close_session",) if close_hook else ())


class World:
    """A machine, its processes and its callers, under a clock that only the test moves."""

    def __init__(self, seed: int = 0, close_hook: bool = True, warmups: str = "", **settings: Any) -> None:
        self.now = 1000.0
        self.random = Random(seed)
        self.machine = Machine(Settings(**settings), self.random)
        self.records = self.machine._records
        self.machine.listen(lambda _name: True)
        self.records.emits_starts = self.records.emits_checkouts = False
        self.records.emits_checkins = self.records.emits_ends = False
        self.processes: dict[int, Process] = {}
        self.ledger = Ledger()
        self.refused = 0
        self.said: list[Any] = []
        self.marked: set[int] = set()  # calls whose future was cancelled before they were sent
        self.closing: list[Session] = []
        self.told_closed: list[Session] = []
        self.doubtful_withdrawals = False
        self.broken: dict[type, int] = {}  # type of order -> how many of the next orders of that kind will raise
        # Warm-up commands: "r" for a required one, "b" for one done with best effort.
        self.commands = [self.command(f"{kind}{n}", kind == "r") for n, kind in enumerate(warmups)]
        self.machine.require_warmup(bool(warmups))
        self.unwarmed: list[Worker] = []  # those that wait for their warm-up to be begun
        self.runs: list[Run] = []
        self.ended_runs: list[Run] = []
        self.store = Store()
        self.is_reviving = False  # the engine was ordered to go on
        self.machine.alarm.beat_at = self.now + BEAT_S
        self.machine.open_pool(self.now)
        self.machine.learn(facts(close_hook))
        self.machine.start_workers(self.now)
        self.settle()

    @property
    def promises(self) -> dict[int, Promise]:
        return self.ledger.promises

    @property
    def histories(self) -> dict[int, list[int]]:
        return self.ledger.histories

    @property
    def all(self) -> list[Process]:
        return list(self.processes.values())

    def events(self, kind: type) -> list[Any]:
        return [event for event in self.said if isinstance(event, kind)]

    def command(self, name: str, is_required: bool) -> Command:
        return Command(name, self.machine.unlisted(name, 1), b"", 1.5, is_required)

    # What callers do

    def operation(self, name: str) -> Operation:
        return self.records.operations[name]

    def submit(self, name: str = "work", **options: Any) -> Call | PoolError:
        """Submit a call with a token of its own; the call, or the error that refused it."""
        deadline = self.now + options.pop("deadline", float("inf"))
        call_id = next(self.machine.call_ids)
        call = Call(call_id, self.operation(name), b"%d" % call_id, deadline, **options)
        try:
            self.machine.submit(call, self.now)
        except PoolError as error:
            self.refused += 1
            if error.code == "session_restored":
                self.ledger.tells_of_restoration(call)
            self.settle()
            return error
        self.ledger.promise(call)
        self.settle()
        return call

    def cancel(self, call: Call) -> None:
        self.machine.cancel(call, self.now)
        self.settle()

    def open_session(self, name: str, affinity_mode: str | None = None, reopen: bool = False) -> Session | PoolError:
        try:
            return self.machine.open_session(name, affinity_mode, reopen, self.now)
        except PoolError as error:
            return error
        finally:
            self.settle()

    def close_session(self, session: Session) -> None:
        if session.state == "open":
            self.closing.append(session)
        self.machine.close_session(session, self.now)
        self.settle()

    def resize(self, low: int, high: int) -> None:
        settings = replace(self.records.settings, min_workers=low, max_workers=high)
        self.machine.configure(settings, "asked for", self.now)
        self.settle()

    def size_by(self, **rule: Any) -> None:
        """The optimizer chooses other parameters of the sizing rule."""
        self.machine.size_by(SizingRule(**rule), "chosen", self.now)
        self.settle()

    def drain(self, process: Process) -> None:
        fleet.drain(self.records, process.record, "asked for", self.now)
        settle(self.records, self.now)
        self.settle()

    def replace(self, process: Process) -> None:
        """Another is to take the process's place before it goes."""
        self.machine.replace(process.record, self.now)
        self.settle()

    def keep(self, process: Process) -> None:
        self.machine.keep(process.record, self.now)
        self.settle()

    def lose_engine(self) -> None:
        """The warden dies, and every worker with it."""
        self.machine.engine_lost("the warden ended", self.now)
        self.machine.workers_lost(list(self.records.workers.values()), "its warden ended", self.now)
        self.settle()

    def revive_engine(self, is_failing: bool = False) -> None:
        """What comes of an order to revive the engine."""
        self.is_reviving = False
        if is_failing:
            self.machine.engine_lost("no descriptor is free", self.now)
        else:
            self.machine.engine_back(self.now)
        self.settle()

    def close(self, drain_s: float) -> None:
        self.machine.close_pool(self.now, drain_s)
        self.settle()

    def warm(self, worker: Worker) -> Run:
        """Begin the warm-up of a worker that waits for it, or that serves."""
        if worker in self.unwarmed:
            self.unwarmed.remove(worker)
        run = self.machine.begin_warmup(worker, self.commands or [self.command("b0", False)], None, self.now)
        self.runs.append(run)
        self.settle()
        return run

    def give_up_warmup(self, run: Run) -> None:
        """Who asked for the warm-up does not want it any more."""
        self.machine.give_up_warmup(run, self.now)
        self.settle()

    def refuse_warmup(self, worker: Worker) -> None:
        """The strategy stops: a worker that waits is not warmed."""
        self.unwarmed.remove(worker)
        self.machine.refuse_warmup(worker, "the strategy stopped", self.now)
        self.settle()

    # What time does

    def advance(self, seconds: float) -> None:
        """Let time pass, waking the machine whenever it asked for it."""
        end = self.now + seconds
        while self.machine.alarm.wake_at <= end:
            self.now = max(self.now, self.machine.alarm.wake_at)
            self.tick()
        self.now = end

    def sleep_through(self, seconds: float) -> None:
        """Let time pass without waking the machine before it is over: a blocked loop, or a program that was stopped."""
        self.now += seconds
        self.tick()

    def stand_still(self, seconds: float) -> None:
        """Let time pass without waking the machine: what comes next is heard before it is."""
        self.now += seconds

    def tick(self) -> None:
        """Wake the machine; if that is late, after all was read that lies there."""
        if self.records.is_late(self.now):
            self.read_all()
        self.machine.tick(self.now)
        self.machine.alarm.beat_at = self.now + BEAT_S
        self.settle()

    def read_all(self) -> None:
        """The parent reads every answer there is."""
        for process in self.all:
            while process.answers:
                self.deliver(process)

    # What processes do

    def get_ready(self, process: Process) -> None:
        self.machine.warming(process.record, 100 + process.record.id, self.now)
        self.settle()
        process.is_ready = True
        self.machine.ready(process.record, 100 + process.record.id, self.now)
        self.settle()

    def fail_to_start(self, process: Process) -> None:
        self.machine.start_failed(process.record, "no module named model")
        self.settle()
        self.reap(process, Death(None, 1))

    def claim(self, process: Process) -> None:
        """Let a process look at its next frame."""
        process.claim(self.now, self.ledger, self.records.settings.max_attempts)
        running = [number_of(held) for p in self.all if p.is_alive for held in p.running.values()]
        running = [number for number in running if number]
        assert len(running) == len(set(running)), "two calls of one session run beside each other"

    def complete(self, process: Process, held: HeldCall, how: str = "ok", seconds: float = 1e-5) -> None:
        """Let an operation come back: ok, failed, interrupted, or because its session did not open."""
        process.complete(held, how, seconds, self.now, self.ledger)

    def deliver(self, process: Process) -> None:
        """The parent reads the oldest answer of a process, and what comes ahead of it."""
        held, *answer = process.answers.popleft()
        call_id = process.read(held)
        if self.records.is_durable and call_id in process.saves:
            lease, state, reason = process.saves.pop(call_id)
            self.machine.saved(process.record, call_id, lease, state, reason)
        call, kind, ended = process.record.inflight.get(call_id), answer[0], answer[3]
        is_in_time = call is not None and not call.cancel_reason and kind == "ok" and ended <= call.deadline
        self.machine.answered(process.record, call_id, *answer, self.now)
        self.settle()
        assert not is_in_time or call.ending != "expired", f"{call!r} was finished in time"

    def freeze(self, process: Process, is_frozen: bool) -> None:
        process.is_frozen = is_frozen
        self.machine.stopped(process.record, is_frozen, self.now)
        self.settle()

    def crash(self, process: Process) -> None:
        """The process is dead; the parent will be told."""
        process.die()

    def reap(self, process: Process, death: Death = KILLED) -> None:
        """The parent is told of the death, after everything the process had said."""
        while process.answers:
            self.deliver(process)
        is_to_blame = process.record.breach or not process.is_killed
        for held in process.running.values() if is_to_blame else ():
            self.ledger.died_of(held.call)
        del self.processes[process.record.id]
        sessions = {session.number: session for session in process.record.sessions.values()}
        self.machine.worker_gone(process.record, death, process.die(), self.now)
        for order in self.machine.outbox:
            event = order.event if isinstance(order, orders.Emit) else None
            if isinstance(event, events.SessionRestoredEvent):
                self._restored(sessions[event.number])
        self.settle()

    def break_protocol(self, process: Process) -> None:
        """The parent finds that a process does not speak as a worker does."""
        self.machine.distrusted(process.record, "half a frame", self.now)
        self.settle()

    def _restored(self, session: Session) -> None:
        """A session goes on from what was kept; one that was closing may be over already."""
        state = self.ledger.histories.get(session.number, [])
        if session.location in ("in_hand", "new"):
            state = session.snapshot or []
        self.ledger.restores(session.number, list(state), session.on_restore == "raise")

    # Orders

    def settle(self) -> None:
        """Carry out all orders, then check everything."""
        outbox = self.machine.outbox
        while outbox:
            given = list(outbox)
            outbox.clear()
            for order in given:
                self._carry_out(order)
        invariants.check(self.records)
        if self.records.is_on_disk:
            self._check_disk()
        for process in self.processes.values():
            forgotten = set(process.sessions) - set(process.record.sessions) - process.unforgotten
            assert not forgotten, f"{process.record!r} was not told to forget the sessions {forgotten}"

    def _carry_out(self, order: orders.Order) -> None:
        kind, was_sent = type(order), False
        carry_out = getattr(self, f"_{kind.__name__}")
        if not self.broken.get(kind):
            carry_out(order)
            return
        self.broken[kind] -= 1
        if isinstance(order, orders.Send):
            was_sent = bool(self.broken[kind] % 2 and order.call.id not in self.marked)
        if kind in DONE_ALL_THE_SAME or was_sent:
            carry_out(order)
        elif isinstance(order, orders.Withdraw):
            self.ledger.claims(order.call)  # whether it began cannot be told
        elif isinstance(order, orders.Forget) and order.worker.id in self.processes:
            self.processes[order.worker.id].unforgotten.add(order.number)
        self.machine.order_failed(order, RuntimeError("it is broken"), self.now, was_sent)

    def _check_disk(self) -> None:
        """What was acknowledged is in the store: the program may be killed at any moment.

        Not of a session that its owner ended: its name may be another's by now, and so is the record.
        """
        for session in self.records.sessions:
            if self.records.sessions.find(session.id) is not session:
                continue
            acknowledged = self.ledger.acknowledged.get(session.number, set())
            if acknowledged:
                missing = acknowledged - set(self.store.holds(session) or ())
                assert not missing, f"{session!r} acknowledged {missing}, which are not in the store"

    def _Send(self, order: orders.Send) -> None:
        worker, call = order.worker, order.call
        assert call.state == "running", f"{call!r} is sent"
        assert self.now < call.deadline, f"{call!r} is sent past its deadline"
        assert call.worker is worker
        if call.id in self.marked:
            self.machine.unsent(worker, call, self.now)
            return
        process = self.processes[worker.id]
        assert not process.is_killed, f"{call!r} is sent to a worker that was killed"
        assert not process.is_stopping, f"{call!r} is sent to a worker that was told to say goodbye"
        process.take(call)

    def _Withdraw(self, order: orders.Withdraw) -> None:
        worker, call = order.worker, order.call
        assert call.state == "running", f"{call!r} is taken back"
        assert call.worker is worker
        process = self.processes[worker.id]
        # Claimed and withdrawn at once: the parent cannot tell, the worker passes over it.
        is_claimed = self.doubtful_withdrawals and self.random.random() < 0.3
        is_proven = process.withdraw(call.id, is_claimed)
        if not is_proven and call.id in process.held and process.held[call.id].state == SKIPPED:
            self.ledger.claims(call)
        self.machine.withdrawn(worker, call, is_proven, self.now)

    def _Interrupt(self, order: orders.Interrupt) -> None:
        process = self.processes.get(order.worker.id)
        if process is not None:
            process.interrupt(order.call.id)

    def _Finish(self, order: orders.Finish) -> None:
        self.ledger.tells(order.call, order.value)

    def _Start(self, order: orders.Start) -> None:
        worker, m = order.worker, self.records
        assert worker.id not in self.processes
        assert m.engine.state == AVAILABLE, "a worker was started, and there is no engine"
        assert len(m.workers) <= m.sizing.most + bool(m.outgoing), "more workers were started than there may be"
        self.processes[worker.id] = Process(worker, m.concurrency)

    def _Revive(self, _order: orders.Revive) -> None:
        assert not self.is_reviving
        self.is_reviving = True

    def _Stop(self, order: orders.Stop) -> None:
        worker = order.worker
        process = self.processes.get(worker.id)
        if process is None:
            assert worker.state == "gone"  # its start failed after this was ordered
            return
        assert not process.is_stopping
        process.stop()

    def _Kill(self, order: orders.Kill) -> None:
        worker = order.worker
        process = self.processes.get(worker.id)
        if process is None:
            assert worker.state == "gone"
            return
        assert not process.is_killed
        process.is_killed = True

    def _Ping(self, order: orders.Ping) -> None:
        self.processes[order.worker.id].pings += 1

    def _Look(self, order: orders.Look) -> None:
        self.machine.looked(order.worker, self.processes[order.worker.id].is_frozen, self.now)

    def _Weigh(self, order: orders.Weigh) -> None:
        self.machine.weighed(order.worker, self.random.choice([None, 1, 10**12]), self.now)

    def _Forget(self, order: orders.Forget) -> None:
        self.processes[order.worker.id].forget_session(order.number)

    def _Store(self, order: orders.Store) -> None:
        self.store.ask("store", order.session, order.record)

    def _Recall(self, order: orders.Recall) -> None:
        self.store.ask("recall", order.session, None)

    def _Erase(self, order: orders.Erase) -> None:
        self.store.ask("erase", order.session, None)

    def answer_store(self, is_failing: bool = False) -> None:
        """The store gets on with its oldest order."""
        verb, session, record, error = self.store.answer(is_failing)
        if verb == "store":
            self.machine.stored(session, record, error, self.now)
        elif verb == "recall":
            self.machine.recalled(session, record, error, self.now)
        self.settle()

    def _SessionEnded(self, order: orders.SessionEnded) -> None:
        assert order.session.state in ("closed", "lost")
        self.told_closed.append(order.session)

    def _Warm(self, order: orders.Warm) -> None:
        assert order.worker not in self.unwarmed
        self.unwarmed.append(order.worker)

    def _WarmStep(self, order: orders.WarmStep) -> None:
        run = order.run
        assert run.steps[-1] is order.step
        assert [done.command for done in run.steps] == run.commands[: len(run.steps)]

    def _WarmEnd(self, order: orders.WarmEnd) -> None:
        assert order.run not in self.ended_runs
        self.ended_runs.append(order.run)

    def _Emit(self, order: orders.Emit) -> None:
        self.said.append(order.event)

    # To the end

    def serve(self, process: Process) -> bool:
        """Let one process get on with one thing; false if there is nothing for it to do."""
        if process.is_killed or not process.is_alive:
            self.reap(process)
        elif process.is_frozen:
            self.freeze(process, False)
        elif not process.is_ready:
            self.get_ready(process)
        elif process.record in self.unwarmed:
            self.warm(process.record)
        elif process.answers:
            self.deliver(process)
        elif process.can_begin:
            self.claim(process)
        elif process.running:
            self.complete(process, next(iter(process.running.values())))
        elif process.can_export:
            process.export(self.now, self.ledger)
        elif process.pings:
            process.pings = 0
            self.machine.ponged(process.record, process.ping(), self.now)
        elif process.is_done:
            self.reap(process, EXITED)
        else:
            return False
        return True

    def serve_all(self) -> None:
        """Let every process get on until none has anything to do."""
        beside = (self.serve_time, self.serve_engine, self.serve_store)
        while sum(get_on() for get_on in beside) + sum(map(self.serve, self.all)):  # sums: each has its turn
            pass

    def serve_time(self) -> bool:
        """Do what is due by now; false if that was nothing."""
        is_due = self.machine.alarm.wake_at <= self.now
        if is_due:
            self.tick()
        return is_due

    def serve_engine(self) -> bool:
        """Let the engine go on; false if it was not asked to."""
        was_asked = self.is_reviving
        if was_asked:
            self.revive_engine()
        return was_asked

    def serve_store(self) -> bool:
        """Let the store do all it was asked for; false if that was nothing."""
        had_orders = bool(self.store.orders)
        while self.store.orders:
            self.answer_store()
        return had_orders

    def begin(self) -> World:
        """Get every worker ready and let the pool serve."""
        self.serve_all()
        self.machine.serve(self.now)
        self.settle()
        return self

    def answer(self, process: Process, how: str = "ok", seconds: float = 1e-5) -> Call:
        """Let a process run its next call and the parent read the answer."""
        self.claim(process)
        held = next(reversed(process.running.values()))
        self.complete(process, held, how, seconds)
        self.deliver(process)
        return held.call

    def run_out(self, steps: int = 400) -> None:
        """Let everything get on, time included, until every call has ended."""
        for _ in range(steps):
            self.serve_all()
            if not self.records.unended:
                return
            self.advance(0.25)
        left = [p.call for p in self.promises.values() if not p.told]
        raise AssertionError(f"still waiting: {left}")

    def check_over(self) -> None:
        """After everything: nobody waits, and nothing is left anywhere."""
        m = self.records
        assert not m.workers
        assert sorted(map(id, self.runs)) == sorted(map(id, self.ended_runs)), "a warm-up began and never ended"
        assert not list(invariants.calls_of(m))
        assert not list(m.wheel)
        assert (m.unended, m.queued, m.queued_bytes, m.ready_count) == (0, 0, 0, 0)
        for promise in self.promises.values():
            assert len(promise.told) == 1, f"{promise.call!r} was told {promise.told}"
        assert m.submitted == len(self.promises) + self.refused == sum(m.counts.values())
        assert all(session.state in ("closed", "lost") for session in self.closing)
        assert sorted(s.number for s in self.told_closed) == sorted(s.number for s in self.closing)


def fixed_pool(workers: int = 2, **settings: Any) -> World:
    """A pool of fixed size that serves."""
    return World(min_workers=workers, max_workers=workers, **settings).begin()


def begun(world: World, name: str = "a", **options: Any) -> Session:
    """A session that has answered once."""
    session = world.open_session(name, **options)
    assert isinstance(session, Session)
    world.submit("say", session=session)
    world.serve_all()
    return session


def home(world: World, session: Session) -> Process:
    """The process a session is bound to."""
    assert session.worker is not None
    return world.processes[session.worker.id]


def told(world: World, call: Call) -> Any:
    """What a call's caller was told, once."""
    (value,) = world.promises[call.id].told
    return value
