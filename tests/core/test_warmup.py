"""Warm-up commands: what they keep from serving, in which order they run, and what their failing costs."""

from __future__ import annotations

import pytest

from millpond import events
from millpond.core.records.worker import READY, SPARE, STOPPING, WARMING
from millpond.errors import CLASSES
from millpond.seams import Death
from tests.core.model import World


def opened(warmups: str, **settings) -> World:
    """A pool whose workers have answered their handshakes and wait for their warm-up."""
    world = World(warmups=warmups, **{"min_workers": 1, "max_workers": 1, **settings})
    for process in world.all:
        world.get_ready(process)
    return world


def test_a_worker_is_given_no_calls_before_it_is_warm():
    """It stays warming, however long nobody begins its warm-up."""
    world = opened("r")
    (process,) = world.all
    world.advance(200.0)
    assert (process.record.state, world.records.ready_count) == (WARMING, 0)
    run = world.warm(process.record)
    world.machine.serve(world.now)
    call = world.submit()
    assert call.state == "queued"
    world.serve_all()
    assert (run.is_over, process.record.state, call.ending) == (True, READY, "ok")


def test_commands_run_in_order_one_at_a_time():
    """The next is sent when the worker has come back from the one before."""
    world = opened("rbr")
    (process,) = world.all
    run = world.warm(process.record)
    for done in range(3):
        assert (len(run.steps), len(process.waiting)) == (done, 1)
        world.answer(process)
        world.tick()
    assert [step.command.name for step in run.steps] == ["r0", "b1", "r2"]
    assert process.record.state == READY
    told = world.events(events.WarmingCommand)
    assert [(event.command, event.outcome, event.done, event.of) for event in told] == [
        ("r0", "ok", 1, 3),
        ("b1", "ok", 2, 3),
        ("r2", "ok", 3, 3),
    ]


def test_a_worker_whose_required_command_fails_is_replaced_within_the_budget():
    """It never serves; the next start waits for its pause, and the reason is known."""
    world = opened("br", restart_backoff=1.0)
    (process,) = world.all
    run = world.warm(process.record)
    world.answer(process)
    world.tick()
    world.answer(process, "failed")
    world.tick()
    assert process.is_killed
    assert "'r1' failed" in world.records.failure
    world.reap(process)
    assert not world.processes
    assert (run.is_over, world.records.sizing.fails, world.records.warm_failures) == (True, 1, {"r1": 1})
    world.advance(3.0)
    assert len(world.processes) == 1


def test_a_best_effort_command_may_fail_and_is_seen():
    """The worker serves, the pool says which part of the warm-up failed, and warming it again makes it well."""
    world = opened("br")
    (process,) = world.all
    world.warm(process.record)
    world.answer(process, "failed")
    world.tick()
    world.serve_all()
    world.machine.serve(world.now)
    assert process.record.state == READY
    assert world.machine.view.health() == ("degraded", "1 of 1 workers are not fully warm: b0 failed")
    world.warm(process.record)
    world.serve_all()
    assert world.machine.view.health() == ("ready", "")
    assert world.records.warm_failures == {"b0": 1}


def test_a_command_that_takes_too_long_is_stopped():
    """Its deadline begins when it is sent; interrupted in time the worker goes on with the next."""
    world = opened("bb")
    (process,) = world.all
    run = world.warm(process.record)
    world.claim(process)
    world.advance(1.6)
    (frame,) = process.running.values()
    assert frame.is_interrupted
    world.complete(process, frame, "interrupted")
    world.serve_all()
    assert [step.outcome for step in run.steps] == ["expired", "ok"]
    assert "longer than 1.5 s" in str(run.steps[0].error)
    assert process.record.state == READY


def test_a_command_that_cannot_be_stopped_costs_its_worker():
    """The grace is over: the worker is killed, as for any call, and its start counts as failed."""
    world = opened("b", cancel_grace=0.5)
    (process,) = world.all
    run = world.warm(process.record)
    world.claim(process)
    world.advance(2.5)
    assert process.is_killed
    world.reap(process)
    assert [step.outcome for step in run.steps] == ["expired"]
    assert world.records.sizing.fails == 1


@pytest.mark.parametrize("begun", [True, False])
def test_a_worker_that_dies_of_its_warm_up_counts_as_a_failed_start(begun):
    """Nothing of its commands is given to another worker."""
    world = opened("rr")
    (process,) = world.all
    run = world.warm(process.record)
    if begun:
        world.claim(process)
    world.reap(process, Death(11, None))
    assert [step.outcome for step in run.steps] == ["lost"]
    assert run.is_over
    assert "ended with signal 11" in run.failure
    assert world.records.sizing.fails == 1
    assert not list(world.records.queue)


def test_a_serving_worker_is_warmed_between_calls():
    """It stays in service: callers' calls run before and after each command."""
    world = World(min_workers=1, max_workers=1, warmups="").begin()
    (process,) = world.all
    first = world.submit()
    world.commands = [world.command("b0", False), world.command("b1", False)]
    run = world.warm(process.record)
    second = world.submit()
    assert [frame.call for frame in process.waiting] == [first]
    world.serve_all()
    assert (first.ending, second.ending, run.is_over, len(run.steps)) == ("ok", "ok", True, 2)
    assert world.records.submitted == 2


def test_only_one_serving_worker_goes_for_a_failing_warm_up():
    """While starts fail the others stay: cold as they are, they serve."""
    world = World(min_workers=2, max_workers=2).begin()
    world.commands = [world.command("r0", True)]
    for process in world.all:
        world.warm(process.record)
    for process in world.all:
        world.answer(process, "failed")
    world.tick()
    assert sorted(process.record.state for process in world.all) == [READY, STOPPING]


def test_a_spare_is_warmed_as_well():
    """It stands by when its commands are through."""
    world = opened("r", spare_workers=1)
    for process in world.all:
        world.warm(process.record)
    world.serve_all()
    assert sorted(process.record.state for process in world.all) == [READY, SPARE]


def test_a_worker_nobody_warms_is_replaced():
    """The strategy stopped: what it did not get to is no worker."""
    world = opened("r")
    (process,) = world.all
    world.refuse_warmup(process.record)
    assert process.is_killed
    assert "was not warmed" in world.records.failure


def test_a_worker_is_in_one_warm_up_at_a_time():
    """A second is over at once, and says why."""
    world = opened("r")
    (process,) = world.all
    first, second = world.warm(process.record), world.warm(process.record)
    assert (first.is_over, second.is_over, second.failure) == (False, True, "it is being warmed already")


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_serving_worker_whose_warm_up_is_given_up_goes_on_serving(is_claimed):
    """The command at work is interrupted, no other is given, and nothing of it is held against the worker."""
    world = World(min_workers=1, max_workers=1).begin()
    (process,) = world.all
    world.commands = [world.command("r0", True), world.command("b1", False)]
    run = world.warm(process.record)
    if is_claimed:
        world.claim(process)
    world.give_up_warmup(run)
    if is_claimed:
        (frame,) = process.running.values()
        assert frame.is_interrupted
        world.complete(process, frame, "interrupted")
        world.deliver(process)
    world.serve_all()
    assert (run.is_over, run.failure, [step.outcome for step in run.steps]) == (True, "it was given up", ["cancelled"])
    assert (process.record.state, process.record.cold, world.records.warm_failures) == (READY, (), {})
    assert (world.records.sizing.fails, process.record.run) == (0, None)


def test_a_worker_whose_warm_up_is_given_up_before_it_serves_is_replaced():
    """It had to be warm."""
    world = opened("rr")
    (process,) = world.all
    run = world.warm(process.record)
    world.claim(process)
    world.give_up_warmup(run)
    (frame,) = process.running.values()
    world.complete(process, frame, "interrupted")
    world.deliver(process)
    world.tick()
    assert run.is_over
    assert process.is_killed
    assert "it was given up" in world.records.failure


def test_a_closing_pool_waits_for_no_warm_up():
    """What a warming worker holds is nobody's."""
    world = opened("r")
    (process,) = world.all
    run = world.warm(process.record)
    world.claim(process)
    world.close(10.0)
    assert process.is_killed
    world.reap(process)
    assert run.is_over


def test_a_warmed_worker_of_private_sessions_is_fresh():
    """Warm-up commands are no use by anybody."""
    world = World(min_workers=1, max_workers=1, isolation="process", warmups="r").begin()
    (process,) = world.all
    assert world.records.free.may_open(process.record)


def test_what_a_command_returned_need_not_travel():
    """The command did its work, even if its result cannot be sent."""
    world = opened("r")
    (process,) = world.all
    run = world.warm(process.record)
    world.claim(process)
    (frame,) = process.running.values()
    error = CLASSES["result_not_serializable"]("a module cannot be sent")
    process.end(frame, "failed")
    process.read(frame)
    world.machine.answered(process.record, frame.call.id, "failed", error, world.now, world.now, 0, world.now)
    world.tick()
    assert [step.outcome for step in run.steps] == ["ok"]
    assert process.record.state == READY
