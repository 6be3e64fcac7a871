"""Calls made while the pool opens: they wait for it, and end as any call that waits."""

from __future__ import annotations

import pytest

from millpond.errors import BadArgument
from tests.core.model import World


def opening(**settings) -> World:
    """A pool whose only worker has not started yet."""
    return World(min_workers=1, max_workers=1, **settings)


def told(world: World, call) -> object:
    """What a caller was told."""
    (value,) = world.promises[call.id].told
    return value


def opened(world: World, refused: dict | None = None) -> World:
    """The pool serves, and lets in who waited for that; `refused` are those that do not fit."""
    world.begin()
    for call in world.machine.early():
        world.machine.let_in(call, (refused or {}).get(call), world.now)
        world.settle()
    return world


def test_calls_wait_until_the_pool_serves_and_are_served_in_their_order():
    """Also when a worker is ready before that."""
    world = opening()
    calls = [world.submit() for _ in range(3)]
    world.serve_all()
    assert [call.state for call in calls] == ["queued"] * 3
    opened(world)
    assert [call.sent_at > 0 for call in calls] == [True, False, False]
    world.run_out()
    assert [call.ending for call in calls] == ["ok"] * 3


def test_they_expire_and_are_cancelled_like_all_that_wait():
    """The deadline covers the opening."""
    world = opening()
    late, cancelled, patient = world.submit(deadline=0.5), world.submit(), world.submit(deadline=60.0)
    world.cancel(cancelled)
    world.advance(0.6)
    assert (late.ending, told(world, late).outcome) == ("expired", "not_started")
    opened(world)
    world.run_out()
    assert (cancelled.ending, patient.ending) == ("cancelled", "ok")


def test_they_count_in_max_queued():
    """A pool that takes long to open holds no more calls than one that serves."""
    world = opening(max_queued=2)
    assert [world.submit().state for _ in range(2)] == ["queued"] * 2
    assert world.submit().code == "queue_full"
    opened(world).run_out()


def test_what_does_not_fit_is_refused_when_that_is_known():
    """It was admitted, so it is in the ledger once."""
    world = opening()
    wrong, right = world.submit(), world.submit()
    opened(world, {wrong: BadArgument("no such operation")})
    assert (wrong.ending, told(world, wrong).code) == ("rejected", "bad_argument")
    world.run_out()
    assert right.ending == "ok"


@pytest.mark.parametrize(("failure", "code"), [("no model on this machine", "start_failed"), ("", "pool_closed")])
def test_an_opening_that_fails_is_told_to_those_who_waited(failure, code):
    """With its cause; those who come later, and those who wait when it is closed, are told that it is closed."""
    world = opening()
    call = world.submit()
    world.machine.close_pool(world.now, 0.0, failure)
    world.settle()
    assert (call.ending, told(world, call).code, told(world, call).outcome) == ("rejected", code, "not_started")
    assert failure in str(told(world, call))
    assert world.submit().code == "pool_closed"
