"""Where an axis has its marks, what stands beside them, and how a number is written in a table."""

from __future__ import annotations

import math

UNITS = (("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0), ("days", 86_400.0))
CLOCK_STEPS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)  # of seconds and minutes
DAY_STEPS = (1.0, 2.0, 3.0, 4.0, 6.0, 12.0, 24.0)  # of hours
FEWEST = 3.0  # of a unit of time in a span, for the span to be told in it


def ticks(low: float, high: float, at_most: int) -> list[float]:
    """Round numbers from `low` to `high`: a step of 1, 2 or 5 times a power of ten apart."""
    return _multiples(_round_step((high - low) / at_most), low, high)


def time_ticks(low: float, high: float, at_most: int, unit: str) -> list[float]:
    """Round numbers of a unit of time, as a clock has them."""
    least = (high - low) / at_most
    steps = {"hours": DAY_STEPS, "days": ()}.get(unit, CLOCK_STEPS)
    usual = [step for step in steps if step >= least and least > steps[0] / 2]
    return _multiples(usual[0] if usual else _round_step(least), low, high)


def _multiples(step: float, low: float, high: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def top_of(highest: float, at_most: int) -> float:
    """The end of an axis from 0 on: the round number at or above the highest value."""
    if highest <= 0:
        return 1.0
    step = _round_step(highest / at_most)
    return math.ceil(highest / step - 1e-9) * step


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))


def unit_of_time(span_s: float) -> tuple[str, float]:
    """The largest unit that the span has some of, and its seconds."""
    return next(((name, size) for name, size in reversed(UNITS) if span_s >= FEWEST * size), UNITS[0])


def written(number: float) -> str:
    """A number with as many digits as it deserves: four in front of the point, or three in all."""
    if math.isnan(number):
        return "-"
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    if number == 0:
        return "0"
    if abs(number) >= 1000 or number == int(number):
        return f"{number:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:.{min(digits, 6)}f}".rstrip("0").rstrip(".")
