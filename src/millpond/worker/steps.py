"""What a call takes beyond the fast path, as a plan: sessions that have to be opened, streams, internal calls.

A plan yields steps of the handler's code to be run, and is sent what came of each, value or exception; `None` asks to
wait until the stream may go on. So the order of things is written once, and `drive` (in this thread), or the loop of
tasks, carries it out. A plan ends its call with exactly one answer.
"""

from __future__ import annotations

import inspect
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from millpond.errors import Interrupted
from millpond.seams import CLOSE_SESSION, EXPORTS
from millpond.wire.frames import INTERRUPTED, ITEM, OK, SESSION_FAILED
from millpond.worker import handler_session as sessions
from millpond.worker.replies import Fault, Unsendable
from millpond.worker.runner import unreadable_fault
from millpond.worker.stack import invoke, invoke_cleanup

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from millpond.wire.frames import Body, Fields
    from millpond.worker.handler_session import SessionSlot
    from millpond.worker.loop import Running
    from millpond.worker.runner import Runner

    Outcome = tuple[Any, BaseException | None]
    Plan = Generator["HandlerStep | None", Outcome, None]


class HandlerStep(NamedTuple):
    """A piece of the handler's code; what an async one returns has to be awaited, a clean-up is not interrupted."""

    function: Callable[..., Any]
    args: Iterable[Any] = ()
    kwargs: dict[str, Any] = {}
    is_async: bool = False
    is_cleanup: bool = False


def plan(runner: Runner, running: Running, body: Body, started: float) -> Plan:
    """The plan of a call that was claimed when it `started`."""
    fields, running.started = running.fields, started
    slot = runner.session_slots.get(fields[8])
    if slot is None:
        _session_lost(runner, running)
    elif fields[4] == CLOSE_SESSION:
        yield from _closing(runner, running, slot)
    elif fields[4] in EXPORTS:
        yield from _exporting(runner, running, slot)
    else:
        yield from _operation(runner, running, slot, body)


def drive(steps: Plan, running: Running, wait: Callable[[Running], None]) -> None:
    """Carry out a plan in this thread; `wait` blocks until the call's stream may go on."""
    outcome: Outcome | None = None
    while True:
        try:
            step = next(steps) if outcome is None else steps.send(outcome)
        except StopIteration:
            return
        if step is None:
            wait(running)
            outcome = (None, None)
        else:
            outcome = perform(running.fields, step)


def perform(fields: Fields, step: HandlerStep) -> Outcome:
    """Run one step; an exception is an outcome, too. (Thrown into the plan, a `GeneratorExit` would end that.)"""
    run = invoke_cleanup if step.is_cleanup else invoke
    try:
        return run(fields, step.function, step.args, step.kwargs), None
    except BaseException as error:
        return None, error


def _operation(runner: Runner, running: Running, slot: SessionSlot, body: Body) -> Plan:
    fields = running.fields
    try:
        if fields[4] >= len(runner.operations):
            raise LookupError("this worker's code has no such operation")
        operation = runner.operations[fields[4]]
        function, args, kwargs = runner.decode(operation, fields, body, slot)
    except BaseException as reason:
        runner.unreadable(fields, running.started, reason)
        return
    if not (yield from _opened(runner, running, slot)):
        return
    step = HandlerStep(function, args, kwargs, operation.kind == "async")
    if running.is_stopped:
        yield from _ended(runner, running, None, Interrupted(), is_stopped=True)
    elif operation.kind in ("stream", "async_stream"):
        yield from _streaming(runner, running, step)
    else:
        value, error = yield step
        yield from _ended(runner, running, value, error)


def _ended(runner: Runner, running: Running, value: Any, error: BaseException | None, is_stopped: bool = False) -> Plan:
    """The operation is over: with durability the handler's hook gives the state it leaves, then it is answered."""
    ended = monotonic()
    exported = yield from _exported(runner, running)
    if error is None:
        runner.succeeded(running.fields, running.started, value, exported, ended)
    else:
        is_stopped = is_stopped or running.is_stopped
        runner.failed(running.fields, running.started, error, is_stopped, exported, ended)


def _exported(runner: Runner, running: Running) -> Generator[HandlerStep | None, Outcome, Outcome | None]:
    """What the hook says of the session's state, if there is a hook and somebody wants to know."""
    slot = runner.session_slots.get(running.fields[8])
    if runner.saver is None or not runner.saver.uses_hook or slot is None or slot is sessions.NO_SLOT:
        return None
    return (yield _step_of(sessions.exporting(slot, runner.hooks), is_cleanup=True))


def _streaming(runner: Runner, running: Running, step: HandlerStep) -> Plan:
    """Items go out while there is credit; the generator is always closed before the last answer."""
    fields = running.fields
    items, error = yield step
    if error is not None:
        yield from _ended(runner, running, None, error)
        return
    advance, close = _ends_of(items)
    while True:
        while not running.may_go_on():
            yield None
        if running.is_stopped or runner.is_asked_to_stop(fields):
            _, error = yield close
            yield from _ended(runner, running, None, error or Interrupted(), is_stopped=True)
            return
        item, error = yield advance
        if error is not None:
            yield close  # an interrupt may have come before the generator went on
            yield from _stream_over(runner, running, error)
            return
        runner.check_not_forked()
        try:
            runner.answers.value(ITEM, fields, running.started, monotonic(), item)
        except Unsendable as unsendable:
            yield close
            exported = yield from _exported(runner, running)
            runner.end(fields)
            ahead = runner.leave_slot(fields, runner.is_asked_to_stop(fields), exported) if fields[8] else None
            runner.unsendable(fields, running.started, monotonic(), unsendable, ahead)
            return
        running.sent += 1


def _ends_of(items: Any) -> tuple[HandlerStep, HandlerStep]:
    """How to get the next item of a generator, and how to close it."""
    if inspect.isasyncgen(items):
        return HandlerStep(items.__anext__, is_async=True), HandlerStep(items.aclose, is_async=True)
    return HandlerStep(items.__next__), HandlerStep(items.close, is_cleanup=True)


def _stream_over(runner: Runner, running: Running, error: BaseException) -> Plan:
    # A generator cannot raise these two by mistake: Python turns them into RuntimeError.
    if issubclass(type(error), StopIteration | StopAsyncIteration):
        yield from _ended(runner, running, getattr(error, "value", None), None)
    else:
        yield from _ended(runner, running, None, error)


def _opened(runner: Runner, running: Running, slot: SessionSlot) -> Generator[HandlerStep | None, Outcome, bool]:
    """Open the session if it is not; false if that failed and the call is answered."""
    if slot.is_open:
        return True
    try:
        hook = sessions.opening(slot, runner.hooks, runner.decode_value)
    except BaseException as error:
        _unreadable(runner, running, slot, error)
        return False
    if hook is not None:
        _, failure = yield _step_of(hook)
        if failure is not None:
            _not_opened(runner, running, slot, failure)
            return False
    slot.opened(is_simple=runner.saver is None or not runner.saver.uses_hook)
    return True


def _not_opened(runner: Runner, running: Running, slot: SessionSlot, error: BaseException) -> None:
    """The opening hook failed, or was interrupted: the session is forgotten here, and its next call tries again.

    What it brought along is in the parent's hand until a call of it has run.
    """
    fields = running.fields
    ended = monotonic()
    is_left = running.is_stopped or runner.is_asked_to_stop(fields)
    runner.end(fields, error)
    if runner.session_slots.get(slot.number) is slot:
        del runner.session_slots[slot.number]
    if is_left and issubclass(type(error), runner.interruptions):
        runner.answers.send(INTERRUPTED, fields, running.started, ended, flags=SESSION_FAILED)
    else:
        runner.answers.raised(fields, running.started, ended, error, SESSION_FAILED)


def _unreadable(runner: Runner, running: Running, slot: SessionSlot, error: BaseException) -> None:
    """The state it brought along cannot be decoded, by the code of this worker at least. The parent keeps it."""
    if issubclass(type(error), runner.interruptions):
        _not_opened(runner, running, slot, error)
        return
    fields = running.fields
    runner.end(fields, error)
    del runner.session_slots[slot.number]
    remedy = "; it is kept as it is: mend the code and replace the workers, or close the session"
    fault = unreadable_fault(f"the state of session {slot.number}", error, "handler_error", remedy)
    runner.answers.fault(fields, running.started, monotonic(), fault, SESSION_FAILED)


def _closing(runner: Runner, running: Running, slot: SessionSlot) -> Plan:
    """Run the closing hook, on a session that was just brought here too; it is forgotten whatever comes of it."""
    if slot.snapshot is not None and not (yield from _opened(runner, running, slot)):
        return
    hook = sessions.closing(slot, runner.hooks)
    _, error = (yield _step_of(hook)) if hook is not None else (None, None)
    del runner.session_slots[slot.number]
    if error is None:
        runner.succeeded(running.fields, running.started, None)
    else:
        runner.failed(running.fields, running.started, error, running.is_stopped)


def _exporting(runner: Runner, running: Running, slot: SessionSlot) -> Plan:
    """Answer with the session's state and forget it; on failure it stays."""
    fields = running.fields
    if slot.snapshot is not None:  # never unpacked here: goes on as it came
        runner.end(fields)
        del runner.session_slots[slot.number]
        runner.answers.send(OK, fields, running.started, monotonic(), slot.snapshot, slot.snapshot_flags)
        return
    if not (yield from _opened(runner, running, slot)):
        return
    state, error = yield _step_of(sessions.exporting(slot, runner.hooks))
    if error is not None:
        runner.failed(fields, running.started, error, running.is_stopped)
        return
    # By identity: with threads the session may be back before this one gets to forget it.
    if runner.succeeded(fields, running.started, state) and runner.session_slots.get(slot.number) is slot:
        del runner.session_slots[slot.number]


def _step_of(hook: sessions.Hook, is_cleanup: bool = False) -> HandlerStep:
    function, args = hook
    return HandlerStep(function, args, is_async=inspect.iscoroutinefunction(function), is_cleanup=is_cleanup)


def _session_lost(runner: Runner, running: Running) -> None:
    fields = running.fields
    runner.end(fields)
    fault = Fault("session_lost", f"session {fields[8]} is not known to its worker; open it anew")
    runner.answers.fault(fields, running.started, monotonic(), fault)
