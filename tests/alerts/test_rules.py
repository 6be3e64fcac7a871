"""Rules as data: what is refused when they are made, and how they are written for a Prometheus."""

from __future__ import annotations

import pytest

from millpond.alerts.promql import duration, expression, template
from millpond.alerts.rules import Condition, Rule, RuleError

REFUSED: list[tuple[dict[str, object], str]] = [
    ({"of": "calls_queud", "above": 1}, "did you mean 'calls_queued'"),
    ({"of": "nothing_of_the_kind", "above": 1}, "there is no metric"),
    ({"of": "calls_queued"}, "give one of above"),
    ({"of": "calls_queued", "above": 1, "below": 0}, "give one of above"),
    ({"of": "calls_queued", "above": 1, "reaches": 2, "within_s": 5, "over_s": 5}, "give one of above"),
    ({"of": "calls_queued", "above": 1, "where": {"ending": "ok"}}, "no label 'ending'"),
    ({"of": "calls_total", "above": 1}, "give over_s"),
    ({"of": "latency.p95", "above": 1}, "give over_s"),
    ({"of": "latency.p42", "above": 1, "over_s": 60}, "a histogram: .count, .p50"),
    ({"of": "latency", "above": 1, "over_s": 60}, "a histogram: .count, .p50"),
    ({"of": "calls_total.p95", "above": 1, "over_s": 60}, "a counter: nothing, .rate"),
    ({"of": "calls_queued.rate", "above": 1, "over_s": 60}, "a gauge: nothing"),
    ({"of": "calls_queued", "above": "calls_total"}, "give over_s"),
    ({"of": "calls_queued", "above": "calls_queue"}, "did you mean"),
    ({"of": "calls_queued", "over_s": 60, "above": "queue_max", "against": "hour"}, "a number of times"),
    ({"of": "calls_queued", "over_s": 60, "above": 2, "against": "christmas"}, "'hour' or 'yesterday'"),
    ({"of": "calls_queued", "above": 2, "against": "hour"}, "over some seconds"),
    ({"of": "calls_total", "over_s": 60, "above": 2, "against": "hour"}, "a rate"),
    ({"of": "calls_queued", "over_s": 60, "above": 2, "against": "hour", "ago_s": 60}, "now, above"),
    ({"of": "calls_total", "over_s": 60, "per": "calls_queued", "above": 1}, "not read in the same way"),
    ({"of": "calls_queued", "reaches": 5, "over_s": 60}, "within_s"),
    ({"of": "calls_queued", "above": 5, "within_s": 60}, "within_s"),
    ({"of": "calls_queued", "reaches": 5, "within_s": 60}, "a gauge over some seconds"),
    ({"of": "calls_total", "over_s": 60, "rising": 1}, "a gauge over some seconds"),
    ({"of": "calls_queued", "over_s": 90_000, "above": 1, "ago_s": 3600}, "looks back"),
    ({"of": "calls_queued", "over_s": -1, "above": 1}, "looks back"),
    ({"of": "calls_queued", "above": 1, "by": "operation"}, "no label 'operation'"),
    ({"of": "operation_calls_total", "over_s": 60, "above": 1, "by": "operation", "per": "calls_total"}, "no label"),
    ({"of": "operation_duration_seconds.p99", "above": 1}, "by='operation'"),
    ({"of": "calls_queued", "absent": True, "also": (Condition(of="workers", above=1),)}, "stands alone"),
    ({"of": "workers", "above": 1, "also": (Condition(of="calls_queued", absent=True),)}, "stands alone"),
    ({"of": "calls_queued", "above": 1, "for_s": -1}, "durations of 0 or more"),
    ({"of": "calls_queued", "above": 1, "labels": {"a-b": "c"}}, "no name of a label"),
    ({"of": "calls_queued", "above": 1, "summary": "{value:d}"}, "may hold"),
    ({"of": "calls_queued", "above": 1, "summary": "{pool.name}"}, "may hold"),
    ({"of": "calls_queued", "above": 1, "summary": "{pool!r}"}, "may hold"),
    ({"of": "calls_queued", "above": 1, "summary": "{"}, "'{'"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED)
def test_a_rule_that_makes_no_sense_is_refused(given, why):
    """When it is made, by its name, with the reason."""
    with pytest.raises(RuleError, match="rule 'A': ") as refused:
        Rule("A", **given)
    assert why in str(refused.value)


def test_a_rule_needs_a_name():
    """Nobody could remove or silence it."""
    with pytest.raises(RuleError, match="needs a name"):
        Rule("", of="calls_queued", above=1)


DURATION, QUEUED = "millpond_call_duration_seconds", "millpond_calls_queued"
OF_OPERATIONS = {"of": "operation_calls_total", "by": "operation", "also": (Condition(of="workers", above=0),)}
WRITTEN: list[tuple[dict[str, object], str]] = [
    (
        {"of": "latency.p99", "over_s": 300, "above": 0.5},
        f"histogram_quantile(0.99, rate({DURATION}_bucket[5m])) > 0.5",
    ),
    ({"of": "calls_queued", "above": 134_217_728}, f"{QUEUED} > 134217728"),
    ({"of": "calls_queued", "ago_s": 90, "below": 1}, f"{QUEUED} offset 90s < 1"),
    (
        {"of": "calls_queued", "over_s": 300, "rising": 1},
        f"{QUEUED} - {QUEUED} offset 5m > {QUEUED} offset 5m",
    ),
    ({"of": "workers", "where": {"state": "a.b"}, "by": "state", "above": 0}, 'millpond_workers{state="a.b"} > 0'),
    (
        {"of": "workers", "where": {"state": ("a.b", "c")}, "by": ("state",), "above": 0},
        r'millpond_workers{state=~"a\\.b|c"} > 0',
    ),
    (
        {**OF_OPERATIONS, "over_s": 60, "above": 9},
        "sum without (ending) (millpond_operation_calls_total - min_over_time(millpond_operation_calls_total[1m])) > 9"
        " and ignoring (operation) sum without (state) (millpond_workers) > 0",
    ),
    (
        {"of": "latency.count", "over_s": 60, "below": 1},
        f"{DURATION}_count - min_over_time({DURATION}_count[1m]) < 1",
    ),
    ({"of": "latency.count", "absent": True}, f"absent({DURATION}_count)"),
]


@pytest.mark.parametrize(("given", "text"), WRITTEN)
def test_a_rule_is_written_as_promql(given, text):
    """Labels that are not told apart are added up, and conditions are joined by the labels they share."""
    assert expression(Rule("A", **given)) == text


def test_texts_are_written_as_templates():
    """Braces of one's own begin no action there."""
    assert template("{value} of {pool} {{x}} {value:.1f} {value:%} {value:bytes}") == (
        '{{ $value | printf "%.6g" }} of {{ $labels.pool }} {{ "{" }}x} {{ $value | printf "%.1f" }}'
        " {{ $value | humanizePercentage }} {{ $value | humanize1024 }}B"
    )


def test_durations_are_written_in_the_largest_unit():
    """Whole numbers of it, as Prometheus wants them."""
    assert [duration(s) for s in (3600, 84_600, 90, 0.25)] == ["1h", "1410m", "90s", "250ms"]
