"""Callers give calls up: cancels, deadlines, grace, and what is known of the work."""

from __future__ import annotations

import pytest

from millpond.core import orders
from millpond.core.assignment.cancellation import INTERRUPT_AGAIN_S
from tests.core.model import World, told


def pool(workers: int = 1, **settings) -> World:
    """A pool of fixed size."""
    return World(min_workers=workers, max_workers=workers, **settings).begin()


def test_a_queued_call_that_is_cancelled_never_starts():
    """Row 6: it ends at once, and nothing of it reaches a worker."""
    world = pool()
    world.submit()
    waiting = world.submit()
    world.cancel(waiting)
    assert (waiting.ending, told(world, waiting).outcome) == ("cancelled", "not_started")
    world.serve_all()
    assert world.promises[waiting.id].claims == 0


def test_a_sent_call_that_did_not_begin_is_withdrawn():
    """It ends as not started, its place is free again when the worker has passed over it."""
    world = pool()
    world.operation("work").expected = 1e-5
    world.submit()
    ahead = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(ahead)
    assert told(world, ahead).outcome == "not_started"
    assert process.record.load == 2
    world.serve_all()
    assert process.record.load == 0


def test_a_running_call_is_interrupted_until_it_comes_back():
    """Row 6: its caller is told at once; the worker is interrupted again and again, and kept."""
    world = pool()
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(call)
    assert (call.ending, told(world, call).outcome) == ("cancelled", "unknown")
    world.advance(2.5 * INTERRUPT_AGAIN_S)
    world.complete(process, process.running[call.id], "interrupted")
    world.deliver(process)
    world.advance(5.0)
    assert not process.is_killed
    assert world.submit().state == "running"


def test_a_deadline_frees_capacity():
    """Row 5: an operation that swallows every interrupt loses its worker when the grace ends."""
    world = pool(cancel_grace=1.0)
    call = world.submit(deadline=0.5)
    (process,) = world.all
    world.claim(process)
    world.advance(0.51)
    assert (call.ending, told(world, call).outcome) == ("expired", "unknown")
    second = world.submit()
    world.advance(0.9)
    assert not process.is_killed
    world.advance(0.2)
    assert process.is_killed
    world.serve_all()
    assert second.ending == "ok"


def test_expired_work_never_runs():
    """Row 8: fifty calls behind a busy worker expire in the queue, which is empty before the worker is free."""
    world = pool()
    world.submit()
    world.claim(world.all[0])
    calls = [world.submit(deadline=0.5) for _ in range(50)]
    world.advance(0.5 + 1 / 64)
    assert {told(world, call).outcome for call in calls} == {"not_started"}
    assert {call.ending for call in calls} == {"expired"}
    assert world.records.queued == 0


def test_the_worker_looks_at_the_deadline_too():
    """What expired on its way is not run, and its caller knows."""
    world = pool()
    call = world.submit(deadline=0.001)
    world.now += 0.002
    world.serve_all()
    assert (call.ending, told(world, call).outcome) == ("expired", "not_started")


def test_an_answer_that_ended_in_time_wins():
    """The operation's end counts, not the moment the answer is read."""
    world = pool()
    call = world.submit(deadline=1.0)
    (process,) = world.all
    world.claim(process)
    world.now += 0.999
    world.complete(process, process.running[call.id])
    world.now += 5.0
    world.deliver(process)
    assert call.ending == "ok"


def test_an_answer_that_ended_too_late_is_no_answer():
    """The caller learns that the work was completed after the deadline."""
    world = pool()
    call = world.submit(deadline=1.0)
    (process,) = world.all
    world.claim(process)
    world.now += 1.001
    world.complete(process, process.running[call.id])
    world.deliver(process)
    assert (call.ending, told(world, call).outcome) == ("expired", "completed")


def test_an_abandoned_call_may_finish():
    """With on_cancel="abandon" nobody is interrupted and the answer is dropped."""
    world = pool()
    call = world.submit(on_cancel="abandon")
    (process,) = world.all
    world.claim(process)
    world.cancel(call)
    world.advance(20.0)
    assert not process.running[call.id].is_interrupted
    assert not process.is_killed
    world.complete(process, process.running[call.id])
    world.deliver(process)
    assert world.records.late_answers == 1


@pytest.mark.parametrize("cancels", [True, False])
def test_a_deadline_bounds_an_abandoned_call_too(cancels):
    """Abandoning drops the answer; a worker is not given away for good."""
    world = pool(cancel_grace=1.0)
    call = world.submit(on_cancel="abandon", deadline=5.0)
    (process,) = world.all
    world.claim(process)
    world.advance(1.0)
    if cancels:
        world.cancel(call)
        world.advance(1.0)
        assert not process.running[call.id].is_interrupted
    world.advance(5.5)
    assert process.running[call.id].is_interrupted
    assert process.is_killed


@pytest.mark.parametrize(("on_interrupt", "state"), [("keep", "ready"), ("replace", "stopping")])
def test_a_setting_says_whether_an_interrupted_worker_is_trusted(on_interrupt, state):
    """It came back in time; whether it may go on is the user's to say."""
    world = pool(on_interrupt=on_interrupt)
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(call)
    world.complete(process, process.running[call.id], "interrupted")
    world.deliver(process)
    assert process.record.state == state


def test_a_cancel_while_the_call_is_being_taken_back_is_not_lost():
    """One order to withdraw is under way; its outcome ends the call instead of putting it back."""
    world = pool(2)
    world.operation("work").expected = 1e-5
    calls = [world.submit() for _ in range(4)]
    for process in world.all:
        world.claim(process)
    ahead = next(call for call in calls if call.id not in {i for p in world.all for i in p.running})
    world.now += 0.02
    world.machine.tick(world.now)
    assert ahead.cancel_reason == "taken_back"
    world.machine.cancel(ahead, world.now)
    about_it = [order for order in world.machine.outbox if getattr(order, "call", None) is ahead]
    assert [type(order) for order in about_it] == [orders.Withdraw]
    world.settle()
    assert (ahead.ending, told(world, ahead).outcome) == ("cancelled", "not_started")


def test_a_deadline_that_passes_while_waiting_for_a_retry_leaves_the_outcome_unknown():
    """The first attempt may have done the work."""
    world = pool(retry_backoff=1.0)
    call = world.submit(idempotent=True, deadline=2.0)
    (process,) = world.all
    world.claim(process)
    world.reap(process)
    assert call.id in world.records.delayed
    world.advance(3.0)
    assert (call.ending, told(world, call).outcome) == ("expired", "unknown")


def test_leaving_twice_is_leaving_once():
    """A call that ended is left alone by cancels and deadlines."""
    world = pool()
    call = world.submit(deadline=0.5)
    world.cancel(call)
    world.cancel(call)
    world.advance(2.0)
    assert call.ending == "cancelled"


def test_a_future_cancelled_before_its_call_was_sent_keeps_its_word():
    """The driver withdraws it in the place of sending it; the worker's place is free at once."""
    world = pool()
    world.submit()
    call, other = world.submit(), world.submit()
    world.marked.add(call.id)
    world.serve_all()
    assert call.ending == "cancelled"
    assert world.promises[call.id].claims == 0
    assert other.ending == "ok"


def test_a_deadline_and_a_stall_in_one_tick_are_one_withdrawal():
    """The call is asked back once, and what came of it ends the call."""
    world = pool(2)
    world.operation("work").expected = 1e-5
    calls = [world.submit(deadline=0.004) for _ in range(6)]
    for process in world.all:
        world.claim(process)
    world.sleep_through(0.05)
    assert {call.ending for call in calls} == {"expired"}
    assert sorted(told(world, call).outcome for call in calls) == ["not_started"] * 4 + ["unknown"] * 2
