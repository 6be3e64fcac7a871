"""The short way of a call whose whole body is there: no task, no messages, answered when its worker's answer is read.

Millpond's own server takes it where `Application.claims` says so. What is out of the ordinary is left to the long way,
which answers the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from millpond.calls import check_answer
from millpond.errors import PoolError
from millpond.http.asking import IDEMPOTENCY_KEY, headers_of, too_large, trace_of
from millpond.http.calls import calls_for, session_for, told
from millpond.http.formats import CONTENT_TYPES, answer_format, document, format_of
from millpond.http.headers import ANSWER
from millpond.http.problems import Problem, as_handler_error
from millpond.http.routing import check_path
from millpond.http.traffic import CALL, SESSION_CALL, UNANSWERED

if TYPE_CHECKING:
    from millpond.documents import Document
    from millpond.http.access.caller import Caller
    from millpond.http.application import Application
    from millpond.http.asking import Scope
    from millpond.pool import Pool

_LINES = b"".join(b"%b: %b\r\n" % (name.lower().encode(), value.encode()) for name, value in ANSWER.items())
INTERNAL_ERROR = 500
_HEADS = {format: b"content-type: %b\r\n%bcontent-length: " % (kind, _LINES) for format, kind in CONTENT_TYPES.items()}


class Exchange(Protocol):
    """One request, as the server has it."""

    on_disconnect: Callable[[], None] | None  # called once if the client leaves before it is answered

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        """Send the whole answer: lines of headers, each with its end, and the body whose length they tell."""

    def break_off(self) -> None:
        """End a request that cannot be answered, with its connection."""


class DirectCall:
    """The ticket of one call: writes its answer."""

    __slots__ = ("_application", "_caller", "_cancel", "_exchange", "_operation", "_pool", "_session", "_since")

    def __init__(
        self,
        application: Application,
        exchange: Exchange,
        caller: Caller,
        pool: Pool,
        operation: str,
        session: str | None,
    ) -> None:
        self._application = application
        self._exchange: Exchange | None = exchange  # until it is answered, or nobody waits for that
        self._caller = caller
        self._pool = pool
        self._operation = operation
        self._session = session  # that the path names
        self._cancel: Callable[[], None] | None = None
        self._since = time.monotonic()

    def begin(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> None:
        """Begin the call, or answer why not."""
        self._application.traffic.running += 1
        assert self._exchange is not None
        self._exchange.on_disconnect = self._leave
        try:
            if len(body) > (most := self._application.most_bytes(self._pool)):
                raise too_large(most)
            given = format_of(headers, body)
            wanted = answer_format(headers.get(b"accept"), given)
            calls = calls_for(self._pool, headers, session_for(self._pool, self._caller, headers, self._session))
            trace = trace_of(headers) if b"traceparent" in headers else ""
            self._cancel = calls.begin_document(
                self._operation, document(body, given), self, answer=wanted, trace=trace
            )
        except Exception as error:
            self._refuse(error)

    def set_result(self, value: Document, /) -> None:
        """The call was answered."""
        self._end(self._answer, value)

    def set_exception(self, error: Exception, /) -> None:
        """The call failed; what is no `PoolError` the handler raised itself."""
        self._end(self._refuse, error if isinstance(error, PoolError) else as_handler_error(error))

    def _end(self, answer: Callable[[Any], None], value: Any) -> None:
        """Write the answer. A fault of ours breaks it off, so that nobody waits for what does not come."""
        exchange = self._exchange
        try:
            answer(value)
        except BaseException:
            self._over(INTERNAL_ERROR)
            if exchange is not None:
                exchange.break_off()
            raise

    def _answer(self, value: Document) -> None:
        try:
            body, format = check_answer(value)
        except PoolError as error:
            self._refuse(error)
            return
        exchange = self._over(200)
        if exchange is not None:
            exchange.respond(200, b"%b%d\r\n" % (_HEADS[format], len(body)), body)

    def _refuse(self, error: Exception) -> None:
        if self._exchange is None:
            return
        if isinstance(error, PoolError):
            error = told(self._pool, self._operation, error, self._caller.role == "admin")
        problem = self._application.problem(error, self._caller)
        exchange = self._over(problem.status)
        if exchange is not None:
            respond(exchange, problem)

    def _over(self, status: int) -> Exchange | None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            traffic = self._application.traffic
            traffic.running -= 1
            route = CALL if self._session is None else SESSION_CALL
            traffic.note(route, status, time.monotonic() - self._since)
            exchange.on_disconnect = None
        return exchange

    def _leave(self) -> None:
        """The client left."""
        if self._over(UNANSWERED) is not None and self._cancel is not None:
            self._cancel()


def respond(exchange: Exchange, problem: Problem) -> None:
    """Answer with a problem."""
    body = problem.body()
    lines = [b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in problem.all_headers().items()]
    exchange.respond(problem.status, b"%bcontent-length: %d\r\n" % (b"".join(lines), len(body)), body)


def start_call(
    application: Application,
    pool: Pool,
    operation: str,
    session: str | None,
    scope: Scope,
    body: bytes,
    exchange: Any,
) -> bool:
    """Begin a call; false if it is for the long way, which then finds everything as it was."""
    if session is not None:
        check_path(scope["path"], scope.get("raw_path") or b"")
    headers = headers_of(scope)
    if IDEMPOTENCY_KEY in headers:
        return False
    caller = application.let_in_at_once(scope)
    if caller is None:
        return False
    DirectCall(application, exchange, caller, pool, operation, session).begin(scope, headers, body)
    return True
