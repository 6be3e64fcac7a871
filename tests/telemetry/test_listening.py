"""One listener: what it asks for, what it costs, and when it counts as slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond import events
from millpond.telemetry.bus import Bus
from millpond.telemetry.listening import LOOK_EVERY_S, SLOW_CALL_S

OPEN = events.SessionOpened(number=1, generation=1)
CLOSE = events.SessionClosed(number=1, generation=1)
RESIZE = events.PoolResized(before=1, after=2, reason="test")
NAMES = st.from_regex(r"[a-z]{1,3}(\.[a-z]{1,3}){0,2}", fullmatch=True)


def ignore(event):
    """A listener without any interest."""


class Time:
    """Seconds, moved by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@given(st.lists(NAMES), NAMES)
def test_a_wanted_name_means_itself_and_what_is_below_it(wanted, name):
    """However many are given, in whatever order: word by word, never by parts of words."""
    bus, words = Bus(), name.split(".")
    bus.attach("test", wanted, ignore)
    expected = any(words[: len(one.split("."))] == one.split(".") for one in wanted)
    assert bus.has_listener(name) == expected


@pytest.mark.parametrize("wanted", ["", "Two words", ".open", "session.", "call.*", ["session", ""]])
def test_what_can_be_no_events_name_is_refused(wanted):
    """A listener that would never hear anything is a mistake, found when it is made."""
    bus = Bus()
    with pytest.raises(ValueError, match="no event's name"):
        bus.attach("test", wanted, ignore)
    with pytest.raises(TypeError, match="string"):
        bus.attach("test", [7], ignore)
    assert bus.listeners() == ()


def test_what_a_listener_costs_is_known():
    """Its calls, their time, and the slowest with its event."""
    clock = Time()
    bus = Bus(clock)

    def listen(event):
        clock.now += {"session.open": 0.001, "session.close": 0.004, "pool.resize": 0.002}[event.name]

    bus.attach("test", ["session", "pool"], listen)
    for event in (OPEN, CLOSE, RESIZE):
        bus.execute(event)
    (facts,) = bus.listeners()
    assert (facts.id, facts.events, facts.heard) == ("test", ("session", "pool"), 3)
    assert facts.seconds == pytest.approx(0.007)
    assert (facts.slowest, facts.slowest_event, facts.is_slow) == (pytest.approx(0.004), "session.close", False)


def test_a_slow_call_is_named_once(caplog):
    """The pool's loop stands still meanwhile; one warning is enough to say so."""
    clock = Time()
    bus = Bus(clock)

    def listen(event):
        clock.now += 2 * SLOW_CALL_S

    bus.attach("sleepy", None, listen)
    bus.execute(OPEN)
    bus.execute(OPEN)
    assert [record.message for record in caplog.records] == [
        "listener 'sleepy' is slow and holds up the pool's loop: it took 100 ms for session.open"
    ]
    assert bus.listeners()[0].is_slow


@pytest.mark.parametrize(("pause", "is_slow"), [(0.005, True), (0.05, False)])
def test_many_short_calls_are_slow_together(caplog, pause, is_slow):
    """A millisecond a time is nothing now and then, and a sixth of the loop's time every five."""
    clock = Time()
    bus = Bus(clock)

    def listen(event):
        clock.now += 0.001

    bus.attach("busy", None, listen)
    for _ in range(int(3 * LOOK_EVERY_S / 0.001)):
        clock.now += pause
        bus.execute(OPEN)
    assert bus.listeners()[0].is_slow is is_slow
    assert ["it took 17% of the time lately" in record.message for record in caplog.records] == [True] * is_slow
