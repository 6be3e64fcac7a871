"""Each peer of the benchmark follows its published formula, worked out here on small numbers."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.peers.celery import Celery, CeleryKnobs
from benchmarks.peers.families import FAMILIES
from benchmarks.peers.hpa import Hpa
from benchmarks.peers.knative import Knative, KnativeKnobs
from benchmarks.peers.on_demand import OnDemand, OnDemandKnobs
from benchmarks.peers.peer import NEVER, LoadWindow, rule
from benchmarks.peers.ray_serve import RayKnobs, RayServe
from benchmarks.peers.static import Static, StaticKnobs
from millpond.core import SizingRule
from millpond.optimizer import Observation, Slo

BOUNDS: tuple[Any, ...] = (Slo(), "prompt", 0, 64)


def seen(now: float, load: float = 0.0, elapsed: float = 0.0, **rest: Any) -> Observation:
    """An observation at a time, `load` calls having been in the system for the `elapsed` seconds before it."""
    facts = {"busy": 0, "waiting": 0, "ready": 0, "starting": 0, "start_s": 0.0, "service_s": 0.0, "low": 0, "high": 64}
    return Observation(now=now, in_system_s=load * elapsed, rule=SizingRule(), **(facts | rest))


def sizes(policy: Any, loads: list[float], follows: bool = True) -> list[int]:
    """The floors a policy wants, one an interval, while it sees these loads; what it wanted is ready at the next."""
    found: list[int] = []
    ready = 0
    for number, load in enumerate(loads, 1):
        now = number * policy.interval_s
        floor = policy.propose(seen(now, load, policy.interval_s, ready=ready)).rule.floor
        ready = floor if follows else ready
        found.append(floor)
    return found


def test_a_window_weighs_what_it_covers():
    """The mean of the last 15 s counts 5 of the 10 s before by half, and all of what came later."""
    window = LoadWindow(60.0, 10.0)
    window.add(seen(0.0))
    window.add(seen(10.0, 4.0, 10.0))
    window.add(seen(20.0, 1.0, 10.0))
    assert window.mean(10.0) == pytest.approx(1.0)
    assert window.mean(15.0) == pytest.approx((4.0 * 5 + 1.0 * 10) / 15)
    assert window.mean(60.0) == pytest.approx(2.5)


def test_a_window_takes_a_silence_for_no_load():
    """Whoever is asked after a quiet hour had all of the load in the last tick."""
    window = LoadWindow(60.0, 10.0)
    window.add(seen(10.0, 4.0, 10.0))
    window.add(seen(3610.0, 0.6, 10.0))
    assert window.mean(10.0) == pytest.approx(0.6)
    assert window.mean(60.0) == pytest.approx(0.1)


def test_static_is_within_the_bounds_and_never_moves():
    """A size above the maximum is the maximum."""
    policy = Static(Slo(), "prompt", 0, 8, StaticKnobs(workers=9))
    assert policy.propose(seen(0.0)).rule == rule(8, 8, 0.0)


def test_on_demand_is_the_rule_itself():
    """Its two knobs are two of the rule's parameters."""

    assert OnDemand(*BOUNDS, OnDemandKnobs(idle_s=5.0, spares=2)).propose(seen(0.0)).rule == rule(0, 64, 5.0, 2)


def test_hpa_wants_the_load_by_its_target_beyond_a_tenth():
    """ceil(2.4 / 0.8) is 3; a load of 2.5 is within 10 % of 3 x 0.8, and 2.7 is not."""
    assert sizes(Hpa(*BOUNDS), [2.4, 2.5, 2.7]) == [3, 3, 4]


def test_hpa_goes_down_to_the_most_of_its_window_and_never_to_none():
    """What was wanted 300 s ago holds the size up for twenty looks, the one at 300 s included."""
    assert sizes(Hpa(*BOUNDS), [4.0, *[0.0] * 21]) == [5, *[5] * 20, 1]


def test_hpa_doubles_at_most_or_adds_four():
    """From 1 to 5, 10 and 20 on a load that wants 40."""
    assert sizes(Hpa(*BOUNDS), [32.0] * 4) == [5, 10, 20, 40]


def test_knative_wants_the_mean_of_a_minute_by_its_target():
    """1.4 calls are two pods at 0.7; the mean of the time seen so far counts."""
    assert sizes(Knative(*BOUNDS, KnativeKnobs(panic_threshold=9.0)), [1.4, 1.4, 2.8]) == [2, 2, 3]


def test_knative_panics_at_twice_what_is_ready_and_then_does_not_shrink():
    """The mean of six seconds asks for 2 x ready: that many at once, and none less until a minute without panic."""
    policy = Knative(*BOUNDS)
    calm = sizes(policy, [0.7] * 30)
    assert calm == [1] * 30
    found = []
    for number in range(31, 70):
        load = 4.2 if number < 34 else 0.7
        found.append(policy.propose(seen(2.0 * number, load, 2.0, ready=max([1, *found]))).rule.floor)
    assert found[:3] == [3, 5, 6]
    assert set(found[3:30]) == {6}
    assert found[-1] < 6


def test_knative_halves_at_most_and_wakes_one_from_none():
    """From 8 ready without load 4, 2, 1 and 0; at none the rule is to start one for the first call."""
    policy = Knative(*BOUNDS, KnativeKnobs(stable_s=2.0, panic_share=1.0, panic_threshold=99.0))
    found = [policy.propose(seen(2.0 * n, 0.0, 2.0, ready=ready)) for n, ready in enumerate((8, 4, 2, 1), 1)]
    assert [one.rule.floor for one in found] == [4, 2, 1, 0]
    assert found[-1].rule == rule(0, 1, 2.0)


def test_knative_delays_going_down_when_told_to():
    """The most of the last ten seconds."""
    knobs = KnativeKnobs(stable_s=2.0, panic_share=1.0, panic_threshold=99.0, down_delay_s=10.0)
    assert sizes(Knative(*BOUNDS, knobs), [2.8, *[0.7] * 7]) == [4, 4, 4, 4, 4, 4, 2, 2]


def test_ray_follows_a_direction_that_lasted_and_only_its_last_wish():
    """Three looks of ten seconds upwards, then what the last of them wants; the delay begins anew after that."""
    knobs = RayKnobs(look_back_s=10.0)
    assert sizes(RayServe(*BOUNDS, knobs), [4.0, 8.0, 8.0, 6.0, 8.0, 8.0, 8.0, 8.0]) == [1, 1, 1, 3, 3, 3, 3, 4]


def test_ray_starts_over_when_the_direction_changes():
    """One look at what suffices, and the thirty seconds begin again."""
    assert sizes(RayServe(*BOUNDS, RayKnobs(look_back_s=10.0)), [4.0, 4.0, 4.0, 2.0, 4.0, 4.0, 4.0, 4.0])[-2:] == [1, 2]


def test_ray_goes_to_none_from_one_only():
    """Without load from four to one, and to none after the same delay; a woken replica counts as one."""
    knobs = RayKnobs(target=1.0, look_back_s=10.0, up_delay_s=0.0, down_delay_s=20.0, minimum=0)
    policy = RayServe(*BOUNDS, knobs)
    assert policy.propose(seen(0.0)).rule.ceiling == 1
    assert policy.propose(seen(10.0, 4.0, 10.0, starting=1)).rule.floor == 4
    found = [policy.propose(seen(20.0 + 10 * n, 0.0, 10.0, ready=4)).rule.floor for n in range(6)]
    assert found == [4, 4, 1, 1, 1, 0]


def test_celery_shrinks_to_what_is_reserved_after_its_keepalive():
    """Thirty seconds after the last growth what is idle goes, down to the tasks at hand; before, nothing does."""
    policy = Celery(*BOUNDS)
    assert policy.propose(seen(1.0, ready=4, busy=4, waiting=1, starting=1)).rule.idle_timeouts == (NEVER,)
    assert policy.propose(seen(31.0, ready=5, busy=2)).rule.idle_timeouts == (NEVER,)
    assert policy.propose(seen(31.5, ready=5, busy=2)).rule == rule(2, 64, 1.0)
    assert policy.propose(seen(32.5, ready=2, busy=2)).rule.idle_timeouts == (NEVER,)


def test_celery_keeps_its_minimum():
    """`--autoscale=max,min` with a minimum of 3."""
    policy = Celery(*BOUNDS, CeleryKnobs(minimum=3))
    assert policy.propose(seen(99.0, ready=8)).rule.floor == 3
    assert policy.propose(seen(199.0, ready=8)).rule.floor == 3


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_value_tried_is_on_its_axes_and_each_policy_can_be_made(family):
    """The search in hindsight starts from points whose neighbours it can name."""
    for knobs in (*family.shipped.values(), *family.coarse(5), *family.coarse(64)):
        policy = family.policy(knobs)(*BOUNDS)
        assert policy.interval_s > 0
        assert policy.propose(seen(policy.interval_s)).reason
    for knobs in (*family.coarse(5), *family.coarse(64)):
        near = [family.near(knobs, axis, step) for axis in family.axes for step in (-1, 1)]
        assert knobs not in near
        assert len(set(near) - {None}) >= len(family.axes)


def test_a_step_along_an_axis_changes_that_knob_alone():
    """By one value, and there is none beyond the end."""
    (static,) = [family for family in FAMILIES if family.name == "static"]
    assert static.near(StaticKnobs(workers=2), "workers", 1) == StaticKnobs(workers=3)
    assert static.near(StaticKnobs(workers=1), "workers", -1) is None
