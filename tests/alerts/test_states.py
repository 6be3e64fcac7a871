"""An alert's states, against a plain account of the rule it follows."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.alerts.rules import Rule
from millpond.alerts.samples import SampleStore
from millpond.alerts.states import (
    FIRING,
    INACTIVE,
    MOST_CASES,
    PENDING,
    RESOLVED,
    TRANSITIONS,
    Case,
    Changes,
    WatchedRule,
    filled,
    fingerprint,
    labels_of,
    text_of,
)
from millpond.core import move
from millpond.core.records.states import IllegalTransition
from tests.alerts.made import gauges


@given(holding=st.lists(st.booleans(), max_size=30), hold=st.integers(0, 5), keep=st.integers(0, 5))
def test_the_states_follow_from_when_it_held(holding, hold, keep):
    """Firing: it held at `hold` moments' distance, or did so while firing at most `keep` moments ago."""
    case, since, fires, gone = None, None, False, None
    for moment, holds in enumerate(holding):
        if holds:
            case = case or Case("A", (), moment, float(moment))
            since = moment if since is None else since
            gone = None
            began = case.holds(moment, float(moment), hold)
            assert began == (not fires and moment - since >= hold)
            fires = fires or began
            assert case.state == (FIRING if fires else PENDING)
        elif case is not None:
            gone = moment if gone is None else gone
            over = case.fails(moment, float(moment), keep)
            assert over == (not fires or keep == 0 or moment - gone >= keep)
            if over:
                assert case.state == (RESOLVED if fires else INACTIVE)
                case, since, fires, gone = None, None, False, None


def test_an_illegal_step_changes_nothing():
    """What is over stays over: the next time is another case."""
    case = Case("A", (), 0, 0.0)
    case.holds(0, 0.0, 0)
    case.fails(1, 1.0, 0)
    with pytest.raises(IllegalTransition):
        move(case, PENDING, TRANSITIONS)
    assert case.state == RESOLVED


def watched(rule: Rule, values: dict[str, float], label: str = "pool") -> tuple[WatchedRule, SampleStore]:
    """A rule, and samples of a queue's length by the values of a label."""
    one, store = WatchedRule(rule), SampleStore(5.0)
    store.want(one.names)
    store.take([gauges("millpond_calls_queued", label, values)], 0)
    return one, store


def test_a_rule_that_cannot_be_evaluated_leaves_its_alerts_as_they_were():
    """Two alerts that nobody could tell apart are not made one in silence; nothing is resolved, nothing fires."""
    rule = Rule("A", of="calls_queued", above=0, labels={"pool": "all"})
    one, store = watched(rule, {"a": 1.0})
    changes = Changes()
    one.evaluate(store, 0, 0.0, changes)
    assert ([alert.name for alert in changes.fired], one.problem) == (["A"], "")
    store.take([gauges("millpond_calls_queued", "pool", {"a": 1.0, "b": 1.0})], 5000)
    one.evaluate(store, 5000, 5.0, changes)
    assert "several alerts" in one.problem
    assert (one.state, changes.resolved) == (FIRING, [])


def test_a_rule_that_breaks_the_evaluation_leaves_the_others_alone(caplog):
    """Even a bug in it is the rule's problem: logged once with its traceback."""

    class Broken(SampleStore):
        def series(self, name: str) -> Any:
            raise RecursionError("deep")

    one = WatchedRule(Rule("A", of="calls_queued", above=5))
    for _ in range(3):
        one.evaluate(Broken(5.0), 0, 0.0, Changes())
    assert "RecursionError" in one.problem
    assert caplog.text.count("cannot be evaluated") == 1


def test_alerts_of_one_rule_are_bounded():
    """A label that is told apart and has no end is a problem of the rule, not of the memory."""
    values = {str(number): 1.0 for number in range(MOST_CASES + 1)}
    one, store = watched(Rule("A", of="calls_queued", above=0), values, "session")
    one.evaluate(store, 0, 0.0, Changes())
    assert "at most" in one.problem
    assert one.cases == {}


def test_texts_have_labels_and_value():
    """In the formats that there are; a label that is not there is empty, and what looks like a field in one stays."""
    texts = {"a": "{value} {value:.2f} {value:%} {value:bytes}", "b": "{pool}{missing} {{x}}"}
    assert filled(texts, (("pool", "{value}"),), 1536.0) == {"a": "1536 1536.00 1.536e+05% 1.5kiB", "b": "{value} {x}"}
    assert filled({"a": "{value:bytes}"}, (), -3.0 * 2**61)["a"] == "-6144PiB"


def test_a_fingerprint_is_that_of_alertmanager():
    """So that a receiver knows an alert whichever of the two sends it."""
    assert fingerprint(labels_of({"b": "", "alertname": "A", "pool": "a"})) == fingerprint(
        (("alertname", "A"), ("pool", "a"))
    )
    assert fingerprint(()) == "cbf29ce484222325"
    assert text_of((("a", 'x"y'),)) == '{a="x\\"y"}'
