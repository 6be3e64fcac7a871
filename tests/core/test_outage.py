"""The engine is lost: nothing is started, calls wait or are told when it is tried again, and it is tried for ever."""

from __future__ import annotations

import pytest

from millpond import events
from millpond.core.workers.outage import STEADY_S
from tests.core.model import World


def pool(**settings) -> World:
    """Two workers that are well."""
    pauses = {"restart_backoff": 1.0, "restart_backoff_max": 8.0}
    world = World(min_workers=2, max_workers=2, health_interval=3600.0, **pauses, **settings).begin()
    world.advance(5.0)
    return world


def lost_again(world: World) -> float:
    """Lose the engine, let its workers be buried, and say how long it takes to be tried again."""
    world.lose_engine()
    for process in world.all:
        world.reap(process)
    before = world.now
    while not world.is_reviving:
        world.advance(0.05)
    return world.now - before


def test_an_engine_that_was_lost_is_tried_at_once():
    """And its workers come back when it does; until then the pool says why it has none."""
    world = pool()
    assert lost_again(world) < 0.06
    assert world.machine.view.health() == ("degraded", "the warden ended")
    assert not world.processes
    world.revive_engine()
    world.serve_all()
    assert (world.records.ready_count, world.machine.view.health()) == (2, ("ready", ""))
    assert len(world.events(events.PoolDegraded)) == len(world.events(events.PoolRestored)) == 1


def test_losses_in_a_row_are_followed_by_pauses_that_double_up_to_a_bound():
    """It is never given up: the cause may go any time."""
    world = pool()
    lost_again(world)
    pauses = []
    for _ in range(40):
        world.revive_engine(is_failing=True)
        before = world.now
        while not world.is_reviving:
            world.advance(0.05)
        pauses.append(world.now - before)
    assert 0.75 <= pauses[0] <= 1.3
    assert 1.5 <= pauses[1] <= 2.55
    assert all(6.0 <= pause <= 8.05 for pause in pauses[4:])
    world.revive_engine()
    world.serve_all()
    assert world.records.ready_count == 2


def test_an_engine_that_was_there_for_a_while_is_tried_at_once_again():
    """Losses add up only while they follow each other."""
    world = pool()
    lost_again(world)
    world.revive_engine()
    world.serve_all()
    assert lost_again(world) >= 0.75
    world.revive_engine()
    world.serve_all()
    world.advance(STEADY_S)
    assert lost_again(world) < 0.06


def test_a_call_that_would_end_before_the_next_try_is_refused_and_others_wait():
    """With the time of the next try; while it is being tried nobody is refused."""
    world = pool()
    lost_again(world)
    waiting = world.submit(deadline=0.5)
    assert waiting.state == "queued"
    world.revive_engine(is_failing=True)
    pause = world.records.engine.retry_at - world.now
    refused = world.submit(deadline=0.3)
    assert (refused.code, refused.outcome) == ("start_failed", "not_started")
    assert refused.retry_after == pytest.approx(pause)
    assert "no descriptor is free" in str(refused)
    patient = world.submit(deadline=pause + 1.0)
    assert world.submit().state == "queued"
    world.advance(pause)
    assert world.submit(deadline=0.1).state == "queued"
    world.serve_all()
    assert (waiting.ending, patient.ending) == ("expired", "ok")


def test_what_the_lost_workers_held_is_judged_as_after_any_death_and_blamed_on_nobody():
    """What had begun is lost, what had not is served by those that come; no breaker counts it, no start failed."""
    world = pool()
    calls = [world.submit() for _ in range(3)]
    world.claim(world.processes[calls[0].worker.id])
    world.lose_engine()
    world.serve_all()
    assert [call.ending for call in calls] == ["lost", "ok", "ok"]
    assert (calls[0].deaths, world.records.sizing.fails) == (0, 0)


def test_a_start_that_was_lost_with_the_engine_is_no_failed_start():
    """It is followed without a pause when the engine is back."""
    world = pool()
    world.resize(3, 3)
    world.lose_engine()
    world.serve_all()
    assert (world.records.ready_count, world.records.counters.start_failures) == (3, 0)


def test_a_spare_that_is_lost_too_does_not_step_in():
    """It is as dead as the one whose place it would take."""
    world = pool(spare_workers=1)
    world.lose_engine()
    assert not world.events(events.WorkerPromoted)
    assert world.records.ready_count == 0


def test_an_opening_pool_fails_when_its_engine_is_lost():
    """Whoever opens it is told why."""
    world = World(min_workers=1, max_workers=1)
    world.lose_engine()
    assert world.records.failure == "the warden ended"


def test_a_draining_pool_has_its_engine_back_and_a_closing_one_does_not():
    """What is queued is still to be served; what is refused needs nobody."""
    world = pool()
    call = world.submit()
    world.machine.drain_pool(world.now)
    world.lose_engine()
    world.run_out()
    assert call.ending == "ok"
    world.lose_engine()
    world.close(1.0)
    world.advance(10.0)
    assert not world.is_reviving
    world.serve_all()
    world.check_over()
