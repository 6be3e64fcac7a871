"""The clairvoyant's bill, against figures worked out by hand and a slow way to the same."""

from __future__ import annotations

from random import Random

import pytest

from millpond.simulator.clairvoyant import clairvoyant_worker_seconds


@pytest.mark.parametrize(("t0", "paid"), [(0.0, 6.5), (2.0, 2.5)])
def test_a_worker_is_kept_if_that_is_no_dearer_than_another_start(t0, paid):
    """Two seconds of starting are saved by half a second of idling, and not by seven and a half."""
    assert clairvoyant_worker_seconds([0.0, 1.0, 1.5, 10.0], [1.0] * 4, 2.0, t0, 10.0) == paid


def test_what_becomes_free_as_a_request_comes_serves_it():
    """No start is paid for a request that comes at the moment at which another ends."""
    assert clairvoyant_worker_seconds([5.0, 6.0], [1.0, 1.0], 0.5, 0.0, 100.0) == 2.5


def test_it_pays_as_the_rule_says_step_by_step():
    """The same as the rule's sentences, carried out one by one, on random requests."""
    random = Random(5)
    for _ in range(50):
        arrivals = sorted(round(random.uniform(0, 30), 1) for _ in range(40))
        services = [random.choice([0.1, 0.5, 3.0]) for _ in arrivals]
        for cold_s in (0.2, 2.0):
            paid = clairvoyant_worker_seconds(arrivals, services, cold_s, 6.0, 30.0)
            assert paid == pytest.approx(_step_by_step(arrivals, services, cold_s, 6.0, 30.0))


def _step_by_step(arrivals, services, cold_s, t0, t1):
    def cut(begin, end):
        return max(0.0, min(end, t1) - max(begin, t0))

    workers, paid = [], 0.0  # when each finishes, or became free
    for arrival, service in zip(arrivals, services, strict=True):
        free = [finish for finish in workers if finish <= arrival]
        if free:
            latest = max(free)
            workers.remove(latest)
            paid += cut(latest, arrival) if arrival - latest <= cold_s else cut(arrival - cold_s, arrival)
        else:
            paid += cut(arrival - cold_s, arrival)
        paid += cut(arrival, arrival + service)
        workers.append(arrival + service)
    return paid
