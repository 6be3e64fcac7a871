"""Windows: always what a sum over their parts would say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from millpond.metrics.histogram import Histogram
from millpond.metrics.history import PackedInterval, pack_all
from millpond.metrics.window import RollingWindow

KINDS = ("wait", "service")
steps = st.tuples(st.sampled_from([0.0, 0.5, 1.0, 1.0, 3.0]), st.lists(st.floats(1e-6, 1e3), max_size=5))


def push(window: RollingWindow, at: float, seconds: float, waits) -> None:
    histograms = {"wait": Histogram.of(waits), "service": Histogram()}
    counters = np.array([float(len(waits))])
    window.push(PackedInterval(at, seconds, counters, pack_all(histograms, KINDS)), histograms)


@given(st.lists(steps, max_size=60))
def test_a_window_is_the_sum_of_what_lies_in_it(taken):
    """However long the steps are, and however many."""
    window, at, seen = RollingWindow(5.0, KINDS, 1), 100.0, []
    for seconds, waits in taken:
        at += seconds
        push(window, at, seconds, waits)
        seen.append((at, waits))
        inside = [wait for when, waits in seen if when > at - 5.0 for wait in waits][-1000:]
        if len(seen) < 10:
            assert window.counters[0] == len(inside)
            assert window.histograms["wait"].counts.tolist() == Histogram.of(inside).counts.tolist()
    assert window.describe()["service"].count == 0
    assert window.histograms["wait"].count == window.counters[0]


def test_a_window_without_parts_covers_nothing():
    """What it covered is exactly 0 again, whatever was rounded on the way."""
    window = RollingWindow(5.0, KINDS, 1)
    for n in range(7):
        push(window, n * 0.1, 0.1, [1.0])
    window.leave(100.0)
    assert window.covered_s == 0.0
    assert not window.parts


def test_folding_without_end_at_one_moment_takes_no_memory():
    """Somebody folds in a loop while a clock stands still: the oldest parts go."""
    window = RollingWindow(5.0, KINDS, 1)
    for _ in range(100):
        push(window, 1.0, 0.0, [1.0])
    assert len(window.parts) == 10
    assert window.counters[0] == 10


def test_its_memory_is_its_sums():
    """The parts belong to history."""
    window = RollingWindow(5.0, KINDS, 1)
    push(window, 1.0, 1.0, [1.0])
    assert window.nbytes == 8
