"""The one step by which calls end, and what breakers learn from it."""

from __future__ import annotations

import pytest

from millpond import events
from tests.core.model import World


def pool(**settings) -> World:
    """Two workers."""
    return World(min_workers=2, max_workers=2, **settings).begin()


def kill_with(world: World, name: str = "work", **options) -> None:
    """One call that costs its worker."""
    call = world.submit(name, **options)
    process = world.processes[call.worker.id]
    world.claim(process)
    world.advance(1.1)
    world.reap(process)
    world.serve_all()


def test_five_deaths_open_the_breaker_of_that_operation_only():
    """Row 20: calls of it are refused with retry_after; others are served."""
    world = pool()
    for _ in range(5):
        kill_with(world)
    refused = world.submit()
    assert (refused.code, refused.outcome) == ("circuit_open", "not_started")
    assert 0 < refused.retry_after <= 5.0
    assert world.submit("tokens").state == "running"


def test_after_the_reset_time_exactly_one_runs():
    """Row 20: of fifty callers one is the probe; when it is answered everybody may pass."""
    world = pool()
    for _ in range(5):
        kill_with(world)
    world.advance(5.0)
    answers = [world.submit() for _ in range(50)]
    assert [getattr(one, "code", "runs") for one in answers] == ["runs"] + ["circuit_open"] * 49
    world.serve_all()
    assert world.submit().state == "running"
    told = [(event.before, event.after) for event in world.events(events.BreakerChanged)]
    assert told == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]


def test_running_deadlines_count_as_deaths_do():
    """An operation that hangs opens its breaker as one that crashes."""
    world = pool(cancel_grace=100.0, breaker_faults=2)
    for _ in range(2):
        call = world.submit(deadline=0.1)
        world.claim(world.processes[call.worker.id])
        world.advance(0.2)
    assert world.submit().code == "circuit_open"


@pytest.mark.parametrize("way", ["handler error", "cancel", "expiry in the queue", "refusal"])
def test_what_is_not_the_operations_fault_never_counts(way):
    """Row 20: handler exceptions, cancels, expiry in the queue and refusals open nothing."""
    world = pool(breaker_faults=1, max_queued=5)
    for _ in range(10):
        if way == "handler error":
            call = world.submit()
            world.answer(world.processes[call.worker.id], "failed")
        elif way == "cancel":
            call = world.submit()
            process = world.processes[call.worker.id]
            world.claim(process)
            world.cancel(call)
            world.complete(process, process.running[call.id], "interrupted")
            world.deliver(process)
        elif way == "expiry in the queue":
            world.submit("tokens", deadline=9.0), world.submit("tokens", deadline=9.0)
            world.submit(deadline=0.01)
            world.advance(0.05)
            world.serve_all()
        else:
            for _ in range(10):
                world.submit()
            world.serve_all()
    assert world.operation("work").breaker.state == "closed"


def test_calls_that_never_ran_do_not_hide_a_fault():
    """A hundred calls that expired in the queue behind five that hung are no sign of health."""
    world = pool(cancel_grace=100.0)
    for process in world.all:
        world.resize(1, 1) if process.record.id == 2 else None
    for _ in range(5):
        hung = world.submit(deadline=0.1)
        world.claim(world.processes[hung.worker.id])
        for _ in range(20):
            world.submit(deadline=0.1)
        world.advance(0.2)
        (process,) = [p for p in world.all if p.running]
        world.complete(process, process.running[hung.id], "interrupted")
        world.deliver(process)
    assert world.submit().code == "circuit_open"


def test_a_function_that_served_long_can_open_its_breaker():
    """Functions are sampled as operations are: answers from before the window do not count."""
    world = pool()
    work = world.records.operations["work"]
    world.records.operations["work"] = world.machine.function("module.function")
    for _ in range(100):
        world.submit()
        world.serve_all()
    world.advance(20.0)
    for _ in range(5):
        kill_with(world)
    assert world.submit().code == "circuit_open"
    world.records.operations["work"] = work


def test_answers_that_are_long_over_do_not_keep_it_closed():
    """Also those of a short burst, which was over before the next look."""
    world = pool()
    world.submit()
    world.advance(0.9)
    for _ in range(100):
        world.serve_all()
        world.submit()
    world.serve_all()
    world.advance(20.0)
    for _ in range(5):
        kill_with(world)
    assert world.submit().code == "circuit_open"


def test_five_deaths_open_it_again():
    """A breaker that closed is as good as new, however many deaths it took to open it the first time."""
    world = pool()
    for _ in range(2):
        for _ in range(5):
            assert world.operation("work").breaker.state == "closed"
            kill_with(world)
        assert world.submit().code == "circuit_open"
        world.advance(5.0)
        world.submit()
        world.serve_all()


def test_a_probe_that_is_cancelled_makes_way():
    """Nothing was learned, so the next caller is the next probe."""
    world = pool(breaker_faults=1)
    kill_with(world)
    world.advance(5.0)
    probe = world.submit()
    assert world.submit().code == "circuit_open"
    world.cancel(probe)
    assert world.submit().state == "running"
    assert world.submit().code == "circuit_open"


def test_an_error_carries_the_calls_number_and_attempts():
    """Whoever reports it can find the call in the log."""
    world = pool()
    call = world.submit()
    world.cancel(call)
    (error,) = world.promises[call.id].told
    assert (error.call_id, error.code) == (call.id, "cancelled")
    assert world.records.codes == {"cancelled": 1}


class Shy(Exception):
    """What it is may not be asked of itself."""

    def __getattribute__(self, name: str):
        raise ValueError(name)


def test_an_exception_that_lies_about_its_class_ends_its_call():
    """It came from a handler: the core asks its type, and its caller has it."""
    world = pool()
    call = world.submit()
    world.machine.answered(call.worker, call.id, "failed", Shy(), 0.0, 0.0, 0, world.now)
    assert call.ending == "failed"
    assert world.records.codes == {"handler_error": 1}
