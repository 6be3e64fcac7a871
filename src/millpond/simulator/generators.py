"""Traffic made up: requests at random with a rate that is constant, changes, or bursts; and sessions that think.

Independent callers make a Poisson process; where the rate changes it is one of the highest rate, thinned (Lewis and
Shedler, Naval Research Logistics Quarterly 26, 1979). The same seed gives the same traffic. Rates are requests a
second, all else is seconds.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from millpond.simulator.durations import Duration
from millpond.simulator.traffic import Floats, Traffic

Random = np.random.Generator
HOUR_S, DAY_S = 3600.0, 86_400.0
MOST = 50_000_000  # requests; who asks for more has mistaken a unit


def poisson(random: Random, rate: float = 5.0, span: float = HOUR_S) -> Floats:
    """A constant rate."""
    return _thinned(random, rate, span, lambda at: np.full(len(at), rate))


def bursty(
    random: Random, low: float = 1.0, high: float = 20.0, calm: float = 240.0, burst: float = 30.0, span: float = HOUR_S
) -> Floats:
    """A Markov-modulated Poisson process: calm and bursts, each of exponential length, with a rate of its own."""
    lengths: list[float] = []
    while sum(lengths) < span:
        lengths += [random.exponential(calm), random.exponential(burst)]
    ends = np.cumsum(lengths)
    return _thinned(random, max(low, high), span, lambda at: np.where(np.searchsorted(ends, at) % 2, high, low))


def diurnal(random: Random, low: float = 1.0, high: float = 10.0, period: float = DAY_S, span: float = DAY_S) -> Floats:
    """A sine between two rates, the lowest first."""
    middle, swing = (low + high) / 2, (high - low) / 2
    return _thinned(random, max(low, high), span, lambda at: middle - swing * np.cos(2 * math.pi * at / period))


def ramp(random: Random, low: float = 1.0, high: float = 10.0, span: float = HOUR_S) -> Floats:
    """From one rate to another, evenly."""
    return _thinned(random, max(low, high), span, lambda at: low + (high - low) * at / span)


def step(random: Random, low: float = 1.0, high: float = 10.0, at: float = HOUR_S / 2, span: float = HOUR_S) -> Floats:
    """One rate, and from some time on another."""
    return _thinned(random, max(low, high), span, lambda when: np.where(when < at, low, high))


def spike(
    random: Random,
    low: float = 1.0,
    high: float = 30.0,
    at: float = HOUR_S / 2,
    width: float = 30.0,
    span: float = HOUR_S,
) -> Floats:
    """One rate, and for a short time another."""
    return _thinned(random, max(low, high), span, lambda when: np.where((when >= at) & (when < at + width), high, low))


def onoff(random: Random, rate: float = 10.0, on: float = 60.0, off: float = 240.0, span: float = HOUR_S) -> Floats:
    """A rate for so long, then nothing for so long, again and again."""
    return _thinned(random, rate, span, lambda at: np.where(at % (on + off) < on, rate, 0.0))


SHAPES: dict[str, Callable[..., Floats]] = {
    shape.__name__: shape for shape in (poisson, bursty, diurnal, ramp, step, spike, onoff)
}


def generate(shape: str, service: Duration, seed: int = 0, **parameters: float) -> Traffic:
    """Traffic of one of the shapes, or `sessions`. Raises `ValueError` for an unknown shape, parameter or value."""
    random = np.random.default_rng(seed)
    make: Callable[..., Any] | None = sessions if shape == "sessions" else SHAPES.get(shape)
    if make is None:
        raise ValueError(f"there is no traffic {shape!r}; there are {', '.join([*SHAPES, 'sessions'])}")
    _check(shape, make, parameters)
    if make is sessions:
        return sessions(random, service, **parameters)
    arrival_s: Floats = make(random, **parameters)
    if not len(arrival_s):
        raise ValueError(f"{shape} made no requests: its rate and span are too small")
    return Traffic(arrival_s, service.draw(random, len(arrival_s)))


def _check(shape: str, make: Callable[..., Any], parameters: Mapping[str, float]) -> None:
    known = [name for name in inspect.signature(make).parameters if name not in ("random", "service")]
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(f"{shape} has no {name!r}; it has {', '.join(known)}")
        if not 0 <= value < math.inf or (name == "span" and not value):
            raise ValueError(f"{name} must be a number from 0 up, not {value}")


def sessions(
    random: Random,
    service: Duration,
    starts: float = 200 / HOUR_S,
    requests: float = 20.0,
    think: float = 30.0,
    span: float = HOUR_S,
) -> Traffic:
    """Sessions that begin at a rate; each makes requests, a geometric number, and thinks after each answer.

    Think times are exponential.
    """
    begins = poisson(random, starts, span)
    if not len(begins):
        raise ValueError("no session began: their rate and span are too small")
    chains = []
    for count in random.geometric(1 / max(1.0, requests), len(begins)):
        chains.append((service.draw(random, count), random.exponential(think, count)))
    return session_traffic(begins, chains)


def session_traffic(begins: Floats, chains: Sequence[tuple[Floats, Floats]]) -> Traffic:
    """Sessions that begin at these times, ascending; each is the service times of its requests and the think times
    before them, of which the first does not count.
    """
    arrival, service, think, owner = [], [], [], []
    for number, (begin, (services, thinks)) in enumerate(zip(begins, chains, strict=True)):
        pauses = np.concatenate([[math.nan], thinks[1:]])
        arrival.append(begin + np.cumsum(np.concatenate([[0.0], services[:-1] + thinks[1:]])))
        service.append(services)
        think.append(pauses)
        owner.append(np.full(len(services), number))
    order = np.argsort(np.concatenate(arrival), kind="stable")
    return Traffic(
        np.concatenate(arrival)[order],
        np.concatenate(service)[order],
        session=np.concatenate(owner)[order],
        think_s=np.concatenate(think)[order],
        sessions=tuple(f"s{number}" for number in range(len(chains))),
    )


def _thinned(random: Random, highest: float, span: float, rate: Callable[[Floats], Floats]) -> Floats:
    """Arrivals in [0, span) of a Poisson process whose rate changes, and is never above the highest."""
    if highest * span > MOST:
        raise ValueError(f"{highest:g} requests a second for {span:g} s are more than {MOST:,}")
    at = np.sort(random.random(random.poisson(highest * span)) * span)
    chances = random.random(len(at)) * highest
    return at[chances < rate(at)]
