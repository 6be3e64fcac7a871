"""Health: points with reasons, and four states that are not one another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.metrics.health import PARTS, STATES
from tests.metrics.pond import Pond, Time, Watched

WEIGHTS = {name: part.weight for name, part in PARTS.items()}


def health(each, seconds=30, **facts):
    return Watched(pond=Pond(Time(), **facts)).seconds(seconds, each).health


def part(found, name):
    return next(one for one in found.components if one.name == name)


def full(pond, second, share=1.0):
    """Two workers that are busy for a share of the time."""
    pond.facts |= {"busy_s": 2.0 * share * (second + 1), "available_s": 2.0 * (second + 1)}


def test_a_pool_that_answers_has_all_points_and_no_reasons():
    """Even one whose workers are busy all the time, as long as nothing waits."""

    def work(pond, second):
        pond.call(n=100)
        full(pond, second)

    found = health(work)
    assert (found.score, found.state, found.reason) == (100.0, "healthy", "")
    assert {one.name: one.weight for one in found.components} == WEIGHTS
    assert not any(one.reason for one in found.components)


def test_a_pool_that_has_nothing_to_do_is_healthy():
    """Also without a single worker, if none is wanted."""
    assert health(None, states={}, wanted=0).state == "healthy"


def test_no_workers_is_a_state_of_its_own():
    """Workers are wanted and none is ready: no call can be answered in time. A handler's words are not repeated."""
    found = health(None, states={"starting": 2}, reason="password: canary")
    assert found.state == "no_workers"
    assert found.reason == "no worker is ready, 2 are wanted; `statistics().reason` has the last failure"
    assert part(found, "attainment").reason == "no worker is ready"
    assert found.score == WEIGHTS["errors"] + WEIGHTS["queue_trend"]


@pytest.mark.parametrize("state", ["new", "opening", "draining", "closing", "closed"])
def test_a_pool_that_does_not_serve_lacks_no_workers(state):
    """It has none because it opens or closes."""
    assert health(None, states={}, state=state).state == "healthy"


def test_crash_looping_is_three_losses_within_a_minute():
    """Whether a worker is ready at the moment or not; planned goodbyes do not count."""

    def dying(pond, second):
        pond.facts["deaths"] = {"crashed": second // 10, "recycled": second}

    found = health(dying, seconds=35)
    assert (found.state, part(found, "stability").score) == ("crash_looping", 0.0)
    assert found.reason.startswith("3 workers died")
    assert health(dying, seconds=25).state == "healthy"
    assert health(dying, seconds=35, states={"starting": 2}).state == "crash_looping"


def test_crash_looping_ends_a_minute_after_the_last_loss():
    """The points come back after five."""
    watched = Watched()
    watched.pond.facts["deaths"] = {"crashed": 3}
    assert watched.seconds().health.state == "crash_looping"
    later = watched.seconds(61).health
    assert (later.state, part(later, "stability").score) == ("healthy", 0.0)
    assert watched.seconds(240).health.score == 100.0


def test_saturated_is_busy_workers_and_a_queue_that_takes_long():
    """More workers would help: ten calls a second are done, fifty wait."""

    def work(pond, second):
        pond.call(n=10)
        full(pond, second)
        pond.facts["queued"] = 50

    found = health(work)
    assert found.state == "saturated"
    assert found.reason == "workers are 100% busy, 50 calls wait, 5.0 s of work"
    assert 0.0 < part(found, "saturation").score < WEIGHTS["saturation"]


def test_saturated_is_also_a_door_that_is_closed_to_calls():
    """Short deadlines keep the queue short: calls that cannot make it are refused, and the workers have no room."""

    def refuse(pond, second):
        pond.call(n=50)
        pond.call("rejected", code="overloaded", n=1)
        full(pond, second, 0.95)

    found = health(refuse)
    assert found.state == "saturated"
    assert found.reason.endswith("10 were refused in 10 s")
    assert health(lambda pond, second: (refuse(pond, second), full(pond, second, 0.5))).state == "healthy"


def test_a_queue_that_clears_at_once_is_no_saturation():
    """A batch keeps a pool busy; its calls wait a tenth of a second."""

    def work(pond, second):
        pond.call(n=1000)
        full(pond, second)
        pond.facts["queued"] = 100

    assert health(work).state == "healthy"


def test_slow_is_late_calls_with_workers_to_spare():
    """More workers would not help."""

    def work(pond, second):
        pond.call(n=50)
        pond.call(ending="expired", code="deadline_exceeded")
        full(pond, second, 0.3)

    found = health(work)
    assert found.state == "slow"
    assert found.reason == "30 of 1530 calls missed their deadline in the last minute"
    assert 0.0 < part(found, "attainment").score < WEIGHTS["attainment"]
    assert part(found, "errors").score == WEIGHTS["errors"]


def test_slow_is_also_three_times_as_long_as_usual():
    """No deadline is missed yet; soon after it began and for some minutes, until it is usual."""
    watched = Watched()
    watched.seconds(840, lambda pond, _: pond.call(service=0.02, n=10))
    assert watched.collector.snapshot().health.state == "healthy"
    for seconds, state in ((10, "slow"), (60, "slow"), (300, "slow"), (300, "healthy")):
        assert watched.seconds(seconds, lambda pond, _: pond.call(service=0.2, n=10)).health.state == state


def test_microseconds_are_never_slow():
    """A pool that took 20 µs and takes 200 has no problem of that name."""
    watched = Watched()
    watched.seconds(840, lambda pond, _: pond.call(wait=0.0, service=2e-5, n=10))
    watched.seconds(50, lambda pond, _: pond.call(wait=0.0, service=2e-4, n=10))
    assert watched.collector.snapshot().health.state == "healthy"


def test_callers_errors_cost_no_points_and_others_do():
    """Whoever gives calls up, or sends what does not fit, makes no pool sick."""
    cancelled = health(lambda pond, _: pond.call(ending="cancelled", code="cancelled"))
    assert cancelled.score == 100.0
    died = health(lambda pond, _: (pond.call(n=19), pond.call(ending="lost", code="worker_died")))
    assert part(died, "errors").score == pytest.approx(WEIGHTS["errors"] / 2)
    assert part(died, "errors").reason == "5.0% of calls failed"


def test_a_growing_queue_costs_points_before_it_is_long():
    """On average of its last and its first third, so that one burst does not."""

    def grow(pond, second):
        pond.call(n=1000)
        pond.facts["queued"] = second // 20

    found = health(grow, seconds=60)
    assert 0.0 < part(found, "queue_trend").score < WEIGHTS["queue_trend"]
    assert part(found, "queue_trend").reason == "the queue grew by 2.0 calls in the last minute"
    burst = health(lambda pond, second: pond.facts.update(queued=10 if second == 30 else 0), seconds=60)
    assert part(burst, "queue_trend").score == WEIGHTS["queue_trend"]


def test_a_partial_warm_up_is_noted():
    """It costs no points: such workers serve."""
    found = health(None, not_warm=1)
    assert found.notes == ("1 workers are not fully warm, see `statistics().not_warm`",)


def test_the_monitors_own_troubles_are_noted_and_cost_nothing():
    """A listener that raised is visible in health."""
    found = health(None, listeners_removed=2)
    assert found.notes == ("2 listeners raised and were removed",)
    assert found.score == 100.0


@given(
    st.integers(0, 50), st.integers(0, 5), st.integers(0, 5), st.integers(0, 400), st.floats(0, 1), st.integers(0, 2)
)
def test_points_are_the_sum_of_the_parts_and_each_loss_has_a_reason(ok, expired, lost, queued, busy, ready):
    """Whatever happens."""

    def work(pond, second):
        pond.call(n=ok)
        pond.call(ending="expired", code="deadline_exceeded", n=expired)
        pond.call(ending="lost", code="worker_died", n=lost)
        full(pond, second, busy)
        pond.facts |= {"queued": queued, "states": {"ready": ready}}

    found = health(work, seconds=5)
    assert found.score == pytest.approx(sum(one.score for one in found.components))
    assert 0.0 <= found.score <= 100.0
    assert found.state in STATES
    assert bool(found.reason) == (found.state != "healthy")
    for one in found.components:
        assert 0.0 <= one.score <= one.weight
        assert bool(one.reason) == (one.score < one.weight)
