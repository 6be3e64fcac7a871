"""Warm-up commands: the pool's own calls by which a started worker becomes a ready one, one after another.

A worker that answered its handshake stays `warming` until whoever paces the warm-up begins its run and the run is
through; one that serves is warmed again between its callers' calls. Which worker when is the strategy's, outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core.assignment import cancellation, dispatch, endings
from millpond.core.records import states
from millpond.core.records.call import QUEUED, Call
from millpond.core.records.operation import Operation
from millpond.core.records.orders import WarmEnd, WarmStep
from millpond.core.records.worker import GONE, LEAVING, READY, SPARE, START_FAILED, WARMING
from millpond.core.workers import fleet
from millpond.errors import CLASSES
from millpond.texts import is_pool_error, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from millpond.core.records.pool import Records
    from millpond.core.records.worker import Worker
    from millpond.errors import Ending
    from millpond.seams import Death

RAN = ("result_not_serializable", "payload_too_large")  # the command did its work; nobody wants what it returned
LOOK_AGAIN_S = 0.02  # for a worker that has yet to pass over a command it did not get to in time
FAILED = "its warm-up failed"
GIVEN_UP = "it was given up"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Command:
    """One command, frozen: what is run under which name, for how long at most, and whether it must succeed."""

    name: str
    op: Operation
    payload: Any
    deadline_s: float
    is_required: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Step:
    """What came of one command: outcome (ok, failed, expired, cancelled, lost), how long it took, and why it failed."""

    command: Command
    outcome: str
    seconds: float
    error: BaseException | None


@dataclass(slots=True, eq=False)
class Run:
    """The commands of one worker on their way, in order. `ticket` is told of each step and of the end, once."""

    worker: Worker
    commands: Sequence[Command]
    ticket: Any
    began_at: float
    steps: list[Step] = field(default_factory=list)  # of the commands that ended
    call: Call | None = None  # the command that waits or runs
    failure: str = ""  # why the worker is not warm
    is_given_up: bool = False  # nobody wants it any more
    is_over: bool = False

    @property
    def seconds_allowed(self) -> float:
        """The deadline of the command on its way."""
        return self.commands[len(self.steps)].deadline_s

    def __repr__(self) -> str:
        return f"<Run of {len(self.steps)} of {len(self.commands)} commands on {self.worker!r}>"


def begin(pool: Records, worker: Worker, commands: Sequence[Command], ticket: Any, now: float) -> Run:
    """Run the commands on a worker: at once if it is warming or stands by, else as its places become free.

    A worker that goes ends its run, too.
    """
    run = Run(worker, commands, ticket, now)
    if worker.run is None and worker.state in (WARMING, SPARE, READY):
        worker.run = run
        go_on(pool, run, now)
    else:
        run.failure = "it is being warmed already" if worker.run is not None else f"it is {worker.shown_state}"
        _emit_end(pool, run)
    return run


def go_on(pool: Records, run: Run, now: float) -> None:
    """Give the worker its next command, if it is free for it; or the run is through, or has failed."""
    worker = run.worker
    # On the agenda after each command, not called by its ending: that may be in the midst of a death or a drain, after
    # which the worker is in no state to be given the next one.
    if run.is_over or run.call is not None:
        return
    if worker.state in LEAVING or worker.state == GONE or pool.state not in states.STAFFED:
        run.failure = run.failure or f"it is {worker.shown_state}, the pool {pool.state}"
        _over(pool, run)
    elif run.failure:
        _failed(pool, run, now)
    elif len(run.steps) == len(run.commands):
        _through(pool, run, now)
    else:
        _give_next(pool, run, now)


def give_up(pool: Records, run: Run, now: float) -> None:
    """Nobody wants the run any more: no other command is given, and the one at work is interrupted as a call is.

    A worker that had to be warm before it serves is replaced; one that serves goes on.
    """
    if run.is_over or run.is_given_up:
        return
    run.is_given_up = True
    run.failure = run.failure or GIVEN_UP
    if run.call is not None:
        cancellation.cancel(pool, run.call, "cancelled", now)
    else:
        go_on(pool, run, now)


def _give_next(pool: Records, run: Run, now: float) -> None:
    worker, command = run.worker, run.commands[len(run.steps)]
    if worker.state != READY and worker.load:  # it has yet to pass over the command before
        pool.agenda.add(now + LOOK_AGAIN_S, "warm", run)
        return
    call = Call(next(pool.call_ids), command.op, command.payload, math.inf, run, continuation=ended)
    call.submitted_at = call.key = now
    run.call = call
    if worker.state == READY:
        worker.queue.push(call)
        dispatch.fill(pool, worker, now)
    else:
        dispatch.send(pool, worker, call, now)


def ended(pool: Records, call: Call, ending: Ending, value: Any, now: float) -> None:
    """A command came to its end, in whatever way; the next is given when this step is over."""
    run: Run = call.ticket
    command = run.commands[len(run.steps)]
    error = None if ending == "ok" or (is_pool_error(value) and value.code in RAN) else value
    outcome = "ok" if error is None else ending
    if error is not None and call.cancel_reason == "deadline_exceeded":
        outcome, error = "expired", CLASSES["deadline_exceeded"](f"it took longer than {command.deadline_s:g} s")
    elif error is not None and run.is_given_up and ending != "lost":
        outcome, error = "cancelled", CLASSES["cancelled"](GIVEN_UP)
    step = Step(command, outcome, now - (call.sent_at or call.submitted_at), error)
    run.call = None
    run.steps.append(step)
    if error is not None and not run.is_given_up:
        _note_failure(pool, run, step)
    done, of = len(run.steps), len(run.commands)
    pool.emit(events.WarmingCommand, run.worker.id, command.name, outcome, done, of, step.seconds)
    pool.outbox.append(WarmStep(run, step))
    pool.agenda.add(now, "warm", run)


def _note_failure(pool: Records, run: Run, step: Step) -> None:
    name = step.command.name
    pool.warm_failures[name] = pool.warm_failures.get(name, 0) + 1
    if step.command.is_required:
        run.failure = f"{name!r} {step.outcome}: {_text(step.error)}"
    elif name not in run.worker.cold:
        run.worker.cold = (*run.worker.cold, name)


def _text(error: object) -> str:
    return str(error) if is_pool_error(error) else text_of(error)


def _through(pool: Records, run: Run, now: float) -> None:
    """Every command was given. What failed before and is well now is forgotten."""
    worker = run.worker
    well = {step.command.name for step in run.steps if step.outcome == "ok"}
    worker.cold = tuple(name for name in worker.cold if name not in well)
    _over(pool, run)
    if worker.state == WARMING:
        fleet.warmed(pool, worker, now - run.began_at, now)


def _failed(pool: Records, run: Run, now: float) -> None:
    """A required command failed. Who serves already goes only while starts do not fail: somebody has to serve."""
    worker, why = run.worker, f"the warm-up of worker {run.worker.id} failed: {run.failure}"
    _over(pool, run)
    if worker.state == WARMING:
        _give_up(pool, worker, why, now)
    elif not (pool.sizing.fails or run.is_given_up):
        fleet.note_failed_start(pool, why, now)
        fleet.drain(pool, worker, FAILED, now)


def refuse(pool: Records, worker: Worker, why: str, now: float) -> None:
    """Nobody will warm this worker: it is replaced, as one whose start failed."""
    if worker.state == WARMING and worker.run is None:
        _give_up(pool, worker, f"worker {worker.id} was not warmed: {why}", now)


def _give_up(pool: Records, worker: Worker, why: str, now: float) -> None:
    fleet.start_failed(pool, worker, why)
    fleet.kill(pool, worker, FAILED, START_FAILED, now)


def lost(pool: Records, call: Call, death: Death, now: float) -> None:
    """The worker died, perhaps of its command."""
    endings.finish(pool, call, "lost", CLASSES["worker_died"](f"the worker ended with {death}"), now)


def worker_gone(pool: Records, worker: Worker, death: Death, now: float) -> None:
    """What waits in a dead worker's line can be run nowhere else."""
    run = worker.run
    if run is not None:
        if run.call is not None and run.call.state == QUEUED:
            error = CLASSES["worker_died"](f"the worker ended with {death}", outcome="not_started")
            endings.end_queued(pool, run.call, "lost", error, now)
        run.failure = run.failure or f"it ended with {death}"
        _over(pool, run)


def _over(pool: Records, run: Run) -> None:
    run.worker.run = None
    _emit_end(pool, run)


def _emit_end(pool: Records, run: Run) -> None:
    run.is_over = True
    pool.outbox.append(WarmEnd(run))
