"""Each profile is the best of all on the load it is for, simulated on a machine of four cores."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from millpond.profiles import PROFILES, profile_settings
from millpond.settings import Settings
from millpond.simulator import Duration, Recording, Scenario, Simulation, Traffic, generate, score
from millpond.slo import Slo

CORES = 4
SLO = Slo(wait=1.0, share=0.99)


def run(profile: str, traffic: Traffic, cold_s: float) -> Recording:
    chosen = {"max_workers": CORES, "health_interval": math.inf} | profile_settings(profile, {}, CORES)
    settings = Settings(**chosen)
    scenario = Scenario(traffic=traffic, cold=Duration(cold_s), settings=settings, deadline_s=settings.deadline)
    return Simulation(scenario).run()


def best(traffic: Traffic, cold_s: float, worth: Callable[[Recording], float]) -> tuple[str, dict[str, float]]:
    """The one profile that is worth the most, and what each is."""
    found = {name: worth(run(name, traffic, cold_s)) for name in PROFILES}
    first, second = sorted(found, key=found.__getitem__, reverse=True)[:2]
    assert found[first] > found[second], found
    return first, found


def answered(recording: Recording) -> int:
    return int(np.isfinite(recording.began).sum())


def cost(recording: Recording) -> float:
    """Worker-seconds, negated; infinitely much where the objective is missed."""
    got = score(recording, policy="", mode="", cold_s=0.0, objective=SLO, score_from=0.0)
    return -got.worker_seconds if got.attainment >= SLO.share else -math.inf


def test_high_throughput_answers_most_of_a_batch():
    """Ten thousand calls of 0.2 s at once: nothing is refused or given up, and all cores work on it."""
    batch = Traffic(np.zeros(10_000), np.full(10_000, 0.2))

    def soon(recording: Recording) -> float:
        return float((recording.began + recording.service <= 520.0).sum())

    name, found = best(batch, 0.2, soon)
    assert (name, found[name]) == ("high_throughput", 10_000)


def test_low_latency_has_the_shortest_waits_in_bursts_after_silence():
    """Five calls at once every two minutes, one more than there are cores, with a cold start of 2 s."""
    at = np.repeat(np.arange(60.0, 3600.0, 120.0), CORES + 1)
    name, found = best(Traffic(at, np.full(len(at), 0.3)), 2.0, lambda one: -float((one.began - one.came).mean()))
    assert (name, found[name]) == ("low_latency", 0.0)


def test_resource_constrained_costs_least_where_little_is_to_do():
    """A call every two minutes: the objective is met, and there is no worker most of the time."""
    sparse = generate("poisson", Duration(1.0, "exponential"), rate=30 / 3600, span=6 * 3600.0)
    name, found = best(sparse, 0.2, cost)
    assert name == "resource_constrained"
    assert found[name] > 0.2 * found["balanced"]


def test_balanced_costs_least_of_those_that_keep_up_with_a_load_that_comes_and_goes():
    """Two erlangs for ten minutes, then silence for fifty: half the cores are too few, all of them too many."""
    swings = generate("onoff", Duration(0.5, "exponential"), rate=4.0, on=600.0, off=3000.0, span=4 * 3600.0)
    name, found = best(swings, 0.2, cost)
    assert name == "balanced"
    assert found["resource_constrained"] == found["development"] == -math.inf


def test_only_development_lets_a_call_stand_at_a_breakpoint():
    """Half an hour in a debugger, and the call comes back; the next one comes after that."""
    name, found = best(Traffic(np.array([0.0, 3000.0]), np.array([1800.0, 0.1])), 0.2, answered)
    assert (name, found[name]) == ("development", 2)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_answers_what_it_can(name):
    """Under a load that half of the cores carry nothing is lost, whatever the profile."""
    calm = generate("poisson", Duration(0.1, "exponential"), rate=5.0, span=600.0)
    assert answered(run(name, calm, 0.2)) == len(calm)
