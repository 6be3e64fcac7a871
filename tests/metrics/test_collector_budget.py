"""Detail goes before the pool would notice, and comes back when there is room."""

from millpond.metrics.collector import CHEAP_FOLDS, COUNTERS_ONLY, FULL, MOST_BYTES, Budget
from tests.metrics.pond import Watched


def fold(budget, times, fold_s, memory=0):
    """What was done after each fold."""
    found = []
    for _ in range(times):
        budget.note(fold_s, 1.0, memory)
        found.append(budget.detail)
    return found


def test_cheap_folds_keep_all_detail():
    """One percent of a core is what it may cost."""
    assert set(fold(Budget(), 1000, 0.01)) == {FULL}


def test_one_dear_fold_is_no_reason():
    """The first after a machine slept may be large."""
    budget = Budget()
    fold(budget, 20, 0.001)
    assert fold(budget, 1, 0.2)[-1] == FULL


def test_a_fold_right_after_another_is_no_reason():
    """What it costs counts by the time it is of: two milliseconds after two of them are not half of a core."""
    budget = Budget()
    for _ in range(100):
        budget.note(0.002, 1.0, 0)
        budget.note(0.002, 0.003, 0)
        assert budget.detail == FULL


def test_dear_folds_cost_the_histograms_until_they_were_cheap_for_long():
    """It does not flap: five minutes of cheap folds lie between, and one that is not begins them anew."""
    budget = Budget()
    assert fold(budget, 10, 0.2)[-1] == COUNTERS_ONLY
    fold(budget, CHEAP_FOLDS - 1, 0.0)
    assert fold(budget, 1, 0.06)[-1] == COUNTERS_ONLY
    found = fold(budget, CHEAP_FOLDS + 20, 0.0)
    assert found.count(COUNTERS_ONLY) >= CHEAP_FOLDS - 1
    assert found[-1] == FULL


def test_too_much_memory_costs_the_histograms():
    """They come back when there is room."""
    budget = Budget()
    assert set(fold(budget, 100, 0.001, MOST_BYTES + 1)) == {COUNTERS_ONLY}
    assert fold(budget, CHEAP_FOLDS, 0.001, MOST_BYTES // 2)[-1] == FULL


def test_a_collector_that_costs_too_much_keeps_counting_exactly():
    """Histograms are given up, calls are not; what was let go is told, and health says so."""
    watched = Watched()
    watched.spent = 0.1
    found = watched.seconds(60, lambda pond, _: pond.call("say", n=5))
    assert found.watch.detail == COUNTERS_ONLY
    assert found.reading.endings == {"ok": 300}
    assert found.windows[60].endings == {"ok": 300}
    assert [(one.name, one.endings) for one in found.operations] == [("say", {"ok": 300})]
    assert found.watch.dropped > 0
    assert found.totals["latency"].count + found.watch.dropped / 5 == 300
    assert found.health.notes == ("metrics keep less than they could: counters only",)


def test_a_collector_that_has_room_again_takes_up_where_it_left():
    """An operation told apart anew does not count its past into its windows."""
    watched = Watched()
    watched.spent = 0.1
    watched.seconds(60, lambda pond, _: pond.call("say", n=5))
    watched.spent = 0.0
    watched.seconds(600, lambda pond, _: pond.call("say"))
    found = watched.collector.snapshot()
    assert found.watch.detail == FULL
    assert found.operations[0].endings == {"ok": 900}
    assert found.operations[0].windows[60]["latency"].count == 60
