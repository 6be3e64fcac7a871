"""The check itself: a sound machine passes, and each contradiction is named."""

from __future__ import annotations

import pytest

from millpond.core import Session, Worker, orders
from millpond.seams import SessionRecord
from tests.core import invariants
from tests.core.model import World


def world() -> World:
    """A pool with something everywhere: running, ahead, queued, in a session's line, and a worker that is not ready."""
    made = World(min_workers=2, max_workers=3).begin()
    made.operation("work").expected = 1e-5
    made.operation("tokens").expected = 1.0
    session = made.open_session("a")
    for _ in range(3):
        made.submit("say", session=session, deadline=9.0)
    for _ in range(4):
        made.submit(deadline=9.0)
    for _ in range(3):
        made.submit("tokens")
    made.resize(3, 3)
    return made


def busy(made: World) -> Worker:
    """The worker that holds most."""
    return max(made.records.workers.values(), key=lambda w: w.load)


def session_of(made: World) -> Session:
    """The one session."""
    return next(iter(made.records.sessions))


def twice(made: World) -> None:
    made.records.unbound.push(made.records.queue.head())


def given_away(made: World) -> None:
    call = next(iter(busy(made).inflight.values()))
    call.worker = None


def ended_and_waiting(made: World) -> None:
    made.records.queue.head().state = "ended"


def lost_from_its_line(made: World) -> None:
    session_of(made).current = None


def elsewhere(made: World) -> None:
    session = session_of(made)
    session.worker = next(w for w in made.records.workers.values() if w is not session.worker)


def never_told(made: World) -> None:
    call = next(c for c in busy(made).inflight.values())
    call.cancel_reason = "cancelled"


def to_the_dead(made: World) -> None:
    dead = Worker(99, 0.0, 1, 1)
    dead.state = "gone"
    made.machine.outbox.append(orders.Kill(dead))


def second_probe(made: World) -> None:
    made.operation("work").breaker.probe = 12345


def overslept(made: World) -> None:
    made.machine.alarm.at += 100.0


def unwatched(made: World) -> None:
    made.records.wheel.discard(next(c for c in invariants.calls_of(made.records) if c.session is not None))


def unstarted(made: World) -> None:
    (worker,) = made.records.starting.values()
    del made.records.workers[worker.id], made.records.starting[worker.id]


def idle_and_draining(made: World) -> None:
    made.run_out()
    next(worker for worker in made.records.workers.values() if not worker.sessions).state = "draining"


CORRUPTIONS = {
    "submitted is": lambda made: setattr(made.records, "submitted", 0),
    "unended is": lambda made: setattr(made.records, "unended", 0),
    "queued is": lambda made: setattr(made.records, "queued", 99),
    "queued_bytes is": lambda made: setattr(made.records, "queued_bytes", -1),
    "ready_count is": lambda made: setattr(made.records, "ready_count", 7),
    "in 2 places": twice,
    "is ended with the ending None": ended_and_waiting,
    "a worker holds it": given_away,
    "does not know it": lost_from_its_line,
    "is not bound to": elsewhere,
    "nobody was told": never_told,
    "is given for a worker that is gone": to_the_dead,
    "has the probe": second_probe,
    "something is due before": overslept,
    "deadlines are watched": unwatched,
    "idle workers are noted": lambda made: made.records.free.idle.update({1: busy(made)}),
    "open windows are noted": lambda made: made.records.open_windows.clear(),
    "to pass over": lambda made: setattr(busy(made), "skips", 200),
    "of work, counted": lambda made: setattr(busy(made), "expected_s", 5.0),
    "workers are wanted": lambda made: setattr(made.records.sizing, "wanted", 50),
    "told to say goodbye": lambda made: setattr(busy(made), "state", "stopping"),
    "is leaving, with": lambda made: setattr(session_of(made), "location", "leaving"),
    "its state in hand is": lambda made: setattr(session_of(made), "snapshot", [1]),
    "and its worker is": lambda made: setattr(session_of(made), "location", "asleep"),
    "whether it is being read": lambda made: made.records.waking.update({1: session_of(made)}),
    "is being put to sleep": lambda made: setattr(session_of(made), "storing", SessionRecord("a", 1, 1, 1, [])),
    "is over and still here": lambda made: setattr(session_of(made), "location", "gone"),
    "may sleep, and nobody looks": lambda made: made.records.by_use.update({1: session_of(made)}),
    "a look 'sleep' is noted": lambda made: made.records.looks.update(sleep=0.0),
    "something to be seen: work": lambda made: made.records.looks.pop("work"),
    "1 workers are missing": unstarted,
    "holds nothing, and was not told": idle_and_draining,
    "was not settled": lambda made: setattr(made.records.unsettled, "has_free_slots", True),
}


def test_a_sound_machine_passes():
    """The check finds nothing to complain about, and changes nothing."""
    made = world()
    invariants.check(made.records)
    made.run_out()
    invariants.check(made.records)


@pytest.mark.parametrize("named", CORRUPTIONS)
def test_a_contradiction_is_named(named):
    """Each kind of corruption is found, and the message says what it is."""
    made = world()
    CORRUPTIONS[named](made)
    with pytest.raises(invariants.InvariantBroken, match=named):
        invariants.check(made.records)
