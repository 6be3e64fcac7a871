"""The pool's own states, and closing in all of them."""

from __future__ import annotations

import pytest

from millpond.core.records.states import IllegalTransition
from millpond.errors import BadArgument
from tests.core.model import World, told


def busy_pool(**settings) -> World:
    """Two calls running, five queued, some of each in a session."""
    world = World(min_workers=2, max_workers=2, **settings).begin()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.submit()
    for process in world.all:
        world.claim(process)
    for number in range(5):
        world.submit("say", session=session) if number % 2 else world.submit()
    return world


def test_closing_refuses_the_queued_at_once_and_gives_the_running_time():
    """Row 13: what waits never starts, what runs may finish, and then every worker goes."""
    world = busy_pool()
    world.close(1.0)
    endings = [p.call.ending for p in world.promises.values()]
    assert endings == [None, None] + ["rejected"] * 5
    assert {(told(world, p.call).code, told(world, p.call).outcome) for p in list(world.promises.values())[2:]} == {
        ("pool_closed", "not_started")
    }
    world.serve_all()
    assert world.records.counts["ok"] == 2
    world.check_over()


def test_when_the_drain_is_over_nobody_waits():
    """What still runs is told so and killed."""
    world = busy_pool()
    world.close(1.0)
    world.advance(0.9)
    assert world.records.unended == 2
    world.advance(0.1)
    assert world.records.unended == 0
    assert {told(world, p.call).code for p in list(world.promises.values())[:2]} == {"pool_closing"}
    assert all(process.is_killed for process in world.all)
    world.serve_all()
    world.check_over()


def test_a_call_that_comes_back_unbegun_is_refused_by_a_closing_pool():
    """Taken back from a stuck worker, or left by a dead one: nobody will serve it."""
    world = World(min_workers=2, max_workers=2).begin()
    world.operation("work").expected = 1e-5
    calls = [world.submit() for _ in range(10)]
    for process in world.all:
        world.claim(process)
    world.close(5.0)
    world.advance(0.05)
    assert [call.ending for call in calls].count("rejected") == 8
    world.serve_all()
    world.check_over()


def test_a_call_that_waits_for_its_retry_is_not_called_unstarted():
    """Its first attempt may have done the work."""
    world = World(min_workers=1, max_workers=1, retry_backoff=5.0).begin()
    call = world.submit(idempotent=True)
    world.claim(world.all[0])
    world.reap(world.all[0])
    world.close(1.0)
    assert (call.ending, told(world, call).outcome) == ("rejected", "unknown")


def test_a_second_close_can_only_shorten_the_drain():
    """Whoever is in a hurry says so again."""
    world = busy_pool()
    world.close(60.0)
    world.advance(1.0)
    world.close(0.0)
    world.advance(0.0)
    assert world.records.unended == 0


def test_sessions_are_not_exported_by_a_closing_pool():
    """There is nowhere to take them; idle workers say goodbye at once."""
    world = World(min_workers=1, max_workers=1).begin()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    world.close(5.0)
    (process,) = world.all
    assert process.is_stopping
    assert not process.waiting


def test_a_session_that_closes_while_the_pool_does():
    """Whoever waits for its end is told, and no closing hook holds the pool up."""
    world = busy_pool()
    (session,) = world.records.sessions
    world.close_session(session)
    world.close(1.0)
    world.serve_all()
    world.check_over()
    assert world.told_closed == [session]


def test_draining_finishes_everything_and_takes_nothing_more():
    """Queued and running calls end as if nothing had happened; new ones and new sessions are refused."""
    world = busy_pool()
    world.machine.drain_pool(world.now)
    assert world.submit().code == "pool_closing"
    assert world.open_session("b").code == "pool_closing"
    world.run_out()
    assert {p.call.ending for p in world.promises.values()} == {"ok"}


def test_a_dead_worker_is_replaced_while_the_pool_drains():
    """Or what is queued would never end."""
    world = busy_pool()
    world.machine.drain_pool(world.now)
    for process in world.all:
        world.reap(process)
    world.run_out()


def test_closing_while_opening():
    """Workers that still start are let go; nothing is left."""
    world = World(min_workers=2, max_workers=2)
    world.close(0.0)
    world.advance(3.0)
    world.serve_all()
    world.machine.closed(world.now)
    world.check_over()
    assert world.submit().code == "pool_closed"


def test_states_that_are_not_in_the_table_are_refused():
    """A closed pool does not serve again."""
    world = World(min_workers=0).begin()
    world.close(0.0)
    world.machine.closed(world.now)
    with pytest.raises(IllegalTransition):
        world.machine.serve(world.now)
    assert world.records.state == "closed"


def test_a_pool_is_degraded_while_starts_fail():
    """It says so, and why, and goes on serving with what it has."""
    world = World(min_workers=2, max_workers=2, restart_backoff=10.0).begin()
    world.advance(5.0)
    world.reap(world.all[0])
    world.fail_to_start(world.all[1])
    state, reason = world.machine.view.health()
    assert (state, "no module named model" in reason) == ("degraded", True)
    assert world.submit().state == "running"


# Calls made while the pool opens: they wait for it, and end as any call that waits


def opening(**settings) -> World:
    """A pool whose only worker has not started yet."""
    return World(min_workers=1, max_workers=1, **settings)


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
