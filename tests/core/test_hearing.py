"""What the hot path tells follows who listens."""

from __future__ import annotations

import pytest

from millpond import events
from millpond.core.assignment import endings as hearing
from tests.core.model import World

HOT = sorted(events.HOT - {"queue.depth"})  # that one is the driver's


def told(world: World, *names: str) -> list[str]:
    """The hot events that one answered and one failed call cause while these are listened to."""
    world.records.has_listener = lambda name: name in names
    hearing.follow(world.records)
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
    machine = world.machine
    flags = (machine.emits_starts, machine.emits_checkouts, machine.emits_checkins, machine.emits_ends)
    assert not any(flags)


def test_a_call_emits_its_times():
    """How long it waited, how long it ran, and both in the whole."""
    world = World(min_workers=1, max_workers=1).begin()
    world.records.has_listener = lambda name: name in events.HOT
    hearing.follow(world.records)
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
    world.records.is_sampled = True
    assert told(world, "call.stop") == ["call.stop"]
    samples = world.operation("work").samples
    samples.take(world.now)
    assert (samples.endings["ok"], samples.endings["failed"]) == (1, 1)
