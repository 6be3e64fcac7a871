"""What must hold of a machine's records between any two stimuli, as one function that says what does not.

Reads everything and changes nothing. Tests and the simulator call it after each step; a pool in service does not. Call
it when the orders given so far have been carried out, or at least are still in the outbox.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

from millpond.core import breaker, dispatch
from millpond.core.call import ENDED, QUEUED, RUNNING, TAKEN_BACK, Call
from millpond.core.session import CLOSED, CLOSING, LOST, OPEN
from millpond.core.worker import DRAINING, GONE, READY, STARTING, WARMING, Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from millpond.core.machine import Machine
    from millpond.core.operation import Operation
    from millpond.core.queue import CallQueue
    from millpond.core.session import Session

ROUNDING_S = 1e-9  # sums of expected work are kept by adding and subtracting


class InvariantBroken(AssertionError):
    """The machine's records contradict each other: a bug in Millpond."""


def check(m: Machine) -> None:
    """Raise `InvariantBroken`, naming everything that does not hold."""
    wrong = list(
        itertools.chain(
            _ledger(m),
            _places(m),
            _workers(m),
            _idle_and_windows(m),
            _sessions(m),
            _watches(m),
            _breakers(m),
            _orders(m),
        )
    )
    if wrong:
        raise InvariantBroken("; ".join(wrong))


def calls_of(m: Machine) -> Iterator[Call]:
    """Every call the machine knows, errands and given-up ones included, as often as it is somewhere."""
    yield from m.queue
    yield from m.openers
    yield from m.shelf.values()
    for worker in m.workers.values():
        yield from worker.inflight.values()
        yield from worker.queue
    for session in _sessions_of(m):
        yield from (session.waiting or {}).values()


def _sessions_of(m: Machine) -> Iterable[Session]:
    """Open and closing sessions, and those that ended but are still at a worker."""
    found = {session.number: session for session in m.book}
    for worker in m.workers.values():
        found |= worker.sessions
    return found.values()


def _ledger(m: Machine) -> Iterator[str]:
    waiting = [c for c in calls_of(m) if c.state == QUEUED and not c.is_chore]
    running = [c for c in calls_of(m) if c.state == RUNNING and not c.is_chore]
    derived = {
        "submitted": sum(m.counts.values()) + m.unended,
        "unended": len(waiting) + len(running),
        "queued": len(waiting),
        "queued_bytes": sum(c.nbytes for c in waiting),
        "ready_count": sum(w.state == READY for w in m.workers.values()),
    }
    for name, value in derived.items():
        if getattr(m, name) != value:
            yield f"{name} is {getattr(m, name)}, counted {value}"


def _places(m: Machine) -> Iterator[str]:
    for call, times in Counter(calls_of(m)).items():
        if times > 1:
            yield f"{call!r} is in {times} places"
        if call.state == QUEUED and call.place is None and call.id not in m.shelf:
            yield f"{call!r} waits nowhere"
        if call.state == ENDED and (call.worker is None or call.worker.inflight.get(call.id) is not call):
            yield f"{call!r} is over and still waits"
        if (call.ending is not None) != (call.state == ENDED):
            yield f"{call!r} has the ending {call.ending}"
    yield from _queue(m.queue, "the shared queue", lambda c: c.session is None)
    yield from _queue(m.openers, "the openers' queue", lambda c: c.session is not None and c.session.worker is None)


def _queue(queue: CallQueue, name: str, belongs: object) -> Iterator[str]:
    assert callable(belongs)
    calls = list(queue)
    if len(calls) != len(queue):
        yield f"{name} holds {len(calls)} calls and says {len(queue)}"
    for call in calls:
        if call.place is not queue or call.state != QUEUED or call.worker is not None or not belongs(call):
            yield f"{call!r} does not belong into {name}"
    head = queue.head()
    if calls and (head is None or (head.key, head.id) != min((c.key, c.id) for c in calls)):
        yield f"{name} has {head!r} in front, which is not the oldest"


def _workers(m: Machine) -> Iterator[str]:
    for worker_id, worker in m.workers.items():
        if worker_id != worker.id or worker.state == GONE:
            yield f"{worker!r} is among the workers as {worker_id}"
        if worker.state in (STARTING, WARMING) and (worker.inflight or worker.sessions or worker.queue):
            yield f"{worker!r} is not ready and holds something"
        if worker.is_killed and worker.state != DRAINING:
            yield f"{worker!r} was killed and may be given calls"
        if worker.is_leaving and (worker.queue or worker.inflight):
            yield f"{worker!r} was told to say goodbye and holds calls"
        for call in worker.inflight.values():
            if call.worker is not worker or call.place is not None or call.state == QUEUED:
                yield f"{call!r} is held by {worker!r}"
        yield from _queue(
            worker.queue, f"the queue of {worker!r}", lambda c, w=worker: c.session and c.session.worker is w
        )
        yield from _window(m, worker)
    leaving = (DRAINING,)
    staying = sum(w.state not in leaving for w in m.workers.values())
    if staying < 0 or m.sizing.wanted > m.sizing.high or m.sizing.wanted < m.sizing.low:
        yield f"wanted is {m.sizing.wanted}, between {m.sizing.low} and {m.sizing.high}"


def _window(m: Machine, worker: Worker) -> Iterator[str]:
    expected = sum(c.expected for c in worker.inflight.values())
    if worker.inflight and abs(worker.expected_s - expected) > ROUNDING_S * max(1.0, expected):
        yield f"{worker!r} expects {worker.expected_s} s of work, counted {expected}"
    if worker.skips < 0:
        yield f"{worker!r} has {worker.skips} calls to pass over"
    if worker.load <= m.concurrency:
        return
    if worker.load > dispatch.WINDOW_CALLS:
        yield f"{worker!r} has {worker.load} calls in its window"
    newest = next(reversed(worker.inflight.values()), None)
    if (
        newest is not None
        and expected - newest.expected > dispatch.WINDOW_S + ROUNDING_S
        and len(worker.inflight) > m.concurrency
    ):
        yield f"{worker!r} was sent {newest!r} ahead, with {expected - newest.expected} s of work before it"


def _idle_and_windows(m: Machine) -> Iterator[str]:
    idle = {w.id for w in m.workers.values() if w.state == READY and w.load < m.concurrency}
    if set(m.idle) != idle:
        yield f"idle workers are noted as {set(m.idle)}, and are {idle}"
    windows = {w.id for w in m.workers.values() if w.state == READY and not w.is_stalled}
    if set(m.open_windows) != windows:
        yield f"open windows are noted as {set(m.open_windows)}, and are {windows}"
    for worker in m.workers.values():
        has_place = worker.load < m.concurrency and worker.state in (READY, DRAINING) and not worker.is_killed
        if has_place and worker.queue:
            yield f"{worker!r} has a free place, and calls of its sessions wait"
    for worker in m.idle.values():
        if m.queue and not (m.is_private and worker.sessions):
            yield f"{worker!r} has a free place, and {len(m.queue)} calls wait"
        if m.openers and m.may_open(worker):
            yield f"{worker!r} has a free place, and {len(m.openers)} sessions wait for one"


def _sessions(m: Machine) -> Iterator[str]:
    for worker in m.workers.values():
        for number, session in worker.sessions.items():
            if session.worker is not worker or session.number != number:
                yield f"{session!r} is not bound to {worker!r}, which has it"
        if m.is_private and len(worker.sessions) > 1:
            yield f"{worker!r} is private and has {len(worker.sessions)} sessions"
    for session in _sessions_of(m):
        yield from _session(session)
    for session in m.book:
        if session.state not in (OPEN, CLOSING):
            yield f"{session!r} is in the book"
    for call in calls_of(m):
        if call.session is not None and call.place is not call.session and call.session.current is not call:
            yield f"{call!r} is of {call.session!r}, which does not know it"


def _session(session: Session) -> Iterator[str]:
    current, worker = session.current, session.worker
    if worker is not None and worker.sessions.get(session.number) is not session:
        yield f"{session!r} is not known to its worker"
    if worker is not None and (worker.state == GONE or session.state == CLOSED):
        yield f"{session!r} is at {worker!r}"
    if worker is None and (session.introduced or session.has_begun):
        yield f"{session!r} is nowhere and was introduced"
    if session.has_begun and session.baggage is not None:
        yield f"{session!r} has begun and its state is still carried"
    if session.waiting and current is None:
        yield f"{session!r} has calls waiting and none before them"
    if current is not None and current.place is None and (current.worker is not worker or worker is None):
        yield f"{session!r} waits for {current!r}"
    if session.exporting != (current is not None and current.op.name == "export_session" and current.is_chore):
        yield f"{session!r} is exporting: {session.exporting}, with {current!r}"
    if session.state == LOST and session.waiting:
        yield f"{session!r} is lost and has calls waiting"


def _watches(m: Machine) -> Iterator[str]:
    watched = Counter(c.id for c in m.wheel)
    expected = Counter(
        c.id
        for c in calls_of(m)
        if c.state != ENDED and c.deadline != math.inf and (c.state == QUEUED or not c.leaving)
    )
    if extra := watched - expected:
        known = {c.id for c in calls_of(m) if c.state == RUNNING and c.leaving}
        if odd := set(extra) - known:
            yield f"deadlines are watched of the calls {odd}"
    if missing := expected - watched:
        yield f"deadlines are not watched of the calls {set(missing)}"
    if m.wake_at > min(m.wheel.next_at(), m.agenda.next_at()):
        yield f"the alarm is set to {m.wake_at}, and something is due before"


def _breakers(m: Machine) -> Iterator[str]:
    unended = {c.id for c in calls_of(m) if c.state != ENDED}
    operations: Iterable[Operation] = itertools.chain(m.operations.values(), m.functions.values())
    for op in operations:
        if (op.breaker.state == breaker.HALF_OPEN) != (op.breaker.probe is not None):
            yield f"{op!r} has the probe {op.breaker.probe}"
        if op.breaker.probe is not None and op.breaker.probe not in unended:
            yield f"{op!r} waits for its probe, call {op.breaker.probe}, which is over"


def _orders(m: Machine) -> Iterator[str]:
    for verb, subject, detail in m.outbox:
        if isinstance(subject, Worker) and subject.state == GONE:
            yield f"{verb} is ordered of {subject!r}"
        if verb == "send" and detail.state == QUEUED:
            yield f"{detail!r} is to be sent and waits"
    if m.outbox:
        return
    for call in calls_of(m):
        if call.state == RUNNING and call.leaving and not (call.is_chore and call.leaving != TAKEN_BACK):
            yield f"{call!r} was asked back ({call.leaving}) and nothing came of it"
