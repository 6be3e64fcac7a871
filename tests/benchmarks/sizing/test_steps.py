"""How a step is judged: from when calls came and when workers were ordered and gone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.sizing.steps import BACK_AT_S, STEP_AT_S, back_s, longest_short_s, workers_needed


class Happened:
    """What the simulator records, as far as it is looked at."""

    def __init__(self, came: list[float], took: float, stays: list[tuple[float, float]]) -> None:
        self.came = self.began = np.array(came)
        self.service = np.full(len(came), took)
        self.stays = np.array(stays)


def happened(came: list[float], took: float, stays: list[tuple[float, float]]) -> Any:
    return Happened(came, took, stays)


def test_the_longest_time_without_a_worker_on_its_way_counts():
    """Two calls within the step, the second worker ordered 0.25 s after the second call."""
    at = STEP_AT_S + 1.0
    found = happened([at, at + 1], 3.0, [(0.0, np.inf), (at + 1.25, np.inf)])
    assert longest_short_s(found) == pytest.approx(0.25)


def test_workers_are_gone_when_no_more_than_needed_are_left():
    """The second of three goes 40 s after the step's end."""
    stays = [(0.0, np.inf), (STEP_AT_S, BACK_AT_S + 40.0), (STEP_AT_S, BACK_AT_S + 90.0)]
    assert back_s(happened([0.0, BACK_AT_S + 99.0], 1.0, stays), 2) == pytest.approx(40.0)
    assert back_s(happened([0.0], 1.0, [(0.0, np.inf)] * 3), 2) is None


@pytest.mark.parametrize(("erlangs", "service_s", "needed"), [(1.0, 0.5, 3), (1.0, 1e9, 5), (10.0, 1e9, 19)])
def test_needed_workers_are_those_of_erlang_c(erlangs, service_s, needed):
    """With endless service the wait is the chance to wait at all: 1 % of it at 5 workers for 1 erlang."""
    assert workers_needed(erlangs, service_s) == needed
