"""Operations: the first have a name of their own, the rest share one, and counts are exact for all."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.metrics.operations import IN_HISTORY, NAMED
from millpond.metrics.snapshot import OTHER, WINDOWS
from tests.metrics.pond import Watched


def names(snapshot):
    return [one.name for one in snapshot.operations]


def test_the_first_operations_have_a_name_and_the_rest_is_added_up():
    """In the order of their first calls."""
    watched = Watched()

    def work(pond, _):
        for n in range(NAMED + 2):
            pond.call(f"operation_{n}", n=n + 1)

    found = watched.seconds(60, work)
    assert names(found) == [f"operation_{n}" for n in range(NAMED)]
    assert found.operations[-1].endings == {"ok": 60 * NAMED}
    assert found.other.name == OTHER
    assert found.other.endings == {"ok": 60 * (NAMED + 1 + NAMED + 2)}
    assert found.other.totals["latency"].count == 60 * (2 * NAMED + 3)


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 90), st.integers(1, 4), st.sampled_from(["ok", "failed", "lost"])), max_size=60
        ),
        max_size=25,
    )
)
def test_the_named_and_the_rest_add_up_to_the_pool_and_only_grow(seconds):
    """However many operations there are: each that has a name keeps it, and no count of any falls."""
    watched, before = Watched(), {}
    codes = {"ok": None, "failed": "handler_error", "lost": "worker_died"}
    for calls in seconds:
        for which, n, ending in calls:
            watched.pond.call(f"operation_{which}", ending, codes[ending], n=n)
        found = watched.seconds()
        parts = [*found.operations, found.other]
        assert len(found.operations) <= NAMED
        now = {(one.name, ending): one.endings.get(ending, 0) for one in parts for ending in codes}
        now |= {(one.name, "count"): one.totals["latency"].count for one in parts}
        now |= {(one.name, "sum"): one.totals["latency"].total for one in parts}
        assert all(now[key] >= count for key, count in before.items())
        before = now
        assert sum(sum(one.endings.values()) for one in parts) == watched.pond.endings.total()
        assert sum(sum(one.codes.values()) for one in parts) == watched.pond.codes.total()
        for kind in ("wait", "latency", "answer_bytes"):
            assert sum(one.totals[kind].count for one in parts) == watched.pond.endings.total()


def test_windows_of_an_operation_are_there_at_once_and_then_go_in_steps_of_ten_seconds():
    """The first ten seconds show what they have; later what the last full ten seconds closed."""
    watched = Watched()
    for expected in (1, 2):
        found = watched.seconds(1, lambda pond, _: pond.call("say"))
        assert found.operations[0].windows[60]["latency"].count == expected
    counts = [
        watched.seconds(1, lambda pond, _: pond.call("say")).operations[0].windows[60]["latency"].count
        for _ in range(98)
    ]
    assert counts[7:18] == [10] * 10 + [20]
    assert counts[-1] == 60


def test_the_windows_of_operations_move_in_turns():
    """Each moves every ten seconds, and a tenth of them in every second, so that no fold has to move them all."""
    watched, moved = Watched(), []

    def crowd(pond, _):
        for n in range(30):
            pond.call(f"operation_{n}")

    before = watched.seconds(30, crowd).operations
    for _ in range(10):
        now = watched.seconds(1, crowd).operations
        moved.append([a.name for a, b in zip(before, now, strict=True) if a.windows[300] != b.windows[300]])
        before = now
    assert [len(names) for names in moved] == [3] * 10
    assert len({name for names in moved for name in names}) == 30


def test_an_operations_windows_forget_what_left_them():
    """A minute after the last call its shortest window is empty, a quarter of an hour later all are."""
    watched = Watched()
    watched.seconds(30, lambda pond, _: pond.call("say"))
    for seconds, expected in ((30, [30, 30, 30]), (60, [0, 30, 30]), (240, [0, 0, 30]), (600, [0, 0, 0])):
        one = watched.seconds(seconds).operations[0]
        assert [one.windows[window]["latency"].count for window in WINDOWS] == expected
    assert one.totals["latency"].count == 30


def test_a_later_operation_gets_no_name_whatever_the_first_do():
    """Also when none of the first was called for longer than any window: its past would leave the rest's counters."""
    watched = Watched()

    def crowd(pond, _):
        for n in range(NAMED + 6):
            pond.call(f"operation_{n}")

    watched.seconds(10, crowd)
    late = f"operation_{NAMED}"
    found = watched.seconds(930, lambda pond, _: pond.call(late))
    assert len(found.operations) == NAMED
    assert found.other.endings["ok"] == found.other.totals["latency"].count == 10 * 6 + 930
    with pytest.raises(LookupError):
        watched.collector.operation(late)


def test_a_minute_of_history_has_its_own_busiest():
    """Not those of the hour."""
    watched = Watched()

    def crowd(pond, second):
        for n in range(12):
            pond.call(f"operation_{n}", n=1 + (n == second // 60))

    watched.seconds(20)  # the clock began at 1000 s, which is 20 s before a full minute
    watched.seconds(180, crowd)
    minutes = watched.collector.history(180, 60)
    assert all(len(one.operations) == IN_HISTORY for one in minutes)
    assert [one.operations[0].name for one in minutes] == [f"operation_{n}" for n in range(3)]
    assert minutes[1].operations[0].histograms["latency"].count == minutes[1].operations[0].calls


def test_memory_is_bounded_whatever_is_called():
    """Twenty thousand operations, each called once."""
    watched = Watched()
    for batch in range(20):
        for n in range(1000):
            watched.pond.call(f"operation_{batch * 1000 + n}")
        watched.seconds()
    found = watched.seconds(10)
    assert found.other.endings["ok"] == 20_000 - NAMED
    assert watched.collector.snapshot().watch.memory_bytes < 1_000_000
