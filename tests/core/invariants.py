"""What must hold of a machine's records between any two stimuli, as one function that says what does not.

Reads everything and changes nothing. Tests call it after each step; a pool in service does not. Orders that were given
and not carried out yet have to be in the outbox still.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

from millpond import call_listing
from millpond.core.assignment import dispatch
from millpond.core.records import orders, states
from millpond.core.records.breaker import HALF_OPEN
from millpond.core.records.call import ENDED, QUEUED, RUNNING, TAKEN_BACK
from millpond.core.records.ended import FAILURES
from millpond.core.records.gone import MOST_LOST, MOST_PLANNED, PLANNED
from millpond.core.records.timing import TICKS
from millpond.core.records.worker import (
    DRAINING,
    GONE,
    KILLED,
    LEAVING,
    READY,
    SPARE,
    START_FAILED,
    STARTING,
    STOPPING,
    UNRANKED,
    WARMING,
    Worker,
)
from millpond.core.view import View
from millpond.core.workers import fleet
from tests.core.session_invariants import contradictions, sessions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.core.records.call import Call
    from millpond.core.records.pool import Records
    from millpond.core.records.queue import CallQueue

ROUNDING_S = 1e-9  # sums of expected work are kept by adding and subtracting


class InvariantBroken(AssertionError):
    """The machine's records contradict each other: a bug in Millpond."""


def check(pool: Records) -> None:
    """Raise `InvariantBroken`, naming everything that does not hold."""
    parts = (_ledger, _places, _listings, _queues, _workers, _free_slots, _watches, _breakers, _orders)
    wrong = [told for part in parts for told in part(pool)] + list(contradictions(pool, calls_of(pool)))
    if wrong:
        raise InvariantBroken("; ".join(wrong))


def calls_of(pool: Records) -> Iterator[Call]:
    """Every call the machine knows, internal and given-up ones included, as often as it is somewhere."""
    yield from pool.queue
    yield from pool.unbound
    yield from pool.delayed.values()
    for worker in pool.workers.values():
        yield from worker.inflight.values()
        yield from worker.exports.values()
        yield from worker.queue
    for session in sessions_of(pool):
        yield from (session.waiting or {}).values()
    yield from pool.committing.values()


def _ledger(pool: Records) -> Iterator[str]:
    """Each count is what can be counted."""
    waiting = [c for c in calls_of(pool) if c.state == QUEUED and c.continuation is None]
    running = [c for c in calls_of(pool) if c.state == RUNNING and c.continuation is None]
    counted = {
        "submitted": sum(pool.counts.values()) + pool.unended,
        "unended": len(waiting) + len(running),
        "queued": len(waiting),
        "queued_bytes": sum(c.nbytes for c in waiting),
        "ready_count": sum(w.state == READY for w in pool.workers.values()),
    }
    for name, value in counted.items():
        if getattr(pool, name) != value:
            yield f"{name} is {getattr(pool, name)}, counted {value}"


def _places(pool: Records) -> Iterator[str]:
    """Each call is in one place, and in the state that belongs there."""
    for call, times in Counter(calls_of(pool)).items():
        is_held = call.worker is not None and call in (
            call.worker.inflight.get(call.id),
            call.worker.exports.get(call.id),
        )
        if times > 1:
            yield f"{call!r} is in {times} places"
        if (call.state == QUEUED) is (call.line is None and call.id not in pool.delayed):
            yield f"{call!r} is {call.state} and its place is {call.line}"
        if (call.state == QUEUED) is (is_held or call.id in pool.committing):
            yield f"{call!r} is {call.state}, and whether a worker holds it: {is_held}"
        if (call.state == ENDED) is (call.ending is None):
            yield f"{call!r} is {call.state} with the ending {call.ending}"


def _listings(pool: Records) -> Iterator[str]:
    """Each call of a caller's that waits or runs is listed once, in its state, and no other; memory is bounded."""
    view, known = View(pool), [c for c in calls_of(pool) if c.state != ENDED and c.continuation is None]
    for show, state in (("waiting", QUEUED), ("running", RUNNING)):
        listed = call_listing.listed(view, 0.0, show, call_listing.CallFilter(), len(known) + 1)
        ids = Counter(one.call_id for one in listed.calls)
        if ids != Counter({c.id: 1 for c in known if c.state == state}) or listed.of != len(ids):
            yield f"{show} are listed as {ids}, of {listed.of}; there are {known}"
    deaths, remembered = pool.counters.deaths, len(pool.gone.last())
    planned = sum(deaths[cause] for cause in deaths if cause in PLANNED)
    lost = sum(deaths.values()) - planned
    if remembered != min(planned, MOST_PLANNED) + min(lost, MOST_LOST):
        yield f"{remembered} workers are remembered of {planned} and {lost} that are gone"
    failed = sum(number for ending, number in pool.counts.items() if ending != "ok")
    if len(pool.ended.failures) > min(failed, FAILURES):
        yield f"{len(pool.ended.failures)} failures are remembered of {failed}"


def _queues(pool: Records) -> Iterator[str]:
    """Each queue holds what it is for, the oldest in front."""
    yield from _queue(pool.queue, "the shared queue", [c.session is None for c in pool.queue])
    unbound = [c.session is not None and c.session.worker is None for c in pool.unbound]
    yield from _queue(pool.unbound, "the openers' queue", unbound)
    for worker in pool.workers.values():
        bound = [(c.ticket if c.session is None else c.session).worker is worker for c in worker.queue]
        yield from _queue(worker.queue, f"the queue of {worker!r}", bound)


def _queue(queue: CallQueue, name: str, belongs: list[bool]) -> Iterator[str]:
    calls = list(queue)
    if len(calls) != len(queue):
        yield f"{name} holds {len(calls)} calls and says {len(queue)}"
    for call, is_right in zip(calls, belongs, strict=True):
        if not is_right or call.line is not queue:
            yield f"{call!r} does not belong into {name}"
    expected_s = sum(c.expected for c in calls)
    if abs(queue.expected_s - expected_s) > ROUNDING_S * max(1.0, expected_s):
        yield f"{name} expects {queue.expected_s} s of work, counted {expected_s}"
    head = queue.head()
    if calls and (head is None or (head.key, head.id) != min((c.key, c.id) for c in calls)):
        yield f"{name} has {head!r} in front, which is not the oldest"


def _workers(pool: Records) -> Iterator[str]:
    """Workers hold what they may, in windows that are not too large, and are as many as wanted."""
    if not pool.sizing.floor <= pool.sizing.wanted <= pool.sizing.ceiling:
        yield f"{pool.sizing.wanted} workers are wanted, of {pool.sizing.floor} to {pool.sizing.ceiling}"
    standing_by = list(pool.standing_by.values())
    if standing_by and pool.state in states.STAFFED and fleet.short(pool):
        yield f"{standing_by} stand by, and {pool.ready_count} of {pool.sizing.wanted} serve"
    if sum(w.state == SPARE for w in pool.workers.values()) > pool.sizing.spares:
        yield f"{standing_by} stand by, {pool.sizing.spares} are wanted"
    if not set(pool.outgoing) <= set(pool.workers):
        yield f"{pool.outgoing} are to be replaced, and are not all there"
    outgoing = fleet.next_to_go(pool)
    is_due = outgoing is not None and outgoing.state == READY and pool.ready_count > pool.sizing.wanted
    if is_due and pool.state in states.STAFFED:
        yield f"{outgoing!r} is to go and stays, {pool.ready_count} serve and {pool.sizing.wanted} are wanted"
    for worker_id, worker in pool.workers.items():
        if worker_id != worker.id or worker.state == GONE:
            yield f"{worker!r} is among the workers as {worker_id}"
        own = [call for call in worker.inflight.values() if call.continuation is None]
        if worker.state in (STARTING, WARMING, SPARE) and (own or worker.sessions or worker.queue):
            yield f"{worker!r} does not serve and holds something"
        if worker.state == STOPPING and (worker.queue or worker.inflight):
            yield f"{worker!r} was told to say goodbye and holds calls"
        is_to_go = worker.state == DRAINING or (worker.state == READY and pool.state == states.CLOSING)
        has_sessions = worker.sessions and pool.state != states.CLOSING
        if is_to_go and not (worker.load or worker.queue or has_sessions):
            yield f"{worker!r} holds nothing, and was not told to say goodbye"
        yield from itertools.chain(_window(pool, worker), _run(pool, worker))


def _run(pool: Records, worker: Worker) -> Iterator[str]:
    """A warm-up waits for its command to come back, or for its next turn."""
    run = worker.run
    if run is None:
        return
    if run.worker is not worker or run.is_over:
        yield f"{worker!r} is in {run!r}"
    if run.call is None and ("warm", run) not in pool.agenda:
        yield f"{run!r} goes on never"
    elif run.call is not None and run.call.line is not worker.queue and run.call.id not in worker.inflight:
        yield f"{run!r} waits for {run.call!r}, which is not there"


def _window(pool: Records, worker: Worker) -> Iterator[str]:
    held = list(worker.inflight.values())
    expected = sum(c.expected for c in held)
    if held and abs(worker.expected_s - expected) > ROUNDING_S * max(1.0, expected):
        yield f"{worker!r} expects {worker.expected_s} s of work, counted {expected}"
    if worker.skips < 0 or worker.load > max(worker.window, pool.concurrency):
        yield f"{worker!r} holds {len(held)} calls and has {worker.skips} to pass over"
    if len(held) > pool.concurrency and expected > dispatch.WINDOW_S + ROUNDING_S:
        yield f"{worker!r} has {expected} s of work in its window"


def _free_slots(pool: Records) -> Iterator[str]:
    """It is known who has a free slot, and nobody waits who could have it."""
    ready = [w for w in pool.workers.values() if w.state == READY and w.load < w.slots]
    idle = {w.id for w in ready if not (pool.is_private and w.sessions)}
    if set(pool.free.idle) != idle:
        yield f"idle workers are noted as {set(pool.free.idle)}, and are {idle}"
    windows = {w.id for w in pool.workers.values() if w.state == READY and w.id not in pool.stalled}
    if set(pool.open_windows) != windows:
        yield f"open windows are noted as {set(pool.open_windows)}, and are {windows}"
    yield from _ranks(pool)
    for worker in pool.workers.values():
        if worker.queue and worker.load < worker.slots and worker.state != KILLED:
            yield f"{worker!r} has a free slot, and {len(worker.queue)} calls of its sessions wait"
    for worker in pool.free.idle.values():
        if pool.queue:
            yield f"{worker!r} has a free slot, and {len(pool.queue)} calls wait"
        if pool.unbound and pool.free.may_open(worker):
            yield f"{worker!r} has a free slot, and {len(pool.unbound)} sessions wait for one"


def _ranks(pool: Records) -> Iterator[str]:
    """What is kept so that nobody has to walk is what a walk would find."""
    there = list(pool.workers.values())
    walked = {
        "starting": {w.id for w in there if w.state in (STARTING, WARMING)},
        "given_up": {w.id for w in there if w.state in LEAVING and w.cause == START_FAILED},
        "standing_by": {w.id for w in there if w.state == SPARE},
        "fresh": {w.id for w in pool.free.idle.values() if pool.is_private and pool.free.may_open(w)},
    }
    for name, found in walked.items():
        noted = set(pool.free.fresh if name == "fresh" else getattr(pool, name))
        if noted != found:
            yield f"{name} are noted as {noted}, and are {found}"
    unseen = {w.id for w in there if w.load > pool.concurrency and w.id not in pool.stalled} - set(pool.ahead)
    if unseen or (pool.ahead and "stalls" not in pool.looks):
        yield f"{unseen} hold calls ahead of their time, and whether anybody looks: {'stalls' in pool.looks}"
    for worker in there:
        level = worker.load if worker.id in pool.free.idle and pool.concurrency > 1 else UNRANKED
        if worker.level != level:
            yield f"{worker!r} is ranked with those that hold {worker.level} calls"
        if worker.rank is None and worker.id in pool.free.idle:
            yield f"{worker!r} has a free slot, and no session would find it"
        if worker.rank is not None and (worker.rank[0] > len(worker.sessions) or worker not in pool.free.by_sessions):
            yield f"{worker!r} is ranked with those that have {worker.rank[0]} sessions"


def _watches(pool: Records) -> Iterator[str]:
    """Every deadline is watched, and the alarm rings before the first."""
    watched = Counter(pool.wheel)
    known = Counter(c for c in calls_of(pool) if c.state != ENDED and c.deadline != math.inf)
    due = Counter(c for c in known if c.state == RUNNING and c.cancel_reason)  # taken off when it passed
    if watched - known or known - due - watched:
        yield f"deadlines are watched of {set(watched - known)} for nothing, and not of {set(known - due - watched)}"
    first = min((int(c.deadline * TICKS) / TICKS for c in watched), default=math.inf)
    if pool.alarm.at > min(first + 1 / TICKS, pool.agenda.next_at()):
        yield f"the alarm is set to {pool.alarm.at}, and something is due before"


def _breakers(pool: Records) -> Iterator[str]:
    """A half-open breaker has one probe, which is on its way."""
    unended = {c.id for c in calls_of(pool) if c.state != ENDED}
    for op in itertools.chain(pool.operations.values(), pool.functions.values()):
        probe = op.breaker.probe
        if (op.breaker.state == HALF_OPEN) is (probe is None) or probe not in unended | {None}:
            yield f"{op!r} has the probe {probe}"


def _orders(pool: Records) -> Iterator[str]:
    """Orders are for those who are there, what was asked back is being asked back, and nothing is unsettled."""
    left = pool.unsettled
    if left.sessions or left.evacuated or left.has_free_slots or not left.is_staffed:
        yield f"a stimulus was not settled: {list(left.sessions.values())}, {list(left.evacuated.values())}"
    withdrawn = {order.call.id for order in pool.outbox if isinstance(order, orders.Withdraw)}
    for order in pool.outbox:
        worker = getattr(order, "worker", None)
        if worker is not None and worker.state == GONE:
            yield f"{order!r} is given for a worker that is gone"
        if isinstance(order, orders.Send) and order.call.state == QUEUED:
            yield f"{order.call!r} is to be sent and waits"
    for call in calls_of(pool):
        is_late_internal = call.continuation is not None and call.cancel_reason != TAKEN_BACK
        if call.state == RUNNING and call.cancel_reason and call.id not in withdrawn and not is_late_internal:
            yield f"{call!r} was asked back ({call.cancel_reason}), and nobody was told"
    yield from _looks(pool)


def _looks(pool: Records) -> Iterator[str]:
    """Whatever only a look can find is looked for."""
    workers, is_staffed = pool.workers.values(), pool.state in states.STAFFED
    needed = {
        "work": any(worker.load for worker in workers),
        "health": any(worker.state in (SPARE, READY) for worker in workers),
        "age": any(worker.state in (SPARE, READY) and math.isfinite(worker.retire_at) for worker in workers)
        and any(worker.id not in pool.outgoing for worker in workers if worker.state in (SPARE, READY)),
        "idle": is_staffed and _may_idle_out(pool),
        "surplus": is_staffed and pool.ready_count > pool.sizing.wanted,
        "rebalance": bool(pool.candidates and pool.free.idle and not pool.unbound.size),
        "expiry": bool(pool.expiring),
    }
    for verb, is_needed in needed.items():
        if is_needed and verb not in pool.looks:
            yield f"nobody looks, and there is something to be seen: {verb}"
    for verb in pool.looks:
        if (verb, None) not in pool.agenda:
            yield f"a look {verb!r} is noted, and nobody looks"
    is_paused = pool.sizing.fails and (pool.starting or ("reconcile", None) in pool.agenda)
    if is_staffed and pool.engine.state == states.AVAILABLE and not is_paused and _missing(pool) > 0:
        yield f"{_missing(pool)} workers are missing, and nobody starts one"


def _may_idle_out(pool: Records) -> bool:
    """Whether the timeout of an idle worker lets it go, sooner or later."""
    is_idle = any(not worker.load for worker in pool.free.idle.values())
    return is_idle and pool.ready_count > max(
        pool.sizing.floor, pool.ready_count - pool.free.unused + pool.sizing.rule.spares
    )


def _missing(pool: Records) -> int:
    there = len(pool.workers) - len([worker for worker in pool.workers.values() if worker.state in LEAVING])
    going = fleet.next_to_go(pool) is not None
    missing = pool.sizing.wanted + pool.sizing.spares + going - there - len(pool.given_up)
    return min(missing, pool.sizing.most + bool(pool.outgoing) - len(pool.workers))
