"""Sessions that nobody uses end, each at its time, however many there are."""

from __future__ import annotations

import itertools

from millpond.core.sessions.sleeping import LOOKED_AT_ONCE, LOOKS, SPARSE
from tests.core.model import World

TTL_S = 16.0
LOOK_S = TTL_S / LOOKS


def pool(**settings) -> World:
    """A pool of one worker whose sessions expire."""
    return World(
        min_workers=1, max_workers=1, session_ttl=TTL_S, sleep_after=None, max_sessions=1000, **settings
    ).begin()


def test_a_session_expires_when_its_last_use_is_over_for_so_long():
    """Joining it and calling it count; those that were not used go, in the same look."""
    world = pool()
    left, joined, called = (world.open_session(name) for name in ("left", "joined", "called"))
    world.advance(TTL_S / 2)
    world.open_session("joined")
    world.submit("say", session=called)
    world.serve_all()
    world.advance(TTL_S / 2 + LOOK_S)
    assert [session.state for session in (left, joined, called)] == ["lost", "open", "open"]
    world.advance(TTL_S / 2 + LOOK_S)
    assert [session.state for session in (joined, called)] == ["lost", "lost"]


def test_a_session_at_work_never_expires():
    """Its time begins when its call has left."""
    world = pool()
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
    world = pool(close_hook=False)
    sessions = [world.open_session(f"s{n}") for n in range(2 * LOOKED_AT_ONCE + 5)]
    world.now += TTL_S
    lost = []
    while world.machine.alarm.at <= world.now:
        world.tick()
        lost.append(sum(session.state == "lost" for session in sessions))
    assert lost[0] <= LOOKED_AT_ONCE
    assert max(b - a for a, b in itertools.pairwise(lost)) <= LOOKED_AT_ONCE
    assert lost[-1] == len(sessions)


def test_sessions_that_are_over_are_not_kept_until_they_would_have_expired():
    """Many that come and go in one session_ttl leave nothing behind."""
    world = pool(close_hook=False)
    for n in range(5 * SPARSE):
        world.close_session(world.open_session(f"s{n}"))
    assert len(world.records.expiring) <= SPARSE + 2


def test_a_session_does_not_expire_in_place_of_an_earlier_one_of_its_name():
    """Its own last use counts."""
    world = pool(close_hook=False)
    world.close_session(world.open_session("a"))
    world.advance(TTL_S / 2)
    again = world.open_session("a")
    world.advance(TTL_S / 2 + LOOK_S)
    assert again.state == "open"
    world.advance(TTL_S / 2 + LOOK_S)
    assert again.state == "lost"
