"""Answers reach their own call, or nobody."""

from __future__ import annotations

import pytest

from millpond.core import orders
from tests.core.model import World


def test_an_answer_that_matches_no_call_is_counted_and_dropped():
    """Row 7: neither an unknown id nor a late answer ends somebody else's call."""
    world = World(min_workers=1, max_workers=1).begin()
    call = world.submit()
    (process,) = world.all
    world.machine.answered(process.record, 999, "ok", "foreign", 0.0, 0.0, 0, world.now)
    world.settle()
    assert (call.state, world.records.late_answers) == ("running", 1)


def test_an_answer_of_another_worker_is_nobodys():
    """The right id from the wrong worker is no answer."""
    world = World(min_workers=2, max_workers=2).begin()
    call = world.submit()
    other = next(p for p in world.all if p.record is not call.worker)
    world.machine.answered(other.record, call.id, "ok", "foreign", 0.0, 0.0, 0, world.now)
    world.settle()
    assert call.state == "running"


def test_the_answer_of_a_call_its_caller_left_is_dropped():
    """It frees the slot and reaches nobody; the next call gets its own."""
    world = World(min_workers=1, max_workers=1).begin()
    left = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(left)
    following = world.submit()
    world.complete(process, process.running[left.id])
    world.deliver(process)
    assert (left.ending, world.records.late_answers) == ("cancelled", 1)
    world.serve_all()
    assert world.promises[following.id].told == [following.id]


@pytest.mark.parametrize(("how", "ending", "learns"), [("ok", "ok", True), ("failed", "failed", True)])
def test_durations_are_learned(how, ending, learns):
    """An operation's expected time follows what it takes, failing or not."""
    world = World(min_workers=1, max_workers=1).begin()
    for _ in range(2):
        world.submit()
        call = world.answer(world.all[0], how, seconds=0.25)
        assert call.ending == ending
    assert (world.operation("work").expected == pytest.approx(0.25, abs=1e-4)) is learns


def test_a_call_claimed_and_withdrawn_at_once_is_served_elsewhere():
    """The parent could not tell; the worker passed over it and says so, and nothing was lost."""
    world = World(min_workers=2, max_workers=2).begin()
    world.operation("work").expected = 1e-5
    calls = [world.submit() for _ in range(6)]
    stuck, other = world.all
    world.claim(stuck)
    world.machine.tick(world.now + 0.02)
    withdrawals = list(world.machine.outbox)
    world.machine.outbox.clear()
    for order in withdrawals:
        assert isinstance(order, orders.Withdraw)
        is_proven = world.processes[order.worker.id].withdraw(order.call.id, is_claimed=True)
        world.machine.withdrawn(order.worker, order.call, is_proven, world.now)
    world.settle()
    world.reap(other)
    world.serve_all()
    assert all(call.ending == "ok" for call in calls)
    assert {call.attempts for call in calls} == {1}


def test_an_operation_that_raises_interrupted_by_itself_failed():
    """Nobody asked it to stop, so it is the handler's failure."""
    world = World(min_workers=1, max_workers=1).begin()
    call = world.submit()
    world.answer(world.all[0], "interrupted")
    assert call.ending == "failed"
    assert world.records.codes == {"handler_error": 1}
