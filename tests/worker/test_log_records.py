"""Log records reach the parent with their call; nothing about them can hurt the worker."""

from __future__ import annotations

import logging
import threading

import pytest

from millpond.wire import frames
from millpond.worker.log_records import MESSAGE_BYTES, Forwarder

LOGGER = logging.getLogger("millpond.test.worker")


class Rude:
    def __str__(self):
        raise SystemExit(3)

    __repr__ = __str__


class Talker:
    def say(self, message, *args):
        LOGGER.warning(message, *args)
        return "said"

    def fail(self):
        try:
            raise KeyError("inner")
        except KeyError:
            LOGGER.exception("failed")

    def rude(self):
        LOGGER.warning("%s", Rude())
        return "said"

    def in_thread(self):
        thread = threading.Thread(target=LOGGER.warning, args=("aside",))
        thread.start()
        thread.join()

    def many(self, count):
        threads = [threading.Thread(target=lambda: [LOGGER.warning("x" * 100) for _ in range(count)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@pytest.fixture
def talker(parent_of, monkeypatch):
    """A parent whose worker forwards the records of one logger, and of nothing else the test process logs."""
    parent = parent_of(Talker)
    isolated = logging.Logger(LOGGER.name)  # no child of the root: the test runner's handlers fail a test for bad ones
    isolated.addHandler(Forwarder(parent.worker.channel, 7))
    monkeypatch.setitem(globals(), "LOGGER", isolated)
    return parent


def records(parent):
    return [answer.value for answer in parent.answers if answer.kind == frames.LOG]


def test_a_record_comes_with_level_logger_message_and_call(talker):
    """Before the answer of the call it was logged in."""
    call = talker.call("say", "hello %s", "world")
    talker.serve()
    assert records(talker) == [[logging.WARNING, "millpond.test.worker", "hello world", call]]
    assert [answer.kind for answer in talker.answers] == [frames.LOG, frames.OK]


def test_a_traceback_comes_with_its_record(talker):
    """`logging.exception` says why."""
    talker.call("fail")
    talker.serve()
    assert "KeyError: 'inner'" in records(talker)[0][2]


def test_a_thread_of_the_handlers_own_belongs_to_no_call(talker):
    """Its records carry call 0."""
    talker.call("in_thread")
    talker.serve()
    assert records(talker)[0][2:] == ["aside", 0]


def test_a_record_that_cannot_be_formatted_costs_nothing(talker, capsys):
    """It is reported on stderr, as logging does; the operation goes on."""
    call, wrong = talker.call("rude"), talker.call("say", "%d", "no number")
    talker.serve()
    assert talker.value(call) == talker.value(wrong) == "said"
    assert "Logging error" in capsys.readouterr().err


@pytest.mark.parametrize(
    "message", ["x" * 100_000, "ü" * 100_000, "\ud800" * 100], ids=["ascii", "umlauts", "surrogates"]
)
def test_a_message_is_bounded_and_readable(talker, message):
    """8 KiB at most, whatever characters it has."""
    talker.call("say", message)
    talker.serve()
    assert 0 < len(records(talker)[0][2].encode()) <= MESSAGE_BYTES


def test_frames_of_several_threads_never_mix(talker):
    """Four threads log while the main thread answers: every frame arrives whole."""
    calls = [talker.call("many", 50) for _ in range(5)]
    talker.serve()
    assert len(records(talker)) == 5 * 4 * 50
    assert all(talker.value(call) is None for call in calls)
