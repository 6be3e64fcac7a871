"""The event recorder: all that was said, in order, and a wait that says what came instead."""

from __future__ import annotations

import asyncio

import pytest

from millpond import SyncPool, events
from millpond.telemetry.bus import Bus
from millpond.testing import EventRecorder, FakeEngine


class Talker:
    """Has telemetry, as pools do."""

    def __init__(self):
        self.telemetry = Bus()

    def say(self, number):
        self.telemetry.execute(events.SessionOpened(number=number, generation=1))


def test_everything_is_recorded_in_order_until_the_end():
    """By name and by field."""
    talker = Talker()
    with EventRecorder(talker) as recorder:
        talker.say(1)
        talker.say(2)
        talker.telemetry.execute(events.PoolResized(before=1, after=2, reason="test"))
    talker.say(3)
    assert recorder.names() == ["session.open", "session.open", "pool.resize"]
    assert [event.number for event in recorder.of("session.open")] == [1, 2]
    assert [event.number for event in recorder.of("session.open", number=2, generation=1)] == [2]
    assert recorder.of("session.open", worker=None) == []
    assert not talker.telemetry.has_listener("session.open")
    recorder.close()


def test_two_recorders_do_not_get_in_each_others_way():
    """Each attaches under a name of its own."""
    talker = Talker()
    with EventRecorder(talker) as one, EventRecorder(talker) as other:
        talker.say(1)
    assert len(one.events) == len(other.events) == 1


async def test_waiting_returns_when_enough_was_said():
    """What was said before the wait counts."""
    talker = Talker()
    recorder = EventRecorder(talker)
    talker.say(1)
    assert [event.number for event in await recorder.wait("session.open")] == [1]
    waiting = asyncio.create_task(recorder.wait("session.open", count=2))
    picky = asyncio.create_task(recorder.wait("session.open", number=3))
    await asyncio.sleep(0)
    talker.say(2)
    assert len(await waiting) == 2
    assert not picky.done()
    talker.say(3)
    assert [event.number for event in await picky] == [3]


async def test_waiting_in_vain_says_what_came_instead():
    """Or that nothing did."""
    talker = Talker()
    recorder = EventRecorder(talker)
    with pytest.raises(TimeoutError, match=r"1 x pool.resize; said was nothing"):
        await recorder.wait("pool.resize", timeout=0.01)
    talker.say(1)
    with pytest.raises(TimeoutError, match=r"2 x session.open \{'number': 1\}; said was session.open"):
        await recorder.wait("session.open", count=2, timeout=0.01, number=1)


async def test_events_of_another_thread_wake_the_waiter():
    """A `SyncPool` speaks on a thread of its own."""
    pool = SyncPool(None, engine=FakeEngine())
    with EventRecorder(pool) as recorder:
        opening = asyncio.create_task(asyncio.to_thread(pool.open))
        await recorder.wait("pool.ready")
        await opening
        await asyncio.to_thread(pool.close)
        await recorder.wait("pool.close")
