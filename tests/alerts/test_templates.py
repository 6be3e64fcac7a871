"""Texts with values in them. That they read as Prometheus writes them is promtool's to say
(`tests/processes/test_alert_rules.py`).
"""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.alerts.figures import humanize_duration, plain
from millpond.alerts.templates import Template

LABELS = {"pool": "a", "n": "7"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("no braces", "no braces"),
        ("{{ $value }} in {{$labels.pool}}{{ $labels.missing }}.", "1536.25 in a."),
        ("{{ $value | humanize }} {{ humanize1024 $value }}", "1.536k 1.5ki"),
        ("{{ humanizeDuration $value }}", "25m 36s"),
        ("{{ humanizePercentage $value }}", "1.536e+05%"),
        ('{{ printf "%08.1f|" $value }} {{ $value | printf "%.2e%%" }}', "001536.2| 1.54e+03%"),
        ('{{ printf "%-4s" $labels.pool }}|', "a   |"),
        ("{{ $labels.n | humanize }}", "7"),
        ('{{ $value | humanize | printf "<%s>" }}', "<1.536k>"),
    ],
)
def test_a_template_is_filled(text, filled):
    """Labels, the value, functions as calls and behind pipes."""
    assert Template(text).fill(LABELS, 1536.25) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{{ $value",
        "$value }}",
        "{{ }}",
        "{{ $values }}",
        "{{ query `up` }}",
        "{{ if $value }}x{{ end }}",
        "{{ $value | }}",
        '{{ printf "%d" $value }}',
        '{{ printf "%g" $value }}',
        '{{ printf "%.1f %.1f" $value }}',
        "{{- $value }}",
    ],
)
def test_what_is_not_in_the_subset_is_refused_when_it_is_read(text):
    """Not in the middle of the night, when the alert fires."""
    with pytest.raises(ValueError):
        Template(text)


def test_a_label_that_is_no_number_does_not_lose_the_alert():
    """The text says so instead."""
    assert "error expanding template" in Template("{{ $labels.pool | humanize }}").fill(LABELS, 1.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (-0.0, "-0"),
        (1.5e-5, "1.5e-05"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (123456789.125, "123456789.125"),
        (float("inf"), "+Inf"),
        (float("nan"), "NaN"),
    ],
)
def test_a_number_is_written_as_go_writes_it(value, text):
    """The shortest text, an exponent below 0.0001 and from 1e21 on."""
    assert plain(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_back_as_it_was(value):
    """Nothing is lost in writing."""
    assert float(plain(value)) == value


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.0015, "1.5ms"), (59.5, "59.5s"), (-90, "-1m 30s"), (90061, "1d 1h 1m 1s")]
)
def test_a_duration_is_in_the_units_people_use(seconds, text):
    """From days to nanoseconds."""
    assert humanize_duration(seconds) == text
