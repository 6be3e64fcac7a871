"""The mark an operation leaves on the stack: from it alone is read which call runs, and whether it may be interrupted.

No flag says "an operation runs now", so none can be out of step with what the stack says. Signals (`interrupts`) and
log records (`logs`) ask here; the loops call every piece of the handler's code through `invoke`.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import CodeType, FrameType

    from millpond.wire.frames import Fields

    Function = TypeVar("Function", bound=Callable[..., Any])

# The call an async operation belongs to: tasks it starts inherit it, which no look at the stack would tell.
TASK_CALL: ContextVar[int] = ContextVar("millpond_call", default=0)


def invoke(fields: Fields, function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run the handler's code for the call that `fields` is the header of; interrupts may be raised in here only."""
    return function(*args, **kwargs)


def invoke_cleanup(fields: Fields, function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> Any:
    """The same for what ends an operation that was told to stop: no interrupt is raised in here, so that its clean-up
    is not stopped as well. One that hangs is ended with the worker.
    """
    return function(*args, **kwargs)


_INVOKE = invoke.__code__
_CLEANUP = invoke_cleanup.__code__
_SHIELDED: set[CodeType] = {_CLEANUP}


def shielded(function: Function) -> Function:
    """Mark one of our functions that the handler's code calls: while it is on the stack nothing interrupts."""
    _SHIELDED.add(function.__code__)
    return function


def interruptible_call(frame: FrameType | None) -> Fields | None:
    """The header of the call whose operation runs in `frame` or below it, or `None` if it must not be interrupted.

    `logging` counts as ours: an exception between its taking a lock and its `try` would leave the lock taken.
    """
    while frame is not None:
        code = frame.f_code
        if code is _INVOKE:
            fields: Fields = frame.f_locals["fields"]
            return fields
        if code in _SHIELDED or code.co_filename == logging.__file__:
            return None
        frame = frame.f_back
    return None


def call_id_of(frame: FrameType | None) -> int:
    """The id of the call that `frame` runs for; 0 in threads of the handler's own."""
    while frame is not None:
        if frame.f_code is _INVOKE or frame.f_code is _CLEANUP:
            call_id: int = frame.f_locals["fields"][7]
            return call_id
        frame = frame.f_back
    return TASK_CALL.get()
