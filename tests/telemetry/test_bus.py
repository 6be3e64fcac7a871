"""The bus: who listens hears, who raises is detached, and nobody pays for what nobody wants."""

from __future__ import annotations

import dataclasses

import pytest

from millpond import events
from millpond.telemetry.bus import Bus

OPEN = events.SessionOpened(number=1, generation=1)
CLOSE = events.SessionClosed(number=1, generation=1)
RESIZE = events.PoolResized(before=1, after=2, reason="test")


@pytest.mark.parametrize(
    ("wanted", "heard"),
    [
        (None, [OPEN, CLOSE, RESIZE]),
        ("session", [OPEN, CLOSE]),
        ("session.open", [OPEN]),
        ("sess", []),
        ("session.open.more", []),
    ],
)
def test_a_listener_hears_what_it_asked_for(wanted, heard):
    """All events, one, or those below a dotted name."""
    bus, seen = Bus(), []
    bus.attach("test", wanted, seen.append)
    for event in (OPEN, CLOSE, RESIZE):
        bus.execute(event)
        assert bus.has_listener(event.name) == (event in heard)
    assert seen == heard


def test_whether_anybody_listens_follows_who_is_attached():
    """What was known about listeners is forgotten when they change."""
    bus = Bus()
    assert not bus.has_listener("session.open")
    bus.attach("test", "session", lambda event: None)
    assert bus.has_listener("session.open")
    bus.detach("test")
    assert not bus.has_listener("session.open")
    bus.detach("nobody")


def test_an_id_is_taken_once():
    """A second listener of the same id would push out the first unseen."""
    bus = Bus()
    bus.attach("test", None, lambda event: None)
    with pytest.raises(ValueError, match="attached already"):
        bus.attach("test", None, lambda event: None)


def test_a_listener_that_raises_is_detached_loudly_and_alone(caplog):
    """It is logged and counted with its reason, and the others hear the same event."""
    bus, seen = Bus(), []

    def broken(event):
        raise RuntimeError("no more paper")

    bus.attach("broken", None, broken)
    bus.attach("sound", None, seen.append)
    bus.execute(OPEN)
    bus.execute(CLOSE)
    assert seen == [OPEN, CLOSE]
    assert bus.removed == {"broken": "RuntimeError('no more paper')"}
    assert [record.message for record in caplog.records] == [
        "listener 'broken' raised on session.open and was detached"
    ]


def test_a_listener_may_detach_itself_and_others_while_it_hears():
    """What it takes off hears nothing of this event any more."""
    bus, seen = Bus(), []

    def once(event):
        bus.detach("once")
        bus.detach("other")

    bus.attach("once", None, once)
    bus.attach("other", None, seen.append)
    bus.execute(OPEN)
    bus.execute(OPEN)
    assert seen == []
    assert not bus.has_listener("session.open")


def test_events_are_frozen_facts_with_names_of_their_own():
    """Dotted, each with a docstring, and none changes on its way."""
    declared = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert set(events.EVENTS.values()) == declared - {events.Event, events.UserEvent}
    for name, kind in events.EVENTS.items():
        assert name.count(".") == 1
        assert kind.__doc__
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPEN.number = 2
