"""Sessions move with their state, between two calls, or stay where they are pinned."""

from __future__ import annotations

from millpond import events
from tests.core.model import begun, home
from tests.core.model import fixed_pool as pool


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
    assert leaver.is_stopping
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
    world.advance(30.0)
    assert session.pinned_because
    assert (session.mobility, session.location, session.worker) == ("pinned", "bound", leaver.record)
    assert world.records.pinned == {session.number: session}
    world.close_session(session)
    world.serve_all()
    assert leaver.record.state == "gone"
    assert not world.records.pinned


def test_a_pinned_session_is_tried_again_after_its_next_call():
    """A call changes the state, which may be one that can be taken out; what is pinned again is said again."""
    world = pool(2)
    session = begun(world, "a")
    leaver = home(world, session)
    world.drain(leaver)
    world.answer(leaver, "failed")
    world.submit("say", session=session)
    world.answer(leaver)
    assert (session.mobility, session.location) == ("movable", "leaving")
    world.answer(leaver, "failed")
    call = world.submit("say", session=session)
    assert len(world.events(events.SessionPinned)) == 2
    world.serve_all()
    assert (call.ending, leaver.record.state, session.state) == ("ok", "gone", "open")


def test_an_export_that_is_late_is_still_good():
    """It is interrupted when its time is over, but a state that comes all the same is not thrown away."""
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
    assert session.snapshot is not None
    call = world.submit("say", session=session)
    world.serve_all()
    assert (call.ending, len(world.histories[session.number])) == ("ok", 2)


def test_a_state_that_takes_too_long_pins_its_session_and_says_so():
    """The reason is the time it took, not the interrupt that ended it."""
    world = pool(2)
    session = begun(world, "a")
    leaver = home(world, session)
    world.drain(leaver)
    world.claim(leaver)
    (frame,) = leaver.running.values()
    world.advance(6.0)
    world.complete(leaver, frame, "interrupted")
    world.deliver(leaver)
    assert session.pinned_because == "its state cannot be exported: that took longer than 5 s"


def test_an_export_that_did_not_begin_in_time_pins_nobody():
    """Its worker was busy with others; it is sent again."""
    world = pool(2, concurrency=2)
    session = begun(world, "a")
    leaver = home(world, session)
    world.records.settings = world.records.settings.changed(stopped_timeout=100.0)
    world.freeze(leaver, True)
    world.drain(leaver)
    world.advance(6.0)
    world.freeze(leaver, False)
    world.serve_all()
    assert session.mobility == "movable"
    assert (session.state, session.worker) == ("open", None)


def test_a_closing_session_is_not_moved():
    """It ends where it is, so that its closing hook finds its state."""
    world = pool(2)
    session = begun(world, "a")
    leaver = home(world, session)
    call = world.submit("say", session=session)
    world.close_session(session)
    world.drain(leaver)
    assert world.answer(leaver) is call
    assert [frame.call.op.name for frame in leaver.waiting] == ["close_session"]
    world.serve_all()
    assert (session.state, leaver.record.state) == ("closed", "gone")
