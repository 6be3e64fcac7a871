"""The wheel of deadlines, the agenda, the alarm both of them set, and pauses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.core.records.breaker import Breaker, BreakerRule
from millpond.core.records.call import Call
from millpond.core.records.operation import Operation
from millpond.core.records.timing import LONGEST_PAUSE, TICKS, Agenda, Alarm, Standstills, Wheel, backoff

OPERATION = Operation("work", 1, None, Breaker(BreakerRule(5, 0.8, 10.0, 5.0)))


def made(call_id: int, deadline: float) -> Call:
    """A call with that deadline."""
    return Call(call_id, OPERATION, b"", deadline)


def test_a_deadline_is_never_noticed_early():
    """At the deadline itself it has not passed; a tick later it has."""
    wheel = Wheel(Alarm())
    call = made(1, 5.0)
    wheel.add(call)
    assert wheel.due(5.0) == []
    assert wheel.due(5.0 + 1 / TICKS) == [call]
    assert wheel.due(9.0) == []


def test_what_is_forgotten_is_not_due():
    """An answered call's deadline passes unnoticed, and empty slots cost no wake-up."""
    wheel = Wheel(Alarm())
    gone, stays = made(1, 5.0), made(2, 7.0)
    wheel.add(gone)
    wheel.add(stays)
    wheel.discard(gone)
    wheel.discard(gone)
    assert wheel.next_at() > 7.0
    assert wheel.due(10.0) == [stays]
    assert wheel.next_at() == math.inf


def test_the_alarm_is_only_brought_forward():
    """Adding something earlier moves it, adding something later does not."""
    alarm = Alarm()
    wheel, agenda = Wheel(alarm), Agenda(alarm, Standstills())
    wheel.add(made(1, 5.0))
    assert alarm.at == wheel.next_at() > 5.0
    agenda.add(6.0, "later")
    assert alarm.at == wheel.next_at()
    agenda.add(2.0, "sooner")
    assert alarm.at == 2.0


def test_the_agenda_is_worked_off_in_order_of_time():
    """Equal times keep the order they were noted in; what is noted meanwhile waits for the next look."""
    agenda = Agenda(Alarm(), Standstills())
    agenda.add(2.0, "second")
    agenda.add(1.0, "first")
    agenda.add(2.0, "third")
    agenda.add(9.0, "not yet")
    done = []
    for verb, subject in agenda.due(2.0):
        done.append(verb)
        if subject is None:
            agenda.add(2.0, verb, "again")
    assert done == ["first", "second", "third"]
    assert [verb for verb, _ in agenda.due(2.0)] == ["first", "second", "third"]
    assert agenda.next_at() == 9.0


@given(
    st.lists(st.tuples(st.floats(0.0, 20.0), st.booleans()), max_size=40), st.lists(st.floats(0.0, 3.0), max_size=12)
)
def test_every_deadline_is_noticed_once_and_within_a_tick(calls, pauses):
    """Whoever wakes by the alarm misses none."""
    alarm = Alarm()
    wheel = Wheel(alarm)
    watched = {}
    for number, (deadline, is_kept) in enumerate(calls):
        call = made(number, deadline)
        wheel.add(call)
        if is_kept:
            watched[number] = call
        else:
            wheel.discard(call)
    now = 0.0
    for pause in [*pauses, 30.0]:
        end = now + pause
        while alarm.at <= end:
            now = alarm.at
            for call in wheel.due(now):
                assert call.deadline < now <= call.deadline + 1 / TICKS
                del watched[call.id]
            alarm.at = wheel.next_at()
        now = end
    assert not watched


def test_pauses_double_with_jitter_and_an_end():
    """A quarter more or less, so that callers do not come back together."""
    assert [backoff(0.05, attempt, 0.5) for attempt in (1, 2, 3)] == [0.05, 0.1, 0.2]
    assert backoff(0.05, 30, 1.0) == LONGEST_PAUSE
    assert backoff(1.0, 1, 0.0) == 0.75
    assert backoff(1.0, 1, 0.9999) == pytest.approx(1.25, abs=1e-3)
