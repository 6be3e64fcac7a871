"""An order could not be carried out: what that means for whom it was about. One table: order -> what is done.

Each ends at most the call, the session or the start it was about, so that nothing waits for what will not come. Called
by whoever carries orders out, in place of the answer it would have given; the orders behind go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.core.assignment import cancellation
from millpond.core.records import orders
from millpond.core.records.call import RUNNING, TAKEN_BACK
from millpond.core.records.session import LOST, OVER, STORED_RECORD
from millpond.core.records.worker import GONE
from millpond.core.sessions import sleeping
from millpond.core.stimuli import answers, deaths
from millpond.core.workers import fleet, outage, warmup
from millpond.errors import CLASSES
from millpond.seams import EXPORT_CONCURRENT, Death
from millpond.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker
    from millpond.errors import PoolError

AGAIN_S = 1.0  # seconds until an order is given again that has to be carried out some time
CODE = "internal_error"


def order_failed(pool: Records, order: orders.Order, error: BaseException, was_sent: bool, now: float) -> None:
    """An order raised `error`: end what it was about. `was_sent`: the worker was given the call of a `Send`."""
    message = f"the pool's order to {order.verb} could not be carried out: {text_of(error)}"
    failed: Callable[[Records, Any, PoolError, float], None] = _sent if was_sent else FAILED[type(order)]
    failed(pool, order, CLASSES[CODE](message), now)


def _unsent(pool: Records, order: orders.Send, error: PoolError, now: float) -> None:
    """The worker never heard of it and stays: the call ends, unless its caller had given it up."""
    call, worker = order.call, order.worker
    if call.state != RUNNING or call.worker is not worker:
        return
    if call.cancel_reason in ("", TAKEN_BACK):
        call.cancel_reason, call.failure = CODE, str(error)
    answers.withdrawn(pool, worker, call, True, now)
    if call.operation != EXPORT_CONCURRENT:
        answers.passed_over(pool, worker, now)


def _sent(pool: Records, order: orders.Send, error: PoolError, now: float) -> None:
    """It may have begun: its caller is told, and the call is asked back."""
    if order.call.state == RUNNING:
        order.call.failure = str(error)
        cancellation.cancel(pool, order.call, CODE, now)


def _unwithdrawn(pool: Records, order: orders.Withdraw, _error: PoolError, now: float) -> None:
    """It may have begun, for all that can be told."""
    answers.withdrawn(pool, order.worker, order.call, False, now)


def _unstarted(pool: Records, order: orders.Start, error: PoolError, now: float) -> None:
    """A failed start."""
    fleet.start_failed(pool, order.worker, str(error))
    deaths.worker_gone(pool, order.worker, Death(None, None), (), now)


def _unkilled(pool: Records, order: orders.Kill, _error: PoolError, now: float) -> None:
    pool.agenda.add(now + AGAIN_S, "kill_again", order.worker)


def kill_again(pool: Records, worker: Worker, _now: float) -> None:
    """Nobody else would end a worker that the pool has given up."""
    if worker.state != GONE:
        pool.outbox.append(orders.Kill(worker))


def _unpinged(_m: Records, order: orders.Ping, _error: PoolError, _now: float) -> None:
    """It owes no answer to what it was not asked."""
    order.worker.pings_missed = max(0, order.worker.pings_missed - 1)


def _unlooked(pool: Records, order: orders.Look, _error: PoolError, now: float) -> None:
    if order.worker.stopped_since is not None:
        pool.agenda.add(now + AGAIN_S, "stopped", (order.worker, order.worker.stopped_since))


def _unwarmed(pool: Records, order: orders.Warm, error: PoolError, now: float) -> None:
    warmup.refuse(pool, order.worker, str(error), now)


def _unstored(pool: Records, order: orders.Store, error: PoolError, now: float) -> None:
    sleeping.stored(pool, order.session, order.record, error, now)


def _unrecalled(pool: Records, order: orders.Recall, error: PoolError, now: float) -> None:
    sleeping.recalled(pool, order.session, None, error, now)


def _unerased(pool: Records, order: orders.Erase, _error: PoolError, now: float) -> None:
    session = order.session
    if session.location != OVER:  # it is erased when the session is over, if not before
        session.record = STORED_RECORD
        return
    pool.sessions.left_behind(session)
    pool.agenda.add(now + AGAIN_S, "erase_again", session)


def erase_again(pool: Records, session: Session, _now: float) -> None:
    """Unless the id is another's by now, whose record it would be."""
    found = pool.sessions.find(session.id)
    if found is None or found.state == LOST:
        pool.outbox.append(orders.Erase(session))


def _unrevived(pool: Records, _order: orders.Revive, error: PoolError, now: float) -> None:
    """The next try follows after a pause."""
    outage.engine_lost(pool, str(error), now)


def _nothing(*_: Any) -> None:
    """Nobody waits for it, or it is given again anyway."""


FAILED: dict[type, Callable[[Records, Any, PoolError, float], None]] = {
    orders.Send: _unsent,
    orders.Withdraw: _unwithdrawn,
    orders.Interrupt: _nothing,  # given again until the grace is over
    orders.Finish: _nothing,  # the call has ended in the ledger; nobody but its own caller waited
    orders.Start: _unstarted,
    orders.Revive: _unrevived,
    orders.Stop: _nothing,  # a worker that does not say goodbye in time is killed
    orders.Kill: _unkilled,
    orders.Ping: _unpinged,
    orders.Look: _unlooked,
    orders.Forget: _nothing,  # what the worker keeps of the session is replaced if it meets it again, and goes with it
    orders.Weigh: _nothing,  # weighed again
    orders.Emit: _nothing,
    orders.SessionEnded: _nothing,
    orders.Warm: _unwarmed,
    orders.WarmStep: _nothing,
    orders.WarmEnd: _nothing,
    orders.Store: _unstored,
    orders.Recall: _unrecalled,
    orders.Erase: _unerased,
}
