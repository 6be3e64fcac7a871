"""The order of service."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millpond.core.records.breaker import Breaker, BreakerRule
from millpond.core.records.call import Call
from millpond.core.records.operation import Operation
from millpond.core.records.queue import CallQueue

OPERATION = Operation("work", 1, None, Breaker(BreakerRule(5, 0.8, 10.0, 5.0)))
INF = float("inf")


def made(call_id: int, key: float, priority: int = 0) -> Call:
    """A call with the key it would have been given."""
    call = Call(call_id, OPERATION, b"", INF, priority=priority)
    call.key = key
    return call


def drained(queue: CallQueue) -> list[int]:
    """The ids in the order of service, taking each out."""
    order = []
    while (head := queue.head()) is not None:
        order.append(head.id)
        queue.remove(head)
    return order


def test_first_in_is_first_out():
    """Calls of one priority are served in the order they came."""
    queue = CallQueue()
    for now, call_id in enumerate((3, 1, 2)):
        queue.push(made(call_id, float(now)))
    assert drained(queue) == [3, 1, 2]


def test_a_call_that_comes_late_stands_where_its_age_puts_it():
    """A call taken back or retried does not go to the end, nor past an older one."""
    queue = CallQueue()
    for call_id in range(1, 6):
        queue.push(made(call_id, float(call_id)))
    second, fourth = list(queue)[1], list(queue)[3]
    queue.remove(fourth)
    queue.remove(second)
    queue.push(fourth)
    queue.push(second)
    assert drained(queue) == [1, 2, 3, 4, 5]


def test_a_priority_is_worth_a_fixed_age():
    """The smallest key is served, whatever lane it is in."""
    queue = CallQueue()
    queue.push(made(1, 10.0))
    queue.push(made(2, 11.0 - 2.0, priority=2))
    queue.push(made(3, 12.0))
    queue.push(made(4, 12.5 + 1.0, priority=-1))
    assert drained(queue) == [2, 1, 3, 4]


def test_a_call_knows_where_it_waits():
    """Its place is the queue while it is there, and nothing afterwards."""
    queue, call = CallQueue(), made(1, 1.0, priority=7)
    queue.push(call)
    assert call.line is queue
    queue.remove(call)
    assert call.line is None
    assert len(queue) == 0
    assert queue.head() is None


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(-2, 2), st.floats(0, 3)),
            st.tuples(st.just("late"), st.integers(-2, 2), st.floats(0, 30)),
            st.tuples(st.just("take"), st.integers(0, 50), st.just(0.0)),
        ),
        max_size=60,
    )
)
def test_the_head_is_always_the_smallest_key(steps):
    """However calls come, go and come back, the queue is a sorted list to whoever looks."""
    queue, calls, now = CallQueue(), [], 0.0
    for number, (verb, which, seconds) in enumerate(steps, start=1):
        if verb == "take" and calls:
            queue.remove(calls.pop(which % len(calls)))
        elif verb != "take":
            now += seconds if verb == "push" else 0.0
            since = now if verb == "push" else max(0.0, now - seconds)
            calls.append(made(number, since - which, which))
            queue.push(calls[-1])
        assert set(queue) == set(calls)
        assert len(queue) == len(calls)
        assert queue.head() is min(calls, key=lambda c: (c.key, c.id), default=None)
