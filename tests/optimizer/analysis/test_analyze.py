"""The whole analysis: what it says of little, and of much."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.optimizer.analysis.analyze import analyze
from millpond.optimizer.load_history import LoadHistory
from millpond.slo import Slo
from tests.optimizer.made import STEP_S, history_of, observed


def test_nothing_seen_gives_no_findings():
    """Before the first look there is nothing to say."""
    assert tuple(analyze(LoadHistory(Slo()), Slo())) == ()


def test_each_finding_is_a_sentence_with_numbers_and_a_confidence():
    """And is asked for by its name."""
    random = np.random.default_rng(1)
    steps = 200
    history = history_of(
        steps, in_system_s=random.uniform(0.5, 9.0, steps) * STEP_S, ready=[10] * steps,
        count=random.poisson(30, steps),
        worker_bytes=[100 << 20] * steps, free_bytes=[1000 << 20] * steps, sessions_open=[10] * steps,
        sessions_asleep=[4] * steps,
    )  # fmt: skip
    found = analyze(history, Slo())
    for name in ("utilization", "burstiness", "waits", "throughput", "cold_start", "session_residency", "memory"):
        one = found[name]
        assert one.sentence.endswith(".")
        assert 0.0 <= one.confidence <= 1.0
        assert all(np.isfinite(number) for number in one.numbers.values())
    assert found["memory"].numbers["more_workers"] == pytest.approx(10.0)
    assert found["session_residency"].numbers["resident"] == 6.0
    assert "error_cause" not in found
    with pytest.raises(KeyError):
        found["error_cause"]


def test_what_was_seen_long_ago_takes_no_more_room():
    """Rows are bounded, however long it goes on."""
    history = LoadHistory(Slo())
    for i in range(3000):
        history.note(observed(now=15.0 * i))
    assert len(history.fine()) == 480
    assert len(history.coarse()) == pytest.approx(150, abs=1)
