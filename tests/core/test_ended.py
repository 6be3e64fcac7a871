"""What is remembered of calls that ended: the last failures the slowest of each minute, and nothing of their owners."""

from __future__ import annotations

import gc
import math
import weakref

from millpond.core.records.ended import FAILURES, REMEMBERED_S, SLOWEST, TAIL
from millpond.errors import WorkerDied
from tests.core.model import World


def world(**settings) -> World:
    """One worker."""
    return World(**({"min_workers": 1, "max_workers": 1} | settings)).begin()


def answer(made: World, seconds: float):
    """A call that takes so long."""
    call = made.submit()
    made.advance(seconds)
    made.machine.answered(call.worker, call.id, "ok", None, made.now - seconds, made.now, 0, made.now)
    made.machine.outbox.clear()
    return call


def slowest(made: World) -> list[int]:
    """Ids of those remembered."""
    return [one.call_id for one in made.records.ended.slowest(made.now)]


def test_the_slowest_calls_of_a_minute_are_remembered_and_no_others():
    """However many end in it, and in whatever order."""
    made = world()
    took = [(number * 37 % 211) / 10_000 for number in range(211)]
    calls = [answer(made, seconds) for seconds in took]
    made.advance(0.0)
    expected = sorted(zip(took, (call.id for call in calls), strict=True))[-SLOWEST:]
    assert sorted(slowest(made)) == sorted(number for _, number in expected)


def test_a_quick_call_is_remembered_again_once_a_minute_of_slow_ones_is_over():
    """The look at the end of the minute is on the agenda only while quick ones are passed over."""
    made = world()
    assert "slowest" not in made.records.looks
    for _ in range(SLOWEST):
        answer(made, 0.1)
    assert "slowest" in made.records.looks
    quick = answer(made, 0.001)
    assert quick.id not in slowest(made)
    made.advance(60.0)
    assert "slowest" not in made.records.looks
    quick = answer(made, 0.001)
    assert quick.id in slowest(made)


def test_slow_calls_are_forgotten_after_a_quarter_of_an_hour():
    """Also if nothing has ended since."""
    made = world()
    answer(made, 0.5)
    made.advance(REMEMBERED_S - 1.0)
    assert len(slowest(made)) == 1
    made.advance(2.0)
    assert slowest(made) == []


def test_as_many_failures_are_remembered_as_is_said():
    """The newest, in the order in which they ended."""
    made = world()
    calls = [made.submit() for _ in range(FAILURES + 50)]
    for call in reversed(calls):
        made.cancel(call)
    kept = made.records.ended.failures
    assert [one.call_id for one in kept] == [call.id for call in reversed(calls)][-FAILURES:]


def test_nothing_of_a_caller_or_an_error_is_kept_alive():
    """A record has ids, names and numbers: the call, its ticket and the exception go with their owners."""
    made = world()

    class Error(ValueError):
        """That can be watched."""

    error, call = Error("secret"), made.submit()
    watched = [weakref.ref(error)]
    made.machine.answered(call.worker, call.id, "failed", error, made.now, made.now, 0, made.now)
    made.machine.outbox.clear()
    (kept,) = made.records.ended.failures
    del error
    gc.collect()
    assert [one() for one in watched] == [None]
    assert (kept.code, kept.outcome, kept.deadline) == ("handler_error", "completed", math.inf)
    plain = {name: getattr(kept, name) for name in kept.__struct_fields__}
    assert {type(value) for value in plain.values()} <= {int, float, str, type(None)}
    assert "secret" not in repr(plain)


def test_what_a_handler_puts_into_an_error_of_ours_is_not_kept():
    """Only numbers are, and outcomes that there are; the end of a long text is."""
    made = world()
    call = made.submit()
    error = WorkerDied("mine", stderr_tail="x" * 10_000, signal=9)
    error.outcome = error.exit_code = [1] * 1000  # type: ignore[assignment]
    made.machine.answered(call.worker, call.id, "failed", error, made.now, made.now, 0, made.now)
    (kept,) = made.records.ended.failures
    assert (kept.signal, kept.exit_code, kept.outcome, len(kept.stderr_tail)) == (9, None, None, TAIL)


def test_a_machine_that_is_to_remember_no_slow_calls_remembers_none():
    """Also after a failure, which it does remember."""
    made = world()
    made.machine.remember_no_slow_calls()
    call = made.submit()
    made.machine.answered(call.worker, call.id, "failed", ValueError("no"), made.now, made.now, 0, made.now)
    made.machine.outbox.clear()
    for _ in range(SLOWEST + 1):
        answer(made, 0.1)
    assert slowest(made) == []
    assert len(made.records.ended.failures) == 1
    assert "slowest" not in made.records.looks
