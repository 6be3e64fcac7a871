"""An alert's states, against a plain account of the rule it follows."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.alerts.evaluation import MOST_CASES, Changes, Watched, WatchedGroup, due
from millpond.alerts.rules import Group, Rule
from millpond.alerts.states import FIRING, INACTIVE, PENDING, RESOLVED, TRANSITIONS, Case
from millpond.core.transitions import IllegalTransition, move
from tests.alerts.shelf import START_MS, Shelf


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


def test_a_rule_without_an_answer_leaves_its_alerts_as_they_were():
    """An ambiguous match is the rule's fault: it neither resolves nor fires, and its problem is told."""
    shelf, changes = Shelf(), Changes()
    shelf.line("queued", [1.0, 1.0], pool="a")
    shelf.line("limit", [5.0, 5.0])
    watched = Watched(Rule(alert="A", expr="queued * on () limit > 0"))
    watched.evaluate(shelf, START_MS, 0.0, changes)
    assert ([alert.name for alert in changes.fired], watched.problem) == (["A"], "")
    shelf.line("limit", [5.0, 5.0], pool="b")
    watched.evaluate(shelf, START_MS + 15_000, 15.0, changes)
    assert "several series" in watched.problem
    assert (watched.state, changes.resolved) == (FIRING, [])


def test_a_rule_that_breaks_the_evaluation_leaves_the_others_alone(caplog):
    """Even a bug in it is the rule's problem: logged once with its traceback."""

    class Broken(Shelf):
        def select(self, matchers: object) -> list[Any]:
            raise RecursionError("deep")

    watched = Watched(Rule(alert="A", expr="queued > 5"))
    for _ in range(3):
        watched.evaluate(Broken(), START_MS, 0.0, Changes())
    assert "RecursionError" in watched.problem
    assert caplog.text.count("cannot be evaluated") == 1


def test_alerts_of_one_rule_are_bounded():
    """An expression with the wrong labels is a problem of the rule, not of the memory."""
    shelf = Shelf()
    for number in range(MOST_CASES + 1):
        shelf.line("queued", [1.0], session=str(number))
    watched = Watched(Rule(alert="A", expr="queued > 0"))
    watched.evaluate(shelf, START_MS, 0.0, Changes())
    assert "at most" in watched.problem
    assert watched.cases == {}


def test_labels_that_fall_together_are_a_problem():
    """Two alerts that nobody could tell apart are not made one in silence."""
    shelf = Shelf()
    for pool in "ab":
        shelf.line("queued", [1.0], pool=pool)
    watched = Watched(Rule(alert="A", expr="queued > 0", labels={"pool": "all"}))
    watched.evaluate(shelf, START_MS, 0.0, Changes())
    assert "several alerts" in watched.problem


def test_a_group_keeps_its_pace():
    """A timer that comes a little early does not cost a round; one that comes often does not add any."""
    group = WatchedGroup(Group("g", (), 15.0))
    evaluated = []
    for ms in (0, 5000, 10_000, 14_900, 20_000, 29_999):
        if due([group], ms, 5000):
            group.evaluate(Shelf(), ms, 0.0, Changes())
            evaluated.append(ms)
    assert evaluated == [0, 14_900, 29_999]


@given(intervals=st.lists(st.sampled_from([5.0, 15.0, 60.0]), min_size=1, max_size=12))
def test_groups_take_turns(intervals):
    """Second by second: one at a time as long as they are in time, and none ever five seconds late."""
    groups = [WatchedGroup(Group(str(number), (), interval)) for number, interval in enumerate(intervals)]
    for ms in range(0, 180_000, 1000):
        turn = due(groups, ms, 5000)
        assert len(turn) <= 1 or all(group.overdue_ms(ms) >= 5000 for group in turn)
        for group in turn:
            group.evaluate(Shelf(), ms, 0.0, Changes())
        assert all(group.overdue_ms(ms) < 5000 for group in groups)
