"""A day of a pool through the core alone, under a virtual clock: `python -m benchmarks.core`.

Simulated workers take the place of processes, and a dictionary that of the session store, so that nothing but the core
and the few lines that drive it are measured. Once without sessions, and once with 5,000 sessions that sleep when they
are not used for a minute. Deterministic: the same seed gives the same day.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import heapq
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from benchmarks.machine import facts
from millpond.core import Call, Machine, Session, Worker, orders
from millpond.core.machine import LOOKS
from millpond.seams import EXPORTS, Death, HandlerFacts, OperationFacts, SessionRecord
from millpond.settings import Settings
from millpond.simulator.simulated_worker import LATE, RUNNING, WITHDRAWN, HeldCall, SimulatedWorker

DAY_S = 86_400.0
RATE = 5.0  # calls a second, at random times, as independent callers make them
DEADLINE_S = 60.0
COLD_START_S = 0.1
SERVICE_S, SIGMA = 0.15, 0.5  # mean of a call's time in its worker, and how widely it varies (lognormal)
DRAWN = 10_000  # service times that are drawn ahead, and come again and again
EXPORT_S = 0.001
WORKERS = 8
SESSIONS, SLEEP_AFTER_S = 5_000, 60.0
GOODBYE = Death(None, 0)


class Process(SimulatedWorker):
    """A worker of the core, and the process it would be."""

    def __init__(self, record: Worker) -> None:
        super().__init__()
        self.record = record


class Day:
    """One pool, the calls that come to it, and what comes of them."""

    def __init__(self, seed: int = 1, sessions: int = 0) -> None:
        self.now = 0.0
        self.arrivals, services = Random(seed), Random(seed + 1)
        mean = math.log(SERVICE_S) - SIGMA * SIGMA / 2
        self.services = itertools.cycle([services.lognormvariate(mean, SIGMA) for _ in range(DRAWN)])
        settings: dict[str, Any] = {"min_workers": 1, "max_workers": WORKERS, "max_sessions": max(1, sessions)}
        if sessions:
            settings |= {"sleep_after": SLEEP_AFTER_S, "session_ttl": DAY_S, "session_store": "memory"}
        self.machine = Machine(Settings(**settings), Random(seed))
        self.processes: dict[int, Process] = {}
        self.store: dict[str, SessionRecord] = {}
        self.calls = self.ticks = 0
        self.finished: Counter[str] = Counter()
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []  # heap: what workers will do
        self._order = 0
        self._next_turn: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._carry_out: dict[type, Callable[[Any], None]] = {
            orders.Send: self._send,
            orders.Finish: self._finish,
            orders.Start: lambda order: self._later(COLD_START_S, self._ready, Process(order.worker)),
            orders.Stop: self._stop,
            orders.Ping: self._ping,
            orders.Withdraw: self._withdraw,
            orders.Forget: lambda order: self.processes[order.worker.id].forget_session(order.number),
            orders.Store: lambda order: self._next_turn.append((self._stored, (order.session, order.record))),
            orders.Recall: lambda order: self._next_turn.append((self._recalled, (order.session,))),
            orders.Erase: lambda order: self.store.pop(order.session.id, None),
            orders.SessionEnded: lambda order: None,
        }
        self._open(sessions)

    def _open(self, sessions: int) -> None:
        machine = self.machine
        machine.open_pool(0.0)
        machine.learn(HandlerFacts("H", (OperationFacts("work", "plain", False, (), 0, 0, (), (), True, True),), ()))
        machine.start_workers(0.0)
        self._work_off()
        self.run_until(COLD_START_S)
        machine.serve(self.now)
        self.operation = machine.view.operations["work"]
        self.sessions = [machine.open_session(f"s{n}", None, False, self.now) for n in range(sessions)]
        self._work_off()

    def offer(self, seconds: float, rate: float = RATE) -> None:
        """Let calls come for so long."""
        end, at, expovariate = self.now + seconds, self.now, self.arrivals.expovariate
        while (at := at + expovariate(rate)) < end:
            self.run_until(at)
            self.submit()
        self.run_until(end)

    def come_to_rest(self) -> None:
        """Let every call end, and every session sleep."""
        self.run_until(self.now + DEADLINE_S + 2 * SLEEP_AFTER_S)

    def submit(self) -> None:
        """One call now, of any of the sessions if there are some."""
        machine, session = self.machine, None
        if self.sessions:
            session = self.sessions[int(self.arrivals.random() * len(self.sessions))]
        self.calls += 1
        call = Call(next(machine.call_ids), self.operation, b"", self.now + DEADLINE_S, session=session)
        machine.submit(call, self.now)
        self._work_off()

    def run_until(self, end: float) -> None:
        """Let everything happen that is due by then, in the order of time."""
        due, machine = self._due, self.machine
        while True:
            at = due[0][0] if due else math.inf
            if machine.alarm.at < at:
                at = machine.alarm.at
                if at > end:
                    break
                self.now = max(self.now, at)
                self.ticks += 1
                machine.tick(self.now)
            else:
                if at > end:
                    break
                self.now, _, act, details = heapq.heappop(due)
                act(*details)
            self._work_off()
        self.now = end

    def _later(self, seconds: float, act: Callable[..., None], *details: Any) -> None:
        self._order += 1
        heapq.heappush(self._due, (self.now + seconds, self._order, act, details))

    def _work_off(self) -> None:
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

    def _ready(self, process: Process) -> None:
        process.is_ready = True
        self.processes[process.record.id] = process
        self.machine.ready(process.record, process.record.id, self.now)

    def _send(self, order: orders.Send) -> None:
        process = self.processes[order.worker.id]
        process.take(order.call)
        self._get_on(process)

    def _get_on(self, process: Process) -> None:
        """Let a process begin what it can."""
        while process.waiting and process.can_begin:
            self._began(process, process.begin(self.now))
        while process.exports and process.can_begin_export:
            self._began(process, process.begin_export(self.now))
        if process.is_stopping and process.is_done:
            del self.processes[process.record.id]
            self._later(0.0, self.machine.worker_gone, process.record, GOODBYE, process.die(), self.now)

    def _began(self, process: Process, held: HeldCall) -> None:
        if held.state == RUNNING:
            is_export = held.call.operation in EXPORTS
            seconds = EXPORT_S if is_export else next(self.services)
            self._later(seconds, self._answer, process, held, self.now, is_export)
        elif held.state != WITHDRAWN or held.call.operation not in EXPORTS:
            kind = "expired" if held.state == LATE else "skipped"
            self.machine.answered(process.record, process.read(held), kind, None, self.now, self.now, 0, self.now)

    def _answer(self, process: Process, held: HeldCall, began: float, is_export: bool) -> None:
        process.end(held)
        value = b"state" if is_export else None
        self.machine.answered(process.record, process.read(held), "ok", value, began, self.now, 0, self.now)
        if process.waiting or process.exports or process.is_stopping:
            self._get_on(process)

    def _stop(self, order: orders.Stop) -> None:
        process = self.processes[order.worker.id]
        process.stop()
        self._get_on(process)

    def _ping(self, order: orders.Ping) -> None:
        self.machine.ponged(order.worker, self.processes[order.worker.id].ping(), self.now)

    def _withdraw(self, order: orders.Withdraw) -> None:
        is_proven = self.processes[order.worker.id].withdraw(order.call.id)
        self.machine.withdrawn(order.worker, order.call, is_proven, self.now)

    # The store, and the callers

    def _stored(self, session: Session, record: SessionRecord) -> None:
        self.store[session.id] = record
        self.machine.stored(session, record, None, self.now)

    def _recalled(self, session: Session) -> None:
        self.machine.recalled(session, self.store.get(session.id), None, self.now)

    def _finish(self, order: orders.Finish) -> None:
        self.finished[order.call.ending or ""] += 1

    def check(self) -> None:
        """Every call ended once, as the core counts it, and nothing is held anywhere."""
        view = self.machine.view
        assert (view.unended, view.queued, view.queued_bytes) == (0, 0, 0)
        assert self.calls == view.submitted == self.finished.total()
        assert self.finished == Counter({ending: n for ending, n in view.counts.items() if n})
        assert not any(process.held or process.waiting or process.running for process in self.processes.values())
        asleep = view.sessions_asleep
        assert asleep == len(self.store), f"{asleep} sessions are asleep, and {len(self.store)} are stored"
        left = view.counters.sessions_slept - view.counters.sessions_woken
        assert asleep == left, f"{asleep} sessions are asleep, and {left} went to sleep and did not wake"


@contextlib.contextmanager
def looks() -> Iterator[Counter[str]]:
    """Count how often each verb of the agenda is looked at meanwhile."""
    counted: Counter[str] = Counter()
    before = dict(LOOKS)

    def counting(verb: str, look: Callable[..., None]) -> Callable[..., None]:
        def counted_look(*details: Any) -> None:
            counted[verb] += 1
            look(*details)

        return counted_look

    LOOKS.update({verb: counting(verb, look) for verb, look in before.items()})
    try:
        yield counted
    finally:
        LOOKS.update(before)


def measure(seconds: float, sessions: int) -> str:
    """Run a day of so many seconds, and say what it took."""
    gc.collect()
    with looks() as counted:
        began, cpu = time.perf_counter(), time.process_time()
        day = Day(sessions=sessions)
        day.offer(seconds)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    day.come_to_rest()
    day.check()
    view, answers = day.machine.view, dict(day.finished)
    return (
        f"{sessions:,} sessions: {took:.2f} s ({cpu:.2f} s of processor), {day.calls:,} calls, {view.starts:,} starts, "
        f"{day.ticks:,} ticks\n  answers: {answers}\n  looks: {dict(counted.most_common())}"
    )


def main() -> None:
    """Print what a day costs without sessions and with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=DAY_S, help="how long the day is (default: 86,400)")
    chosen = parser.parse_args()
    print(facts())
    for sessions in (0, SESSIONS):
        print(measure(chosen.seconds, sessions))


if __name__ == "__main__":
    main()
