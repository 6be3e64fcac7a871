"""Whether a call can be answered within its deadline: asked at the door, and again before a waiting call is sent.

Only waiting is refused: where a worker is free a call is sent whatever is expected of it, and what waits last is kept
for the worker that would be idle without it. What waits ahead is counted by the mean of each operation, the call itself
by its `limit_s`. Nothing is refused of which too little is known. Comes after the bounds of `admission`.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from millpond.core.records.operation import ServiceTimes
from millpond.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from millpond.core.records.call import Call
    from millpond.core.records.operation import Operation
    from millpond.core.records.pool import Records
    from millpond.core.records.queue import CallQueue
    from millpond.core.records.session import Session
    from millpond.core.records.worker import Worker

# Standard deviations of the work ahead that are added to its mean. Of the calls let in at the mean 15 in 100 are
# dropped later where service times vary much; so, 9. It costs no throughput: the queue is shorter, and not empty.
CAUTION = 1.0
LOOKED_AT = 8  # workers, and calls of each, whose remaining time is looked at; the others are taken to be like them
LOOK_BACK_S = 0.5  # seconds between looks back at a refusal
SHORTEST_RETRY_S, LONGEST_RETRY_S = 0.05, 30.0


def refusal(
    pool: Records, op: Operation, session: Session | None, deadline: float, priority: int, now: float
) -> Overloaded | None:
    """Why a call that has to wait cannot be answered in time, or `None` if it can, or if that cannot be told."""
    limit_s = op.service.limit_s
    if not limit_s or (session is None and pool.free.idle) or _is_roomy(pool, op, session, deadline - now):
        return None
    room_s = max(0.0, deadline - now - limit_s)
    if deadline <= now or not (pool.ready_count and pool.settings.overload_control):
        return None
    key = now - priority * pool.settings.priority_age
    if session is None:
        wait_s = _shared_wait(pool, priority, key, room_s - max(pool.longest_s, op.service.mean_s), now)
    else:
        wait_s = _session_wait(pool, session, key, now)
    if wait_s <= room_s:
        return None
    if session is None:
        if op.service.doubted is None:
            pool.look_at("work", now + LOOK_BACK_S)
        op.service.doubted = (now, (now + deadline) / 2)
    return _error(pool, op, wait_s, deadline - now)


def _is_roomy(pool: Records, op: Operation, session: Session | None, left_s: float) -> bool:
    """Whether a call has so much time that its wait need not be looked at closely: most have."""
    ahead_s = pool.queue.expected_s + pool.unbound.expected_s + pool.longest_s + op.service.limit_s
    if session is not None:
        ahead_s += session.waiting_s
        if session.worker is not None:
            ahead_s += session.worker.queue.expected_s
    return left_s > 4.0 * ahead_s and left_s * left_s > 64.0 * (pool.queue.variance + pool.unbound.variance)


def look_back(pool: Records, op: Operation, now: float) -> None:
    """Begin an estimate anew by which calls were refused that could have been answered: soon after, all was idle.

    Else one slow run among few would have most of each later burst refused, whose few answers do not outnumber it.
    """
    assert op.service.doubted is not None
    refused_at, in_time = op.service.doubted
    worker = next(reversed(pool.free.idle.values()), None)  # the one used last
    if worker is not None and not (worker.load or pool.queued) and refused_at < worker.idle_since <= in_time:
        op.service = ServiceTimes()
    elif now > in_time:
        op.service.doubted = None


def _shared_wait(pool: Records, priority: int, key: float, enough_s: float, now: float) -> float:
    """Seconds until a call without a session would be sent; 0 while there is a free slot.

    Below `enough_s` it is not looked at how long the running calls will take: most calls end here.
    """
    if pool.free.idle:
        return 0.0
    ahead_s = variance = 0.0
    for queue in (pool.queue, pool.unbound):
        if queue.size:
            share = queue.share_ahead(priority, key)
            ahead_s += share * queue.expected_s
            variance += share * queue.variance
    wait_s = (ahead_s + CAUTION * math.sqrt(max(0.0, variance))) / (pool.ready_count * pool.concurrency)
    if wait_s < enough_s:
        return wait_s
    return wait_s + _until_free(itertools.islice(pool.workers.values(), LOOKED_AT), pool.concurrency, now)


def _session_wait(pool: Records, session: Session, key: float, now: float) -> float:
    """Seconds until a session's call would be sent: what waits at the session itself, and at its worker or any."""
    worker = session.worker
    if pool.is_private or (session.affinity == "hint" and pool.free.idle):
        return session.waiting_s
    if worker is None:
        return session.waiting_s + _shared_wait(pool, 0, key, -math.inf, now)
    if session.current is None and worker.load < worker.slots and not worker.queue.size:
        return 0.0
    shared_s = (pool.queue.expected_s + pool.unbound.expected_s) / (max(1, pool.ready_count) * pool.concurrency)
    queue_s = worker.queue.expected_s / pool.concurrency
    return session.waiting_s + queue_s + shared_s + _until_free([worker], pool.concurrency, now)


def _until_free(workers: Iterable[Worker], concurrency: int, now: float) -> float:
    """What the running calls of these workers have left on average, as far as known."""
    most, running, left_s = min(concurrency, LOOKED_AT), 0, 0.0
    for worker in workers:
        for call in itertools.islice(worker.inflight.values(), most):
            running += 1
            this_s = call.op.service.mean_s - (now - call.sent_at)
            if this_s > 0:
                left_s += this_s
    return left_s / running if running else 0.0


def is_hopeless(pool: Records, call: Call, now: float) -> bool:
    """Whether a waiting call has less time left than its operation takes; not one that began before, or is too late."""
    return (
        now < call.deadline < now + call.op.service.limit_s
        and not call.attempts
        and pool.settings.overload_control
        and call.continuation is None
    )


def may_drop(pool: Records, queue: CallQueue, worker: Worker) -> bool:
    """Whether enough others wait in a queue for every free slot it is for."""
    if queue is worker.queue:
        return worker.queue.size > worker.slots - worker.load
    return queue.size > len(pool.free.idle) * pool.concurrency


def dropped(pool: Records, call: Call, now: float) -> Overloaded:
    """The error of a call that became hopeless while it waited."""
    return _error(pool, call.op, now - call.submitted_at, call.deadline - call.submitted_at, "has waited")


def _error(
    pool: Records, op: Operation, wait_s: float, allowed_s: float, waits: str = "would wait about"
) -> Overloaded:
    return Overloaded(
        f"operation {op.name!r} {waits} {wait_s:.3f} s and takes up to {op.service.limit_s:.3f} s; its deadline gives "
        f"it {allowed_s:.3f} s. {pool.queued} calls wait for {pool.ready_count} workers x {pool.concurrency}. "
        "Try again later, or raise max_workers; a batch that may wait is for map(), or deadline=None",
        retry_after=round(min(max(wait_s, SHORTEST_RETRY_S), LONGEST_RETRY_S), 3),
        wait_s=wait_s,
        service_s=op.service.mean_s,
        allowed_s=allowed_s,
    )
