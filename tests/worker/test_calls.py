"""Plain calls in the blocking loop: each gets one answer, and nothing the operation does costs more than its call."""

from __future__ import annotations

import math
import signal
import sys
import threading

import pytest

from millpond.errors import HandlerError
from millpond.wire import frames


class TwoNeeded(Exception):
    """Cannot be made from its own `args`."""

    def __init__(self, one, two):
        super().__init__(one)


class Unspeakable(Exception):
    """Nothing can be said of it."""

    def __str__(self):
        raise SystemExit(9)

    __repr__ = __str__

    def __reduce__(self):
        raise SystemExit(9)


class Stubborn(Exception):
    """Lets nobody set anything on it."""

    def __setattr__(self, name, value):
        raise RuntimeError(name)


class Echo:
    def __init__(self):
        self.calls = 0

    def say(self, value, *, twice=False):
        self.calls += 1
        return [value, value] if twice else value

    def raise_it(self, kind, *args):
        raise kind(*args)

    def lock(self):
        return threading.Lock()

    def repeat(self, text, times):
        return text * times

    def chatter(self):
        print("noise")
        return "said"

    def take_signal(self):
        signal.signal(signal.SIGURG, signal.SIG_IGN)


def urgent_handler():
    return getattr(signal.getsignal(signal.SIGURG), "__name__", "none")


def test_each_call_gets_its_own_answer_in_order(parent_of):
    """Answers carry the id, position and operation of their call, and come in the order of the calls."""
    parent = parent_of(Echo)
    ids = [parent.call("say", number, twice=number % 2 == 0) for number in range(64)]
    parent.serve()
    assert [answer.call_id for answer in parent.answers] == ids
    assert [parent.value(i) for i in ids] == [[n, n] if n % 2 == 0 else n for n in range(64)]
    assert {answer.fields[3:5] for answer in parent.answers} == {(i % 256, parent.numbers["say"]) for i in ids}
    assert all(answer.fields[6] == 7 for answer in parent.answers)


def test_times_of_an_answer_enclose_the_operation(parent_of):
    """An answer says when its operation started and ended, on the clock that deadlines are on."""
    parent = parent_of(Echo)
    first, second = parent.call("say", 1), parent.call("say", 2)
    parent.serve()
    times = [*parent.answer(first).fields[9:], *parent.answer(second).fields[9:]]
    assert times == sorted(times)
    assert times[0] > 0


def test_a_withdrawn_call_does_not_run(parent_of):
    """The parent took it back before it was claimed; one whose deadline has passed as well is found late."""
    parent = parent_of(Echo)
    gone, late, kept = parent.call("say", 1), parent.call("say", 2, deadline=0.0), parent.call("say", 3)
    assert parent.logbook.withdraw(gone % 256)
    assert parent.logbook.withdraw(late % 256)
    parent.serve()
    assert [parent.answer(i).kind for i in (gone, late, kept)] == [frames.SKIPPED, frames.EXPIRED, frames.OK]
    assert parent.runner.operations[parent.numbers["say"]].function.__self__.calls == 1


def test_expired_work_never_runs(parent_of):
    """A deadline that passed before the operation started is answered without running it."""
    parent = parent_of(Echo)
    late, in_time = parent.call("say", 1, deadline=1.0), parent.call("say", 2, deadline=math.inf)
    parent.serve()
    assert parent.answer(late).kind == frames.EXPIRED
    assert parent.value(in_time) == 2


def test_a_late_call_is_not_claimed(parent_of):
    """The parent that takes it back afterwards has the proof that it did not start."""
    parent = parent_of(Echo)
    late = parent.call("say", 1, deadline=1.0)
    parent.serve()
    assert parent.logbook.withdraw(late % 256)


def test_every_call_that_runs_is_claimed_in_the_logbook(parent_of):
    """After a death the parent reads there what had started."""
    parent = parent_of(Echo)
    ids = [parent.call("say", 1), parent.call("raise_it", ValueError)]
    parent.serve()
    assert all(parent.logbook.is_claimed(i % 256) for i in ids)


def test_an_exception_arrives_as_itself_with_the_handlers_traceback(parent_of):
    """The caller sees type, arguments, and a traceback that begins in the handler's code."""
    parent = parent_of(Echo)
    failed = parent.call("raise_it", KeyError, "what")
    parent.serve()
    error = parent.answer(failed).value
    assert type(error) is KeyError
    assert error.args == ("what",)
    assert "raise_it" in str(error.__cause__)
    assert "invoke" not in str(error.__cause__)


@pytest.mark.parametrize(
    "raised",
    [(SystemExit, 3), (KeyboardInterrupt,), (GeneratorExit,), (StopIteration, 1), (Unspeakable,)],
    ids=lambda raised: raised[0].__name__,
)
def test_whatever_is_raised_costs_its_own_call_only(parent_of, raised):
    """What cannot travel as itself arrives as HandlerError with its type's name, and the worker goes on."""
    parent = parent_of(Echo)
    failed, after = parent.call("raise_it", *raised), parent.call("say", "still here")
    parent.serve()
    error = parent.answer(failed).value
    assert isinstance(error, HandlerError)
    assert raised[0].__name__ in error.type_name
    assert parent.value(after) == "still here"


def test_an_exception_whose_class_takes_other_arguments_arrives_as_itself(parent_of):
    """It is made without its constructor, so that `except` clauses work."""
    parent = parent_of(Echo)
    failed = parent.call("raise_it", TwoNeeded, 1, 2)
    parent.serve()
    error = parent.answer(failed).value
    assert (type(error), error.args) == (TwoNeeded, (1,))


def test_an_exception_that_forbids_attributes_is_answered(parent_of):
    """Taking our frames out of its traceback does not ask the exception."""
    parent = parent_of(Echo)
    failed = parent.call("raise_it", Stubborn, "no")
    parent.serve()
    assert parent.answer(failed).kind == frames.RAISED


def test_arguments_that_cannot_be_read_are_a_bad_argument(parent_of):
    """A payload that fails to decode is answered as not started, and so is an operation that does not exist."""
    parent = parent_of(Echo)
    broken = parent.raw(parent.numbers["say"], b"\x80\x05no pickle")
    shapeless, unknown = parent.payload(parent.numbers["say"], 42), parent.payload(77, ((), {}))
    after = parent.call("say", 1)
    parent.serve()
    for call_id in (broken, shapeless, unknown):
        fault = parent.answer(call_id)
        assert fault.kind == frames.FAULT
        assert (fault.value["code"], fault.value["outcome"]) == ("bad_argument", "not_started")
    assert parent.value(after) == 1


def run_out_of_memory():
    raise MemoryError


class Greedy:
    """Needs more memory than there is where it is unpickled."""

    def __reduce__(self):
        return run_out_of_memory, ()


def test_a_worker_without_memory_for_the_arguments_blames_nobody(parent_of):
    """The call did not start and may be made again; the next one is served."""
    parent = parent_of(Echo)
    failed, after = parent.call("say", Greedy()), parent.call("say", 1)
    parent.serve()
    fault = parent.answer(failed)
    assert (fault.value["code"], fault.value["outcome"]) == ("out_of_memory", "not_started")
    assert "MemoryError" in fault.value["message"]
    assert parent.value(after) == 1


def test_a_result_that_cannot_be_carried_is_told(parent_of):
    """The operation is complete, its result is not serializable, and the reason is in the message."""
    parent = parent_of(Echo)
    failed, after = parent.call("lock"), parent.call("say", 1)
    parent.serve()
    fault = parent.answer(failed)
    assert fault.kind == frames.FAULT
    assert (fault.value["code"], fault.value["outcome"]) == ("result_not_serializable", "completed")
    assert "lock" in fault.value["message"]
    assert parent.value(after) == 1


@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
def test_a_result_above_the_limit_is_told(parent_of, codec):
    """At the limit it arrives, one byte above it does not, with the numbers."""
    parent = parent_of(Echo, max_payload=300_000, codec=codec)
    fits, too_large = parent.call("repeat", "x", 299_000), parent.call("repeat", "x", 300_001)
    parent.serve()
    assert parent.value(fits) == "x" * 299_000
    fault = parent.answer(too_large).value
    assert (fault["code"], fault["outcome"]) == ("payload_too_large", "completed")
    assert "300000" in fault["message"]


def test_large_payloads_travel_through_shared_memory_both_ways(parent_of):
    """Buffers arrive equal, the slots are free afterwards, and also those of a call that was refused."""
    parent = parent_of(Echo)
    value = [bytes(range(256)) * 2000, bytearray(b"y" * 300_000)]
    echoed, expired = parent.call("say", value), parent.call("say", value, deadline=0.0)
    parent.serve()
    assert parent.value(echoed) == value
    assert parent.answer(expired).kind == frames.EXPIRED
    assert not any(parent.inbound.states)
    assert not any(parent.outbound.states)


def test_more_than_the_shared_memory_holds_goes_through_the_socket(parent_of):
    """12 MB through 8 MB of shared memory arrive all the same."""
    parent = parent_of(Echo)
    call = parent.function(bytes, 12_000_000)
    parent.serve()
    assert parent.value(call) == bytes(12_000_000)


def test_a_ping_is_answered(parent_of):
    """Health checks get their sign."""
    parent = parent_of(Echo)
    parent.frame(frames.PING)
    parent.serve()
    assert [answer.kind for answer in parent.answers] == [frames.PONG]


def test_frames_without_a_call_left_are_ignored(parent_of):
    """CREDIT and CANCEL may cross with the answer of their call."""
    parent = parent_of(Echo)
    parent.frame(frames.CANCEL, call_id=99)
    parent.frame(frames.CREDIT, call_id=99, amount=3)
    call = parent.call("say", 1)
    parent.serve()
    assert parent.value(call) == 1


def test_the_parents_end_of_the_socket_ends_the_loop(parent_of):
    """A worker whose parent is gone has nothing to wait for."""
    parent = parent_of(Echo)
    parent.call("say", 1)
    parent.go()
    parent.serve(goodbye=False)
    assert type(parent.failure).__name__ == "Disconnected"


def test_prints_do_not_reach_the_protocol(parent_of, capfd):
    """What an operation prints goes to its stdout and nowhere else."""
    parent = parent_of(Echo)
    call = parent.call("chatter")
    parent.serve()
    sys.stdout.flush()
    assert parent.value(call) == "said"
    assert capfd.readouterr().out == "noise\n"


def test_a_replaced_signal_handler_is_taken_back(parent_of):
    """A handler that installs its own SIGURG handler loses it at the next read."""
    parent = parent_of(Echo)
    first = parent.call("take_signal")
    second = []

    def ask_again(answer):
        if answer.call_id == first:
            second.append(parent.function(urgent_handler))
            parent.frame(frames.BYE)

    parent.on_answer = ask_again
    parent.serve(goodbye=False)
    assert parent.value(second[0]) == "_interrupt"
