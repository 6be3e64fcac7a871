"""What is looked at while workers live: slow starts, silence, age, memory, and how long their operations take.

Each look is an event of the agenda, there only while it can find anything. Puts `Ping` and `Weigh` into the outbox and
lets `fleet` end what has to go. Only time in which the pool ran is counted against a worker.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from millpond import events
from millpond.core.assignment import overload
from millpond.core.assignment.dispatch import LOOK_S
from millpond.core.records.orders import Ping, Weigh
from millpond.core.records.worker import KILLED, READY, SPARE, START_FAILED, STARTING, UNRESPONSIVE, WARMING, Worker
from millpond.core.workers import fleet, staffing

if TYPE_CHECKING:
    from millpond.core.records.pool import Records

ASK_AFTER_S = 2.0  # without an answer of a worker that has calls: it is asked whether it has them too
PINGS = 3  # missed pings after which an idle worker is replaced
WEIGH_S = 2.0  # seconds between looks at the workers' memory
HEALTH_AGAIN_S = 0.05  # seconds until another look at a worker whose ping was not due for a standstill


def start_is_late(pool: Records, worker: Worker, now: float) -> None:
    """`start_timeout` has passed since the worker was started."""
    if worker.state in (STARTING, WARMING) and not worker.greeted_at:
        fleet.kill(pool, worker, fleet.START_TIMEOUT, START_FAILED, now)


def proved(pool: Records, worker: Worker, now: float) -> None:
    """The worker lived for long enough to show that starts do not fail any more."""
    if pool.sizing.fails and worker.state in (SPARE, READY) and worker.warm_at > pool.failed_at:
        fleet.proved_well(pool, now)


def look_at_work(pool: Records, now: float) -> None:
    """While calls are in flight: sample the breakers' windows and ask silent workers what they hold."""
    next_at = math.inf
    for operation in itertools.chain(pool.operations.values(), pool.functions.values()):
        operation.breaker.sample(now, operation.ended)
        pool.longest_s = max(pool.longest_s, operation.service.mean_s)
        if operation.service.doubted is not None:
            overload.look_back(pool, operation, now)
            next_at = now + overload.LOOK_BACK_S
    for worker in pool.workers.values():
        if worker.inflight or worker.skips:
            next_at = min(next_at, now + LOOK_S, _maybe_ask(pool, worker, now))
    pool.look_at("work", next_at)


def _maybe_ask(pool: Records, worker: Worker, now: float) -> float:
    """Ask a worker what it holds: its silence means that it works, but its answer may be that it does not.

    Returns when it is to be asked, if it is not silent for long enough.
    """
    ask_at = max(worker.last_progress, worker.pinged_at) + ASK_AFTER_S
    if now < ask_at:
        return ask_at
    if not worker.is_asked and worker.state != KILLED:
        worker.is_asked = True
        worker.pinged_at = now
        pool.outbox.append(Ping(worker))
    return math.inf


def look_at_health(pool: Records, now: float) -> None:
    """Ping the workers that were idle for `health_interval`, and look again when the next is due."""
    interval_s = pool.settings.health_interval
    next_at = now + interval_s
    there = [worker for worker in pool.workers.values() if worker.state in (SPARE, READY)]
    for worker in there:
        if worker.load:
            worker.pings_missed = 0
            continue
        since = max(worker.pinged_at, worker.idle_since)
        due_at = since + interval_s + pool.stood_still(since, now)
        if now >= due_at:
            _ping(pool, worker, now)
        else:
            next_at = min(next_at, max(due_at, now + HEALTH_AGAIN_S))
    if there:
        pool.look_at("health", next_at)


def _ping(pool: Records, worker: Worker, now: float) -> None:
    if worker.pings_missed:
        silent_s = now - worker.pinged_at
        pool.emit(events.WorkerHealth, worker.id, worker.pid, "missed", worker.pings_missed, silent_s)
    if worker.pings_missed >= PINGS:
        fleet.kill(pool, worker, f"missed {PINGS} pings", UNRESPONSIVE, now)
        return
    worker.pings_missed += 1  # until it answers
    worker.is_asked = True
    worker.pinged_at = now
    pool.outbox.append(Ping(worker))


def look_at_memory(pool: Records, now: float) -> None:
    """With `max_memory`: have the workers weighed."""
    if pool.settings.max_memory is not None:
        pool.outbox += [Weigh(worker) for worker in pool.workers.values() if worker.state in (SPARE, READY)]
        pool.look_at("memory", now + WEIGH_S)


def look_at_age(pool: Records, now: float) -> None:
    """With `max_lifetime`: have those replaced that have reached it, and look again when the next does."""
    next_at = math.inf
    for worker in pool.workers.values():
        if worker.retire_at <= now:
            staffing.replace(pool, worker, staffing.MAX_LIFETIME, now)
        elif worker.state in (SPARE, READY):
            next_at = min(next_at, worker.retire_at)
    pool.look_at("age", next_at)
