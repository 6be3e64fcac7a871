"""The bus: who listens hears, who raises is detached, and nobody pays for what nobody wants."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest

from millpond import errors, events
from millpond.events import UserEvent
from millpond.telemetry.bus import NAMES_KEPT, REMOVED_KEPT, Bus

OPEN = events.SessionOpened(number=1, generation=1)
CLOSE = events.SessionClosed(number=1, generation=1)
RESIZE = events.PoolResized(before=1, after=2, reason="test")


def ignore(event):
    """A listener without any interest."""


@pytest.mark.parametrize(
    ("wanted", "heard"),
    [
        (None, [OPEN, CLOSE, RESIZE]),
        ("*", [OPEN, CLOSE, RESIZE]),
        (["session.open", "*"], [OPEN, CLOSE, RESIZE]),
        ("session", [OPEN, CLOSE]),
        ("session.open", [OPEN]),
        (["session.open", "pool"], [OPEN, RESIZE]),
        (("session", "session.open"), [OPEN, CLOSE]),
        ([], []),
        ("sess", []),
        ("session.open.more", []),
    ],
)
def test_a_listener_hears_what_it_asked_for(wanted, heard):
    """All events, one, those below a dotted name, or several of these, and each event once."""
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
    bus.attach("test", "session", ignore)
    assert bus.has_listener("session.open")
    bus.detach("test")
    assert not bus.has_listener("session.open")
    bus.detach("nobody")


def test_any_number_of_names_may_come_by():
    """Users' events may have names from anywhere: what is remembered of them is bounded, and right beyond that."""
    bus = Bus()
    bus.attach("test", "even", ignore)
    for number in range(NAMES_KEPT + 10):
        assert not bus.has_listener(f"odd.n{number}")
    assert bus.has_listener("even.more")
    assert len(bus._routes) == NAMES_KEPT


def test_who_gives_no_id_gets_one_that_is_free():
    """Two listeners of one class do not collide."""
    bus, seen = Bus(), []
    ids = [bus.attach_beside("mine", None, seen.append) for _ in range(3)]
    assert ids == ["mine", "mine-2", "mine-3"]
    bus.execute(OPEN)
    assert seen == [OPEN] * 3
    bus.detach("mine-2")
    assert bus.attach_beside("mine", None, seen.append) == "mine-2"


def test_an_id_is_taken_once():
    """A second listener of the same id would push out the first unseen."""
    bus = Bus()
    bus.attach("test", None, ignore)
    with pytest.raises(ValueError, match="attached already"):
        bus.attach("test", None, ignore)


@pytest.mark.parametrize("form", [dict, list])
def test_many_are_attached_together_or_not_at_all(form):
    """As a mapping or in rows; one that cannot be attached leaves none of the others behind."""
    bus, seen = Bus(), []
    both = {"a": ("session.open", seen.append), "b": ("session", seen.append)}
    many = both if form is dict else [(one, *rest) for one, rest in both.items()]
    bus.attach_many(many)
    bus.execute(OPEN)
    assert seen == [OPEN, OPEN]
    bus.detach("a")
    with pytest.raises(ValueError, match="'b' is attached already"):
        bus.attach_many(many)
    assert [one.id for one in bus.listeners()] == ["b"]


def test_who_keeps_answers_is_notified_of_a_change_of_listeners():
    """Once a change, after it, so that `has_listener` says the new thing; also when a listener is thrown off."""
    bus, told = Bus(), []
    bus.on_change(lambda: told.append(bus.has_listener("session.open")))
    bus.attach_many([("a", "session", ignore), ("b", "session", lambda event: 1 / 0)])
    bus.detach("a")
    bus.detach("nobody")
    bus.execute(OPEN)
    assert told == [True, True, False]


@pytest.mark.parametrize(
    "error",
    [RuntimeError("no more paper"), asyncio.CancelledError("no more paper"), GeneratorExit("no more paper")],
)
def test_a_listener_that_raises_is_detached_loudly_and_alone(caplog, error):
    """It is logged and counted with its reason, and the others hear the same event."""
    bus, seen = Bus(), []

    def broken(event):
        raise error

    bus.attach("broken", None, broken)
    bus.attach("sound", None, seen.append)
    bus.execute(OPEN)
    bus.execute(CLOSE)
    assert seen == [OPEN, CLOSE]
    assert bus.removed == {"broken": repr(error)}
    assert bus.removed_count == 1
    (line,) = [record.message for record in caplog.records]
    assert line.startswith(
        f"listener 'broken' raised on session.open and was detached: {type(error).__name__} in broken ("
    )
    assert "no more paper" not in line


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit])
def test_an_error_that_cannot_be_described_does_no_harm(kind):
    """Not even a listener's exception that fails to say what it is stops the others; where it was raised is told."""

    class Mute(Exception):
        def __repr__(self):
            raise kind("no words either")

    def broken(event):
        raise Mute

    bus, seen = Bus(), []
    bus.attach("broken", None, broken)
    bus.attach("sound", None, seen.append)
    bus.execute(OPEN)
    assert seen == [OPEN]
    assert ".Mute in broken (" in bus.removed["broken"]


def test_a_callback_that_raises_keeps_nothing_from_the_others(caplog):
    """Neither an event from other listeners, nor the change from other callbacks; who attaches is not to blame."""

    def broken():
        raise LookupError

    def bad(_event):
        raise ValueError

    bus, seen, changes = Bus(), [], []
    bus.on_change(broken)
    bus.on_change(lambda: changes.append(bus.has_listener(OPEN.name)))
    bus.attach("bad", None, bad)
    bus.attach("good", None, seen.append)
    bus.execute(OPEN)
    assert seen == [OPEN]
    assert list(bus.removed) == ["bad"]
    assert changes == [True, True, True]
    assert "after listeners came or went" in caplog.text


def test_what_is_kept_of_thrown_off_listeners_is_bounded():
    """All are counted, the last are named."""
    bus = Bus()
    for number in range(REMOVED_KEPT + 5):
        bus.attach(f"broken-{number}", None, lambda event: 1 / 0)
        bus.execute(OPEN)
    assert bus.removed_count == REMOVED_KEPT + 5
    assert list(bus.removed) == [f"broken-{number}" for number in range(5, REMOVED_KEPT + 5)]


def test_a_listener_that_puts_another_in_its_place_and_raises_takes_only_itself_off():
    """The one that has its id now did nothing wrong."""
    bus, seen = Bus(), []

    def broken(event):
        bus.detach("test")
        bus.attach("test", None, seen.append)
        raise RuntimeError

    bus.attach("test", None, broken)
    bus.execute(OPEN)
    bus.execute(CLOSE)
    assert seen == [CLOSE]


def test_a_listener_may_detach_itself_and_others_while_it_hears():
    """What it takes off hears nothing of this event any more, what it attaches only the next."""
    bus, seen, late = Bus(), [], []

    def once(event):
        bus.detach("once")
        bus.detach("other")
        bus.attach("late", None, late.append)

    bus.attach("once", None, once)
    bus.attach("other", None, seen.append)
    bus.execute(OPEN)
    bus.execute(CLOSE)
    assert (seen, late) == ([], [CLOSE])


def test_the_program_may_emit_events_of_its_own():
    """By name, with measurements and metadata; they arrive as events that came from no worker."""
    bus, seen = Bus(), []
    bus.attach("test", "shop", seen.append)
    measured = {"euros": 12.5}
    bus.execute("shop.sale", measured, {"kind": "book"})
    bus.execute("shop.closed")
    bus.execute("other.thing", measured)
    measured["euros"] = 0.0
    assert seen == [
        UserEvent("shop.sale", measurements={"euros": 12.5}, metadata={"kind": "book"}),
        UserEvent("shop.closed"),
    ]
    assert seen[0].worker is seen[0].call is None


@pytest.mark.parametrize("say", [Bus.execute, Bus.span])
def test_the_pools_own_names_are_not_the_programs(say):
    """Whoever listens to them, or to all below one, counts on their fields; also to those of later versions."""
    for name in (*events.EVENTS, "session", "worker.mine", "optimizer.decision"):
        with pytest.raises(ValueError, match=r"begins like the pool's own events \(alert, .*, worker\)"):
            say(Bus(), name)
    with pytest.raises(ValueError, match="no event's name"):
        say(Bus(), "no name")


def test_listeners_come_and_go_from_other_threads_while_events_are_emitted():
    """None is left behind, and what a thread attached it hears until it detaches it."""
    bus, rounds = Bus(), 300
    begun, done = threading.Barrier(3), []

    def come_and_go(mark):
        begun.wait(60)
        for number in range(rounds):
            bus.attach(f"{mark}-{number}", "session", ignore)
            assert bus.has_listener("session.open")
            bus.detach(f"{mark}-{number}")
        done.append(mark)

    threads = [threading.Thread(target=come_and_go, args=(mark,)) for mark in "ab"]
    for thread in threads:
        thread.start()
    begun.wait(60)
    while any(thread.is_alive() for thread in threads):
        bus.execute(OPEN)
    assert sorted(done) == ["a", "b"]
    assert bus.listeners() == ()
    assert not bus.has_listener("session.open")


def test_events_are_frozen_facts_with_names_of_their_own():
    """Dotted, each with a docstring; no class is called as an error is, and no event changes on its way."""
    declared = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert set(events.EVENTS.values()) == declared - {events.Event, UserEvent}
    assert not {kind.__name__ for kind in declared} & set(vars(errors))
    for name, kind in events.EVENTS.items():
        assert name.count(".") == 1
        assert kind.__doc__
    with pytest.raises(dataclasses.FrozenInstanceError):
        OPEN.number = 2
