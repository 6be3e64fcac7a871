"""How many workers there are: growing for a backlog, and letting go of what is idle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.core.model import World


def test_a_backlog_that_drains_first_is_not_worth_a_worker():
    """Fifty short calls, a start that takes a second: nobody is started."""
    world = World(min_workers=1, max_workers=8)
    world.advance(1.0)
    world.begin()
    world.operation("work").expected = 0.002
    for _ in range(50):
        world.submit()
    world.advance(0.2)
    assert len(world.processes) == 1


def test_a_long_backlog_is_worth_several():
    """As many as the work is worth starts, within bounds."""
    world = World(min_workers=1, max_workers=4)
    world.advance(1.0)
    world.begin()
    world.operation("work").expected = 0.5
    for _ in range(50):
        world.submit()
    world.advance(0.2)
    assert len(world.processes) == 4


def test_a_short_call_does_not_wait_behind_a_long_one_for_ever():
    """Whoever waits as long as a start takes proves that the workers are stuck, whatever was expected."""
    world = World(min_workers=1, max_workers=2)
    world.advance(0.3)
    world.begin()
    world.submit()
    world.claim(world.all[0])
    world.operation("work").expected = 1e-5
    world.submit()
    world.advance(0.2)
    assert len(world.processes) == 1
    world.advance(0.3)
    assert len(world.processes) == 2


def test_the_first_call_of_an_empty_pool_starts_a_worker_at_once():
    """With min_workers=0 nothing is there, so there is nothing to wait for."""
    world = World(min_workers=0, max_workers=2).begin()
    world.submit()
    world.advance(0.0)
    assert len(world.processes) == 1


def test_growing_does_not_shrink():
    """A backlog while starts fail does not lower what was wanted before."""
    world = World(min_workers=3, max_workers=4, restart_backoff=5.0).begin()
    world.advance(5.0)
    for process in world.all:
        world.reap(process)
    for process in world.all:
        world.fail_to_start(process)
    for _ in range(20):
        world.submit()
    world.advance(1.0)
    assert world.records.sizing.wanted >= 3


def test_a_backlog_is_not_forgotten_when_the_pool_shrinks():
    """Calls that came when no growth was possible are looked at again when it is."""
    world = World(min_workers=1, max_workers=1).begin()
    (process,) = world.all
    world.submit()
    world.claim(process)
    waiting = world.submit()
    world.resize(0, 1)
    world.records.sizing.want(0)
    world.reap(process)
    world.run_out()
    assert waiting.ending == "ok"


def test_a_pool_that_lets_nothing_wait_starts_a_worker_for_what_it_refuses():
    """With min_workers=0 and max_queued=0 it would refuse for ever."""
    world = World(min_workers=0, max_workers=2, max_queued=0).begin()
    assert world.submit().code == "queue_full"
    world.advance(0.0)
    world.get_ready(world.all[0])
    assert world.submit().state == "running"


def test_a_pool_that_lets_nothing_wait_grows_for_what_it_refuses():
    """Calls that come while its workers are busy are demand, though none of them waits."""
    world = World(min_workers=1, max_workers=2, max_queued=0)
    world.advance(0.3)
    world.begin()
    world.submit()
    world.claim(world.all[0])
    for _ in range(20):
        assert world.submit().code == "queue_full"
        world.advance(0.1)
    assert len(world.processes) == 2


def test_a_look_that_is_far_away_is_brought_forward_by_new_settings():
    """An idle worker goes by the `idle_timeout` there is now, not by the one its look was planned for."""
    world = World(min_workers=1, max_workers=2, idle_timeout=3600.0).begin()
    world.resize(2, 2)
    world.serve_all()
    world.resize(1, 2)
    world.advance(1.0)
    settings = replace(world.records.settings, idle_timeout=2.0)
    world.machine.configure(settings, "asked for", world.now)
    world.settle()
    world.advance(3.0)
    world.serve_all()
    assert len(world.records.workers) == 1


def test_a_longer_idle_timeout_holds_for_a_pool_that_runs():
    """Where no rule was chosen the timeout is the setting's of now, not that of the beginning."""
    world = World(min_workers=1, max_workers=2, idle_timeout=1.0).begin()
    world.resize(2, 2)
    world.serve_all()
    world.resize(1, 2)
    world.machine.configure(replace(world.records.settings, idle_timeout=50.0), "asked for", world.now)
    world.settle()
    world.advance(40.0)
    world.serve_all()
    assert len(world.records.workers) == 2
    world.advance(20.0)
    world.serve_all()
    assert len(world.records.workers) == 1


def test_a_look_is_made_once_however_often_it_is_brought_forward():
    """What it was planned for before is forgotten: it may be days off."""
    world = World(min_workers=1, max_workers=1, health_interval=1e5).begin()
    for _ in range(20):
        world.machine.configure(world.records.settings, "asked for", world.now)
        world.advance(0.1)
    assert sum(verb == "health" for _, _, verb, _, _ in world.records.agenda._entries) == 1


# The sizing rule


def ruled(**rule: Any) -> World:
    """A pool of up to eight workers that go by such a rule; a start takes a second, a call half of that."""
    world = World(min_workers=0, max_workers=8)
    world.size_by(**rule)
    world.machine.serve(world.now)
    world.settle()
    world.operation("work").expected = 0.5
    world.records.sizing.start_s = 1.0
    return world


def test_a_worker_is_started_when_a_call_is_as_old_as_the_rule_has_patience():
    """Not before, and one for each call of that age."""
    world = ruled(patience_s=0.3, drain_s=0.0)
    world.submit()
    world.advance(0.2)
    world.submit()
    assert len(world.processes) == 0
    world.advance(0.1)
    assert len(world.processes) == 1
    world.advance(0.1)
    assert len(world.processes) == 1
    world.advance(0.1)
    assert len(world.processes) == 2


def test_a_call_is_worth_a_worker_of_its_own_for_as_long_as_a_call_takes():
    """After that the worker that starts for it will be free again for the next one."""
    world = ruled(window_s=0.5, drain_s=0.0)
    counts = []
    for _ in range(6):
        world.submit()
        counts.append(len(world.processes))
        world.advance(0.2)
    assert counts == [1, 2, 3, 3, 3, 3]


def test_a_call_that_waits_in_vain_for_a_worker_to_be_free_again_is_worth_one():
    """Longer than a start and its window: whoever it was to be served by is stuck."""
    world = ruled(window_s=0.1, drain_s=0.0)
    world.records.sizing.start_s = 0.3
    world.submit()
    world.advance(0.15)
    world.submit()
    world.advance(0.15)
    world.get_ready(world.all[0])
    world.claim(world.all[0])
    world.advance(0.2)
    assert len(world.processes) == 1
    world.advance(0.1)
    assert len(world.processes) == 2


def test_a_call_that_found_a_worker_meanwhile_starts_none():
    """Patience is for those who still wait."""
    world = ruled(floor=1, patience_s=0.3)
    world.get_ready(world.all[0])
    world.submit()
    world.submit()
    world.advance(0.2)
    world.answer(world.all[0])
    world.advance(1.0)
    assert len(world.processes) == 1


def test_spares_are_kept_beyond_what_is_at_work():
    """With each call that takes an idle worker another one is started, and no more than that is kept."""
    world = ruled(spares=1, idle_timeouts=(0.0,))
    world.submit()
    assert len(world.processes) == 2
    for process in world.all:
        world.get_ready(process)
    world.advance(1.0)
    assert len(world.processes) == 2
    world.submit()
    assert len(world.processes) == 3
    world.serve_all()
    world.advance(1.0)
    assert world.records.ready_count == 1


def test_a_worker_that_goes_for_being_idle_cancels_no_start():
    """The idle one goes, not the one that starts: that counts for starting, and never for stopping."""
    world = ruled(idle_timeouts=(0.0,), drain_s=0.0)
    world.submit()
    world.submit()
    first, second = world.all
    world.get_ready(first)
    world.submit()
    world.answer(first)
    world.answer(first)
    world.answer(first)
    world.advance(0.0)
    assert (first.record.state, second.record.state) == ("stopping", "starting")


def test_a_shorter_timeout_is_not_put_off_by_a_look_planned_before():
    """A look at idle workers that is half a second off comes sooner if one may go sooner."""
    world = ruled(idle_timeouts=(0.1,), drain_s=0.0)
    world.submit()
    first = world.all[0]
    world.get_ready(first)
    world.advance(0.01)
    world.submit()
    world.answer(first)
    world.answer(first)
    world.advance(0.15)
    assert first.record.state == "stopping"


def test_each_level_has_its_own_timeout():
    """The more are ready, the sooner the one that was idle longest goes."""
    world = ruled(floor=3, idle_timeouts=(9.0, 4.0, 1.0))
    for process in world.all:
        world.get_ready(process)
    world.size_by(idle_timeouts=(9.0, 4.0, 1.0))
    ready = []
    for _ in range(10):
        world.advance(1.0)
        world.serve_all()
        ready.append(world.records.ready_count)
    assert ready == [2, 2, 2, 1, 1, 1, 1, 1, 0, 0]


def test_a_lower_ceiling_lets_the_idle_go_at_once_and_the_busy_when_they_have_answered():
    """A worker at work is never ended for it."""
    world = ruled(floor=3, ceiling=3)
    for process in world.all:
        world.get_ready(process)
    calls = [world.submit(), world.submit()]
    world.size_by(floor=1, ceiling=1)
    assert world.records.ready_count == 2
    world.answer(next(process for process in world.all if calls[0].id in process.record.inflight))
    assert world.records.ready_count == 1
    assert all(call.ending != "lost" for call in calls)


def test_the_bounds_of_the_settings_stand_above_the_rule():
    """Whatever floor and ceiling it names."""
    world = World(min_workers=2, max_workers=4).begin()
    for rule, wanted in (({"floor": 99}, 4), ({"ceiling": 0}, 2), ({"floor": 3, "ceiling": 3}, 3)):
        world.size_by(**rule)
        assert world.records.sizing.wanted == wanted
