"""The core under a virtual clock: what happens to requests and workers, exactly, and against theory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from millpond.core import SizingRule
from millpond.optimizer import Observation, Proposal
from millpond.simulator import (
    Bare,
    Duration,
    FaultShares,
    Scenario,
    Simulation,
    Traffic,
    generate,
    score,
    settings_for,
)
from millpond.slo import Slo

ON_DEMAND = SizingRule(idle_timeouts=(0.0,), drain_s=0.0)
NEVER = math.inf


class Always:
    """One rule from the beginning, and notes of all it saw."""

    name: ClassVar[str] = "always"

    def __init__(self, rule: SizingRule, interval_s: float = 15.0, quiet_s: float = NEVER) -> None:
        self.rule, self.interval_s, self.quiet_s = rule, interval_s, quiet_s
        self.seen: list[Observation] = []

    def propose(self, seen: Observation) -> Proposal:
        self.seen.append(seen)
        return Proposal(self.rule, "always the same")


def requests(*came_and_took: tuple[float, float], **columns: object) -> Traffic:
    came, took = zip(*came_and_took, strict=True)
    return Traffic(np.array(came), np.array(took), **columns)


def simulated(traffic, cold_s=2.0, policy=None, low=0, high=64, faults=None, **options):
    settings = settings_for(low, high, **options.pop("settings", {}))
    faults = faults or FaultShares()
    scenario = Scenario(traffic=traffic, cold=Duration(cold_s), settings=settings, faults=faults, **options)
    return Simulation(scenario, Bare(policy or Always(ON_DEMAND))).run()


def waits(recording):
    return [round(float(wait), 9) for wait in recording.began - recording.came]


def test_a_cold_start_takes_exactly_what_it_takes():
    """The first request waits for the worker that is started for it, which is there from the order until it goes."""
    recording = simulated(requests((3.0, 1.0)))
    assert waits(recording) == [2.0]
    assert recording.stays.tolist() == [[3.0, math.inf]]


def test_a_request_that_comes_as_another_ends_finds_its_worker():
    """First what workers do, then who calls, then what the machine does by itself: nothing is started."""
    recording = simulated(requests((0.0, 1.0), (3.0, 1.0), (20.0, 1.0)))
    assert waits(recording) == [2.0, 0.0, 2.0]
    assert recording.stays.tolist() == [[0.0, 4.0], [20.0, math.inf]]


def test_idle_workers_wait_for_their_timeout():
    """From the end of the last request, by the rule in force."""
    rule = SizingRule(idle_timeouts=(5.0,), drain_s=0.0)
    recording = simulated(requests((0.0, 1.0), (7.0, 1.0), (14.0, 1.0)), policy=Always(rule))
    assert waits(recording) == [2.0, 0.0, 2.0]
    assert recording.stays.tolist()[0] == [0.0, 13.0]


@dataclass
class _OnDemand:
    """An independent way to the same: a worker a request that waits, gone as it has nothing to do."""

    cold_s: float

    def run(self, traffic: Traffic) -> tuple[list[tuple[float, float]], list[float]]:
        came, took = traffic.arrival_s.tolist(), traffic.service_s.tolist()
        busy: list[tuple[float, float]] = []  # (free at, ordered at)
        starting: list[float] = []  # ordered at
        queue: list[int] = []
        began = [0.0] * len(came)
        stays: list[tuple[float, float]] = []

        def free(now: float, ordered: float) -> None:
            if queue:
                row = queue.pop(0)
                began[row] = now
                busy.append((now + took[row], ordered))
            else:
                stays.append((ordered, now))

        row = 0
        while row < len(came) or busy or starting:
            ready = starting[0] + self.cold_s if starting else NEVER
            done = min(busy)[0] if busy else NEVER
            if row < len(came) and came[row] < min(ready, done):
                queue.append(row)
                if len(queue) > len(starting):
                    starting.append(came[row])
                row += 1
            elif done <= ready:
                ended = min(busy)
                busy.remove(ended)
                free(*ended)
            else:
                free(ready, starting.pop(0))
        return sorted(stays), began


@pytest.mark.parametrize("cold_s", [0.05, 0.7, 3.0])
def test_on_demand_is_what_an_independent_simulation_says(cold_s):
    """The same starts and ends at the same times, and the same beginnings, for a rule that is simple to write anew."""
    traffic = generate("bursty", Duration(0.8, "lognormal"), 5, low=0.5, high=8, span=1200)
    recording = simulated(traffic, cold_s, high=1000)
    stays, began = _OnDemand(cold_s).run(traffic)
    assert recording.began.tolist() == pytest.approx(began)
    ended = recording.stays[np.isfinite(recording.stays[:, 1])]
    assert len(ended) >= len(stays) - 64  # the run ends when the last request has begun
    assert ended[:, 0].tolist() == pytest.approx([ordered for ordered, _ in stays[: len(ended)]])


def erlang_c(servers: int, erlangs: float) -> float:
    """The chance to wait at all (Erlang, 1917), by the usual recurrence for the chance of loss."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = erlangs * blocked / (n + erlangs * blocked)
    return blocked / (1 - erlangs / servers * (1 - blocked))


@pytest.mark.parametrize(("servers", "erlangs"), [(1, 0.6), (4, 3.0), (16, 13.0)])
def test_the_queue_is_erlangs(servers, erlangs):
    """With Poisson arrivals, exponential services and a fixed number of workers: who waits at all, and how long."""
    service_s = 0.5
    traffic = generate(
        "poisson", Duration(service_s, "exponential"), 7, rate=erlangs / service_s, span=60_000 / erlangs
    )
    recording = simulated(traffic, low=servers, high=servers, policy=Always(SizingRule(floor=servers, ceiling=servers)))
    waited = (recording.began - recording.came)[len(traffic) // 10 :]
    chance = erlang_c(servers, erlangs)
    assert (waited > 1e-9).mean() == pytest.approx(chance, rel=0.06)
    assert waited.mean() == pytest.approx(chance * service_s / (servers - erlangs), rel=0.1)


def test_the_same_seed_gives_the_same_run():
    """Everything that is drawn depends on it, failures and cold starts included."""
    traffic = generate("bursty", Duration(0.5, "lognormal"), 2, span=600)
    faults = FaultShares(failed=0.05, died=0.01, no_start=0.1)

    def run(seed):
        scenario = Scenario(
            traffic=traffic, cold=Duration(1.0, "lognormal"), settings=settings_for(0, 16), faults=faults, seed=seed
        )
        found = Simulation(scenario, Bare(Always(ON_DEMAND))).run()
        return found.began.tolist(), found.stays.tolist()

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_request_whose_worker_dies_never_began():
    """It counts as not met; the others are served by the worker that is started in its place."""
    traffic = generate("poisson", Duration(0.2), 3, rate=2, span=2000)
    recording = simulated(traffic, 0.1, faults=FaultShares(died=0.05))
    lost = np.isinf(recording.began).mean()
    assert lost == pytest.approx(0.05, abs=0.02)
    assert recording.busy_killed == 0


def test_starts_that_fail_are_tried_again():
    """After the core's pauses; every request begins in the end, and each failed start counts."""
    traffic = generate("poisson", Duration(0.2), 3, rate=1, span=1000)
    recording = simulated(traffic, 0.5, faults=FaultShares(no_start=0.5))
    assert np.isfinite(recording.began).all()
    assert (recording.stays[:, 0] == recording.stays[:, 1]).any()


def test_a_deadline_ends_requests_that_wait_or_run_too_long():
    """Expired ones never began, as the score has it; what runs is interrupted, and its worker serves on."""
    recording = simulated(
        requests((0.0, 5.0), (1.0, 0.5), (8.0, 1.0)),
        1.0,
        deadline_s=4.0,
        high=1,
        policy=Always(SizingRule(idle_timeouts=(60.0,), drain_s=0.0)),
    )
    assert np.isinf(recording.began).tolist() == [True, False, False]
    assert recording.began[1] == pytest.approx(4.0, abs=0.01)
    assert len(recording.stays) == 1


def test_the_run_goes_on_until_every_request_has_begun():
    """Long after the last arrival, if need be."""
    recording = simulated(requests(*[(float(n), 100.0) for n in range(10)]), 1.0, high=1)
    assert waits(recording)[-1] == 1.0 + 900.0 - 9.0


def test_a_pool_that_never_has_a_worker_ends_its_run():
    """Nothing ever begins, and the run does not go on for ever."""
    recording = simulated(requests((0.0, 1.0)), policy=Always(SizingRule(ceiling=0)), faults=FaultShares(no_start=1.0))
    assert np.isinf(recording.began).all()


def test_a_session_comes_again_after_its_answer():
    """Think times count from the answer, however long that took."""
    traffic = requests(
        (0.0, 1.0), (1.0, 1.0), session=np.array([0, 0]), think_s=np.array([np.nan, 4.0]), sessions=("a",)
    )
    recording = simulated(traffic)
    assert recording.came.tolist() == [0.0, 7.0]
    assert recording.sessions_lost == 0


def test_a_workers_sessions_leave_before_it_does():
    """No session is lost, no worker is ended while it runs a request, and idle workers go all the same."""
    traffic = generate("sessions", Duration(1.0, "lognormal"), 3, starts=0.05, requests=10, think=30, span=3000)
    recording = simulated(traffic, 0.2)
    assert (recording.sessions_lost, recording.busy_killed) == (0, 0)
    assert np.isfinite(recording.began).all()
    judged = score(recording, policy="", mode="", cold_s=0.2, objective=Slo())
    assert judged.worker_seconds < 2 * judged.floor_worker_seconds


def test_a_lost_session_begins_anew_with_its_next_request():
    """It is counted as lost, and only the request that ran then is."""
    traffic = generate("sessions", Duration(0.5), 3, starts=0.05, requests=10, think=5, span=2000)
    recording = simulated(traffic, 0.1, faults=FaultShares(died=0.03))
    died = np.isinf(recording.began).mean()
    assert died == pytest.approx(0.03, abs=0.02)
    assert recording.sessions_lost > 0


def test_a_session_that_may_not_be_opened_has_its_requests_refused():
    """With a process of its own for each there are as many as workers."""
    columns = {"session": np.array([0, 1, 0]), "sessions": ("a", "b")}
    settings = {"isolation": "process"}
    recording = simulated(requests((0.0, 9.0), (1.0, 9.0), (2.0, 1.0), **columns), high=1, settings=settings)
    assert recording.is_refused.tolist() == [False, True, False]


@pytest.mark.parametrize(
    "settings",
    [
        {"concurrency": 4},
        {"max_calls": 5},
        {"max_lifetime": 20.0},
        {"spare_workers": 2},
        {"health_interval": 5.0},
        {"max_memory": 2**30},
        {"cancel_grace": 0.0},
        {"affinity": "hint"},
    ],
)
def test_a_run_ends_well_under_any_setting(settings):
    """Each request began once or is known not to, and every worker that was ordered was there for some time."""
    traffic = generate("sessions", Duration(0.5, "lognormal"), 3, starts=0.05, requests=8, think=10, span=600)
    faults = FaultShares(failed=0.05, died=0.02, no_start=0.1)
    recording = simulated(traffic, 0.5, high=8, faults=faults, deadline_s=5.0, settings=settings)
    assert (recording.began >= recording.came).all()
    assert (recording.stays[:, 1] >= recording.stays[:, 0]).all()
    assert np.isfinite(recording.began).mean() > 0.8


def test_a_policy_sees_what_happened():
    """Each request once, in the observation after it came and after it ended; the integral is exact."""
    traffic = generate("poisson", Duration(0.7, "exponential"), 3, rate=3, span=300)
    policy = Always(SizingRule(floor=4, ceiling=4), interval_s=10.0)
    recording = simulated(traffic, policy=policy)
    seen = policy.seen
    assert [one.now for one in seen[:4]] == pytest.approx([0.0, 10.0, 20.0, 30.0])
    came = np.concatenate([one.arrivals for one in seen])
    assert came.tolist() == recording.came[: len(came)].tolist()
    assert all((one.arrivals <= one.now).all() and (one.arrivals >= one.now - 10.0001).all() for one in seen)
    ended = np.concatenate([one.ended for one in seen])
    told = np.stack([recording.came, recording.service, recording.began - recording.came], axis=1)
    assert set(map(tuple, np.round(ended, 9))) <= set(map(tuple, np.round(told, 9)))
    until = seen[-1].now
    inside = np.minimum(until, recording.began + recording.service) - np.minimum(until, recording.came)
    assert sum(one.in_system_s for one in seen) == pytest.approx(inside.sum())
    assert seen[5].start_s == pytest.approx(2.0)
    assert seen[5].service_s == pytest.approx(0.7, rel=0.6)
    assert all(one.busy <= 4 and one.ready <= 4 for one in seen)


def test_a_policy_is_not_asked_while_nothing_happens_if_it_says_so():
    """It is asked again at the first multiple of its interval after the next request, and costs nothing meanwhile."""
    policy = Always(ON_DEMAND, interval_s=10.0, quiet_s=25.0)
    simulated(requests((1.0, 1.0), (1_000_003.0, 1.0), (1_000_020.0, 1.0)), policy=policy)
    assert [round(one.now) for one in policy.seen[:7]] == [0, 10, 20, 30, 40, 1_000_010, 1_000_020]
    assert len(policy.seen[5].arrivals) == 1


def test_a_policy_is_asked_as_long_after_the_last_answer_as_it_says():
    """What still runs is no silence, however long ago it came."""
    policy = Always(ON_DEMAND, interval_s=10.0, quiet_s=25.0)
    simulated(requests((1.0, 100.0), (1_000_003.0, 1.0)), policy=policy)
    assert [round(one.now) for one in policy.seen if 100 < one.now < 1_000_000] == [110, 120, 130, 140]


def test_what_is_refused_is_counted_so():
    """A bound of the queue is the core's, as in a pool."""
    recording = simulated(
        requests(*[(0.0, 1.0)] * 5),
        high=1,
        settings={"max_queued": 2},
        policy=Always(SizingRule(ceiling=1, drain_s=0.0)),
    )
    assert recording.is_refused.sum() == 3 or recording.is_refused.sum() == 2
    assert np.isinf(recording.began[recording.is_refused]).all()


def test_sessions_that_may_leave_cost_what_calls_without_sessions_do():
    """Whoever sleeps and wakes, or leaves a busy worker, keeps no more workers from their timeouts than other calls."""
    thinking = generate("sessions", Duration(6.0, "exponential"), seed=1, starts=0.05, requests=20.0, think=30.0)
    rule = Always(SizingRule(idle_timeouts=(20.0,), drain_s=0.0))

    def worker_seconds(traffic: Traffic, **settings: object) -> float:
        recording = simulated(traffic, 0.2, rule, settings={"affinity": "hint", **settings})
        return float(np.ptp(np.minimum(recording.stays, thinking.arrival_s[-1]), axis=1).sum())

    alone = worker_seconds(Traffic(thinking.arrival_s, thinking.service_s))
    assert worker_seconds(thinking) <= 1.1 * alone
    assert worker_seconds(thinking, sleep_after=2.0) <= 1.1 * alone
