"""Workers' lives: start, drain, goodbye, death, replacement, crash loops."""

from __future__ import annotations

import itertools

import pytest

from millpond import events
from millpond.core.sessions.lifecycle import EVACUATED_AT_ONCE
from millpond.core.workers.fleet import GOODBYE_S
from millpond.seams import Death
from tests.core.model import World


def test_a_pool_starts_what_it_wants():
    """The floor, at once."""
    world = World(min_workers=3, max_workers=5)
    assert len(world.processes) == 3
    assert [event.worker for event in world.events(events.WorkerStarting)] == [1, 2, 3]


def test_a_dead_worker_is_replaced():
    """The floor holds, and the event says how it ended and what it cost."""
    world = World(min_workers=2, max_workers=2).begin()
    call = world.submit()
    process = world.processes[call.worker.id]
    world.claim(process)
    world.advance(2.0)
    world.reap(process, Death(11, None))
    (gone,) = world.events(events.WorkerGone)
    assert (gone.signal, gone.exit_code, gone.lost, gone.reason) == (11, None, 1, "died")
    assert len(world.processes) == 2


def test_a_drained_worker_finishes_what_it_has_and_says_goodbye():
    """It takes nothing new, and a replacement is started when there is room for one."""
    world = World(min_workers=1, max_workers=2).begin()
    world.operation("work").expected = 1e-5
    calls = [world.submit() for _ in range(5)]
    (leaver,) = world.all
    world.drain(leaver)
    assert len(world.processes) == 2
    later = world.submit()
    assert later.state == "queued"
    for _ in calls:
        assert not leaver.is_stopping
        world.answer(leaver)
    assert leaver.is_stopping
    world.serve_all()
    assert later.worker.id == 2
    assert leaver.record.state == "gone"


def test_a_worker_that_does_not_say_goodbye_is_killed():
    """Its teardown has two seconds."""
    world = World(min_workers=1, max_workers=2).begin()
    (leaver,) = world.all
    world.drain(leaver)
    world.advance(GOODBYE_S - 0.1)
    assert not leaver.is_killed
    world.advance(0.2)
    assert leaver.is_killed


def test_a_thousand_workers_can_be_let_go_at_once():
    """Letting go of one is not nested in letting go of another."""
    world = World(min_workers=1000, max_workers=1000)
    for process in world.all:
        world.machine.ready(process.record, 1, world.now)
    world.resize(0, 1)
    assert world.records.ready_count == 1


def test_only_idle_workers_without_sessions_are_let_go():
    """Resizing down never ends a busy worker or one that holds a session."""
    world = World(min_workers=3, max_workers=3).begin()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    busy = world.submit()
    while busy.worker is session.worker:
        busy = world.submit()
    world.resize(0, 1)
    staying = {process.record.id for process in world.all if process.record.state == "ready"}
    assert staying == {session.worker.id, busy.worker.id}
    world.close_session(session)
    world.serve_all()
    world.advance(1.0)
    world.serve_all()
    assert world.records.ready_count == 1


def test_those_not_ready_go_first():
    """A worker that still starts is let go before one that serves."""
    world = World(min_workers=1, max_workers=3).begin()
    world.resize(3, 3)
    world.resize(1, 1)
    assert [process.record.shown_state for process in world.all] == ["ready", "draining", "draining"]


@pytest.mark.parametrize("says_so", [True, False])
def test_failing_starts_back_off(says_so):
    """Row 19: one at a time, ever more rarely, at most six in thirty seconds; good workers go on serving."""
    world = World(seed=4, min_workers=2, max_workers=2, restart_backoff=1.0).begin()
    world.serve_all()
    world.advance(5.0)
    survivor, victim = world.all
    world.reap(victim)
    starts, began = [], world.now
    while world.now < began + 30.0:
        for process in world.all:
            if process is not survivor:
                starts.append(world.now - began)
                world.fail_to_start(process) if says_so else world.reap(process)
        world.advance(0.05)
    assert 4 <= len(starts) <= 6
    gaps = [later - sooner for sooner, later in itertools.pairwise(starts)]
    assert all(later > 1.15 * sooner for sooner, later in itertools.pairwise(gaps))
    assert world.records.sizing.fails == len(starts)
    assert world.submit().worker is survivor.record


def test_a_batch_of_starts_that_fails_is_one_failure():
    """Six that were asked for together and fail for the same cause do not make the pool wait for half a minute."""
    world = World(seed=4, min_workers=1, max_workers=7, restart_backoff=1.0).begin()
    world.advance(5.0)
    world.resize(7, 7)
    batch = world.all[1:]
    for process in batch:
        world.fail_to_start(process)
        world.advance(0.1)
    assert (world.records.sizing.fails, world.records.counters.start_failures) == (1, 6)
    world.advance(1.25)
    (another,) = world.all[1:]
    world.fail_to_start(another)
    assert world.records.sizing.fails == 2


def test_a_start_that_hung_is_followed_after_a_pause():
    """Nobody is started in its place while it is being killed; the pause counts from its death."""
    world = World(min_workers=2, max_workers=4, start_timeout=4.0, restart_backoff=10.0).begin()
    world.advance(5.0)
    world.reap(world.all[1])
    hung = world.all[1]
    world.advance(4.6)
    assert hung.is_killed
    world.advance(3.0)
    assert world.all[1:] == [hung]
    world.reap(hung)
    world.advance(7.0)
    assert len(world.all) == 1
    world.advance(5.5)
    assert len(world.all) == 2


def test_starting_recovers_by_itself():
    """When the cause is gone and a new worker answers, missing workers are started together again."""
    world = World(min_workers=3, max_workers=3, restart_backoff=1.0).begin()
    world.advance(5.0)
    for process in world.all:
        world.reap(process)
    for process in world.all:
        world.fail_to_start(process)
    assert (len(world.processes), world.records.failure != "") == (0, True)
    while not world.processes:
        world.advance(0.5)
    assert len(world.processes) == 1
    call = world.submit()
    world.serve_all()
    assert call.ending == "ok"
    assert world.records.failure == ""
    world.advance(0.5)
    assert len(world.processes) == 3


def test_an_old_workers_answer_proves_nothing_about_new_ones():
    """Only a worker that was started after the last failure ends the caution."""
    world = World(min_workers=2, max_workers=2, restart_backoff=10.0).begin()
    world.advance(5.0)
    world.reap(world.all[1])
    world.fail_to_start(world.all[1])
    assert world.submit().worker.id == 1
    world.serve_all()
    assert world.records.sizing.fails == 1


def test_a_death_after_an_answer_is_no_failed_start():
    """Only workers that die before they are ready, or within a second without an answer, count."""
    world = World(min_workers=1, max_workers=1).begin()
    world.submit()
    world.serve_all()
    world.reap(world.all[0])
    assert world.records.sizing.fails == 0
    world.get_ready(world.all[0])
    world.advance(0.5)
    world.reap(world.all[0])
    assert world.records.sizing.fails == 1


def test_a_stopped_worker_is_replaced():
    """Row 22: after two seconds, and its call is lost; one that goes on in time is left alone."""
    world = World(min_workers=2, max_workers=2, stopped_timeout=2.0).begin()
    call = world.submit()
    process = world.processes[call.worker.id]
    other = next(p for p in world.all if p is not process)
    world.claim(process)
    world.freeze(process, True)
    world.freeze(other, True)
    world.advance(1.9)
    world.freeze(other, False)
    world.advance(0.1)
    assert (process.is_killed, other.is_killed) == (True, False)
    world.serve_all()
    assert call.ending == "lost"


def test_a_worker_is_killed_once():
    """Every reason to kill it is one reason too many; the first stands, with what went before."""
    world = World(min_workers=1, max_workers=1, stopped_timeout=1.0, cancel_grace=1.0).begin()
    call = world.submit(deadline=0.1)
    (process,) = world.all
    world.claim(process)
    world.drain(process)
    world.freeze(process, True)
    world.advance(5.0)
    assert call.ending == "expired"
    assert process.record.reason.startswith("asked for, then ")


def test_a_killed_worker_is_given_nothing():
    """Calls of its sessions wait for what its death means to them."""
    world = World(min_workers=1, max_workers=1, concurrency=2, stopped_timeout=0.5).begin()
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    (process,) = world.all
    world.freeze(process, True)
    world.advance(0.6)
    call = world.submit("say", session=session)
    assert (process.is_killed, call.state) == (True, "queued")
    world.serve_all()
    assert call.ending == "rejected"


def test_a_worker_is_recycled_after_max_calls():
    """It is drained, and a fresh one serves on."""
    world = World(min_workers=1, max_workers=1, max_calls=3).begin()
    world.operation("work").expected = 1e-5
    calls = [world.submit() for _ in range(7)]
    world.run_out()
    assert [call.worker.id for call in calls] == [1, 1, 1, 2, 2, 2, 3]


def test_a_fresh_worker_for_every_call():
    """With max_calls=1 nothing is sent ahead, and no worker runs two calls beside each other."""
    world = World(min_workers=2, max_workers=2, concurrency=3, max_calls=1).begin()
    world.operation("work").expected = 1e-5
    calls = [world.submit() for _ in range(6)]
    assert [call.state for call in calls].count("running") == 2
    world.run_out()
    assert len({call.worker.id for call in calls}) == 6


def test_growth_learns_how_long_a_start_takes():
    """The average is moved by each worker that became ready."""
    world = World(min_workers=1, max_workers=1)
    world.advance(2.0)
    world.get_ready(world.all[0])
    assert world.records.sizing.start_s == 2.0


def test_the_sessions_of_a_draining_worker_leave_little_by_little():
    """A turn of the loop asks so many, and the next the next; what is called meanwhile is served where it is."""
    world = World(
        min_workers=2, max_workers=2, durability="reply", max_sessions=1000, sleep_after=None, session_ttl=None
    ).begin()
    sessions = [world.open_session(f"s{n}") for n in range(5 * EVACUATED_AT_ONCE)]
    for session in sessions:
        world.submit("say", session=session)
        world.serve_all()
    leaver = world.all[0]
    before = len(leaver.record.sessions)
    world.drain(leaver)
    assert len(leaver.record.sessions) == before - EVACUATED_AT_ONCE
    late = next(reversed(leaver.record.sessions.values()))
    call = world.submit("say", session=late)
    assert call.worker is leaver.record
    while leaver.record.state == "draining":
        before = len(leaver.record.sessions)
        assert world.serve_time() + world.serve(leaver)
        assert len(leaver.record.sessions) >= before - EVACUATED_AT_ONCE - 1
    assert (call.ending, {session.state for session in sessions}) == ("ok", {"open"})
