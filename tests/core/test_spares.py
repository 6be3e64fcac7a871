"""Spares: started, warm and idle beyond those that serve; they step in at once and are replaced behind."""

from __future__ import annotations

import pytest

from millpond import events
from millpond.core.records.sizing import Load, Sizing
from millpond.core.records.worker import READY, SPARE
from millpond.settings import Settings
from tests.core.model import World


def states(world: World) -> list[str]:
    return sorted(process.record.state for process in world.all)


def in_state(world: World, state: str):
    return [process for process in world.all if process.record.state == state]


def test_spares_are_started_beyond_those_that_serve():
    """A pool of two with one spare has three workers, two of which serve."""
    world = World(min_workers=2, max_workers=2, spare_workers=1).begin()
    assert states(world) == [READY, READY, SPARE]
    assert world.records.ready_count == 2
    assert [event.worker for event in world.events(events.WorkerSpare)] == [3]


def test_a_spare_is_given_no_calls():
    """It stands by for a death, not for a backlog that is soon over."""
    world = World(min_workers=1, max_workers=1, spare_workers=1).begin()
    (serving,) = in_state(world, READY)
    first, second = world.submit(), world.submit()
    assert first.worker is serving.record
    assert second.state == "queued"
    world.answer(serving)
    assert second.worker is serving.record


def test_a_spare_takes_a_dead_workers_place_in_the_step_that_tells_of_the_death():
    """The waiting call is sent before anything else happens, and another spare is started behind."""
    world = World(min_workers=1, max_workers=1, spare_workers=1).begin()
    (victim,), (spare,) = in_state(world, READY), in_state(world, SPARE)
    world.submit()
    waiting = world.submit()
    world.claim(victim)
    world.advance(2.0)
    world.reap(victim)
    assert waiting.worker is spare.record
    (recovered,) = world.events(events.PoolRecovered)
    assert (recovered.worker, recovered.seconds) == (spare.record.id, 0.0)
    (promoted,) = world.events(events.WorkerPromoted)
    assert promoted.worker == spare.record.id
    assert states(world) == [READY, "starting"]
    world.serve_all()
    assert states(world) == [READY, SPARE]


def test_a_killed_worker_is_stood_in_for_before_it_is_dead():
    """A call that does not stop costs its worker; whoever waits behind need not wait for the burial."""
    world = World(min_workers=1, max_workers=1, spare_workers=1, cancel_grace=0.5).begin()
    (stuck,), (spare,) = in_state(world, READY), in_state(world, SPARE)
    world.submit(deadline=1.0)
    waiting = world.submit()
    world.claim(stuck)
    world.advance(1.6)
    assert stuck.is_killed
    assert waiting.worker is spare.record
    assert len(world.processes) == 2


def test_a_recycled_worker_is_replaced_before_it_goes():
    """The spare steps in while the old one still finishes what it has."""
    world = World(min_workers=1, max_workers=1, spare_workers=1).begin()
    (leaver,), (spare,) = in_state(world, READY), in_state(world, SPARE)
    world.submit()
    world.drain(leaver)
    assert world.submit().worker is spare.record
    assert leaver.record.state == "draining"


def test_growing_takes_the_spare_first():
    """More are wanted: the spare serves at once, and both are made up for behind."""
    world = World(min_workers=1, max_workers=3, spare_workers=1).begin()
    (spare,) = in_state(world, SPARE)
    world.resize(2, 3)
    assert spare.record.state == READY
    assert states(world) == [READY, READY, "starting"]


def test_a_spare_is_worth_a_backlog_that_no_start_would_be():
    """A start takes seconds, the spare none: what waits half a second's work is given to it."""
    world = World(min_workers=1, max_workers=2, spare_workers=1)
    world.advance(3.0)
    world.begin()
    (spare,) = in_state(world, SPARE)
    world.operation("work").expected = 0.1
    for _ in range(6):
        world.submit()
    world.advance(0.2)
    assert spare.record.state == READY
    assert world.records.sizing.wanted == 2


def test_an_empty_pool_with_a_spare_answers_its_first_call_at_once():
    """Nobody serves, so there is nothing to wait for."""
    world = World(min_workers=0, max_workers=1, spare_workers=1).begin()
    call = world.submit()
    world.advance(0.0)
    assert call.worker is not None


def test_shrinking_lets_idle_workers_go_and_keeps_the_spare():
    """The number of spares is a wish of its own."""
    world = World(min_workers=3, max_workers=3, spare_workers=1).begin()
    (spare,) = in_state(world, SPARE)
    world.resize(1, 1)
    world.serve_all()
    assert states(world) == [READY, SPARE]
    assert spare.record.state == SPARE


def test_a_dead_spare_is_replaced():
    """Its death interrupts nobody."""
    world = World(min_workers=1, max_workers=1, spare_workers=1).begin()
    (spare,) = in_state(world, SPARE)
    world.advance(2.0)
    world.reap(spare)
    world.serve_all()
    assert states(world) == [READY, SPARE]
    assert not world.events(events.WorkerPromoted)


def test_an_idle_pool_shrinks_to_its_floor_and_its_spares():
    """`idle_timeout` looks at those that serve."""
    world = World(min_workers=1, max_workers=3, spare_workers=1, idle_timeout=1.0).begin()
    world.resize(3, 3)
    world.resize(1, 3)
    world.serve_all()
    assert world.records.ready_count == 3
    world.advance(5.0)
    world.serve_all()
    assert states(world) == [READY, SPARE]


def test_a_private_session_gets_a_fresh_spare_at_once():
    """With isolation by process a spare is the fresh process a session needs."""
    world = World(min_workers=1, max_workers=2, spare_workers=1, isolation="process").begin()
    one, two = world.open_session("a"), world.open_session("b")
    world.submit("say", session=one)
    world.serve_all()
    call = world.submit("say", session=two)
    world.advance(0.2)
    assert call.worker is not None
    assert one.worker is not two.worker


@pytest.mark.parametrize("state", [READY, SPARE])
def test_both_kinds_are_looked_after(state):
    """A spare that does not answer its pings is replaced like any other."""
    world = World(min_workers=1, max_workers=1, spare_workers=1, health_interval=1.0).begin()
    (silent,) = in_state(world, state)
    for _ in range(40):
        world.advance(0.5)
        for process in world.all:
            if process is not silent and process.pings:
                world.serve(process)
    assert silent.is_killed


def test_spares_are_counted_beyond_what_is_wanted():
    """Sizing's arithmetic: short of what is wanted, plus the spares."""
    sizing = Sizing(Settings(min_workers=1, max_workers=4, spare_workers=2))
    sizing.want(3)
    assert (sizing.most, sizing.short(1), sizing.behind(1), sizing.short(5), sizing.behind(5)) == (6, 2, 4, 0, 2)


def test_a_backlog_takes_no_more_spares_than_there_are():
    """Beyond the spares it has to be worth a start."""
    sizing = Sizing(Settings(min_workers=1, max_workers=8, spare_workers=2))
    sizing.start_s = 10.0
    assert sizing.worth(Load(1, 50, 50, 0.1), standing_by=2) == 3
