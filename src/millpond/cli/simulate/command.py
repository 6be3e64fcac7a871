"""Carries the command out: reads or makes the traffic, runs each policy at each cold start, and shows the figures."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from millpond.cli.exit_codes import USAGE
from millpond.cli.simulate.command_line import Arguments
from millpond.cli.simulate.comparison import Comparison, Ran, look_in_working_directory, parse_comparison
from millpond.cli.simulate.tables import show
from millpond.cli.terminal import exit_with
from millpond.simulator import (
    Duration,
    Recording,
    Scenario,
    Score,
    Simulation,
    Steering,
    make_steering,
    score,
    settings_for,
)

PATIENCE = 20  # times as long as it usually takes a worker may take to start


def run(trace: str, arguments: Arguments) -> None:
    """Do all of it; exits with 2 and a sentence if that cannot be."""
    look_in_working_directory()
    try:
        asked = parse_comparison(trace, arguments)
        for name in asked.policies:  # each is made anew for its run; a wrong name is told before the first
            steering_of(asked, name)
    except (ValueError, TypeError) as error:
        exit_with(str(error), USAGE)
    runs: list[Ran] = []
    with Console(stderr=True).status("") as status:
        for cold, name in itertools.product(asked.colds, asked.policies):
            status.update(escape(f"{name}, cold start {cold.mean_s:g} s"))
            runs.append(simulate(asked, name, cold))
            if arguments.validate:
                status.update(escape(f"{name}, cold start {cold.mean_s:g} s, real"))
                runs.append(run_real(asked, name, cold, arguments.speed))
    if arguments.report is not None:
        _write_page(arguments.report, trace, runs, asked)
    if arguments.json:
        rows = [one.as_dict() for _, one, _ in runs]
        if arguments.validate:
            rows = [row | {"run": run} for row, run in zip(rows, itertools.cycle(("simulated", "real")), strict=False)]
        json.dump(rows, sys.stdout, indent=1, allow_nan=False)
        print()
    else:
        show(trace, [(name, one) for name, one, _ in runs], asked, Console())


def simulate(asked: Comparison, name: str, cold: Duration) -> Ran:
    """One policy at one cold start."""
    recording = Simulation(scenario_of(asked, cold), steering_of(asked, name)).run()
    return label(name), judge(asked, name, cold, recording), recording


def run_real(asked: Comparison, name: str, cold: Duration, speed: float) -> Ran:
    """The same on a real pool."""
    from millpond.cli.simulate.validate import validate

    recording = validate(scenario_of(asked, cold), steering_of(asked, name), speed, asked.settings)
    return f"{label(name)}, real", judge(asked, name, cold, recording), recording


def steering_of(asked: Comparison, name: str) -> Steering:
    """Who chooses the rule, of that name."""
    return make_steering(name, asked.slo, asked.mode, asked.low, asked.high)


def scenario_of(asked: Comparison, cold: Duration) -> Scenario:
    """What is simulated at one cold start."""
    start_timeout = max(60.0, PATIENCE * cold.mean_s)
    return Scenario(
        traffic=asked.traffic,
        cold=cold,
        settings=settings_for(asked.low, asked.high, **{"start_timeout": start_timeout, **asked.settings}),
        deadline_s=asked.deadline_s,
        faults=asked.faults,
        seed=asked.seed,
    )


def label(name: str) -> str:
    """What a policy is called in a table: the name of its class will do."""
    return name.rpartition(":")[2]


def judge(asked: Comparison, name: str, cold: Duration, recording: Recording) -> Score:
    """Its figures."""
    return score(
        recording,
        policy=name,
        mode=asked.mode,
        cold_s=cold.mean_s,
        objective=asked.slo,
        score_from=asked.score_from,
    )


def _write_page(path: Path, trace: str, runs: list[Ran], asked: Comparison) -> None:
    from millpond.cli.simulate.charts import write_page

    try:
        write_page(path, trace, runs, asked)
    except OSError as error:
        exit_with(f"{path}: {error.strerror}", USAGE)
