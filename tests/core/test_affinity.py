"""Sessions: order, binding, loss that is loud, moving, closing, expiry."""

from __future__ import annotations

import pytest

from millpond import events
from millpond.core.session import Session
from tests.core.model import World


def pool(workers: int = 2, **settings) -> World:
    """A pool of fixed size."""
    return World(min_workers=workers, max_workers=workers, **settings).begin()


def told(world: World, call) -> object:
    """What a caller was told."""
    (value,) = world.promises[call.id].told
    return value


def home(world: World, session: Session):
    """The process a session is bound to."""
    return world.processes[session.worker.id]


def begun(world: World, name: str, **options) -> Session:
    """A session that has answered once."""
    session = world.open_session(name, **options)
    world.submit("say", session=session)
    world.serve_all()
    return session


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
    assert sorted(len(process.seats) for process in world.all) == [3, 3]
    assert len({session.number for session in sessions}) == 6


def test_loss_is_loud():
    """Row 14: every waiting call is told, and each later one, until somebody reopens it, one generation higher."""
    world = pool()
    session, other = begun(world, "a"), begun(world, "b")
    calls = [world.submit("say", session=session) for _ in range(3)]
    process = home(world, session)
    world.claim(process)
    world.bury(process)
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
    world.bury(process)
    world.serve_all()
    assert [call.ending for call in calls] == ["ok", "ok"]
    assert session.worker.id != process.record.id


@pytest.mark.parametrize("is_deaf", [False, True])
def test_a_session_sent_to_a_dying_worker_goes_on(is_deaf):
    """Whether the frame was dropped or lies in a dead socket, the session did not begin there."""
    world = pool()
    session = world.open_session("a")
    for process in world.all:
        world.crash(process, is_deaf)
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


def test_a_drained_worker_gives_its_sessions_away():
    """Idle ones at once, busy ones between two calls; then it says goodbye, and nobody noticed."""
    world = pool(2)
    sessions = [begun(world, name) for name in "abcd"]
    leaver = home(world, sessions[0])
    calls = [world.submit("say", session=sessions[0]) for _ in range(3)]
    world.drain(leaver)
    for _ in range(3):
        calls += [world.submit("say", session=session) for session in sessions]
    world.run_out()
    world.serve_all()
    assert leaver.record.state == "gone"
    assert leaver.has_bye
    assert all(call.ending == "ok" for call in calls)
    assert all(session.state == "open" and session.worker is not leaver.record for session in sessions)
    assert world.histories[sessions[0].number][1:] == [call.id for call in calls if call.session is sessions[0]]
    assert len(world.events(events.SessionMoved)) == 2


def test_a_session_that_did_not_begin_leaves_a_drained_worker_without_an_export():
    """There is nothing to carry: its waiting call goes to another worker at once."""
    world = pool(2)
    session = world.open_session("a")
    call = world.submit("say", session=session)
    leaver = home(world, session)
    world.drain(leaver)
    world.cancel(call)
    following = world.submit("say", session=session)
    world.serve_all()
    assert following.ending == "ok"
    assert following.worker is not leaver.record
    assert not world.events(events.SessionMoved)


def test_a_state_that_cannot_be_exported_pins_the_session():
    """It goes on where it is; the worker stays for it, and goes when the session is closed."""
    world = pool(2)
    session = begun(world, "a")
    leaver = home(world, session)
    world.drain(leaver)
    world.answer(leaver, "failed")
    assert session.pinned
    assert session.worker is leaver.record
    call = world.submit("say", session=session)
    world.serve_all()
    assert (call.ending, call.worker) == ("ok", leaver.record)
    assert not leaver.has_bye
    world.close_session(session)
    world.serve_all()
    assert leaver.record.state == "gone"


def test_an_export_that_is_late_is_still_good():
    """An errand nobody waits for is interrupted when its time is over, but a state that comes is not thrown away."""
    world = pool(2, cancel_grace=5.0)
    session = begun(world, "a")
    leaver = home(world, session)
    world.drain(leaver)
    world.claim(leaver)
    (frame,) = leaver.running.values()
    world.advance(6.0)
    assert frame.is_interrupted
    world.complete(leaver, frame)
    world.deliver(leaver)
    assert session.baggage is not None
    call = world.submit("say", session=session)
    world.serve_all()
    assert (call.ending, len(world.histories[session.number])) == ("ok", 2)


def test_an_errand_that_did_not_begin_in_time_pins_nobody():
    """Its worker was busy with others; it is sent again."""
    world = pool(2, concurrency=2)
    session = begun(world, "a")
    leaver = home(world, session)
    world.freeze(leaver, True)
    world.machine.settings = world.machine.settings.changed(stopped_timeout=100.0)
    world.drain(leaver)
    world.advance(6.0)
    world.freeze(leaver, False)
    world.serve_all()
    assert not session.pinned
    assert (session.state, session.worker) == ("open", None)


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
    assert session.number not in process.seats


def test_a_long_call_before_it_does_not_cost_the_closing_hook():
    """The errand's time begins when it is sent, not when close() was called."""
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
    world.bury(process)
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
    assert not process.seats
    assert len(world.machine.book) == 0


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
    """Closing one makes room."""
    world = pool(max_sessions=3)
    sessions = [world.open_session(name) for name in "abc"]
    assert world.open_session("d").code == "too_many_sessions"
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
