"""Moves away from busy workers: a session whose worker has no room for its call goes where there is some.

Worth it when the wait there is expected to be longer than a move takes. The state is asked for aside, by an errand that
takes no place in the worker's window and that a thread beside the main one carries out; what cannot be taken out that
way (a hook of the handler's, an interpreter whose lock is held) waits for its worker. Decides no order of calls.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from millpond.core import affinity, answers, dispatch, endings, moving
from millpond.core.call import QUEUED, RUNNING, TRANSITIONS
from millpond.core.transitions import move

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.session import Session
    from millpond.core.worker import Worker
    from millpond.seams import AnswerKind

WEIGHT = 0.2  # of the newest in the moving average
BESIDE_S = 0.001  # of a move: what comes after the export
ASIDE_S = 1.0  # seconds an errand aside may wait for its worker's attendant
MOST = 16  # errands aside that one worker has at a time; the logbook has 256 positions for all it holds
LOOKED_AT = 8  # calls that are looked at, at a time, whether they had better go elsewhere; the next time the next


def is_possible(m: Machine, session: Session) -> bool:
    """Whether the state can be asked for while the worker is busy."""
    worker = session.worker
    return m.exports_aside and not session.is_stubborn and worker is not None and len(worker.aside) < MOST


def is_movable(m: Machine, session: Session) -> bool:
    """Whether the session may leave its worker for its waiting call at all: before that has run, nothing changes it."""
    may_be_asked = m.exports_aside and not session.is_stubborn
    return moving.may_move(m, session) and (moving.is_kept(m, session) or may_be_asked)


def expected_wait(m: Machine, worker: Worker, now: float) -> float:
    """Seconds until the worker has room, as far as known; one that takes longer than expected takes as long again."""
    since = max(worker.last_progress, worker.busy_since)
    elapsed = now - since
    work = worker.expected_s / m.concurrency
    return work - elapsed if work > elapsed else elapsed


def may_go_elsewhere(m: Machine, session: Session, now: float) -> bool:
    """Whether the session had better leave its worker, which has no room: somebody is free, and the wait is long."""
    worker = session.worker
    if worker is None or session.affinity != "hint" or not moving.may_move(m, session):
        return False
    if not (moving.is_kept(m, session) or is_possible(m, session)):
        return False
    is_elsewhere = any(other is not worker and m.may_open(other) for other in m.idle.values())
    return is_elsewhere and not m.openers.size and expected_wait(m, worker, now) > m.move_s


def may_follow(m: Machine, session: Session) -> bool:
    """Whether a call that waits inside a stalled worker may be served elsewhere, its session with it."""
    return session.affinity == "hint" and moving.may_move(m, session)


def go_elsewhere(m: Machine, session: Session, call: Call, now: float) -> None:
    """Take the session away from its worker for its call, which waits in front of its line meanwhile."""
    session.current = None
    session.wait_in_front(call)
    if not moving.take_out(m, session, now):
        affinity.serve_next(m, session, now)


def wait_for_elsewhere(m: Machine, call: Call, now: float) -> None:
    """The call stands behind a busy worker; look again whether another has become free, or the wait long."""
    assert call.session is not None
    if not is_movable(m, call.session):
        return
    m.movers[call.id] = call
    if not m.is_watching_stalls:
        dispatch.watch_stalls(m, now)


def look_for_movers(m: Machine, now: float) -> None:
    """Let calls of sessions go elsewhere that wait for busy workers, while anybody is free.

    Whoever cannot go now lets the others pass, so that all are looked at in turn; whoever never can is looked at once.
    """
    for call in list(itertools.islice(m.movers.values(), LOOKED_AT)):
        session = call.session
        assert session is not None
        is_waiting = call.state == QUEUED and session.worker is not None and call.place is session.worker.queue
        if not is_waiting or not is_movable(m, session):
            del m.movers[call.id]
        elif may_go_elsewhere(m, session, now):
            assert session.worker is not None
            del m.movers[call.id]
            session.worker.queue.remove(call)
            go_elsewhere(m, session, call, now)
        else:
            m.movers.move_to_end(call.id)


def send(m: Machine, worker: Worker, errand: Call, now: float) -> None:
    """Give an errand to the worker's attendant."""
    move(errand, RUNNING, TRANSITIONS)
    errand.worker = worker
    errand.attempts += 1
    errand.sent_at = now
    errand.deadline = now + ASIDE_S
    m.wheel.add(errand)
    worker.aside[errand.id] = errand
    m.outbox.append(("send", worker, errand))


def answered(m: Machine, worker: Worker, errand: Call, kind: AnswerKind, value: Any, now: float) -> None:
    """The attendant came back from an errand; one that it did not begin is given up."""
    del worker.aside[errand.id]
    if kind in answers.NEVER_BEGAN:
        _given_up(m, errand, now)
        return
    endings.finish(m, errand, "ok" if kind == "ok" else "failed", value, now)
    _came_back(m, errand, now)


def withdrawn(m: Machine, worker: Worker, errand: Call, is_proven: bool, now: float) -> None:
    """Its time is over: given up, unless the attendant is at it, which is waited for."""
    if is_proven and worker.aside.get(errand.id) is errand:
        del worker.aside[errand.id]
        _given_up(m, errand, now)


def lost(m: Machine, worker: Worker, now: float) -> None:
    """The worker is dead, and its attendant with it; its sessions are seen to elsewhere."""
    for errand in worker.aside.values():
        endings.finish(m, errand, "lost", None, now)
    worker.aside.clear()


def learn(m: Machine, seconds: float) -> None:
    """A state was taken out."""
    m.move_s += WEIGHT * (seconds + BESIDE_S - m.move_s)


def _given_up(m: Machine, errand: Call, now: float) -> None:
    endings.finish(m, errand, "cancelled", None, now)
    _came_back(m, errand, now)


def _came_back(m: Machine, errand: Call, now: float) -> None:
    session = errand.session
    assert session is not None
    affinity.call_left(m, session, errand, now)
