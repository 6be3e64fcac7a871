"""Which free worker a call or a session gets, without a look at the others."""

from __future__ import annotations

from millpond.core.records.slots import SPARSE
from tests.core.model import World


def pool(workers: int, **settings) -> World:
    """A pool of fixed size."""
    return World(**{"min_workers": workers, "max_workers": workers, **settings}).begin()


def test_a_call_goes_to_the_worker_that_holds_the_fewest():
    """Also after answers came in another order than the calls were sent in."""
    world = pool(3, concurrency=4)
    for _ in range(9):
        world.submit("tokens")
    first, second, _ = world.all
    world.answer(first)
    world.answer(first)
    world.answer(second)
    assert [world.submit("tokens").worker for _ in range(2)].count(first.record) == 2
    assert [len(process.record.inflight) for process in world.all] == [3, 2, 3]


def test_a_session_goes_to_the_idle_worker_with_the_fewest():
    """Sessions that left count no more, and busy workers are passed over until they are idle again."""
    world = pool(3)
    sessions = [world.open_session(f"s{n}") for n in range(9)]
    for session in sessions:
        world.submit("say", session=session)
        world.serve_all()
    assert [len(process.record.sessions) for process in world.all] == [3, 3, 3]
    emptied = sessions[0].worker
    for session in sessions:
        if session.worker is emptied:
            world.close_session(session)
    world.serve_all()
    busy = world.submit("tokens")
    for n in range(2):
        session = world.open_session(f"t{n}")
        world.submit("say", session=session)
        assert session.worker is not busy.worker
        world.answer(world.processes[session.worker.id])
    if busy.worker is not emptied:
        assert len(emptied.sessions) == 2
    world.run_out()


def test_workers_that_come_and_go_leave_nothing_behind():
    """What is noted of workers with a free slot is bounded by those that are there."""
    world = pool(2)
    for n in range(3 * SPARSE):
        world.drain(world.all[0])
        world.serve_all()
        world.open_session(f"s{n}")
    assert len(world.records.free.by_sessions._entries) <= 2 * len(world.all) + SPARSE + 1


def test_a_private_worker_whose_session_never_began_is_free_again():
    """The session was closed before its call was sent anywhere: its fresh process is for the next."""
    world = pool(2, isolation="process")
    for n in range(6):
        session = world.open_session(f"s{n}")
        call = world.submit("say", session=session)
        world.cancel(call)
        world.close_session(session)
        world.serve_all()
    assert isinstance(world.open_session("last"), type(session))
    world.run_out()
