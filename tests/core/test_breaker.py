"""The breaker on its own, and as a state machine against a plain account of its rule."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from millpond.core.records.breaker import LONGEST_RESET, TRANSITIONS, Breaker, BreakerRule
from millpond.core.records.states import IllegalTransition, move

RULE = BreakerRule(faults=5, share=0.8, window=10.0, reset=5.0)


def opened(now: float = 100.0) -> Breaker:
    """A breaker that five faults have opened."""
    breaker = Breaker(RULE)
    for number in range(5):
        breaker.fault(number, now, number + 1)
    assert breaker.state == "open"
    return breaker


def half_open(now: float = 200.0, probe: int = 50) -> Breaker:
    """A breaker whose probe is on its way."""
    breaker = opened(now - 50.0)
    breaker.admitted(probe, now)
    return breaker


def test_five_faults_open_it():
    """Deaths and hangs that are most of what the operation did, within the window."""
    breaker = opened()
    assert breaker.wait(100.0) == 5.0
    assert breaker.wait(105.0) is None


def test_faults_among_successes_do_not_open_it():
    """Five deaths among ten answers are no reason to refuse the operation."""
    breaker = Breaker(RULE)
    for number in range(5):
        breaker.fault(number, 100.0, 10 + number + 1)
    assert breaker.state == "closed"


def test_successes_before_the_window_do_not_keep_it_closed():
    """A million good answers an hour ago say nothing about now."""
    breaker = Breaker(RULE)
    for second in range(60):
        breaker.sample(float(second), 1_000_000)
    for number in range(5):
        breaker.fault(number, 60.0, 1_000_000 + number + 1)
    assert breaker.state == "open"


def test_runs_of_a_young_pool_count():
    """What ended before the first sample is in the window all the same."""
    breaker = Breaker(RULE)
    breaker.sample(0.5, 100)
    for number in range(5):
        breaker.fault(number, 0.6, 100 + number + 1)
    assert breaker.state == "closed"


def test_faults_out_of_the_window_are_forgotten():
    """One fault every three seconds is four in ten."""
    breaker = Breaker(RULE)
    for number in range(20):
        breaker.fault(number, 100.0 + 3.0 * number, number + 1)
    assert breaker.state == "closed"


def test_half_open_lets_exactly_one_through():
    """After the reset time the first call is the probe and all others wait for what becomes of it."""
    breaker = opened()
    assert breaker.wait(104.9) == pytest.approx(0.1)
    assert breaker.wait(105.0) is None
    breaker.admitted(50, 105.0)
    assert breaker.state == "half_open"
    assert all(breaker.wait(105.0 + seconds) is not None for seconds in (0.0, 1.0, 100.0))
    breaker.admitted(51, 200.0)
    assert breaker.probe == 50


def test_a_probe_that_is_answered_closes_it():
    """Afterwards the count starts anew, with the first reset time."""
    breaker = half_open()
    breaker.probe_ended(50, 201.0, 7, success=True)
    assert (breaker.state, breaker.probe) == ("closed", None)
    breaker.fault(51, 201.0, 1000)
    assert breaker.state == "closed"


def test_a_breaker_that_closed_again_opens_at_the_same_number_of_faults():
    """Its baseline starts anew: the deaths that opened it are no endings that speak for the operation."""
    breaker = half_open(now=100.0)
    breaker.probe_ended(50, 100.0, 6, success=True)
    for number in range(4):
        breaker.fault(60 + number, 100.5, 7 + number)
    assert breaker.state == "closed"
    breaker.fault(64, 100.5, 11)
    assert breaker.state == "open"


def test_a_probe_that_dies_doubles_the_wait():
    """5 s, then 10, then 20, and never more than five minutes."""
    breaker, now, waits = opened(), 105.0, []
    for number in range(8):
        breaker.admitted(50 + number, now)
        breaker.fault(50 + number, now, 1000)
        waits.append(breaker.wait(now))
        now = breaker.open_until
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, LONGEST_RESET, LONGEST_RESET, LONGEST_RESET]


def test_a_probe_that_told_nothing_makes_way_for_the_next():
    """Cancelled or expired in the queue: the next call is the next probe, at once."""
    breaker = half_open()
    breaker.probe_ended(50, 201.0, 7, success=False)
    assert breaker.state == "open"
    assert breaker.wait(201.0) is None


def test_only_the_probe_decides():
    """Calls let in before it opened may end as they like."""
    breaker = half_open()
    breaker.probe_ended(7, 201.0, 7, success=True)
    breaker.fault(8, 201.0, 1000)
    assert (breaker.state, breaker.probe) == ("half_open", 50)


def test_an_illegal_step_changes_nothing():
    """From closed to half open leads no way."""
    breaker = Breaker(RULE)
    with pytest.raises(IllegalTransition):
        move(breaker, "half_open", TRANSITIONS)
    assert breaker.state == "closed"


class Traffic(RuleBasedStateMachine):
    """Calls that ask first, end somehow, and a plain account of what the breaker should be."""

    @initialize(faults=st.integers(1, 4), share=st.sampled_from([0.0, 0.5, 1.0]))
    def begin(self, faults: int, share: float) -> None:
        self.breaker = Breaker(BreakerRule(faults, share, 10.0, 5.0))
        self.now, self.number, self.ended = 0.0, 0, 0
        self.on_their_way: list[int] = []
        self.faults: list[float] = []
        self.endings: list[float] = []
        self.let_through_half_open = 0

    @rule(seconds=st.sampled_from([0.0, 0.4, 1.0, 3.0, 7.0, 20.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, with the samples twice a second that the pool takes."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            self.breaker.sample(self.now, self.ended)

    @rule(calls=st.integers(1, 5))
    def call(self, calls: int) -> None:
        """Callers ask and are let through or not."""
        for _ in range(calls):
            before = self.breaker.state
            if self.breaker.wait(self.now) is not None:
                assert before != "closed"
                continue
            self.number += 1
            self.breaker.admitted(self.number, self.now)
            self.on_their_way.append(self.number)
            assert before != "half_open", "a second probe"
            assert self.breaker.state == ("half_open" if before == "open" else "closed")

    @precondition(lambda self: self.on_their_way)
    @rule(which=st.integers(0, 99), how=st.sampled_from(["ok", "nothing", "fault", "fault", "fault"]))
    def end(self, which: int, how: str) -> None:
        """One of them ends."""
        call = self.on_their_way.pop(which % len(self.on_their_way))
        before, was_probe = self.breaker.state, call == self.breaker.probe
        if how == "fault":
            self.ended += 1
            self.breaker.fault(call, self.now, self.ended)
        else:
            self.ended += how == "ok"
            self.breaker.probe_ended(call, self.now, self.ended, success=how == "ok")
        if how != "nothing":
            self.endings.append(self.now)
        if how == "fault" and before == "closed":
            self.faults.append(self.now)
        self._compare(before, was_probe, how)

    def _compare(self, before: str, was_probe: bool, how: str) -> None:
        after = self.breaker.state
        if before == "half_open":
            assert after == ({"ok": "closed"}.get(how, "open") if was_probe else "half_open")
        elif before == "open":
            assert after == "open"
        else:
            faults = sum(at >= self.now - 10.0 for at in self.faults)
            # The share is told from samples half a second apart: runs somewhat older than the window may be counted.
            at_least, at_most = (sum(at > self.now - s for at in self.endings) for s in (10.0, 11.0))
            rule = self.breaker.rule
            if how != "fault" or faults < max(rule.faults, rule.share * at_least):
                assert after == "closed"
            elif faults >= max(rule.faults, rule.share * at_most):
                assert after == "open"
        if after != before:
            self.faults.clear()
        if after == "closed" != before:
            self.endings.clear()


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=150, stateful_step_count=40)
