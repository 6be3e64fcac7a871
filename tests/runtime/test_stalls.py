"""A pool that stood still says so once: what stood still, and for how long."""

from __future__ import annotations

import asyncio
import time

import pytest

import millpond
from millpond.core import orders
from millpond.events import PoolStalled
from millpond.runtime.stalls import LOOK_S, ProgramWatch
from millpond.testing import EventRecorder, FakeEngine, ManualClock

TRIES = 20


class Handler:
    def say(self) -> str:
        return "said"


@pytest.mark.parametrize("seconds", [20.0, 3600.0])
async def test_a_blocked_loop_is_reported_once(seconds, caplog):
    """With an event, a line in the log, a note in health, a count, and an alert that needs no second one."""
    clock = ManualClock()
    async with millpond.Pool(Handler, min_workers=1, max_workers=1, engine=FakeEngine(), clock=clock) as pool:
        recorder = EventRecorder(pool, "pool.stalled")
        await clock.advance(30.0)
        assert not recorder.events
        clock.jump(seconds)
        await clock.advance(3.0)
        (stalled,) = recorder.events
        assert isinstance(stalled, PoolStalled)
        assert stalled.of == "loop"
        assert seconds - 0.5 <= stalled.seconds <= seconds
        told = [record for record in caplog.records if record.name == "millpond.events"]
        assert len([record for record in told if "pool.stalled" in record.getMessage()]) == 1
        (note,) = pool.metrics.snapshot().health.notes
        assert note == f"the program's event loop stood still for {stalled.seconds:.1f} s, 3 s ago"
        assert "MillpondStalled" in {alert.name for alert in pool.alerts.firing()}
        await clock.advance(400.0)
        assert not pool.metrics.snapshot().health.notes
        assert "MillpondStalled" not in {alert.name for alert in pool.alerts.firing()}


async def test_what_loops_have_all_the_time_is_not_reported():
    """A turn of the loop that takes half a second is no stall."""
    clock = ManualClock()
    async with millpond.Pool(Handler, min_workers=1, max_workers=1, engine=FakeEngine(), clock=clock) as pool:
        recorder = EventRecorder(pool, "pool.stalled")
        await clock.advance(30.0)
        clock.jump(0.9)
        await clock.advance(3.0)
        assert not recorder.events


async def test_workers_are_sent_nothing_while_what_they_sent_meanwhile_is_read(monkeypatch):
    """They would answer that too: the loop would serve nobody else for as long as calls wait."""
    async with millpond.Pool(Handler, min_workers=1, max_workers=1) as pool:
        driver = pool.driver
        catch_up, send = driver.engine.catch_up, driver.carriers.table[orders.Send]
        is_reading, looks, sent = False, 0, []

        def watched_catch_up():
            nonlocal is_reading, looks
            is_reading, looks = True, looks + 1
            catch_up()
            is_reading = False

        def watched_send(order):
            sent.append(is_reading)
            send(order)

        monkeypatch.setattr(driver.engine, "catch_up", watched_catch_up)
        monkeypatch.setitem(driver.carriers.table, orders.Send, watched_send)
        calls = [asyncio.ensure_future(pool.call("say")) for _ in range(2000)]
        await asyncio.sleep(0)
        while not driver.view.is_late(driver.now()):
            time.sleep(0.05)
        assert await asyncio.gather(*calls) == ["said"] * 2000
        assert looks
        assert len(sent) >= 2000
        assert not any(sent)


def test_a_program_that_runs_was_not_stopped():
    """Code that sleeps, or keeps the processor busy, stands in the way of the loop only."""
    watch = ProgramWatch()
    watch.start()
    try:
        for _ in range(TRIES):  # a busy machine may stop the program, or its watching thread, meanwhile
            begin = time.monotonic()
            time.sleep(3 * LOOK_S)
            if watch.stopped_s(begin, time.monotonic()) == 0.0:
                break
        else:
            pytest.fail("each sleep was taken for a stop of the program")
    finally:
        watch.stop()


def test_without_a_thread_nothing_is_taken_for_a_stop_of_the_program(monkeypatch):
    """An interpreter that ends starts no thread; the pool that finishes what is pending then needs none."""

    def refuse(_thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("threading.Thread.start", refuse)
    watch = ProgramWatch()
    watch.start()
    assert watch.stopped_s(0.0, 1e9) == 0.0
    watch.stop()
