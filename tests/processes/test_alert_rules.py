"""Rules mean here what they mean in Prometheus: promtool checks our files and replays our evaluations."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from millpond.alerts import rulefile
from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.evaluation import Changes, WatchedGroup
from millpond.alerts.rules import Group, Rule
from millpond.alerts.series import EVERYTHING, SeriesStore
from millpond.metrics.catalogue import Family
from tests.processes.prometheus_rig import promtool

MINUTE_MS = 60_000
GONE = None  # a series that a scrape does not have


def test_promtool_accepts_the_default_rules(tmp_path):
    """The file the pool writes is one that a Prometheus loads."""
    path = tmp_path / "rules.yml"
    path.write_text(rulefile.write(DEFAULT_GROUPS))
    code, told = promtool("check", "rules", str(path))
    assert code == 0, told
    assert f"{sum(len(group.rules) for group in DEFAULT_GROUPS)} rules found" in told


def test_promtool_accepts_every_character(tmp_path):
    """Quotes, line ends, controls and letters of any script arrive as they were written."""
    text = "".join(map(chr, range(1, 0x180))) + "\u2028\u202e\ufeff\U0001f600"
    rule = Rule(alert=text.replace("{", ""), expr="vector(1)", annotations={"summary": text})
    path = tmp_path / "rules.yml"
    path.write_text(rulefile.write([Group(text, (rule,))]))
    code, told = promtool("check", "rules", str(path))
    assert code == 0, told
    assert rulefile.read(path.read_text())[0].rules[0].annotations["summary"] == text


RULES = (
    Rule(alert="AtOnce", expr="queued > 5", annotations={"value": "{{ $value }} in {{ $labels.pool }}"}),
    Rule(alert="Held", expr="queued > 5", for_s=120.0, labels={"severity": "warning", "team": "{{ $labels.pool }}-x"}),
    Rule(alert="Kept", expr="queued > 5", for_s=60.0, keep_firing_s=180.0),
    Rule(alert="KeptLong", expr="queued > 5", keep_firing_s=600.0, annotations={"v": "{{ humanize $value }}"}),
    Rule(
        alert="Rate",
        expr="rate(calls_total[5m]) > 0.02",
        for_s=60.0,
        annotations={"a": "{{ $value | humanize }}", "b": '{{ printf "%.3f" $value }}', "c": "{{$value|humanize1024}}"},
    ),
    Rule(
        alert="Share",
        expr="queued / on (pool) sum by (pool) (queued) > 0.1",
        annotations={"p": "{{ $value | humanizePercentage }}", "d": "{{ humanizeDuration $value }}"},
    ),
    Rule(alert="Gone", expr='absent(queued{pool="a"})', for_s=60.0, labels={"severity": "critical"}),
    Rule(alert="Always", expr="1", annotations={"v": "{{ $value }} {{ $labels.nothing }}"}),
)


def story(seed: int, minutes: int) -> dict[tuple[str, str], list[float | None]]:
    """A queue and a counter of two pools, minute by minute, now and then not there at all."""
    chance = random.Random(seed)
    told: dict[tuple[str, str], list[float | None]] = {}
    for pool in "ab":
        total, queued, calls = 0.0, [], []
        level = 0.0
        for _ in range(minutes):
            if chance.random() < 0.4:
                level = chance.choice([GONE, 0.0, 3.0, 6.0, 1234.5])
            total = 0.0 if chance.random() < 0.05 else total + chance.choice([0, 0, 1, 7, 2000])
            queued.append(level)
            calls.append(total)
        told["queued", pool], told["calls_total", pool] = queued, calls
    return told


def in_notation(values: list[float | None]) -> str:
    """The values as promtool takes them; a series that ends is marked as stale."""
    before = [GONE, *values]
    words = []
    for previous, value in zip(before, values, strict=False):
        words.append(f"{value:g}" if value is not GONE else "_" if previous is GONE else "stale")
    return " ".join(words)


def firing_minute_by_minute(told: dict[tuple[str, str], list[float | None]], minutes: int) -> list[list[Any]]:
    """For each minute, what our evaluation has firing: name, labels and annotations."""
    store, watched, found = SeriesStore(5.0), WatchedGroup(Group("g", RULES, 60.0)), []
    store.want(EVERYTHING)
    for minute in range(minutes):
        families = [
            Family(name, "gauge", "", "", [("", (("pool", pool),), value)])
            for (name, pool), values in told.items()
            if (value := values[minute]) is not GONE
        ]
        store.take(families, minute * MINUTE_MS)
        watched.evaluate(store, minute * MINUTE_MS, float(minute), Changes())
        cases = [case for rule in watched.rules for case in rule.cases.values() if case.state == "firing"]
        found.append([(case.name, dict(case.labels), dict(case.annotations)) for case in cases])
    return found


@pytest.mark.parametrize("seed", range(12))
def test_promtool_finds_the_same_alerts_firing(tmp_path, seed):
    """`for`, `keep_firing_for`, series that come and go, counters that reset, labels and texts: minute by minute."""
    minutes = 60
    told = story(seed, minutes)
    firing = firing_minute_by_minute(told, minutes)
    tests = [
        {
            "eval_time": f"{minute}m",
            "alertname": rule.alert,
            "exp_alerts": [
                {
                    "exp_labels": {key: value for key, value in labels.items() if key != "alertname"},
                    "exp_annotations": annotations,
                }
                for name, labels, annotations in firing[minute]
                if name == rule.alert
            ],
        }
        for minute in range(minutes)
        for rule in RULES
    ]
    series = [{"series": f'{name}{{pool="{pool}"}}', "values": in_notation(v)} for (name, pool), v in told.items()]
    (tmp_path / "rules.yml").write_text(rulefile.write([Group("g", RULES, 60.0)]))
    whole = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": tests}],
    }
    (tmp_path / "test.yml").write_text(json.dumps(whole))
    code, answer = promtool("test", "rules", "test.yml", folder=tmp_path)
    assert code == 0, answer[:3000]
    assert {name for minute in firing for name, _, _ in minute} >= {"AtOnce", "Held", "Kept", "KeptLong", "Always"}
