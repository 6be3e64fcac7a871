"""Answers that are no success, as the errors that the pool itself raises."""

from __future__ import annotations

import msgspec
import pytest

from millpond.client.remote_errors import error_of, error_of_problem
from millpond.errors import CLASSES, TABLE

PROBLEM = {b"content-type": b"application/problem+json"}


def told(status, headers=PROBLEM, **problem):
    return error_of(status, headers, msgspec.json.encode(problem))


@pytest.mark.parametrize("code", sorted(TABLE))
def test_a_problem_is_the_class_of_its_code_with_all_it_says(code):
    """Text, outcome, call, attempts, pause; and what only that class knows."""
    facts = {"outcome": "completed", "call_id": 7, "attempts": 2, "retry_after": 1.5}
    error = told(TABLE[code].http, code=code, detail="what happened", title="a title", **facts)
    assert type(error) is CLASSES[code]
    assert str(error) == "what happened"
    assert {name: getattr(error, name) for name in facts} == facts


def test_a_class_keeps_the_facts_of_its_own():
    """Of a worker's death, a handler's exception, an argument, an overload."""
    died = told(502, code="worker_died", signal=9, exit_code=None, stderr_tail="Fatal Python error")
    assert (died.signal, died.exit_code, died.stderr_tail) == (9, None, "Fatal Python error")
    raised = told(500, code="handler_error", type_name="ValueError", text="no", traceback="Traceback ...")
    assert (raised.type_name, raised.text, raised.traceback) == ("ValueError", "no", "Traceback ...")
    assert told(400, code="bad_argument", field="$.texts[3]").field == "$.texts[3]"
    overloaded = told(503, code="overloaded", wait_s=2.0, service_s=0.5, allowed_s=1)
    assert (overloaded.wait_s, overloaded.service_s, overloaded.allowed_s) == (2.0, 0.5, 1)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (401, "access_denied", "not_started"),
        (403, "access_denied", "not_started"),
        (421, "access_denied", "not_started"),
        (429, "access_denied", "not_started"),
        (302, "unreachable", "not_started"),
        (404, "unreachable", "not_started"),
        (408, "unreachable", "not_started"),
        (409, "bad_argument", "not_started"),
        (413, "payload_too_large", "not_started"),
        (415, "bad_argument", "not_started"),
        (500, "internal_error", "unknown"),
        (502, "unreachable", "unknown"),
        (503, "unreachable", "unknown"),
        (504, "unreachable", "unknown"),
    ],
)
def test_without_a_code_of_the_pools_the_status_decides(status, code, outcome):
    """Of the server's access rules, of a proxy, of a server that is none of Millpond's."""
    for error in (told(status, code="something_else"), error_of(status, {b"content-type": b"text/html"}, b"<html>")):
        assert (error.code, error.outcome) == (code, outcome)
        assert "<html>" not in str(error)


def test_what_a_server_has_not_is_an_argument_that_does_not_fit():
    """A pool, a route or a command of that name: nothing started, and asking again is of no use."""
    for code in ("unknown_pool", "unknown_verb", "not_found"):
        error = told(404, code=code, detail="no pool 'x'")
        assert (error.code, error.outcome) == ("bad_argument", "not_started")


def test_the_pause_comes_from_the_header_where_the_problem_says_none():
    """In seconds; a date, or what is no number, says nothing."""
    for header, seconds in [(b"3", 3.0), (b"Wed, 21 Oct 2015 07:28:00 GMT", None), (b"-1", None), (b"nan", None)]:
        assert told(503, PROBLEM | {b"retry-after": header}, code="queue_full").retry_after == seconds
    assert told(503, PROBLEM | {b"retry-after": b"3"}, code="queue_full", retry_after=0.25).retry_after == 0.25


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"[" * 100_000, b"\xff"])
def test_a_problem_that_cannot_be_read_is_still_an_error(body):
    """Its status is left."""
    assert error_of(503, PROBLEM, body).code == "unreachable"


def test_a_problem_cannot_make_an_error_say_what_is_none_of_its_kind():
    """A forged outcome is unknown, other types than the fact's are left out, other names too."""
    error = told(502, code="worker_died", outcome="fine", attempts="many", retry_after="soon", signal=[9], args="x")
    assert (error.outcome, error.attempts, error.retry_after, error.signal) == ("unknown", 0, None, None)
    assert told(400, code=["bad_argument"], detail={"a": 1}).code == "bad_argument"
    assert error_of_problem({"code": "worker_died", "status": "x", "signal": 9}).signal == 9
