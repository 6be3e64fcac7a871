"""Durability: what was acknowledged is gone on from, and an answer that could not be kept is not given."""

from __future__ import annotations

import pytest

from millpond.seams import SessionRecord
from tests.core.model import World, begun, home, told


def pool(durability: str = "reply", workers: int = 2, **settings) -> World:
    """A pool of fixed size that keeps what its sessions answer."""
    made = World(min_workers=workers, max_workers=workers, durability=durability, session_store="a file", **settings)
    return made.begin()


def test_a_death_is_told_once_and_the_session_goes_on():
    """From the state of the last acknowledged answer."""
    world = pool()
    session = begun(world)
    world.reap(home(world, session))
    assert (session.state, session.generation) == ("open", 1)
    assert "signal 9" in session.restored_because
    assert world.submit("say", session=session).code == "session_restored"
    call = world.submit("say", session=session)
    world.serve_all()
    assert (call.ending, len(world.histories[session.number])) == ("ok", 2)


def test_the_first_that_waits_is_told_and_the_others_go_on_in_order():
    """What ran is lost, its outcome unknown."""
    world = pool()
    session = begun(world)
    calls = [world.submit("say", session=session) for _ in range(4)]
    world.claim(home(world, session))
    world.reap(home(world, session))
    world.serve_all()
    assert [told(world, call).code for call in calls[:2]] == ["worker_died", "session_restored"]
    assert [call.ending for call in calls[2:]] == ["ok", "ok"]


def test_a_state_under_an_older_lease_changes_nothing():
    """Nor does one for a call that the worker does not have."""
    world = pool()
    session = begun(world)
    kept = session.snapshot
    call = world.submit("say", session=session)
    world.machine.saved(session.worker, call.id, session.lease - 1, ["forged"])
    world.machine.saved(session.worker, 999, session.lease, ["forged"])
    assert (session.sent, session.snapshot) == (None, kept)


def test_an_answer_without_its_state_is_not_restored_from():
    """With the worker the session is lost: what is here is older than what was acknowledged."""
    world = pool()
    session = begun(world)
    world.submit("say", session=session)
    process = home(world, session)
    world.claim(process)
    (frame,) = process.running.values()
    world.complete(process, frame, "unsaved")
    world.deliver(process)
    assert "lock" in session.pinned_because
    world.reap(process)
    assert session.state == "lost"


def test_with_disk_an_answer_waits_for_its_commit():
    """And is given when that is done; the session goes on meanwhile."""
    world = pool("disk")
    session = world.open_session("a")
    first, second = (world.submit("say", session=session) for _ in range(2))
    process = world.processes[session.worker.id]
    world.answer(process)
    world.answer(process)
    assert (first.state, second.state) == ("running", "running")
    assert world.records.unended == 2
    world.answer_store()
    assert (first.ending, second.state) == ("ok", "running")
    world.answer_store()
    assert second.ending == "ok"


def test_with_disk_a_commit_that_fails_withholds_the_answer():
    """It ran, and the next commit that succeeds includes it."""
    world = pool("disk")
    session = world.open_session("a")
    first, second = (world.submit("say", session=session) for _ in range(2))
    process = world.processes[session.worker.id]
    world.answer(process)
    world.answer(process)
    world.answer_store(is_failing=True)
    world.answer_store()
    assert (told(world, first).code, told(world, first).outcome) == ("store_failed", "completed")
    assert second.ending == "ok"
    assert world.store.holds(session) == [first.id, second.id]


def test_with_disk_a_call_that_only_looks_has_what_failed_before_it_stored():
    """Its answer tells of a state that is not on the disk, and nobody else may ever order the commit."""
    world = pool("disk")
    session = begun(world)
    first = world.submit("say", session=session)
    world.answer(home(world, session))
    world.answer_store(is_failing=True)
    look = world.submit("say", session=session)
    world.answer(home(world, session), "unchanged")
    assert (told(world, first).code, look.state) == ("store_failed", "running")
    world.answer_store()
    assert look.ending == "ok"
    assert world.store.holds(session)[-1] == first.id


def test_with_disk_a_state_that_cannot_be_saved_is_no_answer():
    """What was acknowledged before is what a death goes back to."""
    world = pool("disk")
    session = begun(world)
    kept = session.snapshot
    call = world.submit("say", session=session)
    process = home(world, session)
    world.claim(process)
    (frame,) = process.running.values()
    world.complete(process, frame, "unsaved")
    world.deliver(process)
    assert (told(world, call).code, session.snapshot) == ("store_failed", kept)
    world.reap(process)
    assert (session.state, session.location) == ("open", "in_hand")


@pytest.mark.parametrize(("code", "ending"), [("cancelled", "cancelled"), ("deadline_exceeded", "expired")])
def test_who_leaves_while_a_commit_is_under_way_knows_that_the_work_was_done(code, ending):
    """The answer is there, and not acknowledged."""
    world = pool("disk")
    session = world.open_session("a")
    call = world.submit("say", session=session, deadline=1.0)
    world.answer(world.processes[session.worker.id])
    if code == "cancelled":
        world.cancel(call)
    else:
        world.advance(2.0)
    assert (call.ending, told(world, call).outcome) == (ending, "completed")
    world.serve_all()
    assert world.store.holds(session) == [call.id]


def test_a_session_of_an_earlier_program_goes_on_from_its_record():
    """It sleeps until its first call, which is told; leases go on where they were."""
    world = pool("disk")
    world.store.kept["a"] = SessionRecord("a", 3, 7, 12, [])
    session = world.machine.open_session("a", None, False, world.now, None, world.store.kept["a"])
    world.settle()
    assert (session.location, session.generation, session.lease) == ("asleep", 3, 7)
    world.ledger.untold.add(session.number)
    assert world.submit("say", session=session).code == "session_restored"
    call = world.submit("say", session=session)
    world.serve_all()
    assert (call.ending, session.lease) == ("ok", 8)
    assert world.store.kept["a"].age == (3, 8, 13)


def test_a_durable_session_leaves_its_worker_without_an_export():
    """What is in the worker is here already."""
    world = pool(sleep_after=0.1)
    session = begun(world)
    world.advance(0.2)
    assert (session.location, session.worker) == ("in_hand", None)
    assert not any(process.waiting for process in world.all)
