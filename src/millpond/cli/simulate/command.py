"""Carries the command out: reads or makes the traffic, runs each policy at each cold start, and shows the figures."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from rich.console import Console

from millpond.cli.simulate.arguments import Arguments
from millpond.cli.simulate.options import Options, give_up, look_in_working_directory, parse_options
from millpond.cli.simulate.tables import show
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
Ran = tuple[str, Score, Recording]  # the name it is shown by, and what came of it


def run(trace: str, arguments: Arguments) -> None:
    """Do all of it; exits with 2 and a sentence if that cannot be."""
    look_in_working_directory()
    try:
        options = parse_options(trace, arguments)
        for name in options.policies:  # each is made anew for its run; a wrong name is told before the first
            steering_of(options, name)
    except (ValueError, TypeError) as error:
        give_up(error)
    runs: list[Ran] = []
    with Console(stderr=True).status("") as status:
        for cold, name in itertools.product(options.colds, options.policies):
            status.update(f"{name}, cold start {cold.mean_s:g} s")
            runs.append(simulate(options, name, cold))
            if arguments.validate:
                status.update(f"{name}, cold start {cold.mean_s:g} s, real")
                runs.append(run_real(options, name, cold, arguments.speed))
    if arguments.report is not None:
        _write_page(arguments.report, trace, runs, options)
    if arguments.json:
        rows = [one.as_dict() for _, one, _ in runs]
        if arguments.validate:
            rows = [row | {"run": run} for row, run in zip(rows, itertools.cycle(("simulated", "real")), strict=False)]
        json.dump(rows, sys.stdout, indent=1, allow_nan=False)
        print()
    else:
        show(trace, [(name, one) for name, one, _ in runs], options, Console())


def simulate(options: Options, name: str, cold: Duration) -> Ran:
    """One policy at one cold start."""
    recording = Simulation(scenario_of(options, cold), steering_of(options, name)).run()
    return label(name), judge(options, name, cold, recording), recording


def run_real(options: Options, name: str, cold: Duration, speed: float) -> Ran:
    """The same on a real pool."""
    from millpond.cli.simulate.validate import validate

    recording = validate(scenario_of(options, cold), steering_of(options, name), speed, options.settings)
    return f"{label(name)}, real", judge(options, name, cold, recording), recording


def steering_of(options: Options, name: str) -> Steering:
    """Who chooses the rule, of that name."""
    return make_steering(name, options.slo, options.mode, options.low, options.high)


def scenario_of(options: Options, cold: Duration) -> Scenario:
    """What is simulated at one cold start."""
    start_timeout = max(60.0, PATIENCE * cold.mean_s)
    return Scenario(
        traffic=options.traffic,
        cold=cold,
        settings=settings_for(options.low, options.high, **{"start_timeout": start_timeout, **options.settings}),
        deadline_s=options.deadline_s,
        faults=options.faults,
        seed=options.seed,
    )


def label(name: str) -> str:
    """What a policy is called in a table: the name of its class will do."""
    return name.rpartition(":")[2]


def judge(options: Options, name: str, cold: Duration, recording: Recording) -> Score:
    """Its figures."""
    return score(
        recording,
        policy=name,
        mode=options.mode,
        cold_s=cold.mean_s,
        objective=options.slo,
        score_from=options.score_from,
    )


def _write_page(path: Path, trace: str, runs: list[Ran], options: Options) -> None:
    from millpond.cli.simulate.charts import write_page

    try:
        write_page(path, trace, runs, options)
    except OSError as error:
        give_up(f"{path}: {error.strerror}")
