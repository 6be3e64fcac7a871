"""The reporter: batches in order from a thread of its own; the other side's slowness costs events, never the pool."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

from millpond import events
from millpond.telemetry.bus import Bus
from millpond.telemetry.reporter import Reporter

LONG = 3600.0  # an interval no test waits for
BOUND = 60.0


def event(number):
    return events.SessionOpened(number=number, generation=1)


def numbers(batches):
    return [[one.number for one in batch] for batch in batches]


class Side:
    """The other side: keeps what it gets, waits at its gate, raises the errors it was given, one a batch."""

    def __init__(self, is_open=True):
        self.batches = []
        self.gate = threading.Event()
        self.came = threading.Semaphore(0)
        self.errors = []
        if is_open:
            self.gate.set()

    def __call__(self, batch):
        self.batches.append(batch)
        self.came.release()
        assert self.gate.wait(BOUND)
        if self.errors:
            raise self.errors.pop(0)

    def wait(self, count=1):
        for _ in range(count):
            assert self.came.acquire(timeout=BOUND)


def test_a_full_batch_goes_out_at_once():
    """In order, on a thread of the reporter's own; what is left goes out when it closes."""
    side, bus = Side(), Bus()
    with Reporter(side, batch=3, interval=LONG) as reporter:
        reporter.attach(bus, "session")
        for number in range(7):
            bus.execute(event(number))
        side.wait(2)
        assert numbers(side.batches) == [[0, 1, 2], [3, 4, 5]]
    assert numbers(side.batches) == [[0, 1, 2], [3, 4, 5], [6]]
    facts = reporter.facts()
    assert (facts.waiting, facts.delivered, facts.dropped, facts.failures) == (0, 7, 0, 0)
    assert bus.listeners() == ()


def test_a_batch_that_does_not_fill_goes_out_in_time():
    """After `interval` seconds, so that a quiet pool is heard of too."""
    side = Side()
    with Reporter(side, batch=100, interval=0.01) as reporter:
        reporter(event(1))
        side.wait()
    assert [one for batch in numbers(side.batches) for one in batch] == [1]


def test_a_slow_side_costs_events_and_they_are_counted(caplog):
    """The bound holds, the saying thread never waits, and it is told once."""
    side = Side(is_open=False)
    reporter = Reporter(side, batch=1, interval=LONG, limit=3).open()
    reporter(event(0))
    side.wait()  # it sits on the first
    for number in range(1, 10):
        reporter(event(number))
    assert (reporter.facts().waiting, reporter.facts().dropped) == (3, 6)
    side.gate.set()
    assert reporter.close()
    assert numbers(side.batches) == [[0], [1], [2], [3]]
    assert [record.message for record in caplog.records] == [
        "reporter 'reporter' drops events, the first 1 because 3 events wait for it already"
    ]


def test_closing_waits_no_longer_than_it_was_told_to():
    """A side that is stuck keeps its batch; what waits behind it is dropped and counted, late events too."""
    side = Side(is_open=False)
    reporter = Reporter(side, batch=1, interval=LONG).open()
    for number in range(3):
        reporter(event(number))
    side.wait()
    assert not reporter.close(timeout=0.01)
    reporter(event(3))
    assert (reporter.facts().waiting, reporter.facts().dropped) == (0, 3)
    side.gate.set()
    assert reporter.close(timeout=BOUND)
    assert (reporter.facts().delivered, numbers(side.batches)) == (1, [[0]])


def test_a_side_that_raises_loses_its_batch_only(caplog):
    """It is logged once, counted each time, and asked again with the next."""
    side = Side()
    side.errors = [ConnectionError("refused"), ConnectionError("refused"), SystemExit("not even this ends the thread")]
    reporter = Reporter(side, batch=1, interval=LONG).open()
    for number in range(4):
        reporter(event(number))
    assert reporter.close()
    facts = reporter.facts()
    assert (facts.delivered, facts.dropped, facts.failures) == (1, 3, 3)
    assert facts.last_failure == "SystemExit"
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_queue_gets_event_by_event_until_it_is_full():
    """What does not go in is dropped and counted."""
    target = queue.Queue(maxsize=2)
    with Reporter(target, batch=3, interval=LONG) as reporter:
        for number in range(3):
            reporter(event(number))
    assert [target.get_nowait().number for _ in range(2)] == [0, 1]
    assert (reporter.facts().delivered, reporter.facts().dropped) == (2, 1)


def test_one_reporter_may_hear_several_pools():
    """Under one id in each; closing takes it off all of them."""
    side, buses = Side(), [Bus(), Bus()]
    with Reporter(side, batch=2, interval=LONG, name="both") as reporter:
        for number, bus in enumerate(buses):
            reporter.attach(bus)
            bus.execute(event(number))
        side.wait()
    assert numbers(side.batches) == [[0, 1]]
    assert [bus.listeners() for bus in buses] == [(), ()]


def test_a_target_may_close_its_own_reporter():
    """It does not wait for itself."""
    side = Side()
    reporter = Reporter(lambda batch: (reporter.close(), side(batch)), batch=1).open()
    reporter(event(1))
    side.wait()
    assert reporter.close()
    with pytest.raises(RuntimeError, match="closed"):
        reporter.open()


def test_nothing_starts_before_it_is_opened():
    """Neither a thread nor deliveries; what was said before goes out then."""
    side = Side()
    reporter = Reporter(side, batch=1)
    reporter(event(1))
    assert (reporter.facts().waiting, side.batches) == (1, [])
    reporter.open()
    side.wait()
    assert reporter.open()
    assert reporter.close()


@pytest.mark.parametrize(
    ("target", "how", "error"),
    [
        ("text", {}, TypeError),
        (asyncio.Queue(), {}, TypeError),
        (print, {"batch": 0}, ValueError),
        (print, {"batch": 11, "limit": 10}, ValueError),
        (print, {"interval": -1.0}, ValueError),
        (print, {"interval": float("nan")}, ValueError),
    ],
)
def test_what_cannot_work_is_refused(target, how, error):
    """When it is made."""
    with pytest.raises(error):
        Reporter(target, **how)
