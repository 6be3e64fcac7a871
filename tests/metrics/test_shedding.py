"""Detail goes before the pool would notice, and comes back when there is room."""

from millpond.metrics.shedding import COUNTERS_ONLY, FULL, LEVELS, MOST_BYTES, NO_OPERATIONS, Shedder
from tests.metrics.pond import Watched


def fold(shedder, times, fold_s, memory=0):
    """What was done after each fold."""
    found = []
    for _ in range(times):
        shedder.note(fold_s, 1.0, memory)
        found.append(shedder.detail)
    return found


def test_cheap_folds_keep_all_detail():
    """One percent of a core is what it may cost."""
    assert set(fold(Shedder(), 1000, 0.01)) == {FULL}


def test_one_dear_fold_is_no_reason():
    """The first after a machine slept may be large."""
    shedder = Shedder()
    fold(shedder, 20, 0.001)
    assert fold(shedder, 1, 0.2)[-1] == FULL


def test_detail_goes_step_by_step():
    """Operations first, then all histograms; ten folds lie between."""
    found = fold(Shedder(), 60, 0.2)
    assert list(dict.fromkeys(found)) == list(LEVELS)
    assert found.count(NO_OPERATIONS) >= 10


def test_detail_comes_back_and_more_slowly_each_time_it_goes():
    """It does not flap."""
    shedder, waits = Shedder(), []
    for _ in range(3):
        while shedder.detail == FULL:
            fold(shedder, 1, 0.2)
        wait = 0
        while shedder.detail != FULL:
            fold(shedder, 1, 0.0)
            wait += 1
        waits.append(wait)
    assert waits[0] < waits[1] < waits[2]


def test_too_much_memory_costs_the_operations_only():
    """What takes memory is gone then."""
    shedder = Shedder()
    assert set(fold(shedder, 100, 0.001, MOST_BYTES + 1)) == {NO_OPERATIONS}
    assert fold(shedder, 500, 0.001, MOST_BYTES // 2)[-1] == FULL


def test_a_collector_that_costs_too_much_keeps_counting_exactly():
    """Histograms are given up, calls are not; what was let go is told, and health says so."""
    watched = Watched()
    watched.spent = 0.1
    found = watched.seconds(60, lambda pond, _: pond.call("say", n=5))
    assert found.watch.detail == COUNTERS_ONLY
    assert found.reading.endings == {"ok": 300}
    assert found.windows[60].endings == {"ok": 300}
    assert found.other.endings == {"ok": 300}
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
