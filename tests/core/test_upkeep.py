"""What is looked at twice a second: slow starts, pings, age, idleness, memory."""

from __future__ import annotations

from millpond import events
from millpond.core import fleet
from tests.core.model import World


def test_a_start_that_takes_too_long_is_ended():
    """It counts as a failed start."""
    world = World(min_workers=1, max_workers=1, start_timeout=2.0)
    (process,) = world.all
    world.advance(1.9)
    assert not process.is_killed
    world.advance(0.8)
    assert process.is_killed
    world.bury(process)
    assert world.machine.sizing.fails == 1


def test_an_idle_worker_is_pinged_and_one_that_is_silent_replaced():
    """Unhealthy after the first miss, replaced after three."""
    world = World(min_workers=2, max_workers=2, health_interval=10.0).begin()
    healthy, silent = world.all
    for _ in range(45):
        world.advance(1.0)
        if healthy.pings:
            healthy.pings = 0
            fleet.ponged(world.machine, healthy.record, world.now)
    assert (healthy.is_killed, silent.is_killed) == (False, True)
    assert silent.pings == 3
    missed = [event for event in world.events(events.WorkerHealth) if event.result == "missed"]
    assert {event.worker for event in missed} == {silent.record.id}


def test_a_busy_worker_is_not_pinged():
    """One that holds its interpreter for long waits for its deadline, not for a judge."""
    world = World(min_workers=1, max_workers=1, health_interval=1.0).begin()
    world.submit()
    (process,) = world.all
    world.claim(process)
    world.advance(20.0)
    assert (process.pings, process.is_killed) == (0, False)


def test_nobody_is_judged_after_the_judge_slept():
    """A loop that was blocked for a minute gives everybody one more round."""
    world = World(min_workers=1, max_workers=1, start_timeout=5.0, health_interval=5.0)
    world.sleep_through(60.0)
    assert not world.all[0].is_killed
    world.get_ready(world.all[0])
    world.sleep_through(60.0)
    assert world.all[0].pings == 0


def test_an_idle_worker_above_the_floor_goes():
    """After idle_timeout, one by one down to min_workers; not while it holds a session."""
    world = World(min_workers=1, max_workers=4, idle_timeout=5.0).begin()
    world.resize(4, 4)
    world.serve_all()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    world.resize(1, 4)
    world.advance(4.0)
    assert world.machine.ready_count == 4
    world.advance(2.0)
    world.serve_all()
    assert [process.record for process in world.all] == [session.worker]


def test_a_worker_that_is_never_wholly_idle_is_not_idle():
    """A free place beside running calls does not count as idleness."""
    world = World(min_workers=1, max_workers=2, idle_timeout=2.0, concurrency=2).begin()
    world.resize(2, 2)
    world.serve_all()
    world.resize(1, 2)
    for _ in range(10):
        calls = [world.submit() for _ in range(2)]
        for process in world.all:
            while process.frames:
                world.claim(process)
        world.advance(0.9)
        world.serve_all()
        assert all(call.ending == "ok" for call in calls)
    assert world.machine.ready_count == 2


def test_a_worker_is_recycled_by_age():
    """With a jitter of a tenth, so that they do not go together."""
    world = World(seed=3, min_workers=3, max_workers=3, max_lifetime=100.0).begin()
    ends = {process.record.retire_at - world.now for process in world.all}
    assert len(ends) == 3
    assert all(90.0 <= seconds <= 110.0 for seconds in ends)
    world.advance(111.0)
    world.serve_all()
    world.advance(1.0)
    world.serve_all()
    assert {process.record.id for process in world.all} == {4, 5, 6}


def test_a_worker_that_outgrew_its_memory_is_drained():
    """Looked at every two seconds; what cannot be read is left alone."""
    world = World(min_workers=1, max_workers=1, max_memory=2**30).begin()
    (process,) = world.all
    fleet.weighed(world.machine, process.record, None, world.now)
    fleet.weighed(world.machine, process.record, 2**30, world.now)
    assert process.record.state == "ready"
    fleet.weighed(world.machine, process.record, 2**30 + 1, world.now)
    assert process.record.state == "draining"
