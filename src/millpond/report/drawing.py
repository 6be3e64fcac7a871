"""One chart as a figure: title, legend, a picture with axes, and its numbers as a table.

Places in the picture are percentages, and only the paths are stretched: lettering keeps its size on a narrow screen.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from millpond.report.contents import Chart, Series
from millpond.report.markup import escaped, paragraph, table
from millpond.report.numbers import numbers_of
from millpond.report.outline import SIZE, Outline, Picture, outline_of
from millpond.report.style import DASHES
from millpond.report.ticks import ticks, top_of, written
from millpond.report.time_axis import TimeAxis, axis_of

MOST_TICKS = 5  # fit side by side at 390 pixels
BAND = "Lines are means, with a faint band from the lowest to the highest value."


def figure(chart: Chart, number: int) -> str:
    """The chart as HTML; its `number` is its own on the page."""
    start, end = span_of(chart)
    axis = axis_of(start, end, chart.epoch, MOST_TICKS)
    outlines = [outline_of(one, start, end) for one in chart.series]
    picture = Picture(
        start, end, top_of(chart.top if chart.top is not None else highest_of(chart, outlines), MOST_TICKS)
    )
    name, told = f"chart-{number}", f"chart-{number}-told"
    note = f"{chart.note} {BAND if any(one.has_band for one in outlines) else ''}".strip()
    return (
        f'<figure><figcaption><h3 id="{name}">{escaped(chart.title)}</h3></figcaption>{paragraph(note)}'
        f'{_legend(chart)}<div class="plot"><svg role="img" aria-labelledby="{name} {told}">'
        f'<desc id="{told}">{escaped(_description(chart, axis.unit))}</desc>'
        f"{_level_lines(chart, picture.top)}{_time_marks(start, end, axis)}{_paths(chart, outlines, picture)}"
        f"{_limits(chart, picture.top)}</svg></div><details><summary>The numbers</summary>"
        f"{table(numbers_of(chart, start, end, axis), is_titled=False)}</details></figure>"
    )


def span_of(chart: Chart) -> tuple[float, float]:
    """First and last second that the chart shows; a second wide where it has a single moment, or none."""
    times = [one.times for one in chart.series if len(one.times)]
    start = chart.start if chart.start is not None else min((float(one[0]) for one in times), default=0.0)
    end = chart.end if chart.end is not None else max((float(one[-1]) for one in times), default=start)
    return start, end if end > start else start + 1.0


def highest_of(chart: Chart, outlines: Sequence[Outline]) -> float:
    """The highest value that is shown, a limit's too."""
    shown = itertools.chain(*(one.highest for one in outlines), (limit.value for limit in chart.limits))
    return float(max((value for value in shown if value < float("inf")), default=0.0))


def _description(chart: Chart, unit: str) -> str:
    names = ", ".join(one.name for one in chart.series) or "nothing"
    return f"{chart.unit} over time in {unit}: {names}. The numbers are in the table below."


def _colour(number: int) -> str:
    return f"series-{number % len(DASHES) + 1}"


def _classes(series: Series, number: int) -> str:
    return f"series {'area ' if series.shape == 'area' else ''}{_colour(number)}"


def _legend(chart: Chart) -> str:
    samples = {"area": "M0 3H40V12H0Z", "line": "M0 7H40", "step": "M0 7H40"}
    rows = "".join(
        f'<li><svg viewBox="0 0 40 14" aria-hidden="true"><path class="{_classes(one, number)}" '
        f'd="{samples[one.shape]}"/></svg>{escaped(one.name)}</li>'
        for number, one in enumerate(chart.series)
    )
    return f'<ul class="legend">{rows}</ul>'


def _level_lines(chart: Chart, top: float) -> str:
    drawn = [f'<text x="0" y="0" dx="-48" dy="-14">{escaped(chart.unit)}</text>']
    for value in ticks(0.0, top, MOST_TICKS):
        y = f"{100 - value / top * 100:.2f}%"
        drawn.append(
            f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
            f'<text x="0" y="{y}" dx="-8" dy="4" text-anchor="end">{written(value)}</text>'
        )
    return "".join(drawn)


def _time_marks(start: float, end: float, axis: TimeAxis) -> str:
    drawn = [
        '<line class="axis" x1="0" x2="100%" y1="100%" y2="100%"/>'
        f'<text x="100%" y="100%" dy="40" text-anchor="end">time, {axis.unit}</text>'
    ]
    for second, words in axis.marks:
        x = f"{(second - start) / (end - start) * 100:.2f}%"
        drawn.append(
            f'<svg x="{x}" y="100%" overflow="visible"><line class="axis" y2="5"/>'
            f'<text dy="20" text-anchor="middle">{words}</text></svg>'
        )
    return "".join(drawn)


def _paths(chart: Chart, outlines: Sequence[Outline], picture: Picture) -> str:
    drawn = "".join(_path(one, outlines[number], picture, number) for number, one in enumerate(chart.series))
    return f'<svg width="100%" height="100%" viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none">{drawn}</svg>'


def _path(series: Series, outline: Outline, picture: Picture, number: int) -> str:
    kind = "band" if series.shape == "area" else "band thin"
    band = f'<path class="{kind} {_colour(number)}" d="{picture.band(outline)}"/>' if outline.has_band else ""
    line = f'<path class="{_classes(series, number)}" d="{picture.line(series, outline)}">'
    return f"{band}{line}<title>{escaped(series.name)}</title></path>"


def _limits(chart: Chart, top: float) -> str:
    drawn = []
    for limit in chart.limits:
        y = f"{100 - limit.value / top * 100:.2f}%"
        drawn.append(
            f'<line class="limit" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
            f'<text class="limit-name" x="100%" y="{y}" dy="-5" text-anchor="end">{escaped(limit.name)}</text>'
        )
    return "".join(drawn)
