"""Whether a call is tried again, and after which pause."""

from __future__ import annotations

import dataclasses

import pytest

from millpond.core.records.breaker import Breaker, BreakerRule
from millpond.core.records.call import Call
from millpond.core.records.operation import Operation
from millpond.core.records.session import Session
from millpond.core.records.timing import LONGEST_PAUSE, backoff, may_retry
from tests.core.model import facts


def made(kind: str = "plain", session: Session | None = None, idempotent: bool = True, attempts: int = 1) -> Call:
    """A call that was given to a worker so often, with a deadline at 10."""
    told = dataclasses.replace(facts().operations[0], kind=kind)
    operation = Operation("work", 1, told, Breaker(BreakerRule(5, 0.8, 10.0, 5.0)))
    call = Call(1, operation, b"", 10.0, session=session, idempotent=idempotent)
    call.attempts = attempts
    return call


@pytest.mark.parametrize(
    ("call", "at", "may"),
    [
        (made(), 5.0, True),
        (made(), 10.0, False),  # the pause ends after the deadline
        (made(attempts=3), 5.0, False),
        (made(idempotent=False), 5.0, False),
        (made(session=Session("a", 1, 1, "strict", 0.0)), 5.0, False),
        (made(kind="stream"), 5.0, False),
        (made(kind="async_stream"), 5.0, False),
    ],
)
def test_only_what_may_be_repeated_is_repeated(call, at, may):
    """Declared idempotent, no session, no stream, attempts left, and time left."""
    assert may_retry(call, max_attempts=3, at=at) is may


def test_pauses_double_with_jitter_and_an_end():
    """A quarter more or less, so that callers do not come back together."""
    assert [backoff(0.05, attempt, 0.5) for attempt in (1, 2, 3)] == [0.05, 0.1, 0.2]
    assert backoff(0.05, 30, 1.0) == LONGEST_PAUSE
    assert backoff(1.0, 1, 0.0) == 0.75
    assert backoff(1.0, 1, 0.9999) == pytest.approx(1.25, abs=1e-3)
