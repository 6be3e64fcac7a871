"""Sessions in the worker: opened by their first call, handed to operations, and taken out again."""

from __future__ import annotations

import pytest

from millpond.seams import CLOSE_SESSION
from millpond.wire import frames
from millpond.worker.handler_session import Session


class Counter:
    def add(self, amount, *, session):
        session.state["n"] = session.state.get("n", 0) + amount
        return session.state["n"]

    def middle(self, left, session, right=None):
        return [left, session.id, right]

    def who(self, *, session):
        return [session.id, session.generation, session.interrupted]

    def stop(self, *, session):
        raise RuntimeError

    def plain(self):
        return "plain"

    def count(self, to, *, session):
        for number in range(to):
            yield [session.id, number]


class Hooked(Counter):
    def __init__(self):
        self.log = []
        self.fail_once = True

    def open_session(self, session):
        self.log.append(f"open {session.id}")
        if session.id == "fails" and self.fail_once:
            self.fail_once = False
            raise ValueError("not today")
        session.state["n"] = 100

    def close_session(self, session):
        self.log.append(f"close {session.id}")
        if session.id == "fails":
            raise ValueError("not closed")

    def export_session(self, session):
        if session.id == "stuck":
            raise ValueError("not exported")
        return ["exported", session.state["n"]]

    def import_session(self, session, state):
        session.state["n"] = state[1]

    def events(self):
        return self.log


def test_state_stays_between_calls_and_apart_between_sessions(parent_of):
    """Two sessions and a call without one share a worker, and nothing else."""
    parent = parent_of(Counter)
    parent.open_session(1, "one")
    parent.open_session(2, "two")
    calls = [parent.call("add", 5, session=n) for n in (1, 2, 1)]
    plain = parent.call("plain")
    parent.serve()
    assert [parent.value(call) for call in calls] == [5, 5, 10]
    assert parent.value(plain) == "plain"
    assert parent.answer(calls[1]).fields[8] == 2


def test_a_session_parameter_may_stand_anywhere(parent_of):
    """Callers' positional arguments close up over it."""
    parent = parent_of(Counter)
    parent.open_session(1, "one")
    calls = [
        parent.call("middle", "a", "b", session=1),
        parent.call("middle", "a", session=1),
        parent.call("middle", left="a", right="b", session=1),
    ]
    orders_only = parent.call("plain", session=1)
    parent.serve()
    assert [parent.value(call) for call in calls] == [["a", "one", "b"], ["a", "one", None], ["a", "one", "b"]]
    assert parent.value(orders_only) == "plain"


def test_a_stream_has_a_session_too(parent_of):
    """Its items come from the generator that was given it."""
    parent = parent_of(Counter)
    parent.open_session(1, "one")
    call = parent.call("count", 2, session=1)
    parent.serve()
    assert parent.items(call) == [["one", 0], ["one", 1]]


def test_a_session_the_worker_was_never_told_of_is_lost_loudly(parent_of):
    """Never a fresh state in silence."""
    parent = parent_of(Counter)
    call = parent.call("add", 1, session=9)
    parent.serve()
    fault = parent.answer(call).value
    assert (fault["code"], fault["outcome"]) == ("session_lost", "not_started")


def test_a_forgotten_session_is_gone_without_its_hook(parent_of):
    """The parent dropped it; opened anew it starts from nothing."""
    parent = parent_of(Hooked)
    parent.open_session(1, "one")
    parent.call("add", 1, session=1)
    parent.frame(frames.FORGET_SESSION, session=1)
    lost = parent.call("add", 1, session=1)
    parent.open_session(1, "one")
    again, events = parent.call("add", 1, session=1), parent.call("events")
    parent.serve()
    assert parent.answer(lost).value["code"] == "session_lost"
    assert parent.value(again) == 101
    assert parent.value(events) == ["open one", "open one"]


def test_the_first_call_opens_the_session(parent_of):
    """Being told of it runs nothing; the hook runs under the first call, once."""
    parent = parent_of(Hooked)
    parent.open_session(1, "one")
    before, first, second = parent.call("events"), parent.call("add", 1, session=1), parent.call("add", 1, session=1)
    after = parent.call("events")
    parent.serve()
    assert [parent.value(call) for call in (before, first, second, after)] == [[], 101, 102, ["open one"]]


def test_expired_work_opens_no_session(parent_of):
    """The opening hook is under the call's deadline."""
    parent = parent_of(Hooked)
    parent.open_session(1, "one")
    parent.call("add", 1, session=1, deadline=1.0)
    events = parent.call("events")
    parent.serve()
    assert parent.value(events) == []


def test_a_failing_opening_hook_fails_the_call_and_says_so(parent_of):
    """The exception is the hook's, the flag says that the session is not open, and it may be opened anew."""
    parent = parent_of(Hooked)
    parent.open_session(1, "fails")
    failed = parent.call("add", 1, session=1)
    parent.open_session(1, "fails")
    again = parent.call("add", 1, session=1)
    parent.serve()
    answer = parent.answer(failed)
    assert isinstance(answer.value, ValueError)
    assert answer.flags & frames.SESSION_FAILED
    assert parent.value(again) == 101


def test_closing_runs_the_hook_and_forgets(parent_of):
    """Also if the hook fails; a session that was never opened has nothing to close."""
    parent = parent_of(Hooked)
    for number, name in enumerate(("one", "fails", "unused"), 1):
        parent.open_session(number, name)
    parent.call("add", 1, session=1)
    parent.call("add", 1, session=2)
    parent.open_session(2, "fails")
    parent.call("add", 1, session=2)
    closed, failed, unused = (parent.close_session(number) for number in (1, 2, 3))
    events = parent.call("events")
    parent.serve()
    assert parent.value(closed) is None
    assert parent.answer(closed).fields[4] == CLOSE_SESSION
    assert isinstance(parent.answer(failed).value, ValueError)
    assert parent.value(unused) is None
    assert parent.value(events) == ["open one", "open fails", "open fails", "close one", "close fails"]
    assert list(parent.runner.session_slots) == [0]


@pytest.mark.parametrize("handler", [Counter, Hooked])
def test_a_session_moves_with_its_state(parent_of, handler):
    """What one worker exports the next imports, with the handler's hooks or without."""
    parent = parent_of(handler)
    parent.open_session(1, "one")
    parent.call("add", 5, session=1)
    exported = parent.export_session(1)
    parent.serve()
    assert list(parent.runner.session_slots) == [0]
    other = parent_of(handler)
    other.open_session(4, "one", snapshot=parent.value(exported))
    moved = other.call("add", 1, session=4)
    other.serve()
    assert other.value(moved) == (106 if handler is Hooked else 6)


def test_a_session_that_only_passes_through_keeps_its_state(parent_of):
    """Exported again before its first call, its snapshot goes on as it came."""
    parent = parent_of(Hooked)
    parent.open_session(1, "one", snapshot=["exported", 7])
    exported, events = parent.export_session(1), parent.call("events")
    parent.serve()
    assert parent.value(exported) == ["exported", 7]
    assert parent.value(events) == []


def test_a_session_exported_before_its_first_call_was_opened_first(parent_of):
    """What the next worker imports is a state, not the want of one."""
    parent = parent_of(Hooked)
    parent.open_session(1, "one")
    exported = parent.export_session(1)
    parent.serve()
    assert parent.value(exported) == ["exported", 100]


def test_a_failing_export_leaves_the_session_where_it_is(parent_of):
    """Whether the hook raises or its result cannot be sent."""
    parent = parent_of(Hooked)
    parent.open_session(1, "stuck")
    parent.call("add", 1, session=1)
    failed, after = parent.export_session(1), parent.call("add", 1, session=1)
    parent.serve()
    assert isinstance(parent.answer(failed).value, ValueError)
    assert parent.value(after) == 102


def test_snapshot_that_cannot_be_read_is_a_lost_session(parent_of):
    """Not started, and not opened empty instead."""
    parent = parent_of(Counter)
    snapshot = b"\x93\xa3one\x01\x01" + b"\xc1"
    parent.frame(frames.OPEN_SESSION, snapshot, session=1, flags=frames.HAS_SNAPSHOT, operation=7)
    call = parent.call("add", 1, session=1)
    parent.serve()
    fault = parent.answer(call)
    assert (fault.value["code"], fault.value["outcome"], fault.flags) == (
        "handler_error",
        "not_started",
        frames.SESSION_FAILED,
    )


def test_the_call_after_an_interrupted_one_is_told(parent_of):
    """Once: the call after that finds a session that was left in order."""
    parent = parent_of(Counter)
    parent.open_session(1, "one")
    stopped = parent.call("stop", session=1)
    told, told_no_more = parent.call("who", session=1), parent.call("who", session=1)

    class Asked:
        """The logbook as if the parent asked while the operation ran: that is, after the claim."""

        def __init__(self, request):
            self.request = lambda position: 2 if position == stopped % 256 else request(position)
            self.end = parent.logbook.end

    parent.runner.logbook = Asked(parent.runner.logbook.request)
    parent.serve()
    assert parent.value(told) == ["one", 1, True]
    assert parent.value(told_no_more) == ["one", 1, False]


def test_a_session_says_who_it_is():
    """For logs and debuggers."""
    assert repr(Session("someone", 2)) == "<Session 'someone', generation 2>"
