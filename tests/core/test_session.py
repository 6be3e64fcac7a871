"""One session's line and binding, and the book of all."""

from __future__ import annotations

from millpond.core.breaker import Breaker, BreakerRule
from millpond.core.call import Call
from millpond.core.operation import Operation
from millpond.core.session import Session, SessionBook
from millpond.core.worker import Worker

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
    assert second.place is session
    session.remove(second)
    assert second.place is None
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
    book = SessionBook(remembered=10)
    first = book.open("a", "strict", 0.0)
    book.bury(first)
    assert book.find("a") is first
    second = book.open("a", "strict", 0.0)
    assert (second.generation, second.number) == (2, 2)
    book.closing(second)
    assert book.find("a") is None
    assert len(book) == 1
    book.closed(second)
    assert (len(book), book.open("a", "strict", 0.0).generation) == (0, 1)


def test_an_id_that_is_taken_while_its_session_closes_is_another_generation():
    """The two may be in the store at one time, which tells them apart by that."""
    book = SessionBook(remembered=10)
    book.closing(book.open("a", "strict", 0.0))
    book.closing(book.open("other", "strict", 0.0))
    assert book.open("a", "strict", 0.0).generation == 2


def test_a_lost_session_is_remembered_for_a_while():
    """Beyond the bound the oldest are forgotten."""
    book = SessionBook(remembered=2)
    for name in "abc":
        book.bury(book.open(name, "strict", 0.0))
    assert book.find("a") is None
    assert [book.find(name).id for name in "bc"] == ["b", "c"]


def test_a_closing_session_that_is_lost_leaves_its_successor_alone():
    """Its name is another's by now."""
    book = SessionBook(remembered=2)
    closing = book.open("a", "strict", 0.0)
    book.closing(closing)
    successor = book.open("a", "strict", 0.0)
    assert set(book) == {closing, successor}
    book.bury(closing)
    assert book.find("a") is successor
    book.closing(successor)
    assert book.find("a") is None


def test_a_session_is_above_all_of_its_name_that_are_closing():
    """The store can tell whose a late record is, in whatever order they end."""
    book = SessionBook(remembered=10)
    first = book.open("a", "strict", 0.0)
    book.closing(first)
    second = book.open("a", "strict", 0.0)
    book.closing(second)
    book.closed(second)
    third = book.open("a", "strict", 0.0)
    assert [first.generation, second.generation, third.generation] == [1, 2, 2]
    book.closing(third)
    book.closed(first)
    book.closed(third)
    assert (len(book), book.open("a", "strict", 0.0).generation) == (0, 1)
