"""The figures of a run, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from millpond.simulator import Recording, score
from millpond.simulator.scoring import percentile, restarts
from millpond.slo import Slo

NEVER = math.inf


def recording(came, began, service=None, refused=(), stays=((0.0, NEVER),)):
    """A run of which the test says what matters."""
    return Recording(
        np.array(came),
        np.array(began),
        np.array([1.0] * len(came) if service is None else service),
        np.array([row in refused for row in range(len(came))]),
        np.array(stays, dtype=float).reshape(-1, 2),
        (),
        0,
        0,
        0.0,
    )


def judged(*args, score_from=0.2, **kwargs):
    return score(
        recording(*args, **kwargs), policy="p", mode="prompt", cold_s=2.0, objective=Slo(), score_from=score_from
    )


def test_only_requests_from_t0_on_are_scored():
    """t0 is a share of the last arrival; one that comes at t0 itself counts."""
    found = judged([0.0, 2.0, 10.0], [5.0, 2.0, 10.0])
    assert (found.requests, found.scored, found.attainment, found.span_s) == (3, 2, 1.0, 8.0)


def test_a_wait_as_long_as_allowed_is_met():
    """Rounding of a billionth does not decide."""
    found = judged([1.0, 1.0, 1.0], [2.0, 2.0 + 1e-9, 2.0 + 1e-6])
    assert found.attainment == pytest.approx(2 / 3)


def test_what_never_began_is_not_met_and_has_no_percentile():
    """Refused, expired and lost requests stay in the denominator with an infinite wait."""
    found = judged([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, NEVER, NEVER], refused={2})
    assert (found.attainment, found.refused, found.wait_p50, found.wait_p99) == (0.5, 1, None, None)
    assert judged([1.0] * 200, [1.5] * 199 + [NEVER]).wait_p99 == 0.5


def test_percentiles_are_numpys():
    """Linear between the two nearest, whether the last are infinite or not."""
    values = np.random.default_rng(1).random(137)
    assert percentile(values, 99) == pytest.approx(np.percentile(values, 99))
    assert percentile(np.append(values, [NEVER]), 50) == pytest.approx(np.percentile(np.append(values, [9.0]), 50))


def test_a_request_that_follows_one_never_answered_is_not_met():
    """It never came, which is no merit."""
    assert judged([1.0, NEVER], [1.0, NEVER]).attainment == 0.5


def test_workers_cost_from_the_order_until_they_are_gone():
    """Cut to the scored time; a start that was cancelled costs as well, and one that is there still until t1."""
    stays = [(0.0, 3.0), (4.0, 4.5), (9.0, NEVER), (10.5, 12.0)]
    found = judged([0.0, 10.0], [0.0, 10.0], stays=stays)
    assert found.worker_seconds == 1.0 + 0.5 + 1.0
    assert (found.starts, found.stops) == (2, 2)


def test_a_start_soon_after_a_stop_was_in_haste():
    """At most a cold start after the last stop, that moment included; stops after it do not count."""
    assert restarts(np.array([1.0, 5.0, 7.1, 9.0]), np.array([3.0, 5.0, 9.5, NEVER]), 2.0) == 1
    assert restarts(np.array([1.0]), np.array([]), 2.0) == 0


def test_the_floor_is_the_service_in_the_scored_time():
    """No worker can cost less than the work."""
    found = judged([0.0, 1.5, 10.0], [0.0, 1.5, 10.0], service=[1.0, 2.0, 5.0], score_from=0.2)
    assert found.floor_worker_seconds == 1.5
    assert found.clairvoyant_worker_seconds >= found.floor_worker_seconds


def test_the_fields_stand_in_their_order():
    """Programs read them by name, people by place."""
    assert list(judged([1.0], [1.0]).as_dict()) == [
        "policy",
        "mode",
        "cold",
        "requests",
        "scored",
        "refused",
        "attainment",
        "wait_p50",
        "wait_p99",
        "worker_seconds",
        "starts",
        "stops",
        "restarts_within_cold",
        "clairvoyant_worker_seconds",
        "floor_worker_seconds",
        "sessions_lost",
        "busy_killed",
        "span_s",
        "wall_s",
    ]
