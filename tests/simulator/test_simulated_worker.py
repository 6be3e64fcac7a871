"""The model of a worker, under whatever may come to it in any order."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from millpond.seams import EXPORT_CONCURRENT, EXPORT_SESSION
from millpond.simulator import simulated_worker as model
from millpond.simulator.simulated_worker import TRANSITIONS, HeldCall, SimulatedWorker

PICK = st.integers(0, 2**16)
DEADLINES = st.sampled_from([math.inf, math.inf, 1.0, 2.0])


def make_call(number: int, deadline: float = math.inf, operation: int = 1, session: Any = None) -> Any:
    """A call, as far as a worker looks at it."""
    return SimpleNamespace(id=number, deadline=deadline, operation=operation, session=session)


class Worker(RuleBasedStateMachine):
    """One worker, and the states each call went through."""

    def __init__(self) -> None:
        super().__init__()
        self.worker = SimulatedWorker(concurrency=2)
        self.worker.is_ready = True
        self.now = 0.0
        self.seen: dict[HeldCall, list[str]] = {}
        self.unread: list[HeldCall] = []
        self.begun: list[HeldCall] = []

    def _note(self, held: HeldCall) -> None:
        if held.state == model.RUNNING:
            self.begun.append(held)
        elif held.call.operation != EXPORT_CONCURRENT or held.state != model.WITHDRAWN:
            self.unread.append(held)

    @rule(deadline=DEADLINES, operation=st.sampled_from([1, 1, 1, EXPORT_CONCURRENT]))
    def take(self, deadline: float, operation: int) -> None:
        held = self.worker.take(make_call(len(self.seen) + 1, deadline, operation))
        self.seen[held] = [held.state]

    @precondition(lambda self: self.worker.can_begin)
    @rule()
    def begin(self) -> None:
        self._note(self.worker.begin(self.now))

    @precondition(lambda self: self.worker.can_begin_export)
    @rule()
    def begin_export(self) -> None:
        self._note(self.worker.begin_export(self.now))

    @precondition(lambda self: self.begun)
    @rule(pick=PICK)
    def end(self, pick: int) -> None:
        held = self.begun.pop(pick % len(self.begun))
        self.worker.end(held)
        self.unread.append(held)

    @precondition(lambda self: self.unread)
    @rule()
    def read(self) -> None:
        held = self.unread.pop(0)
        was_withdrawn = held.state == model.WITHDRAWN
        assert self.worker.read(held) == (0 if was_withdrawn else held.call.id)

    @precondition(lambda self: self.seen)
    @rule(pick=PICK, is_claimed=st.booleans())
    def withdraw(self, pick: int, is_claimed: bool) -> None:
        held = list(self.seen)[pick % len(self.seen)]
        is_proven = self.worker.withdraw(held.call.id, is_claimed)
        assert not is_proven or held not in self.begun
        assert is_proven is (held.state == model.WITHDRAWN and held.call.id not in self.worker.held) or not is_proven

    @precondition(lambda self: self.seen)
    @rule(pick=PICK)
    def interrupt(self, pick: int) -> None:
        self.worker.interrupt(list(self.seen)[pick % len(self.seen)].call.id)

    @rule(is_frozen=st.booleans())
    def freeze(self, is_frozen: bool) -> None:
        self.worker.is_frozen = is_frozen

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def each_call_goes_by_the_table(self) -> None:
        """From state to state as the table has it; what was withdrawn or found late never began."""
        for held, states in self.seen.items():
            if held.state != states[-1]:
                states.append(held.state)
            assert all(step in TRANSITIONS for step in itertools.pairwise(states)), f"{held!r}: {states}"
            assert not (model.RUNNING in states and {model.LATE, model.WITHDRAWN, model.SKIPPED} & set(states))

    @invariant()
    def it_runs_no_more_than_it_may(self) -> None:
        """As many calls as its concurrency, and one export."""
        assert len(self.worker.running) <= 2
        exporting = [self.worker.exporting] if self.worker.exporting else []
        assert {*self.worker.running.values(), *exporting} == set(self.begun)

    def teardown(self) -> None:
        """A death names exactly what had begun and was not read."""
        unread = [held for held in self.unread if held.state == model.ENDED]
        assert sorted(self.worker.die()) == sorted(held.call.id for held in [*self.begun, *unread])
        assert not self.worker.is_working


TestWorker = Worker.TestCase
TestWorker.settings = settings(max_examples=100, stateful_step_count=40)


def test_a_call_that_was_withdrawn_may_be_sent_again_before_that_is_read():
    """The answer to the first sending names no call, and the second one is not touched by it."""
    worker, call = SimulatedWorker(), make_call(7)
    first = worker.take(call)
    assert worker.withdraw(7)
    second = worker.take(call)
    assert worker.begin(0.0) is first
    assert (worker.read(first), worker.held) == (0, {7: second})
    assert worker.begin(0.0) is second
    assert worker.running == {7: second}


def test_a_worker_has_to_be_told_of_a_session_once_a_lease():
    """A session that was bound anew, forgotten or taken out is introduced again before its next call."""
    worker, session = SimulatedWorker(), SimpleNamespace(number=3, lease=1)
    assert not worker.knows(session)
    worker.take(make_call(1, session=session))
    assert worker.knows(session)
    session.lease = 2
    assert not worker.knows(session)
    worker.take(make_call(2, operation=EXPORT_SESSION, session=session))
    worker.begin(0.0)
    worker.end(worker.begin(0.0))
    assert not worker.knows(session)


def test_a_worker_that_is_to_stop_ends_when_everything_is_done():
    """Calls that wait and calls that run come first; a worker that is not ready has not begun to live."""
    worker = SimulatedWorker()
    worker.stop()
    assert not worker.is_done
    worker.is_ready = True
    assert worker.is_done
    worker.take(make_call(1))
    assert not worker.is_done
    held = worker.begin(0.0)
    assert (worker.is_done, worker.ping()) == (False, 1)
    worker.end(held)
    assert worker.is_done
