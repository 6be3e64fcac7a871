"""Streams in the blocking loop: never further ahead than the reader allows, and always closed."""

from __future__ import annotations

import signal
import threading

import pytest

from millpond.errors import HandlerError
from millpond.wire import frames

WINDOW = 4  # of the harness's configuration


class Streams:
    def __init__(self):
        self.closed = []

    def count(self, to):
        try:
            yield from range(to)
        finally:
            self.closed.append(to)
        return "the end"

    def fail_at(self, number):
        yield from range(number)
        raise KeyError(number)

    def unsendable(self):
        try:
            yield 1
            yield threading.Lock()
        finally:
            self.closed.append("unsendable")

    def stubborn(self):
        while True:
            try:
                yield 1
            except GeneratorExit:
                pass

    def raise_stop(self):
        yield 1
        raise StopIteration(2)

    def plain(self, value):
        return value

    def state(self):
        return self.closed


def granting(parent, call, amount=1):
    """A reader that takes every item at once."""

    def grant(answer):
        if answer.kind == frames.ITEM and answer.call_id == call:
            parent.frame(frames.CREDIT, call_id=call, amount=amount)

    return grant


def test_a_stream_ends_with_its_return_value(parent_of):
    """Items in order, then OK with what the generator returned."""
    parent = parent_of(Streams)
    call = parent.call("count", 3)
    parent.serve()
    assert parent.items(call) == [0, 1, 2]
    assert parent.value(call) == "the end"


def test_credit_lets_a_stream_go_on(parent_of):
    """A thousand items through a window of four, and calls sent meanwhile run afterwards, in order."""
    parent = parent_of(Streams)
    call, *after = parent.call("count", 1000), parent.call("plain", 1), parent.call("plain", 2)
    parent.on_answer = granting(parent, call)
    parent.serve()
    assert parent.items(call) == list(range(1000))
    assert [parent.value(i) for i in after] == [1, 2]
    ends = [answer.call_id for answer in parent.answers if answer.kind == frames.OK]
    assert ends == [call, *after]


def test_without_credit_a_stream_waits(parent_of):
    """It is never more than its window ahead; here nobody takes anything, and then the parent goes."""
    parent = parent_of(Streams)
    call = parent.call("count", 1000)
    parent.go()
    parent.serve(goodbye=False)
    assert parent.items(call) == [0, 1, 2, 3]


def test_cancel_closes_the_generator(parent_of):
    """A stream that waits for credit is closed, its clean-up runs, and it is answered as interrupted."""
    parent = parent_of(Streams)
    call = parent.call("count", 1000)
    after = []

    def give_up(answer):
        if answer.value == WINDOW - 1:
            parent.frame(frames.CANCEL, call_id=call)
            after.append(parent.call("state"))
            parent.frame(frames.BYE)

    parent.on_answer = give_up
    parent.serve(goodbye=False)
    assert parent.answer(call).kind == frames.INTERRUPTED
    assert parent.value(after[0]) == [1000]


def test_a_request_in_the_logbook_stops_a_stream_between_two_items(parent_of):
    """A generator that never waits for credit does not read the socket, but it sees this."""
    parent = parent_of(Streams)
    call = parent.call("count", 1000)
    parent.on_answer = lambda answer: parent.logbook.request_interrupt(call % 256)
    parent.frame(frames.CREDIT, call_id=call, amount=10_000)
    parent.serve()
    assert parent.answer(call).kind in (frames.INTERRUPTED, frames.SKIPPED)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_generator_that_refuses_to_close_is_told(parent_of):
    """Its RuntimeError is the answer, and the worker goes on."""
    parent = parent_of(Streams)
    call = parent.call("stubborn")
    after = parent.call("plain", 1)

    def give_up(answer):
        if answer.kind == frames.ITEM and len(parent.items(call)) == WINDOW:
            parent.frame(frames.CANCEL, call_id=call)

    parent.on_answer = give_up
    parent.serve()
    assert isinstance(parent.answer(call).value, RuntimeError)
    assert parent.value(after) == 1


def test_the_first_error_ends_a_stream(parent_of):
    """What was given before it has arrived."""
    parent = parent_of(Streams)
    call = parent.call("fail_at", 2)
    parent.serve()
    assert parent.items(call) == [0, 1]
    assert isinstance(parent.answer(call).value, KeyError)


def test_an_item_that_cannot_be_sent_ends_a_stream_once(parent_of):
    """The generator is closed, and the fault is the only answer."""
    parent = parent_of(Streams)
    call, after = parent.call("unsendable"), parent.call("state")
    parent.serve()
    assert parent.answer(call).value["code"] == "result_not_serializable"
    assert parent.value(after) == ["unsendable"]


def test_wrong_arguments_fail_before_the_first_item(parent_of):
    """A generator function checks them when it is called."""
    parent = parent_of(Streams)
    call = parent.call("count")
    parent.serve()
    assert isinstance(parent.answer(call).value, TypeError)


def test_a_stop_iteration_raised_by_mistake_is_an_error(parent_of):
    """Python turns it into RuntimeError; it never looks like the end."""
    parent = parent_of(Streams)
    call = parent.call("raise_stop")
    parent.serve()
    assert isinstance(parent.answer(call).value, RuntimeError)


@pytest.mark.parametrize("raised", [SystemExit, GeneratorExit, KeyboardInterrupt])
def test_whatever_a_generator_raises_is_an_answer(parent_of, raised):
    """GeneratorExit, too, which would end a generator of our own."""

    class Exits:
        def go(self):
            yield 1
            raise raised

    parent = parent_of(Exits)
    calls = [parent.call("go"), parent.call("go")]
    parent.serve()
    assert all(isinstance(parent.answer(call).value, HandlerError) for call in calls)


def test_an_interrupt_reaches_a_generator_that_computes(parent_of):
    """SIGURG raises in the generator's own frame; it ends, and is not asked again."""

    class Computes:
        def go(self, parent):
            yield 1
            parent.logbook._page[256 + 1] = 2
            signal.raise_signal(signal.SIGURG)
            yield 2

    parent = parent_of(Computes)
    number = parent.numbers["go"]
    parent.runner.operations[number].function = lambda: Computes().go(parent)
    call = parent.payload(number, ((), {}))
    parent.serve()
    assert parent.items(call) == [1]
    assert parent.answer(call).kind == frames.INTERRUPTED
