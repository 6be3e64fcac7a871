"""Carries the command out: reads or makes the traffic, runs each policy at each cold start, and shows the figures."""

from __future__ import annotations

import json
import sys

from rich.console import Console

from millpond.cli.simulate.arguments import Arguments
from millpond.cli.simulate.options import Options, give_up, look_in_working_directory, parse_options
from millpond.cli.simulate.tables import show
from millpond.simulator import Recording, Scenario, Score, Simulation, make_steering, score, settings_for
from millpond.simulator.durations import Duration


def run(trace: str, arguments: Arguments) -> None:
    """Do all of it; exits with 2 and a sentence if that cannot be."""
    look_in_working_directory()
    try:
        options = parse_options(trace, arguments)
        for name in options.policies:  # each is made anew for its run; a wrong name is told before the first
            make_steering(name, options.slo, options.mode, options.low, options.high)
    except (ValueError, TypeError) as error:
        give_up(error)
    scores = []
    console = Console(stderr=True)
    with console.status("") as status:
        for cold in options.colds:
            for name in options.policies:
                status.update(f"{name}, cold start {cold.mean_s:g} s")
                scores.append(simulate(options, name, cold)[0])
    if arguments.json:
        json.dump([one.as_dict() for one in scores], sys.stdout, indent=1, allow_nan=False)
        print()
    else:
        show(trace, scores, options, Console())


def simulate(options: Options, name: str, cold: Duration) -> tuple[Score, Recording]:
    """One policy at one cold start."""
    steering = make_steering(name, options.slo, options.mode, options.low, options.high)
    scenario = Scenario(
        traffic=options.traffic,
        cold=cold,
        settings=settings_for(options.low, options.high),
        deadline_s=options.deadline_s,
        faults=options.faults,
        seed=options.seed,
    )
    recording = Simulation(scenario, steering).run()
    judged = score(
        recording,
        policy=name,
        mode=options.mode,
        cold_s=cold.mean_s,
        objective=options.slo,
        score_from=options.score_from,
    )
    return judged, recording
