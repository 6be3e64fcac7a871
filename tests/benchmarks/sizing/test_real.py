"""The benchmark of real pools: its traffic has the shapes it says, and its page tells each pool's figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.sizing.real import OPTIMIZER, Course, courses_of
from benchmarks.sizing.real_page import page_of, row_of, table_of
from benchmarks.sizing.shapes import HIGH, LOW, SHAPES, Load, load_of
from tests.report.test_report import Page

MACHINE = {"cores": 2, "processor": "x", "python": "3.11"}


def course(name: str = OPTIMIZER, failed: int = 0) -> Course:
    """Two workers for a second, then four; three calls, one of which waited two seconds."""
    load = Load("spike", np.array([0.1, 0.2, 1.5]), np.array([0.1, 0.1, 0.1]), 1.0)
    return Course(
        load,
        name,
        {},
        came=[0.1, 0.2, 1.5],
        waits=[0.0, 0.5, 2.0],
        failed=failed,
        times=[0.0, 1.0, 2.0],
        wanted=[2, 4, 4],
        alive=[2, 4, 4],
        in_system=[0, 2, 1],
    )


def result_of(*courses: Course) -> dict[str, Any]:
    told = {"date": "2026-01-01", "machine": MACHINE, "seconds": 2.0, "cold_s": 0.3, "policy": "target"}
    return told | {"courses": [one.as_dict() for one in courses]}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_seed_gives_the_same_calls(shape):
    """In order, within the time, and other ones with another seed."""
    one, again, other = load_of(shape, 100.0), load_of(shape, 100.0), load_of(shape, 100.0, seed=1)
    assert np.array_equal(one.came, again.came)
    assert not np.array_equal(one.came[:5], other.came[:5])
    assert (np.diff(one.came) >= 0).all()
    assert 0 <= one.came[0] <= one.came[-1] <= 100.0


def test_a_square_wave_has_two_rates():
    """An eighth of the time low, the next high, as many calls a second as is said within four deviations."""
    came = load_of("square wave", 800.0).came
    for first, rate in ((0.0, LOW), (100.0, HIGH)):
        found = ((came >= first) & (came < first + 100.0)).sum()
        assert abs(found - 100 * rate) < 4 * np.sqrt(100 * rate)


def test_two_fixed_sizes_stand_beside_the_optimizer():
    """What the mean load needs is less than what the peak needs; only the optimizer's pool may change."""
    guess, safe, sized = courses_of(load_of("spike", 100.0), "target")
    assert guess.settings["min_workers"] == guess.settings["max_workers"] < safe.settings["max_workers"]
    assert (sized.name, sized.settings["policy"]) == (OPTIMIZER, "target")


def test_workers_are_counted_over_time_and_failed_calls_as_late():
    """Two and then four, for as long, are three; two of four calls were in time."""
    figures = row_of(course(failed=1).as_dict())
    assert figures[2] == pytest.approx(50.0)
    assert figures[6] == pytest.approx(3.0)


def test_the_page_stands_alone_and_has_two_charts_a_pool():
    """Demand with workers, and waits; the table of the text has each pool."""
    result = result_of(course("fixed for the peak: 9"), course())
    page = Page(page_of(result))
    assert page.tags.count("figure") == 4
    assert any("kept the objective under 0 of 1 shapes" in text for text in page.texts)
    assert table_of(result).count("| spike ") == 2
