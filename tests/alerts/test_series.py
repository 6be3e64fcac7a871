"""What is kept of the metrics, for how long, and what makes room."""

from __future__ import annotations

import pytest

from millpond.alerts.expr.evaluation import evaluate
from millpond.alerts.expr.labels import text_of
from millpond.alerts.expr.parser import parse
from millpond.alerts.series import EVERYTHING, SeriesStore, names_in
from tests.alerts.made import gauge

DAY_S = 86_400


def answer(store: SeriesStore, text: str, second: float) -> dict[str, float]:
    """What an expression gives, by the labels as text."""
    return {text_of(labels): value for labels, value in evaluate(parse(text), store, round(second * 1000))}


def keeping(*texts: str, most: int = 1000) -> SeriesStore:
    """A store for these expressions."""
    store = SeriesStore(5.0, most)
    store.want(frozenset().union(*(names_in(parse(text)) for text in texts)))
    return store


def test_only_what_rules_mention_is_kept():
    """A pool exports five hundred series; nobody pays for those no rule looks at."""
    store = keeping("queued > 5")
    store.take([gauge("queued", 7.0), gauge("running", 3.0)], 1000)
    assert len(store) == 1
    assert answer(store, "queued", 1) == {"queued{}": 7.0}


def test_a_selector_without_a_name_wants_everything():
    """It could mean any of them."""
    assert names_in(parse('{pool="a"} and queued')) == EVERYTHING | {"queued"}


def test_a_series_ends_with_the_first_sample_without_it():
    """At once, not five minutes later; and its past stays."""
    store = keeping("queued")
    store.take([gauge("queued", 7.0, pool="a"), gauge("queued", 1.0, pool="b")], 0)
    store.take([gauge("queued", 2.0, pool="b")], 5000)
    assert answer(store, "queued", 6) == {'queued{pool="b"}': 2.0}
    assert answer(store, "max_over_time(queued[1m])", 6) == {'{pool="a"}': 7.0, '{pool="b"}': 2.0}
    store.take([gauge("queued", 9.0, pool="a")], 10_000)
    assert answer(store, "queued", 11) == {'queued{pool="a"}': 9.0}


@pytest.mark.parametrize("back", [600, 3600, 2 * 3600, DAY_S])
def test_yesterday_is_still_known_to_the_minute(back):
    """An hour of every sample, then a day of minutes: each moment's value within its resolution."""
    store = keeping("second")
    for second in range(0, DAY_S + 3600, 5):
        store.take([gauge("second", float(second))], second * 1000)
    now = DAY_S + 3595
    (found,) = answer(store, f"second offset {back}s", now).values()
    assert now - back - 60 < found <= now - back
    (slope,) = answer(store, f"deriv(second[30m] offset {back}s)", now).values()
    assert slope == pytest.approx(1.0)
    assert store.nbytes < 4 * 1024 * 1024


def test_series_beyond_the_bound_are_dropped_and_counted():
    """A label that grows without end costs a number, not the memory."""
    store = keeping("queued", most=10)
    store.take([gauge("queued", 1.0, pool=str(i)) for i in range(25)], 0)
    assert (len(store), store.dropped) == (10, 15)


def test_a_series_that_ended_makes_room():
    """The one that ended first goes first, and leaves nothing behind in its row."""
    store = keeping("queued", most=3)
    for second, pools in enumerate(["abc", "bc", "c", "cd", "ce"]):
        store.take([gauge("queued", float(second), pool=pool) for pool in pools], second * 5000)
    assert store.dropped == 0
    known = {text_of(kept.labels) for kept in store.select(parse("queued").matchers)}
    assert known == {'queued{pool="c"}', 'queued{pool="d"}', 'queued{pool="e"}'}
    assert answer(store, 'count_over_time(queued{pool="d"}[5m])', 20) == {'{pool="d"}': 1.0}
