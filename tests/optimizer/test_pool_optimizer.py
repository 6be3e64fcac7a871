"""The optimizer's shell: when it looks, who may change the rule, and what it keeps of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from millpond.core import SizingRule
from millpond.events import OptimizerConcluded, OptimizerDecided, OptimizerSwitched
from millpond.optimizer.configuration import Configuration
from millpond.optimizer.journal import Journal
from millpond.optimizer.policies.fixed import fixed_rule
from millpond.optimizer.policies.policy import Proposal
from millpond.optimizer.pool_optimizer import PoolOptimizer
from millpond.slo import Slo
from millpond.telemetry.bus import Bus
from tests.optimizer.made import STEP_S, calls, observed


class Pond:
    """Something to be sized, under a clock that is moved by hand."""

    def __init__(self):
        self.now = 1000.0
        self.rule = SizingRule(ceiling=64)
        self.adopted = []
        self.oldest_wait_s = 0.0
        self.calls = 30
        self.is_sizable = True
        self.fields = {"ready": 4, "busy": 2, "in_system_s": 2.0 * STEP_S}

    def waited(self):
        return self.oldest_wait_s, 0.1

    def observe(self):
        return replace(self.glance(), **calls(self.calls, self.now))

    def glance(self):
        return observed(now=self.now, rule=self.rule, **self.fields)

    def size_by(self, rule, reason):
        self.rule = rule
        self.adopted.append((rule, reason))


class Scene:
    """An optimizer of a pond with the policy `target`."""

    def __init__(self, policy="target", **settings):
        self.pond, self.bus, self.told = Pond(), Bus(), []
        self.bus.attach("test", "optimizer", self.told.append)
        configuration = Configuration(slo=Slo(), mode="prompt", policy=policy, low=0, high=64, **settings)
        self.optimizer = PoolOptimizer(
            self.pond, configuration, Journal(), lambda: self.pond.now, lambda: 1e9 + self.pond.now, self.bus
        )
        self.optimizer.start()

    def run(self, seconds):
        """So many seconds, a tick each."""
        for _ in range(round(seconds)):
            self.pond.now += 1.0
            self.optimizer.tick()

    def of(self, kind):
        return [one for one in self.told if isinstance(one, kind)]


def test_it_decides_every_interval_and_says_so():
    """After 15 s the first rule is adopted, entered in the journal with the time, and told as an event."""
    scene = Scene()
    scene.run(14)
    assert scene.pond.adopted == []
    scene.run(46)
    assert scene.pond.adopted[0][0] == fixed_rule(3)
    (entry,) = scene.optimizer.journal()
    assert (entry.kind, entry.policy, entry.wall) == ("change", "target", 1e9 + 1015.0)
    (told,) = scene.of(OptimizerDecided)
    assert (told.number, told.floor, told.reason) == (1, 3, entry.reason)
    assert "floor 0 -> 3" in told.change


def test_under_pressure_it_looks_at_once():
    """A call that has waited for half of what it may is looked into within a second, once there was a first look."""
    scene = Scene()
    scene.run(15)
    scene.pond.oldest_wait_s, scene.pond.fields["busy"], scene.pond.fields["in_system_s"] = 0.6, 4, 12.0
    assert len(scene.pond.adopted) == 1
    scene.run(1)
    assert len(scene.pond.adopted) == 2


def test_paused_it_decides_by_hand_only():
    """And goes on by itself when it is resumed."""
    scene = Scene()
    scene.optimizer.pause()
    scene.run(60)
    assert scene.pond.adopted == []
    scene.optimizer.scale_up(2)
    assert scene.pond.rule.floor == 6
    scene.optimizer.resume()
    scene.run(60)
    assert [one.state for one in scene.of(OptimizerSwitched)] == ["paused", "running"]


async def test_frozen_nothing_changes_whoever_asks():
    """The kill switch: not the schedule, not a person; at once, until it is resumed."""
    scene = Scene()
    scene.optimizer.freeze("somebody looks into it")
    scene.run(60)
    decision = scene.optimizer.scale_up(2)
    assert await scene.optimizer.perform_optimization()
    assert scene.pond.adopted == []
    assert decision.guard[-1] == "The optimizer is frozen: nothing changes."
    assert scene.of(OptimizerSwitched)[-1].reason == "somebody looks into it"
    scene.optimizer.resume()
    assert scene.optimizer.scale_up(2).rule.floor == scene.pond.rule.floor == 6


def test_scaling_moves_the_floor_within_the_bounds():
    """Up from what is there, down from the floor; a fixed size stays one."""
    scene = Scene()
    assert scene.optimizer.scale_up(3).rule.floor == 7
    assert scene.optimizer.scale_down(2).rule.floor == 5
    assert scene.optimizer.scale_down(50).rule.floor == 0
    assert scene.optimizer.scale_up(500).rule.floor == 64
    scene.pond.rule = fixed_rule(4)
    assert scene.optimizer.scale_up(1).rule == fixed_rule(5)
    assert [one.kind for one in scene.optimizer.journal()] == ["command"] * 5


async def test_it_can_be_asked_without_anything_being_done():
    """The findings, and what would be decided of an observation with them."""
    scene = Scene()
    scene.optimizer.pause()
    await scene.optimizer.perform_optimization()
    scene.pond.now += STEP_S
    analysis = scene.optimizer.analyze_metrics()
    before = list(scene.pond.adopted)
    decision = await scene.optimizer.determine_optimal_config(analysis, scene.pond.observe())
    assert decision.findings == analysis.findings
    assert scene.pond.adopted == before


async def test_a_closed_optimizer_decides_nothing_more():
    """Nor does one whose pool has not opened."""
    scene = Scene()
    scene.optimizer.end()
    scene.run(60)
    assert scene.pond.adopted == []
    assert scene.optimizer.state == "closed"
    scene.optimizer.resume()
    assert scene.optimizer.state == "closed"
    with pytest.raises(RuntimeError, match="closed"):
        await scene.optimizer.perform_optimization()


class Slow:
    """A policy in another process, whose answers the test gives."""

    name = "slow"

    def __init__(self):
        self.asked = []

    def ask(self, seen, then):
        self.asked.append((seen, then))
        return True

    def end(self):
        self.is_ended = True

    def close(self):
        pass


class Elsewhere(Scene):
    """An optimizer whose policy thinks elsewhere."""

    def __init__(self):
        super().__init__("somewhere:Policy")
        self.slow = self.optimizer._side = Slow()

    async def answer(self, rule):
        seen, then = self.slow.asked.pop(0)
        then(Proposal(rule, "I thought about it."))
        await asyncio.sleep(0)
        return seen


async def test_while_a_policy_thinks_it_is_not_asked_again():
    """And its answer is adopted when it comes."""
    scene = Elsewhere()
    scene.run(60)
    assert len(scene.slow.asked) == 1
    await scene.answer(SizingRule(floor=2, ceiling=64))
    assert scene.pond.rule.floor == 2


async def test_nobody_is_asked_before_a_call_has_come_or_where_there_is_nothing_to_choose():
    """An idle pool, or one of a fixed size, costs no process."""
    scene = Elsewhere()
    scene.pond.calls = 0
    scene.run(60)
    assert scene.slow.asked == []
    assert scene.optimizer.journal()[0].reason == "No call has come yet."
    scene.pond.calls, scene.pond.is_sizable = 30, False
    scene.run(60)
    assert scene.slow.asked == []


async def test_an_answer_that_comes_after_a_freeze_or_another_rule_is_not_followed():
    """What was thought of is not so any more."""
    scene = Elsewhere()
    scene.run(15)
    scene.optimizer.freeze()
    await scene.answer(SizingRule(floor=2, ceiling=64))
    assert scene.pond.adopted == []
    scene.optimizer.resume()
    scene.run(15)
    scene.optimizer.scale_up(1)
    await scene.answer(SizingRule(floor=2, ceiling=64))
    assert scene.pond.rule.floor == 5
    assert scene.optimizer.journal()[-1].reason == "Another rule was set while the policy thought."


async def test_it_can_be_configured_while_it_runs():
    """Another mode, policy or interval; the policy before is ended, and what it answers later is not followed."""
    scene = Elsewhere()
    scene.run(15)
    configuration = scene.optimizer.configure(policy="target", mode="economy", interval_s=5.0)
    assert (configuration.mode, configuration.slo) == ("economy", Slo())
    assert scene.slow.is_ended
    await scene.answer(SizingRule(floor=2, ceiling=64))
    assert scene.pond.adopted == []
    scene.run(5)
    assert [one.policy for one in scene.optimizer.journal()] == ["target"]


@pytest.mark.parametrize(
    "changes", [{"mode": "cheap"}, {"policy": "clever"}, {"interval_s": 0.1}, {"slo": 1.0}, {"speed": 3}, {"policy": 3}]
)
def test_what_is_no_configuration_changes_nothing(changes):
    """It raises, and all goes on as before."""
    scene = Scene()
    with pytest.raises((TypeError, ValueError), match=next(iter(changes))):
        scene.optimizer.configure(**changes)
    assert scene.optimizer.configuration.policy == "target"


async def test_whoever_waits_for_a_decision_of_a_pool_that_closes_is_told():
    """By a cancellation; a late answer then harms nobody."""
    scene = Elsewhere()
    waiting = asyncio.ensure_future(scene.optimizer.perform_optimization())
    await asyncio.sleep(0)
    scene.optimizer.end()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await scene.answer(SizingRule(floor=2, ceiling=64))
    assert scene.pond.adopted == []


async def test_what_came_of_a_change_is_told_and_stands_beside_it():
    """Two minutes and a bit after it, under the same load."""
    scene = Scene()
    scene.optimizer.pause()
    for _ in range(9):
        await scene.optimizer.perform_optimization()
        scene.pond.now += STEP_S
    scene.pond.fields["in_system_s"] = 4.2 * STEP_S
    for _ in range(12):
        await scene.optimizer.perform_optimization()
        scene.pond.now += STEP_S
    concluded = scene.of(OptimizerConcluded)
    assert concluded
    entry = next(one for one in scene.optimizer.journal() if one.number == concluded[-1].number)
    assert entry.outcome == concluded[-1].outcome
