"""What is looked at while workers live: slow starts, pings, age, idleness, memory."""

from __future__ import annotations

from millpond import events
from millpond.core.records.call import Call
from millpond.core.records.worker import Worker
from tests.core.model import World
from tests.core.process import Process


def test_a_start_that_takes_too_long_is_ended():
    """It counts as a failed start."""
    world = World(min_workers=1, max_workers=1, start_timeout=2.0)
    (process,) = world.all
    world.advance(1.9)
    assert not process.is_killed
    world.advance(0.8)
    assert process.is_killed
    world.reap(process)
    assert world.records.sizing.fails == 1


def test_an_idle_worker_is_pinged_and_one_that_is_silent_replaced():
    """Unhealthy after the first miss, replaced after three."""
    world = World(min_workers=2, max_workers=2, health_interval=10.0).begin()
    healthy, silent = world.all
    for _ in range(45):
        world.advance(1.0)
        if healthy.pings:
            healthy.pings = 0
            world.machine.ponged(healthy.record, 0, world.now)
    assert (healthy.is_killed, silent.is_killed) == (False, True)
    assert silent.pings == 3
    missed = [event for event in world.events(events.WorkerHealth) if event.result == "missed"]
    assert {event.worker for event in missed} == {silent.record.id}


def test_a_busy_worker_is_asked_once_and_may_be_silent():
    """One that holds its interpreter for long waits for its deadline, not for a judge."""
    world = World(min_workers=1, max_workers=1, health_interval=1.0).begin()
    world.submit()
    (process,) = world.all
    world.claim(process)
    world.advance(20.0)
    assert (process.pings, process.is_killed) == (1, False)


def out_of_step() -> tuple[World, Process, Call]:
    """A pool of one worker that has long been given a call, and asked for a sign since."""
    world = World(min_workers=1, max_workers=1).begin()
    call = world.submit()
    (process,) = world.all
    world.claim(process)
    world.advance(3.0)
    assert process.pings == 1
    return world, process, call


def test_a_worker_that_holds_less_than_it_was_given_is_out_of_step():
    """It says that it holds nothing, and the answer to what it was given before the question never came."""
    world, process, call = out_of_step()
    world.machine.ponged(process.record, 0, world.now)
    world.settle()
    (killed,) = world.events(events.WorkerKilled)
    assert (killed.reason, process.is_killed) == ("protocol", True)
    world.reap(process)
    (error,) = world.promises[call.id].told
    assert (error.code, error.outcome) == ("worker_died", "unknown")


def test_a_worker_that_drains_is_asked_as_well():
    """It would wait for ever to say goodbye, and its caller with it."""
    world = World(min_workers=1, max_workers=1).begin()
    world.submit()
    (process,) = world.all
    world.claim(process)
    world.drain(process)
    world.advance(3.0)
    assert process.pings == 1


def test_a_worker_that_holds_what_it_was_given_is_left_alone():
    """It works: another question comes after another two seconds."""
    world, process, _ = out_of_step()
    world.machine.ponged(process.record, 1, world.now)
    world.advance(3.0)
    assert (process.pings, process.is_killed) == (2, False)


def test_what_was_sent_after_the_question_is_no_evidence():
    """The answer to a ping tells of the calls that came before it only."""
    world, process, _ = out_of_step()
    world.complete(process, next(iter(process.running.values())))
    world.deliver(process)
    world.submit()
    world.machine.ponged(process.record, 0, world.now)
    world.settle()
    assert not process.is_killed


def test_nobody_is_judged_after_the_judge_slept():
    """A loop that was blocked for a minute gives everybody one more round."""
    world = World(min_workers=1, max_workers=1, start_timeout=5.0, health_interval=5.0)
    world.sleep_through(60.0)
    assert not world.all[0].is_killed
    world.get_ready(world.all[0])
    world.sleep_through(60.0)
    assert world.all[0].pings == 0


def test_an_idle_worker_above_the_floor_goes():
    """After idle_timeout, one by one down to min_workers; not while it holds a session."""
    world = World(min_workers=1, max_workers=4, idle_timeout=5.0).begin()
    world.resize(4, 4)
    world.serve_all()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    world.resize(1, 4)
    world.advance(4.0)
    assert world.records.ready_count == 4
    world.advance(2.0)
    world.serve_all()
    assert [process.record for process in world.all] == [session.worker]


def test_a_worker_that_is_never_wholly_idle_is_not_idle():
    """A free slot beside running calls does not count as idleness."""
    world = World(min_workers=1, max_workers=2, idle_timeout=2.0, concurrency=2).begin()
    world.resize(2, 2)
    world.serve_all()
    world.resize(1, 2)
    for _ in range(10):
        calls = [world.submit() for _ in range(2)]
        for process in world.all:
            while process.waiting:
                world.claim(process)
        world.advance(0.9)
        world.serve_all()
        assert all(call.ending == "ok" for call in calls)
    assert world.records.ready_count == 2


def test_a_worker_is_recycled_by_age():
    """With a jitter of a tenth, so that they do not go together."""
    world = World(seed=3, min_workers=3, max_workers=3, max_lifetime=100.0).begin()
    world.advance(89.0)
    assert not world.records.outgoing
    outgoing = []
    for _ in range(211):  # tenths of a second
        world.advance(0.1)
        outgoing.append(len(world.records.outgoing))
    assert set(outgoing) == {0, 1, 2, 3}
    world.serve_all()
    assert {process.record.id for process in world.all} == {4, 5, 6}


def test_a_worker_that_is_gone_is_not_kept_until_it_would_be_too_old():
    """A pool that replaces workers all the time would keep as many as it starts in a `max_lifetime`."""
    world = World(min_workers=1, max_workers=1, max_lifetime=1e6, restart_backoff=0.01).begin()
    for _ in range(20):
        world.advance(2.0)
        world.reap(world.all[0])
        world.serve_all()
    world.advance(100.0)
    subjects = [subject for _, _, _, subject, _ in world.records.agenda._entries]
    assert not [worker for worker in subjects if isinstance(worker, Worker) and worker.state == "gone"]


def test_a_worker_that_outgrew_its_memory_is_drained():
    """Looked at every two seconds; what cannot be read is left alone."""
    world = World(min_workers=1, max_workers=1, max_memory=2**30).begin()
    (process,) = world.all
    world.machine.weighed(process.record, None, world.now)
    world.machine.weighed(process.record, 2**30, world.now)
    assert process.record.state == "ready"
    world.machine.weighed(process.record, 2**30 + 1, world.now)
    assert (process.record.state, process.record.reason) == ("stopping", "max_memory")
