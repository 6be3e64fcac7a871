"""Where a call's ending goes: to the ticket of whoever waits for it, and to whoever traces it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from millpond.core.tally import error_code

if TYPE_CHECKING:
    from millpond.core.call import Call


class Ticket(Protocol):
    """An asyncio future, a `concurrent.futures` one, or a stream."""

    def done(self) -> bool:
        """Whether the caller has left or was told."""
        ...

    def set_result(self, value: Any, /) -> None:
        """The result."""
        ...

    def set_exception(self, error: Any, /) -> None:
        """The failure."""
        ...


def end_trace(call: Call, ending: str, value: Any) -> None:
    """Tell whoever traces a call how it ended; `value` is its result or its error."""
    trace, call.trace = call.trace, None
    if trace is not None:
        error = None if ending == "ok" else value
        trace.end(ending, None if error is None else error_code(error), error)
