"""The objective a user gives: checked when it is made."""

from __future__ import annotations

import math

import pytest

from millpond.slo import Slo


def test_the_objective_is_a_second_for_99_in_100_unless_said():
    """Without arguments 99 % of the calls start within a second."""
    assert Slo() == Slo(wait=1.0, share=0.99)


@pytest.mark.parametrize("name", ["wait", "share", "latency"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_an_objective_that_is_no_number_is_refused(name, value):
    """Negative, infinite and undefined numbers raise, and name the field."""
    with pytest.raises(ValueError, match=name):
        Slo(**{name: value})


@pytest.mark.parametrize("given", [{"share": 0.0}, {"share": 1.01}, {"latency": 0.0}])
def test_an_objective_out_of_range_is_refused(given):
    """A share lies above 0 and at most at 1; no answer takes no time."""
    with pytest.raises(ValueError, match=next(iter(given))):
        Slo(**given)


@pytest.mark.parametrize("value", ["1", True, None])
def test_an_objective_of_another_type_is_refused(value):
    """What is no number is a mistake of the caller's."""
    with pytest.raises(TypeError, match="wait"):
        Slo(wait=value)


def test_a_latency_leaves_a_call_to_wait_what_its_service_does_not_take():
    """With a latency a call may wait until its answer would come too late, and not at all if it is slower."""
    slo = Slo(latency=2.0)
    assert slo.wait_s(0.5) == 1.5
    assert slo.wait_s(3.0) == 0.0
    assert Slo(wait=0.25).wait_s(3.0) == 0.25
