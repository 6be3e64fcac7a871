"""Orders that fail: each ends at most what it was about, and nothing waits for what will not come."""

from __future__ import annotations

import math

import pytest

from millpond.core import Call, Session, orders
from tests.core.model import World, told


def world_of(**settings) -> World:
    """Two workers that serve."""
    return World(min_workers=2, max_workers=2, **settings).begin()


def broken(world: World, order: type, count: int = 1) -> World:
    """The next orders of a kind raise; of `Send` an odd number comes to nothing at last."""
    world.broken[order] = count
    return world


def test_a_call_that_cannot_be_sent_ends_and_its_worker_serves_on():
    """It ends `internal_error`, not started; the calls behind it are sent, and nobody is killed."""
    world = broken(world_of(), orders.Send)
    call, behind = world.submit(), world.submit()
    assert (call.ending, told(world, call).code, told(world, call).outcome) == (
        "failed",
        "internal_error",
        "not_started",
    )
    assert "order to send could not be carried out: RuntimeError: it is broken" in str(told(world, call))
    world.serve_all()
    assert behind.ending == "ok"
    assert all(not p.is_killed and not p.record.load for p in world.all)


def test_a_call_that_was_sent_by_an_order_that_raised_is_asked_back():
    """Its worker passes over it; that it did not start is proven."""
    world = broken(world_of(), orders.Send, 2)
    call = world.submit()
    assert (told(world, call).code, told(world, call).outcome) == ("internal_error", "not_started")
    world.serve_all()
    assert not world.promises[call.id].runs
    assert all(not p.record.load for p in world.all)


@pytest.mark.parametrize("is_closing", [True, False])
@pytest.mark.parametrize("is_given_up", [True, False])
def test_a_worker_that_is_to_go_need_not_wait_for_a_call_it_never_had(is_given_up, is_closing):
    """It was to go between the order to send the call and its carrying out."""
    world = world_of()
    call = Call(next(world.machine.call_ids), world.operation("work"), b"", math.inf)
    world.machine.submit(call, world.now)
    world.ledger.promise(call)
    if is_given_up:
        world.marked.add(call.id)
    else:
        broken(world, orders.Send)
    process = world.processes[call.worker.id]
    if is_closing:
        world.close(60.0)
    else:
        world.drain(process)
    assert (call.state, process.is_stopping) == ("ended", True)


def test_a_failed_send_proves_nothing_of_its_operation():
    """The breaker's probe was none, and a run that never was is not counted."""
    world = world_of(breaker_faults=1, breaker_reset=0.5)
    operation = world.operation("work")
    operation.breaker.fault(0, world.now, 1)
    world.advance(1.0)
    broken(world, orders.Send)
    ended = operation.ended
    world.submit()
    assert (operation.breaker.state, operation.ended) == ("open", ended)
    world.submit()
    world.serve_all()
    assert operation.breaker.state == "closed"


def test_a_start_that_raises_is_a_failed_start():
    """Another is tried after a pause, and the pool says why."""
    world = broken(World(min_workers=0, max_workers=1).begin(), orders.Start)
    world.resize(1, 1)
    assert not world.records.workers
    assert "order to start could not be carried out" in world.records.failure
    world.advance(3.0)
    world.serve_all()
    assert world.records.ready_count == 1


def test_a_kill_that_raises_is_ordered_again():
    """A worker the pool has given up is ended by nobody else."""
    world = world_of(cancel_grace=0.1)
    call = world.submit(deadline=0.1)
    process = next(p for p in world.all if p.waiting)
    world.claim(process)
    broken(world, orders.Kill)
    world.advance(0.5)
    assert process.record.state == "killed"
    assert not process.is_killed
    world.advance(1.1)
    assert process.is_killed
    assert told(world, call).code == "deadline_exceeded"


def test_a_ping_that_raises_is_not_held_against_the_worker():
    """Who was not asked owes no answer."""
    world = broken(world_of(health_interval=0.5), orders.Ping, 100)
    world.advance(20.0)
    assert all(not p.record.pings_missed and not p.is_killed for p in world.all)


def test_a_caller_whose_call_cannot_be_asked_back_goes_all_the_same():
    """Whether it began cannot be told: the outcome is unknown, and the worker is interrupted."""
    world = broken(world_of(), orders.Withdraw)
    call = world.submit()
    world.cancel(call)
    assert (told(world, call).code, told(world, call).outcome) == ("cancelled", "unknown")


def test_a_worker_that_cannot_be_warmed_is_replaced():
    """Nobody waits for ever for a warm-up that was not begun."""
    world = World(min_workers=1, max_workers=1, warmups="r")
    broken(world, orders.Warm)
    first = world.all[0]
    world.get_ready(first)
    assert first.is_killed
    assert world.records.failure


def asleep(world: World) -> Session:
    """A session whose state is in the store only."""
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    world.advance(1.0)
    world.serve_all()
    while world.store.orders:
        world.answer_store()
    assert session.location == "asleep"
    return session


def test_a_recall_that_raises_ends_the_calls_that_wait_for_it():
    """They did not start; the next call tries again."""
    world = World(min_workers=1, max_workers=1, sleep_after=0.1, session_store="a file").begin()
    session = asleep(world)
    broken(world, orders.Recall)
    call = world.submit("say", session=session)
    assert (told(world, call).code, told(world, call).outcome) == ("internal_error", "not_started")
    again = world.submit("say", session=session)
    world.answer_store()
    world.serve_all()
    assert again.ending == "ok"


def test_a_store_that_raises_ends_the_call_whose_state_it_was_to_keep():
    """It ran, and what it left is not kept: so it is told, and the session goes on."""
    world = World(min_workers=1, max_workers=1, durability="disk", session_store="a file").begin()
    session = world.open_session("a")
    broken(world, orders.Store)
    call = world.submit("say", session=session)
    world.serve_all()
    assert (call.ending, told(world, call).code, told(world, call).outcome) == ("failed", "internal_error", "completed")
    assert session.state == "open"


def test_a_session_that_cannot_be_erased_leaves_its_id_to_a_higher_generation():
    """Else the store would take the next one's records for late ones. It is erased while nobody has the id."""
    world = World(close_hook=False, min_workers=1, max_workers=1, sleep_after=0.1, session_store="a file").begin()
    session = asleep(world)
    broken(world, orders.Erase)
    world.close_session(session)
    assert session.state == "closed"
    assert world.store.kept
    assert world.records.sessions.find("a") is None
    world.advance(1.1)
    while world.store.orders:
        world.answer_store()
    assert not world.store.kept
    assert world.open_session("a").generation == 2


def test_a_session_that_woke_and_could_not_be_erased_is_erased_at_its_end():
    """Nobody finds its record while it lives, and nothing of it is left when it is over."""
    world = World(close_hook=False, min_workers=1, max_workers=1, sleep_after=0.1, session_store="a file").begin()
    session = asleep(world)
    broken(world, orders.Erase)
    world.submit("say", session=session)
    world.answer_store()
    world.serve_all()
    assert world.store.kept
    world.close_session(session)
    world.answer_store()
    assert not world.store.kept


def test_what_a_session_left_behind_is_erased_with_the_next_of_its_id():
    """Also if that one is never stored itself."""
    world = World(close_hook=False, min_workers=1, max_workers=1, sleep_after=0.1, session_store="a file").begin()
    session = asleep(world)
    broken(world, orders.Erase)
    world.close_session(session)
    following = world.open_session("a")
    world.advance(2.0)
    assert world.store.kept
    world.close_session(following)
    while world.store.orders:
        world.answer_store()
    assert not world.store.kept


@pytest.mark.parametrize(
    "order",
    [
        orders.Interrupt(None, None),
        orders.Stop(None),
        orders.Forget(None, 1),
        orders.Weigh(None),
        orders.Emit(None),
        orders.SessionEnded(None),
        orders.Finish(None, None),
        orders.WarmStep(None, None),
        orders.WarmEnd(None),
    ],
    ids=lambda order: order.verb,
)
def test_what_nobody_waits_for_changes_nothing(order):
    """It is given again by time, or whoever it was for was told."""
    world = world_of()
    before = repr(world.records.workers)
    world.machine.order_failed(order, RuntimeError("it is broken"), world.now)
    assert repr(world.records.workers) == before
    assert not world.machine.outbox
