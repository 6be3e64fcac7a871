"""How long something takes at random: a mean, and the shape of what is around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

Shape = Literal["constant", "exponential", "lognormal"]
SIGMA = 0.42  # of a lognormal service time, where nothing better is known


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds of a mean and a shape; `sigma` is the lognormal's, of the logarithm."""

    mean_s: float
    shape: Shape = "constant"
    sigma: float = SIGMA

    def __post_init__(self) -> None:
        if not 0 <= self.mean_s < math.inf or not 0 <= self.sigma < math.inf:
            raise ValueError(f"no duration has a mean of {self.mean_s} s and a sigma of {self.sigma}")

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """So many of them."""
        if self.shape == "exponential":
            return random.exponential(self.mean_s, count)
        if self.shape == "lognormal" and self.mean_s:
            return random.lognormal(math.log(self.mean_s) - self.sigma * self.sigma / 2, self.sigma, count)
        return np.full(count, self.mean_s)


def parse_duration(text: str) -> Duration:
    """`0.15`, `exponential:0.15`, `lognormal:0.15` or `lognormal:0.15:0.5`. Raises `ValueError` for anything else."""
    shape, *numbers = text.split(":") if ":" in text else ("constant", text)
    try:
        if shape not in get_args(Shape) or len(numbers) > 1 + (shape == "lognormal"):
            raise ValueError(text)
        return Duration(float(numbers[0]), cast(Shape, shape), *map(float, numbers[1:]))
    except ValueError:
        wanted = "write seconds, exponential:MEAN or lognormal:MEAN[:SIGMA]"
        raise ValueError(f"{text!r} is no duration: {wanted}") from None
