"""A step from 1 to 10 erlangs and back: how soon workers are ordered for it, and how soon they are gone again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.sizing.runs import HIGH, LOW, OBJECTIVE
from millpond.optimizer import Mode
from millpond.simulator import Duration, Recording, Scenario, Simulation, Traffic, make_steering, settings_for

SERVICE_S, SIGMA = 0.5, 0.42
LOAD, STEP_LOAD = 1.0, 10.0  # erlangs
STEP_AT_S, BACK_AT_S, SPAN_S = 1800.0, 3000.0, 3600.0


def run_step(cold_s: float, name: str, mode: Mode) -> dict[str, Any]:
    """Seconds for which calls had no worker on its way, at the longest, and until the step's workers were gone."""
    policy = make_steering(name, OBJECTIVE, mode, LOW, HIGH)
    scenario = Scenario(traffic=step_traffic(), cold=Duration(cold_s), settings=settings_for(LOW, HIGH))
    recording = Simulation(scenario, policy).run()
    wanted = workers_needed(LOAD, SERVICE_S)
    return {"short_s": longest_short_s(recording), "back_s": back_s(recording, wanted + 1), "needed": wanted}


def step_traffic(seed: int = 0) -> Traffic:
    """Calls at random, ten times as many from the step until it ends."""
    random = np.random.default_rng(seed)
    parts = []
    for first, last, load in (
        (0.0, STEP_AT_S, LOAD),
        (STEP_AT_S, BACK_AT_S, STEP_LOAD),
        (BACK_AT_S, SPAN_S, LOAD),
    ):
        count = random.poisson(load / SERVICE_S * (last - first))
        parts.append(np.sort(random.uniform(first, last, count)))
    came = np.concatenate(parts)
    return Traffic(came, Duration(SERVICE_S, "lognormal", SIGMA).draw(random, len(came)))


def workers_needed(erlangs: float, service_s: float) -> int:
    """The fewest with which the objective is kept by a steady load: Erlang C, exponential service."""
    workers = math.floor(erlangs) + 1
    while _late(workers, erlangs, service_s) > 1 - OBJECTIVE.share:
        workers += 1
    return workers


def _late(workers: int, erlangs: float, service_s: float) -> float:
    """Chance to wait longer than the objective."""
    busy = 1.0  # Erlang B, by its recursion
    for number in range(1, workers + 1):
        busy = erlangs * busy / (number + erlangs * busy)
    waits = busy / (1 - erlangs / workers * (1 - busy))
    return waits * math.exp(-(workers - erlangs) * OBJECTIVE.wait / service_s)


def counts(recording: Recording) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each moment of a change: the calls in the system, and the workers ordered and not gone."""
    ordered, gone = recording.stays.T
    changes = [
        (recording.came, 1, 0),
        (recording.began + recording.service, -1, 0),
        (ordered, 0, 1),
        (gone[np.isfinite(gone)], 0, -1),
    ]
    times = np.concatenate([when for when, _, _ in changes])
    calls = np.concatenate([np.full(len(when), call) for when, call, _ in changes])
    workers = np.concatenate([np.full(len(when), worker) for when, _, worker in changes])
    order = np.argsort(times, kind="stable")
    times, calls, workers = times[order], np.cumsum(calls[order]), np.cumsum(workers[order])
    is_last = np.append(np.diff(times) > 0, True)
    return times[is_last], calls[is_last], workers[is_last]


def longest_short_s(recording: Recording) -> float:
    """The longest time, in the minute after the step, with fewer workers on their way than calls."""
    times, calls, workers = counts(recording)
    is_in = (times >= STEP_AT_S) & (times <= STEP_AT_S + 60.0)
    since, longest = math.nan, 0.0
    for when, call, worker in zip(times[is_in], calls[is_in], workers[is_in], strict=True):
        if worker < min(call, HIGH):
            since = when if math.isnan(since) else since
            continue
        if not math.isnan(since):
            longest, since = max(longest, when - since), math.nan
    return float(longest)


def back_s(recording: Recording, most: int) -> float | None:
    """Seconds from the step's end until no more than so many workers are left; `None` if it never is so."""
    times, _, workers = counts(recording)
    is_back = (times >= BACK_AT_S) & (workers <= most)
    return float(times[is_back][0] - BACK_AT_S) if is_back.any() else None
