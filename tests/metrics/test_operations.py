"""Operations: counts are exact for all, histograms bounded, the busiest shown."""

from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.metrics.operations import SHOWN, TRACKED
from millpond.metrics.snapshot import OTHER, WINDOWS
from tests.metrics.pond import Watched


def names(snapshot):
    return [one.name for one in snapshot.operations]


def test_the_ten_busiest_are_shown_and_the_rest_is_added_up():
    """The busiest first, by their calls of the last quarter of an hour."""
    watched = Watched()

    def work(pond, _):
        for n in range(12):
            pond.call(f"operation_{n}", n=n + 1)

    found = watched.seconds(60, work)
    assert names(found) == [f"operation_{n}" for n in range(11, 1, -1)]
    assert found.operations[0].endings == {"ok": 720}
    assert found.other.name == OTHER
    assert found.other.endings == {"ok": 60 * (1 + 2)}
    assert found.other.totals["latency"].count == 180


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 90), st.integers(1, 4), st.sampled_from(["ok", "failed", "lost"])), max_size=60
        ),
        max_size=25,
    )
)
def test_the_shown_and_the_others_add_up_to_the_pool(seconds):
    """Whichever operations are told apart, and however many there are."""
    watched = Watched()
    codes = {"ok": None, "failed": "handler_error", "lost": "worker_died"}
    for calls in seconds:
        for which, n, ending in calls:
            watched.pond.call(f"operation_{which}", ending, codes[ending], n=n)
        found = watched.seconds()
        parts = [*found.operations, found.other]
        assert len(found.operations) <= SHOWN
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


def test_an_operations_windows_forget_what_left_them():
    """A minute after the last call its shortest window is empty, a quarter of an hour later all are."""
    watched = Watched()
    watched.seconds(30, lambda pond, _: pond.call("say"))
    for seconds, expected in ((30, [30, 30, 30]), (60, [0, 30, 30]), (240, [0, 0, 30]), (600, [0, 0, 0])):
        one = watched.seconds(seconds).operations[0]
        assert [one.windows[window]["latency"].count for window in WINDOWS] == expected
    assert one.totals["latency"].count == 30


def test_operations_beyond_the_bound_have_no_histograms_until_one_makes_room():
    """It makes room when it was not called for a quarter of an hour; what was counted before is not counted anew."""
    watched = Watched()

    def crowd(pond, _):
        for n in range(TRACKED + 6):
            pond.call(f"operation_{n}")

    watched.seconds(10, crowd)
    late = f"operation_{TRACKED}"
    assert watched.collector.snapshot().other.endings["ok"] == 10 * (TRACKED + 6 - SHOWN)
    watched.seconds(920, lambda pond, _: pond.call(late))
    watched.seconds(10, lambda pond, _: pond.call(late))
    one = watched.collector.operation(late)
    assert one.endings["ok"] == 940
    assert one.windows[60]["latency"].count < 60
    assert one.windows[60]["latency"].count == one.totals["latency"].count - len(watched.pond.samples)


def test_a_minute_of_history_has_its_own_busiest():
    """Not those of the hour."""
    watched = Watched()

    def crowd(pond, second):
        for n in range(12):
            pond.call(f"operation_{n}", n=1 + (n == second // 60))

    watched.seconds(20)  # the clock began at 1000 s, which is 20 s before a full minute
    watched.seconds(180, crowd)
    minutes = watched.collector.history(180, 60)
    assert all(len(one.operations) == SHOWN for one in minutes)
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
    assert found.other.endings["ok"] == 20_000 - SHOWN
    assert watched.collector.snapshot().watch.memory_bytes < 1_000_000
