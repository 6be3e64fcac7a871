"""The table behind a chart: all numbers where they are few, else the mean and the highest of each part of the time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from millpond.report.contents import Cell, Chart, Series, Table
from millpond.report.outline import Floats, summary
from millpond.report.time_axis import TimeAxis

MOST_ROWS = 40  # to be told one by one
PARTS = 24


def numbers_of(chart: Chart, start: float, end: float, axis: TimeAxis) -> Table:
    """A chart's table, its times as the axis tells them."""
    series = chart.series
    is_few = bool(series) and len(series[0].times) <= MOST_ROWS and len({tuple(one.times) for one in series}) == 1
    rows = _one_by_one(series, axis) if is_few else _in_parts(series, np.linspace(start, end, PARTS + 1), axis)
    kinds = ("",) if is_few else (", mean", ", highest")
    return Table(
        title=f"{chart.title}: the numbers",
        head=[f"{'at' if is_few else 'from'}, {axis.unit}", *(one.name + kind for one in series for kind in kinds)],
        rows=rows,
        note=f"In {chart.unit}." if is_few else f"In {chart.unit}; each row is one of {PARTS} equal parts of the time.",
    )


def _one_by_one(series: Sequence[Series], axis: TimeAxis) -> list[list[Cell]]:
    columns: list[list[Cell]] = [[axis.tell(float(time)) for time in series[0].times]]
    columns += [list(map(float, one.values)) for one in series]
    return [list(row) for row in zip(*columns, strict=True)]


def _in_parts(series: Sequence[Series], edges: Floats, axis: TimeAxis) -> list[list[Cell]]:
    columns: list[list[Cell]] = [[axis.tell(float(edge)) for edge in edges[:-1]]]
    for one in series:
        told = [summary(one, low, high) for low, high in itertools.pairwise(map(float, edges))]
        columns += [[mean for _, mean, _ in told], [highest for _, _, highest in told]]
    return [list(row) for row in zip(*columns, strict=True)]
