"""`Executor.map`: what is submitted when, and what is held on to."""

from __future__ import annotations

import gc
import itertools
import weakref
from concurrent import futures

import numpy
import pytest

from millpond.executor.ordered import ordered_map


class Inline(futures.Executor):
    """Runs what is submitted at once, and remembers it; `never` is left pending."""

    def __init__(self):
        self.submitted = []

    def submit(self, fn, /, *args):
        future = futures.Future()
        self.submitted.append(future)
        if fn is not never:
            future.set_result(fn(*args))
        return future


class Thing:
    pass


def never(_):
    raise AssertionError("it is left pending")


def mapped(executor, function, *iterables, timeout=None, chunksize=1, buffersize=None):
    return ordered_map(executor, function, iterables, timeout, chunksize, buffersize)


def test_everything_is_submitted_at_once():
    """Before the first result is asked for."""
    executor = Inline()
    results = mapped(executor, pow, [1, 2, 3], [2, 3, 2])
    assert len(executor.submitted) == 3
    assert list(results) == [1, 8, 9]


def test_without_iterables_there_is_nothing():
    """As with `zip`."""
    assert list(mapped(Inline(), abs)) == []
    assert list(mapped(Inline(), abs, chunksize=3, buffersize=2)) == []


@pytest.mark.parametrize("buffersize", [1, 3, numpy.int64(3)])
@pytest.mark.parametrize("chunksize", [1, 2])
def test_a_buffer_bounds_how_far_it_is_ahead_of_its_reader(buffersize, chunksize):
    """Iterables without an end can be mapped; the bound counts chunks."""
    executor, taken = Inline(), itertools.count()
    results = mapped(executor, abs, taken, buffersize=buffersize, chunksize=chunksize)
    assert len(executor.submitted) == buffersize
    assert [next(results) for _ in range(6)] == list(range(6))
    assert len(executor.submitted) == buffersize + 6 // chunksize
    assert next(taken) == len(executor.submitted) * chunksize


@pytest.mark.parametrize("chunksize", [1, 2])
@pytest.mark.parametrize("buffersize", [None, 2, 10])
def test_an_iterable_is_not_asked_beyond_the_end_of_another(buffersize, chunksize):
    """`zip` asks the first once more than the second has items, and then never again."""
    first = iter(range(100))
    assert list(mapped(Inline(), pow, first, [2, 2], buffersize=buffersize, chunksize=chunksize)) == [0, 1]
    assert next(first) == 3


def test_wrong_sizes_are_refused_before_anything_is_submitted():
    """With the standard library's exceptions and words."""
    executor = Inline()
    for wrong, kind, words in (
        ({"chunksize": 0}, ValueError, "chunksize must be >= 1."),
        ({"chunksize": -1}, ValueError, "chunksize must be >= 1."),
        ({"buffersize": 0}, ValueError, "buffersize must be None or > 0"),
        ({"buffersize": -1}, ValueError, "buffersize must be None or > 0"),
        ({"buffersize": 2.0}, TypeError, "buffersize must be an integer or None"),
        ({"buffersize": "2"}, TypeError, "buffersize must be an integer or None"),
    ):
        with pytest.raises(kind, match=words):
            mapped(executor, abs, [1], **wrong)
    assert executor.submitted == []


def test_a_dropped_executor_takes_no_more():
    """The results of what was submitted come, and the iterator does not keep the executor."""
    executor = Inline()
    gone, results = weakref.ref(executor), mapped(executor, abs, itertools.count(), buffersize=4)
    del executor
    gc.collect()
    assert gone() is None
    assert list(results) == [0, 1, 2, 3]


@pytest.mark.parametrize("chunksize", [1, 3])
def test_a_result_that_was_taken_is_not_kept(chunksize):
    """Neither its future nor its chunk holds it."""
    for result in mapped(Inline(), lambda _: Thing(), range(6), chunksize=chunksize):
        gone = weakref.ref(result)
        del result
        assert gone() is None


@pytest.mark.parametrize("buffersize", [None, 2])
def test_whoever_stops_reading_cancels_the_rest(buffersize):
    """Because the time is over, or because the iterator is closed."""
    executor = Inline()
    with pytest.raises(futures.TimeoutError):
        next(mapped(executor, never, [1, 2, 3], timeout=0.01, buffersize=buffersize))
    assert all(future.cancelled() for future in executor.submitted)
    results = mapped(executor, abs, [1, 2, 3], buffersize=buffersize)
    assert next(results) == 1
    results.close()
