"""Time in which the pool did not run counts against nobody."""

from __future__ import annotations

import pytest

from millpond.core.records.timing import Standstills
from tests.core.model import World


def test_only_the_part_of_a_standstill_that_lies_within_is_counted():
    """Whoever is judged since the middle of a standstill missed half of it."""
    standstills = Standstills()
    standstills.note(10.0, 14.0)
    standstills.note(20.0, 21.0)
    assert standstills.within(0.0, 30.0) == 5.0
    assert standstills.within(12.0, 30.0) == 3.0
    assert standstills.within(12.0, 13.0) == 1.0
    assert standstills.within(21.0, 30.0) == 0.0


def test_a_wake_up_that_is_overdue_counts_before_it_came():
    """What is read before the clock is looked at is judged by the same time."""
    world = World(min_workers=1, max_workers=1).begin()
    due = world.machine.alarm.wake_at
    assert world.records.stood_still(world.now, due + 7.0) == pytest.approx(7.0)
    world.now = due + 7.0
    world.tick()
    assert world.records.stood_still(due - 1.0, world.now) == pytest.approx(7.0)


def test_a_worker_that_was_stopped_is_judged_by_time_in_which_the_pool_ran():
    """That it goes on may not have been read yet when a pool that stood still goes on."""
    world = World(min_workers=1, max_workers=1, stopped_timeout=2.0).begin()
    (process,) = world.all
    world.freeze(process, True)
    world.sleep_through(20.0)
    world.advance(1.0)
    assert not process.is_killed
    world.advance(1.5)
    assert process.is_killed


def test_a_worker_that_goes_on_is_not_judged_by_what_was_said_of_it():
    """Who tells that it goes on may be stopped for longer than the worker was: the process itself is looked at."""
    world = World(min_workers=1, max_workers=1, stopped_timeout=2.0).begin()
    (process,) = world.all
    world.freeze(process, True)
    process.is_frozen = False
    world.advance(3.0)
    assert not process.is_killed
    world.freeze(process, True)
    world.advance(3.0)
    assert process.is_killed


def test_a_grace_is_time_in_which_the_pool_ran():
    """A worker that was stopped along with the program has its time to come back when both go on."""
    world = World(min_workers=1, max_workers=1, cancel_grace=1.0).begin()
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(call)
    world.sleep_through(20.0)
    assert not process.is_killed
    world.advance(0.9)
    assert process.is_killed


def test_a_goodbye_is_waited_for_while_the_pool_runs():
    """Its teardown may be told of, and not be read yet."""
    world = World(min_workers=1, max_workers=1).begin()
    (process,) = world.all
    world.drain(process)
    assert process.is_stopping
    world.sleep_through(20.0)
    assert not process.is_killed
    world.advance(2.5)
    assert process.is_killed


def test_a_pool_that_stands_still_again_and_again_ends_a_grace_all_the_same():
    """Patience is time that adds up: it does not begin anew with each standstill."""
    world = World(min_workers=1, max_workers=1, cancel_grace=1.0).begin()
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(call)
    for _ in range(40):
        world.sleep_through(0.9)
    assert process.is_killed


def test_a_start_takes_no_longer_because_the_pool_stood_still():
    """What is learned of starts decides whether a backlog is worth one."""
    world = World(min_workers=1, max_workers=1)
    world.sleep_through(60.0)
    world.advance(0.2)
    world.get_ready(world.all[0])
    assert world.records.sizing.start_s < 1.0


def test_nobody_is_judged_the_moment_the_pool_goes_on():
    """A patience that would have ended just when the pool stood still is a moment longer: the judged slept as well."""
    world = World(min_workers=1, max_workers=1, cancel_grace=0.3).begin()
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.cancel(call)
    world.advance(0.29)
    world.sleep_through(20.0)
    assert not process.is_killed
    world.advance(0.3)
    assert process.is_killed


def test_an_answer_that_ended_in_time_counts_though_the_pool_stood_still():
    """It was finished long before the deadline, and read long after."""
    world = World(min_workers=1, max_workers=1).begin()
    call = world.submit(deadline=3.0)
    (process,) = world.all
    world.claim(process)
    world.now += 1.0
    world.complete(process, process.running[call.id])
    world.sleep_through(20.0)
    assert (call.ending, world.promises[call.id].told) == ("ok", [call.id])


def test_what_waits_past_its_deadline_is_sent_to_nobody():
    """Answers are read before the clock is looked at, and free slots are not for what is late."""
    world = World(min_workers=2, max_workers=2).begin()
    running = [world.submit() for _ in range(2)]
    late = [world.submit(deadline=0.1) for _ in range(20)]
    in_time = world.submit()
    for process in world.all:
        world.claim(process)
        world.complete(process, next(iter(process.running.values())))
    world.now += 5.0
    world.read_all()
    assert {call.ending for call in running} == {"ok"}
    assert {(call.ending, call.attempts) for call in late} == {("expired", 0)}
    assert {told.outcome for call in late for told in world.promises[call.id].told} == {"not_started"}
    assert in_time.state == "running"


def test_a_late_call_of_a_session_is_passed_over():
    """However many stand in its line: the first that is in time is next."""
    world = World(min_workers=1, max_workers=1).begin()
    session = world.open_session("a")
    first = world.submit("say", session=session)
    late = [world.submit("say", session=session, deadline=0.1) for _ in range(400)]
    in_time = world.submit("say", session=session)
    (process,) = world.all
    world.claim(process)
    world.complete(process, process.running[first.id])
    world.now += 5.0
    world.read_all()
    assert {(call.ending, call.attempts) for call in late} == {("expired", 0)}
    assert in_time.state == "running"


def test_a_late_call_in_a_workers_queue_makes_room_for_the_next_of_its_session():
    """It waits for the worker its session is bound to, behind a call of another."""
    world = World(min_workers=1, max_workers=1).begin()
    (process,) = world.all
    session = world.open_session("a")
    world.submit("say", session=session)
    world.answer(process)
    other = world.submit()
    late, in_time = world.submit("say", session=session, deadline=0.1), world.submit("say", session=session)
    world.claim(process)
    world.complete(process, process.running[other.id])
    world.now += 5.0
    world.read_all()
    assert (late.ending, late.attempts, in_time.state) == ("expired", 0, "running")


def test_a_call_that_comes_past_its_deadline_is_not_sent():
    """Its time began in another thread, while the loop was busy."""
    world = World(min_workers=1, max_workers=1).begin()
    call = world.submit(deadline=-1.0)
    assert (call.ending, call.attempts) == ("expired", 0)
    (told,) = world.promises[call.id].told
    assert told.outcome == "not_started"
    assert not world.records.stood_still(world.now - 1.0, world.now)


@pytest.mark.parametrize("answers", [True, False], ids=["too late", "hanging"])
def test_a_deadline_that_passed_while_the_pool_stood_still_says_nothing_of_the_operation(answers):
    """Its worker may have been stopped as well; the breaker is told of what ran."""
    world = World(min_workers=8, max_workers=8).begin()
    calls = [world.submit(deadline=1.0) for _ in range(8)]
    for process in world.all:
        world.claim(process)
    world.now += 5.0
    if answers:
        for process in world.all:
            world.complete(process, next(iter(process.running.values())))
    world.tick()
    assert {call.ending for call in calls} == {"expired"}
    assert world.operation("work").breaker.state == "closed"
    assert world.operation("work").ended == 0


def test_a_deadline_that_passes_while_the_pool_runs_counts():
    """The same calls, and a pool that is awake: the operation hangs."""
    world = World(min_workers=8, max_workers=8).begin()
    for _ in range(8):
        world.submit(deadline=1.0)
    for process in world.all:
        world.claim(process)
    world.advance(1.1)
    assert world.operation("work").breaker.state == "open"


def test_a_call_that_its_worker_found_late_was_never_claimed():
    """Its deadline passed on the way: taken back in time or answered as late, it did not start."""
    world = World(min_workers=1, max_workers=1).begin()
    call = world.submit(deadline=1.0)
    (process,) = world.all
    world.advance(0.99)
    world.now += 0.011
    world.claim(process)
    world.advance(0.1)
    assert process.answers
    world.read_all()
    (told,) = world.promises[call.id].told
    assert (told.code, told.outcome) == ("deadline_exceeded", "not_started")
    assert process.record.load == 0
