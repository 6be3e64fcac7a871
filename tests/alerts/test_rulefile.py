"""Rule files: what is read, what is refused, and that a written one is read back."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.alerts import rulefile
from millpond.alerts.defaults import DEFAULT_GROUPS
from millpond.alerts.rules import Group, Rule, RuleError

texts = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
seconds = st.integers(0, 10**7).map(lambda tenths: tenths / 10)
rules = st.builds(
    Rule,
    alert=texts.filter(bool),
    expr=st.sampled_from(["up == 0", 'rate(x{a="\\"b"}[5m]) > 1']),
    for_s=seconds,
    keep_firing_s=seconds,
    labels=st.dictionaries(names, texts, max_size=2),
    annotations=st.dictionaries(names, texts, max_size=2),
)
groups = st.lists(
    st.builds(Group, texts.filter(bool), st.lists(rules, max_size=3).map(tuple), seconds.filter(bool)),
    max_size=3,
    unique_by=lambda group: group.name,
)

WHOLE = """
groups:
  - name: mine
    interval: 30s
    rules:
      - alert: Queue
        expr: millpond_calls_queued > 10
        for: 1m30s
        keep_firing_for: 5m
        labels: {severity: page}
        annotations:
          summary: "{{ $value }} wait"
"""


@given(groups)
def test_what_is_written_is_read_back(groups):
    """Names, durations and texts of any characters."""
    assert rulefile.read(rulefile.write(groups)) == tuple(groups)


@pytest.mark.parametrize("name", ["on", "NO", "True", "null"])
def test_a_label_may_be_called_like_a_truth_value(name):
    """YAML has words that mean something else unless they are quoted."""
    rule = Rule(alert="A", expr="up == 0", labels={name: "x"}, annotations={name: "y"})
    assert rulefile.read(rulefile.write([Group("g", (rule,))])) == (Group("g", (rule,)),)


def test_a_file_in_prometheus_shape_is_read():
    """YAML as people write it."""
    ((rule,),) = (group.rules for group in rulefile.read(WHOLE))
    assert (rule.for_s, rule.keep_firing_s, rule.labels) == (90.0, 300.0, {"severity": "page"})


def test_json_is_read_too():
    """It needs no YAML library."""
    rule = {"alert": "A", "expr": "up", "for": "1m"}
    (group,) = rulefile.read(json.dumps({"groups": [{"name": "g", "rules": [rule]}]}))
    assert group == Group("g", (Rule(alert="A", expr="up", for_s=60.0),), 15.0)


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("keep_firing_for", "keep_fireing_for", "did you mean 'keep_firing_for'"),
        ("interval", "limit", "unknown key 'limit'"),
        ("alert: Queue", "record: x", "only alert rules"),
        ("1m30s", "90", "no duration"),
        ("> 10", "> > 10", "rule 'Queue': unexpected '>'"),
        ("queued > 10", "queued[5m]", "range"),
        ("queued > 10", "queued offset 2d > 1", "looks back"),
        ("$value }}", "$value", "unpaired"),
        ("severity", "__name__", "no name of a label"),
        ("severity: page", "severity: 5", "names to texts"),
        ("alert: Queue", "alert: ''", "needs a name"),
        ("name: mine", "name: ''", "needs a name"),
        ("groups:", "groups: ]", "no YAML"),
        ("groups:\n", "groups:\n  - {name: mine}\n", "two groups 'mine'"),
        ("groups:", "- groups:", "no mapping"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(before, after, word):
    """The message says which rule and why."""
    assert before in WHOLE
    with pytest.raises(RuleError) as raised:
        rulefile.read(WHOLE.replace(before, after))
    assert word in str(raised.value)


def test_the_default_rules_say_what_to_do():
    """Each has a severity, a summary that names the pool, and an answer."""
    everything = [rule for group in DEFAULT_GROUPS for rule in group.rules]
    for rule in everything:
        assert rule.labels["severity"] in ("critical", "warning", "info")
        assert set(rule.annotations) == {"summary", "answer"}
    assert len({rule.alert for rule in everything}) == len(everything)
