"""The call factory: finds the operation of a call, checks and encodes its arguments, fixes its deadline.

Shared by all faces of a pool. Refusals cost nothing: the bounds are asked before anything is serialized. The call then
goes to the driver; comes after `calls`, before `runtime/driver`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from copy import copy
from typing import TYPE_CHECKING, Any

from millpond.arguments import Check, compile_check
from millpond.core import QUEUED, Call, Command, refusals, states
from millpond.documents import check_document
from millpond.early import EarlyCall
from millpond.errors import BadArgument, OutOfMemory, PayloadTooLarge, PoolError, SessionLost
from millpond.options import UNSET, Options, check_operation
from millpond.runtime import traces
from millpond.seams import FUNCTION, NO_OPERATION, HandlerFacts, TraceSource
from millpond.wire import remote
from millpond.wire.codec import Codec, CodecError, Encoded
from millpond.wire.functions import NAMED, encode_function, function_name
from millpond.wire.sharing import reusable

if TYPE_CHECKING:
    from millpond.core import Operation, Session
    from millpond.documents import Document, Format
    from millpond.runtime.driver import Driver
    from millpond.settings import Settings
    from millpond.warming.commands import Warmup
    from millpond.wire.definitions import Definitions


class CallFactory:
    """Makes the calls of one pool; safe to use from any thread, except for `refuse`."""

    def __init__(
        self, driver: Driver, settings: Settings, codec: Codec, definitions: Definitions, pool_name: str
    ) -> None:
        self.driver = driver
        # Whether bounds are checked before the arguments are encoded: not where calls may precede their pool, as those
        # of an executor. Whether the expected wait is checked too: not where callers have threads beside the loop's.
        self.checks_bounds_first = True
        self.checks_wait_first = True
        self.broken_by: PoolError | None = None  # why an executor's pool never opened: told instead of "closed"
        self.trace_source: TraceSource | None = None  # who traces calls; asked in the caller's thread and context
        self._machine = driver.machine
        self._view = driver.view
        self._codec = codec
        self._definitions = definitions
        self._pool_name = pool_name
        self._max_payload = settings.max_payload
        self._buffer_threshold = settings.buffer_threshold
        self._deadline = math.inf if settings.deadline is None else float(settings.deadline)
        self._operations: dict[str, tuple[Operation, Check]] = {}
        self._handler_name = "no handler"

    def set_operations(self, facts: HandlerFacts | None) -> None:
        """Take note of the operations there are."""
        if facts is not None:
            self._handler_name = facts.name
            self._operations = {
                one.name: (self._view.operations[one.name], compile_check(one))
                for one in facts.operations
                if one.name not in facts.removed
            }

    def operation_call(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: Options,
        ticket: Any,
        stream: bool = False,
        early: EarlyCall | None = None,
    ) -> Call:
        """A call of an operation. Raises `BadArgument`, `PayloadTooLarge`, and whatever the pool refuses it for.

        `early` is the same call as it was made while the pool opened.
        """
        try:
            known = self._operations.get(name)
        except TypeError:  # no name can be looked up by what has no hash
            raise self._unknown(name) from None
        if known is None:
            if self._view.state == states.OPENING and isinstance(name, str):
                return self._early(
                    lambda early: self.operation_call(name, args, kwargs, options, ticket, stream, early),
                    self._machine.unlisted(name, NO_OPERATION),
                    (args, kwargs, options, ticket),
                )
            raise self._unknown(name) if self._view.state == states.SERVING else refusals.closed(self._view.state)
        operation, check = known
        wrong = check(args, kwargs)
        if wrong is not None:
            raise BadArgument(wrong)
        self._check_kind(operation, stream)
        session = self._session_for(operation, options)
        if early is not None:
            return early.become(operation, session)
        return self._make_call(operation, args, kwargs, session, options, ticket)

    def document_call(
        self,
        name: str,
        document: Document,
        answer: Format,
        options: Options,
        ticket: Any,
        trace: str = "",
        stream: bool = False,
        early: EarlyCall | None = None,
    ) -> Call:
        """A call of an operation whose arguments are encoded, and are checked in the worker only.

        Raises as `operation_call`. `trace` is the caller's own: a `traceparent`, and after a newline the `tracestate`
        if there is one.
        """
        body, form = check_document(document, answer)
        payload = body if len(body) <= self._buffer_threshold else Encoded(b"", [body])
        known = self._operations.get(name)
        if known is None:
            if self._view.state != states.OPENING or not isinstance(name, str):
                raise self._unknown(name) if self._view.state == states.SERVING else refusals.closed(self._view.state)
            call: Call = self._early(
                lambda early: self.document_call(name, document, answer, options, ticket, trace, stream, early),
                self._machine.unlisted(name, NO_OPERATION),
                (payload, None, options, ticket),
                trace,
            )
        else:
            operation, _ = known
            self._check_kind(operation, stream)
            session = self._session_for(operation, options)
            if early is not None:
                return early.become(operation, session)
            call = self._make_call(operation, payload, None, session, options, ticket, trace=trace)
        call.form = form
        return call

    def function_call(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: Options,
        ticket: Any,
        early: EarlyCall | None = None,
    ) -> Call:
        """A call of a plain function. Raises as `operation_call`."""
        if not callable(function):
            raise BadArgument(f"run() takes a function, not {function!r}") from TypeError(
                f"{type(function).__name__!r} object is not callable"
            )
        try:
            blob = encode_function(function)
        except CodecError as error:
            raise BadArgument(f"{function_name(function)} cannot be sent to a worker: {error}") from error
        if blob[0] != NAMED:
            self._look_at_main(blob)
        operation = self._machine.function(function_name(function))
        if options.session is not None and self._view.state == states.OPENING:
            return self._early(
                lambda early: self.function_call(function, args, kwargs, options, ticket, early),
                operation,
                ((blob, *args), kwargs, options, ticket),
            )
        session = None if options.session is None else self._session(options.session)
        if early is not None:
            return early.become(operation, session)
        return self._make_call(operation, (blob, *args), kwargs, session, options, ticket)

    def warmup_command(self, warmup: Warmup) -> Command:
        """A warm-up command, encoded. Raises `BadArgument` for what does not fit the handler or cannot be sent."""
        if not self._operations:
            self.set_operations(self.driver.engine.facts())
        number, args = FUNCTION, warmup.args
        if warmup.kind == "operation":
            number = self._warmup_operation(warmup)
        try:
            if warmup.kind == "imports":
                args = (encode_function(remote.import_module), warmup.target)
            elif warmup.kind == "run":
                blob = encode_function(warmup.target)
                self._look_at_main(blob)
                args = (encode_function(remote.run_encoded), blob, *warmup.args)
            payload = reusable(self._codec.encode_arguments(args, warmup.kwargs))
        except CodecError as error:
            raise BadArgument(f"the warm-up {warmup.name!r} cannot be sent to a worker: {error}") from error
        operation = self._machine.unlisted(warmup.name, number)
        return Command(warmup.name, operation, payload, warmup.deadline, warmup.required)

    def _look_at_main(self, blob: bytes) -> None:
        """Take note of what the program defines now if a function that is on its way may refer to it."""
        if b"__main__" in blob:
            self._definitions.look()

    def _warmup_operation(self, warmup: Warmup) -> int:
        known = self._operations.get(warmup.target)
        if known is None:
            raise self._unknown(warmup.target)
        operation, check = known
        wrong = check(warmup.args, warmup.kwargs)
        if operation.is_stream or operation.session_required:
            wrong = f"{warmup.target!r} is a stream or needs a session, and cannot warm a worker up"
        if wrong is not None:
            raise BadArgument(f"warm-up: {wrong}")
        return operation.number

    def refuse(self, error: PoolError) -> None:
        """Count a refusal; on the loop's thread only."""
        self._machine.reject(error, self.driver.now())
        self.driver.carry_out()

    def let_in_early(self) -> None:
        """The pool serves: the calls that waited for it are placed in their order, or refused for what they are."""
        for call in self._machine.early():
            refused = None
            try:
                if type(call) is EarlyCall:
                    call.settle()
            except PoolError as error:
                refused = error
            self._machine.let_in(call, refused, self.driver.now())
        self.driver.carry_out()

    def _early(
        self, again: Callable[[EarlyCall], Call], operation: Operation, made_of: Any, trace: str = ""
    ) -> EarlyCall:
        """A call whose operation or session cannot be known yet."""
        args, kwargs, options, ticket = made_of
        call = self._make_call(operation, args, kwargs, None, options, ticket, EarlyCall, trace)
        assert isinstance(call, EarlyCall)
        call.again = again
        return call

    def _make_call(
        self,
        operation: Operation,
        args: Any,
        kwargs: dict[str, Any] | None,
        session: Session | None,
        options: Options,
        ticket: Any,
        record: type[Call] = Call,
        trace: str = "",
    ) -> Call:
        """The call's record; without `kwargs` the arguments are a payload already."""
        now = self.driver.now()
        ends_at = now + (self._deadline if options.deadline == UNSET else options.deadline)
        if self.checks_bounds_first:
            until = ends_at if self.checks_wait_first else math.inf
            refused = self._machine.refusal(operation, session, now, until, options.priority)
            if refused is not None:
                raise refused
        try:
            payload = args if kwargs is None else self._codec.encode_arguments(args, kwargs)
        except CodecError as error:
            kind = OutOfMemory if isinstance(error.__cause__, MemoryError) else BadArgument
            raise kind(f"the arguments of {operation.name!r} cannot be sent: {error}") from error
        if options.idempotent:
            reusable(payload)
        if len(payload) > self._max_payload:
            raise PayloadTooLarge(
                f"the arguments of {operation.name!r} are {len(payload)} bytes, max_payload is {self._max_payload}"
            )
        call = record(
            next(self._machine.call_ids),
            operation,
            payload,
            ends_at,
            ticket,
            session,
            options.priority,
            options.idempotent,
            options.on_cancel,
        )
        if self.trace_source is not None:
            call.trace = traces.begin(self.trace_source, call, self._pool_name, self.driver.carriers.faults, trace)
        elif trace:
            call.trace = traces.ForwardedTrace(trace)
        return call

    def _check_kind(self, operation: Operation, stream: bool) -> None:
        name, is_stream = operation.name, operation.is_stream
        if is_stream is not stream:
            verb = "stream" if is_stream else "call"
            raise BadArgument(f"{name!r} is {'' if is_stream else 'not '}a generator; use pool.{verb}()")

    def _session_for(self, operation: Operation, options: Options) -> Session | None:
        session = None if options.session is None else self._session(options.session)
        if session is None and operation.session_required:
            raise BadArgument(f"{operation.name}() needs a session; use pool.session(id) or pool.options(session=id)")
        return session

    def submit(self, call: Call) -> None:
        """Hand over a call made in this turn. What the caller could still change is copied if it has to wait."""
        driver = self.driver
        try:
            self._machine.submit(call, driver.now(), self.checks_wait_first)
        except PoolError as error:
            traces.end(call, "rejected", error)
            driver.carry_out()  # the refusal is told
            raise
        driver.carry_out()
        if call.state == QUEUED:
            call.own_payload()

    def submit_in_turn(self, call: Call) -> None:
        """As `submit`, for one of many callers: what this turn of the loop brings is sent together when it ends."""
        try:
            self._machine.submit(call, self.driver.now(), self.checks_wait_first)
        except PoolError as error:
            traces.end(call, "rejected", error)
            raise
        finally:
            self.driver.carry_out_soon()

    def submit_or_fail(self, call: Call) -> None:
        """Hand a call over, to be carried out with the others of its batch; a refusal is told by its ticket."""
        try:
            if type(call) is EarlyCall and self._view.state != states.OPENING:
                call.settle()  # the pool opened while it was on its way
            self._machine.submit(call, self.driver.now())
        except PoolError as error:
            traces.end(call, "rejected", error)
            try:
                call.ticket.set_exception(error if self.broken_by is None else copy(self.broken_by))
            except InvalidStateError:
                pass  # its owner cancelled it

    def _session(self, session: Session | str) -> Session:
        if not isinstance(session, str):
            return session
        found = self._view.session(session)
        if found is None:
            raise SessionLost("no such session is open; options(session=id) never opens one, pool.session(id) does")
        if found.state == "lost":
            raise refusals.session_lost(found, found.lost_because)
        return found

    def _unknown(self, name: object) -> BadArgument:
        try:
            name = check_operation(name)
        except BadArgument as error:
            return error
        near = difflib.get_close_matches(name, self._operations, n=1)
        message = (
            f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(self._operations) or 'no operations'}"
        )
        return BadArgument(f"{self._handler_name} has no operation {name!r}{message}")
