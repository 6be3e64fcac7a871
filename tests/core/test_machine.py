"""The machine's own few things: functions, facts, events nobody hears, the alarm."""

from __future__ import annotations

import math

import pytest

from millpond import events
from millpond.core import Call
from millpond.core.machine import FUNCTIONS
from tests.core import invariants
from tests.core.model import World, facts

HOT = sorted(events.HOT - {"queue.depth"})  # that one is the driver's


def test_each_function_has_a_record_up_to_a_bound():
    """Beyond 64 they share one, so that a program that makes functions does not make records without end."""
    world = World(min_workers=1, max_workers=1).begin()
    machine = world.machine
    for number in range(FUNCTIONS + 10):
        call = Call(next(machine.call_ids), machine.function(f"module.f{number}"), b"", math.inf)
        machine.submit(call, world.now)
        assert machine.function(f"module.f{number}") is call.op
    assert len(machine.view.functions) == FUNCTIONS + 1
    assert {record.number for record in machine.view.functions.values()} == {0}
    assert call.op.name == "(other functions)"


def test_a_function_is_entered_with_its_first_call():
    """Asking for its record changes nothing: callers do so on threads of their own, two of them at once perhaps."""
    world = World(min_workers=1, max_workers=1).begin()
    machine = world.machine
    twins = [machine.function("module.f"), machine.function("module.f")]
    assert not machine.view.functions
    calls = [Call(next(machine.call_ids), twin, b"", math.inf) for twin in twins]
    for call in calls:
        machine.submit(call, world.now)
    assert calls[0].op is calls[1].op is machine.view.functions["module.f"]


def test_operations_have_the_numbers_of_the_wire():
    """They count from 1 in the order the handler's side reported them."""
    world = World()
    machine = world.machine
    assert [op.number for op in machine.view.operations.values()] == [1, 2, 3]
    assert machine.view.operations["tokens"].is_stream
    machine.learn(facts(close_hook=False))
    assert not world.records.has_close_hook


def test_an_event_nobody_hears_is_not_made():
    """Without a listener it costs the question."""
    world = World(min_workers=1, max_workers=1)
    world.machine.listen(lambda name: name == "worker.gone")
    world.said.clear()
    world.begin()
    world.reap(world.all[0])
    assert [type(event) for event in world.said] == [events.WorkerGone]


@pytest.mark.parametrize("impossible", [{"deadline": 1e308}, {"priority": 10**400}])
def test_a_call_that_cannot_be_placed_in_time_is_not_counted(impossible):
    """What raises before the call is in the pool leaves no trace of it there, or a drain would wait for it."""
    world = World(min_workers=1, max_workers=1).begin()
    with pytest.raises(OverflowError):
        world.submit(**impossible)
    view = world.machine.view
    assert (view.submitted, view.unended, view.queued, view.queued_bytes) == (0, 0, 0, 0)
    invariants.check(world.records)


def test_the_alarm_moves_only_forward_between_ticks():
    """Whoever sleeps until it rings has to look at it only for something earlier."""
    world = World(min_workers=1, max_workers=1).begin()
    world.submit()
    before = world.machine.alarm.at
    world.submit(deadline=1000.0)
    assert world.machine.alarm.at == before
    call = world.submit(deadline=0.01)
    sooner = world.machine.alarm.at
    assert sooner < before
    world.cancel(call)
    assert world.machine.alarm.at <= sooner
    world.advance(0.02)
    assert world.machine.alarm.at > world.now


def test_records_say_where_they_are():
    """What is printed of a call, a worker and a session is true."""
    world = World(min_workers=1, max_workers=1).begin()
    session = world.open_session("a")
    call = world.submit("say", session=session)
    assert repr(call) == "<Call 1 say running on worker 1, attempt 1>"
    assert repr(call.worker) == "<Worker 1 busy, pid 101, 1 in flight, 1 sessions>"
    assert repr(session) == "<Session 1 open, generation 1, worker 1, state new>"
    assert repr(world.operation("say")) == "<Operation say, 1000.000 ms, breaker closed>"
    world.serve_all()
    assert repr(call) == "<Call 1 say ok on worker 1, attempt 1>"


# What the hot path emits follows who listens


def told(world: World, *names: str) -> list[str]:
    """The hot events that one answered and one failed call cause while these are listened to."""
    world.machine.listen(lambda name: name in names)
    world.said.clear()
    world.submit()
    world.answer(world.all[0])
    world.submit()
    world.answer(world.all[0], "failed")
    return [event.name for event in world.said]


@pytest.mark.parametrize("name", HOT)
def test_each_hot_event_is_told_if_it_alone_is_listened_to(name):
    """One flag each: a listener to one of them does not pay for the others."""
    world = World(min_workers=1, max_workers=1).begin()
    assert set(told(world, name)) == {name}


def test_nobody_listening_costs_no_event():
    """The flags are down and nothing is called at an ending."""
    world = World(min_workers=1, max_workers=1).begin()
    assert told(world) == []
    m = world.records
    flags = (m.emits_starts, m.emits_checkouts, m.emits_checkins, m.emits_ends)
    assert not any(flags)


def test_a_call_emits_its_times():
    """How long it waited, how long it ran, and both in the whole."""
    world = World(min_workers=1, max_workers=1).begin()
    world.machine.listen(lambda name: name in events.HOT)
    world.submit("tokens")
    waits = world.submit()
    world.advance(2.0)
    world.answer(world.all[0])
    world.claim(world.all[0])
    world.advance(1.0)
    (frame,) = world.all[0].running.values()
    world.complete(world.all[0], frame, seconds=1.0)
    world.deliver(world.all[0])
    (stopped,) = [event for event in world.events(events.CallStopped) if event.call == waits.id]
    assert (stopped.queued, round(stopped.service, 6), stopped.seconds) == (2.0, 1.0, 3.0)
    (checkout,) = [event for event in world.events(events.WorkerCheckout) if event.call == waits.id]
    assert (checkout.seconds, checkout.held) == (2.0, 1)


def test_samples_and_events_go_together():
    """Whoever adds up misses nothing because somebody listens."""
    world = World(min_workers=1, max_workers=1).begin()
    world.machine.sample(True)
    assert told(world, "call.stop") == ["call.stop"]
    samples = world.operation("work").samples
    samples.take(world.now)
    assert (samples.endings["ok"], samples.endings["failed"]) == (1, 1)
