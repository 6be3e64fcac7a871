"""Time in which the pool did not run counts against nobody."""

from __future__ import annotations

import pytest

from millpond.core.standstill import Standstills
from tests.core.model import World


def test_only_the_part_of_a_standstill_that_lies_within_is_counted():
    """Whoever is judged since the middle of a standstill missed half of it."""
    standstills = Standstills()
    standstills.note(10.0, 14.0)
    standstills.note(20.0, 21.0)
    assert standstills.within(0.0, 30.0) == 5.0
    assert standstills.within(12.0, 30.0) == 3.0
    assert standstills.within(12.0, 13.0) == 1.0
    assert standstills.within(21.0, 30.0) == 0.0


def test_a_wake_up_that_is_overdue_counts_before_it_came():
    """What is read before the clock is looked at is judged by the same time."""
    world = World(min_workers=1, max_workers=1).begin()
    due = world.machine.wake_at
    assert world.machine.stood_still(world.now, due + 7.0) == pytest.approx(7.0)
    world.now = due + 7.0
    world.tick()
    assert world.machine.stood_still(due - 1.0, world.now) == pytest.approx(7.0)


def test_a_worker_that_was_stopped_is_judged_by_time_in_which_the_pool_ran():
    """That it goes on may not have been read yet when a pool that stood still goes on."""
    world = World(min_workers=1, max_workers=1, stopped_timeout=2.0).begin()
    (process,) = world.all
    world.freeze(process, True)
    world.sleep_through(20.0)
    world.advance(1.0)
    assert not process.is_killed
    world.advance(1.5)
    assert process.is_killed


def test_a_worker_that_goes_on_is_not_judged_by_what_was_said_of_it():
    """Who tells that it goes on may be stopped for longer than the worker was: the process itself is looked at."""
    world = World(min_workers=1, max_workers=1, stopped_timeout=2.0).begin()
    (process,) = world.all
    world.freeze(process, True)
    process.is_frozen = False
    world.advance(3.0)
    assert not process.is_killed
    world.freeze(process, True)
    world.advance(3.0)
    assert process.is_killed


def test_a_grace_is_time_in_which_the_pool_ran():
    """A worker that was stopped along with the program has its time to come back when both go on."""
    world = World(min_workers=1, max_workers=1, cancel_grace=1.0).begin()
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(call)
    world.sleep_through(20.0)
    assert not process.is_killed
    world.advance(0.9)
    assert process.is_killed


def test_a_goodbye_is_waited_for_while_the_pool_runs():
    """Its teardown may be told of, and not be read yet."""
    world = World(min_workers=1, max_workers=1).begin()
    (process,) = world.all
    world.drain(process)
    assert process.has_bye
    world.sleep_through(20.0)
    assert not process.is_killed
    world.advance(2.5)
    assert process.is_killed


def test_a_pool_that_stands_still_again_and_again_ends_a_grace_all_the_same():
    """Patience is time that adds up: it does not begin anew with each standstill."""
    world = World(min_workers=1, max_workers=1, cancel_grace=1.0).begin()
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(call)
    for _ in range(40):
        world.sleep_through(0.9)
    assert process.is_killed


def test_a_start_takes_no_longer_because_the_pool_stood_still():
    """What is learned of starts decides whether a backlog is worth one."""
    world = World(min_workers=1, max_workers=1)
    world.sleep_through(60.0)
    world.advance(0.2)
    world.get_ready(world.all[0])
    assert world.machine.sizing.start_s < 1.0
