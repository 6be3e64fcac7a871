"""An order could not be carried out: what that means for whom it was about. One table: order -> what is done.

Each ends at most the call, the session or the start it was about, so that nothing waits for what will not come. Called
by whoever carries orders out, in place of the answer it would have given; the orders behind go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.core import fleet, leaving, losses, outage, sleeping, warmup
from millpond.core.call import RUNNING, TAKEN_BACK
from millpond.core.session import LOST
from millpond.core.texts import text_of
from millpond.core.whereabouts import GONE as GONE_STATE
from millpond.core.worker import GONE
from millpond.errors import CLASSES
from millpond.seams import EXPORT_ASIDE, Death

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.session import Session
    from millpond.core.worker import Worker
    from millpond.errors import PoolError
    from millpond.seams import SessionRecord

AGAIN_S = 1.0  # seconds until an order is given again that has to be carried out some time
CODE = "internal_error"
SENT = "sent"  # a `send` that raised, but the worker was given the call


def internal(verb: str, error: BaseException) -> PoolError:
    """What the order's failure is to whoever waits for it."""
    return CLASSES[CODE](f"the pool's order to {verb} could not be carried out: {text_of(error)}")


def _unsent(m: Machine, worker: Worker, call: Call, error: PoolError, now: float) -> None:
    """The worker never heard of it and stays: the call ends, unless it is its caller who had left."""
    if call.state != RUNNING or call.worker is not worker:
        return
    if call.leaving in ("", TAKEN_BACK):
        call.leaving, call.failure = CODE, str(error)
    leaving.withdrawn(m, worker, call, True, now)
    if call.operation != EXPORT_ASIDE:  # there is nothing that the worker would have to pass over
        m.answered(worker, 0, "skipped", None, now, now, 0, now)


def _sent(m: Machine, _worker: Worker, call: Call, error: PoolError, now: float) -> None:
    """It may have begun: the caller goes, and the call is asked back."""
    if call.state == RUNNING:
        call.failure = str(error)
        leaving.leave(m, call, CODE, now)


def _unwithdrawn(m: Machine, worker: Worker, call: Call, _error: PoolError, now: float) -> None:
    """It may have begun, for all that can be told."""
    leaving.withdrawn(m, worker, call, False, now)


def _unstarted(m: Machine, worker: Worker, _detail: None, error: PoolError, now: float) -> None:
    """A failed start."""
    fleet.start_failed(m, worker, str(error))
    losses.worker_gone(m, worker, Death(None, None), (), now)


def _unkilled(m: Machine, worker: Worker, _detail: None, _error: PoolError, now: float) -> None:
    m.agenda.add(now + AGAIN_S, "kill_again", worker)


def kill_again(m: Machine, worker: Worker, _now: float) -> None:
    """Nobody else would end a worker that the pool has given up."""
    if worker.state != GONE:
        m.outbox.append(("kill", worker, None))


def _unpinged(_m: Machine, worker: Worker, _detail: None, _error: PoolError, _now: float) -> None:
    """It owes no answer to what it was not asked."""
    worker.pings_missed = max(0, worker.pings_missed - 1)


def _unlooked(m: Machine, worker: Worker, _detail: None, _error: PoolError, now: float) -> None:
    if worker.stopped_since is not None:
        m.agenda.add(now + AGAIN_S, "stopped", (worker, worker.stopped_since))


def _unwarmed(m: Machine, worker: Worker, _detail: None, error: PoolError, now: float) -> None:
    warmup.refuse(m, worker, str(error), now)


def _unstored(m: Machine, session: Session, record: SessionRecord, error: PoolError, now: float) -> None:
    sleeping.stored(m, session, record, error, now)


def _unrecalled(m: Machine, session: Session, _detail: None, error: PoolError, now: float) -> None:
    sleeping.recalled(m, session, None, error, now)


def _unerased(m: Machine, session: Session, _detail: None, _error: PoolError, now: float) -> None:
    if session.where != GONE_STATE:  # it is erased when the session is over, if not before
        session.is_stored = True
        return
    m.book.left_behind(session)
    m.agenda.add(now + AGAIN_S, "erase_again", session)


def erase_again(m: Machine, session: Session, _now: float) -> None:
    """Unless the id is another's by now, whose record it would be."""
    found = m.book.find(session.id)
    if found is None or found.state == LOST:
        m.outbox.append(("erase", session, None))


def _unrevived(m: Machine, _subject: None, _detail: None, error: PoolError, now: float) -> None:
    """The next try follows after a pause."""
    outage.engine_lost(m, str(error), now)


def _nothing(*_: Any) -> None:
    """Nobody waits for it, or it is given again anyway."""


FAILED: dict[str, Callable[[Machine, Any, Any, PoolError, float], None]] = {
    "send": _unsent,
    SENT: _sent,
    "withdraw": _unwithdrawn,
    "interrupt": _nothing,  # given again until the grace is over
    "finish": _nothing,  # the call has ended in the ledger; nobody but its own caller waited
    "start": _unstarted,
    "revive": _unrevived,
    "stop": _nothing,  # a worker that does not say goodbye in time is killed
    "kill": _unkilled,
    "ping": _unpinged,
    "look": _unlooked,
    "check": _nothing,  # given again
    "forget": _nothing,  # what the worker keeps of the session is replaced if it meets it again, and goes with it
    "weigh": _nothing,  # weighed again
    "say": _nothing,
    "session_closed": _nothing,
    "warm": _unwarmed,
    "warm_step": _nothing,
    "warm_end": _nothing,
    "store": _unstored,
    "recall": _unrecalled,
    "erase": _unerased,
}


def order_failed(m: Machine, verb: str, subject: Any, detail: Any, error: BaseException, now: float) -> None:
    """An order raised `error`: end what it was about."""
    FAILED[verb](m, subject, detail, internal(verb, error), now)
