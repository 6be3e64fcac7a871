"""A program's tracer as the pool calls it: nothing that it raises reaches a call, or anybody behind it.

A call is made with a `ContainedTrace`, or without one if the tracer failed. The call factory calls `begin`; `end`
belongs to the order `finish`; the header goes to the worker through the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millpond.core import error_code
from millpond.errors import Interrupted
from millpond.runtime.faults import INTERRUPTS

if TYPE_CHECKING:
    from millpond.core import Call
    from millpond.runtime.faults import Faults
    from millpond.seams import Trace, TraceSource

TRACER = "the tracer"


class ContainedTrace:
    """One call's trace, a `Trace`; its header was asked for once, when the call was made."""

    __slots__ = ("_faults", "_trace", "header")

    def __init__(self, trace: Trace, faults: Faults) -> None:
        self._trace = trace
        self._faults = faults
        self.header = bytes(memoryview(trace.header))

    def end(self, ending: str, code: str | None, error: BaseException | None) -> None:
        """See `Trace`."""
        try:
            self._trace.end(ending, code, error)
        except BaseException as failure:
            _let_interrupts_pass(failure)
            self._faults.note(TRACER, failure, "its call is answered all the same")


class ForwardedTrace:
    """A trace that somebody else keeps: the worker is told of it, and nobody of its end."""

    __slots__ = ("header",)

    def __init__(self, parent: str) -> None:
        self.header = parent.encode()

    def end(self, ending: str, code: str | None, error: BaseException | None) -> None:
        """See `Trace`."""


def begin(source: TraceSource, call: Call, pool_name: str, faults: Faults, parent: str = "") -> ContainedTrace | None:
    """Begin a call's trace, in its caller's thread and context; `None` if it is not traced, or the tracer failed.

    `parent` is the trace of a caller elsewhere: a `traceparent`, and after a newline the `tracestate`.
    """
    try:
        about: dict[str, Any] = {"pool": pool_name, "call": call.id}
        if parent:
            about |= zip(("traceparent", "tracestate"), parent.split("\n"), strict=False)
        trace = source.begin(call.op.name, about)
        return None if trace is None else ContainedTrace(trace, faults)
    except BaseException as failure:
        _let_interrupts_pass(failure)
        faults.note(TRACER, failure, "the call goes on without its trace")
        return None


def end(call: Call, ending: str, value: Any) -> None:
    """Tell whoever traces a call how it ended; `value` is its result or its error."""
    trace, call.trace = call.trace, None
    if trace is not None:
        error = None if ending == "ok" else value
        trace.end(ending, None if error is None else error_code(error), error)


def _let_interrupts_pass(failure: BaseException) -> None:
    """They may be meant for who makes the call; what else a tracer raises, a CancelledError too, is its own."""
    if issubclass(type(failure), (*INTERRUPTS, Interrupted)):
        raise failure
