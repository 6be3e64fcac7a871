"""What a worker's answer means for the call it belongs to, its session and its worker.

An answer that matches no call the worker holds is counted and dropped: it is given to nobody. Comes after the wire, and
ends calls through `endings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.core import affinity, aside, dispatch, endings, fleet, keeping, leaving
from millpond.core.call import ENDED
from millpond.core.worker import READY
from millpond.errors import HandlerError

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.machine import Machine
    from millpond.core.session import Session
    from millpond.core.worker import Worker
    from millpond.errors import Outcome
    from millpond.seams import AnswerKind

SESSION_FAILED = 4  # answer flag: the session's opening hook failed, it is not open in the worker
NEVER_BEGAN = ("expired", "skipped")


def unmatched(m: Machine, worker: Worker, call_id: int, kind: AnswerKind, value: Any, now: float) -> None:
    """An errand aside came back, the worker passed over a withdrawn call, or its answer is nobody's."""
    errand = worker.aside.get(call_id)
    if errand is not None:
        aside.answered(m, worker, errand, kind, value, now)
    elif kind in NEVER_BEGAN and worker.skips:
        worker.skips -= 1
    else:
        m.late_answers += 1


def judge(m: Machine, call: Call, kind: AnswerKind, value: Any, ended: float, now: float) -> None:
    """Answer a call that somebody waits for."""
    if kind == "ok":
        call.op.learn(call.service_s)
        if ended > call.deadline and not call.is_chore:
            endings.outran(m, call, call.service_s, now)
            _expire(m, call, "completed", now)
        else:
            endings.finish(m, call, "ok", value, now)
    elif kind == "failed":
        call.op.learn(call.service_s)
        endings.finish(m, call, "failed", value, now)
    elif kind == "interrupted":
        endings.finish(m, call, "failed", HandlerError("the operation raised Interrupted by itself"), now)
    elif kind == "skipped" or call.is_chore:
        leaving.give_up_or_put_back(m, call, now)
    else:
        _expire(m, call, leaving.unbegun(call.attempts - 1), now)


def _expire(m: Machine, call: Call, outcome: Outcome, now: float) -> None:
    endings.finish(m, call, "expired", leaving.farewell(m, call, "deadline_exceeded", outcome, now), now)


def judge_late(m: Machine, worker: Worker, call: Call, kind: AnswerKind, now: float) -> None:
    """The answer of a call its caller has left is dropped; whether the worker is still trusted is a setting."""
    if kind in ("ok", "failed"):
        m.late_answers += 1
    if call.is_interrupted and m.settings.on_interrupt == "replace" and worker.state == READY:
        fleet.drain(m, worker, "interrupted", now)


def session_answered(m: Machine, session: Session, call: Call, kind: AnswerKind, flags: int) -> None:
    """Note where the session's state is now: there, unless the call never began or the session did not open."""
    if flags & SESSION_FAILED and not session.is_in_worker:
        dispatch.release(m, session)
    elif kind not in NEVER_BEGAN:
        keeping.began(m, session, call)


def session_came_back(m: Machine, session: Session, call: Call, now: float) -> None:
    """The worker is done with a call of the session, whose next call takes its place."""
    if call.state == ENDED or call.id in m.committing:
        affinity.call_left(m, session, call, now)
