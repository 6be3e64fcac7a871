"""The default rules: each fires at twice its threshold, none at half of it; a pool that is well has no alert."""

from __future__ import annotations

import pytest

from millpond.alerts.defaults import DEFAULT_GROUPS
from tests.alerts.scenarios import ALONE, HOUR, SCENARIOS, Scenario, TroubledPool, of, once, quantile, steady

NAMES = sorted(ALONE)


def test_every_default_rule_has_a_scenario():
    """And texts that say what happened and what to do."""
    assert SCENARIOS.keys() == ALONE.keys()
    rules = [rule for group in DEFAULT_GROUPS for rule in group.rules]
    assert all(rule.summary and rule.answer for rule in rules)
    assert len(rules) == 35


@pytest.mark.parametrize("name", NAMES)
def test_a_default_rule_fires_at_twice_its_threshold_and_is_over_afterwards(name):
    """Not before the trouble, within it, and not for ever."""
    scenario = SCENARIOS[name]
    pool = TroubledPool(scenario, 2.0, ALONE[name])
    assert name not in pool.live(scenario.lead_s)
    assert name in pool.live(scenario.seconds)
    pool.live(2 * HOUR, 60.0)
    assert name not in {alert.name for alert in pool.alerts.firing()}
    assert [rule for rule in pool.alerts.rules() if rule.problem] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_default_rule_does_not_fire_at_half_its_threshold(name):
    """However long that lasts."""
    scenario = SCENARIOS[name]
    pool = TroubledPool(scenario, 0.5, ALONE[name])
    assert name not in pool.live(scenario.lead_s + scenario.seconds)


@pytest.mark.parametrize(("died", "reported"), [(2, set()), (3, {"3"}), (40, {"40"})])
def test_the_deaths_in_the_summary_are_those_there_were(died, reported):
    """Also in a pool that was opened a moment ago, where a growth over ten minutes would have to be guessed."""
    deaths = of("worker_deaths_total", lambda second: 0.0 if second < 0 else float(died), cause="crashed")
    pool = TroubledPool(Scenario(lambda _: deaths, 2 * HOUR, lead_s=5.0), 1.0, ALONE["MillpondWorkersDying"])
    pool.live(5.0)
    summaries = set()
    for _ in range(8):
        pool.step()
        summaries |= {alert.summary for alert in pool.alerts.firing() if "Dying" in alert.name}
    assert {text.split("lost ")[1].split()[0] for text in summaries} == reported


def test_a_pool_that_is_well_has_no_alert():
    """Two hours of steady work and nothing fires, nothing is even pending."""
    work = of("calls_total", steady(50.0), ending="ok") | quantile("call_duration_seconds", 0.3, 0.3)
    for group in DEFAULT_GROUPS:
        pool = TroubledPool(Scenario(lambda _: work, 2 * HOUR), 1.0, group)
        assert pool.live(2 * HOUR, 15.0) == set()
        assert pool.alerts.pending() == ()
        assert pool.alerts.history() == ()


def test_a_pool_that_was_just_opened_has_no_alert():
    """What was not there an hour or a day ago is compared with nothing, and its first minutes foretell little."""
    curves = of("parent_resident_bytes", lambda s: 1e8 + 1e6 * min(s, 300.0)) | of("calls_total", once(30), ending="ok")
    for group in DEFAULT_GROUPS:
        assert TroubledPool(Scenario(lambda _: curves, HOUR, lead_s=0.0), 1.0, group).live(HOUR, 10.0) == set()
