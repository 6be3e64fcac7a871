"""Who is let in: bounds that are exact, and the order in which a call is judged."""

from __future__ import annotations

import pytest

from millpond.core.records.call import Call
from millpond.errors import PoolClosed, QueueFull
from tests.core.model import World

INF = float("inf")


@pytest.mark.parametrize(("workers", "concurrency", "bound"), [(1, 1, 100), (2, 3, 10), (1, 1, 0)])
def test_the_bound_is_exact(workers, concurrency, bound):
    """Row 17: workers x concurrency + max_queued are accepted in one turn, and everybody else is refused."""
    world = World(min_workers=workers, max_workers=workers, concurrency=concurrency, max_queued=bound).begin()
    answers = [world.submit() for _ in range(bound + 50)]
    accepted = [one for one in answers if isinstance(one, Call)]
    refused = [one for one in answers if isinstance(one, QueueFull)]
    assert (len(accepted), len(refused)) == (workers * concurrency + bound, 50 - workers * concurrency)
    assert {(error.outcome, error.retry_after is not None) for error in refused} == {("not_started", True)}
    world.serve_all()
    assert isinstance(world.submit(), Call)


def test_what_waits_is_bounded_in_bytes_too():
    """With nothing waiting any size is let in; beyond the bound not even a small one."""
    world = World(min_workers=1, max_workers=1, max_queued_bytes=100).begin()
    machine, work = world.machine, world.operation("work")

    def admit(nbytes: int, was_asked: bool = False) -> None:
        machine.submit(Call(next(machine.call_ids), work, bytes(nbytes), INF), world.now, was_asked)

    admit(1000)
    admit(1000)
    for was_asked in (False, True):
        with pytest.raises(QueueFull, match="bytes"):
            admit(1, was_asked)
    assert machine.view.counts["rejected"] == 2


def test_what_is_refused_counts_as_submitted_and_rejected():
    """The ledger closes over refusals as well."""
    world = World(min_workers=1, max_workers=1, max_queued=0).begin()
    for _ in range(3):
        world.submit()
    assert (world.records.submitted, world.records.counts["rejected"]) == (3, 2)
    assert world.records.codes == {"queue_full": 2}


def test_whoever_gives_up_what_was_refused_comes_too_late():
    """Callers on other threads may do so before they are told; the call is over, and counted once."""
    world = World(min_workers=0).begin()
    world.close(0.0)
    refused = Call(7, world.operation("work"), b"", INF)
    with pytest.raises(PoolClosed):
        world.machine.submit(refused, world.now)
    world.cancel(refused)
    assert (refused.state, world.records.counts["rejected"], world.records.counts["cancelled"]) == ("ended", 1, 0)


def test_a_pool_that_does_not_serve_refuses_before_anything_else():
    """The pool's own state is the first reason."""
    world = World(min_workers=0, max_queued=0).begin()
    world.close(0.0)
    assert world.submit().code == "pool_closed"


def test_asking_changes_nothing():
    """`refusal` may be asked as often as anybody likes."""
    world = World(min_workers=1, max_workers=1, max_queued=0).begin()
    machine, work = world.machine, world.operation("work")
    assert machine.refusal(work, None, world.now) is None
    assert machine.refusal(work, None, world.now) is None
    world.submit()
    assert machine.refusal(work, None, world.now).code == "queue_full"
    assert machine.view.submitted == 1
