"""Sessions: order, binding, and loss that is loud."""

from __future__ import annotations

import pytest

from tests.core.model import begun, home, told
from tests.core.model import fixed_pool as pool


def test_calls_of_a_session_run_in_order_on_one_worker():
    """Row 15: one at a time, whatever else is free."""
    world = pool(3)
    session = world.open_session("a")
    calls = [world.submit("say", session=session) for _ in range(10)]
    assert [call.state for call in calls] == ["running"] + ["queued"] * 9
    world.serve_all()
    assert len({call.worker.id for call in calls}) == 1
    assert world.histories[session.number] == [call.id for call in calls]


def test_a_priority_does_not_reorder_a_session():
    """Inside one session the order is that of the calls."""
    world = pool()
    session = world.open_session("a")
    calls = [world.submit("say", session=session, priority=priority) for priority in (0, -5, 9)]
    world.serve_all()
    assert world.histories[session.number] == [call.id for call in calls]


def test_sessions_spread_over_workers():
    """A new session is bound to the idle worker with the fewest."""
    world = pool(2)
    sessions = [begun(world, name) for name in "abcdef"]
    assert sorted(len(process.states) for process in world.all) == [3, 3]
    assert len({session.number for session in sessions}) == 6


def test_loss_is_loud():
    """Row 14: every waiting call is told, and each later one, until somebody reopens it, one generation higher."""
    world = pool()
    session, other = begun(world, "a"), begun(world, "b")
    calls = [world.submit("say", session=session) for _ in range(3)]
    process = home(world, session)
    world.claim(process)
    world.reap(process)
    assert told(world, calls[0]).code == "worker_died"
    assert {(told(world, c).code, told(world, c).outcome) for c in calls[1:]} == {("session_lost", "not_started")}
    assert world.submit("say", session=session).code == "session_lost"
    assert world.open_session("a").code == "session_lost"
    assert other.state == "open"
    again = world.open_session("a", reopen=True)
    assert (again.state, again.generation) == ("open", 2)
    world.submit("say", session=again)
    world.serve_all()
    assert len(world.histories[again.number]) == 1


def test_a_session_that_never_ran_survives_its_worker():
    """Nothing of it was there: its call is served elsewhere as if nothing had happened."""
    world = pool()
    session = world.open_session("a")
    calls = [world.submit("say", session=session) for _ in range(2)]
    process = home(world, session)
    world.reap(process)
    world.serve_all()
    assert [call.ending for call in calls] == ["ok", "ok"]
    assert session.worker.id != process.record.id


def test_a_session_sent_to_a_dying_worker_goes_on():
    """The frame lies in a dead socket: the session did not begin there."""
    world = pool()
    session = world.open_session("a")
    for process in world.all:
        world.crash(process)
    first, second = world.submit("say", session=session), world.submit("say", session=session)
    world.cancel(first)
    world.run_out()
    assert (first.ending, second.ending, session.state) == ("cancelled", "ok", "open")


def test_fail_fast_says_so_at_once():
    """A call of a fail-fast session whose worker is busy is refused, not queued."""
    world = pool(1)
    session = begun(world, "a", affinity_mode="fail_fast")
    world.submit()
    refused = world.submit("say", session=session)
    assert (refused.ending, told(world, refused).code) == ("rejected", "session_busy")
    world.serve_all()
    running = world.submit("say", session=session)
    assert running.state == "running"
    assert world.submit("say", session=session).code == "session_busy"


def test_a_hint_goes_elsewhere_while_nothing_is_there():
    """A session that was bound and has not begun is bound anew when its worker is busy."""
    world = pool(2)
    session = world.open_session("a", "hint")
    first = world.submit("say", session=session)
    before = session.worker
    world.cancel(first)
    world.serve_all()
    busy = [world.submit() for _ in range(2)]
    other = next(call for call in busy if call.worker is not before)
    process = world.processes[other.worker.id]
    world.answer(process)
    call = world.submit("say", session=session)
    assert (call.state, call.worker is before) == ("running", False)


def test_a_given_up_call_holds_its_session():
    """The next call waits until the worker came back from the one before, also if nobody waits for that."""
    world = pool()
    session = begun(world, "a")
    first, second = world.submit("say", session=session), world.submit("say", session=session)
    process = home(world, session)
    world.claim(process)
    world.cancel(first)
    assert (first.state, second.state) == ("ended", "queued")
    world.complete(process, process.running[first.id], "interrupted")
    world.deliver(process)
    assert second.state == "running"


def test_an_opening_hook_that_fails_leaves_the_session_open_elsewhere():
    """The call fails, the worker forgets, and the next call opens the session anew."""
    world = pool()
    session = world.open_session("a")
    first = world.submit("say", session=session)
    process = home(world, session)
    world.claim(process)
    world.complete(process, process.running[first.id], "unopened")
    world.deliver(process)
    assert (first.ending, session.worker, session.state) == ("failed", None, "open")
    second = world.submit("say", session=session)
    world.serve_all()
    assert second.ending == "ok"


@pytest.mark.parametrize("kind", ["expired", "skipped"])
def test_a_call_that_did_not_run_leaves_nothing_in_the_worker(kind):
    """What the worker passed over is no reason to call the session lost with it."""
    world = pool()
    session = world.open_session("a")
    world.submit("say", session=session, deadline=0.001)
    process = home(world, session)
    if kind == "expired":
        world.now += 0.002
    else:
        process.withdraw(process.waiting[0].call.id, is_claimed=True)
    world.claim(process)
    world.deliver(process)
    assert not session.is_in_worker
    world.reap(process)
    assert session.state == "open"
