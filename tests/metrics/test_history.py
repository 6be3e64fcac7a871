"""History in memory: three resolutions that agree, and memory that ends."""

from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.metrics.history import RESOLUTIONS, STEPS, History, resolution_for
from tests.metrics.test_slot import slot


def nobody(_since: float) -> bytes:
    return b""


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from([1.0, 1.0, 1.0, 0.97, 1.06, 7.0, 65.0]), st.integers(0, 9)), max_size=200))
def test_the_longer_slots_add_up_to_the_short_ones_they_were_made_of(steps):
    """No call is in history twice or not at all, however late folds come."""
    history, at, all_of_it = History(), 0.0, []
    longer = {10: 0.0, 60: 0.0}
    for seconds, n in steps:
        at += seconds
        made = slot(at, seconds, submitted=n)
        all_of_it.append(made)
        for step, ended in history.push(made, nobody):
            longer[step] += ended.counter("submitted")
            upto = sum(one.counter("submitted") for one in all_of_it if one.at <= ended.at)
            assert longer[step] == upto


def test_each_resolution_is_kept_for_its_time_and_no_longer():
    """1 s for 10 minutes, 10 s for 2 hours, 60 s for 24 hours."""
    history = History()
    for second in range(1, 90_000 + 1):
        history.push(slot(float(second)), nobody)
    assert {step: len(history.read(0.0, step)) for step in RESOLUTIONS} == {1: 600, 10: 720, 60: 1440}
    assert history.read(0.0, 60)[0].seconds == 60.0
    before = history.nbytes
    for second in range(90_001, 100_000):
        history.push(slot(float(second)), nobody)
    assert abs(history.nbytes - before) < 20_000


def test_slots_that_are_too_old_go_even_if_few_came():
    """After a machine slept, what is from before is not from the last ten minutes."""
    history = History()
    history.push(slot(1.0), nobody)
    history.push(slot(5_000.0, 4_999.0), nobody)
    assert [one.at for one in history.read(0.0, 1)] == [5_000.0]
    assert history.eldest_at() == 5_000.0


def test_only_minutes_have_operations():
    """They are packed once, when the minute ends, for as long as it was."""
    history, asked = History(), []

    def operations(since: float) -> bytes:
        asked.append(since)
        return b"packed"

    for second in range(1, 121):
        history.push(slot(float(second)), operations)
    assert asked == [0.0, 60.0]
    assert [one.packed_operations for one in history.read(0.0, 60)] == [b"packed"] * 2
    assert history.read(0.0, 10)[0].packed_operations == b""


def test_the_finest_resolution_that_reaches_back_is_chosen():
    """And the coarsest where none does."""
    assert [resolution_for(seconds) for seconds in (1, 600, 601, 7_200, 7_201, 1e9)] == [1, 1, 10, 10, 60, 60]
    assert [step.keep_s // step.seconds for step in STEPS] == [600, 720, 1440]
