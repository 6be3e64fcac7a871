"""Sessions end: closed, expired, refused at the cap; and private processes, which end with them."""

from __future__ import annotations

import pytest

from millpond.core.records.session import Session
from tests.core.model import World, begun, home
from tests.core.model import fixed_pool as pool


def test_closing_lets_the_calls_made_before_come_first():
    """Then the closing hook runs in the session's worker, and whoever closed it is told."""
    world = pool()
    session = begun(world, "a")
    calls = [world.submit("say", session=session) for _ in range(3)]
    process = home(world, session)
    world.close_session(session)
    assert world.submit("say", session=session).code == "session_lost"
    assert not world.told_closed
    world.serve_all()
    assert all(call.ending == "ok" for call in calls)
    assert world.told_closed == [session]
    assert session.number not in process.states


def test_a_long_call_before_it_does_not_cost_the_closing_hook():
    """Its time begins when it is sent, not when close() was called."""
    world = pool()
    session = begun(world, "a")
    call = world.submit("say", session=session)
    process = home(world, session)
    world.claim(process)
    world.close_session(session)
    world.advance(60.0)
    assert session.state == "closing"
    world.complete(process, process.running[call.id])
    world.deliver(process)
    world.claim(process)
    assert [frame.call.op.name for frame in process.running.values()] == ["close_session"]


@pytest.mark.parametrize("close_hook", [True, False])
def test_a_session_without_anything_to_close_is_closed_at_once(close_hook):
    """No hook, or nothing of it in any worker."""
    world = pool(close_hook=close_hook)
    session = begun(world, "a") if not close_hook else world.open_session("a")
    world.close_session(session)
    assert (session.state, session.worker, world.told_closed) == ("closed", None, [session])


def test_an_id_is_free_as_soon_as_its_session_closes():
    """The next session of that name is another one, and the first still finishes."""
    world = pool()
    session = begun(world, "a")
    call = world.submit("say", session=session)
    world.close_session(session)
    again = world.open_session("a")
    assert again is not session
    world.submit("say", session=again)
    world.serve_all()
    assert (call.ending, session.state, again.state) == ("ok", "closed", "open")
    assert len(world.histories[again.number]) == 1


def test_a_closing_session_lost_with_its_worker_is_told_as_ended():
    """Whoever waits for the closing is not left waiting, and the name is free."""
    world = pool()
    session = begun(world, "a")
    world.submit("say", session=session)
    world.close_session(session)
    process = home(world, session)
    world.claim(process)
    world.reap(process)
    assert (session.state, world.told_closed) == ("lost", [session])
    assert isinstance(world.open_session("a"), Session)


def test_an_idle_session_expires_and_says_so():
    """Row 16: after session_ttl it is lost, loudly, and its worker forgets it."""
    world = pool(session_ttl=1.0)
    session = begun(world, "a")
    process = home(world, session)
    world.advance(1.2)
    world.serve_all()
    assert session.state == "lost"
    assert "session_ttl" in str(world.submit("say", session=session))
    assert not process.states
    assert len(world.records.sessions) == 0


def test_a_session_in_use_does_not_expire():
    """Neither while a call runs or waits, nor when somebody joins it in time."""
    world = pool(1, session_ttl=1.0)
    session, joined = begun(world, "a"), begun(world, "b")
    world.submit("say", session=session)
    world.claim(home(world, session))
    for _ in range(10):
        world.advance(0.5)
        assert world.open_session("b") is joined
    assert (session.state, joined.state) == ("open", "open")


def test_beyond_the_cap_a_session_is_refused():
    """Closing one makes room; it is worth to ask again when the next could expire, or in half a minute."""
    world = pool(max_sessions=3, session_ttl=20.0)
    sessions = [world.open_session(name) for name in "abc"]
    world.advance(5.0)
    refused = world.open_session("d")
    assert (refused.code, refused.retry_after) == ("too_many_sessions", 15.0)
    assert world.open_session("a") is sessions[0]
    world.close_session(sessions[0])
    assert isinstance(world.open_session("d"), Session)


def test_a_private_process_is_fresh_and_thrown_away():
    """Row 16: each session has a process that ran nothing before, and nobody gets it afterwards."""
    world = World(min_workers=1, max_workers=2, isolation="process").begin()
    first = begun(world, "a")
    worker = first.worker
    second = world.open_session("b")
    call = world.submit("say", session=second)
    world.run_out()
    assert (call.ending, second.worker is worker) == ("ok", False)
    world.close_session(first)
    world.serve_all()
    assert worker.state == "gone"
    third = world.open_session("c")
    world.submit("say", session=third)
    world.run_out()
    assert third.worker.id > second.worker.id


def test_a_used_worker_makes_way_for_a_private_session():
    """At the bound of workers one that ran calls of others is replaced by a fresh one."""
    world = World(min_workers=1, max_workers=1, isolation="process").begin()
    world.submit()
    world.serve_all()
    (used,) = world.all
    session = world.open_session("a")
    call = world.submit("say", session=session)
    assert call.state == "queued"
    world.run_out()
    assert (call.ending, used.record.state) == ("ok", "gone")


def test_private_sessions_do_not_wait_for_a_backlog_to_grow():
    """However little work waits, each session is worth a process of its own."""
    world = World(min_workers=1, max_workers=4, isolation="process").begin()
    world.operation("say").expected = 1e-5
    sessions = [world.open_session(name) for name in "abcd"]
    calls = [world.submit("say", session=session) for session in sessions]
    world.run_out()
    assert all(call.ending == "ok" for call in calls)
    assert len({session.worker.id for session in sessions}) == 4


def test_a_private_worker_that_was_not_used_is_free_again():
    """Its session left before anything ran there; whoever waits is served at once."""
    world = World(min_workers=1, max_workers=1, isolation="process").begin()
    session = world.open_session("a")
    (process,) = world.all
    call = world.submit("say", session=session)
    world.cancel(call)
    waiting = world.submit()
    world.serve_all()
    assert waiting.state == "queued"
    world.close_session(session)
    assert (waiting.state, waiting.worker) == ("running", process.record)
