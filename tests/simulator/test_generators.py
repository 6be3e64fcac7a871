"""Traffic made up: its rates, its bounds, and that the seed decides it."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.simulator import Duration, generate, parse_duration, session_traffic
from millpond.simulator.generators import SHAPES

SERVICE = Duration(0.2, "lognormal")


def between(traffic, begin, end):
    """Requests a second between two times."""
    came = traffic.arrival_s
    return ((came >= begin) & (came < end)).sum() / (end - begin)


@pytest.mark.parametrize("shape", [*SHAPES, "sessions"])
def test_the_seed_decides(shape):
    """The same seed gives the same requests, another one others."""
    one, same, other = generate(shape, SERVICE, 3), generate(shape, SERVICE, 3), generate(shape, SERVICE, 4)
    assert (one.arrival_s == same.arrival_s).all()
    assert (one.service_s == same.service_s).all()
    assert one.arrival_s.tolist() != other.arrival_s.tolist()


def test_a_constant_rate_is_a_poisson_process():
    """Counts of seconds have the rate as mean and as variance."""
    counts = np.bincount(generate("poisson", SERVICE, rate=5, span=20_000).arrival_s.astype(int), minlength=20_000)
    assert counts.mean() == pytest.approx(5, rel=0.02)
    assert counts.var() == pytest.approx(5, rel=0.05)


def test_bursts_have_a_rate_of_their_own():
    """A modulated process varies more than one of the same mean rate."""
    came = generate("bursty", SERVICE, low=1, high=50, calm=100, burst=20, span=50_000).arrival_s
    minutes = np.bincount((came / 10).astype(int))
    assert minutes.mean() / 10 == pytest.approx((100 * 1 + 20 * 50) / 120, rel=0.2)
    assert minutes.var() > 20 * minutes.mean()


def test_rates_change_when_they_should():
    """Diurnal, ramp, step, spike and on/off have their rates at their times."""
    day = generate("diurnal", SERVICE, low=1, high=9, period=1000, span=20_000)
    phase = day.arrival_s % 1000
    assert (phase < 100).sum() + (phase > 900).sum() == pytest.approx(20 * 200 * 1.26, rel=0.1)
    ramp = generate("ramp", SERVICE, low=0, high=100, span=1000)
    assert between(ramp, 0, 500) == pytest.approx(25, rel=0.1)
    step = generate("step", SERVICE, low=2, high=40, at=300, span=1000)
    assert between(step, 0, 300) == pytest.approx(2, rel=0.3)
    assert between(step, 300, 1000) == pytest.approx(40, rel=0.1)
    spike = generate("spike", SERVICE, low=1, high=100, at=500, width=20, span=1000)
    assert between(spike, 500, 520) == pytest.approx(100, rel=0.15)
    assert between(spike, 520, 1000) == pytest.approx(1, rel=0.3)
    onoff = generate("onoff", SERVICE, rate=10, on=30, off=70, span=1000)
    assert (onoff.arrival_s % 100 < 30).all()
    assert len(onoff) == pytest.approx(3000, rel=0.1)


def test_a_session_thinks_after_each_answer():
    """Its first request comes at its start; the others have a think time, and stand in the order of the soonest."""
    traffic = session_traffic(
        np.array([0.0, 4.0]), [(np.array([1.0, 2.0]), np.array([9.0, 5.0])), (np.array([1.0]), np.array([0.0]))]
    )
    assert traffic.session.tolist() == [0, 1, 0]
    assert traffic.arrival_s.tolist() == [0.0, 4.0, 6.0]
    assert np.isnan(traffic.think_s[:2]).all()
    assert traffic.think_s[2] == 5.0


def test_sessions_have_as_many_requests_as_was_asked_for():
    """On average."""
    traffic = generate("sessions", SERVICE, starts=0.1, requests=12, think=5, span=40_000)
    assert len(traffic) / len(traffic.sessions) == pytest.approx(12, rel=0.1)
    assert np.nanmean(traffic.think_s) == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize(
    ("shape", "parameters", "what"),
    [
        ("tide", {}, "no traffic 'tide'; there are poisson, bursty"),
        ("poisson", {"speed": 1}, "poisson has no 'speed'; it has rate, span"),
        ("poisson", {"rate": -1}, "rate must be a number from 0 up"),
        ("poisson", {"span": 0}, "span must be"),
        ("poisson", {"rate": 0}, "made no requests"),
        ("sessions", {"starts": 0}, "no session began"),
        ("poisson", {"rate": 1e9}, "are more than"),
    ],
)
def test_what_cannot_be_made_is_said(shape, parameters, what):
    """In a sentence."""
    with pytest.raises(ValueError, match=what):
        generate(shape, SERVICE, **parameters)


def test_durations_have_their_mean_and_shape():
    """A constant one is exact, the others are so on average."""
    random = np.random.default_rng(1)
    assert set(parse_duration("0.25").draw(random, 5)) == {0.25}
    for text in ("exponential:0.25", "lognormal:0.25", "lognormal:0.25:1"):
        assert parse_duration(text).draw(random, 200_000).mean() == pytest.approx(0.25, rel=0.03)
    assert parse_duration("lognormal:0.25:0.9").sigma == 0.9


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "inf", "nan", "gamma:1", "exponential:1:2", "lognormal:1:2:3", "1:2"]
)
def test_what_is_no_duration_is_said(text):
    """With how one is written."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)
