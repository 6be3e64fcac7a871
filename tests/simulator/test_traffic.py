"""Columns of requests: what they may be, and how they are scaled."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.simulator import Duration, Traffic, generate

SERVICE = Duration(0.5)


@pytest.mark.parametrize(
    ("arrival", "service", "what"),
    [
        ([], [], "no requests"),
        ([1.0], [1.0, 2.0], "one length"),
        ([2.0, 1.0], [1.0, 1.0], "not sorted"),
        ([-1.0], [1.0], "request 0 comes at -1"),
        ([0.0, 1.0], [1.0, np.nan], "request 1 takes nan"),
    ],
)
def test_columns_that_cannot_be_are_refused(arrival, service, what):
    """With the request that is wrong."""
    with pytest.raises(ValueError, match=what):
        Traffic(np.array(arrival), np.array(service))


def test_stretched_traffic_is_the_same_load():
    """Arrivals, service and think times all take so many times as long."""
    traffic = generate("sessions", SERVICE)
    longer = traffic.stretched(3.0)
    assert longer.arrival_s == pytest.approx(traffic.arrival_s * 3)
    assert longer.service_s == pytest.approx(traffic.service_s * 3)
    assert np.nanmax(longer.think_s) == pytest.approx(np.nanmax(traffic.think_s) * 3)


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
def test_a_multiplied_rate_has_so_many_requests(factor):
    """In the same time and at the same times of day; what is not drawn out stays as it was."""
    traffic = generate("onoff", SERVICE, 1)
    scaled = traffic.multiplied(factor, seed=2)
    assert len(scaled) == pytest.approx(len(traffic) * factor, rel=0.1)
    assert (scaled.arrival_s == traffic.multiplied(factor, seed=2).arrival_s).all()
    assert scaled.arrival_s[-1] <= traffic.arrival_s[-1]
    if factor == 1.0:
        assert (scaled.arrival_s == traffic.arrival_s).all()


def test_sessions_are_multiplied_as_a_whole():
    """A copy has every request of its original, with the same times between them, under another name."""
    traffic = generate("sessions", SERVICE, 1)
    twice = traffic.multiplied(2.0)
    assert len(twice) == 2 * len(traffic)
    assert len(set(twice.sessions)) == 2 * len(traffic.sessions)
    copy = twice.session == twice.sessions.index("s3~1")
    original = traffic.session == 3
    assert np.diff(twice.arrival_s[copy]) == pytest.approx(np.diff(traffic.arrival_s[original]))
    assert (twice.service_s[copy] == traffic.service_s[original]).all()


def test_nothing_can_be_left_of_traffic():
    """That is said, as a factor is that is no number."""
    with pytest.raises(ValueError, match="nothing is left"):
        Traffic(np.array([1.0]), np.array([1.0])).multiplied(1e-9)
    for factor in (0.0, -1.0, np.inf):
        with pytest.raises(ValueError, match="cannot be"):
            generate("poisson", SERVICE).multiplied(factor)
        with pytest.raises(ValueError, match="cannot be"):
            generate("poisson", SERVICE).stretched(factor)
