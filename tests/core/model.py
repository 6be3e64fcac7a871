"""A world for the machine: processes that hold frames, run calls and die, and a ledger of what was promised to whom.

Carries out the machine's orders as faithfully as the driver and an engine do, and no faster: what a process has
answered waits until it is delivered. Whatever no pool may do raises here, at the step that does it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from millpond.core import affinity, fleet, invariants, lifetime
from millpond.core.answers import SESSION_FAILED
from millpond.core.call import Call
from millpond.core.machine import Machine
from millpond.core.operation import Operation
from millpond.core.session import Session
from millpond.core.worker import Worker
from millpond.errors import PoolError
from millpond.seams import CLOSE_SESSION, EXPORT_SESSION, Death, HandlerFacts, OperationFacts
from millpond.settings import Settings

OPERATIONS = ("work", "tokens", "say")  # plain, stream, and one that is called in sessions
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


@dataclass
class Frame:
    """A call on its way to a process, or running there."""

    call: Call
    deadline: float
    is_withdrawn: bool = False
    is_proven: bool = False  # whether the parent was told that it never began
    is_interrupted: bool = False

    @property
    def number(self) -> int:
        return 0 if self.call.session is None else self.call.session.number


@dataclass
class Seat:
    """A session's place in a process: `state` are the tokens of the calls that ran in it, in order."""

    state: list[int] | None = None
    is_open: bool = False


@dataclass(eq=False)
class Process:
    """One worker as it would be: frames sent and not looked at, calls running, answers not yet read by the parent."""

    record: Worker
    frames: deque[Frame] = field(default_factory=deque)
    running: dict[int, Frame] = field(default_factory=dict)
    answers: deque[tuple[Any, ...]] = field(default_factory=deque)
    seats: dict[int, Seat] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)  # calls sent to it when it was deaf
    is_ready: bool = False
    is_frozen: bool = False
    is_crashed: bool = False  # dead, and the parent does not know
    is_deaf: bool = False  # dead, and what is sent to it is dropped
    is_killed: bool = False
    has_bye: bool = False
    pings: int = 0

    @property
    def is_working(self) -> bool:
        return self.is_ready and not (self.is_frozen or self.is_crashed)


@dataclass
class Promise:
    """What the ledger knows of a call."""

    call: Call
    token: int
    order: int  # among the calls of its session
    claims: int = 0
    runs: int = 0
    deaths: int = 0
    completed: int = 0
    told: list[Any] = field(default_factory=list)


class World:
    """A machine, its processes and its callers, under a clock that only the test moves."""

    def __init__(self, seed: int = 0, close_hook: bool = True, **settings: Any) -> None:
        self.now = 1000.0
        self.random = Random(seed)
        self.machine = Machine(Settings(**settings), self.random)
        self.machine.hears = lambda _name: True
        self.processes: dict[int, Process] = {}
        self.promises: dict[int, Promise] = {}
        self.refused = 0
        self.said: list[Any] = []
        self.marked: set[int] = set()  # calls whose future was cancelled before they were sent
        self.histories: dict[int, list[int]] = {}  # session number -> tokens of the calls that ran, in order
        self.closing: list[Session] = []
        self.told_closed: list[Session] = []
        self.doubtful_withdrawals = False
        self.most_workers = 0
        lifetime.open_pool(self.machine)
        self.machine.knows(facts(close_hook))
        lifetime.start_workers(self.machine, self.now)
        self.settle()

    @property
    def all(self) -> list[Process]:
        return list(self.processes.values())

    def events(self, kind: type) -> list[Any]:
        return [event for event in self.said if isinstance(event, kind)]

    # What callers do

    def operation(self, name: str) -> Operation:
        return self.machine.operations[name]

    def submit(self, name: str = "work", **options: Any) -> Call | PoolError:
        """Submit a call with a token of its own; the call, or the error that refused it."""
        deadline = self.now + options.pop("deadline", float("inf"))
        call_id = next(self.machine.call_ids)
        call = Call(call_id, self.operation(name), b"%d" % call_id, deadline, **options)
        try:
            self.machine.submit(call, self.now)
        except PoolError as error:
            self.refused += 1
            assert error.outcome == "not_started"
            self.settle()
            return error
        self._promise(call)
        self.settle()
        return call

    def _promise(self, call: Call) -> Promise:
        return self.promises.setdefault(call.id, Promise(call, call.id, len(self.promises)))

    def cancel(self, call: Call) -> None:
        self.machine.cancel(call, self.now)
        self.settle()

    def open_session(self, name: str, affinity_mode: str | None = None, reopen: bool = False) -> Session | PoolError:
        try:
            return affinity.open_session(self.machine, name, affinity_mode, reopen, self.now)
        except PoolError as error:
            return error
        finally:
            self.settle()

    def close_session(self, session: Session) -> None:
        if session.state == "open":
            self.closing.append(session)
        affinity.close_session(self.machine, session, self.now)
        self.settle()

    def resize(self, low: int, high: int) -> None:
        self.machine.sizing.bounds(low, high)
        fleet.resize(self.machine, self.machine.sizing.wanted, "asked for", self.now)
        self.settle()

    def drain(self, process: Process) -> None:
        fleet.drain(self.machine, process.record, "asked for", self.now)
        self.settle()

    def close(self, drain_s: float) -> None:
        lifetime.close_pool(self.machine, self.now, drain_s)
        self.settle()

    # What time does

    def advance(self, seconds: float) -> None:
        """Let time pass, waking the machine whenever it asked for it."""
        end = self.now + seconds
        while self.machine.wake_at <= end:
            self.now = max(self.now, self.machine.wake_at)
            self.tick()
        self.now = end

    def sleep_through(self, seconds: float) -> None:
        """Let time pass without waking the machine before it is over: a blocked loop."""
        self.now += seconds
        self.tick()

    def tick(self) -> None:
        self.machine.tick(self.now)
        self.settle()

    # What processes do

    def get_ready(self, process: Process) -> None:
        fleet.warming(self.machine, process.record, 100 + process.record.id)
        self.settle()
        process.is_ready = True
        fleet.ready(self.machine, process.record, 100 + process.record.id, self.now)
        self.settle()

    def fail_to_start(self, process: Process) -> None:
        fleet.start_failed(self.machine, process.record, "no module named model")
        self.settle()
        self.bury(process, Death(None, 1))

    def can_claim(self, process: Process) -> bool:
        is_blocked = process.frames and process.frames[0].number in {f.number for f in process.running.values()} - {0}
        assert not is_blocked, "two calls of one session are in one worker"
        return bool(process.is_working and process.frames and len(process.running) < self.machine.concurrency)

    def claim(self, process: Process) -> None:
        """Look at the next frame: pass over it, find it expired, or begin."""
        frame = process.frames.popleft()
        call = frame.call
        self._claimed(frame)
        if frame.is_withdrawn:
            self._answer(process, 0 if frame.is_proven else call.id, "skipped")
        elif self.now >= frame.deadline:
            self._answer(process, call.id, "expired")
        else:
            self._begin(process, frame)

    def _claimed(self, frame: Frame) -> None:
        promise = self.promises.get(frame.call.id)
        if promise is not None and not frame.is_proven:
            promise.claims += 1

    def _begin(self, process: Process, frame: Frame) -> None:
        call = frame.call
        process.running[call.id] = frame
        promise = self.promises.get(call.id)
        if promise is not None:
            may_run_again = call.idempotent and call.session is None and not call.is_stream
            assert promise.runs == 0 or may_run_again, f"{call!r} runs a second time"
            assert promise.deaths < 2, f"{call!r} killed two workers and is given to a third"
            promise.runs += 1
            assert promise.runs <= self.machine.settings.max_attempts
            assert "not_started" not in [getattr(e, "outcome", None) for e in promise.told], f"{call!r} runs after all"
        if call.session is not None:
            self._take_seat(process, call, promise)

    def _take_seat(self, process: Process, call: Call, promise: Promise | None) -> None:
        number = call.session.number  # type: ignore[union-attr]
        running = [f for p in self.processes.values() if not p.is_crashed for f in p.running.values()]
        assert sum(f.number == number for f in running) == 1, f"{call!r} runs beside another of its session"
        seat = process.seats.get(number)
        assert seat is not None, f"{call!r} came to a worker that knows nothing of its session"
        history = self.histories.setdefault(number, [])
        seat.state = list(seat.state or []) if not seat.is_open else seat.state
        assert seat.state == history, f"{call!r} finds {seat.state}, its session's history is {history}"
        if promise is not None:
            assert all(self.promises[token].order < promise.order for token in history), f"{call!r} comes too late"
            history.append(promise.token)
            seat.state.append(promise.token)

    def complete(self, process: Process, frame: Frame, how: str = "ok", seconds: float = 1e-5) -> None:
        """The operation comes back: ok, failed, interrupted, or because its session did not open."""
        call = frame.call
        del process.running[call.id]
        seat = process.seats.get(frame.number)
        if how == "unopened" and (seat is None or seat.is_open):
            how = "failed"
        flags, value = 0, self._value(process, frame, how)
        if how == "unopened":
            del process.seats[frame.number]
            how, flags = "failed", SESSION_FAILED
            if call.id in self.promises:
                self.histories[frame.number].remove(call.id)
        elif seat is not None:
            seat.is_open = True
        if call.id in self.promises:
            self.promises[call.id].completed += 1
        self._answer(process, call.id, how, value, seconds, flags)

    def _value(self, process: Process, frame: Frame, how: str) -> Any:
        call = frame.call
        if how != "ok":
            return ValueError(call.id)
        if call.operation == EXPORT_SESSION:
            return process.seats.pop(frame.number).state
        if call.operation == CLOSE_SESSION:
            del process.seats[frame.number]
        return call.id

    def _answer(
        self, process: Process, call_id: int, kind: str, value: Any = None, seconds: float = 0.0, flags: int = 0
    ) -> None:
        process.answers.append((call_id, kind, value, self.now - seconds, self.now, flags))

    def deliver(self, process: Process) -> None:
        """The parent reads the oldest answer of a process."""
        self.machine.answered(process.record, *process.answers.popleft(), self.now)  # type: ignore[arg-type]
        self.settle()

    def freeze(self, process: Process, is_frozen: bool) -> None:
        process.is_frozen = is_frozen
        fleet.stopped(self.machine, process.record, is_frozen, self.now)
        self.settle()

    def crash(self, process: Process, is_deaf: bool = False) -> None:
        """The process is dead; the parent will be told."""
        process.is_crashed, process.is_deaf = True, is_deaf

    def bury(self, process: Process, death: Death = KILLED) -> None:
        """The parent is told of the death, after everything the process had said."""
        process.is_crashed = True
        while process.answers:
            self.deliver(process)
        for call_id in () if process.is_killed else process.running:
            if call_id in self.promises:
                self.promises[call_id].deaths += 1
        del self.processes[process.record.id]
        self.machine.worker_gone(process.record, death, list(process.running), self.now)
        self.settle()

    # Orders

    def settle(self) -> None:
        """Carry out all orders, then check everything."""
        machine = self.machine
        while machine.outbox:
            outbox, machine.outbox = machine.outbox, []
            for verb, subject, detail in outbox:
                getattr(self, f"_{verb}")(subject, detail)
        invariants.check(machine)
        for process in self.processes.values():
            forgotten = set(process.seats) - set(process.record.sessions)
            assert not forgotten, f"{process.record!r} was not told to forget the sessions {forgotten}"

    def _send(self, worker: Worker, call: Call) -> None:
        assert call.state == "running", f"{call!r} is sent"
        assert call.worker is worker
        if call.id in self.marked:
            call.leaving = "cancelled"
            self.machine.withdrawn(worker, call, True, self.now)
            self.machine.answered(worker, 0, "skipped", None, self.now, self.now, 0, self.now)
            return
        process = self.processes[worker.id]
        assert not (process.is_killed or process.has_bye), f"{call!r} is sent to a worker that was told to go"
        if process.is_deaf:
            process.dropped.add(call.id)
            return
        if call.session is not None and not call.session.introduced:
            process.seats[call.session.number] = Seat(call.session.baggage)
            call.session.introduced = True
        process.frames.append(Frame(call, call.deadline))

    def _withdraw(self, worker: Worker, call: Call) -> None:
        assert call.state == "running", f"{call!r} is taken back"
        assert call.worker is worker
        process = self.processes[worker.id]
        waiting = [f for f in process.frames if f.call is call and not f.is_withdrawn]
        for frame in waiting:
            frame.is_withdrawn = True
            # Claimed and withdrawn at once: the parent cannot tell, the worker passes over it.
            frame.is_proven = not (self.doubtful_withdrawals and self.random.random() < 0.3)
            self._claimed(frame)
        is_proven = waiting[0].is_proven if waiting else call.id in process.dropped
        self.machine.withdrawn(worker, call, is_proven, self.now)

    def _interrupt(self, worker: Worker, call: Call) -> None:
        process = self.processes.get(worker.id)
        for frame in [] if process is None else [*process.frames, *process.running.values()]:
            if frame.call is call:
                frame.is_interrupted = True

    def _finish(self, call: Call, value: Any) -> None:
        promise = self._promise(call)
        promise.told.append(value)
        assert len(promise.told) == 1, f"{call!r} ended twice"
        outcome = getattr(value, "outcome", "completed")
        if call.ending in ("ok", "failed"):
            token = value if call.ending == "ok" else getattr(value, "args", (None,))[0]
            is_own = token == promise.token or "Interrupted by itself" in str(token)
            assert is_own, f"{call!r} was given the answer of {token}"
            assert promise.completed, f"{call!r} was answered and never ran"
        elif outcome == "not_started":
            assert not promise.runs, f"{call!r} ran and is told that it did not start"
        elif outcome == "unknown":
            assert promise.claims, f"no worker looked at {call!r}, and its outcome is said to be unknown"

    def _start(self, worker: Worker, _detail: None) -> None:
        machine = self.machine
        assert worker.id not in self.processes
        assert len(machine.workers) <= machine.sizing.high, "more workers than max_workers were started"
        self.processes[worker.id] = Process(worker)

    def _stop(self, worker: Worker, _detail: None) -> None:
        process = self.processes[worker.id]
        assert not process.has_bye
        process.has_bye = True

    def _kill(self, worker: Worker, _detail: None) -> None:
        process = self.processes[worker.id]
        assert not process.is_killed
        process.is_killed = True

    def _ping(self, worker: Worker, _detail: None) -> None:
        self.processes[worker.id].pings += 1

    def _weigh(self, worker: Worker, _detail: None) -> None:
        fleet.weighed(self.machine, worker, self.random.choice([None, 1, 10**12]), self.now)

    def _forget(self, worker: Worker, number: int) -> None:
        self.processes[worker.id].seats.pop(number, None)

    def _session_closed(self, session: Session, _detail: None) -> None:
        assert session.state in ("closed", "lost")
        self.told_closed.append(session)

    def _say(self, event: Any, _detail: None) -> None:
        self.said.append(event)

    # To the end

    def serve(self, process: Process) -> bool:
        """Let one process get on with one thing; false if there is nothing for it to do."""
        if process.is_killed or process.is_crashed:
            self.bury(process)
        elif process.is_frozen:
            self.freeze(process, False)
        elif not process.is_ready:
            self.get_ready(process)
        elif process.answers:
            self.deliver(process)
        elif self.can_claim(process):
            self.claim(process)
        elif process.running:
            self.complete(process, next(iter(process.running.values())))
        elif process.pings:
            process.pings = 0
            fleet.ponged(process.record)
        elif process.has_bye and not process.frames:
            self.bury(process, EXITED)
        else:
            return False
        return True

    def serve_all(self) -> None:
        """Let every process get on until none has anything to do."""
        while any([self.serve(process) for process in list(self.processes.values())]):
            pass

    def begin(self) -> World:
        """Get every worker ready and let the pool serve."""
        self.serve_all()
        lifetime.serve(self.machine)
        self.settle()
        return self

    def answer(self, process: Process, how: str = "ok", seconds: float = 1e-5) -> Call:
        """Let a process run its next call and the parent read the answer."""
        self.claim(process)
        frame = next(reversed(process.running.values()))
        self.complete(process, frame, how, seconds)
        self.deliver(process)
        return frame.call

    def run_out(self, steps: int = 400) -> None:
        """Let everything get on, time included, until every call has ended."""
        for _ in range(steps):
            self.serve_all()
            if not self.machine.unended:
                return
            self.advance(0.25)
        left = [p.call for p in self.promises.values() if not p.told]
        raise AssertionError(f"still waiting: {left}")

    def check_over(self) -> None:
        """After everything: nobody waits, and nothing is left anywhere."""
        m = self.machine
        assert not m.workers
        assert not list(invariants.calls_of(m))
        assert not list(m.wheel)
        assert (m.unended, m.queued, m.queued_bytes, m.ready_count) == (0, 0, 0, 0)
        for promise in self.promises.values():
            assert len(promise.told) == 1, f"{promise.call!r} was told {promise.told}"
        assert m.submitted == len(self.promises) + self.refused == sum(m.counts.values())
        assert all(session.state in ("closed", "lost") for session in self.closing)
        assert sorted(s.number for s in self.told_closed) == sorted(s.number for s in self.closing)
