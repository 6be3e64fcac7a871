"""What a report consists of: plain numbers and texts, checked when they are put together.

Whoever has figures fills these in; `page` writes them. Nothing here knows what the numbers are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Cell = str | float | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Numbers over time, both of one length and `times` ascending; a value that is not finite is a gap.

    A `step` holds its value until the next, as a number of workers does; an `area` is such a step, filled.
    """

    name: str
    times: Sequence[float] | NDArray[np.float64]
    values: Sequence[float] | NDArray[np.float64]
    shape: Literal["line", "step", "area"] = "line"

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values):
            raise ValueError(f"{self.name}: {len(self.times)} times, and {len(self.values)} values")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A value that others are held to, drawn as a line across the chart."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Some series over the same time in seconds, from `start` to `end` or as far as they reach.

    `unit` is what the vertical axis counts. Charts that are to be compared are given the same `top`. Where second 0 has
    a Unix time, `epoch`, the time is told in hours and minutes of UTC.
    """

    title: str
    unit: str
    series: Sequence[Series]
    limits: Sequence[Limit] = ()
    note: str = ""
    start: float | None = None
    end: float | None = None
    top: float | None = None
    epoch: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a head, as long as it; numbers stand to the right, `None` is an empty cell."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"{self.title}: a row of {len(row)} cells under a head of {len(self.head)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer in one sentence; `is_good` is `None` where there is nothing to judge."""

    text: str
    is_good: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Charts and tables that belong together, under a heading of their own."""

    title: str
    parts: Sequence[Chart | Table]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A page: its title, the answer, what was asked and how, and the figures."""

    title: str
    verdict: Verdict
    sections: Sequence[Section]
    note: str = ""
