"""The page of the real pools: under each shape of traffic the fixed sizes first, then the optimizer."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.sizing.runs import OBJECTIVE
from benchmarks.table import markdown
from millpond.report import Chart, Limit, Report, Section, Series, Table, Verdict, html

PARTS = 60  # of the time, of which waits are told
HEAD = ("traffic", "pool", "begun within 1 s, %", "p50 wait, s", "p99 wait, s", "longest, s", "workers on average")

Raw = dict[str, Any]


def row_of(course: Raw) -> list[Any]:
    """A pool's figures; a call that failed did not begin in time."""
    waits = np.array(course["waits"])
    met = (waits <= OBJECTIVE.wait).sum() / (len(waits) + course["failed"])
    workers = workers_of(course)
    quantiles = np.percentile(waits, [50, 99, 100])
    return [course["shape"], course["pool"], 100 * float(met), *map(float, quantiles), workers]


def workers_of(course: Raw) -> float:
    """Mean of the workers alive, over time."""
    times = np.array(course["times"])
    return float(np.average(course["alive"][:-1], weights=np.diff(times)))


def table_of(result: Raw) -> str:
    """The figures for a page of text, beside which the charts lie."""
    rows = [list(HEAD)]
    for course in result["courses"]:
        shape, pool, *figures = row_of(course)
        rows.append(
            [shape, pool, f"{figures[0]:.1f}", *(f"{figure:.3f}" for figure in figures[1:4]), f"{figures[4]:.1f}"]
        )
    return f"{_conditions(result)} [Charts of all of them](sizing-real.html).\n\n{markdown(rows)}"


def page_of(result: Raw) -> str:
    """The charts, as a page of its own."""
    shapes = dict.fromkeys(course["shape"] for course in result["courses"])
    sections = [_section(shape, [one for one in result["courses"] if one["shape"] == shape]) for shape in shapes]
    report = Report(
        title="Real pools: fixed sizes and the optimizer",
        verdict=_verdict(result),
        note=f"{_conditions(result)} The objective is that {OBJECTIVE.share:.0%} of the calls begin within a second.",
        sections=[_figures(result), *sections],
    )
    return html(report)


def _conditions(result: Raw) -> str:
    machine = result["machine"]
    return (
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, {result['date']}; a start "
        f"takes {result['cold_s']:g} s, policy {result['policy']}, each shape {result['seconds']:.0f} s."
    )


def _verdict(result: Raw) -> Verdict:
    rows = [row_of(course) for course in result["courses"]]
    sized = [row for row in rows if row[1] == "optimizer"]
    safe = [row for row in rows if "peak" in row[1]]
    kept = sum(row[2] >= 100 * OBJECTIVE.share for row in sized)
    share = sum(row[6] for row in sized) / sum(row[6] for row in safe)
    text = f"The optimizer kept the objective under {kept} of {len(sized)} shapes, with {share:.0%} of the workers"
    return Verdict(text=f"{text} of pools sized for the peak.", is_good=kept == len(sized))


def _figures(result: Raw) -> Section:
    table = Table(title="Each pool", head=HEAD, rows=[row_of(course) for course in result["courses"]])
    return Section(title="Figures", parts=[table])


def _section(shape: str, courses: list[Raw]) -> Section:
    parts = [chart for course in courses for chart in (_workers(course), _waits(course))]
    return Section(title=shape.capitalize(), parts=parts)


def _workers(course: Raw) -> Chart:
    def series(name: str, column: str, shape: Any) -> Series:
        return Series(name=name, times=course["times"], values=course[column], shape=shape)

    return Chart(
        title=f"{course['pool'].capitalize()}: demand and workers",
        unit="calls, workers",
        series=[
            series("calls at work or waiting", "in_system", "area"),
            series("workers wanted", "wanted", "step"),
            series("workers alive", "alive", "step"),
        ],
        start=0.0,
    )


def _waits(course: Raw) -> Chart:
    """Percentiles of the waits of calls that came in each part of the time."""
    came, waits = np.array(course["came"]), np.array(course["waits"])
    edges = np.linspace(0.0, max(course["times"]), PARTS + 1)
    parts = [waits[(came >= low) & (came < high)] for low, high in itertools.pairwise(edges)]
    shown = []
    for name, percent in (("half of the calls waited at most (p50)", 50), ("99 % (p99)", 99)):
        values = [float(np.percentile(part, percent)) if len(part) else float("nan") for part in parts]
        shown.append(Series(name=name, times=(edges[:-1] + edges[1:]) / 2, values=values))
    return Chart(
        title=f"{course['pool'].capitalize()}: waits",
        unit="seconds",
        series=shown,
        limits=[Limit(name="objective", value=OBJECTIVE.wait)],
        start=0.0,
        end=float(edges[-1]),
    )
