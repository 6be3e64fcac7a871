"""Rules mean here what they mean in Prometheus: promtool finds the same alerts in the same samples."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from millpond.alerts.alerts import Alerts
from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.promql import as_yaml, rule_file
from millpond.alerts.rules import Condition, Group, Rule
from tests.alerts.scenarios import ALONE, GONE, SCENARIOS, Scenario, TroubledPool, after, of, steady
from tests.processes.prometheus_server import NEEDED

pytestmark = NEEDED
UPPER_BOUND_S = 120.0
EVERY = 6  # of the steps are looked at


def promtool(*arguments: str, folder: Path) -> tuple[int, str]:
    """Exit code and all that was printed."""
    ran = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=UPPER_BOUND_S, check=False
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_promtool_accepts_the_default_rules(tmp_path):
    """The file the pool writes is one that a Prometheus loads."""
    (tmp_path / "rules.yml").write_text(Alerts(list).rule_file())
    code, printed = promtool("check", "rules", "rules.yml", folder=tmp_path)
    assert code == 0, printed
    assert f"{sum(len(group.rules) for group in DEFAULT_GROUPS)} rules found" in printed


def replayed(pool: TroubledPool, seconds: float) -> dict[str, Any]:
    """A test for promtool: the samples of a pool's life, and what fired in it at every sixth step."""
    values: dict[str, list[str]] = {}
    checks: list[dict[str, Any]] = []
    for number in range(round(seconds / pool.scenario.step_s)):
        for name, labels, value in pool.now():
            series = f"{name}{{{','.join(f'{label}={json.dumps(text)}' for label, text in labels)}}}"
            values.setdefault(series, []).append("stale" if value == GONE else repr(value))
        pool.step()
        if number % EVERY == 0:
            checks += [check(pool, rule, f"{number * pool.scenario.step_s:g}s") for rule in pool.rules]
    series = [{"series": name, "values": " ".join(found)} for name, found in values.items()]
    interval = f"{pool.scenario.step_s:g}s"
    return {"interval": interval, "input_series": series, "alert_rule_test": checks}


def check(pool: TroubledPool, rule: Rule, moment: str) -> dict[str, Any]:
    """That the alerts of a rule are there which fire in the pool."""
    alerts = [
        {
            "exp_labels": {name: text for name, text in alert.labels.items() if name != "alertname"},
            "exp_annotations": dict(alert.annotations),
        }
        for alert in pool.alerts.firing()
        if alert.name == rule.alert
    ]
    return {"eval_time": moment, "alertname": rule.alert, "exp_alerts": alerts}


def judge(folder: Path, group: Group, *pools: TroubledPool) -> None:
    """Have promtool replay the lives of pools with a group, evaluated as often as in the pool."""
    step = f"{pools[0].scenario.step_s:g}s"
    (folder / "rules.yml").write_text(rule_file([group]).replace('"interval": "15s"', f'"interval": "{step}"'))
    tests = [replayed(pool, pool.scenario.lead_s + 1.5 * pool.scenario.seconds) for pool in pools]
    (folder / "test.yml").write_text(
        as_yaml({"rule_files": ["rules.yml"], "evaluation_interval": step, "tests": tests})
    )
    code, answer = promtool("test", "rules", "test.yml", folder=folder)
    assert code == 0, answer[:3000]


@pytest.mark.parametrize("name", sorted(ALONE))
def test_the_same_alerts_fire_in_a_prometheus(tmp_path, name):
    """At half and at twice the threshold, with the same labels and texts, at the same moments."""
    judge(tmp_path, ALONE[name], *(TroubledPool(SCENARIOS[name], factor, ALONE[name]) for factor in (0.5, 2.0)))


OWN = Group(
    "own",
    (
        Rule(
            "ByOperation",
            of="operation_calls_total.rate",
            where={"ending": ("failed", "lost")},
            by="operation",
            over_s=60,
            above=0.5,
            also=(Condition(of="workers", above=0), Condition(of="calls_queued", over_s=60, below=1e9)),
            for_s=30,
            keep_firing_s=60,
            summary="{value:.2f}/s of {operation} in {pool}, {value:%}, {value:bytes}, {missing}{{braces}}",
            labels={"team": "{reading}"},
            annotations={"runbook": "https://example.org/{operation}"},
        ),
        Rule("SlowOperation", of="operation_duration_seconds.p99", by="operation", above=0.5, severity=""),
        Rule(
            "Share",
            of="operation_calls_total",
            where={"ending": "failed"},
            per="operation_calls_total",
            by="operation",
            over_s=120,
            above=0.3,
            summary="{value:%}",
        ),
        Rule("Busier", of="calls_queued", over_s=60, above=1.5, against="hour", summary="{value:.3e}"),
        Rule("Earlier", of="calls_queued", ago_s=600, above=5),
        Rule("Gone", of="calls_total", where={"ending": "ok"}, absent=True),
    ),
)


def test_rules_of_any_kind_fire_in_a_prometheus_too(tmp_path):
    """By operation, with several conditions, against the hour, some time ago, with labels and texts of one's own."""
    curves = (
        of("operation_calls_total", after(1.0), operation="add", ending="failed")
        | of("operation_calls_total", steady(2.0), operation="add", ending="ok")
        | of("calls_queued", lambda s: 2.0 + max(s, 0.0) / 20)
        | of("calls_total", lambda s: s if s < 60 else GONE, ending="ok")
    )
    pool = TroubledPool(Scenario(lambda _: curves, 600.0, lead_s=1200.0), 1.0, OWN)
    judge(tmp_path, OWN, pool)
    assert {alert.name for alert in pool.alerts.history(1000)} == {rule.alert for rule in OWN.rules}


def test_promtool_accepts_every_character(tmp_path):
    """Quotes, line ends, controls and letters of any script arrive as they were written."""
    text = "".join(map(chr, range(1, 0x180))) + "\u2028\u202e\ufeff\U0001f600"
    name, summary = text.replace("{", ""), text.replace("{", "{{").replace("}", "}}")
    group = Group(text, (Rule(name, of="calls_queued", above=-1, summary=summary, labels={"all": text}),))
    pool = TroubledPool(Scenario(lambda _: {}, 60.0, lead_s=0.0), 1.0, group)
    judge(tmp_path, group, pool)
    assert [alert.summary for alert in pool.alerts.firing()] == [text]
