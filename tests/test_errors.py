"""The table of errors: one class a row, each of which says what the row says and survives its travels."""

from __future__ import annotations

import asyncio
import copy
import pickle
from concurrent.futures import BrokenExecutor

import pytest

import millpond
from millpond.errors import CLASSES, TABLE


def test_table_and_classes_are_the_same_rows():
    """Each code has its class in CamelCase, found as `millpond.<Class>`."""
    assert set(TABLE) == set(CLASSES)
    for code, kind in CLASSES.items():
        assert kind.__name__ == "".join(part.capitalize() for part in code.split("_"))
        assert getattr(millpond, kind.__name__) is kind
        assert kind.__doc__


@pytest.mark.parametrize("code", sorted(TABLE))
def test_an_error_says_what_its_row_says(code):
    """Message and outcome come from the table unless something better is known."""
    row, error = TABLE[code], CLASSES[code]()
    assert (str(error), error.outcome, error.code) == (row.meaning, row.outcome, code)
    assert (error.call_id, error.attempts, error.retry_after) == (None, 0, None)
    told = CLASSES[code]("more is known", outcome="completed", call_id=7, attempts=2, retry_after=0.5)
    assert str(told) == "more is known"
    assert (told.outcome, told.call_id, told.attempts, told.retry_after) == ("completed", 7, 2, 0.5)


@pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
def test_a_row_does_not_contradict_itself(row):
    """What is refused before it ran did not start; what is safe to retry did not start either."""
    if row.ending == "rejected":
        assert row.outcome == "not_started"
    if row.retry == "safe":
        assert row.outcome == "not_started"
    if row.ending in ("lost", "expired"):
        assert row.outcome == "unknown"
    assert 400 <= row.http < 600


@pytest.mark.parametrize("code", sorted(TABLE))
def test_an_error_survives_pickling_and_copying(code):
    """With all it knows, in a subclass with facts of its own as well."""
    error = CLASSES[code]("told", outcome="unknown", call_id=3, attempts=1, retry_after=2.0)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (twin.args, twin.__dict__) == (error.args, error.__dict__)


def test_an_error_is_also_what_its_users_already_catch():
    """Deadlines are TimeoutErrors, dead workers and failed starts BrokenExecutors; nothing is a CancelledError."""
    assert issubclass(millpond.DeadlineExceeded, TimeoutError)
    assert issubclass(millpond.WorkerDied, BrokenExecutor)
    assert issubclass(millpond.StartFailed, BrokenExecutor)
    assert not any(issubclass(kind, asyncio.CancelledError) for kind in CLASSES.values())


def test_an_interrupt_passes_by_except_exception():
    """A handler's `except Exception` must not swallow it."""
    assert issubclass(millpond.Interrupted, BaseException)
    assert not issubclass(millpond.Interrupted, Exception)
