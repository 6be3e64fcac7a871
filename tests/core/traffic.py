"""Calls offered to a machine under a virtual clock, faster than its workers can answer, and what became of them.

The workers take the time a test draws for each call, and stop at once when they are interrupted. Deterministic: the
same seed gives the same run. `benchmarks/overload.py` prints its table from here.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from millpond import events
from millpond.core import Call, Machine, Worker, orders
from millpond.errors import PoolError
from millpond.seams import HandlerFacts, OperationFacts
from millpond.settings import Settings

Draw = Callable[[Random, float], float]  # seconds of service of a call that begins at a time


@dataclass
class Outcome:
    """What became of the calls, by the second in which they ended."""

    answered: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    dropped: int = 0
    begun: int = 0
    missed: int = 0
    admitted: int = 0
    expired: int = 0
    breakers: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)

    def within(self, first: int, last: int) -> int:
        """Answers in the seconds from `first` to before `last`."""
        return sum(self.answered[second] for second in range(first, last))


class Traffic:
    """One pool of workers that are always there, and a source of calls."""

    def __init__(self, seed: int, draw: Draw, workers: int = 2, **settings: Any) -> None:
        self.now = 0.0
        self.draw = draw
        self.arrivals, self.services = Random(seed), Random(seed + 1)  # each its own: runs can be compared call by call
        self.machine = Machine(Settings(min_workers=workers, max_workers=workers, **settings), Random(seed))
        self.machine.listen(lambda name: name == events.BreakerChanged.name)
        self.outcome = Outcome()
        self._running: dict[int, tuple[float, Worker]] = {}
        self._due: list[tuple[float, int, Worker, Call, str]] = []
        self._order = itertools.count()
        self._open()

    def _open(self) -> None:
        machine = self.machine
        machine.open_pool(0.0)
        operation = OperationFacts("work", "plain", False, (), 0, 0, (), (), True, True)
        machine.learn(HandlerFacts("Handler", (operation,), ()))
        machine.start_workers(0.0)
        for worker in list(machine.view.workers.values()):
            machine.ready(worker, worker.id, 0.0)
        machine.serve(0.0)
        self._settle()

    def offer(self, rate: float, seconds: float, deadline: float) -> Outcome:
        """Offer calls at a rate for so many seconds, at random, as independent callers do."""
        end, at = self.now + seconds, self.now
        while True:
            at += self.arrivals.expovariate(rate)
            if at >= end:
                break
            self.advance(at)
            self.submit(deadline)
        self.advance(end)
        return self.outcome

    def submit(self, deadline: float) -> None:
        """One call, now."""
        machine = self.machine
        call = Call(next(machine.call_ids), machine.view.operations["work"], b"", self.now + deadline)
        try:
            machine.submit(call, self.now)
        except PoolError as error:
            self.outcome.refused += 1
            self.outcome.codes[error.code] += 1
        else:
            self.outcome.admitted += 1
        self._settle()

    def advance(self, to: float) -> None:
        """Let answers and deadlines come until a time."""
        while True:
            at = min(self._due[0][0] if self._due else math.inf, self.machine.alarm.at)
            if at > to:
                break
            self.now = max(self.now, at)
            if self._due and self._due[0][0] <= self.now:
                self._answer()
            else:
                self.machine.tick(self.now)
            self._settle()
        self.now = to

    def _answer(self) -> None:
        ended, _, worker, call, kind = heapq.heappop(self._due)
        held = self._running.get(call.id)
        if held is None or worker.inflight.get(call.id) is not call or (kind == "ok" and call.is_interrupted):
            return
        began = self._running.pop(call.id)[0]
        self.machine.answered(worker, call.id, kind, None, began, ended, 0, self.now)  # type: ignore[arg-type]
        self._begin(worker)

    def _begin(self, worker: Worker) -> None:
        """The worker goes on with the next call that was sent to it."""
        for call in worker.inflight.values():
            if call.id in self._running:
                return
            self._running[call.id] = (self.now, worker)
            self.outcome.begun += 1
            seconds = self.draw(self.services, self.now)
            heapq.heappush(self._due, (self.now + seconds, next(self._order), worker, call, "ok"))
            return

    def _settle(self) -> None:
        outbox = self.machine.outbox
        while outbox:
            given = list(outbox)
            outbox.clear()
            for order in given:
                self._carry_out(order)

    def _carry_out(self, order: orders.Order) -> None:
        if isinstance(order, orders.Send):
            self._begin(order.worker)
        elif isinstance(order, orders.Withdraw):
            has_begun = order.call.id in self._running
            self.machine.withdrawn(order.worker, order.call, not has_begun, self.now)
            if not has_begun:
                self.machine.answered(order.worker, 0, "skipped", None, self.now, self.now, 0, self.now)
        elif isinstance(order, orders.Interrupt):
            heapq.heappush(self._due, (self.now, next(self._order), order.worker, order.call, "interrupted"))
        elif isinstance(order, orders.Finish):
            self._finished(order.call, order.value)
        elif isinstance(order, orders.Emit):
            assert isinstance(order.event, events.BreakerChanged)
            self.outcome.breakers.append(order.event.after)

    def _finished(self, call: Call, value: Any) -> None:
        outcome = self.outcome
        code = "ok" if call.ending == "ok" else value.code
        outcome.codes[code] += 1
        if code == "ok":
            outcome.answered[int(self.now)] += 1
        elif code == "overloaded":
            outcome.dropped += 1
        elif call.attempts:
            outcome.missed += 1
        else:
            outcome.expired += 1


def constant(mean: float) -> Draw:
    """Every call takes the same."""
    return lambda random, now: mean


def exponential(mean: float) -> Draw:
    """As waiting times between independent events."""
    return lambda random, now: random.expovariate(1.0 / mean)


def lognormal(mean: float, sigma: float) -> Draw:
    """Few calls take many times the mean."""
    return lambda random, now: mean * random.lognormvariate(-sigma * sigma / 2, sigma)


MEAN_S = 0.02
SERVICES: dict[str, Draw] = {
    "constant": constant(MEAN_S),
    "exponential": exponential(MEAN_S),
    "lognormal 0.5": lognormal(MEAN_S, 0.5),
    "lognormal 1": lognormal(MEAN_S, 1.0),
}
