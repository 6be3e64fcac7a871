"""Sessions leave busy workers: when that is worth it, and what becomes of their calls meanwhile."""

from __future__ import annotations

import pytest

from millpond.core.records.session import MOVABLE_IDLE, Session
from millpond.core.records.worker import Worker
from millpond.core.sessions import moving
from millpond.core.sessions.rebalancing import EXPORT_S
from tests.core.model import World
from tests.core.process import Process


def pool(workers: int = 2, has_hook: bool = False, **settings) -> World:
    """A pool of fixed size whose sessions may move."""
    world = World(min_workers=workers, max_workers=workers, **{"affinity": "hint", **settings}).begin()
    world.records.exports_concurrently = not has_hook
    return world


def busy_at_home(world: World):
    """A session that has answered once, in a worker that is busy for long, while another is idle."""
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    for _ in world.all:
        world.submit("tokens")
    for process in world.all:
        world.claim(process)
    for process in world.all:
        if process.record is not session.worker:
            (frame,) = process.running.values()
            world.complete(process, frame)
            world.deliver(process)
    return session, world.processes[session.worker.id]


def test_a_session_goes_where_there_is_room_and_keeps_its_order():
    """A concurrent export, which takes no slot, is sent for its state; its calls wait in line for that."""
    world = pool()
    session, process = busy_at_home(world)
    calls = [world.submit("say", session=session) for _ in range(3)]
    assert (session.location, len(process.exports), process.record.load) == ("leaving", 1, 1)
    process.export(world.now, world.ledger)
    process.export(world.now, world.ledger)
    world.deliver(process)
    assert session.worker is not process.record
    world.serve_all()
    assert [call.ending for call in calls] == ["ok", "ok", "ok"]


def test_a_handler_with_a_hook_keeps_its_sessions_until_it_is_free():
    """The hook is not run beside another call."""
    world = pool(has_hook=True)
    session, process = busy_at_home(world)
    call = world.submit("say", session=session)
    assert (call.line is process.record.queue, process.exports) == (True, type(process.exports)())


def test_a_short_wait_is_shorter_than_a_move():
    """The work that is in the way is expected to take less."""
    world = pool()
    session, process = busy_at_home(world)
    (held,) = process.record.inflight.values()
    held.expected = process.record.expected_s = 0.0015
    call = world.submit("say", session=session)
    assert (session.location, call.line is process.record.queue) == ("bound", True)


@pytest.mark.parametrize("expected", [0.0015, 0.0005])
def test_a_wait_that_grows_long_is_noticed(expected):
    """What took longer than expected may take as long again; a call that was sent ahead is taken back for that."""
    world = pool()
    session, process = busy_at_home(world)
    (held,) = process.record.inflight.values()
    held.expected = process.record.expected_s = expected
    call = world.submit("say", session=session)
    assert (call.state == "running") is (expected < 0.001)
    world.advance(0.03)
    assert session.location == "leaving"
    process.export(world.now, world.ledger)
    process.export(world.now, world.ledger)
    world.deliver(process)
    assert call.worker is not process.record
    world.serve_all()
    assert call.ending == "ok"


@pytest.mark.parametrize(("affinity", "workers"), [("hint", 1), ("strict", 3)])
def test_sessions_that_may_leave_gather_where_calls_do(affinity, workers):
    """They begin with the worker used last, so that the others idle and may go; who has to stay has few beside it."""
    world = pool(workers=3, affinity=affinity)
    sessions = [world.open_session(f"{n}") for n in range(3)]
    for session in sessions:
        world.now += 1.0
        world.submit("say", session=session)
        world.serve_all()
    assert len({session.worker.id for session in sessions}) == workers


def test_sessions_that_wake_let_idle_workers_go():
    """However many sessions come and go one after another, one worker is enough for them: the others time out."""
    world = World(min_workers=0, max_workers=3, affinity="hint", sleep_after=1.0, idle_timeout=20.0).begin()
    world.records.exports_concurrently = True
    world.resize(3, 3)
    for process in world.all:
        world.get_ready(process)
    world.resize(0, 3)
    sessions = [world.open_session(f"{n}") for n in range(5)]
    for _ in range(4):
        for session in sessions:
            world.advance(2.0)
            world.serve_all()  # the one before has gone to sleep
            world.submit("say", session=session)
            world.serve_all()
    assert world.records.ready_count == 1
    assert all(session.state == "open" for session in sessions)


def test_a_session_that_cannot_leave_freely_has_few_beside_it():
    """With a hook of the handler's the state comes out between calls only, and its calls wait for the worker."""
    world = pool(workers=2, has_hook=True)
    first, second = world.open_session("a"), world.open_session("b")
    for session in (first, second):
        world.now += 1.0
        world.submit("say", session=session)
        world.serve_all()
    assert first.worker is not second.worker


def test_while_nobody_is_free_nobody_looks_for_room():
    """What costs nothing while all are busy is noticed at once when a worker is free."""
    world = pool()
    session, process = busy_at_home(world)
    other = next(one for one in world.all if one is not process)
    world.submit("tokens")
    world.claim(other)
    call = world.submit("say", session=session)
    assert (call.line is process.record.queue, "rebalance" in world.records.looks) == (True, False)
    let_come_back(world, other)
    assert session.location == "leaving"


def test_a_worker_that_starts_is_room():
    """A call that waits behind a busy worker goes to the one that was started for it as soon as that is ready."""
    world = pool(workers=1)
    session = world.open_session("a")
    world.submit("say", session=session)
    world.serve_all()
    world.submit("tokens")
    (process,) = world.all
    world.claim(process)
    world.submit("say", session=session)
    assert "rebalance" not in world.records.looks
    world.resize(2, 2)
    world.get_ready(world.all[-1])
    world.tick()
    assert session.location == "leaving"


def test_an_export_that_cannot_begin_is_waited_for_no_longer_than_its_time():
    """Native code holds the interpreter: the call waits for its worker, and the export may be tried again."""
    world = pool()
    session, process = busy_at_home(world)
    call = world.submit("say", session=session)
    world.freeze(process, True)
    world.records.settings = world.records.settings.changed(stopped_timeout=100.0)
    world.advance(EXPORT_S + 0.1)
    assert session.mobility == "movable"
    world.freeze(process, False)
    world.run_out()
    assert call.ending == "ok"


def test_a_state_that_changes_under_the_export_pins_nobody():
    """It is not tried beside a call again; a free worker will do."""
    world = pool()
    session, process = busy_at_home(world)
    call = world.submit("say", session=session)
    process.export(world.now, world.ledger)
    process.export(world.now, world.ledger, "failed")
    world.deliver(process)
    assert (session.location, session.mobility) == ("bound", MOVABLE_IDLE)
    assert call.line is process.record.queue
    world.serve_all()
    assert call.ending == "ok"


def test_death_while_moving_takes_the_session_along():
    """Loudly: its state was nowhere else."""
    world = pool()
    session, process = busy_at_home(world)
    calls = [world.submit("say", session=session) for _ in range(2)]
    process.export(world.now, world.ledger)
    world.reap(process)
    assert session.state == "lost"
    assert {world.promises[call.id].told[0].code for call in calls} == {"session_lost"}


def test_death_while_moving_is_survived_with_durability():
    """The export is not needed then: the session goes on at once, elsewhere."""
    world = pool(durability="reply")
    session, process = busy_at_home(world)
    call = world.submit("say", session=session)
    assert (call.state, call.worker is process.record) == ("running", False)
    world.reap(process)
    world.serve_all()
    assert call.ending == "ok"


def test_a_move_that_was_seen_is_what_the_next_is_expected_to_take():
    """So that slow ones are not begun for a short wait."""
    world = pool()
    session, process = busy_at_home(world)
    world.submit("say", session=session)
    process.export(world.now, world.ledger)
    process.export(world.now, world.ledger)
    world.now += 0.5
    world.deliver(process)
    assert world.records.move_s > 0.05
    world.run_out()


def at_home_in(world: World, home: Worker, count: int) -> list[Session]:
    """So many sessions with their state in that worker; all workers are idle."""
    for _ in world.all:
        world.submit("tokens")
    for process in world.all:
        world.claim(process)
    at_home = world.processes[home.id]
    let_come_back(world, at_home)
    sessions = [world.open_session(f"{home.id}-{n}") for n in range(count)]
    for session in sessions:
        world.submit("say", session=session)
        world.answer(at_home)
        assert session.worker is home
    for process in world.all:
        let_come_back(world, process)
    return sessions


def let_come_back(world: World, process: Process) -> None:
    for frame in list(process.running.values()):
        world.complete(process, frame)
        world.deliver(process)


def occupy(world: World, worker: Worker, expected: float) -> None:
    """The worker begins a call that is expected to take so long."""
    world.submit("say", session=next(iter(worker.sessions.values())))
    process = world.processes[worker.id]
    world.claim(process)
    (held,) = worker.inflight.values()
    held.expected = worker.expected_s = expected


@pytest.mark.parametrize("ahead", [1, 8, 30])
@pytest.mark.parametrize("is_pinned", [True, False])
def test_sessions_that_cannot_move_hide_nobody(is_pinned, ahead):
    """However many wait in front that have to stay, one that can move goes where there is room."""
    world = pool()
    home = world.all[0].record
    busy, *stay, movable = at_home_in(world, home, ahead + 2)
    for session in stay:
        if is_pinned:
            moving.pin(world.records, session, "it holds a lock")
        else:
            session.mobility = MOVABLE_IDLE
    occupy(world, home, 2.0)
    for session in [*stay, movable]:
        world.submit("say", session=session)
    assert (busy.worker, movable.location) == (home, "leaving")
    assert not world.records.candidates


def test_sessions_that_had_better_wait_hide_nobody():
    """All who wait are looked at in turn, a few at a time: short calls at one worker keep nobody at another."""
    world = pool(3)
    short, long, _ = (process.record for process in world.all)
    soon, late = at_home_in(world, short, 30), at_home_in(world, long, 2)
    occupy(world, short, 0.01)
    occupy(world, long, 0.01)
    world.records.move_s = 1.0
    for session in [*soon[1:], late[1]]:
        world.submit("say", session=session)
    assert late[1].location == "bound"
    (held,) = long.inflight.values()
    held.expected = long.expected_s = 2.0
    world.advance(0.1)
    assert (late[1].location, {session.location for session in soon}) == ("leaving", {"bound"})
