"""The logging listener: each event once, at its level, in the form asked for, and at INFO no call costs anything."""

from __future__ import annotations

import json
import logging
import sys

import pytest
import structlog

from millpond import events
from millpond.events import EVENTS, HOT, UserEvent
from millpond.telemetry.bus import Bus
from millpond.telemetry.logging_listener import LEVELS, LoggingListener

LOST = events.SessionLostEvent(number=4, generation=1, reason="its worker\n\x1b[31mdied")
OPEN = events.SessionOpened(number=4, generation=1)
SALE = UserEvent("shop.sale", measurements={"euros": 12.5}, metadata={"title": "a\u202eb"})


@pytest.fixture
def bus():
    return Bus()


@pytest.fixture(autouse=True)
def _structlog_as_it_was():
    yield
    structlog.reset_defaults()


def gone(cause):
    return events.WorkerGone(
        worker=1, pid=2, cause=cause, reason="test", signal=9, exit_code=None, lost=0, sessions=0, seconds=1.0
    )


def lines(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_every_event_of_the_pool_has_a_level():
    """Whoever adds an event says how loud it is."""
    assert LEVELS.keys() == EVENTS.keys()


def test_at_info_nothing_is_heard_that_comes_with_calls(bus):
    """Not even asked for: the pool then builds no such events."""
    LoggingListener().attach(bus)
    often = HOT | {"call.refused", "call.retry", "session.open", "session.close", "worker.health", "pool.utilization"}
    assert [name for name in often if bus.has_listener(name)] == []
    assert not bus.has_listener("model.tokens")
    assert all(bus.has_listener(name) for name in ("worker.ready", "worker.gone", "session.lost", "pool.error"))


def test_an_event_is_a_record_at_its_level(bus, caplog):
    """Of the logger `millpond.events`, one line each, with the event attached; below INFO nothing."""
    caplog.set_level(logging.DEBUG)
    LoggingListener(form="line").attach(bus)
    for event in (LOST, OPEN, SALE, events.PoolResized(before=1, after=2, reason="load")):
        bus.execute(event)
    assert lines(caplog) == [
        ("WARNING", r'session.lost number=4 generation=1 reason="its worker\n\u001b[31mdied"'),
        ("INFO", "pool.resize before=1 after=2 reason=load"),
    ]
    assert (caplog.records[0].name, caplog.records[0].event) == ("millpond.events", LOST)


def test_at_debug_everything_is_logged(bus, caplog):
    """The user's own events too."""
    caplog.set_level(logging.DEBUG)
    LoggingListener("debug", form="line", pool="east").attach(bus)
    bus.execute(OPEN)
    bus.execute(SALE)
    assert lines(caplog) == [
        ("DEBUG", "session.open pool=east number=4 generation=1"),
        ("DEBUG", r'shop.sale pool=east euros=12.5 title="a\u202eb"'),
    ]


@pytest.mark.parametrize(
    ("cause", "level"), [("retired", "INFO"), ("recycled", "INFO"), ("crashed", "WARNING"), ("overran", "WARNING")]
)
def test_a_worker_that_goes_as_it_should_is_no_warning(bus, caplog, cause, level):
    """Any other death is, and a listener for warnings does not get the former."""
    caplog.set_level(logging.DEBUG)
    LoggingListener(form="line").attach(bus)
    bus.execute(gone(cause))
    assert [record.levelname for record in caplog.records] == [level]
    caplog.clear()
    LoggingListener(logging.WARNING, form="line").attach(bus, "loud")
    bus.execute(gone(cause))
    assert len(caplog.records) == (1 if level == "INFO" else 2)


def test_levels_may_be_chosen_by_name_and_by_its_beginning(bus, caplog):
    """The longest one that fits counts; what is turned down is no longer listened to."""
    caplog.set_level(logging.DEBUG)
    levels = {"shop": "info", "shop.quiet": logging.DEBUG, "pool.resize": "debug", "session.open": "error"}
    LoggingListener(form="line", levels=levels).attach(bus)
    bus.execute("shop.sale")
    bus.execute("shop.quiet.now")
    bus.execute(OPEN)
    assert lines(caplog) == [("INFO", "shop.sale"), ("ERROR", "session.open number=4 generation=1")]
    assert not bus.has_listener("pool.resize")


def test_json_is_one_object_a_record(bus, caplog):
    """With time, level and name first, and every character that could mislead as an escape."""
    caplog.set_level(logging.DEBUG)
    LoggingListener(logging.DEBUG, form="json", pool="east", wall_clock=lambda: 1700000000.25).attach(bus)
    bus.execute(LOST)
    bus.execute(SALE)
    (_, lost), (_, sale) = lines(caplog)
    assert json.loads(lost) == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "warning",
        "event": "session.lost",
        "pool": "east",
        "number": 4,
        "generation": 1,
        "reason": LOST.reason,
    }
    assert sale.isprintable()
    assert json.loads(sale)["title"] == "a\u202eb"


def test_two_listeners_of_one_pool_do_not_collide(bus, caplog):
    """One for people and one for machines: who gives no id gets a free one, and it is returned."""
    caplog.set_level(logging.DEBUG)
    assert [LoggingListener(form=form).attach(bus) for form in ("line", "json")] == ["logging", "logging-2"]
    bus.execute(LOST)
    assert len(caplog.records) == 2


def test_nothing_is_written_for_a_logger_that_is_silent(bus, caplog):
    """The level of the program's logging counts as well."""
    caplog.set_level(logging.ERROR)
    LoggingListener(form="line").attach(bus)
    bus.execute(LOST)
    assert caplog.records == []


def test_structlog_gets_events_with_their_fields(bus):
    """By name, as values of their own; strings without what could mislead, also for renderers that quote nothing."""
    with structlog.testing.capture_logs() as told:
        LoggingListener(logging.DEBUG, form="structlog").attach(bus)
        bus.execute(LOST)
        bus.execute(UserEvent("shop.sale", worker=1, metadata={"event": "x", "exc_info": "y", "list": ["\u202e", 1]}))
    assert told == [
        {
            "event": "session.lost",
            "log_level": "warning",
            "number": 4,
            "generation": 1,
            "reason": r"its worker\n\u001b[31mdied",
        },
        {
            "event": "shop.sale",
            "log_level": "debug",
            "worker": 1,
            "event_": "x",
            "exc_info_": "y",
            "list": [r"\u202e", 1],
        },
    ]


def test_structlog_is_used_by_itself_where_the_program_has_configured_it(bus, caplog):
    """Being installed is not being used."""
    caplog.set_level(logging.DEBUG)
    LoggingListener().attach(bus, "before")
    bus.execute(LOST)
    assert len(caplog.records) == 1
    bus.detach("before")
    told = []
    structlog.configure(processors=[lambda *about: told.append(about[1:]) or ""], logger_factory=_Nowhere)
    LoggingListener().attach(bus, "after")
    bus.execute(LOST)
    assert len(caplog.records) == 1
    assert [(method, said["event"]) for method, said in told] == [("warning", "session.lost")]


def test_a_missing_structlog_is_named_with_its_extra(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "structlog", None)
    with pytest.raises(ImportError, match=r"millpond\[structlog\]"):
        LoggingListener(form="structlog")
    assert LoggingListener().events


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"form": "xml"}, ValueError),
        ({"level": "loud"}, ValueError),
        ({"level": None}, TypeError),
        ({"levels": {"Two words": "info"}}, ValueError),
        ({"levels": {"a.b": "loud"}}, ValueError),
    ],
)
def test_what_cannot_be_meant_is_refused(how, error):
    """When the listener is made, not when an event comes."""
    with pytest.raises(error):
        LoggingListener(**how)


class _Nowhere:
    """A logger for structlog that writes nothing."""

    def __init__(self, *args):
        pass

    def __getattr__(self, _level):
        return lambda *args, **kwargs: None


def test_no_record_is_above_the_level_it_is_bound_to(bus, caplog):
    """What is heard stays the same, and no more is built for it."""
    caplog.set_level(logging.DEBUG)
    LoggingListener(form="line", at_most="debug").attach(bus)
    assert not bus.has_listener("session.open")
    bus.execute(gone("died"))
    assert [level for level, _ in lines(caplog)] == ["DEBUG"]
