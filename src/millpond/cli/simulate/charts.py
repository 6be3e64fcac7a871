"""A page of what happened: demand, workers and waits over time, for each policy and cold start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from millpond.cli.simulate.comparison import Comparison, Ran
from millpond.report import Chart, Limit, Report, Section, Series, Table, Verdict, html
from millpond.simulator import Recording, Score

Floats = NDArray[np.float64]

PARTS = 120  # of the time, of whose requests the waits are drawn
HEAD = (
    "cold start, s",
    "policy",
    "objective met",
    "in time, %",
    "p50 wait, s",
    "p99 wait, s",
    "worker-seconds",
    "over the clairvoyant",
    "starts",
    "starts in haste",
    "refused",
)
MEANING = (
    "Worker-seconds count from the order to start a worker until it is gone. A clairvoyant has a worker ready for each "
    "request, and keeps it where that is cheaper than another start. In haste is a start no longer after a stop than a "
    "start takes."
)


def write_page(path: Path, trace: str, runs: list[Ran], asked: Comparison) -> None:
    """Write the page to a file."""
    share = f"{100 * asked.slo.share:g} % of the requests"
    goal = f"{share} begin within {asked.slo.wait:g} s"
    if asked.slo.latency is not None:
        goal = f"{share} are answered within {asked.slo.latency:g} s"
    first = runs[0][1]
    scored = f"{first.scored:,} of {first.requests:,} requests are scored, those of the last {first.span_s:,.0f} s."
    demand = max(float(np.max(_demand(run)[1])) for _, _, run in runs)
    workers = max(float(np.max(_workers(run)[1])) for _, _, run in runs)
    page = Report(
        title=f"{trace}, simulated",
        verdict=_verdict(runs, asked),
        sections=[_figures(runs, asked), *(_section(*run, asked, max(demand, workers)) for run in runs)],
        note=f"The objective: {goal}. Mode {asked.mode}, from {asked.low} to {asked.high} workers. {scored}",
    )
    path.write_text(html(page), encoding="utf-8")


def _verdict(runs: list[Ran], asked: Comparison) -> Verdict:
    """Who met the objective for the least, at each cold start."""
    told, colds = [], dict.fromkeys(one.cold for _, one, _ in runs)
    for cold in colds:
        met = [(one.worker_seconds, name) for name, one, _ in runs if one.cold == cold and _is_met(one, asked)]
        cost, name = min(met) if met else (0.0, "")
        who = (
            f"{name} met the objective for the least, {cost:,.0f} worker-seconds"
            if met
            else "no policy met the objective"
        )
        told.append(((f"cold start {cold:g} s: " if len(colds) > 1 else "") + who, bool(met)))
    text = "; ".join(text for text, _ in told)
    return Verdict(text=f"{text[0].upper()}{text[1:]}.", is_good=all(is_met for _, is_met in told))


def _is_met(one: Score, asked: Comparison) -> bool:
    return one.attainment >= asked.slo.share


def _figures(runs: list[Ran], asked: Comparison) -> Section:
    rows: list[list[Any]] = []
    for name, one, _ in runs:
        waits = [float("inf") if wait is None else wait for wait in (one.wait_p50, one.wait_p99)]
        clairvoyant = one.clairvoyant_worker_seconds
        over = one.worker_seconds / clairvoyant if clairvoyant else None
        costs = [one.worker_seconds, over, one.starts, one.restarts_within_cold, one.refused]
        rows.append([one.cold, name, _is_met(one, asked), f"{one.attainment:.2%}"[:-1], *waits, *costs])
    return Section(title="Policies", parts=[Table(title="Figures", head=HEAD, rows=rows, note=MEANING)])


def _section(name: str, one: Score, run: Recording, asked: Comparison, top: float) -> Section:
    end = _end(run)
    demand = Series(name="requests at work or waiting", **_columns(_demand(run)), shape="area")
    workers = Series(name="workers, starting ones included", **_columns(_workers(run)), shape="step")
    limits = [Limit(name="objective", value=asked.slo.wait)] if asked.slo.latency is None else []
    return Section(
        title=f"{name}, cold start {one.cold:g} s",
        parts=[
            Chart(
                title="Demand and workers",
                unit="requests, workers",
                series=[demand, workers],
                start=0.0,
                end=end,
                top=top,
            ),
            Chart(
                title="Waits",
                unit="seconds",
                series=_waits(run, end),
                limits=limits,
                note=f"Of the requests that came in each of {PARTS} parts of the time.",
                start=0.0,
                end=end,
            ),
        ],
    )


def _end(run: Recording) -> float:
    """When the last request came."""
    return float(run.came[np.isfinite(run.came)].max())


def _demand(run: Recording) -> tuple[Floats, Floats]:
    return _level(run.came, run.began + run.service, _end(run))


def _workers(run: Recording) -> tuple[Floats, Floats]:
    return _level(run.stays[:, 0], run.stays[:, 1], _end(run))


def _columns(level: tuple[Floats, Floats]) -> dict[str, Any]:
    return {"times": level[0], "values": level[1]}


def _level(begin: Floats, until: Floats, end: float) -> tuple[Floats, Floats]:
    """How many there are at each time that changes it."""
    begin, until = begin[begin <= end], until[until <= end]
    times = np.concatenate([[0.0], begin, until])
    steps = np.concatenate([[0.0], np.ones(len(begin)), -np.ones(len(until))])
    order = np.lexsort((-steps, times))
    times, counts = times[order], np.cumsum(steps[order])
    is_last = np.append(np.diff(times) > 0, True)
    return times[is_last], counts[is_last]


def _waits(run: Recording, end: float) -> list[Series]:
    """How long the requests waited that came in each part of the time, as far as they began."""
    has_begun = np.isfinite(run.came) & np.isfinite(run.began)
    came, waits = run.came[has_begun], (run.began - run.came)[has_begun]
    order = np.argsort(came, kind="stable")
    edges = np.linspace(0.0, end, PARTS + 1)
    parts = np.split(waits[order], np.searchsorted(came[order], edges[1:-1]))
    middle = (edges[:-1] + edges[1:]) / 2
    found = []
    for name, percent in (("half waited at most (p50)", 50), ("99 % (p99)", 99), ("the longest", 100)):
        values = [float(np.percentile(part, percent)) if len(part) else float("nan") for part in parts]
        found.append(Series(name=name, times=middle, values=values))
    return found
