"""A worker's events: so many a second, the rest counted, and nothing outside a worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import millpond
from millpond.worker.emitting import HERE, Emitter


class Bucket:
    """An emitter under a clock that the test moves, and what went out."""

    def __init__(self, rate: float) -> None:
        self.now = 0.0
        self.sent: list[tuple[str, int]] = []
        self.emitter = Emitter(self._send, rate, lambda: self.now)

    def emit(self) -> bool:
        return self.emitter.emit(7, "model.step", {}, {})

    def _send(self, call_id, name, measurements, metadata, suppressed) -> bool:
        self.sent.append((name, suppressed))
        return True


def test_a_seconds_worth_goes_out_at_once():
    """And then as many as the rate allows."""
    bucket = Bucket(10.0)
    assert sum(bucket.emit() for _ in range(50)) == 10
    bucket.now = 0.35
    assert sum(bucket.emit() for _ in range(50)) == 3
    bucket.now = 100.0
    assert sum(bucket.emit() for _ in range(50)) == 10


def test_what_was_suppressed_is_told_with_the_next():
    """Once, and then no more."""
    bucket = Bucket(1.0)
    assert [bucket.emit() for _ in range(4)] == [True, False, False, False]
    bucket.now = 1.0
    assert bucket.emit()
    bucket.now = 2.0
    assert bucket.emit()
    assert [suppressed for _, suppressed in bucket.sent] == [0, 3, 0]


def test_a_slow_rate_lets_the_first_through():
    """One every ten seconds, the first at once; a rate of nothing none at all."""
    slow, never = Bucket(0.1), Bucket(0.0)
    assert [slow.emit(), slow.emit()] == [True, False]
    slow.now = 10.0
    assert slow.emit()
    assert not never.emit()


@given(st.floats(0.0, 50.0), st.lists(st.floats(0.0, 2.0), max_size=60))
def test_no_more_than_the_rate_gets_out(rate, pauses):
    """A burst and the rate's share of the time bound what is sent; nothing is lost uncounted."""
    bucket = Bucket(rate)
    for pause in pauses:
        bucket.now += pause
        bucket.emit()
    assert len(bucket.sent) <= max(1.0, rate) + rate * bucket.now + 1e-6
    told = sum(suppressed for _, suppressed in bucket.sent)
    assert len(bucket.sent) + told <= len(pauses)


def test_emit_finds_the_worker_it_runs_in():
    """The one of this context; without any it does nothing, whatever it is given."""
    assert millpond.emit("no name at all", {"x": "y"}) is False
    bucket = Bucket(10.0)
    token = HERE.set(bucket.emitter)
    try:
        assert millpond.emit("model.tokens", {"tokens": 1}) is True
        with pytest.raises(ValueError, match="no event's name"):
            millpond.emit("no name at all")
    finally:
        HERE.reset(token)
    assert bucket.sent == [("model.tokens", 0)]
