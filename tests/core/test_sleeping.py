"""Sleep: who is due leaves for the store, and comes back with the next call, whatever happens meanwhile."""

from __future__ import annotations

import itertools

import pytest

from millpond import events
from millpond.core.sessions.sleeping import EXPIRING_AT_ONCE, LEAVING_AT_ONCE, LOOKS, POSTPONED, SPARSE
from tests.core.model import World, begun, told

SOON_S = 0.1
TTL_S = 16.0
LOOK_S = TTL_S / LOOKS


def pool(workers: int = 2, **settings) -> World:
    """A pool of fixed size whose sessions sleep soon."""
    return World(min_workers=workers, max_workers=workers, **{"sleep_after": SOON_S, **settings}).begin()


def asleep(world: World, name: str = "a", **options):
    """A session that sleeps."""
    session = begun(world, name, **options)
    world.advance(2 * SOON_S)
    world.serve_all()
    assert session.location == "asleep"
    return session


def test_an_idle_session_goes_to_the_store_and_costs_its_worker_nothing():
    """Its state is in one place only, and the next call runs on it."""
    world = pool()
    session = asleep(world)
    assert (session.worker, session.snapshot) == (None, None)
    assert world.store.holds(session) == world.histories[session.number]
    assert not any(process.states for process in world.all)
    call = world.submit("say", session=session)
    world.serve_all()
    assert (call.ending, session.location, world.store.kept) == ("ok", "bound", {})
    assert [len(world.events(kind)) for kind in (events.SessionAsleep, events.SessionAwake)] == [1, 1]


def test_a_session_wakes_in_the_worker_with_the_fewest():
    """Not where it slept in."""
    world = pool(2)
    first = asleep(world, "a")
    others = [begun(world, name) for name in "bc"]
    world.submit("say", session=others[0])
    world.serve_all()
    homes = {session.worker.id for session in others}
    assert len(homes) == 2
    world.close_session(others[1])
    world.serve_all()
    world.submit("say", session=first)
    world.serve_all()
    assert first.worker is not others[0].worker


def test_a_session_in_use_does_not_sleep():
    """Time counts from its last answer, or from when somebody joined it."""
    world = pool()
    session, joined = begun(world, "a"), begun(world, "b")
    world.submit("say", session=session)
    world.claim(world.processes[session.worker.id])
    for _ in range(6):
        world.advance(SOON_S / 2)
        assert world.open_session("b") is joined
    assert (session.location, joined.location) == ("bound", "bound")


def test_a_call_that_comes_while_the_state_is_being_stored_uses_what_is_in_hand():
    """The late result of the storing changes nothing, and nobody finds the record."""
    world = pool()
    session = begun(world)
    world.advance(2 * SOON_S)
    world.answer(world.processes[session.worker.id])
    assert (session.location, len(world.store.orders)) == ("in_hand", 1)
    call = world.submit("say", session=session)
    assert call.state == "running"
    world.answer_store()
    world.serve_all()
    assert (call.ending, session.location, world.store.kept) == ("ok", "bound", {})


def test_a_session_that_cannot_be_stored_stays_in_hand_and_is_tried_again():
    """Nothing is lost; it is counted and said."""
    world = pool()
    session = begun(world)
    world.advance(2 * SOON_S)
    world.answer(world.processes[session.worker.id])
    world.answer_store(is_failing=True)
    assert (session.location, world.records.counters.store_failures) == ("in_hand", 1)
    assert "disk is full" in world.events(events.SessionUnstored)[0].message
    world.advance(2 * SOON_S)
    world.serve_all()
    assert session.location == "asleep"


def test_calls_wait_in_line_while_their_session_wakes():
    """The store is asked once; one that is given up meanwhile never runs."""
    world = pool()
    session = asleep(world)
    calls = [world.submit("say", session=session) for _ in range(3)]
    assert session.location == "waking"
    assert [order[0] for order in world.store.orders] == ["recall"]
    world.cancel(calls[0])
    world.serve_all()
    assert [call.ending for call in calls] == ["cancelled", "ok", "ok"]


def test_a_session_whose_every_call_left_while_it_woke_goes_back_to_sleep():
    """Sleep while cancelled."""
    world = pool()
    session = asleep(world)
    world.cancel(world.submit("say", session=session))
    world.serve_all()
    assert session.location == "asleep"


def test_a_store_that_cannot_be_read_tells_the_callers_and_loses_nothing():
    """The next call tries again."""
    world = pool()
    session = asleep(world)
    call = world.submit("say", session=session)
    world.answer_store(is_failing=True)
    assert (told(world, call).code, told(world, call).outcome) == ("store_failed", "not_started")
    again = world.submit("say", session=session)
    world.serve_all()
    assert again.ending == "ok"


def test_a_record_that_is_gone_is_a_lost_session():
    """Loud, as any other loss."""
    world = pool()
    session = asleep(world)
    world.store.kept.clear()
    call = world.submit("say", session=session)
    world.serve_all()
    assert (told(world, call).code, session.state) == ("session_lost", "lost")


def test_a_record_that_is_older_than_what_was_stored_is_not_gone_on_from():
    """A store that lost its last commit does not rewind a session in silence."""
    world = pool()
    session = asleep(world)
    session.version += 1
    call = world.submit("say", session=session)
    world.serve_all()
    assert told(world, call).code == "session_lost"


@pytest.mark.parametrize("close_hook", [True, False])
def test_closing_a_sleeping_session_wakes_it_for_its_hook_only(close_hook):
    """And the store forgets it."""
    world = pool(close_hook=close_hook)
    session = asleep(world)
    world.close_session(session)
    assert (session.state == "closed") is not close_hook
    world.serve_all()
    assert (session.state, session.location, world.store.kept) == ("closed", "gone", {})


def test_a_pinned_session_does_not_sleep():
    """It was asked once, and stays where it is."""
    world = pool()
    session = begun(world)
    world.advance(2 * SOON_S)
    world.answer(world.processes[session.worker.id], "failed")
    assert session.mobility == "pinned"
    world.advance(5.0)
    assert session.location == "bound"
    assert world.records.pinned == {session.number: session}


def test_sessions_that_are_due_one_after_another_share_a_look():
    """Whoever is due first leaves in time, the others at most a sixteenth of `sleep_after` later, together."""
    world = pool(1, sleep_after=TTL_S)
    sessions = []
    for name in "abcd":
        sessions.append(begun(world, name))
        world.advance(LOOK_S / 8)
    world.advance(TTL_S - LOOK_S / 2)
    world.serve_all()
    assert [session.location for session in sessions] == ["asleep", "bound", "bound", "bound"]
    world.advance(LOOK_S)
    world.serve_all()
    assert {session.location for session in sessions} == {"asleep"}


def test_many_that_are_due_at_once_are_asked_for_little_by_little():
    """However many there are, a look costs no more than those that leave in it, and a bound of others."""
    world = pool(1, max_sessions=400)
    sessions = [begun(world, f"number {number}") for number in range(3 * POSTPONED)]
    world.advance(2 * SOON_S)
    assert len(world.all[0].exports) <= 17
    for _ in range(100):
        world.serve_all()
        world.advance(0.02)
    assert {session.location for session in sessions} == {"asleep"}


def test_without_a_time_to_sleep_after_only_drained_sessions_are_stored():
    """`sleep_after=None`."""
    world = pool(2, sleep_after=None)
    session = begun(world)
    world.advance(100.0)
    assert session.location == "bound"
    world.drain(world.processes[session.worker.id])
    world.serve_all()
    assert session.location == "asleep"


def test_many_that_may_leave_at_once_leave_little_by_little():
    """However many are due and need not even be asked, a look lets so many go."""
    world = pool(1, max_sessions=400, durability="reply")
    sessions = [begun(world, f"number {number}") for number in range(3 * LEAVING_AT_ONCE)]
    world.now += 60.0
    looks = 0
    while any(session.location == "bound" for session in sessions):
        before = sum(session.location == "bound" for session in sessions)
        world.now = max(world.now, world.machine.alarm.at)
        world.tick()
        assert before - sum(session.location == "bound" for session in sessions) <= LEAVING_AT_ONCE
        looks += 1
        assert looks < 100
    world.run_out()


def test_a_session_that_expires_asleep_counts_as_asleep_until_it_is_read():
    """Its closing hook needs its state: until that is back nothing of it is in this process, though its id is free."""
    world = World(min_workers=1, max_workers=1, sleep_after=0.1, session_ttl=2.0, session_store="a file").begin()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    world.advance(0.5)
    world.serve_all()
    assert world.records.asleep == 1
    world.advance(3.0)
    assert (session.state, session.location, world.records.asleep) == ("lost", "waking", 1)
    world.answer_store()
    assert world.records.asleep == 0


# Expiry


def expiring_pool(**settings) -> World:
    """A pool of one worker whose sessions expire."""
    return World(
        min_workers=1, max_workers=1, session_ttl=TTL_S, sleep_after=None, max_sessions=1000, **settings
    ).begin()


def test_a_session_expires_when_its_last_use_is_over_for_so_long():
    """Joining it and calling it count; those that were not used go, in the same look."""
    world = expiring_pool()
    left, joined, called = (world.open_session(name) for name in ("left", "joined", "called"))
    world.advance(TTL_S / 2)
    world.open_session("joined")
    world.submit("say", session=called)
    world.serve_all()
    world.advance(TTL_S / 2 + LOOK_S)
    assert [session.state for session in (left, joined, called)] == ["lost", "open", "open"]
    world.advance(TTL_S / 2 + LOOK_S)
    assert [session.state for session in (joined, called)] == ["lost", "lost"]


def test_what_expired_before_its_pool_closed_is_not_kept_for_the_next():
    """Its closing hook had no worker to run in any more: the store forgets it all the same."""
    world = World(
        min_workers=1, max_workers=1, session_store="a file", durability="disk", session_ttl=3.0, restart_backoff=9.0
    ).begin()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    assert list(world.store.kept) == ["a"]
    world.reap(world.all[0])
    world.fail_to_start(world.all[0])
    world.advance(4.0)
    assert session.state == "lost"
    world.close(0.0)
    world.serve_all()
    assert not world.store.kept


def test_a_session_at_work_never_expires():
    """Its time begins when its call has left."""
    world = expiring_pool()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.claim(world.all[0])
    world.advance(3 * TTL_S)
    assert session.state == "open"
    world.serve_all()
    world.advance(TTL_S - LOOK_S)
    assert session.state == "open"
    world.advance(TTL_S + LOOK_S)
    assert session.state == "lost"


def test_many_expire_little_by_little():
    """A turn of the loop ends so many, and the next the next: nobody else waits for all."""
    world = expiring_pool(close_hook=False)
    sessions = [world.open_session(f"s{n}") for n in range(2 * EXPIRING_AT_ONCE + 5)]
    world.now += TTL_S
    lost = []
    while world.machine.alarm.at <= world.now:
        world.tick()
        lost.append(sum(session.state == "lost" for session in sessions))
    assert lost[0] <= EXPIRING_AT_ONCE
    assert max(b - a for a, b in itertools.pairwise(lost)) <= EXPIRING_AT_ONCE
    assert lost[-1] == len(sessions)


def test_sessions_that_are_over_are_not_kept_until_they_would_have_expired():
    """Many that come and go in one session_ttl leave nothing behind."""
    world = expiring_pool(close_hook=False)
    for n in range(5 * SPARSE):
        world.close_session(world.open_session(f"s{n}"))
    assert len(world.records.expiring) <= SPARSE + 2


def test_a_session_does_not_expire_in_place_of_an_earlier_one_of_its_name():
    """Its own last use counts."""
    world = expiring_pool(close_hook=False)
    world.close_session(world.open_session("a"))
    world.advance(TTL_S / 2)
    again = world.open_session("a")
    world.advance(TTL_S / 2 + LOOK_S)
    assert again.state == "open"
    world.advance(TTL_S / 2 + LOOK_S)
    assert again.state == "lost"
