"""One session's line and binding, and the registry of all."""

from __future__ import annotations

from millpond.core.records.breaker import Breaker, BreakerRule
from millpond.core.records.call import Call
from millpond.core.records.operation import Operation
from millpond.core.records.session import Session, SessionRegistry
from millpond.core.records.worker import Worker

OPERATION = Operation("say", 1, None, Breaker(BreakerRule(5, 0.8, 10.0, 5.0)))


def calls(count: int) -> list[Call]:
    """Some calls."""
    return [Call(number, OPERATION, b"", float("inf")) for number in range(count)]


def test_a_line_is_first_in_first_out_and_can_be_left():
    """A call that leaves the line is nowhere, and the rest keep their order."""
    session = Session("a", 1, 1, "strict", 0.0)
    first, second, third = calls(3)
    for call in (first, second, third):
        session.wait_behind(call)
    assert second.line is session
    session.remove(second)
    assert second.line is None
    assert [session.next_waiting(), session.next_waiting(), session.next_waiting()] == [first, third, None]


def test_each_binding_has_a_new_lease():
    """By it a worker is known to have been told of the session or not."""
    session, worker = Session("a", 1, 1, "strict", 0.0), Worker(1, 0.0, 1, 100)
    session.bind(worker)
    assert (session.lease, worker.sessions) == (1, {1: session})
    session.unbind()
    assert (session.worker, worker.sessions) == (None, {})
    session.bind(worker)
    assert session.lease == 2


def test_generations_rise_with_reopening_only():
    """Lost and opened again is one higher; closed and opened again is another session."""
    registry = SessionRegistry(remembered=10)
    first = registry.open("a", "strict", 0.0)
    registry.lose(first)
    assert registry.find("a") is first
    second = registry.open("a", "strict", 0.0)
    assert (second.generation, second.number) == (2, 2)
    registry.closing(second)
    assert registry.find("a") is None
    assert len(registry) == 1
    registry.closed(second)
    assert (len(registry), registry.open("a", "strict", 0.0).generation) == (0, 1)


def test_an_id_that_is_taken_while_its_session_closes_is_another_generation():
    """The two may be in the store at one time, which tells them apart by that."""
    registry = SessionRegistry(remembered=10)
    registry.closing(registry.open("a", "strict", 0.0))
    registry.closing(registry.open("other", "strict", 0.0))
    assert registry.open("a", "strict", 0.0).generation == 2


def test_a_lost_session_is_remembered_for_a_while():
    """Beyond the bound the oldest are forgotten."""
    registry = SessionRegistry(remembered=2)
    for name in "abc":
        registry.lose(registry.open(name, "strict", 0.0))
    assert registry.find("a") is None
    assert [registry.find(name).id for name in "bc"] == ["b", "c"]


def test_a_closing_session_that_is_lost_leaves_its_successor_alone():
    """Its name is another's by now."""
    registry = SessionRegistry(remembered=2)
    closing = registry.open("a", "strict", 0.0)
    registry.closing(closing)
    successor = registry.open("a", "strict", 0.0)
    assert set(registry) == {closing, successor}
    registry.lose(closing)
    assert registry.find("a") is successor
    registry.closing(successor)
    assert registry.find("a") is None


def test_a_session_is_above_all_of_its_name_that_are_closing():
    """The store can tell whose a late record is, in whatever order they end."""
    registry = SessionRegistry(remembered=10)
    first = registry.open("a", "strict", 0.0)
    registry.closing(first)
    second = registry.open("a", "strict", 0.0)
    registry.closing(second)
    registry.closed(second)
    third = registry.open("a", "strict", 0.0)
    assert [first.generation, second.generation, third.generation] == [1, 2, 2]
    registry.closing(third)
    registry.closed(first)
    registry.closed(third)
    assert (len(registry), registry.open("a", "strict", 0.0).generation) == (0, 1)
