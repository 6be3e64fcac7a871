"""A page of what happened: demand, workers and waits over time, for each policy and cold start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from millpond.cli.simulate.options import Options
from millpond.cli.simulate.tables import HEAD, cells
from millpond.report import Chart, Limit, Report, Section, Series, Table, Verdict, html
from millpond.simulator import Recording, Score

Floats = NDArray[np.float64]
PARTS = 240  # of the time, in each of which the longest wait is drawn


def write_page(path: Path, trace: str, runs: list[tuple[str, Score, Recording]], options: Options) -> None:
    """Write the page to a file."""
    goal = f"{options.slo.share:.2%} of the requests begin within {options.slo.wait:g} s"
    met = [(name, one) for name, one, _ in runs if one.attainment >= options.slo.share]
    text = "No policy met the objective."
    if met:
        name, best = min(met, key=lambda pair: pair[1].worker_seconds)
        text = f"{name} met the objective for the least: {best.worker_seconds:,.0f} worker-seconds"
        text += f" with a cold start of {best.cold:g} s, {best.attainment:.2%} of the requests in time."
    figures = Table(title="Figures", head=HEAD, rows=[cells(name, one) for name, one, _ in runs])
    page = Report(
        title=f"{trace}, simulated",
        verdict=Verdict(text=text, is_good=bool(met)),
        sections=[Section(title="Policies", parts=[figures]), *(_section(*run, options) for run in runs)],
        note=f"The objective: {goal}. Mode {options.mode}, from {options.low} to {options.high} workers.",
    )
    path.write_text(html(page), encoding="utf-8")


def _section(name: str, one: Score, run: Recording, options: Options) -> Section:
    end = float(run.came[np.isfinite(run.came)].max())
    ended = run.began + run.service
    inside = Series(name="requests at work or waiting", **_level(run.came, ended, end), shape="area")
    workers = Series(name="workers", **_level(run.stays[:, 0], run.stays[:, 1], end), shape="step")
    waits = Series(name="longest wait", **_longest(run, end), shape="line")
    return Section(
        title=f"{name}, cold start {one.cold:g} s",
        parts=[
            Chart(title="Demand and workers", unit="", series=[inside, workers], start=0.0, end=end),
            Chart(
                title="Waits",
                unit="s",
                series=[waits],
                limits=[Limit(name="objective", value=options.slo.wait)],
                start=0.0,
                end=end,
            ),
        ],
    )


def _level(begin: Floats, until: Floats, end: float) -> dict[str, list[float]]:
    """How many there are at each time that changes it."""
    begin, until = begin[begin <= end], until[until <= end]
    times = np.concatenate([[0.0], begin, until])
    steps = np.concatenate([[0.0], np.ones(len(begin)), -np.ones(len(until))])
    order = np.argsort(times, kind="stable")
    return {"times": times[order].tolist(), "values": np.cumsum(steps[order]).tolist()}


def _longest(run: Recording, end: float) -> dict[str, list[float]]:
    """The longest wait of the requests that came in each part of the time, as far as they began."""
    has_begun = np.isfinite(run.came) & np.isfinite(run.began)
    came, waits = run.came[has_begun], (run.began - run.came)[has_begun]
    part = np.minimum((came / (end or 1.0) * PARTS).astype(int), PARTS - 1)
    longest = np.zeros(PARTS)
    np.maximum.at(longest, part, waits)
    return {"times": ((np.arange(PARTS) + 0.5) * end / PARTS).tolist(), "values": longest.tolist()}
