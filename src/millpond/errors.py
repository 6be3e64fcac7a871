"""The failures Millpond itself reports, as one table and one class a row.

Everything that is not the handler's own exception reaches the caller as a `PoolError`. `TABLE` gives each code its
ending, its usual outcome, whether a retry is safe and its HTTP status; the page `docs/errors.md` is printed from it.
Part of the vocabulary: imports nothing of Millpond.
"""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Outcome = Literal["not_started", "unknown", "completed"]
Ending = Literal["ok", "failed", "cancelled", "expired", "rejected", "lost"]


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table of errors."""

    ending: Ending
    outcome: Outcome
    retry: Literal["safe", "if idempotent", "no"]
    http: int
    meaning: str


TABLE: dict[str, Code] = {
    "worker_died": Code("lost", "unknown", "if idempotent", 502, "The worker died while it ran the call."),
    "handler_error": Code(
        "failed", "completed", "no", 500, "The handler raised something that cannot travel as itself."
    ),
    "result_not_serializable": Code("failed", "completed", "no", 500, "The result cannot be sent to the caller."),
    "bad_argument": Code("rejected", "not_started", "no", 400, "The call does not fit the handler."),
    "payload_too_large": Code("rejected", "not_started", "no", 413, "Arguments or result exceed `max_payload`."),
    "out_of_memory": Code(
        "failed", "not_started", "safe", 503, "There was no memory to read or write the call's arguments."
    ),
    "deadline_exceeded": Code("expired", "unknown", "if idempotent", 504, "The deadline passed before the answer."),
    "cancelled": Code("cancelled", "unknown", "if idempotent", 499, "The caller gave the call up."),
    "queue_full": Code("rejected", "not_started", "safe", 503, "The queue holds `max_queued` calls or bytes."),
    "overloaded": Code("rejected", "not_started", "safe", 503, "The call would not be answered within its deadline."),
    "session_lost": Code("rejected", "not_started", "no", 410, "The session's state is gone with its worker."),
    "session_restored": Code(
        "rejected", "not_started", "safe", 409, "The session was restored to its last acknowledged state."
    ),
    "store_failed": Code(
        "failed", "completed", "no", 503, "The session's new state could not be committed, so its answer is withheld."
    ),
    "session_busy": Code("rejected", "not_started", "safe", 409, "The session's worker is busy (fail-fast affinity)."),
    "too_many_sessions": Code("rejected", "not_started", "safe", 503, "The pool holds `max_sessions` open sessions."),
    "circuit_open": Code("rejected", "not_started", "safe", 503, "The operation keeps killing or hanging workers."),
    "pool_closing": Code("rejected", "not_started", "safe", 503, "The pool is draining and takes no more calls."),
    "pool_closed": Code("rejected", "not_started", "safe", 503, "The pool is closed, or was never opened."),
    "start_failed": Code("rejected", "not_started", "safe", 503, "No worker could be started."),
    "reentrant_call": Code("rejected", "not_started", "no", 409, "A handler called the pool that runs it."),
    "unreachable": Code(
        "lost", "unknown", "if idempotent", 502, "A client cannot reach its server, or their connection broke."
    ),
    "access_denied": Code("rejected", "not_started", "no", 403, "The server does not let the client do that."),
    "internal_error": Code(
        "failed", "unknown", "if idempotent", 500, "The pool could not carry out an order about the call."
    ),
    "poison_call": Code("lost", "unknown", "no", 422, "The call killed every worker it was given to."),
}


class Interrupted(BaseException):
    """Raised inside a worker, in the operation whose caller's deadline passed or who gave the call up.

    A `BaseException`, so that `except Exception` in a handler does not swallow it. Clean up and let it pass; an
    operation that goes on is killed with its worker when the grace (`cancel_grace`, seconds) ends.
    """


class PoolError(Exception):
    """A call failed for a reason that is Millpond's to report.

    Attributes: `code` (a key of `TABLE`), `outcome` (whether the work may have run), `call_id` (`None` before
    admission), `attempts` (how often it was given to a worker), `retry_after` (seconds, or `None`).
    """

    code: ClassVar[str] = "pool_error"

    def __init__(
        self,
        message: str = "",
        *,
        outcome: Outcome | None = None,
        call_id: int | None = None,
        attempts: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message or TABLE[self.code].meaning)
        self.outcome: Outcome = outcome or TABLE[self.code].outcome
        self.call_id = call_id
        self.attempts = attempts
        self.retry_after = retry_after


class WorkerDied(PoolError, BrokenExecutor):
    """The worker died while it ran the call.

    `signal` and `exit_code` are those of the process (one of them is `None`); `stderr_tail` is the end of what it
    wrote. Also a `BrokenExecutor`, so that code written for `ProcessPoolExecutor` recognizes it.
    """

    code = "worker_died"

    def __init__(
        self,
        message: str = "",
        *,
        signal: int | None = None,
        exit_code: int | None = None,
        stderr_tail: str = "",
        **facts: Any,
    ) -> None:
        super().__init__(message, **facts)
        self.signal = signal
        self.exit_code = exit_code
        self.stderr_tail = stderr_tail


class HandlerError(PoolError):
    """The handler raised, and the exception could not travel as itself.

    `type_name` is the exception's qualified name, `text` its `str()`, `traceback` the worker's, as text.
    """

    code = "handler_error"

    def __init__(
        self, message: str = "", *, type_name: str = "", text: str = "", traceback: str = "", **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.type_name = type_name
        self.text = text
        self.traceback = traceback


class ResultNotSerializable(PoolError):
    """The operation ended, but its result cannot be carried to the caller."""

    code = "result_not_serializable"


class BadArgument(PoolError):
    """The call does not fit the handler: unknown operation, wrong arguments, or arguments that cannot be sent.

    `field` is, for arguments in a document, the path of the first that does not fit, such as `$.texts[3]`.
    """

    code = "bad_argument"

    def __init__(self, message: str = "", *, field: str | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.field = field


class PayloadTooLarge(PoolError):
    """Arguments (`not_started`) or result (`completed`) exceed the setting `max_payload`, in bytes."""

    code = "payload_too_large"


class OutOfMemory(PoolError):
    """There was no memory to make the call's arguments out, or to read them in the worker; the operation did not run.

    Nothing is wrong with the call: it may be made again, to a worker that has room.
    """

    code = "out_of_memory"


class DeadlineExceeded(PoolError, TimeoutError):
    """The deadline passed first; `outcome` says whether the work may have run. Also a `TimeoutError`.

    `not_started`: it never ran. `unknown`: it was running, or a worker that ran it died. `completed`: it ran to its
    end, but only after the deadline, and the result is dropped.
    """

    code = "deadline_exceeded"


class Cancelled(PoolError):
    """The call was given up where no `asyncio.CancelledError` could say so."""

    code = "cancelled"


class QueueFull(PoolError):
    """The queue is at its bound; try again after `retry_after` seconds."""

    code = "queue_full"


class Overloaded(PoolError):
    """More calls wait than the call's deadline has room for: it was not run. Try again after `retry_after` seconds.

    Raised at once, or when the call became hopeless while it waited. In seconds: `wait_s` it would have waited, or has;
    `service_s` its operation takes on average; `allowed_s` its deadline gave it.
    """

    code = "overloaded"

    def __init__(
        self, message: str = "", *, wait_s: float = 0.0, service_s: float = 0.0, allowed_s: float = 0.0, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.wait_s = wait_s
        self.service_s = service_s
        self.allowed_s = allowed_s


class SessionLost(PoolError):
    """The session's state is gone; open it anew with `pool.session(id, reopen=True)`."""

    code = "session_lost"


class SessionRestored(PoolError):
    """The session came back in the state of its last acknowledged answer; said once."""

    code = "session_restored"


class StoreFailed(PoolError):
    """The session store failed. The call of a `durability="disk"` session ran, but what it left is not on disk.

    Opening a session that the store could not be asked for raises it too, with outcome `not_started`.
    """

    code = "store_failed"


class SessionBusy(PoolError):
    """The session's worker is busy and the session was opened with fail-fast affinity."""

    code = "session_busy"


class TooManySessions(PoolError):
    """The pool is at its cap of open sessions."""

    code = "too_many_sessions"


class CircuitOpen(PoolError):
    """The operation's breaker is open; try again after `retry_after` seconds."""

    code = "circuit_open"


class PoolClosing(PoolError):
    """The pool is draining."""

    code = "pool_closing"


class PoolClosed(PoolError):
    """The pool is closed, or was never opened."""

    code = "pool_closed"


class StartFailed(PoolError, BrokenExecutor):
    """No worker could be started; the user's own traceback, if there is one, ends the message.

    A call ends with it when the opening it waited for fails, and, with `retry_after`, when the pool has no warden and
    the call's deadline ends before another is tried.

    Also a `BrokenExecutor`, as a failing `initializer` is in `ProcessPoolExecutor`.
    """

    code = "start_failed"


class ReentrantCall(PoolError):
    """A handler called the pool that runs it: its own worker would have to answer."""

    code = "reentrant_call"


class PoisonCall(PoolError):
    """The call killed two workers and is not given to a third."""

    code = "poison_call"


class Unreachable(PoolError, ConnectionError):
    """A client of a served pool cannot reach the server, or their connection broke. Also a `ConnectionError`.

    `not_started`: no byte of the call left, or the server says that it did not begin. `unknown`: it may have run.
    """

    code = "unreachable"


class AccessDenied(PoolError, PermissionError):
    """The server refused the client: its token is missing, wrong or of another role, or its address. Also a
    `PermissionError`.
    """

    code = "access_denied"


class InternalError(PoolError):
    """Something inside the pool raised that should not: a fault of Millpond's, or of an engine or a store given to it.

    `not_started` where nothing was sent to a worker. The log says it once, and `statistics().faults` counts.
    """

    code = "internal_error"


CLASSES: dict[str, type[PoolError]] = {kind.code: kind for kind in PoolError.__subclasses__()}
