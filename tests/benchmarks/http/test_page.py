"""Goals and tables over HTTP, made of raw figures."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.http.goals import verdicts
from benchmarks.http.layers import REST, divided
from benchmarks.http.page import PAGE, layers_table, parts
from benchmarks.http.programs import LITSERVE, MILLPOND, MOSEC
from benchmarks.table import filled


def results() -> dict[str, Any]:
    def rates(*rate: float) -> dict[str, list[float]]:
        return {"rate": list(rate), "p50": [1.0], "p99": [2.0], "cpu": [30.0], "others": [0.1]}

    tail = {
        "p50": [0.3],
        "p99": [2.0, 3.0, 9.0],
        "p999": [5.0],
        "found_none_free": [1],
        "sent": [100],
        "late_p99": [0.1],
        "others": [0.0],
    }
    return {
        "date": "2026-01-01",
        "machine": {
            "cores": 2,
            "processor": "X",
            "kernel": "6",
            "python": "3",
            "load_before": 0.1,
            "packages": {"a": "1"},
        },
        "rounds": 3,
        "seconds": 2.0,
        "rates": {MILLPOND: rates(30, 20, 40), MOSEC: rates(20, 10, 40), LITSERVE: rates(4, 2, 4)},
        "tails": {"rate": 15.0, "servers": {MILLPOND: tail}},
        "idle": {
            "with": {"p99": [2.2, 1.0], "growth_mb": [5.0, 31.0], "open": [1000, 1000]},
            "without": {"p99": [2.0, 1.0]},
        },
        "stops": {"seconds": [0.5, 2.5]},
        "layers": {
            "with x": {
                "base": {"cpu": [30.0, 31.0], "rate": [10.0, 10.0]},
                "other": {"cpu": [33.0, 35.0], "rate": [8.0, 8.0]},
            }
        },
        "stages": {"all_us": 30.0, "us": {"parse": 10.0, REST: 20.0}},
    }


def test_each_goal_has_its_verdict():
    """Rates by the median of the ratios of each round, memory and stops by the worst."""
    found = {one.about: (one.measured, one.is_reached) for one in verdicts(results())}
    assert list(found.values()) == [
        ("1.50 x", True),
        ("10.00 x", True),
        ("3.00 ms", True),
        ("31.0 MB", False),
        ("1.05 x", True),
        ("2.50 s", False),
    ]


def test_closed_connections_do_not_count_as_idle_ones():
    """A server that closes them takes no memory for them."""
    raw = results()
    raw["idle"]["with"] |= {"growth_mb": [1.0, 1.0], "open": [1000, 999]}
    assert verdicts(raw)[3].is_reached is False


def test_what_was_not_measured_is_told():
    """No verdict is made up of parts that were left out."""
    raw = {name: value for name, value in results().items() if name in ("date", "machine", "rounds", "seconds")}
    assert {one.is_reached for one in verdicts(raw)} == {None}


def test_every_table_has_its_place_on_the_page():
    """A full run fills them all."""
    page = filled(PAGE.read_text(), parts(results()))
    assert "| requests a second, over mosec" in page
    assert "| parse " in page


def test_a_layer_s_cost_is_taken_pair_by_pair():
    """The median of the differences, with the least and the most."""
    assert "| with x          | 34.0 |             +3.5 |   +3.0 |    +4.0 |    0.80 |".replace(
        " ", ""
    ) in layers_table(results()).replace(" ", "")


def test_stages_are_laid_on_the_whole():
    """What the stopwatch's server took for each, as a share of what a server without it takes."""
    assert divided(30.0, 60.0, {"a": 10.0, "b": 20.0}) == pytest.approx({"b": 10.0, "a": 5.0, REST: 15.0})
