"""Evaluation by hand-made examples: what no random expression would show. The rest is held to a real Prometheus in
`tests/processes/test_alert_expressions.py`.
"""

from __future__ import annotations

import math

import pytest

from millpond.alerts.expr.aggregations import REDUCE
from millpond.alerts.expr.buckets import bucket_quantile, rising
from millpond.alerts.expr.errors import EvaluationError
from millpond.alerts.expr.evaluation import FUNCTIONS, evaluate
from millpond.alerts.expr.labels import fingerprint, labels_of, text_of
from millpond.alerts.expr.operators import ARITHMETIC, COMPARE, SETS
from millpond.alerts.expr.parser import parse
from millpond.alerts.expr.signatures import AGGREGATIONS, SIGNATURES
from millpond.alerts.expr.windows import SPAN_FUNCTIONS
from tests.alerts.shelf import START_MS, Shelf


def answer(shelf: Shelf, text: str, second: float) -> object:
    """The value of an expression so many seconds after the shelf's first samples."""
    found = evaluate(parse(text), shelf, START_MS + round(second * 1000))
    return found if isinstance(found, float) else {text_of(labels): value for labels, value in found}


def test_every_name_of_the_subset_is_implemented():
    """What the parser lets through is known to the evaluation, and the documentation lists no more than that."""
    assert {*SPAN_FUNCTIONS, *FUNCTIONS, "absent", "time"} == set(SIGNATURES)
    assert {*REDUCE, "quantile", "topk", "bottomk"} == set(AGGREGATIONS)
    assert not ARITHMETIC.keys() & COMPARE.keys() & SETS.keys()


def test_a_rate_reaches_to_the_ends_of_its_range():
    """Samples every 15 s that grow by 15: 1 a second, whatever part of a step the range begins in."""
    shelf = Shelf()
    shelf.line("calls_total", [1000.0 + 15 * i for i in range(40)])
    for second in (300, 307, 314.9):
        assert answer(shelf, "rate(calls_total[2m])", second) == {"{}": pytest.approx(1.0)}


def test_a_reset_counts_from_zero():
    """5, 10, 2, 4 grew by 5, then by 2 since the restart, then by 2."""
    shelf = Shelf()
    shelf.line("calls_total", [5.0, 10.0, 2.0, 4.0])
    assert answer(shelf, "resets(calls_total[1m])", 45) == {"{}": 1.0}
    assert answer(shelf, "increase(calls_total[45s])", 45) == {"{}": pytest.approx(9.0)}


def test_a_value_stands_for_five_minutes():
    """And not a millisecond longer."""
    shelf = Shelf()
    shelf.put("queued", [(START_MS, 7.0)])
    assert answer(shelf, "queued", 300) == {"queued{}": 7.0}
    assert answer(shelf, "queued", 300.001) == {}


def test_a_match_of_many_to_one_is_an_error_that_names_the_labels():
    """It must not pick one of them."""
    shelf = Shelf()
    for pool in "ab":
        shelf.line("queued", [1.0], pool=pool, kind="x")
    shelf.line("limit", [5.0], kind="x")
    with pytest.raises(EvaluationError, match='kind="x"'):
        answer(shelf, "queued / on (kind) limit", 0)
    with pytest.raises(EvaluationError, match='kind="x"'):
        answer(shelf, "limit / on (kind) queued", 0)


def test_a_quantile_lies_within_its_bucket():
    """Linear between the bounds; beyond the last finite bound it is that bound."""
    buckets = [(1.0, 10.0), (2.0, 30.0), (math.inf, 40.0)]
    assert bucket_quantile(0.5, buckets) == pytest.approx(1.5)
    assert bucket_quantile(0.1, buckets) == pytest.approx(0.4)
    assert bucket_quantile(0.99, buckets) == 2.0
    assert math.isnan(bucket_quantile(0.5, buckets[:2]))
    assert math.isnan(bucket_quantile(0.5, [(1.0, 0.0), (math.inf, 0.0)]))


def test_counts_of_buckets_never_fall():
    """A scrape in the middle of a change does not make a quantile jump."""
    assert rising([(1.0, 5.0), (2.0, 3.0), (math.inf, 6.0)]) == [(1.0, 5.0), (2.0, 5.0), (math.inf, 6.0)]


def test_a_fingerprint_is_alertmanagers():
    """FNV-1a with a byte of ones after each name and value, worked out by hand for the first two."""
    assert fingerprint(()) == "cbf29ce484222325"
    state = 0xCBF29CE484222325
    for byte in b"alertname\xffA\xff":
        state = (state ^ byte) * 0x100000001B3 % 2**64
    assert fingerprint(labels_of({"alertname": "A"})) == f"{state:016x}"
    assert fingerprint(labels_of({"b": "1", "a": "2"})) == fingerprint(labels_of({"a": "2", "b": "1", "c": ""}))
