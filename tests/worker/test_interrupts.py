"""Interrupts: `Interrupted` is raised in the operation whose caller gave up, and in nothing else of the worker."""

from __future__ import annotations

import functools
import logging
import signal
import sys
import time

import pytest

from millpond.errors import HandlerError, Interrupted
from millpond.wire import frames
from millpond.worker import runner, stack
from millpond.worker.log_records import Forwarder

ASK = {}  # what operations need of the test: filled by the fixture


def ask(position, request=2):
    """What the parent does to stop the call at a position: the request byte, then the signal."""
    ASK["logbook"]._page[256 + position] = request
    signal.raise_signal(signal.SIGURG)


class Quiet:
    """Shorthand for what a test does while `Interrupted` is under way."""

    def __init__(self):
        self.seen = []

    def stop(self, position):
        ask(position)
        self.seen.append("went on")

    def swallow(self, position):
        try:
            ask(position)
        except Interrupted:
            self.seen.append("swallowed")
        return "an answer all the same"

    def swallow_twice(self, position):
        for _ in range(2):
            try:
                ask(position)
            except Interrupted:
                self.seen.append("swallowed")
        ask(position)

    def clean_up(self, position):
        try:
            ask(position)
        finally:
            self.seen.append("cleaned up")

    def convert(self, position):
        try:
            ask(position)
        except Interrupted as error:
            raise ValueError("something else") from error

    def not_asked(self, position):
        ask(position, request=0)
        return "went on"

    def stray(self):
        signal.raise_signal(signal.SIGURG)
        return "went on"

    def raise_it(self):
        raise Interrupted("by itself")

    def nothing(self):
        return "nothing"

    def log(self, position):
        logging.getLogger("millpond.test.shield").error("%s", Interrupting(position))
        return "went on"

    def in_finalizer(self, position):
        finalized = Finalized(position)
        del finalized
        return "went on"

    def by_hand(self):
        signal.raise_signal(signal.SIGINT)

    sleep = staticmethod(functools.partial(time.sleep))

    def ask_and_go_on(self, position):
        ASK["logbook"]._page[256 + position] = 2
        for number in range(20000):
            self.seen.append(number)
        self.seen.clear()
        return "done"

    def stream_and_go_on(self, position):
        yield 1
        yield from self.ask_and_go_on(position)


class Interrupting:
    """Asks for an interrupt while it is being formatted."""

    def __init__(self, position):
        self.position = position

    def __str__(self):
        ask(self.position)
        return "formatted"


class Finalized:
    """Is interrupted where no exception can leave."""

    def __init__(self, position):
        self.position = position

    def __del__(self):
        ask(self.position)


@pytest.fixture
def quiet(parent_of):
    """A parent of `Quiet`, whose operations may ask for their own interrupt."""
    parent = parent_of(Quiet)
    ASK["logbook"] = parent.logbook
    return parent


def seen(parent):
    return parent.runner.operations[1].function.__self__.seen


def test_an_operation_is_interrupted_where_it_stands(quiet):
    """The call is answered as interrupted, and the next one runs in the same worker."""
    stopped, after = quiet.call("stop", 1), quiet.call("nothing")
    quiet.serve()
    assert quiet.answer(stopped).kind == frames.INTERRUPTED
    assert quiet.value(after) == "nothing"
    assert seen(quiet) == []


def test_a_native_function_is_interrupted(quiet):
    """Also where no frame of the handler's is on the stack: `time.sleep` given to `run`."""
    call = quiet.function(time.sleep, 30.0)
    previous = signal.signal(
        signal.SIGALRM, lambda *_: quiet.interrupt(call) if quiet.logbook.is_claimed(call % 256) else None
    )
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    quiet.serve()
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    signal.signal(signal.SIGALRM, previous)
    assert quiet.answer(call).kind == frames.INTERRUPTED


def test_clean_up_runs(quiet):
    """An interrupt is an exception like others to `finally`."""
    call = quiet.call("clean_up", 1)
    quiet.serve()
    assert quiet.answer(call).kind == frames.INTERRUPTED
    assert seen(quiet) == ["cleaned up"]


def test_a_swallowed_interrupt_is_answered_as_it_ended(quiet):
    """The parent decides what an answer after an interrupt is worth."""
    call = quiet.call("swallow", 1)
    quiet.serve()
    assert quiet.value(call) == "an answer all the same"


def test_an_interrupt_may_be_repeated(quiet):
    """Each signal raises anew in the same call, until it lets go."""
    call = quiet.call("swallow_twice", 1)
    quiet.serve()
    assert quiet.answer(call).kind == frames.INTERRUPTED
    assert seen(quiet) == ["swallowed", "swallowed"]


def test_an_interrupt_turned_into_another_exception_is_that_exception(quiet):
    """The handler's own failure on the way out is told as such."""
    call = quiet.call("convert", 1)
    quiet.serve()
    assert isinstance(quiet.answer(call).value, ValueError)


def test_a_signal_nobody_asked_for_changes_nothing(quiet):
    """Without the call's request byte a SIGURG is noise: a late one hits the wrong call, or none."""
    calls = [quiet.call("not_asked", 1), quiet.call("stray")]
    quiet.serve()
    assert [quiet.value(call) for call in calls] == ["went on", "went on"]


def test_an_interrupt_of_another_call_is_not_this_ones(quiet):
    """The request byte of the call on the stack decides, not that of its neighbour."""
    call, neighbour = quiet.call("swallow", 2), quiet.call("nothing")
    quiet.serve()
    assert quiet.value(call) == "an answer all the same"
    assert seen(quiet) == []
    assert quiet.answer(neighbour).kind == frames.SKIPPED


def test_interrupted_raised_by_the_handler_itself_is_its_own_exception(quiet):
    """Nobody asked for it, so it is no answer to an interrupt."""
    call = quiet.call("raise_it")
    quiet.serve()
    error = quiet.answer(call).value
    assert isinstance(error, HandlerError)
    assert error.type_name == "millpond.errors.Interrupted"


def test_our_logging_is_never_interrupted(quiet):
    """A signal during a log record is put off: the record leaves whole, and no lock of logging's stays taken."""
    forwarder = Forwarder(quiet.worker.channel, 7)
    logging.getLogger().addHandler(forwarder)
    try:
        call = quiet.call("log", 1)
        quiet.serve()
    finally:
        logging.getLogger().removeHandler(forwarder)
    assert quiet.value(call) == "went on"
    assert [answer.value[2] for answer in quiet.answers if answer.kind == frames.LOG] == ["formatted"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_lost_in_a_finalizer_costs_nothing(quiet):
    """Python swallows it there; the parent's repetition would be the next try."""
    call = quiet.call("in_finalizer", 1)
    quiet.serve()
    assert quiet.value(call) == "went on"


def test_a_stray_ctrl_c_costs_an_operation_and_not_the_worker(quiet):
    """In an operation it is KeyboardInterrupt, in the loop it is nothing."""
    interrupted = quiet.call("by_hand")
    after = []

    def go_on(answer):
        if answer.call_id == interrupted:
            signal.raise_signal(signal.SIGINT)
            after.append(quiet.call("nothing"))
            quiet.frame(frames.BYE)

    quiet.on_answer = go_on
    quiet.serve(goodbye=False)
    assert isinstance(quiet.answer(interrupted).value, HandlerError)
    assert quiet.value(after[0]) == "nothing"


def test_between_two_calls_there_is_nothing_to_interrupt(quiet):
    """At each single instruction of the worker's own code a signal would find nothing to interrupt but `invoke`."""
    ours = runner.__file__.rpartition("/")[0]
    raised_in = set()
    calls = [quiet.call("nothing") for _ in range(5)]

    def at_each_instruction(frame, _event, _argument):
        frame.f_trace_opcodes = True
        if frame.f_code.co_filename.startswith(ours):
            call = stack.interruptible_call(frame)
            if call is not None:
                raised_in.add(frame.f_code.co_name)
        return at_each_instruction

    sys.settrace(at_each_instruction)
    try:
        quiet.serve()
    finally:
        sys.settrace(None)
    assert all(quiet.value(call) == "nothing" for call in calls)
    assert raised_in == {"invoke"}


def test_a_storm_of_signals_costs_the_calls_it_is_meant_for(quiet):
    """With an interrupt every half millisecond each call still has exactly one answer, and the loop stays in step."""
    meant = [quiet.call("ask_and_go_on" if n % 3 else "stream_and_go_on", n % 256) for n in range(1, 200)]
    spared = quiet.call("nothing")
    previous = signal.signal(signal.SIGALRM, quiet.worker.interrupts._on_urgent)
    signal.setitimer(signal.ITIMER_REAL, 5e-4, 5e-4)
    try:
        quiet.serve()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)
    assert quiet.failure is None
    kinds = {quiet.answer(call).kind for call in meant}
    assert frames.INTERRUPTED in kinds
    assert kinds <= {frames.INTERRUPTED, frames.OK, frames.RAISED}
    assert quiet.value(spared) == "nothing"
