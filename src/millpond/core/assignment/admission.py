"""Who is let in: why a call would be refused, asked before anything is serialized or bound.

Changes nothing but for a note at an estimate by which a call is refused; `machine.submit` asks it first. The order is:
pool, session, queue, engine, breaker, deadline.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from millpond.core.assignment import overload, refusals
from millpond.core.records import states
from millpond.core.records.breaker import CLOSED
from millpond.core.records.session import OPEN
from millpond.core.records.states import AVAILABLE, LOST
from millpond.errors import CLASSES

if TYPE_CHECKING:
    from millpond.core.records.operation import Operation
    from millpond.core.records.pool import Records
    from millpond.core.records.session import Session
    from millpond.errors import PoolError


def refusal(
    pool: Records,
    op: Operation,
    session: Session | None,
    now: float,
    deadline: float = math.inf,
    priority: int = 0,
    nbytes: int = 0,
) -> PoolError | None:
    """Why a call would be refused now, or `None`."""
    if pool.state != states.SERVING and pool.state != states.OPENING:
        return refusals.closed(pool.state)
    if session is not None and (
        session.state != OPEN or (session.affinity == "fail_fast" and (session.current or session.waiting))
    ):
        return refusals.of_session(session)
    bound = pool.settings.max_queued
    if bound is not None and pool.unended >= bound and pool.unended >= bound + pool.ready_count * pool.concurrency:
        return _queue_full(pool, op, f"{pool.unended} calls are in the pool, max_queued is {bound}")
    if pool.engine.state != AVAILABLE:
        refused = _engine_lost(pool, deadline, now)
        if refused is not None:
            return refused
    breaker = op.breaker
    if not pool.queued and breaker.state == CLOSED and deadline - now >= pool.longest_s + 4.0 * op.service.limit_s:
        return None  # what runs is done in time: the answer for most
    refused = too_many_bytes(pool, op, nbytes) or (None if breaker.state == CLOSED else _circuit_open(op, now))
    if refused or deadline == math.inf:
        return refused
    return overload.refusal(pool, op, session, deadline, priority, now)


def too_many_bytes(pool: Records, op: Operation, nbytes: int) -> PoolError | None:
    """Whether the arguments are too many bytes beside those that wait; with nothing waiting any size is let in."""
    bound = pool.settings.max_queued_bytes
    if bound is not None and pool.queued and pool.queued_bytes + nbytes > bound:
        return _queue_full(pool, op, f"{pool.queued_bytes} bytes wait, max_queued_bytes is {bound}")
    return None


def _engine_lost(pool: Records, deadline: float, now: float) -> PoolError | None:
    """Whether no worker is there for the call, and none can be started before its deadline ends."""
    engine = pool.engine
    if engine.state != LOST or pool.ready_count or deadline > engine.retry_at:
        return None
    wait_s = max(0.0, engine.retry_at - now)
    return CLASSES["start_failed"](
        f"no worker is there and none can be started, tried again in {wait_s:.1f} s: {engine.why}", retry_after=wait_s
    )


def _circuit_open(op: Operation, now: float) -> PoolError | None:
    wait_s = op.breaker.wait(now)
    if wait_s is None:
        return None
    return CLASSES["circuit_open"](
        f"operation {op.name!r} keeps killing or hanging its workers; its breaker is open for {wait_s:.2f} s",
        retry_after=wait_s,
    )


def _queue_full(pool: Records, op: Operation, numbers: str) -> PoolError:
    return CLASSES["queue_full"](
        f"{numbers}; {pool.ready_count} workers x {pool.concurrency} are serving. "
        "Try again later, raise the bound, or raise max_workers",
        retry_after=round(max(0.05, min(op.expected, 30.0)), 3),  # about when a worker is done with one of these
    )
