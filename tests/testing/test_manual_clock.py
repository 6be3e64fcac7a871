"""A clock moved by hand: each timer at its own time, in its order, and nothing by itself."""

from __future__ import annotations

import asyncio

import pytest

from millpond.testing import ManualClock


async def test_time_stands_still_until_it_is_moved():
    """Real time changes nothing."""
    clock = ManualClock(start=5.0)
    called = []
    clock.call_at(asyncio.get_running_loop(), 5.001, lambda: called.append(clock.now()))
    await asyncio.sleep(0.01)
    assert (clock.now(), called) == (5.0, [])


async def test_each_timer_is_called_at_its_own_time_and_in_order():
    """Also those set by other timers meanwhile, and equal ones in the order they were set."""
    clock, called = ManualClock(start=0.0), []
    loop = asyncio.get_running_loop()

    def note(name):
        called.append((name, clock.now()))
        if name == "first":
            clock.call_at(loop, 2.0, lambda: note("set meanwhile"))

    for at, name in ((3.0, "last"), (1.0, "first"), (2.5, "third"), (3.0, "last, too"), (9.0, "never")):
        clock.call_at(loop, at, lambda name=name: note(name))
    await clock.advance(4.0)
    assert called == [("first", 1.0), ("set meanwhile", 2.0), ("third", 2.5), ("last", 3.0), ("last, too", 3.0)]
    assert clock.now() == 4.0


async def test_a_jump_calls_everything_late_and_at_once():
    """As a machine that slept would."""
    clock, called = ManualClock(start=0.0), []
    loop = asyncio.get_running_loop()
    for at in (2.0, 1.0):
        clock.call_at(loop, at, lambda at=at: called.append((at, clock.now())))
    await asyncio.to_thread(clock.jump, 10.0)
    await clock.settle()
    assert called == [(1.0, 10.0), (2.0, 10.0)]


async def test_a_cancelled_timer_is_not_called():
    """Before its time, and between its time and its turn of the loop."""
    clock, called = ManualClock(), []
    loop = asyncio.get_running_loop()
    early = clock.call_at(loop, clock.now() + 1, lambda: called.append("early"))
    late = clock.call_at(loop, clock.now() + 2, lambda: called.append("late"))
    early.cancel()
    clock.jump(5.0)
    late.cancel()
    await clock.settle()
    assert called == []


async def test_what_is_due_already_is_called_in_the_next_turn():
    """Never from within `call_at`."""
    clock, called = ManualClock(), []
    clock.call_at(asyncio.get_running_loop(), clock.now(), lambda: called.append("due"))
    assert called == []
    await clock.settle()
    assert called == ["due"]


async def test_time_does_not_go_back():
    """A negative step is a mistake of the test."""
    clock = ManualClock()
    with pytest.raises(ValueError, match="does not go back"):
        clock.jump(-1)
    with pytest.raises(ValueError, match="does not go back"):
        await clock.advance(-1)
