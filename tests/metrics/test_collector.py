"""The collector: what went in comes out, once, from whichever thread it is asked."""

import dataclasses
import logging
import math
import threading
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.metrics import collector as collector_module
from millpond.metrics.aggregation import sort_samples
from millpond.metrics.snapshot import KINDS, WINDOWS, Snapshot
from millpond.metrics.source import WorkerReading
from tests.metrics.pond import Watched

calls = st.tuples(
    st.sampled_from(["read", "say", "ask"]),
    st.sampled_from([("ok", None), ("failed", "handler_error"), ("expired", "deadline_exceeded")]),
    st.integers(1, 30),
    st.floats(0.0, 100.0),
)


@pytest.fixture
def watched():
    """A pond and its collector, closed after the test."""
    made = Watched()
    yield made
    made.collector.close()


@settings(max_examples=50)
@given(st.lists(st.lists(calls, max_size=5), max_size=30), st.sampled_from([20_000, 10, 0]))
def test_every_call_is_counted_once(seconds, large):
    """In totals, windows and history alike, folded on the loop or on the thread."""
    before, collector_module.LARGE = collector_module.LARGE, large
    watched = Watched()
    try:
        for told in seconds:
            for operation, (ending, code), n, wait in told:
                watched.pond.call(operation, ending, code, n=n, wait=wait)
            watched.seconds()
            assert watched.collector.settle()
    finally:
        collector_module.LARGE = before
        watched.collector.close()
    n = watched.pond.endings.total()
    found = watched.collector.snapshot()
    assert found.reading.endings == dict(watched.pond.endings)
    assert found.windows[900].endings == {ending: count for ending, count in watched.pond.endings.items() if count}
    assert found.windows[900].distributions["wait"].count == n
    assert found.totals["latency"].count == n
    assert sum(slot.histograms["latency"].count for slot in watched.collector.history(600)) == n
    assert sum(error.count for error in watched.collector.errors(600)) == watched.pond.codes.total()


def test_percentiles_of_a_window_are_those_of_the_calls_in_it(watched):
    """Merged over its seconds, within 1.2 %."""
    random = np.random.default_rng(5)
    values = random.lognormal(-4, 1, (90, 50))

    def work(pond, second):
        for value in values[second]:
            pond.call(wait=0.0, service=float(value))

    found = watched.seconds(90, work).windows[60].distributions["service"]
    exact = np.quantile(values[30:], (0.5, 0.9, 0.95, 0.99, 0.999), method="inverted_cdf")
    told = np.array([found.p50, found.p90, found.p95, found.p99, found.p999])
    assert np.max(np.abs(told / exact - 1)) <= 0.012
    assert found.count == 3_000
    assert found.mean == pytest.approx(values[30:].mean())


def test_windows_cover_what_there_is(watched):
    """A pool that is two minutes old has no five minutes."""
    found = watched.seconds(120)
    assert {seconds: found.windows[seconds].covered_s for seconds in WINDOWS} == {60: 60.0, 300: 120.0, 900: 120.0}
    assert found.uptime_s == 120.0


def test_a_snapshot_is_frozen_and_the_same_until_the_next_fold(watched):
    """Whoever asks twice in a second gets one answer, at the price of one."""
    first = watched.seconds(1, lambda pond, _: pond.call())
    assert watched.collector.snapshot() is first
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.at = 0.0
    with pytest.raises(TypeError):
        first.windows[60].endings["ok"] = 5
    second = watched.seconds(1, lambda pond, _: pond.call())
    assert second is not first
    assert (first.reading.endings, second.reading.endings) == ({"ok": 1}, {"ok": 2})
    assert (first.totals["latency"].count, second.totals["latency"].count) == (1, 2)


def test_a_snapshot_holds_no_samples(watched):
    """They were folded; what is kept is small."""
    watched.pond.start_seconds = array("d", [1.5])
    found = watched.seconds(1, lambda pond, _: pond.call(n=1000))
    assert not found.reading.operations
    assert not found.reading.start_seconds
    assert found.totals["start"].count == 1


def test_times_that_cannot_be_spoil_nothing(watched):
    """A worker tells how long it took; it may lie."""
    watched.pond.call()
    watched.pond.samples["read"].services.extend([math.nan, math.inf, -5.0, 1e300])
    found = watched.seconds()
    assert found.totals["service"].count == 5
    assert math.isfinite(found.windows[60].distributions["service"].mean)
    assert math.isfinite(watched.seconds(61).windows[60].derived["throughput"])


def test_a_reading_without_operations_is_no_trouble(watched):
    """Nothing happened."""
    found = watched.seconds(3)
    assert found.windows[60].distributions["latency"].count == 0
    assert math.isnan(found.windows[60].distributions["latency"].p50)
    assert found.operations == ()


def test_a_large_fold_leaves_the_loop(monkeypatch, watched):
    """The loop's thread does not bucket a hundred thousand samples; what follows waits its turn behind them."""
    where = []
    monkeypatch.setattr(collector_module, "LARGE", 20_000)

    def spied(reading):
        where.append(threading.current_thread().name)
        return sort_samples(reading)

    monkeypatch.setattr(collector_module, "sort_samples", spied)
    watched.seconds(1, lambda pond, _: pond.call(n=10))
    watched.seconds(1, lambda pond, _: pond.call(n=5_000))
    assert watched.collector.settle()
    watched.seconds(1, lambda pond, _: pond.call(n=10))
    assert where == [threading.main_thread().name, "millpond-metrics", threading.main_thread().name]
    assert watched.collector.snapshot().totals["latency"].count == 5_020


def test_a_thread_that_cannot_keep_up_lets_samples_go_and_counts_them(monkeypatch, watched):
    """Memory does not grow with the backlog; calls are counted all the same."""
    held = threading.Event()
    monkeypatch.setattr(collector_module, "LARGE", 20_000)

    def slow(reading):
        assert held.wait(10.0)
        return sort_samples(reading)

    monkeypatch.setattr(collector_module, "sort_samples", slow)
    watched.seconds(1, lambda pond, _: pond.call(n=5_000))
    watched.seconds(20, lambda pond, _: pond.call(n=10))
    held.set()
    assert watched.collector.settle()
    found = watched.seconds()
    assert found.reading.endings == {"ok": 5_200}
    assert found.watch.dropped == (20 - collector_module.BEHIND) * 10 * 5
    assert found.totals["latency"].count == 5_200 - found.watch.dropped / 5


def test_samples_the_pool_dropped_are_told(watched):
    """Once each, though the count only ever grows."""
    for dropped in (5, 5, 12):
        watched.pond.dropped["read"] = dropped
        watched.pond.call()
        watched.seconds()
    assert watched.collector.snapshot().watch.dropped == 12


def test_a_fold_that_comes_late_is_told(watched):
    """The loop was blocked, or the machine slept; the slot is as long as it was."""
    watched.seconds(3)
    watched.time.now += 4.0
    found = watched.seconds(1, lambda pond, _: pond.call(n=10))
    assert found.watch.lag_s == 4.0
    assert watched.collector.history(600)[-1].seconds == 5.0
    assert found.windows[60].derived["throughput"] == 10 / 8


def test_folding_twice_at_one_moment_counts_once(watched):
    """Closing folds once more."""
    watched.seconds(5, lambda pond, _: pond.call(n=10))
    watched.pond.call(n=10)
    watched.collector.fold()
    watched.collector.fold()
    assert watched.collector.snapshot().windows[60].endings == {"ok": 60}


def test_listeners_are_called_after_each_fold_and_see_it(watched):
    """One that raises is logged and not called again; the others still are."""
    seen = []
    watched.collector.on_fold(lambda collector: seen.append(collector.snapshot().reading.endings))
    watched.seconds(2, lambda pond, _: pond.call())
    assert seen == [{"ok": 1}, {"ok": 2}]


@pytest.mark.parametrize("kind", [ZeroDivisionError, GeneratorExit])
def test_a_listener_that_raises_is_logged_once_and_called_again(watched, caplog, kind):
    """One bad moment ends no alerting: it is counted in health's notes, and the others are called too."""
    called = []

    def bad(_collector):
        called.append(1)
        raise kind

    watched.collector.on_fold(bad)
    watched.collector.on_fold(lambda _: called.append(2))
    with caplog.at_level(logging.ERROR, "millpond.metrics"):
        watched.seconds(3)
    assert called == [1, 2] * 3
    assert len(caplog.records) == 1


def test_workers_are_told_with_what_the_pool_knows_of_them(watched):
    """Sorted by id; utilization over their life; one that is not there is an error."""
    watched.pond.workers = (WorkerReading(2, 22, "ready", 0.0, 0.0), WorkerReading(1, 11, "busy", 3.0, 4.0, calls=7))
    found = watched.seconds()
    assert [one.id for one in found.workers] == [1, 2]
    assert watched.collector.worker(1).utilization == 0.75
    assert watched.collector.worker(2).utilization == 0.0
    with pytest.raises(LookupError):
        watched.collector.worker(3)


def test_an_operation_can_be_asked_for_by_name(watched):
    """One that was never called is an error."""
    watched.seconds(1, lambda pond, _: [pond.call(f"operation_{n}", n=20 - n) for n in range(20)])
    assert watched.collector.operation("operation_19").endings == {"ok": 1}
    with pytest.raises(LookupError):
        watched.collector.operation("nobody")


def test_errors_are_told_with_blame_and_share(watched):
    """The most frequent first, of the time that was asked for."""
    watched.seconds(30, lambda pond, _: pond.call(ending="failed", code="handler_error"))
    watched.seconds(30, lambda pond, _: pond.call(ending="lost", code="worker_died"))
    watched.seconds(20, lambda pond, _: pond.call())
    found = watched.collector.errors(60)
    assert [(one.code, one.blame, one.count) for one in found] == [
        ("worker_died", "ours", 30),
        ("handler_error", "handler", 10),
    ]
    assert found[0].share == 0.5


def test_history_is_asked_for_by_time_and_resolution(watched):
    """The default is the finest that reaches back so far."""
    watched.seconds(1_000, lambda pond, _: pond.call())
    assert len(watched.collector.history(30)) == 30
    assert len(watched.collector.history(60, 10)) == 6
    assert len(watched.collector.history(900)) == 90
    assert watched.collector.history(900)[-1].counter("endings.ok") == 10
    with pytest.raises(ValueError):
        watched.collector.history(60, 5)


def test_history_goes_back_beyond_a_restart(tmp_path):
    """What memory has not comes from the file, with the run it belongs to."""
    path = tmp_path / "history.db"
    first = Watched(history_path=path)
    first.seconds(300, lambda pond, _: pond.call())
    assert first.collector.settle()
    first.collector.close()
    second = Watched(history_path=path, start=first.time.now + 60.0, boot="boot-2")
    try:
        before = second.collector.history(3_600, 60)  # of a run whose first second is not over
        assert sum(one.counter("endings.ok") for one in before) == 260
        second.seconds(120, lambda pond, _: pond.call(n=2))
        assert second.collector.settle()
        found = second.collector.history(3_600, 60)
    finally:
        second.collector.close()
    assert sorted(one.wall for one in found) == [one.wall for one in found]
    assert len({one.wall for one in found}) == len(found)
    assert sum(one.counter("endings.ok") for one in found if one.boot == "boot-1") == 260  # 40 s are no full minute
    assert [one.counter("endings.ok") for one in found if one.boot == "boot-2"][-1] == 120


def test_a_broken_file_is_noted_and_nothing_else(tmp_path):
    """Metrics go on in memory; health says what is missing."""
    (tmp_path / "history.db").write_bytes(b"no database" * 500)
    watched = Watched(history_path=tmp_path / "history.db")
    try:
        watched.seconds(25, lambda pond, _: pond.call())
        assert watched.collector.settle()
        found = watched.seconds(2)
    finally:
        watched.collector.close()
    assert found.watch.history_error
    assert found.health.score == 100.0
    assert any(note.startswith("history is not stored") for note in watched.seconds().health.notes)
    assert len(watched.collector.history(20)) == 20


def test_a_summary_is_one_line(watched):
    """For people and logs; what is not known is a dash, and before the first second that is all."""
    assert watched.collector.summary() == "default: nothing was counted yet, the first second is not over"
    assert "p50 -" in (watched.seconds() and watched.collector.summary())
    watched.seconds(60, lambda pond, _: pond.call(service=0.02, wait=0.0, n=10))
    assert watched.collector.summary() == (
        "default: healthy, health 100; 10.0 calls/s, p50 20 ms, p95 20 ms, p99 20 ms; "
        "2 workers - busy, 0 calls wait, 0 run, 0 sessions"
    )


def test_any_thread_may_ask_while_the_loop_folds(watched):
    """No reader sees half a fold: windows, totals and counts agree in each snapshot."""
    wrong, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            found: Snapshot = watched.collector.snapshot()
            counts = {found.totals["latency"].count, found.reading.endings.get("ok", 0)}
            counts.add(found.windows[900].distributions["latency"].count)
            if len(counts) > 1:
                wrong.append(counts)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for one in readers:
        one.start()
    watched.seconds(200, lambda pond, _: pond.call(n=20))
    stop.set()
    for one in readers:
        one.join(10.0)
    assert not wrong
    assert watched.collector.snapshot().totals["latency"].count == 4_000


def test_figures_can_be_read_after_it_was_closed(watched):
    """A program prints its summary at the end."""
    watched.seconds(3, lambda pond, _: pond.call())
    watched.collector.close()
    assert watched.collector.snapshot().reading.endings == {"ok": 3}
    assert set(watched.collector.snapshot().totals) == set(KINDS)


def test_nothing_is_read_before_it_is_opened():
    """A constructor starts nothing; time runs from `open`."""
    watched = Watched()
    threads = {thread.name for thread in threading.enumerate()}
    assert not threads & {"millpond-metrics", "millpond-resources", "millpond-history"}
    assert watched.collector.snapshot().watch.folds == 0
