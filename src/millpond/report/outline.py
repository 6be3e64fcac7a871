"""The points of a series that are drawn, and the paths through them.

A series of more points than a picture has room for is drawn as its mean over each column, with a band from the lowest
to the highest value behind it: no peak is lost, and a day of traffic does not weigh megabytes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from millpond.report.contents import Series

Floats = NDArray[np.float64]

COLUMNS = 240  # of a picture with a band
MOST_POINTS = 3 * COLUMNS  # are drawn one by one
SIZE = 1000  # width and height of the coordinates that a path is written in


@dataclass(frozen=True, slots=True)
class Outline:
    """What is drawn: a mean, or the values themselves; and the band around it, if they are too many."""

    times: Floats
    values: Floats
    lowest: Floats
    highest: Floats
    has_band: bool


def outline_of(series: Series, start: float, end: float) -> Outline:
    """The series from `start` to `end`; a step's value before it holds at its start."""
    times, values = floats_of(series)
    if series.shape != "line":
        times, values = held(times, values, start, end)
    inside = (times >= start) & (times <= end)
    times, values = times[inside], values[inside]
    if len(times) <= MOST_POINTS:
        return Outline(times, values, values, values, has_band=False)
    edges = np.linspace(start, end, COLUMNS + 1)
    told = np.array([summary(series, low, high) for low, high in itertools.pairwise(edges)])
    middle = (edges[:-1] + edges[1:]) / 2
    return Outline(middle, told[:, 1], told[:, 0], told[:, 2], has_band=True)


def summary(series: Series, low: float, high: float) -> tuple[float, float, float]:
    """Lowest, mean and highest of the points from `low` to before `high`, NaN if there is none.

    Of a step by how long it held each value.
    """
    times, values = floats_of(series)
    if series.shape == "line":
        values = values[np.searchsorted(times, low) : np.searchsorted(times, high)]
        weights = np.ones(len(values))
    else:
        times, values = held(times, values, low, high)
        weights = np.diff(times, append=high)
    known = np.isfinite(values) & (weights > 0)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    mean = float(np.average(values[known], weights=weights[known]))
    return float(values[known].min()), mean, float(values[known].max())


def floats_of(series: Series) -> tuple[Floats, Floats]:
    """Its times and values as arrays."""
    return np.asarray(series.times, np.float64), np.asarray(series.values, np.float64)


def held(times: Floats, values: Floats, start: float, end: float) -> tuple[Floats, Floats]:
    """The step from `start` to `end`, whichever of its changes lie within."""
    before = int(np.searchsorted(times, start, "right"))
    after = int(np.searchsorted(times, end, "right"))
    if not after:
        return times[:0], values[:0]
    first = slice(before - 1, before) if before else slice(0, 0)
    return (
        np.concatenate([np.full(first.stop - first.start, start), times[before:after], [end]]),
        np.concatenate([values[first], values[before:after], [values[after - 1]]]),
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """The part of the plane that is shown, and a way from its numbers to the coordinates of a path."""

    start: float
    end: float
    top: float

    def place(self, times: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Across and down; what is higher than the top is drawn there."""
        across = (times - self.start) / (self.end - self.start) * SIZE
        return across, SIZE - np.minimum(values, self.top) / self.top * SIZE

    def line(self, series: Series, outline: Outline) -> str:
        """The values as the `d` of a path; gaps are left out."""
        shape = "line" if outline.has_band and series.shape == "step" else series.shape
        across, down = self.place(outline.times, outline.values)
        return "".join(_run(shape, across[low:high], down[low:high]) for low, high in _runs(outline.values))

    def band(self, outline: Outline) -> str:
        """The space between the lowest and the highest value."""
        across, top = self.place(outline.times, outline.highest)
        _, bottom = self.place(outline.times, outline.lowest)
        runs = (slice(low, high) for low, high in _runs(outline.values))
        return "".join(f"{_corners(across[run], top[run])}{_back(across[run], bottom[run])}Z" for run in runs)


def _runs(values: Floats) -> list[tuple[int, int]]:
    """Where values are finite: each run of neighbours as its first, and one past its last."""
    edges = np.flatnonzero(np.diff(np.isfinite(values).astype(int), prepend=0, append=0))
    return [(int(low), int(high)) for low, high in zip(edges[::2], edges[1::2], strict=True)]


def _run(shape: str, across: Floats, down: Floats) -> str:
    if shape == "line":
        return _corners(across, down) + ("h1" if len(across) == 1 else "")  # a lone point is a dot
    steps = "".join(f"H{x:.1f}V{y:.1f}" for x, y in zip(across[1:], down[1:], strict=True))
    return f"M{across[0]:.1f} {down[0]:.1f}{steps}" + (f"V{SIZE}H{across[0]:.1f}Z" if shape == "area" else "")


def _corners(across: Floats, down: Floats) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(across, down, strict=True))


def _back(across: Floats, down: Floats) -> str:
    return "".join(f"L{x:.1f} {y:.1f}" for x, y in zip(across[::-1], down[::-1], strict=True))
