"""Runs calls: claims, checks, decodes, runs the operation, and has the answer sent before anything else.

The fast path is here: a plain operation, a session that is open or none. All else is `plan`'s, which ends its calls
with the same methods. Reads no socket and knows no loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from millpond.errors import Interrupted
from millpond.seams import FUNCTION
from millpond.wire import segments, trace_header
from millpond.wire.frames import EXPIRED, INTERRUPTED, OK, SEGMENTED, SESSION_FAILED, SKIPPED, TRACED
from millpond.wire.functions import decode_function
from millpond.wire.logbook import INTERRUPT
from millpond.wire.wording import error_text, type_name
from millpond.worker.documents import Documents
from millpond.worker.finalizers import leave_forked_child
from millpond.worker.handler_session import NO_SLOT
from millpond.worker.replies import Fault, Unsendable
from millpond.worker.stack import invoke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from millpond.wire.buffers import SlotReader
    from millpond.wire.codec import Codec
    from millpond.wire.frames import Body, Fields
    from millpond.wire.logbook import Logbook
    from millpond.wire.saved import Saved
    from millpond.worker.channel import FrameChannel
    from millpond.worker.handler import BoundOperation
    from millpond.worker.handler_session import Hooks, SessionSlot
    from millpond.worker.replies import Replies
    from millpond.worker.saving import Exported, Saver

_WITHOUT_MEMORY = "; the operation did not run: send less at a time, or let workers have more memory"


@dataclass(slots=True, eq=False, repr=False)
class Runner:
    """Runs the calls of one worker, each in the thread that gives it; `plan` uses the same steps for the rest.

    `interruptions` are the exception types that an asked-for stop may come back as.
    """

    _channel: FrameChannel
    logbook: Logbook
    _codec: Codec
    _reader: SlotReader | None
    answers: Replies
    operations: list[BoundOperation]
    hooks: Hooks
    saver: Saver | None = None  # with durability
    interruptions: tuple[type[BaseException], ...] = (Interrupted,)
    # Session number -> slot; calls without a session have number 0.
    session_slots: dict[int, SessionSlot] = field(default_factory=lambda: {0: NO_SLOT})
    _documents: Documents = field(init=False, default_factory=Documents)
    _plain: dict[int, BoundOperation] = field(init=False)
    _claim: Callable[[int], int] = field(init=False)
    _end: Callable[[int], None] = field(init=False)

    def __post_init__(self) -> None:
        self._plain = {n: operation for n, operation in enumerate(self.operations) if operation.kind == "plain"}
        self._claim, self._end = self.logbook.claim, self.logbook.end

    def run(self, fields: Fields, body: Body) -> float | None:
        """Run one call on the fast path; if it takes more than that, return its start, claimed: it is for `plan`."""
        started = self.admit(fields, body)
        if started is None:
            return None
        operation = self._plain.get(fields[4])
        slot = self.session_slots.get(fields[8])
        if operation is None or slot is None or not slot.is_simple:
            return started
        try:
            function, args, kwargs = self.decode(operation, fields, body, slot)
        except BaseException as error:
            self.unreadable(fields, started, error)
            return None
        try:
            value = invoke(fields, function, args, kwargs)
        except BaseException as error:
            self.failed(fields, started, error)
        else:
            self.succeeded(fields, started, value)
        return None

    def admit(self, fields: Fields, body: Body) -> float | None:
        """Claim the call and return the time; `None` if it must not run, which is then answered.

        The claim comes before the look at what the parent asks: a parent that withdraws a call and finds no claim knows
        that it will not run. The deadline comes before the claim: what is late is never claimed, so that the parent
        can prove that it did not start.
        """
        started = monotonic()
        if started >= fields[9]:
            self._pass_over(EXPIRED, fields, body)
        elif self._claim(fields[3]):
            self.end(fields)
            self._pass_over(SKIPPED, fields, body)
        else:
            return started
        return None

    def skip(self, fields: Fields, body: Body) -> None:
        """Answer a call that was given up while it waited in this process."""
        self._claim(fields[3])
        self.end(fields)
        self._pass_over(SKIPPED, fields, body)

    def _pass_over(self, kind: int, fields: Fields, body: Body) -> None:
        if fields[2] & SEGMENTED:
            segments.release(trace_header.split(body)[1] if fields[2] & TRACED else body, self._reader)
        self.answers.send(kind, fields)

    def decode(
        self, operation: BoundOperation, fields: Fields, body: Body, slot: SessionSlot
    ) -> tuple[Callable[..., Any], Iterable[Any], dict[str, Any]]:
        """What to call with what; raises whatever is wrong with the payload."""
        if fields[2] & TRACED:
            return self._decode_traced(operation, fields, body, slot)
        if fields[5]:
            args, kwargs = self._read_document(operation, fields, body)
        else:
            args, kwargs = self.decode_arguments(body, fields[2])
        if fields[4] == FUNCTION:
            return decode_function(args[0]), args[1:], kwargs
        if operation.session_at is not None:
            session = operation.no_session if slot is NO_SLOT else slot.session
            args, kwargs = operation.with_session(session, args, kwargs)
        return operation.function, args, kwargs

    def _decode_traced(
        self, operation: BoundOperation, fields: Fields, body: Body, slot: SessionSlot
    ) -> tuple[Callable[..., Any], Iterable[Any], dict[str, Any]]:
        from millpond.worker.tracing import traced

        header, body = trace_header.split(body)
        untraced: Fields = (*fields[:2], fields[2] & ~TRACED, *fields[3:])
        function, args, kwargs = self.decode(operation, untraced, body, slot)
        return traced(header, operation.kind, function), args, kwargs

    def _read_document(self, operation: BoundOperation, fields: Fields, body: Body) -> Any:
        return self._documents.read(operation, fields[4], self.document(body, fields[2]), fields[5])

    def document(self, body: Body, flags: int) -> Body:
        """The body of a document."""
        if not flags & SEGMENTED:
            return body
        stream, buffers = segments.unpack(body, self._reader)
        return b"".join((stream, *buffers))

    def decode_value(self, body: Body, flags: int) -> Any:
        """The value of a payload."""
        if not flags & SEGMENTED:
            return self._codec.decode(body)
        return self._codec.decode(*segments.unpack(body, self._reader))

    def decode_arguments(self, body: Body, flags: int) -> Any:
        """The positional and keyword arguments in a payload."""
        if not flags & SEGMENTED:
            return self._codec.decode_arguments(body)
        return self._codec.decode_arguments(*segments.unpack(body, self._reader))

    def succeeded(
        self, fields: Fields, started: float, value: Any, exported: Exported | None = None, ended: float = 0.0
    ) -> bool:
        """The operation returned (at `ended`, if not just now); whether its value could be sent.

        `exported` is what the handler's hook gave of the session, if durability asks for it.
        """
        ended = ended or monotonic()
        # The end comes first: in a forked child it leaves, before anything is sent or written to memory that is shared.
        # What the parent asked of the call is read before the answer leaves: from then on the position is another
        # call's. The state goes ahead of the answer, in one write: who has the answer has a state that survives.
        self.end(fields)
        ahead = self.leave_slot(fields, self.is_asked_to_stop(fields), exported) if fields[8] else None
        try:
            self.answers.value(OK, fields, started, ended, value, ahead)
        except Unsendable as error:
            self.unsendable(fields, started, ended, error, ahead)
            return False
        return True

    def failed(
        self,
        fields: Fields,
        started: float,
        error: BaseException,
        is_stopped: bool = False,
        exported: Exported | None = None,
        ended: float = 0.0,
    ) -> None:
        """The operation raised, or came back from an interrupt: `is_stopped` if a frame asked for that."""
        ended = ended or monotonic()
        is_stopped = is_stopped or self.is_asked_to_stop(fields)
        self.end(fields, error)
        ahead = self.leave_slot(fields, is_stopped, exported) if fields[8] else None
        if is_stopped and issubclass(type(error), self.interruptions):
            self.answers.send(INTERRUPTED, fields, started, ended, ahead=ahead)
        else:
            self.answers.raised(fields, started, ended, error, ahead=ahead)

    def unsendable(
        self, fields: Fields, started: float, ended: float, error: Unsendable, ahead: Saved | None = None
    ) -> None:
        """The operation ended, and the caller learns why its result cannot come."""
        fault = Fault(error.code, str(error), error.__cause__, "completed")
        self.answers.fault(fields, started, ended, fault, ahead=ahead)

    def unreadable(self, fields: Fields, started: float, error: BaseException) -> None:
        """The payload could not be decoded. A session that was not opened yet is forgotten: its parent has it still."""
        ended = monotonic()
        self.end(fields, error)
        slot, flags, ahead = self.session_slots.get(fields[8]), 0, None
        if slot is not None and not slot.is_open:
            del self.session_slots[fields[8]]
            flags = SESSION_FAILED
        elif self.saver is not None and slot is not None and slot is not NO_SLOT:
            ahead = self.saver.unchanged(slot)
        fault = unreadable_fault("the arguments", error, "bad_argument")
        self.answers.fault(fields, started, ended, fault, flags, ahead)

    def is_asked_to_stop(self, fields: Fields) -> bool:
        """Whether the logbook asks this call to stop. Only before its answer: then the position is another call's."""
        return self.logbook.request(fields[3]) == INTERRUPT

    def end(self, fields: Fields, error: BaseException | None = None) -> None:
        """Note in the logbook that the operation is over; in a forked child, leave. `error` is what it raised."""
        if self._channel.is_disowned:
            leave_forked_child(error)
        self._end(fields[3])

    def before_end(self, leave: Callable[[], None]) -> None:
        """Have `leave` called, where the call runs, before its end is noted."""
        end = self._end

        def left(position: int) -> None:
            leave()
            end(position)

        self._end = left

    def check_not_forked(self) -> None:
        """Leave, if the operation forked and this is the child: answering, and the shared memory, are its parent's."""
        if self._channel.is_disowned:
            leave_forked_child(None)

    def leave_slot(self, fields: Fields, is_interrupted: bool, exported: Exported | None) -> Saved | None:
        """A call of a session has ended: what is to be sent ahead of its answer."""
        slot = self.session_slots.get(fields[8])
        if slot is None:
            return None
        slot.session.interrupted = is_interrupted
        if self.saver is None or fields[4] >= len(self.operations):  # internal calls change nothing
            return None
        return self.saver.saved(slot, exported)


def unreadable_fault(what: str, error: BaseException, code: str, remedy: str = "") -> Fault:
    """The fault of a call whose arguments, or session's state, could not be decoded.

    `code` says whose it is, unless there was no memory: then it is nobody's who made the call.
    """
    if field := getattr(error, "field", ""):  # of a document, whose text says it all
        return Fault(code, error_text(error), field=str(field))
    message = f"{what} cannot be read in the worker: {type_name(type(error))}: {error_text(error)}"
    if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
        code, remedy = "out_of_memory", _WITHOUT_MEMORY
    return Fault(code, message + remedy, error)
