"""Growing for a backlog: how many workers the waiting calls are worth, and fresh processes for waiting sessions.

Looks at what waits every tenth of a second while anything does. Whether a worker is worth its start is `sizing`'s
arithmetic; with private processes each waiting session needs a worker that ran nothing yet.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from millpond.core import fleet, lifetime, staffing
from millpond.core.sizing import Backlog
from millpond.core.worker import READY
from millpond.errors import Overloaded

if TYPE_CHECKING:
    from millpond.core.machine import Machine
    from millpond.core.queue import CallQueue
    from millpond.errors import PoolError

GROW_AGAIN_S = 0.1  # seconds between looks at a backlog
SAMPLED = 1000  # waiting calls whose expected work is added up; beyond, the rest is taken to be like them


def note_turned_away(m: Machine, error: PoolError, now: float) -> None:
    """A call was refused because others wait, or because none may: it is demand as they are."""
    if m.sizing.wanted >= m.sizing.high:
        return
    if isinstance(error, Overloaded):
        m.turned_away.add(error.service_s, now + error.allowed_s, now)
    elif error.code == "queue_full" and not m.queued:  # what is queued is demand enough
        again_s = error.retry_after or 0.0  # about what it takes
        m.turned_away.add(again_s, now + again_s, now)
    else:
        return
    m.backlog_seen(now)


def look_at_backlog(m: Machine, now: float) -> None:
    """Grow for what waits, if that is worth it; look again while anything does."""
    m.turned_away.forget_old(now)
    if not (m.queue or m.openers or m.turned_away.calls) or m.state not in (lifetime.SERVING, lifetime.DRAINING):
        m.is_watching_backlog = False
        return
    if m.is_private:
        _make_fresh(m, now)
        more = _missing_fresh(m) + _worth_starting(m, [m.queue], now)
    else:
        more = _worth_starting(m, [m.queue, m.openers], now)
    if more:
        why = f"{len(m.queue) + len(m.openers)} calls wait"
        if m.turned_away.calls:
            why += f" and {m.turned_away.calls} were refused"
        staffing.resize(m, max(m.sizing.wanted, staffing.staff(m) + more), why, now)
        m.turned_away.clear()
    m.agenda.add(now + GROW_AGAIN_S, "backlog")


def _worth_starting(m: Machine, queues: list[CallQueue], now: float) -> int:
    """How many more workers the calls in these queues are worth."""
    refused = m.turned_away
    calls = sum(map(len, queues))
    if not (calls or refused.calls):
        return 0
    sample = list(itertools.islice(itertools.chain(*queues), SAMPLED))
    work = sum(call.op.expected for call in sample) * calls / max(1, len(sample)) + refused.expected_s
    waited = now - min([*(call.submitted_at for call in sample), *([refused.since] if refused.calls else ())])
    calls += refused.calls
    serving = m.ready_count
    if m.is_private:
        serving = sum(w.state == READY and not w.sessions for w in m.workers.values())
    coming, spares = staffing.coming(m), len(m.standing_by)
    return m.sizing.grow_for(Backlog(calls, work, waited, serving, coming, m.concurrency, spares))


def _missing_fresh(m: Machine) -> int:
    """With private processes: how many of the waiting sessions no fresh worker is there or on its way for."""
    return max(0, len(m.openers) - len(m.fresh) - staffing.coming(m))


def _make_fresh(m: Machine, now: float) -> None:
    """With private processes: let go of one idle worker that was used, so that a waiting session gets a fresh one."""
    if not _missing_fresh(m) or len(m.workers) - len(m.standing_by) < m.sizing.high:
        return
    used = next((w for w in m.idle.values() if w.answered and not w.load), None)
    if used is not None:
        fleet.drain(m, used, "a session needs a fresh process", now)
