"""What an optimizer remembers of the load."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.optimizer.load_history import LoadHistory
from millpond.slo import Slo
from tests.optimizer.made import calls, observed


def test_a_row_counts_which_calls_met_the_objective():
    """Those that waited no longer than it allows; with a latency, that is what the service time leaves."""
    waits = {"read": np.array([0.0, 0.5, 1.0, 1.5])}
    for slo, met in ((Slo(wait=1.0), 3.0), (Slo(latency=0.7), 2.0)):
        history = LoadHistory(slo)
        history.note(observed(now=0.0))
        history.note(observed(now=15.0, service_s=0.1, waits=waits))
        (row,) = history.since(0.0)
        assert (row.started, row.met) == (4.0, met)
        assert row.wait_sum_s == pytest.approx(3.0)


def test_calls_that_were_refused_because_others_wait_have_missed_it():
    """Whoever is turned away waits for ever; what a handler raises is another matter."""
    history = LoadHistory(Slo())
    history.note(observed(now=0.0))
    history.note(observed(now=15.0, errors={"queue_full": 3, "overloaded": 2, "handler_error": 7}, **calls(10, 15.0)))
    (row,) = history.since(0.0)
    assert (row.started, row.met, row.failed) == (15.0, 10.0, 12.0)


def test_the_most_that_was_at_work_fades_within_hours():
    """A surge of yesterday allows no step of today."""
    history = LoadHistory(Slo())
    history.note(observed(now=0.0))
    history.note(observed(now=15.0, in_system_s=150.0))
    assert history.most_workers == pytest.approx(10.0)
    history.note(observed(now=15.0 + 4 * 3600.0))
    assert history.most_workers == pytest.approx(5.0)
