"""Traffic for real pools: hours of it in minutes, as the times of calls and how long each takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SERVICE_S, SIGMA = 0.25, 0.42
LOW, HIGH = 4.0, 32.0  # calls a second: 1 and 8 of them at work
SHAPES = ("square wave", "ramp", "spike", "bursty")

Floats = np.ndarray


@dataclass(frozen=True)
class Load:
    """`came` ascending, in seconds from the start; the rate at its highest, in calls at work."""

    shape: str
    came: Floats
    service: Floats
    peak: float

    @property
    def mean(self) -> float:
        """Calls at work, on average."""
        return float(self.service.sum() / self.came[-1])


def load_of(shape: str, span_s: float, seed: int = 0) -> Load:
    """Calls at random at the rates of the shape (a Poisson process, thinned)."""
    random = np.random.default_rng([seed, SHAPES.index(shape)])
    highest = 1.5 * HIGH
    at = np.sort(random.uniform(0.0, span_s, random.poisson(highest * span_s)))
    rates = _rates(shape, at / span_s, random)
    came = at[random.uniform(0.0, highest, len(at)) < rates]
    service = random.lognormal(np.log(SERVICE_S) - SIGMA**2 / 2, SIGMA, len(came))
    return Load(shape, came, service, float(rates.max() * SERVICE_S))


def _rates(shape: str, part: Floats, random: np.random.Generator) -> Floats:
    """Calls a second at each part of the time."""
    if shape == "square wave":
        return np.where((part * 4) % 1 < 0.5, LOW, HIGH)
    if shape == "ramp":
        return LOW + (HIGH - LOW) * (1 - np.abs(2 * part - 1))
    if shape == "spike":
        return np.where((part >= 0.5) & (part < 0.55), 1.5 * HIGH, LOW)
    lengths = np.array([random.exponential([0.06, 0.015]) for _ in range(200)]).ravel()
    return np.where(np.searchsorted(np.cumsum(lengths), part) % 2, HIGH, LOW / 2)
