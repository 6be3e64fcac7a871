"""Problems: every failure can be told, whatever a handler has made of it."""

from __future__ import annotations

import json
import math

import pytest

import millpond
from millpond.errors import CLASSES, TABLE, HandlerError, PoolError, QueueFull, WorkerDied
from millpond.http.problems import Problem, problem_of


@pytest.mark.parametrize("code", TABLE)
def test_an_error_of_the_pool_is_told_by_its_row(code):
    """Its status, code and outcome, in body and head."""
    problem = problem_of(CLASSES[code]("why", call_id=7, attempts=2))
    told = json.loads(problem.body())
    row = TABLE[code]
    assert (told["status"], told["code"], told["outcome"]) == (row.http, code, row.outcome)
    assert (told["detail"], told["call_id"], told["attempts"]) == ("why", 7, 2)
    assert told["type"] == f"urn:millpond:{code}"
    assert problem.all_headers()["Content-Type"] == "application/problem+json"
    assert ("Retry-After" in problem.all_headers()) is (row.http in (429, 503))


@pytest.mark.parametrize(
    ("seconds", "header"), [(None, "1"), (0.2, "1"), (2.1, "3"), (math.inf, "1"), (math.nan, "1"), (-5.0, "1")]
)
def test_retry_after_is_whole_seconds_and_at_least_one(seconds, header):
    """Also where the pool cannot say when."""
    problem = problem_of(QueueFull(retry_after=seconds))
    assert problem.all_headers()["Retry-After"] == header
    json.loads(problem.body())


def test_what_is_no_unicode_is_escaped():
    """Half a surrogate pair, which no encoding has, as handlers get it from file names."""
    told = json.loads(problem_of(HandlerError("a\udc80b", type_name="X\ud800", text="\udfff")).body())
    assert (told["detail"], told["type_name"], told["text"]) == ("a\\udc80b", "X\\ud800", "\\udfff")


def test_an_error_that_a_handler_made_of_anything_is_told():
    """A class of its own with no row in the table, and attributes that are no text."""

    class Own(PoolError):
        code = "mine"

    assert json.loads(problem_of(Own("x", outcome="completed")).body())["code"] == "handler_error"
    assert json.loads(problem_of(millpond.PoolError("x", outcome="completed")).body())["code"] == "handler_error"
    odd = WorkerDied("x", call_id=object(), stderr_tail="tail")  # type: ignore[arg-type]
    assert json.loads(problem_of(odd).body())["call_id"] is None


def test_only_administrators_read_what_a_worker_wrote():
    """It may be of others' calls."""
    error = WorkerDied("x", stderr_tail="tail")
    assert "stderr_tail" not in problem_of(error).content()
    whole = problem_of(error, tells_all=True)
    assert whole.content()["stderr_tail"] == "tail"
    assert "stderr_tail" not in whole.again(tells_all=False, headers={}).content()


def test_a_status_without_a_name_is_an_error():
    """Those of HTTP have their words; 499 is nginx's."""
    titles = [Problem(status, "x").content()["title"] for status in (404, 499, 599)]
    assert titles == ["Not Found", "Client Closed Request", "Error"]
