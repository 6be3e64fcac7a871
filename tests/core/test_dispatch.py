"""Who gets what: free slots, windows, fairness, and taking back what got stuck."""

from __future__ import annotations

import pytest

from millpond.core.assignment.dispatch import STALL_S, WINDOW_CALLS, WINDOW_S
from tests.core.model import World
from tests.core.process import Process


def pool(workers: int = 1, fast: bool = True, **settings) -> World:
    """A pool of fixed size; with `fast` its operation is known to take 20 us."""
    world = World(min_workers=workers, max_workers=workers, **settings).begin()
    if fast:
        for name in ("work", "say"):
            world.operation(name).expected = 2e-5
    return world


def ids(process: Process) -> list[int]:
    """The calls a process holds, in the order they were sent."""
    return list(process.record.inflight)


def test_an_unknown_operation_is_not_sent_ahead():
    """As long as nothing is known of it, each worker gets as many calls as it runs at a time."""
    world = pool(2, fast=False)
    calls = [world.submit() for _ in range(5)]
    assert [call.state for call in calls] == ["running"] * 2 + ["queued"] * 3
    assert sorted(len(ids(process)) for process in world.all) == [1, 1]


def test_a_window_holds_about_a_millisecond():
    """Fast calls are sent ahead, but no more than a millisecond of expected work."""
    world = pool()
    for _ in range(80):
        world.submit()
    (process,) = world.all
    assert len(ids(process)) == pytest.approx(WINDOW_S / 2e-5, abs=1)
    world.answer(process)
    assert len(ids(process)) == pytest.approx(WINDOW_S / 2e-5, abs=1)
    assert world.records.queued == 80 - 1 - len(ids(process))


def test_a_window_is_bounded_in_calls():
    """However fast an operation is, the logbook has only so many lines."""
    world = pool()
    world.operation("work").expected = 1e-9
    for _ in range(300):
        world.submit()
    assert len(ids(world.all[0])) == WINDOW_CALLS


def test_a_slow_operation_gets_no_window():
    """Nothing is sent ahead of, or behind, more than a millisecond of work."""
    world = pool()
    world.operation("work").expected = 0.01
    first, second = world.submit(), world.submit()
    assert (first.state, second.state) == ("running", "queued")


def test_nothing_is_sent_ahead_of_a_stream():
    """A stream holds its slot to the end, so a window behind it would wait for all of it."""
    world = pool()
    world.operation("tokens").expected = 1e-5
    stream, call = world.submit("tokens"), world.submit()
    other_stream = world.submit("tokens")
    assert (stream.state, call.state, other_stream.state) == ("running", "queued", "queued")


def test_concurrency_fills_slots_evenly():
    """Calls that run beside each other are spread, and a slot is a slot whatever the operation takes."""
    world = pool(2, fast=False, concurrency=3)
    for _ in range(7):
        world.submit()
    assert [len(ids(process)) for process in world.all] == [3, 3]
    assert world.records.queued == 1


def test_the_worker_used_last_is_used_again():
    """So that the others stay idle, and may go."""
    world = pool(3)
    for _ in range(5):
        world.submit()
        world.serve_all()
    assert sorted(process.record.answered for process in world.all) == [0, 0, 5]


def test_windows_are_filled_in_turn():
    """Two workers share what is sent ahead."""
    world = pool(2)
    for _ in range(40):
        world.submit()
    assert [len(ids(process)) for process in world.all] == [20, 20]


def test_order_is_kept():
    """One worker runs what was submitted in the order it was submitted."""
    world = pool()
    calls = [world.submit() for _ in range(200)]
    world.serve_all()
    ran = [promise.call for promise in world.promises.values()]
    assert ran == calls
    assert all(call.ending == "ok" for call in calls)


def test_a_priority_overtakes_and_nothing_starves():
    """Higher priorities come first, and a call that has waited long enough beats every later one."""
    world = pool(fast=False, priority_age=1.0)
    running = world.submit()
    waits = world.submit(priority=0)
    world.advance(0.5)
    urgent = world.submit(priority=1)
    world.advance(0.6)
    later = world.submit(priority=1)
    order = [running, urgent, waits, later]
    (process,) = world.all
    assert [world.answer(process) for _ in order] == order


def test_a_flood_of_sessions_does_not_starve_a_slow_call():
    """While an older call waits for the worker's slot, sessions bound there do not keep its window full."""
    world = pool()
    (process,) = world.all
    sessions = [world.open_session(name) for name in "ab"]
    for session in sessions:
        world.submit("say", session=session)
    world.operation("work").expected = 0.5
    slow = world.submit()
    for turn in range(6):
        world.answer(process)
        world.submit("say", session=sessions[turn % 2])
        if slow.state == "running":
            break
    assert slow.state == "running"


@pytest.mark.parametrize("waits", ["unbound", "own queue"])
def test_a_flood_of_calls_does_not_starve_a_slow_session(waits):
    """Calls without a session are not sent past an older call of a session that waits for the same worker."""
    world = pool()
    (process,) = world.all
    session = world.open_session("a")
    if waits == "own queue":
        world.submit("say", session=session)
        world.serve_all()
    world.submit()
    world.operation("say").expected = 0.5
    slow = world.submit("say", session=session)
    assert slow.state == "queued"
    for _ in range(6):
        world.submit()
        world.answer(process)
        if slow.state == "running":
            break
    assert slow.state == "running"


def test_calls_behind_a_stuck_one_are_taken_back():
    """After 10 ms without an answer they go elsewhere, in their old order, and none of them runs twice."""
    world = pool(2)
    calls = [world.submit() for _ in range(10)]
    stuck, other = world.all
    world.claim(stuck)
    world.advance(STALL_S / 2)
    while world.serve(other):
        pass
    world.advance(STALL_S)
    assert (len(ids(stuck)), stuck.record.skips) == (1, 4)
    while world.serve(other):
        pass
    assert [call.state for call in calls].count("ended") == 9
    assert world.records.unended == 1


def test_only_what_is_ahead_is_taken_back():
    """With two slots the first two calls are at work, whoever they belong to."""
    world = pool(2, concurrency=2)
    session = world.open_session("a")
    held = [world.submit("say", session=session)]
    stuck = world.processes[held[0].worker.id]
    while len(ids(stuck)) < 4:
        held.append(world.submit())
    world.advance(3 * STALL_S)
    assert len(stuck.record.inflight) == 2
    assert held[0].id in stuck.record.inflight


def test_a_single_worker_keeps_its_window_until_another_comes():
    """There is nobody to serve the calls sooner; when there is, they are taken back at once."""
    world = pool(1)
    for _ in range(10):
        world.submit()
    (stuck,) = world.all
    world.claim(stuck)
    world.advance(3 * STALL_S)
    assert len(ids(stuck)) == 10
    world.resize(2, 2)
    world.get_ready(world.all[1])
    assert len(ids(stuck)) == 1
    world.serve(world.all[1])
    assert len(ids(world.all[1])) + world.records.queued == 9


def test_a_window_that_stalls_a_second_time_is_taken_back_too():
    """An answer in between is no promise for the next call."""
    world = pool(1)
    for _ in range(10):
        world.submit()
    (stuck,) = world.all
    world.claim(stuck)
    world.advance(3 * STALL_S)
    world.complete(stuck, stuck.running[1])
    world.deliver(stuck)
    world.claim(stuck)
    world.resize(2, 2)
    world.get_ready(world.all[1])
    world.advance(2 * STALL_S)
    assert len(ids(stuck)) == 1


def test_what_was_withdrawn_may_go_to_the_same_worker_again():
    """The skip of the first sending frees a slot and leaves the second sending alone."""
    world = pool(2)
    calls = [world.submit() for _ in range(10)]
    stuck, other = world.all
    world.claim(stuck)
    world.advance(3 * STALL_S)
    world.reap(other)
    while stuck.waiting:
        world.serve(stuck)
    world.serve_all()
    assert all(call.ending == "ok" for call in calls)
    assert stuck.record.skips == 0


def test_a_call_goes_to_one_of_several_free_workers_each():
    """Waiting calls fill the free slots before any window."""
    world = pool(3)
    processes = world.all
    for process in processes[1:]:
        world.freeze(process, True)
    calls = [world.submit() for _ in range(9)]
    world.advance(3 * STALL_S)
    assert sum(call.state == "ended" for call in calls) == 0
    world.serve_all()
    assert all(call.ending == "ok" for call in calls)


def test_a_call_that_has_to_wait_is_worth_a_worker_in_the_same_step():
    """Nobody waits on purpose for a worker that could be started."""
    world = World(min_workers=1, max_workers=3).begin()
    counts = []
    for _ in range(4):
        world.submit()
        counts.append(len(world.processes))
    assert counts == [1, 2, 3, 3]
